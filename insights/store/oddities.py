"""Numbers that cannot be taken at their word: kept as Meta says them, and said to be odd.

    negative     something was credited back: spend or value below nothing
    unseen       money ran, and nobody saw an ad
    free         many saw an ad, and no money ran: a row whose spend was left out reads like that
    emptied      a day that had spend has no rows at all any more: Meta answers so, too, when it has a bad minute
    vanished     results that were reported are all gone, while the ads go on being shown (a broken pixel, a new event)
    silent       none are reported at all, where these campaigns would have had dozens by what they had before: the same

A day that is odd is *partial*: rules change nothing on it, and a person is told.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from django.db.models import Q

from insights.metrics import ADDITIVE, VALUES
from insights.models import AccountDay, CampaignDay, DayRow, Odd

#: Fewer results than this may well be taken back one by one.
LEAST_RESULTS: Final = 5
#: Fewer impressions than this may well have cost nothing.
LEAST_SEEN: Final = 1000
#: So many results were to be expected: even where one in three is told on its day, none at all is no chance.
LEAST_EXPECTED: Final = 30
#: How far back a campaign's own rate is looked up; a month of silence is how things are now.
PAST: Final = timedelta(days=28)
_RESULTS: Final = tuple(VALUES)
_MONEY: Final = tuple(name for name, kind in ADDITIVE.items() if kind == "money")


class Earlier(NamedTuple):
    """What a day said before a read: all results together, whatever a client calls one, and its spend."""

    results: Any = 0
    spend: Any = 0


def earlier(*, account_id: int, days: Collection[date]) -> dict[date, Earlier]:
    """What these days say now, only to see afterwards whether it is still there."""
    rows = AccountDay.objects.of(account_id).filter(day__in=days).values_list("day", "spend", *_RESULTS)
    return {day: Earlier(sum(counts), spend) for day, spend, *counts in rows}


def find(
    *, account_id: int, days: Collection[date], before: Mapping[date, Earlier], known: Mapping[date, str]
) -> dict[date, str]:
    """Day -> what is odd about it now. `before`: what it said before this read; `known`: what was odd about it then."""
    below = Q()
    for name in _MONEY:
        below |= Q(**{f"{name}__lt": 0})
    rows = DayRow.objects.of(account_id).filter(below, level="ad", breakdown="", day__in=days)
    found = dict.fromkeys(rows.values_list("day", flat=True).distinct(), Odd.NEGATIVE.value)
    sums = AccountDay.objects.of(account_id).filter(day__in=days)
    shown = set(sums.exclude(spend=0, impressions=0).values_list("day", flat=True))
    for day in set(days) - shown - found.keys():
        if before.get(day, Earlier()).spend or known.get(day) == Odd.EMPTIED:
            found[day] = Odd.EMPTIED.value
    quiet = set()
    for row in sums.values("day", "spend", "impressions", *_RESULTS):
        day = row["day"]
        gone = not any(row[name] for name in _RESULTS) and row["impressions"]
        if day in found:
            continue
        if row["spend"] > 0 and not row["impressions"]:
            found[day] = Odd.UNSEEN.value
        elif not row["spend"] and row["impressions"] >= LEAST_SEEN:
            found[day] = Odd.FREE.value
        elif gone and (before.get(day, Earlier()).results >= LEAST_RESULTS or known.get(day) == Odd.VANISHED):
            found[day] = Odd.VANISHED.value
        elif gone:
            quiet.add(day)
    return {**found, **dict.fromkeys(_silent(account_id, quiet), Odd.SILENT.value)}


def _silent(account_id: int, quiet: Collection[date]) -> set[date]:
    """Of days without a result those on which the campaigns that ran had `LEAST_EXPECTED` coming, each by its own rate
    over the days before that had results: one that never had any, or does not run, promises none.
    """
    if not quiet:
        return set()
    had = Q()
    for name in _RESULTS:
        had |= Q(**{f"{name}__gt": 0})
    since, until = min(quiet) - PAST, max(quiet)
    good = set(
        AccountDay.objects.of(account_id)
        .filter(had, day__gte=since, day__lt=until)
        .values_list("day", flat=True)
    )
    if not good:
        return set()
    days: dict[date, list[tuple[str, int, int]]] = defaultdict(list)
    rows = CampaignDay.objects.of(account_id).filter(day__in=good | set(quiet))
    for day, campaign, seen, *counts in rows.values_list("day", "campaign_id", "impressions", *_RESULTS):
        days[day].append((campaign, seen, sum(counts)))
    found = set()
    for day in quiet:
        seen, results = Counter[str](), Counter[str]()
        for past in good:
            if day - PAST <= past < day:
                for campaign, impressions, count in days[past]:
                    seen[campaign] += impressions
                    results[campaign] += count
        # All families together: they come by the same pixel.
        expected = sum(
            impressions * results[campaign] / seen[campaign]
            for campaign, impressions, _ in days[day]
            if seen[campaign]
        )
        if expected >= LEAST_EXPECTED:
            found.add(day)
    return found
