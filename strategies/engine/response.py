"""What money brings in each object of an account, and how fast that diminishes: fitted to days, shrunk to the account.

    value of a day = rho_i * x_i * (spend / x_i) ^ b_i * share reported by now,      x_i: the object's mean daily spend

rho_i is the value per unit of money at the object's own spend, b_i (between 0 and 1) how much of one more per cent of
spend arrives. Days are noisy with a variance of `spread` times their mean (one order's spread, and the market's).

    spread   from the residuals of all objects together
    b        a grid: each object's quasi-likelihood, joined under b_i ~ N(b, BETWEEN), b ~ N(PRIOR): an object whose
             spend never moved says nothing about its b and has the account's
    rho      empirical Bayes: rho_i ~ Gamma around the account's rate, as wide as the objects differ beyond their noise

So a lucky small object is not taken for a winner, and a few days say little. What this cannot see: spend that rose
*because* the day was good looks like a high b. (Casella, "An introduction to empirical Bayes", 1985; McCullagh and
Nelder, "Generalized linear models", chapter 9, for quasi-likelihood.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from strategies.engine.eprocess import Floats

#: What is believed of an account before it has moved any budget: mean and deviation of b.
PRIOR: Final = (0.7, 0.15)
#: How much b differs between the objects of an account.
BETWEEN: Final = 0.12
#: Objects differ in rho by at least this share of it: few objects do not prove that all are alike.
LEAST_VARIATION: Final = 0.2
_GRID: Final = np.linspace(0.2, 0.95, 76)


@dataclass(frozen=True)
class Days:
    """One object's days: spend, the value reported for each by now, and the share that is reported by now."""

    spend: Sequence[float]
    value: Sequence[float]
    share: Sequence[float]


@dataclass(frozen=True)
class Response:
    """`rho` value per money at a daily spend of `typical`, `rho_error` relative; b with its own deviation from the
    account's; `weight`: how many orders (or lumps of the spread's size) were to be expected; `days` with spend."""

    rho: float
    rho_error: float
    bend: float
    bend_error: float
    typical: float
    weight: float
    days: int

    def value(self, spend: float) -> float:
        return float(self.rho * self.typical * (spend / self.typical) ** self.bend) if self.typical else 0.0

    def slope(self, spend: float) -> float:
        """What one more unit of money brings at this spend."""
        return float(self.rho * self.bend * (spend / self.typical) ** (self.bend - 1))

    @property
    def error(self) -> float:
        """The relative error of `slope`, as one standard deviation of its logarithm."""
        return float(np.hypot(self.rho_error, self.bend_error / self.bend))


def fit(objects: Sequence[Days], *, spread: float = 1.0) -> tuple[Response, ...]:
    """One response per object, in the order given; `spread` is the least variance over mean of a day (1 for counts)."""
    series = [_Series(one) for one in objects]
    lit = [one for one in series if one.days]
    if not lit:
        return tuple(Response(0.0, 1.0, PRIOR[0], BETWEEN, 0.0, 0.0, 0) for _ in series)
    spread = max(spread, _spread(lit))
    bends = dict(zip(map(id, lit), _bends(lit, spread), strict=True))
    found = {id(one): one.expected(bends[id(one)][0]) for one in lit}
    seen, units = np.array([one.value.sum() for one in lit]), np.array([found[id(one)].sum() for one in lit])
    rate, shape = _population(seen, units, spread)
    answers = []
    for one in series:
        if not one.days:
            answers.append(Response(rate, shape**-0.5, PRIOR[0], BETWEEN, 0.0, 0.0, 0))
            continue
        own = float(found[id(one)].sum())
        strength = shape + float(one.value.sum()) / spread
        rho = strength / (shape / rate + own / spread) if rate else 0.0
        bend, error = bends[id(one)]
        answers.append(Response(rho, strength**-0.5, bend, error, one.typical, rate * own / spread, one.days))
    return tuple(answers)


class _Series:
    """The days on which something was spent and may be reported."""

    def __init__(self, one: Days) -> None:
        spend, value, share = (np.asarray(part, float) for part in (one.spend, one.value, one.share))
        lit = (spend > 0) & (share > 0)
        self.spend, self.value, self.share = spend[lit], value[lit], share[lit]
        self.days = int(lit.sum())
        self.typical = float(self.spend.mean()) if self.days else 0.0
        self.moves: Floats = np.log(self.spend / self.typical) if self.days else self.spend

    def expected(self, bend: float) -> Floats:
        """Of each day, at a rho of 1."""
        return np.asarray(self.typical * np.exp(bend * self.moves) * self.share)


def _spread(lit: Sequence[_Series]) -> float:
    """Variance over mean of a day, by residuals around each object's own rate."""
    squares, means, free = 0.0, 0.0, 0
    for one in lit:
        units = one.expected(PRIOR[0])
        mean = units * one.value.sum() / units.sum()
        squares += float(((one.value - mean) ** 2).sum())
        # Each object's rate was fitted to its own days.
        means += float(mean.sum()) * (1 - 1 / one.days)
        free += one.days - 1
    return squares / means if means > 0 and free > 0 else 0.0


def _bends(lit: Sequence[_Series], spread: float) -> list[tuple[float, float]]:
    """(mean, deviation beside the account's) of each object's b."""
    own = np.array([_likelihood(one, spread) for one in lit])
    between = np.exp(-0.5 * ((_GRID[:, None] - _GRID[None, :]) / BETWEEN) ** 2)
    between /= between.sum(axis=1, keepdims=True)
    scaled = np.exp(own - own.max(axis=1, keepdims=True))
    account = -0.5 * ((_GRID - PRIOR[0]) / PRIOR[1]) ** 2 + np.log(scaled @ between.T).sum(axis=0)
    account = np.exp(account - account.max())
    account /= account.sum()
    middle = between[int(account.argmax())]
    answers = []
    for one in scaled:
        whole = one * (account @ between)
        beside = one * middle
        mean = float((whole * _GRID).sum() / whole.sum())
        center = float((beside * _GRID).sum() / beside.sum())
        answers.append((mean, float(np.sqrt((beside * (_GRID - center) ** 2).sum() / beside.sum()))))
    return answers


def _likelihood(one: _Series, spread: float) -> Floats:
    """log quasi-likelihood of b on the grid, the object's rate being whatever fits best."""
    units = np.array([one.expected(float(bend)) for bend in _GRID])
    return np.asarray(
        (_GRID * float((one.value * one.moves).sum()) - one.value.sum() * np.log(units.sum(axis=1))) / spread
    )


def _population(seen: Floats, units: Floats, spread: float) -> tuple[float, float]:
    """(mean, shape) of the Gamma that the objects' rates are drawn from, by moments."""
    rate = float(seen.sum() / units.sum())
    if rate <= 0:
        return 0.0, LEAST_VARIATION**-2
    beyond = float((units * (seen / units - rate) ** 2).sum()) - spread * rate * (len(seen) - 1)
    pairs = float(units.sum() - (units**2).sum() / units.sum())
    variation = beyond / pairs / rate**2 if pairs > 0 else 0.0
    return rate, 1 / max(variation, LEAST_VARIATION**2)
