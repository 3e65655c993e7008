"""Conversions: when they happen, when Meta reports them, and what they are worth.

Every conversion is an event with a click time and a delay, so what is reported for a day grows with the day's
age and stands still after 28 days (the restatement of reference 5.6). Delays by attribution bucket: within a
day of the click, one to seven days, seven to 28 days, and view-through within a day.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metaads.sandbox.delivery.curves import Floats, Ints, mix, uniform
from metaads.sandbox.delivery.day import Events, no_events

DAY = 86_400.0
SHARES = np.array([0.60, 0.80, 0.88])
SPAN = 1e5


def draw(
    *,
    running: Floats,
    phase: Floats,
    edges: Floats,
    labels: Ints,
    keys: NDArray[np.uint64],
    worth: Floats,
) -> Events:
    """Events from the running sums of expected conversions.

    ``running`` [KINDS, ads, pieces + 1] without phase; ``phase`` [KINDS, ads]; ``keys`` [ads] identify ad and day;
    ``worth`` [KINDS, ads] in minor units. The j-th event of an ad happens where the running sum crosses ``j - phase``.
    """
    kinds, ads, _width = running.shape
    totals = np.floor(running[:, :, -1] + phase).astype(np.int64).ravel()
    size = int(totals.sum())
    if size == 0:
        return no_events()
    row = np.repeat(np.arange(kinds * ads), totals)
    first = np.repeat(np.cumsum(totals) - totals, totals)
    ordinal = np.arange(size) - first + 1
    # One interpolation for all rows: each row's running sum is lifted onto its own stretch of one rising axis.
    axis = (running + np.arange(kinds * ads).reshape(kinds, ads, 1) * SPAN).ravel()
    place = row * SPAN + ordinal - phase.ravel()[row]
    # Whole seconds: a row's place on the axis must not show in the last digits.
    clicked = np.round(np.interp(place, axis, np.tile(edges, kinds * ads)))
    kind, ad = row // ads, row % ads
    key = mix(keys[ad], (kind * 1_000_003 + ordinal).astype(np.uint64))
    bucket = np.searchsorted(SHARES, uniform(key, 1), side="right").astype(np.int64)
    spread = uniform(key, 2)
    delay = np.choose(
        bucket,
        [DAY * spread**3, DAY * (1 + 6 * spread**1.5), DAY * (7 + 20.9 * spread**1.3), DAY * spread**2],
    )
    value = np.floor(worth[kind, ad] * (0.45 + 1.1 * uniform(key, 3) ** 1.5)).astype(np.int64)
    piece = np.clip(np.searchsorted(edges, clicked, side="right") - 1, 0, len(labels) - 1)
    return Events(
        ad=ad.astype(np.int64),
        hour=labels[piece],
        clicked=clicked,
        reported=clicked + delay,
        kind=kind.astype(np.int64),
        bucket=bucket,
        value=value,
        key=key,
    )
