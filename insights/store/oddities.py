"""Numbers that cannot be taken at their word: kept as Meta says them, and said to be odd.

    negative     something was credited back: spend or value below nothing
    unseen       money ran, and nobody saw an ad
    free         many saw an ad, and no money ran: a row whose spend was left out reads like that
    vanished     results that were reported are all gone, while the ads go on being shown (a broken pixel, a new event)

A day that is odd is *partial*: rules raise nothing on it, and a person is told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any, Final

from django.db.models import Q

from insights.metrics import ADDITIVE, VALUES
from insights.models import AccountDay, DayRow, Odd

#: Fewer results than this may well be taken back one by one.
LEAST_RESULTS: Final = 5
#: Fewer impressions than this may well have cost nothing.
LEAST_SEEN: Final = 1000
_RESULTS: Final = tuple(VALUES)
_MONEY: Final = tuple(name for name, kind in ADDITIVE.items() if kind == "money")


def results(*, account_id: int, days: Collection[date]) -> dict[date, Any]:
    """All results of these days together, whatever a client calls one: only to see whether they are there."""
    rows = AccountDay.objects.of(account_id).filter(day__in=days).values_list("day", *_RESULTS)
    return {row[0]: sum(row[1:]) for row in rows}


def find(
    *, account_id: int, days: Collection[date], before: Mapping[date, Any], known: Mapping[date, str]
) -> dict[date, str]:
    """Day -> what is odd about it now. `before`: its results before this read; `known`: what was odd about it then."""
    below = Q()
    for name in _MONEY:
        below |= Q(**{f"{name}__lt": 0})
    rows = DayRow.objects.of(account_id).filter(below, level="ad", breakdown="", day__in=days)
    found = dict.fromkeys(rows.values_list("day", flat=True).distinct(), Odd.NEGATIVE.value)
    sums = AccountDay.objects.of(account_id).filter(day__in=days)
    for row in sums.values("day", "spend", "impressions", *_RESULTS):
        day = row["day"]
        gone = not any(row[name] for name in _RESULTS) and row["impressions"]
        if day in found:
            continue
        if row["spend"] > 0 and not row["impressions"]:
            found[day] = Odd.UNSEEN.value
        elif not row["spend"] and row["impressions"] >= LEAST_SEEN:
            found[day] = Odd.FREE.value
        elif gone and (before.get(day, 0) >= LEAST_RESULTS or known.get(day) == Odd.VANISHED):
            found[day] = Odd.VANISHED.value
    return found
