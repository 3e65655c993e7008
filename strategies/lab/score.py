"""What a run came to, asked of the sandbox's truth and its journal; the product's own figures are never asked.

profit         margin x value - spend, of conversions that really happened, told or not
expected       the same with what the clicks were worth by expectation: the luck of single conversions is left out
wrong stop     an ad set paused while its true cost per conversion was within the client's target
late stop      an ad set whose true cost was 3 times the target or more, and that still ran 7 days later
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from metaads.sandbox import money
from metaads.sandbox.app import Sandbox
from metaads.sandbox.delivery import curves
from metaads.sandbox.lab import response
from metaads.sandbox.lab.response import Market, State
from metaads.sandbox.lab.schema import LabWorld
from metaads.sandbox.world.nodes import AD
from strategies.lab.stage import adset_ids

LOSER = 3.0
IN_TIME = 7
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """One policy in one world. Money in major units; `late` parts are of the days after the warm-up."""

    spend: float
    conversions: float
    profit: float
    expected: float
    spend_late: float
    profit_late: float
    expected_late: float
    healthy: int
    wrong_stops: int
    losers: int
    late_stops: int
    stops: int
    budget_changes: int


@dataclass(frozen=True)
class Days:
    """What each ad set did on each day, [days, n]; money in minor units."""

    spend: Floats
    conversions: Floats
    value: Floats
    likely_value: Floats


def first_state(sandbox: Sandbox, plan: LabWorld) -> State:
    """What the history before day 0 left."""
    world, engine = sandbox.world, sandbox.engine
    seen, learned = [], []
    for one in adset_ids(sandbox, plan):
        ad = world.children(one, AD)[0]
        carry = engine.carry_before(world.nodes[ad.campaign_id], plan.start)
        seen.append(carry.seen.get(ad.id, 0.0))
        learned.append(carry.learned.get(one, 0.0))
    return State(np.array(seen), np.array(learned))


def lived(sandbox: Sandbox, plan: LabWorld, days: int) -> Days:
    """The days of a run, by the model's own totals. The sandbox's clock stands after the last of them."""
    last = plan.start + timedelta(days=days - 1)
    account = sandbox.ad_accounts()[0]
    found = sandbox.truth.earned(account, since=plan.start, until=last, now=sandbox.clock.timestamp())
    names = ("spend", "conversions", "value", "likely_value")
    dates = [(plan.start + timedelta(days=number)).isoformat() for number in range(days)]
    table = np.array(
        [
            [[found[one].get(day, {}).get(name, 0.0) for one in adset_ids(sandbox, plan)] for day in dates]
            for name in names
        ]
    )
    return Days(*table)


def of(sandbox: Sandbox, plan: LabWorld, *, days: int, warm_up: int) -> Score:
    """Score a run that has ended."""
    unit = 1.0 / _unit(plan)
    did = lived(sandbox, plan, days)
    market = response.market(plan, days=days)
    profit = (market.margin * did.value - did.spend) * unit
    expected = (market.margin * did.likely_value - did.spend) * unit
    costs = _costs(market, first_state(sandbox, plan), did.spend, _budgets(sandbox, plan, days))
    target = plan.target_cpa / unit
    stops = _stops(sandbox, plan)
    wrong = {column for day, column in stops if day < days and costs[day, column] <= target}
    losers, late = _losers(costs >= LOSER * target, stops, days)
    return Score(
        spend=float(did.spend.sum() * unit),
        conversions=float(did.conversions.sum()),
        profit=float(profit.sum()),
        expected=float(expected.sum()),
        spend_late=float(did.spend[warm_up:].sum() * unit),
        profit_late=float(profit[warm_up:].sum()),
        expected_late=float(expected[warm_up:].sum()),
        healthy=int((costs[0] <= target).sum()),
        wrong_stops=len(wrong),
        losers=losers,
        late_stops=late,
        stops=len(stops),
        budget_changes=len(_edits(sandbox, plan, "daily_budget")),
    )


def _unit(plan: LabWorld) -> float:
    return float(money.offset(plan.currency))


def _edits(sandbox: Sandbox, plan: LabWorld, field: str) -> list[tuple[int, int, str]]:
    """(day, ad set, value) of every effective edit of an ad set's field since the world's first day."""
    columns = {one: column for column, one in enumerate(adset_ids(sandbox, plan))}
    found = []
    for entry in sandbox.journal.since(0):
        data = entry.data
        if entry.kind != "set" or data["field"] != field or data["object_id"] not in columns:
            continue
        if str(data["old"]) != str(data["value"]):
            found.append((_day(plan, float(data["lands"])), columns[data["object_id"]], str(data["value"])))
    return found


def _stops(sandbox: Sandbox, plan: LabWorld) -> list[tuple[int, int]]:
    return [(day, column) for day, column, value in _edits(sandbox, plan, "status") if value == "PAUSED"]


def _day(plan: LabWorld, at: float) -> int:
    day: date = curves.local_day(at, plan.zone)
    return (day - plan.start).days


def _budgets(sandbox: Sandbox, plan: LabWorld, days: int) -> Floats:
    """The budget that each ad set stood at when each day began, running or not; minor units."""
    table = np.tile([one.budget * _unit(plan) for one in plan.ad_sets], (days, 1))
    for day, column, value in _edits(sandbox, plan, "daily_budget"):
        table[day + 1 :, column] = float(value)
    return table


def _costs(market: Market, state: State, spend: Floats, budgets: Floats) -> Floats:
    """The true cost of a conversion at the budget of the day, [days, n], minor units, without the day's noise."""
    costs = np.empty_like(spend)
    for day in range(len(spend)):
        conversions, _ = response.one_day(market, state, budgets[day], day)
        with np.errstate(divide="ignore"):
            costs[day] = budgets[day] / conversions
        _, state = response.one_day(market, state, spend[day], day)
    return costs


def _losers(lost: NDArray[np.bool_], stops: list[tuple[int, int]], days: int) -> tuple[int, int]:
    """How many ad sets became losers early enough to be judged, and how many of them were not stopped in time."""
    counted = late = 0
    for column in range(lost.shape[1]):
        since = int(lost[:, column].argmax())
        stopped = [day for day, one in stops if one == column]
        if not lost[:, column].any() or since + IN_TIME >= days or any(day < since for day in stopped):
            continue
        counted += 1
        late += not any(day <= since + IN_TIME for day in stopped)
    return counted, late
