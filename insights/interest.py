"""Who wants fresh numbers of an account, how much, until when: reported from above, read by the tick."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from insights.models import Interest


def report(*, ad_account_id: int, reason: str, weight: int, until: datetime) -> None:
    """Say why fresh numbers are wanted ("watching", "close to a limit"); the later report of a reason replaces it."""
    Interest.everything.update_or_create(
        ad_account_id=ad_account_id, reason=reason[:60], defaults={"weight": weight, "until": until}
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
