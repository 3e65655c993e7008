"""Who wants fresh numbers of an account, how much, until when: reported from above, read by the tick."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from insights.models import Interest


def report(*, ad_account_id: int, reason: str, weight: int, until: datetime) -> None:
    """Say why fresh numbers are wanted ("watching", "close to a limit"); the later report of a reason replaces it."""
    report_all(ad_account_ids=[ad_account_id], reason=reason, weight=weight, until=until)


def report_all(
    *,
    ad_account_ids: Iterable[int],
    reason: str,
    weight: int,
    until: datetime,
    unless: datetime | None = None,
) -> None:
    """`report` of several accounts in one statement. With `unless`, where the last report of this reason and weight
    holds beyond that moment nothing is written."""
    wanted, why = set(ad_account_ids), reason[:60]
    if unless is not None:
        holds = Interest.everything.filter(
            ad_account_id__in=wanted, reason=why, weight=weight, until__gt=unless
        )
        wanted -= set(holds.values_list("ad_account_id", flat=True))
    Interest.everything.bulk_create(
        # In order, so that two processes that report the same accounts wait for each other and never in a ring.
        [Interest(ad_account_id=pk, reason=why, weight=weight, until=until) for pk in sorted(wanted)],
        update_conflicts=True,
        unique_fields=["ad_account_id", "reason"],
        update_fields=["weight", "until"],
    )


def weights(*, now: datetime) -> Mapping[int, int]:
    """Ad account id -> the strongest interest that still holds."""
    found: dict[int, int] = {}
    for account_id, weight in Interest.everything.filter(until__gt=now).values_list(
        "ad_account_id", "weight"
    ):
        found[account_id] = max(found.get(account_id, 0), weight)
    return found


def forget(*, now: datetime) -> int:
    """Remove what has ended; returns how many."""
    return int(Interest.everything.filter(until__lte=now).delete()[0])
