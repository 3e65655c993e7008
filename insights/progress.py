"""How far the first sync of an account is, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from accounts.models import AdAccount
from insights.models import FetchRun, PollState

#: Runs that a person follows; looks of the tick and breakdowns come and go.
LONG: Final = ("first", "manual", "more")


@dataclass(frozen=True)
class Progress:
    """Days done of all, in words; state running, waiting, done, failed, or "" when nothing was begun."""

    done: int
    total: int
    sentence: str
    state: str


def of(run: FetchRun) -> Progress:
    """Where one run stands."""
    return Progress(run.done, run.total, run.sentence, run.state)


def progress(ad_account: AdAccount) -> Progress:
    """Where the newest fetch of many days stands: the first sync, a manual one, or more history."""
    rows = FetchRun.objects.of(ad_account).filter(kind__in=LONG)
    run = rows.order_by("-started_at", "-id").first()
    return Progress(0, 0, "Nothing has been read yet.", "") if run is None else of(run)


def standing(ad_account: AdAccount) -> PollState | None:
    """Where the looks at the account stand; None before the first one."""
    found: PollState | None = PollState.objects.of(ad_account).first()
    return found
