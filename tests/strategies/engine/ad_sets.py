"""Simulated ad sets whose truth is known: when results come, when they are reported, and what a rule says at each look.

The world of the table: spend even over the day, five target CPAs of it a day; results by chance; 30 % of them reported
evenly 1 to 7 days late, the rest after six hours on average. Three popular recipes and the guard look at the same runs.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from strategies.engine.eprocess import shortage
from strategies.engine.evidence import ALPHA
from strategies.engine.expectation import Expectation, History

PER_DAY = 5.0
LATE = 0.3
HOURS = 6 / 24
#: Runs of the published table.
PUBLISHED_RUNS = 2000
#: True CPA / target -> stops in percent: stop at 2 CPAs today; CPA of 7 days; the same with 10 results; the plain test.
PUBLISHED = {
    1.0: (98.7, 95.2, 68.8, 3.9),
    1.5: (99.8, 99.8, 97.2, 34.0),
    2.0: (100.0, 100.0, 88.6, 75.0),
    3.0: (100.0, 100.0, 45.6, 97.0),
}
#: What the product's guard does in the same world (20,000 runs a row): it pays a little for later fresh starts.
GUARD = {1.0: 2.3, 1.5: 28.9, 2.0: 68.2, 3.0: 96.9}


@dataclass(frozen=True)
class Runs:
    """`seen[day, run, look]`: results of that day that are reported by that look; `at[look]` in days."""

    seen: np.ndarray
    at: np.ndarray


def reported(age: np.ndarray) -> np.ndarray:
    """Share of results that are reported so many days after they came about."""
    age = np.maximum(age, 0.0)
    return (1 - LATE) * (1 - np.exp(-age / HOURS)) + LATE * np.clip((age - 1) / 6, 0, 1)


@functools.cache
def shares(days: int = 9) -> tuple[float, ...]:
    """The completeness curve that an account would learn: k days after a day's end."""
    within = (np.arange(4000) + 0.5) / 4000
    return tuple(float(reported(k + 1 - within).mean()) for k in range(days))


def delays(rng: np.random.Generator, count: int) -> np.ndarray:
    late = rng.random(count) < LATE
    return np.where(late, 1 + 6 * rng.random(count), rng.exponential(HOURS, count))


def run(
    rng: np.random.Generator,
    *,
    runs: int,
    days: int,
    looks_per_day: int,
    rate: float = 1.0,
    size=lambda rng, count: np.ones(count),
) -> Runs:
    """Results at `rate` times the target, in sizes that `size` draws, seen at every look."""
    looks = days * looks_per_day
    total = rng.poisson(PER_DAY * days * rate, runs)
    whose = np.repeat(np.arange(runs), total)
    when = rng.random(total.sum()) * days
    look = np.ceil((when + delays(rng, len(when))) * looks_per_day).astype(int) - 1
    sizes = size(rng, len(when))
    seen = np.zeros((days, runs, looks), np.float32)
    there = look < looks
    np.add.at(seen, (when[there].astype(int), whose[there], look[there]), sizes[there])
    return Runs(seen.cumsum(axis=2), (np.arange(looks) + 1) / looks_per_day)


def history(one: Runs, *, which: int, look: int) -> History:
    """What the guard is given about one run at one look."""
    days = math.ceil(one.at[look] - 1e-9)
    gone = float(one.at[look]) - (days - 1)
    spend = [PER_DAY] * (days - 1) + [PER_DAY * gone]
    return History(spend, spend, [float(x) for x in one.seen[:days, which, look]], gone)


def expectation(one: Runs, look: int, *, rate: float = 1.0) -> Expectation:
    return Expectation(rate, history(one, which=0, look=look), shares())


@functools.lru_cache(maxsize=4096)
def surely_there(at: float) -> np.ndarray:
    """What is surely to be expected by then at the target, per day, as the guard reckons it."""
    days = math.ceil(at - 1e-9)
    spend = [PER_DAY] * (days - 1) + [PER_DAY * (at - (days - 1))]
    return Expectation(1.0, History(spend, spend, [0.0] * days, at - (days - 1)), shares()).low


def guard_stops(one: Runs, *, scale: float = 1.0, rate: float = 1.0) -> np.ndarray:
    """[run, look]: whether the guard says "below the target" (1 per unit of spend)."""
    stops = np.zeros(one.seen.shape[1:], bool)
    for look, at in enumerate(one.at):
        low = surely_there(float(at)) * rate
        logs = shortage(one.seen[: len(low), :, look].T, low, scale=scale)
        stops[:, look] = logs >= -math.log(ALPHA)
    return stops


def recipes(one: Runs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[run, look] of the three popular recipes, in target CPAs."""
    day = np.ceil(one.at - 1e-9).astype(int) - 1
    today = one.seen[day, :, np.arange(len(one.at))].T
    spent_today = PER_DAY * (one.at - day)
    all_seen, spent = one.seen.sum(axis=0), PER_DAY * one.at
    dear = (spent >= 2.5 - 1e-9) & (spent > 1.5 * all_seen)
    return (spent_today >= 2 - 1e-9) & (today == 0), dear, dear & (all_seen >= 10)


def plain_test(one: Runs) -> np.ndarray:
    """[run, look] of the test of the published table: four alternatives, the lag known exactly, no fresh starts."""
    within = (np.arange(2000) + 0.5) / 2000
    expected = np.array(
        [
            PER_DAY * sum(float(reported(at - day - within).mean()) for day in range(math.ceil(at)))
            for at in one.at
        ]
    )
    seen = one.seen.sum(axis=0)
    e = sum(0.25 * np.exp(seen * math.log(q) + (1 - q) * expected) for q in (0.2, 0.33, 0.5, 0.67))
    return e >= 20


def margin(percent: float, runs: int, other_runs: int = PUBLISHED_RUNS) -> float:
    """Three standard errors of a difference between two such shares, in points; half a point for rounding."""
    share = min(max(percent / 100, 1 / runs), 1 - 1 / runs)
    return 300 * math.sqrt(share * (1 - share) * (1 / runs + 1 / other_runs)) + 0.5


def check_the_table(*, runs: int, seed: int) -> dict[float, tuple[float, ...]]:
    """Rebuild the table and compare it, row by row; (percent of three recipes, the plain test, the guard)."""
    found = {}
    for row, (cpa, published) in enumerate(PUBLISHED.items()):
        one = run(np.random.default_rng([seed, row]), runs=runs, days=7, looks_per_day=96, rate=1 / cpa)
        columns = (*recipes(one), plain_test(one), guard_stops(one))
        stops = tuple(round(100 * float(column.any(axis=1).mean()), 1) for column in columns)
        for here, there in zip(stops[:4], published, strict=True):
            assert abs(here - there) <= margin(there, runs), (cpa, stops, published)
        assert abs(stops[4] - GUARD[cpa]) <= margin(GUARD[cpa], runs, 20_000), (cpa, stops, GUARD[cpa])
        found[cpa] = stops
    assert found[1.0][4] <= 5 + margin(5, runs, 10**9), found
    return found
