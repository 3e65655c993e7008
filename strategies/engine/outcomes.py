"""Did it help: what a rule did to objects, against those it left alone by lot, and what one change was followed by.

Hold-out. Of the objects that a rule matches, a share is left alone by a draw from (seed, object), the same at every
evaluation. Nothing but chance separates the two groups, so their difference is the rule's own effect:

    after, less what the object's past explains (one slope for both groups) -> mean treated - mean held out
    -> interval, right at *all* looks together, while objects and days are still coming in

(Asymptotic confidence sequence by a normal mixture: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central
limit theory", 2021; the regression on the past: Deng, Xu, Kohavi, Walker, "CUPED", 2013.) Hard stops are not held out.

One change. `followed` compares an object's rate before and after, beside how its peers moved. It says what came
after, not what the change did: whoever acts on a bad week sees a better one by luck alone. So the stretch before must
not be the one that made the rule fire, and only a hold-out tells the effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from math import exp, inf, log, sqrt
from statistics import NormalDist
from typing import Final

import numpy as np

#: After so many days an action is looked at again.
CHECKPOINTS: Final = (1, 3, 7, 28)
ALPHA: Final = 0.05
#: Fewer objects than this in either group say nothing: their spread is not known either.
LEAST_OBJECTS: Final = 8
#: The interval is narrowest for about so many objects.
_TUNED_FOR: Final = 100
_DRAWS: Final = 2**64


class Outcome(StrEnum):
    IMPROVED = "improved"
    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Unit:
    """One matched object: `after` is what is to be raised (profit per day, value per spend, ...), matured; `before` the
    same over a stretch that ended before the match."""

    held: bool
    before: float
    after: float


@dataclass(frozen=True)
class Effect:
    """`difference`: treated less held out, with its interval. `cost`: what holding out has cost so far, in the same
    unit summed over the held objects (below 0: it has saved that)."""

    outcome: Outcome
    difference: float
    low: float
    high: float
    treated: int
    held: int
    cost: float


@dataclass(frozen=True)
class Stretch:
    """What was seen (events, or money from them) and the base it came from: spend, impressions; only the share of the
    base whose results are reported by now."""

    seen: float
    base: float


@dataclass(frozen=True)
class Followed:
    """The rate after as a multiple of the rate before, beside that of the peers, with its interval."""

    outcome: Outcome
    ratio: float | None
    low: float
    high: float


def held_out(*, seed: str, key: str, share: float) -> bool:
    """Whether this object is left alone: always the same for a seed; a larger share only adds objects."""
    if not 0 <= share <= 1:
        raise ValueError("a share lies between 0 and 1")
    draw = int.from_bytes(sha256(f"{seed}/{key}".encode()).digest()[:8], "big")
    return draw < share * _DRAWS


def effect(units: Sequence[Unit], *, alpha: float = ALPHA) -> Effect:
    """The rule's own effect, from all objects that have matured so far; look as often as you like."""
    held = np.array([one.held for one in units], bool)
    counts = int((~held).sum()), int(held.sum())
    if min(counts) < LEAST_OBJECTS:
        return Effect(Outcome.INCONCLUSIVE, 0.0, -inf, inf, *counts, 0.0)
    before, after = np.array([one.before for one in units]), np.array([one.after for one in units])
    groups = (~held, held)
    apart = [(before[group] - before[group].mean(), after[group] - after[group].mean()) for group in groups]
    weight = sum(float((x * x).sum()) for x, _ in apart)
    slope = sum(float((x * y).sum()) for x, y in apart) / weight if weight else 0.0
    rest = after - slope * before
    treated, left = rest[~held], rest[held]
    difference = float(treated.mean() - left.mean())
    error = sqrt(float(treated.var(ddof=1)) / counts[0] + float(left.var(ddof=1)) / counts[1])
    radius = error * _boundary(len(units), alpha)
    low, high = difference - radius, difference + radius
    return Effect(_outcome(low, high, 0.0), difference, low, high, *counts, difference * counts[1])


def followed(
    before: Stretch,
    after: Stretch,
    *,
    peers_before: Stretch,
    peers_after: Stretch,
    scale: float = 1.0,
    alpha: float = ALPHA,
) -> Followed:
    """What came after one change; the four looks of `CHECKPOINTS` together are right with 1 - alpha.

    Given all events of both stretches, those after are binomial: the interval is exact (Clopper-Pearson) for counts;
    for money and lumps, counted in units of `scale` (see `evidence.judge`) with parts of one rounded to the careful
    side, it is an approximation.
    """
    first, then = before.seen / scale, after.seen / scale
    peers = peers_before.seen / scale, peers_after.seen / scale
    if min(before.base, after.base, peers_before.base, peers_after.base) <= 0 or min(peers) <= 0:
        return Followed(Outcome.INCONCLUSIVE, None, 0.0, inf)
    # Half of what may go wrong is the object's own chance, half the peers'.
    look = alpha / len(CHECKPOINTS) / 2
    moved = (peers_after.seen / peers_after.base) / (peers_before.seen / peers_before.base)
    unlike = before.base / (after.base * moved)
    wide = exp(NormalDist().inv_cdf(1 - look / 2) * sqrt(1 / peers[0] + 1 / peers[1]))
    low, high = _share(first, then, look / 2)
    low = low / (1 - low) * unlike / wide if low < 1 else inf
    high = high / (1 - high) * unlike * wide if high < 1 else inf
    ratio = then / first * unlike if first > 0 else None
    return Followed(_outcome(low, high, 1.0), ratio, low, high)


def _outcome(low: float, high: float, nothing: float) -> Outcome:
    if low > nothing:
        return Outcome.IMPROVED
    return Outcome.WORSE if high < nothing else Outcome.INCONCLUSIVE


def _boundary(count: int, alpha: float) -> float:
    """How many standard errors hold at all looks together."""
    tuned = (-2 * log(alpha) + log(1 - 2 * log(alpha))) / _TUNED_FOR
    grown = count * tuned
    return sqrt((grown + 1) / grown * log((grown + 1) / alpha**2))


def _share(first: float, then: float, tail: float) -> tuple[float, float]:
    """The share of `then` in both: Clopper-Pearson at `tail` on each side; parts of events count for the other side."""
    low = _solve(int(np.ceil(first)), int(np.floor(then)), tail, upper=False)
    high = _solve(int(np.floor(first)), int(np.ceil(then)), tail, upper=True)
    return low, high


def _solve(first: int, then: int, tail: float, *, upper: bool) -> float:
    total = first + then
    if (upper and first == 0) or (not upper and then == 0):
        return 1.0 if upper else 0.0
    steps = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, total + 1)))))
    counts = np.arange(0, then + 1) if upper else np.arange(then, total + 1)
    ways = steps[total] - steps[counts] - steps[total - counts]
    low, high = 0.0, 1.0
    for _ in range(60):
        share = (low + high) / 2
        chance = float(np.exp(ways + counts * log(share) + (total - counts) * log(1 - share)).sum())
        # P(at most so many) falls with the share, P(at least so many) rises.
        low, high = (share, high) if (chance > tail) == upper else (low, share)
    return high if upper else low
