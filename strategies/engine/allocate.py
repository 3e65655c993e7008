"""Daily budgets for an account's ad sets (or campaigns): small moves to where the next unit is known to bring more.

    days -> `response.fit` -> per object the value of the next unit, with its error
    -> what a raise brings is taken at its lower end, what a cut costs at its upper end
    -> `waterfill.fill` under the total, the least and the most of each object and the step
    -> moves too small to be worth a disturbed learning phase are taken back, and the rest is filled anew
    -> what stays put may lend a neighbour a little, to learn how fast returns diminish

Keeping everything is the answer to all that is not known well enough: a move needs a lower end above another's upper
end. An object inside a campaign that has the budget (CBO) has none of its own: Meta splits it, and it is left out.

Budgets are `Decimal` in major units in and out, whole minor units, and sum exactly to the total; what is between is
float.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from hashlib import sha256
from math import exp
from typing import Final

from strategies.engine.response import Days, Response, fit
from strategies.engine.waterfill import Basin, fill

#: Standard errors that a move is held to on either side: two objects told apart so are in order nine times in ten.
CAREFUL: Final = 1.0
#: An object is judged on so many days with spend, and so many orders that were to be expected.
LEAST_DAYS: Final = 7
LEAST_WEIGHT: Final = 5.0
#: Of its budget an object must have spent so much, or more budget would change nothing.
SPENDS: Final = 0.8
#: What is not known is moved last of all: its slopes, as far from the others' as this.
_LAST: Final = 1e6


class Fate(StrEnum):
    MOVE = "move"
    LEAVE = "leave"  # known, and fine where it is
    NOT_IDENTIFIABLE = "not_identifiable"  # nothing is known that would justify a move
    EXPLORE = "explore"  # moved a little, to learn
    FIXED = "fixed"  # may not be moved


@dataclass(frozen=True)
class Item:
    """One object. `budget` per day; None where it has none of its own. `fixed` says why it may not move ("learning").

    `least` and `most` bound what it may be set to (an envelope's part); the platform's least is in `Limits`.
    """

    key: str
    budget: Decimal | None
    days: Days
    most: Decimal | None = None
    least: Decimal | None = None
    fixed: str = ""
    campaign_budget: bool = False


@dataclass(frozen=True)
class Limits:
    """`step`: the largest change of one object, in parts of its budget (0.2: 20 %); below `least_step` none pays.

    `explore`: the part of a budget that may be moved to learn (0: none); `seed` picks who lends whom, a new one each
    time.
    `spread`: one order's E[x^2] / E[x] (1 for counts); the days' own residuals may show more.
    """

    minor_unit: Decimal
    least_budget: Decimal
    step: Decimal = Decimal("0.2")
    least_step: Decimal = Decimal("0.05")
    explore: Decimal = Decimal("0.05")
    seed: str = ""
    spread: float = 1.0


@dataclass(frozen=True)
class Share:
    """What becomes of one object. `slope` is the value of its next unit of money, between `low` and `high`
    (`CAREFUL` standard errors); None where nothing is known."""

    key: str
    fate: Fate
    before: Decimal | None
    after: Decimal | None
    slope: float | None
    low: float | None
    high: float | None
    reason: str


@dataclass(frozen=True)
class Plan:
    """`gain` per day against keeping the budgets, with (low, high); `problem` says why the total cannot be placed."""

    shares: tuple[Share, ...]
    gain: float = 0.0
    gain_low: float = 0.0
    gain_high: float = 0.0
    problem: str = ""


@dataclass
class _Object:
    """An item on its way through the plan; amounts in minor units."""

    item: Item
    response: Response
    now: int
    lowest: int
    highest: int
    known: bool
    why: str
    after: int = 0
    explored: bool = False
    at_bounds: str = field(default="")


def plan(items: Sequence[Item], limits: Limits, *, total: Decimal | None = None) -> Plan:
    """The next budgets; `total` is what all with a budget of their own get together (None: as now, or what caps leave).

    Raises ValueError for budgets that are no whole minor units, for keys used twice, and for limits without sense.
    """
    _check(items, limits)
    owned = [one for one in items if one.budget is not None and not one.campaign_budget]
    fitted = fit([one.days for one in owned], spread=limits.spread)
    objects = [_object(one, response, limits) for one, response in zip(owned, fitted, strict=True)]
    now = sum(one.now for one in objects)
    most = sum(one.highest for one in objects)
    wanted = min(now, most) if total is None else _minor(total, limits.minor_unit)
    problem = _problem(objects, wanted, limits)
    for one in objects:
        one.after = one.now
    if not problem:
        _fill(objects, wanted, limits)
        if wanted == now:
            _take_back_small_moves(objects, limits)
            _explore(objects, limits)
    by_key = {one.item.key: one for one in objects}
    gain, error = _gain(objects, limits)
    return Plan(
        tuple(_share(one, by_key.get(one.key), limits, wanted != now) for one in items),
        gain,
        gain - CAREFUL * error,
        gain + CAREFUL * error,
        problem,
    )


def in_words(share: Share, money: Callable[[Decimal], str]) -> str:
    """ "Budget USD 50.00 -> USD 60.00: the next unit of money brings 2.1 (1.8 to 2.5) here, ..." """
    if share.before is None or share.after is None or share.before == share.after:
        return f"Leave the budget: {share.reason}"
    verb = "Raise" if share.after > share.before else "Lower"
    return f"{verb} the budget from {money(share.before)} to {money(share.after)}: {share.reason}"


def _check(items: Sequence[Item], limits: Limits) -> None:
    if len({one.key for one in items}) != len(items):
        raise ValueError("two items have the same key")
    if not (limits.minor_unit > 0 and limits.least_budget > 0 and 0 < limits.step < 1):
        raise ValueError("the minor unit, the least budget and the step are above 0, and a step is below 1")
    if not (0 <= limits.least_step <= limits.step and 0 <= limits.explore <= limits.step):
        raise ValueError("neither the least step nor exploration is larger than a step")


def _object(item: Item, response: Response, limits: Limits) -> _Object:
    budget = item.budget or Decimal(0)
    now = _minor(budget, limits.minor_unit)
    known, why = _known(response)
    if item.fixed:
        return _Object(item, response, now, now, now, known, why)
    floor = max(item.least or Decimal(0), limits.least_budget)
    if budget < floor or (item.most is not None and item.most < floor):
        which = "it" if budget < floor else "the most that it may have"
        item = replace(item, fixed=f"{which} is below the least that it can be set to")
        return _Object(item, response, now, now, now, known, why)
    # A cap that has come down is obeyed at once: the step only slows what nobody has ordered.
    highest = budget * (1 + limits.step) if item.most is None else min(item.most, budget * (1 + limits.step))
    bounds = ""
    if response.days and Decimal(response.typical) < budget * Decimal(str(SPENDS)):
        highest, bounds = min(highest, budget), "it does not spend the budget that it has"
    lowest = min(highest, max(floor, budget * (1 - limits.step)))
    return _Object(
        item,
        response,
        now,
        _minor(lowest, limits.minor_unit, rounding=ROUND_CEILING if lowest < highest else ROUND_FLOOR),
        _minor(highest, limits.minor_unit, rounding=ROUND_FLOOR),
        known,
        why,
        at_bounds=bounds,
    )


def _known(response: Response) -> tuple[bool, str]:
    if response.days < LEAST_DAYS:
        return False, f"{response.days} of {LEAST_DAYS} days with spend are there"
    if response.rho <= 0 or response.weight < LEAST_WEIGHT:
        return False, f"results for {response.weight:.1f} of {LEAST_WEIGHT:.0f} needed were to be expected"
    return True, ""


def _problem(objects: Sequence[_Object], wanted: int, limits: Limits) -> str:
    least, most = sum(one.lowest for one in objects), sum(one.highest for one in objects)
    if not least <= wanted <= most:
        amounts = (f"{_major(part, limits.minor_unit):,f}" for part in (wanted, least, most))
        return "{} a day cannot be placed: what is allowed in this step lies between {} and {}".format(
            *amounts
        )
    return ""


def _fill(objects: Sequence[_Object], wanted: int, limits: Limits) -> None:
    if not objects:
        return
    unit = float(limits.minor_unit)
    basins = [_basin(one, unit) for one in objects]
    known = [basin for one, basin in zip(objects, basins, strict=True) if one.known] or basins
    least, most = min(one.up for one in known) / _LAST, max(one.down for one in known) * _LAST
    basins = [
        basin if one.known else replace(basin, up=least, down=most)
        for one, basin in zip(objects, basins, strict=True)
    ]
    for one, after in zip(objects, fill(basins, wanted), strict=True):
        one.after = after


def _basin(one: _Object, unit: float) -> Basin:
    if not one.known:
        return Basin(one.item.key, max(one.now, 1), one.lowest, one.highest, 1.0, 1.0, one.response.bend)
    now = max(one.now, 1)
    slope, error = one.response.slope(now * unit), CAREFUL * one.response.error
    up, down = slope * exp(-error), slope * exp(error)
    return Basin(one.item.key, now, one.lowest, one.highest, up, down, one.response.bend)


def _take_back_small_moves(objects: Sequence[_Object], limits: Limits) -> None:
    """Until none is left; each round fixes at least one more object, so it ends."""
    kept: set[str] = set()
    while True:
        small = {
            one.item.key for one in objects if 0 < abs(one.after - one.now) < limits.least_step * one.now
        }
        small -= {one.item.key for one in objects if one.highest < one.now}
        if small <= kept:
            return
        kept |= small
        held = [
            replace(one, lowest=one.now, highest=one.now) if one.item.key in kept else one for one in objects
        ]
        if _problem(held, sum(one.now for one in objects), limits):
            return
        _fill(held, sum(one.now for one in objects), limits)
        for one, other in zip(objects, held, strict=True):
            one.after = other.after


def _explore(objects: Sequence[_Object], limits: Limits) -> None:
    """Pairs of objects that stay put: one lends the other a part of its budget, by a draw that nobody can steer."""
    still = [
        one
        for one in objects
        if one.after == one.now and one.lowest < one.now and one.response.days >= LEAST_DAYS
    ]
    drawn = sorted(still, key=lambda one: sha256(f"{limits.seed}/{one.item.key}".encode()).digest())
    part = min(limits.explore, limits.step)
    for lender, borrower in zip(drawn[::2], drawn[1::2], strict=False):
        amount = int(part * min(lender.now, borrower.now))
        amount = min(amount, lender.now - lender.lowest, borrower.highest - borrower.now)
        if amount > 0:
            lender.after, borrower.after = lender.now - amount, borrower.now + amount
            lender.explored = borrower.explored = True


def _gain(objects: Sequence[_Object], limits: Limits) -> tuple[float, float]:
    """(expected, one standard error) of the value per day that the known objects' moves bring."""
    unit = float(limits.minor_unit)
    gain, variance = 0.0, 0.0
    for one in objects:
        if one.known and one.after != one.now:
            more = one.response.value(one.after * unit) - one.response.value(one.now * unit)
            gain += more
            variance += (more * one.response.error) ** 2
    return gain, float(variance**0.5)


def _share(item: Item, one: _Object | None, limits: Limits, new_total: bool) -> Share:
    if one is None:
        return Share(
            item.key,
            Fate.FIXED,
            item.budget,
            item.budget,
            None,
            None,
            None,
            "its campaign has the budget, and Meta splits it",
        )
    before, after = _major(one.now, limits.minor_unit), _major(one.after, limits.minor_unit)
    slope = low = high = None
    if one.known:
        slope = one.response.slope(float(before))
        low, high = slope * exp(-CAREFUL * one.response.error), slope * exp(CAREFUL * one.response.error)
    fate, reason = _fate(one, slope, low, high, new_total)
    return Share(item.key, fate, before, after, slope, low, high, reason)


def _fate(
    one: _Object, slope: float | None, low: float | None, high: float | None, new_total: bool
) -> tuple[Fate, str]:
    if one.item.fixed:
        return Fate.FIXED, one.item.fixed
    if one.explored:
        return Fate.EXPLORE, "a small change to learn how fast its returns diminish"
    if one.after != one.now and one.highest < one.now:
        return Fate.MOVE, "the most that it may have is less than its budget"
    if slope is None:
        if one.after != one.now:
            return Fate.MOVE, f"the new total is more or less than the others can take; of itself {one.why}"
        return Fate.NOT_IDENTIFIABLE, one.why
    brings = f"the next unit of money brings {slope:.2f} here ({low:.2f} to {high:.2f})"
    if one.after == one.now:
        return Fate.LEAVE, one.at_bounds or f"{brings}, which is not known to be more or less than elsewhere"
    if new_total:
        return Fate.MOVE, f"{brings}, and the total is a new one"
    return Fate.MOVE, f"{brings}, {'more' if one.after > one.now else 'less'} than elsewhere"


def _minor(amount: Decimal, unit: Decimal, *, rounding: str | None = None) -> int:
    units = amount / unit
    if rounding is None and units != units.to_integral_value():
        raise ValueError(f"{amount} is no whole number of {unit}")
    return int(units.to_integral_value(rounding))


def _major(units: int, unit: Decimal) -> Decimal:
    return units * unit
