"""Conversions: when they happen, when Meta reports them, and what they are worth.

Every conversion is an event with a click time and a delay, so what is reported for a day grows with the day's
age and stands still after 28 days (the restatement of reference 5.6). Delays by attribution bucket: within a
day of the click, one to seven days, seven to 28 days, and view-through within a day.

An event happens where the running sum of expected conversions crosses a height. Without chance the heights are even
(one apart, from a phase on), so counts hardly vary. By chance they are a Poisson process's: exponential gaps, each
drawn for its ad, day, kind and number, so a larger budget adds events and moves none, and what happened does not
depend on what comes later.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metaads.sandbox.delivery.curves import Floats, Ints, mix, uniform
from metaads.sandbox.delivery.day import Events, no_events

DAY = 86_400.0
SPAN = 1e5
#: The mean worth of an event, as a share of ``worth``.
MEAN_WORTH = 0.45 + 1.1 / 2.5
_GAP = 7_919


def draw(
    *,
    running: Floats,
    phase: Floats,
    edges: Floats,
    labels: Ints,
    keys: NDArray[np.uint64],
    worth: Floats,
    told: Floats,
    chance: NDArray[np.bool_] | None = None,
    seen: Floats | None = None,
) -> Events:
    """Events from the running sums of expected conversions.

    ``running`` [KINDS, ads, pieces + 1] without phase; ``phase`` [KINDS, ads]; ``keys`` [ads] identify ad and day;
    ``worth`` [KINDS, ads] in minor units; ``told`` [ads, 3] as in ``Traits``; ``chance`` [ads]; ``seen`` [KINDS,
    pieces] is 0 where an event is never reported.
    """
    kinds, ads, _width = running.shape
    totals = np.floor(running[:, :, -1] + phase).astype(np.int64).ravel()
    heights = None
    if chance is not None:
        totals, heights = _by_chance(running[:, :, -1].ravel(), totals, np.tile(chance, kinds), keys, kinds)
    size = int(totals.sum())
    if size == 0:
        return no_events()
    row = np.repeat(np.arange(kinds * ads), totals)
    first = np.repeat(np.cumsum(totals) - totals, totals)
    ordinal = np.arange(size) - first + 1
    # One interpolation for all rows: each row's running sum is lifted onto its own stretch of one rising axis.
    axis = (running + np.arange(kinds * ads).reshape(kinds, ads, 1) * SPAN).ravel()
    even = ordinal - phase.ravel()[row]
    if heights is not None and chance is not None:
        even = np.where(chance[row % ads], heights, even)
    place = row * SPAN + even
    # Whole seconds: a row's place on the axis must not show in the last digits.
    clicked = np.round(np.interp(place, axis, np.tile(edges, kinds * ads)))
    kind, ad = row // ads, row % ads
    key = mix(keys[ad], (kind * 1_000_003 + ordinal).astype(np.uint64))
    bucket = (told[ad] <= uniform(key, 1)[:, None]).sum(axis=1).astype(np.int64)
    spread = uniform(key, 2)
    delay = np.choose(
        bucket,
        [DAY * spread**3, DAY * (1 + 6 * spread**1.5), DAY * (7 + 20.9 * spread**1.3), DAY * spread**2],
    )
    value = np.floor(worth[kind, ad] * (0.45 + 1.1 * uniform(key, 3) ** 1.5)).astype(np.int64)
    piece = np.clip(np.searchsorted(edges, clicked, side="right") - 1, 0, len(labels) - 1)
    reported = clicked + delay
    if seen is not None:
        reported = np.where(seen[kind, piece] > 0, reported, np.inf)
    return Events(
        ad=ad.astype(np.int64),
        hour=labels[piece],
        clicked=clicked,
        reported=reported,
        kind=kind.astype(np.int64),
        bucket=bucket,
        value=value,
        key=key,
    )


def _by_chance(
    expected: Floats, even: Ints, chance: NDArray[np.bool_], keys: NDArray[np.uint64], kinds: int
) -> tuple[Ints, Floats]:
    """How many events each row (kind by kind, ad by ad) has, and the height of each in the order of rows: those of a
    Poisson process of rate 1 below ``expected`` where ``chance`` holds, else ``even`` many at no height."""
    most = float(expected.max(initial=0.0))
    width = int(most + 8 * most**0.5 + 12)
    by_kind = np.arange(kinds, dtype=np.uint64)[:, None] * np.uint64(1_000_003)
    numbers = np.arange(1, width + 1, dtype=np.uint64)
    mine = mix(np.tile(keys, kinds)[:, None], np.repeat(by_kind, len(keys), axis=0) + numbers[None, :])
    heights = np.cumsum(-np.log1p(-uniform(mine, _GAP)), axis=1)
    below = np.where(chance[:, None], heights < expected[:, None], numbers[None, :] <= even[:, None])
    totals: Ints = below.sum(axis=1)
    return totals, heights[below]
