"""What followed: exact sums of the days after a pause, and an interval of the model for another budget."""

from datetime import date, timedelta
from decimal import Decimal as D

import numpy as np
import pytest

from strategies.engine.aftermath import Day, afterwards, modelled
from strategies.engine.response import Days, fit

FIRST = date(2026, 11, 1)


def days(count, spend="10", value="15", results="1"):
    numbers = (D(spend), None if results is None else D(results), None if value is None else D(value))
    return {FIRST + timedelta(days=ahead): Day(*numbers) for ahead in range(count)}


def at(ahead):
    return FIRST + timedelta(days=ahead)


def test_the_day_of_the_firing_is_left_out_and_the_last_is_in():
    found = afterwards(days(10), after=at(2), until=at(5))
    assert (found.since, found.until, found.days) == (at(3), at(5), 3)
    assert (found.spend, found.results, found.value, found.net) == (D(30), D(3), D(45), D(15))


def test_what_nobody_knows_of_one_day_nobody_knows_of_the_sum():
    some = days(3) | {at(1): Day(D(10), None, None)}
    found = afterwards(some, after=at(-1), until=at(2))
    assert (found.spend, found.results, found.net) == (D(30), None, None)
    nothing = afterwards({}, after=at(0), until=at(2))
    assert (nothing.days, nothing.spend, nothing.value, nothing.since) == (0, D(0), None, None)


def response(spend=10.0, value=40.0):
    return fit([Days([spend] * 28, [value] * 28, [1.0] * 28)] * 4)[0]


def test_another_budget_has_bounds_that_hold_doing_nothing_and_following_in_full():
    up = modelled(days(10), after=at(1), until=at(8), times=D("1.2"), response=response())
    assert up is not None
    assert up.low <= up.likely <= up.high
    assert up.low <= 0 <= up.high  # the spend need not follow the budget
    assert up.days == 7
    down = modelled(days(10), after=at(1), until=at(8), times=D("0.8"), response=response())
    assert down is not None
    # Four times the money back: more of it earns more, less of it less.
    assert down.likely < 0 < up.likely


@pytest.mark.parametrize("rate", [0.4, 1.0, 3.0])
def test_the_true_effect_lies_inside_nine_times_of_ten(rate):
    """Markets of a known concave truth whose budgets moved: the interval is asked about the next raise."""
    rng, inside, worlds = np.random.default_rng(7), 0, 60
    base = 100.0

    def true(spend, bend):
        return rate * base * (spend / base) ** bend

    for _ in range(worlds):
        bend = float(np.clip(rng.normal(0.7, 0.1), 0.4, 0.9))
        spend = base * np.repeat(rng.uniform(0.7, 1.4, 8), 7)
        value = rng.poisson(true(spend, bend) / 10) * 10.0
        one = fit([Days(spend, value, np.ones_like(spend))] * 3, spread=10.0)[0]
        week = {at(ahead): Day(D(int(base)), D(1), D(1)) for ahead in range(8)}
        found = modelled(week, after=at(0), until=at(7), times=D("1.3"), response=one)
        assert found is not None
        truth = 7 * (true(130.0, bend) - true(100.0, bend) - 30.0)
        inside += float(found.low) <= truth <= float(found.high)
    assert inside >= 0.9 * worlds


def test_an_object_of_which_nothing_is_known_has_no_model():
    assert modelled(days(3, spend="0"), after=at(-1), until=at(2), times=D(2), response=response()) is None
    empty = fit([Days([], [], [])])[0]
    assert modelled(days(3), after=at(-1), until=at(2), times=D(2), response=empty) is None
