"""Evidence that may be looked at as often as one likes: e-values for "it falls short" and "it does better".

An e-value of a hypothesis is what a bet against it has made of 1: a non-negative process that, while the
hypothesis is true, is expected never to grow. Ville: the chance that it *ever* reaches 1 / alpha is at most alpha,
however often one looks and whenever one stops. (Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform Chernoff bounds",
2020; Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting", 2024.)

`shortage`, against "the rate is at least the target". Events (or money from events) come as a compound Poisson
process: m = what was to be expected so far at the target, v = what was seen, c = E[x^2] / E[x] of one event's size.

    e = sum over q of w(q) * q^(v / c) * exp((1 - q) * m / c),    q < 1: the share of the target that is bet on

For plain counts (c = 1) each term is the likelihood ratio of two Poisson rates. For sizes x that vary, with
q = exp(-k c): exp(-k x) lies below the parabola that touches it at c and meets it at 0 (its third derivative is
negative), so E[exp(-k x)] <= 1 - E[x] / c * (1 - q), and e cannot grow in expectation: only the first two moments
of a size count, a heavy tail above does no harm. Trials that succeed with small chance p (impressions, clicks)
are covered too, since 1 + p (q - 1) <= exp(p (q - 1)). Counts that come in lumps: c is the variance over the mean.

`excess`, against "the rate is at most the target", for events that come one by one: the same sum with q > 1. A size
that varies has no such bound (one huge order can do anything), so money and lumps go to

`excess_by_day`, which bets a share b of the stake on each closed day:

    e = sum over b of w(b) * product over days of (1 + b * (min(v, clip) - m) / whole),   whole = m when all is reported

It needs no model of the events, only v >= 0 and spend that does not follow the same day's luck: a day's factor is
at least 1 - b, and expected to be at most 1. Clipping makes v smaller, so it cannot make errors more frequent; it
keeps one huge order from deciding alone.

All hold a bet from the first day on (`FIRST` of the stake) and open one each week (of the rest 1 / (j (j + 1)) for
the j-th), so that what turned bad after good months is found in weeks: a mixture of e-values whose
weights sum to 1 is one.

Arrays are (..., days), oldest day first; answers are natural logarithms of e, shape (...).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[Any]

#: Shares of the target that are bet on, and the stake on each. What is close to the target takes long to tell.
SHORT: Final = np.array([0.2, 0.33, 0.5, 0.67, 0.8, 0.9])
SHORT_STAKES: Final = np.array([0.2, 0.25, 0.25, 0.2, 0.07, 0.03])
BETTER: Final = np.array([1.1, 1.25, 1.5, 2.0, 3.0])
BETTER_STAKES: Final = np.array([0.05, 0.15, 0.3, 0.3, 0.2])
#: Shares of the stake that are put on each day's being better than the target, and the stake on each.
BETS: Final = np.array([0.1, 0.3, 0.6, 0.9])
BETS_STAKES: Final = np.array([0.25, 0.25, 0.25, 0.25])
#: The stake on the whole history; the rest goes to later starts, one each so many days.
FIRST: Final = 0.8
RESTART_DAYS: Final = 7
#: A day counts up to its expected value and so many times the root of its variance.
CLIP_WIDTH: Final = 4.0


def shortage(seen: ArrayLike, expected: ArrayLike, *, scale: float = 1.0) -> Any:
    """log e against "the rate is at least the target"; `seen` and `expected` (both so far) per account day.

    `expected` must not be above what is really to be expected: less of it is the careful side.
    """
    return _ratios(np.asarray(seen, float) / scale, np.asarray(expected, float) / scale, SHORT, SHORT_STAKES)


def excess(seen: ArrayLike, expected: ArrayLike) -> Any:
    """log e against "the rate is at most the target", for events that are counted one by one.

    `expected` must not be below what is really to be expected: more of it is the careful side.
    """
    return _ratios(np.asarray(seen, float), np.asarray(expected, float), BETTER, BETTER_STAKES)


def excess_by_day(seen: ArrayLike, expected: ArrayLike, whole: ArrayLike, *, scale: float = 1.0) -> Any:
    """log e against "the rate is at most the target"; `whole` is a day's `expected` when all of it is reported.

    For values and lumps of any size. `expected` as in `excess`; `scale` only sets where a day is clipped.
    """
    full = np.asarray(whole, float)
    clip = full + CLIP_WIDTH * np.sqrt(scale * full)
    gained = np.minimum(np.asarray(seen, float), clip) - np.minimum(np.asarray(expected, float), full)
    # A day on which nothing was to be expected is no bet.
    gain = np.where(full > 0, gained / np.where(full > 0, full, 1.0), 0.0)
    return _mixed(_since_each_start(np.log1p(gain[..., None] * BETS), axis=-2), BETS_STAKES)


def _ratios(seen: Floats, expected: Floats, rates: Floats, stakes: Floats) -> Any:
    v, m = np.broadcast_arrays(seen, expected)
    v, m = _since_each_start(v)[..., None], _since_each_start(m)[..., None]
    return _mixed(v * np.log(rates) + m * (1 - rates), stakes)


def _since_each_start(days: Floats, axis: int = -1) -> Floats:
    """Sums over the days from each start on; the axis of days becomes one of starts."""
    length = days.shape[axis]
    starts = np.arange(0, length, RESTART_DAYS)
    weeks: Floats = np.add.reduceat(days, starts, axis=axis)
    return np.flip(np.cumsum(np.flip(weeks, axis), axis=axis), axis)


def _mixed(logs: Floats, stakes: Floats) -> Any:
    """log of the mixture over (starts, bets); stakes of starts still to come are kept, worth 1 each."""
    later = np.arange(1, logs.shape[-2])
    starts = np.concatenate(([FIRST], (1 - FIRST) / (later * (later + 1))))
    weighed = logs + np.log(starts)[:, None] + np.log(stakes)
    kept = max(1 - float(starts.sum()), 1e-12)
    flat = weighed.reshape(*weighed.shape[:-2], -1)
    top = np.maximum(flat.max(axis=-1), np.log(kept))
    return top + np.log(np.exp(flat - top[..., None]).sum(axis=-1) + np.exp(np.log(kept) - top))
