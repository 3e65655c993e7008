"""Does the hour, the weekday or the hour of the week make a difference, or does it only look so?

    observations (day, hour) -> (top, over)
        -> groups: 24 hours, 7 weekdays, 168 hours of the week; 12 months, 53 weeks of the year
        -> each group's ratio against everything else's, with the scatter from week to week as the yardstick
        -> Benjamini and Hochberg over the groups of one family -> better | worse | no difference seen

The scatter is estimated, not assumed: clicks of one hour come in bursts, and a Poisson interval would find "best
hours" in noise. Too few weeks, years or too little volume, and the answer is that there is not enough to say.
PURE: no Django, no clock, no I/O.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

Family = Literal["hour", "weekday", "hour_of_week", "month", "week"]
Verdict = Literal["better", "worse", ""]
#: Share of false finds among the finds that is put up with.
RATE: Final = 0.05
LEAST_WEEKS: Final = 4
#: A group whose divisor (impressions, clicks) is smaller than this on an average week says nothing.
LEAST_OVER: Final = 20.0
#: A month or week of the year is compared when each was seen in this many years.
LEAST_YEARS: Final = 2


@dataclass(frozen=True)
class Group:
    """One hour, weekday, hour of the week, month or week. `ratio` is top / over; `low` and `high` its 95 % interval."""

    weekday: int | None  # 0 is Monday
    hour: int | None
    season: int | None  # month 1..12, or ISO week 1..53
    top: Decimal
    over: Decimal
    ratio: float | None
    low: float | None
    high: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Pattern:
    """A family's groups in order. `enough` is False where there is too little to compare; `why` says what is short."""

    family: Family
    weeks: int
    enough: bool
    why: str
    groups: tuple[Group, ...]

    @property
    def found(self) -> tuple[Group, ...]:
        return tuple(group for group in self.groups if group.verdict)


_Key = tuple[int | None, int | None, int | None]
Observations = Mapping[tuple[date, int], tuple[Decimal, Decimal]]
_KEYS: Final[Mapping[Family, Callable[[date, int], _Key]]] = {
    "hour": lambda day, hour: (None, hour, None),
    "weekday": lambda day, hour: (day.weekday(), None, None),
    "hour_of_week": lambda day, hour: (day.weekday(), hour, None),
    "month": lambda day, hour: (None, None, day.month),
    "week": lambda day, hour: (None, None, day.isocalendar().week),
}
_ALL: Final[Mapping[Family, tuple[_Key, ...]]] = {
    "hour": tuple((None, hour, None) for hour in range(24)),
    "weekday": tuple((day, None, None) for day in range(7)),
    "hour_of_week": tuple((day, hour, None) for day in range(7) for hour in range(24)),
    "month": tuple((None, None, month) for month in range(1, 13)),
    "week": tuple((None, None, week) for week in range(1, 54)),
}
#: What scatters around a group's ratio: its days, or for a season its years (days of one month resemble each other).
_UNITS: Final[Mapping[Family, Callable[[date], date]]] = {
    "month": lambda day: day.replace(day=1),
    "week": lambda day: day - timedelta(days=day.weekday()),
}


def _itself(day: date) -> date:
    return day


def find(seen: Observations, *, family: Family, up_is_good: bool) -> Pattern:
    """Compare the groups of one family. `seen` holds (top, over) of each hour that was read, by account day and hour.

    `up_is_good` says whether a high ratio is welcome (CTR) or not (CPC).
    """
    weeks = len({day.isocalendar()[:2] for day in {day for day, _ in seen}})
    units, exact = _grouped(seen, family)
    sums = {key: (sum(x for x, _ in rows), sum(n for _, n in rows)) for key, rows in units.items()}
    why = _few_years(units, family) if family in _UNITS else _short(units, weeks)
    scatter = _scatter(units) if not why else {}
    verdicts = _verdicts(sums, scatter, up_is_good=up_is_good) if scatter else {}
    return Pattern(
        family=family,
        weeks=weeks,
        enough=not why,
        why=why,
        groups=tuple(
            _group(key, exact.get(key), scatter.get(key), verdicts.get(key, "")) for key in _ALL[family]
        ),
    )


def _grouped(
    seen: Observations, family: Family
) -> tuple[dict[_Key, list[tuple[float, float]]], dict[_Key, tuple[Decimal, Decimal]]]:
    """Group -> (top, over) of each day (of a season: each year), and of all of them exactly. A weekday's unit is the
    whole day."""
    unit, key_of = _UNITS.get(family, _itself), _KEYS[family]
    days: dict[_Key, dict[date, tuple[float, float]]] = {}
    exact: dict[_Key, tuple[Decimal, Decimal]] = {}
    for (day, hour), (top, over) in seen.items():
        key, at = key_of(day, hour), unit(day)
        mine = days.get(key)
        if mine is None:
            days[key], exact[key] = {at: (float(top), float(over))}, (top, over)
            continue
        before, all_before = mine.get(at), exact[key]
        mine[at] = (
            (float(top), float(over)) if before is None else (before[0] + float(top), before[1] + float(over))
        )
        exact[key] = (all_before[0] + top, all_before[1] + over)
    return {key: list(mine.values()) for key, mine in days.items()}, exact


def _short(units: Mapping[_Key, Sequence[tuple[float, float]]], weeks: int) -> str:
    if weeks < LEAST_WEEKS:
        return f"{weeks} of {LEAST_WEEKS} weeks are there yet."
    volume = sum(over for rows in units.values() for _, over in rows)
    if volume < LEAST_OVER * weeks * len(units):
        return "There is too little volume to tell hours apart."
    return ""


