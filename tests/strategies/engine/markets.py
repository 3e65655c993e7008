"""Synthetic accounts with known, diminishing returns: what keeping, equal shares, the oracle and the allocator earn."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from strategies.engine.allocate import Item, Limits, plan
from strategies.engine.response import Days

CENT = Decimal("0.01")
ORDER = 40.0
#: An order's value has this spread around it (lognormal).
SIGMA = 0.6


@dataclass(frozen=True)
class Market:
    """n ad sets; a day with spend s is worth `rate * room * log(1 + s / room)` by expectation: no power law at all."""

    rate: np.ndarray
    room: np.ndarray
    budgets: np.ndarray

    def worth(self, spend: np.ndarray) -> np.ndarray:
        return self.rate * self.room * np.log1p(spend / self.room)

    def oracle(self) -> np.ndarray:
        """The best split of the same money: marginal worth rate / (1 + s / room) is equal wherever s > 0."""
        low, high = 0.0, float(self.rate.max())
        for _ in range(100):
            level = (low + high) / 2
            spend = np.maximum(self.rate / level - 1, 0) * self.room
            low, high = (level, high) if spend.sum() > self.budgets.sum() else (low, level)
        return spend


def market(rng: np.random.Generator, *, size: int = 8, unlike: float = 0.5) -> Market:
    """`unlike`: how far the ad sets' rates lie apart, as the deviation of their logarithm."""
    budgets = np.round(100 * np.exp(0.3 * rng.standard_normal(size)), 2)
    rate = 2.5 * np.exp(unlike * rng.standard_normal(size))
    return Market(rate, budgets * np.exp(rng.uniform(np.log(0.5), np.log(4), size)), budgets)


def day(rng: np.random.Generator, one: Market, spend: np.ndarray) -> np.ndarray:
    """What that day brings: a market that is better or worse for all, orders by chance, each of another value."""
    orders = rng.poisson(one.worth(spend) * rng.gamma(50, 1 / 50) / ORDER)
    return np.array(
        [float((ORDER * np.exp(SIGMA * rng.standard_normal(n) - SIGMA**2 / 2)).sum()) for n in orders]
    )


def live(
    rng: np.random.Generator,
    one: Market,
    *,
    warm: int = 14,
    days: int = 42,
    every: int = 3,
    explore: str = "0.1",
) -> np.ndarray:
    """[days, n]: the budgets that the allocator sets, after `warm` days that keep theirs."""
    budgets, spends, values, set_to = one.budgets.copy(), [], [], []
    for today in range(warm + days):
        if today >= warm and (today - warm) % every == 0:
            budgets = step(budgets, spends, values, explore=explore, seed=str(today))
        # Delivery is never exact; that alone teaches a little.
        spend = budgets * rng.uniform(0.9, 1.05, len(budgets))
        spends.append(spend)
        values.append(day(rng, one, spend))
        if today >= warm:
            set_to.append(budgets.copy())
    return np.array(set_to)


def step(budgets: np.ndarray, spends: list, values: list, *, explore: str, seed: str) -> np.ndarray:
    items = [
        Item(
            str(i),
            Decimal(str(round(float(budget), 2))),
            Days([x[i] for x in spends[-28:]], [x[i] for x in values[-28:]], [1.0] * len(spends[-28:])),
        )
        for i, budget in enumerate(budgets)
    ]
    limits = Limits(CENT, Decimal(1), explore=Decimal(explore), seed=seed, spread=ORDER)
    found = plan(items, limits)
    assert not found.problem, found.problem
    after = np.array([float(share.after) for share in found.shares])
    assert round(after.sum(), 2) == round(budgets.sum(), 2)
    return after
