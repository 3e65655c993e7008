"""How much of what is reported today will be there in the end: conversions of young days are not finished.

    day -> its columns, and the account's completeness curves -> reported, and expected in the end

A column that Meta credits within an attribution window grows for `lag_days`. Where the account's own curve is learned,
a day's value is divided by the share that is usually there at its age; where it is not, or where so little is there
that dividing would only blow up noise, nothing is expected. PURE: no Django, no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from insights.metrics import METRICS

#: Nothing more to wait for: this share of the final sum is there.
SETTLED: Final = Decimal("0.98")
#: With less than this there, the rest is a guess.
LEAST_SHARE: Final = Decimal("0.3")


@dataclass(frozen=True)
class Sum:
    """A column over days. `young` when more is to come; then `expected` is its final sum, or None where unknown."""

    reported: Decimal | None
    expected: Decimal | None
    young: bool


def grown(
    column: str,
    days: Mapping[date, Decimal | None],
    *,
    today: date,
    shares: Mapping[str, Sequence[Decimal]],
) -> Sum:
    """The column's sum over closed days (None: a day whose value is unknown). `shares[column][k]` is k days after."""
    values = list(days.values())
    if not values or any(value is None for value in values):
        return Sum(None, None, False)
    reported = sum((value for value in values if value is not None), Decimal(0))
    young, expected = False, Decimal(0)
    known = True
    for day, value in days.items():
        share = _share(column, (today - day).days - 1, shares)
        if share is None or share < LEAST_SHARE:
            young, known = True, False
            continue
        young = young or share < SETTLED
        expected += (value or Decimal(0)) / min(share, Decimal(1))
    return Sum(reported, (expected if known else None) if young else reported, young)


def _share(column: str, age: int, shares: Mapping[str, Sequence[Decimal]]) -> Decimal | None:
    """What is there of a day that ended `age` days ago; None where nobody knows."""
    metric = METRICS[column]
    if not metric.attributed or age >= metric.lag_days:
        return Decimal(1)
    curve = shares.get(column)
    if curve is None or age < 0:
        return None
    return curve[age] if age < len(curve) else Decimal(1)
