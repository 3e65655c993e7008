"""Our own policy: stop what is known to lose, then move money to where the next unit brings more.

    days of each ad set, as stored -> days without any tracking are left out; how much of a day is told at which age is
       learned from what earlier looks saw of it
    -> `engine.evidence`: CPA above the target? since the history began, and since every fourth day after it, so that an
       ad set that was good for long and turned bad is seen; the tolerated share of wrong stops is split between them
    -> what is known to be so is paused
    -> `engine.allocate` over the rest: budgets in steps, the total lower where no unit earns itself back, and what a
       pause freed is given out again where it does

It knows what a client tells the product: target, cost of goods, and the budget of day 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Final

import insights.analytics as analytics
import strategies.engine.allocate as allocate
from campaigns.queries import ObjectRow
from metaads.graph.money import minor_unit
from strategies.engine.allocate import Item, Limits, Share
from strategies.engine.evidence import Answer, claim_of, event_scale, judge
from strategies.engine.expectation import History
from strategies.engine.response import Days
from strategies.lab.desk import Desk
from strategies.lab.stage import HISTORY_DAYS

#: The tolerated share of wrong stops, over all starts together, and how far apart these are.
ALPHA: Final = 0.05
STARTS: Final = 8
FRESH_DAYS: Final = 4
#: Days that the allocator learns from: older ones are another market.
RECENT: Final = 8
#: The share of a day's conversions that is told so many days after it, before an account has shown its own; it weighs
#: as many conversions. The guard takes a little less: what is still to come is not held against an ad set.
USUAL: Final = (0.75, 0.83, 0.88, 0.92, 0.95, 0.97, 0.99, 1.0)
USUAL_WEIGHT: Final = 100.0
CAREFUL: Final = 0.95
#: A day on which the whole account shows nothing, though so many conversions were to be expected, was not tracked.
BLIND: Final = 6.0
#: A next unit that brings less does not earn itself back. Found on training seeds: below 1, since returns diminish less
#: than is believed of an account before it has moved its budgets.
EDGE: Final = 0.9
#: No budget is moved only to learn: every move of a step teaches enough.
EXPLORE: Final = Decimal(0)
_ZERO: Final = Decimal(0)


@dataclass(frozen=True)
class Line:
    """An ad set's days, oldest first, the last one yesterday."""

    spend: tuple[float, ...]
    conversions: tuple[float, ...]
    value: tuple[float, ...]

    def last(self, days: int) -> Line:
        return Line(self.spend[-days:], self.conversions[-days:], self.value[-days:])


def act(desk: Desk) -> None:
    """One look."""
    stored = _lines(desk)
    shares = _told(desk, stored)
    lines = _tracked(stored, shares)
    stopped = _stop(desk, lines, shares)
    rows = [row for row in desk.running if row.meta_id not in stopped and row.daily_budget]
    if rows:
        _move(desk, rows, lines, shares)


def _told(desk: Desk, lines: Mapping[str, Line]) -> tuple[float, ...]:
    """The share that is told k days after a day, from what each look saw of the days before it."""
    looks = desk.run.looks
    totals = {key: one.conversions for key, one in lines.items()}
    looks[desk.day] = totals
    found = []
    for age, usual in enumerate(USUAL):
        then = now = 0.0
        for look, seen in looks.items():
            place = HISTORY_DAYS + look - 1 - age  # the day that was `age` days old then
            if desk.day - look + age < len(USUAL) - 1:
                continue
            for key, numbers in seen.items():
                if key in totals:
                    then, now = then + numbers[place], now + totals[key][place]
        found.append(min(1.0, (usual * USUAL_WEIGHT + then) / (USUAL_WEIGHT + now)))
    return tuple(found)


def _lines(desk: Desk) -> dict[str, Line]:
    account, now = desk.run.account, desk.run.now
    today = analytics.account_today(account, now)
    first = today - timedelta(days=HISTORY_DAYS + desk.day)
    found = {}
    for row in desk.running:
        series = analytics.series(
            account,
            level="adset",
            object_id=row.meta_id,
            since=first,
            until=today - timedelta(days=1),
            metrics=("spend", "conversions", "conversion_value"),
            now=now,
        )
        columns = [
            tuple(float(point.values[name] or 0) for point in series.points)
            for name in ("spend", "conversions", "conversion_value")
        ]
        found[row.meta_id] = Line(*columns)
    return found


