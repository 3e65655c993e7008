"""Moving budget between siblings: from those that do worst to those that do best, the same in total. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal


@dataclass(frozen=True)
class Sibling:
    """`score`: more is better. `budget` in major units."""

    object_id: str
    budget: Decimal
    score: Decimal


def rebalance(
    siblings: Sequence[Sibling], *, step_percent: Decimal, at_least: Decimal, minor_unit: Decimal
) -> dict[str, Decimal]:
    """Object id -> its new budget, for those that change; their sum stays what it was.

    The worst gives to the best, then the second worst to what the best has room for, and so on until giver and taker
    do equally well. Nobody's budget moves by more than `step_percent`, and none is cut below `at_least`. Amounts are
    whole multiples of `minor_unit`; a budget that is none is left alone.
    """
    able = [one for one in siblings if one.budget % minor_unit == 0]
    ordered = sorted(able, key=lambda one: (-one.score, one.object_id))
    steps = [_units(one.budget * step_percent / 100, minor_unit) for one in ordered]
    spare = [
        max(0, min(step, _units(one.budget - at_least, minor_unit)))
        for one, step in zip(ordered, steps, strict=True)
    ]
    moved = [0] * len(ordered)
    taker, giver = 0, len(ordered) - 1
    while taker < giver and ordered[taker].score > ordered[giver].score:
        units = min(steps[taker] - moved[taker], spare[giver] + moved[giver])
        moved[taker] += units
        moved[giver] -= units
        if moved[taker] == steps[taker]:
            taker += 1
        else:
            giver -= 1
    return {
        one.object_id: one.budget + units * minor_unit
        for one, units in zip(ordered, moved, strict=True)
        if units
    }


def _units(amount: Decimal, minor_unit: Decimal) -> int:
    return int((amount / minor_unit).to_integral_value(ROUND_FLOOR))
