"""Where the next unit of money goes: the best split of a total over objects whose returns diminish, in whole units.

Each object has a budget that it has now and two slopes there: what one more unit brings at least (`up`), and what one
unit less costs at most (`down` >= `up`). Away from the present budget x both fall with (s / x) ^ (b - 1), 0 < b < 1:

    slope
      |  \\
      |   \\____ down
      |        |            a level of water L: go up while the slope above is > L, down while the one below is < L,
      |        |____ up     stay where L lies between the two
      |             \\
      +--------x-------- budget

The sum of the budgets falls as L rises, so one L fits the total: this is the optimum of a concave problem, exactly (the
kink makes "leave it" the answer to everything that is not known well enough). Amounts are whole minor units; slopes are
floats. The answer does not depend on the order of the objects: ties go by their ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from strategies.engine.eprocess import Floats

_HALVINGS = 100


@dataclass(frozen=True)
class Basin:
    """One object: `now`, `lowest` <= `highest` in minor units; slopes in value per unit; `bend` is b."""

    key: str
    now: int
    lowest: int
    highest: int
    up: float
    down: float
    bend: float


def fill(basins: Sequence[Basin], total: int) -> tuple[int, ...]:
    """The budgets in minor units, in the order given; they sum to `total`.

    Raises ValueError where the bounds do not allow the total, or make no sense.
    """
    for one in basins:
        if not (
            0 <= one.lowest <= one.highest and 0 < one.up <= one.down and 0 < one.bend < 1 and one.now > 0
        ):
            raise ValueError(f"{one.key} has bounds or slopes that make no sense")
    if not sum(one.lowest for one in basins) <= total <= sum(one.highest for one in basins):
        raise ValueError("the bounds do not allow this total")
    if not basins:
        return ()
    shares = _Shares(basins)
    low, high = shares.lowest_level, shares.highest_level
    for _ in range(_HALVINGS):
        level = (low + high) / 2
        # Water that stands too low leaves more budget than there is.
        low, high = (level, high) if shares.at(level).sum() > total else (low, level)
    return _whole(basins, shares.at(high), total)


class _Shares:
    """The objects as arrays; levels are logarithms, so that slopes of any size are found."""

    def __init__(self, basins: Sequence[Basin]) -> None:
        self.now: Floats = np.array([one.now for one in basins], float)
        self.lowest: Floats = np.array([one.lowest for one in basins], float)
        self.highest: Floats = np.array([one.highest for one in basins], float)
        self.up: Floats = np.log([one.up for one in basins])
        self.down: Floats = np.log([one.down for one in basins])
        self.bend: Floats = np.array([one.bend for one in basins])
        # Beyond these every object stands at one of its bounds.
        reach = (
            np.log(np.maximum(self.highest, 1) / self.now),
            np.log(np.maximum(self.lowest, 1e-9) / self.now),
        )
        self.lowest_level = float((self.up + (self.bend - 1) * np.maximum(reach[0], 0)).min()) - 1
        self.highest_level = float((self.down + (self.bend - 1) * np.minimum(reach[1], 0)).max()) + 1

    def at(self, level: float) -> Floats:
        """The budgets at this level of water."""
        beyond = np.maximum(self.up - level, 0.0) + np.minimum(self.down - level, 0.0)
        # Nothing leaves [now / e^50, now * e^50] before the bounds hold it.
        moved = self.now * np.exp(np.clip(beyond / (1 - self.bend), -50, 50))
        return np.asarray(np.clip(moved, self.lowest, self.highest))


def _whole(basins: Sequence[Basin], shares: Floats, total: int) -> tuple[int, ...]:
    """Whole units that sum to the total: rounded down, and the rest to the largest parts that were cut off."""
    found = [
        min(one.highest, max(one.lowest, int(np.floor(share + 1e-6))))
        for one, share in zip(basins, shares, strict=True)
    ]
    order = sorted(range(len(basins)), key=lambda i: (found[i] - shares[i], basins[i].key))
    rest = total - sum(found)
    while rest:
        step = 1 if rest > 0 else -1
        for i in order if rest > 0 else reversed(order):
            if rest and basins[i].lowest <= found[i] + step <= basins[i].highest:
                found[i] += step
                rest -= step
    return tuple(found)
