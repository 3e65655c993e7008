"""What came of objects after a rule would have acted: what really happened, and for budgets what a model says. PURE.

    paused    what the object really spent and brought on the full days after, until it would run again. Exact as far
              as one object's stop moves no other (no interference), and only while nobody really touched it
    budget    the day's spend as the budget would have made it, and the value by the fitted concave response: an
              interval between "the spend does not follow the budget" and "it follows in full", with the fit's error

Amounts are in the account's currency, as floats in the model: it is one, and is marked so. What really happened is
exact `Decimal`s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from math import exp
from typing import Final

from strategies.engine.response import Response

#: So many days after a firing are looked at, unless the rule starts the object again before.
HORIZON: Final = 28
#: Standard deviations of the model's interval: nine of ten, if the fit is right.
WIDTH: Final = 1.64
_NOTHING: Final = Decimal(0)


@dataclass(frozen=True)
class Day:
    """One object's account day as it is known by now; `value` is what its results are worth, `None` if unknown."""

    spend: Decimal
    results: Decimal | None
    value: Decimal | None


@dataclass(frozen=True)
class Afterwards:
    """Sums over the full days after a firing. `net` is value less spend: above 0 the stop would have cost that."""

    since: date | None
    until: date | None
    days: int
    spend: Decimal
    results: Decimal | None
    value: Decimal | None

    @property
    def net(self) -> Decimal | None:
        return None if self.value is None else self.value - self.spend


@dataclass(frozen=True)
class Modelled:
    """*Model.* Change of value less spend by another budget: what is likely, and between which bounds."""

    low: Decimal
    likely: Decimal
    high: Decimal
    days: int


def afterwards(days: Mapping[date, Day], *, after: date, until: date) -> Afterwards:
    """What the object did on the known days after `after`, `until` included; the day of the firing itself is in part
    before it, so it is left out."""
    mine = {day: one for day, one in sorted(days.items()) if after < day <= until}
    return Afterwards(
        since=min(mine, default=None),
        until=max(mine, default=None),
        days=len(mine),
        spend=sum((one.spend for one in mine.values()), _NOTHING),
        results=_sum([one.results for one in mine.values()]),
        value=_sum([one.value for one in mine.values()]),
    )


def _sum(values: list[Decimal | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, _NOTHING) if values and len(known) == len(values) else None


def modelled(
    days: Mapping[date, Day], *, after: date, until: date, times: Decimal, response: Response
) -> Modelled | None:
    """What a budget of `times` the one of then would have changed; `None` where the object's response says nothing."""
    mine = [one for day, one in sorted(days.items()) if after < day <= until and one.spend > 0]
    if not mine or response.weight <= 0 or not response.typical:
        return None
    more, gain = 0.0, 0.0
    for one in mine:
        spend = float(one.spend)
        moved = spend * float(times)
        more += moved - spend
        gain += response.value(moved) - response.value(spend)
    wide = exp(WIDTH * response.error)
    bounds = [0.0, gain / wide - more, gain * wide - more]
    low, high = min(bounds), max(bounds)
    return Modelled(_money(low), _money(gain - more), _money(high), len(mine))


def _money(value: float) -> Decimal:
    return Decimal(f"{value:.2f}")
