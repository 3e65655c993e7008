"""The best that could have been done knowing the truth: a budget for every ad set and day, free of steps and delays.

    water-filling: the next piece of each day's money goes where its marginal profit is highest, while that is above 0
    -> ascent: along the marginal profits of all days at once, since what is shown today tires people tomorrow

The response is concave in each day's money, so the first is exact where days do not touch each other, and the second
ends where no unit of money earns more elsewhere. No policy sees any of it. Money in minor units.
"""

from __future__ import annotations

import numpy as np

from metaads.sandbox.delivery.curves import Floats
from metaads.sandbox.lab.response import Market, State, path

_PIECES = 40
_ROUNDS = 160
#: A step of the ascent that earns less than this share of the profit ends it.
_ENOUGH = 1e-7


def best(market: Market, state: State, *, budget: float) -> Floats:
    """The plan [days, n] of at most ``budget`` a day; some of it stays unspent where nothing earns its money back."""
    plan = _water_fill(market, state, budget)
    return _ascend(market, state, budget, plan)


def marginal(market: Market, state: State, plan: Floats) -> Floats:
    """Profit of one more unit of money, by day and ad set [days, n], with all that it does to later days."""
    days = plan.shape[0]
    step = max(1.0, float(plan.sum(axis=1).max()) * 1e-4)
    more = plan[None] + step * np.eye(days)[:, :, None]
    gained = path(market, state, more).profit.sum(axis=1) - path(market, state, plan).profit.sum(axis=0)
    found: Floats = gained / step
    return found


def profit(market: Market, state: State, plan: Floats) -> float:
    """What the plan earns by expectation."""
    return float(path(market, state, plan).profit.sum())


def _water_fill(market: Market, state: State, budget: float) -> Floats:
    plan = np.zeros((market.days, market.size))
    rows = np.arange(market.days)
    for _ in range(_PIECES):
        worth = marginal(market, state, plan)
        column = worth.argmax(axis=1)
        plan[rows, column] += np.where(worth[rows, column] > 0, budget / _PIECES, 0.0)
    return plan


def _ascend(market: Market, state: State, budget: float, plan: Floats) -> Floats:
    reached, step = profit(market, state, plan), budget / 4
    for _ in range(_ROUNDS):
        tried = _allowed(plan + step * marginal(market, state, plan), budget)
        there = profit(market, state, tried)
        if there > reached:
            enough = there - reached < _ENOUGH * abs(there)
            plan, reached, step = tried, there, step * 1.5
            if enough:
                break
        else:
            step /= 3
            if step < budget * 1e-5:
                break
    return plan


def _allowed(plan: Floats, budget: float) -> Floats:
    """The nearest plan with no amount below 0 and no day above the budget."""
    inside = np.maximum(plan, 0.0)
    over = inside.sum(axis=1) > budget
    ordered = np.sort(plan, axis=1)[:, ::-1]
    cut = (np.cumsum(ordered, axis=1) - budget) / np.arange(1, plan.shape[1] + 1)
    last = (ordered > cut).sum(axis=1) - 1
    level = np.take_along_axis(cut, np.maximum(last, 0)[:, None], axis=1)
    found: Floats = np.where(over[:, None], np.maximum(plan - level, 0.0), inside)
    return found