def _tracked(lines: Mapping[str, Line], shares: Sequence[float]) -> dict[str, Line]:
    """The same without the days on which nothing was tracked: they are as if nothing had been spent."""
    if not lines:
        return {}
    spend = [sum(day) for day in zip(*(one.spend for one in lines.values()), strict=True)]
    seen = [sum(day) for day in zip(*(one.conversions for one in lines.values()), strict=True)]
    blind = set()
    for day, spent in enumerate(spend):
        before = [one for one in range(max(0, day - RECENT), day) if one not in blind]
        rate = sum(seen[one] for one in before) / max(1e-9, sum(spend[one] for one in before))
        share = shares[min(len(spend) - 1 - day, len(shares) - 1)]
        if before and seen[day] < spent * rate * share / 5 and spent * rate * share > BLIND:
            blind.add(day)

    def lit(numbers: Sequence[float]) -> tuple[float, ...]:
        return tuple(0.0 if day in blind else one for day, one in enumerate(numbers))

    return {key: Line(lit(one.spend), lit(one.conversions), lit(one.value)) for key, one in lines.items()}


def _stop(desk: Desk, lines: Mapping[str, Line], shares: Sequence[float]) -> set[str]:
    claim = claim_of(metric="cpa", greater=True, threshold=float(desk.target_cpa))
    stopped: set[str] = set()
    careful = [*(CAREFUL * one for one in shares[:-1]), 1.0]
    if claim is None:
        return stopped
    starts = [HISTORY_DAYS + desk.day, *(desk.day - start for start in range(0, desk.day, FRESH_DAYS))]
    for row in desk.running:
        for days in starts[:STARTS]:
            one = lines[row.meta_id].last(days)
            if not sum(one.spend):
                continue
            found = judge(
                claim, History(one.spend, one.spend, one.conversions), shares=careful, alpha=ALPHA / STARTS
            )
            if found.answer is Answer.ACT:
                desk.pause(row, f"Known to cost more than the target, by its last {days} days.")
                stopped.add(row.meta_id)
                break
    return stopped


def _move(desk: Desk, rows: Sequence[ObjectRow], lines: Mapping[str, Line], told: Sequence[float]) -> None:
    limits = Limits(
        minor_unit=minor_unit(desk.run.account.currency),
        least_budget=desk.run.account.min_daily_budget or Decimal(1),
        explore=EXPLORE,
        seed=f"{desk.run.stage.plan.name} {desk.day}",
        spread=_spread(lines),
    )
    items = [_item(row, lines[row.meta_id].last(RECENT), float(desk.margin), told) for row in rows]
    shares = allocate.plan(items, limits).shares
    total = _total(desk, rows, shares, limits)
    if total is not None:
        shares = allocate.plan(items, limits, total=total).shares
    wanted = {
        share.key: share.after
        for share in sorted(shares, key=lambda one: -(one.slope or 0))
        if share.after is not None and share.after != share.before
    }
    desk.move_towards(wanted, "To where the next unit of money brings more.")


def _item(row: ObjectRow, line: Line, margin: float, told: Sequence[float]) -> Item:
    ages = range(len(line.spend) - 1, -1, -1)
    days = Days(
        line.spend,
        tuple(margin * one for one in line.value),
        tuple(told[min(age, len(told) - 1)] for age in ages),
    )
    return Item(key=row.meta_id, budget=row.daily_budget, days=days)


def _spread(lines: Mapping[str, Line]) -> float:
    values = [one for line in lines.values() for one in line.value]
    counts = [one for line in lines.values() for one in line.conversions]
    return event_scale(values, counts) or 1.0


def _total(desk: Desk, rows: Sequence[ObjectRow], shares: Sequence[Share], limits: Limits) -> Decimal | None:
    """What all get together, where it should change: more of the freed money where the next unit seems to earn
    itself back, less where it does not. A slope is margin x value per unit of money."""
    have = sum((row.daily_budget or _ZERO for row in rows), _ZERO)
    earning = sum((share.before or _ZERO for share in shares if share.slope and share.slope > EDGE), _ZERO)
    losing = sum((share.before or _ZERO for share in shares if share.slope and share.slope < EDGE), _ZERO)
    more = min(desk.budget - have, (earning - losing) * limits.step)
    change = more if earning > losing else -(losing - earning) * limits.step
    if abs(change) < have * Decimal("0.01"):
        return None
    most = sum(((row.daily_budget or _ZERO) * (1 + limits.step) for row in rows), _ZERO)
    return min(have + change, most * Decimal("0.999")).quantize(limits.minor_unit, ROUND_FLOOR)
