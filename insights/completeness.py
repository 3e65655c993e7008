"""How much of a day's final numbers is there after 0, 1, 2 ... 28 days, learned from what its rows used to say.

    days that froze and were watched from their end on -> each row's states, from facts and revisions
        -> value after k days / value now, summed over the days first, divided last -> one curve per column

A curve over few days or few results would be noise, so there is none then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from django.db import transaction

import insights.windows as days_of
from accounts.models import AdAccount
from insights.metrics import ADDITIVE, VALUES
from insights.models import Completeness, DayRow, Revision, Slice
from insights.windows import DAY, LOOKBACK, Period

#: How far back days are looked at, before they froze.
LEARN_DAYS: Final = 90
#: Fewer days than this, or fewer results in all of them, say nothing.
LEAST_DAYS: Final = 14
LEAST_RESULTS: Final = 30
#: A day counts if it had been read to the end this soon after it was over.
_SOON: Final = timedelta(hours=6)
LEARN_EVERY: Final = timedelta(hours=20)
_FOUR: Final = Decimal("0.0001")


@dataclass(frozen=True)
class Curve:
    """`shares[k]` of the final `total` of a column was reported k days after a day's end (0: at its end)."""

    base: str
    shares: tuple[Decimal, ...]
    days: int
    total: Decimal
    learned_at: datetime

    def settled(self, share: Decimal) -> int | None:
        """After how many days at least `share` is there for good; None when the curve never says so."""
        late = [k for k, one in enumerate(self.shares) if one < share]
        after = late[-1] + 1 if late else 0
        return after if after < len(self.shares) else None


def curves(ad_account: AdAccount) -> dict[str, Curve]:
    """The account's curves by column; a column without one is not learned (yet)."""
    return {
        row.base: Curve(
            row.base, tuple(Decimal(one) for one in row.shares), row.days, row.total, row.learned_at
        )
        for row in Completeness.objects.of(ad_account)
    }


def learn(*, ad_account: AdAccount, now: datetime) -> int:
    """Learn the account's curves anew; how many there are."""
    watched = _watched(ad_account, now)
    found = _curves(ad_account, watched) if len(watched) >= LEAST_DAYS else {}
    rows = [
        Completeness(
            ad_account_id=ad_account.pk,
            base=base,
            shares=[str(share) for share in shares],
            days=len(watched),
            total=total,
            learned_at=now,
        )
        for base, (shares, total) in found.items()
    ]
    with transaction.atomic():
        Completeness.objects.of(ad_account).exclude(base__in=found).delete()
        Completeness.everything.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["ad_account_id", "base"],
            update_fields=["shares", "days", "total", "learned_at"],
        )
    return len(rows)


def _watched(ad_account: AdAccount, now: datetime) -> frozenset[date]:
    """Days that are final, and whose rows were there from the end of the day on."""
    zone = ad_account.timezone_name
    newest = days_of.today(now, zone) - DAY * (LOOKBACK + 1)
    rows = Slice.objects.of(ad_account).filter(
        kind="day",
        level="ad",
        breakdown="",
        complete=True,
        day__range=(newest - DAY * (LEARN_DAYS - 1), newest),
        whole_from__isnull=False,
    )
    return frozenset(
        row.day
        for row in rows
        if row.whole_from is not None
        and row.whole_from <= days_of.starts(row.day + DAY, zone) + _SOON
        and row.fetched_at >= days_of.starts(row.day + DAY * (LOOKBACK + 1), zone)
    )


def _curves(ad_account: AdAccount, watched: frozenset[date]) -> dict[str, tuple[list[Decimal], Decimal]]:
    zone = ad_account.timezone_name
    # A day's rows are read again soon after midnight, so each of its instants is a few hours past one.
    instants = {
        day: [days_of.starts(day + DAY * (k + 1), zone) + _SOON for k in range(LOOKBACK + 1)]
        for day in watched
    }
    sums = {name: [0] * (LOOKBACK + 1) for name in ADDITIVE}
    final = dict.fromkeys(ADDITIVE, 0)
    for day, known_from, known_to, values in _states(ad_account, watched):
        held = [known_from <= at and (known_to is None or at < known_to) for at in instants[day]]
        for name in ADDITIVE:
            value = values[name]
            if value and known_to is None:
                final[name] += value
            if value:
                line = sums[name]
                for k, holds in enumerate(held):
                    line[k] += value if holds else 0
    return {
        name: (
            [(Decimal(one) / final[name]).quantize(_FOUR, ROUND_HALF_UP) for one in sums[name]],
            Decimal(final[name]) / (1 if ADDITIVE[name] == "whole" else 1_000_000),
        )
        for name in ADDITIVE
        if _enough(name, final)
    }


def _states(
    ad_account: AdAccount, watched: frozenset[date]
) -> Iterable[tuple[date, datetime, datetime | None, dict[str, int]]]:
    """(day, known from, known to, stored columns) of every state of every ad row of these days."""
    period = Period(min(watched), max(watched))
    within = {"level": "ad", "breakdown": "", "day__range": (period.since, period.until)}
    facts: Any = DayRow.objects.of(ad_account).filter(**within)
    for day, known_from, *values in facts.values_list("day", "known_from", *ADDITIVE).iterator(
        chunk_size=2000
    ):
        if day in watched:
            yield (
                day,
                known_from,
                None,
                {
                    name: int(value) if ADDITIVE[name] == "whole" else int(value * 1_000_000)
                    for name, value in zip(ADDITIVE, values, strict=True)
                },
            )
    old = Revision.objects.of(ad_account).filter(grain="day", **within)
    for row in old.values_list("day", "known_from", "known_to", "values").iterator(chunk_size=2000):
        if row[0] in watched:
            yield row[0], row[1], row[2], row[3]


def _enough(name: str, final: dict[str, int]) -> bool:
    if not final[name]:
        return False
    count = next((base for base, value in VALUES.items() if value == name), name)
    return ADDITIVE[count] != "action" or final[count] >= LEAST_RESULTS * 1_000_000
