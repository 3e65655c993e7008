"""Seeded noise and the market's shapes by hour, weekday, frequency and age. Pure functions of their arguments."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import zoneinfo

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Share of a day's impressions by local hour (people sleep), and the auction price by local hour (evenings are
# contested).
VOLUME = np.array(
    [
        1.6,
        1.0,
        0.7,
        0.5,
        0.5,
        0.9,
        2.0,
        3.4,
        4.3,
        4.6,
        4.8,
        5.1,
        5.6,
        5.3,
        4.9,
        4.8,
        5.1,
        5.6,
        6.2,
        6.9,
        7.3,
        7.0,
        5.6,
        3.3,
    ]
)
PRICE = np.array(
    [
        0.78,
        0.74,
        0.72,
        0.70,
        0.70,
        0.74,
        0.82,
        0.90,
        0.95,
        0.97,
        0.99,
        1.01,
        1.03,
        1.02,
        1.01,
        1.01,
        1.03,
        1.06,
        1.10,
        1.16,
        1.20,
        1.18,
        1.08,
        0.92,
    ]
)
WEEKDAY = (0.97, 0.96, 0.98, 1.00, 1.06, 1.09, 1.04)

_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def seed_of(*parts: object) -> int:
    """A 64-bit number from any texts and numbers; the same on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def uniform(keys: NDArray[np.uint64], salt: int) -> Floats:
    """Numbers in [0, 1), one per key (splitmix64): independent of order, shape and of what else was drawn."""
    with np.errstate(over="ignore"):
        z = keys + _MIX[0] * np.uint64(salt + 1)
        z = (z ^ (z >> np.uint64(30))) * _MIX[1]
        z = (z ^ (z >> np.uint64(27))) * _MIX[2]
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def mix(keys: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One key out of two, element by element."""
    with np.errstate(over="ignore"):
        z = (keys ^ (other * _MIX[0])) * _MIX[1]
        return z ^ (z >> np.uint64(29))


def noise(keys: NDArray[np.uint64], salt: int, *, width: float | Floats) -> Floats:
    """Multiplicative noise around 1: a triangle of half-width ``width``."""
    moved: Floats = 1.0 + width * (uniform(keys, salt) + uniform(keys, salt + 977) - 1.0)
    return moved


def fatigue(frequency: Floats, wear: float | Floats = 0.16) -> Floats:
    """How much of its click rate an ad keeps when each person has seen it ``frequency`` times lately."""
    over = np.maximum(frequency - 1.2, 0.0)
    kept: Floats = 1.0 / (1.0 + wear * over)
    return kept


def saturation(spend: Floats, depth: Floats) -> Floats:
    """Price factor of spending ``spend`` a day in an audience that is ``depth`` deep: grows, with falling slope."""
    factor: Floats = 1.0 + 0.45 * np.power(np.maximum(spend, 0.0) / np.maximum(depth, 1.0), 0.75)
    return factor


def season(day: dt.date) -> float:
    """Price factor of the time of year: dear in late November and December, cheap in January."""
    if day.month == 12 or (day.month == 11 and day.day >= 20):
        return 1.18
    return 0.90 if day.month == 1 else 1.0


@functools.lru_cache(maxsize=4096)
def hours_of(day: dt.date, zone: str) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """A local day as (edges in unix seconds, local hour of each piece); 23, 24 or 25 pieces around a clock change.

    Half-hour changes (Lord Howe) and zones with odd offsets come out right because each piece is cut at a full
    local hour.
    """
    tz = zoneinfo.ZoneInfo(zone)
    start = _midnight(day, tz)
    end = _midnight(day + dt.timedelta(days=1), tz)
    edges: list[float] = [start]
    labels: list[int] = []
    moment = start
    while moment < end:
        local = dt.datetime.fromtimestamp(moment, tz)
        labels.append(local.hour)
        step = 3600 - (local.minute * 60 + local.second)
        after = min(moment + step, end)
        # A change of the clock inside the piece ends it early or late: cut at the half hour that changed the offset.
        if dt.datetime.fromtimestamp(after - 1, tz).utcoffset() != local.utcoffset():
            after = min(moment + 1800, end) if step > 1800 else after
        edges.append(after)
        moment = after
    return tuple(edges), tuple(labels)


def _midnight(day: dt.date, tz: zoneinfo.ZoneInfo) -> float:
    return dt.datetime(day.year, day.month, day.day, tzinfo=tz).timestamp()


def local_day(moment: float, zone: str) -> dt.date:
    """The account-day that holds a moment."""
    return dt.datetime.fromtimestamp(moment, zoneinfo.ZoneInfo(zone)).date()