def _few_years(units: Mapping[_Key, Sequence[tuple[float, float]]], family: Family) -> str:
    groups = _ALL[family][:52]  # a 53rd week is rare and may be missing
    enough = sum(1 for key in groups if sum(1 for _, over in units.get(key, ()) if over > 0) >= LEAST_YEARS)
    if enough == len(groups):
        return ""
    return (
        f"{enough} of {len(groups)} {family}s were seen in {LEAST_YEARS} years yet; all of them are needed."
    )


@dataclass(frozen=True)
class _Scatter:
    """How a group's ratio scatters: its variance, and how many free observations that is known from."""

    variance: float
    free: int


def _scatter(units: Mapping[_Key, Sequence[tuple[float, float]]]) -> dict[_Key, _Scatter]:
    """Each group's variance: what its own days show, and never less than days of that volume show everywhere.

    Bursts make the variance of top grow faster than over (a * over + b * over^2), so a busy hour may not borrow
    the calm of the quiet ones, and a few calm days do not make a calm hour.
    """
    import numpy as np  # where it is needed: it costs 10 MB in every process, and few ever draw a pattern

    keys = list(units)
    group = np.repeat(np.arange(len(keys)), [len(units[key]) for key in keys])
    top, over = np.array([pair for key in keys for pair in units[key]], dtype=float).T
    group, top, over = group[over > 0], top[over > 0], over[over > 0]

    def added(numbers: Any) -> Any:
        return np.bincount(group, weights=numbers, minlength=len(keys))

    many, volume = np.bincount(group, minlength=len(keys)), added(over)
    told = many > 1
    if not told.any():
        return {}
    ratio = np.divide(added(top), volume, out=np.zeros_like(volume), where=told)
    more = np.divide(many, many - 1, out=np.zeros_like(volume), where=told)
    square = (top - ratio[group] * over) ** 2 * more[group]
    linear, quadratic = _curve(over[told[group]], square[told[group]])
    largest = np.maximum(added(linear * over + quadratic * over**2), added(square))
    return {
        keys[one]: _Scatter(float(largest[one]) / float(volume[one]) ** 2, int(many[one]) - 1)
        for one in np.flatnonzero(told & (largest > 0))
    }


def _curve(over: Any, square: Any) -> tuple[float, float]:
    """Least squares of square = a * over + b * over^2 with a, b >= 0, each point weighted by its size."""
    import numpy as np

    x, y = np.stack([np.ones_like(over), over]).T, square / over  # divided by over: a + b * over
    (a, b), *_ = np.linalg.lstsq(x, y, rcond=None)
    if b <= 0:
        return float(y.mean()), 0.0
    if a < 0:
        return 0.0, float((y * over).sum() / (over**2).sum())
    return float(a), float(b)


def _verdicts(
    sums: Mapping[_Key, tuple[float, float]], scatter: Mapping[_Key, _Scatter], *, up_is_good: bool
) -> dict[_Key, Verdict]:
    all_top, all_over = (sum(pair[index] for pair in sums.values()) for index in (0, 1))
    # Summed from both ends: taking a group's own part from the whole would lose digits where it is most of it.
    parts = [one.variance * sums[key][1] ** 2 for key, one in scatter.items()]
    before = [0.0, *itertools.accumulate(parts)]
    after = [*reversed([0.0, *itertools.accumulate(reversed(parts))])]
    tested: list[tuple[float, _Key, bool]] = []
    for place, (key, one) in enumerate(scatter.items()):
        top, over = sums[key]
        rest = all_over - over
        if rest <= 0:
            continue
        others = (before[place] + after[place + 1]) / rest**2
        distance = top / over - (all_top - top) / rest
        t = distance / math.sqrt(one.variance + others)
        tested.append((two_sided(t, one.free), key, distance > 0))
    tested.sort(key=lambda found: found[0])
    passed = max(
        (rank for rank, (p, _, _) in enumerate(tested, 1) if p <= RATE * rank / len(tested)), default=0
    )
    return {key: "better" if high == up_is_good else "worse" for _, key, high in tested[:passed]}


def two_sided(t: float, free: int) -> float:
    """The chance of a Student t at least this far from 0 (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan(abs(t) / math.sqrt(free))
    cosine, sine = math.cos(angle), math.sin(angle)
    term, inside = (cosine if free % 2 else 1.0), 0.0
    for k in range(3 if free % 2 else 2, free + 1, 2):
        inside += term
        term *= cosine**2 * (k - 1) / k
    inside = (angle + sine * inside) * 2 / math.pi if free % 2 else sine * inside
    return max(0.0, 1.0 - inside)


@functools.lru_cache(maxsize=64)
def quantile(free: int, chance: float = 0.05) -> float:
    """The t that is exceeded on either side with this chance."""
    low, high = 0.0, 1000.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided(middle, free) > chance else (low, middle)
    return high


def _group(
    key: _Key,
    sums: tuple[Decimal, Decimal] | None,
    scatter: _Scatter | None,
    verdict: Verdict,
) -> Group:
    top, over = sums or (Decimal(0), Decimal(0))
    ratio = float(top / over) if over else None
    half = quantile(scatter.free) * math.sqrt(scatter.variance) if scatter is not None else None
    return Group(
        weekday=key[0],
        hour=key[1],
        season=key[2],
        top=top,
        over=over,
        ratio=ratio,
        low=None if ratio is None or half is None else max(0.0, ratio - half),
        high=None if ratio is None or half is None else ratio + half,
        verdict=verdict,
    )
