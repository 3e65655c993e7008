"""Best hours are found where there are some, and hardly ever where there are none."""

from datetime import date, timedelta
from decimal import Decimal as D

import numpy as np
import pytest

from insights.patterns import LEAST_WEEKS, RATE, find, quantile, two_sided

MONDAY = date(2026, 9, 7)


def world(seed, *, weeks=8, volume=400, burst=0.0, day_effect=0.0, lift=None, rate=0.02):
    """Impressions and clicks by hour: overdispersed (`burst`), with good and bad days, and `lift` for some cells."""
    draw = np.random.default_rng(seed)
    seen = {}
    for index in range(weeks * 7):
        day = MONDAY + timedelta(days=index)
        mood = np.exp(draw.normal(0, day_effect)) if day_effect else 1.0
        for hour in range(24):
            over = int(draw.poisson(volume * (1 + 0.8 * np.sin(hour / 24 * 2 * np.pi))) + 1)
            chance = rate * mood * (lift or {}).get((day.weekday(), hour), (lift or {}).get(hour, 1.0))
            if burst:
                chance *= draw.gamma(1 / burst, burst)
            seen[day, hour] = (D(int(draw.poisson(over * chance))), D(over))
    return seen


@pytest.mark.parametrize("family", ["hour", "weekday", "hour_of_week"])
@pytest.mark.parametrize("burst", [0.0, 0.5])
def test_a_world_without_a_pattern_hardly_ever_has_a_best_hour(family, burst):
    """With nothing to find, every find is false: worlds with any find are at most the nominal share (and chance)."""
    worlds = 120
    fooled = sum(
        bool(find(world(seed, burst=burst), family=family, up_is_good=True).found) for seed in range(worlds)
    )
    chance = 3 * np.sqrt(RATE * (1 - RATE) / worlds)
    assert fooled / worlds <= RATE + chance, fooled


def test_good_and_bad_days_do_not_make_best_hours():
    fooled = sum(
        bool(find(world(seed, day_effect=0.3), family="hour", up_is_good=True).found) for seed in range(60)
    )
    assert fooled / 60 <= RATE + 3 * np.sqrt(RATE * (1 - RATE) / 60)


def test_an_hour_that_is_better_is_found_and_named():
    pattern = find(world(1, volume=2000, burst=0.1, lift={20: 1.5, 4: 0.5}), family="hour", up_is_good=True)
    assert {(one.hour, one.verdict) for one in pattern.found} >= {(20, "better"), (4, "worse")}
    assert len(pattern.found) <= 4
    best = pattern.groups[20]
    assert best.low < best.ratio < best.high


def test_for_a_cost_the_dear_hour_is_the_worse_one():
    pattern = find(world(1, lift={20: 1.5}), family="hour", up_is_good=False)
    assert next(one.verdict for one in pattern.found if one.hour == 20) == "worse"


def test_a_single_hour_of_the_week_is_found_among_168():
    pattern = find(world(3, volume=4000, lift={(2, 9): 1.5}), family="hour_of_week", up_is_good=True)
    assert (2, 9) in {(one.weekday, one.hour) for one in pattern.found}


def test_too_few_weeks_or_too_little_volume_say_so_and_name_no_best_hour():
    few = find(world(1, weeks=LEAST_WEEKS - 1, lift={20: 3.0}), family="hour", up_is_good=True)
    assert (few.enough, few.found) == (False, ())
    assert few.why == "3 of 4 weeks are there yet."
    thin = find(world(1, volume=0.2, lift={20: 3.0}), family="hour_of_week", up_is_good=True)
    assert (thin.enough, thin.found) == (False, ())
    nothing = find({}, family="weekday", up_is_good=True)
    assert (nothing.enough, nothing.weeks, len(nothing.groups)) == (False, 0, 7)


def test_sums_are_exact_whatever_the_statistics_round():
    seen = {(MONDAY + timedelta(days=d), 5): (D("0.1"), D("3")) for d in range(35)}
    pattern = find(seen, family="hour", up_is_good=True)
    assert (pattern.groups[5].top, pattern.groups[5].over) == (D("3.5"), D(105))
    assert pattern.groups[6].ratio is None
    assert pattern.found == ()


@pytest.mark.parametrize(
    "free, at_5_percent", [(1, 12.7062), (2, 4.30265), (3, 3.18245), (7, 2.36462), (30, 2.04227)]
)
def test_student_s_table_is_reproduced(free, at_5_percent):
    assert two_sided(at_5_percent, free) == pytest.approx(0.05, abs=1e-5)
    assert quantile(free) == pytest.approx(at_5_percent, abs=1e-4)
    assert two_sided(0, free) == 1


def test_the_95_percent_interval_holds_the_truth_about_that_often():
    inside = total = 0
    for seed in range(40):
        for one in find(world(seed, burst=0.3), family="hour", up_is_good=True).groups:
            total += 1
            inside += one.low <= 0.02 <= one.high
    assert 0.94 <= inside / total <= 0.995
