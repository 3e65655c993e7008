"""What is known about a true rate: said in time, never because somebody looked often."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.engine.eprocess import excess, excess_by_day, shortage
from strategies.engine.evidence import (
    ALPHA,
    Answer,
    Claim,
    claim_of,
    day_variation,
    event_scale,
    interval,
    judge,
    sentence,
)
from strategies.engine.expectation import CAREFUL, Expectation, History
from tests.insights.markets import most_by_chance
from tests.strategies.engine import ad_sets

CPA = claim_of(metric="cpa", greater=True, threshold=20)
CHEAP = claim_of(metric="cpa", greater=False, threshold=20)
#: Half a day's results are there at its end, all of them a week later.
SHARES = (0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0)
AT_ONCE = (1.0,)


def money(amount):
    return f"USD {amount:,.0f}"


def days(spend, seen, gone=1.0):
    return History(spend, spend, seen, gone)


def told(history, claim=CPA, shares=AT_ONCE, **more):
    found = judge(claim, history, shares=shares, **more)
    return sentence(found, target="CPA of USD 20", events="purchases", objects="ad sets", money=money)


# --- what a condition claims


@pytest.mark.parametrize(
    ("metric", "greater", "threshold", "claim"),
    [
        ("cpa", True, 20, Claim("cpa", "conversions", "spend", 1 / 20, True)),
        ("cpa", False, 20, Claim("cpa", "conversions", "spend", 1 / 20, False)),
        ("cost_per_link_click", True, 2, Claim("cost_per_link_click", "link_clicks", "spend", 0.5, True)),
        ("ctr", False, 0.8, Claim("ctr", "clicks", "impressions", 0.008, True)),
        ("ctr", True, 0.8, Claim("ctr", "clicks", "impressions", 0.008, False)),
        ("conversion_rate", False, 2, Claim("conversion_rate", "conversions", "clicks", 0.02, True)),
        ("roas", False, 2.5, Claim("roas", "conversion_value", "spend", 2.5, True)),
        # Money buys impressions and people are counted once: no events that chance deals out.
        ("cpm", True, 9, None),
        ("frequency", True, 3, None),
        ("cpp", True, 3, None),
        ("reach_efficiency", False, 3, None),
        # A sum is what it is, and no rate is compared with nothing.
        ("spend", True, 100, None),
        ("cpa", True, 0, None),
        ("cpa", True, -1, None),
        ("roas", False, math.inf, None),
        ("unheard_of", True, 1, None),
    ],
)
def test_a_condition_on_a_rate_is_a_claim_about_events_per_base(metric, greater, threshold, claim):
    assert claim_of(metric=metric, greater=greater, threshold=threshold) == claim


# --- what is said


def test_a_few_clicks_of_spend_are_too_early_and_the_sentence_says_what_is_missing():
    assert told(days([48], [0], gone=0.5), shares=(0.7,)) == (
        "Spent USD 48; at the target CPA of USD 20 about 0.8 reported purchases were to be expected by now, "
        "0 were seen; that little happens in 43 % of ad sets that are just on target: "
        "too early to know whatever is seen, USD 99 more without another will tell"
    )


def test_a_loser_is_known_and_a_healthy_one_is_known_not_to_be_one():
    assert told(days([100] * 2, [0, 1])) == (
        "Spent USD 200; at the target CPA of USD 20 about 10.0 reported purchases were to be expected by now, "
        "1 were seen; that little happens in less than 1 % of ad sets that are just on target: "
        "it is known to be worse than the target"
    )
    assert told(days([100] * 2, [12, 13])).endswith(
        "25 were seen: it is known not to be worse than the target"
    )


def test_better_than_the_target_is_said_by_the_same_rules():
    assert judge(CHEAP, days([100] * 2, [12, 13]), shares=AT_ONCE).answer is Answer.ACT
    assert judge(CHEAP, days([100] * 2, [0, 1]), shares=AT_ONCE).answer is Answer.CONTRARY
    assert judge(CHEAP, days([100] * 2, [6, 8]), shares=AT_ONCE).answer is Answer.WAIT
    assert told(days([100] * 2, [6, 8]), CHEAP) == (
        "Spent USD 200; at the target CPA of USD 20 about 10.0 reported purchases were to be expected by now, "
        "14 were seen; that much happens in 14 % of ad sets that are just on target: "
        "wait, USD 897 more going on like this will tell"
    )


def test_small_denominators_are_unknown_however_good_they_look():
    lucky = judge(CHEAP, days([20], [4]), shares=AT_ONCE)
    assert lucky.answer is Answer.CANNOT_KNOW and lucky.more_spend == pytest.approx(40, abs=1)
    # Twenty results for two that were to be expected would be proof enough, if proof were all.
    assert judge(CHEAP, days([40], [20]), shares=AT_ONCE).answer is Answer.CANNOT_KNOW
    assert judge(CHEAP, days([300], [60]), shares=AT_ONCE).answer is Answer.ACT
    assert judge(CPA, days([0], [0]), shares=AT_ONCE).answer is Answer.CANNOT_KNOW


def test_money_is_judged_only_where_the_spread_of_orders_is_known():
    roas = claim_of(metric="roas", greater=False, threshold=2)
    history = days([100] * 12, [40, 0, 55, 0, 30, 80, 0, 0, 45, 60, 20, 0])
    assert judge(roas, history, shares=AT_ONCE, scale=None).answer is Answer.CANNOT_KNOW
    found = judge(roas, history, shares=AT_ONCE, scale=90)
    assert found.answer is Answer.ACT and found.chance is None
    said = sentence(
        found, target="ROAS of 2", events="value", objects="ad sets", money=money, money_seen=True
    )
    assert said == (
        "Spent USD 1,200; at the target ROAS of 2 about USD 2,400 of reported value was to be expected by now, "
        "USD 330 was seen: it is known to be worse than the target"
    )
    # Orders that vary more say less.
    assert judge(roas, history, shares=AT_ONCE, scale=900).answer is Answer.CANNOT_KNOW


def test_results_that_are_late_are_not_held_against_an_object():
    loser = days([60, 60], [0, 0])
    assert judge(CPA, loser, shares=AT_ONCE).answer is Answer.ACT
    late = judge(CPA, loser, shares=SHARES)
    assert late.answer is Answer.CANNOT_KNOW and late.expected == pytest.approx(3 * 0.5 + 3 * 0.7)
    # Not learned yet: later than that.
    assert judge(CPA, loser, shares=None).expected == pytest.approx(3 * CAREFUL[0] + 3 * CAREFUL[1])
    # "Better" takes the other bound: all of it may be there.
    assert judge(CHEAP, loser, shares=None).expected == pytest.approx(6)


def test_what_is_reported_of_the_running_day_lies_within_bounds():
    at = Expectation(1.0, days([8, 8, 4], [0, 0, 0], gone=0.5), SHARES)
    assert at.low == pytest.approx([8 * 0.75, 8 * 0.6, 4 * 0.25])
    assert at.high == pytest.approx([8 * 0.8, 8 * 0.7, 4 * 0.5])


def test_a_share_that_falls_later_is_taken_from_its_careful_side():
    at = Expectation(1.0, days([1, 1, 1], [0, 0, 0]), (0.9, 1.1, 1.0))
    assert at.low == pytest.approx([1.0, 1.0, 0.9]) and at.high == pytest.approx([1.1, 1.1, 0.9])


def test_spend_that_is_still_needed_is_what_it_then_takes():
    """That many days without a result decide, a day less does not: through reports that come late."""
    history = days([50, 50], [1, 0])
    found = judge(CPA, history, shares=SHARES)
    assert found.answer in (Answer.WAIT, Answer.CANNOT_KNOW)
    whole_days = math.ceil(found.more_days)
    assert found.more_spend == pytest.approx(50 * found.more_days)
    for more, known in ((whole_days, True), (whole_days - 1, False)):
        later = days([50] * (2 + more), [1] + [0] * (1 + more))
        assert (judge(CPA, later, shares=SHARES).answer is Answer.ACT) == known


def test_going_on_like_this_is_what_it_then_takes():
    history = days([100] * 3, [5, 6, 5])
    found = judge(CHEAP, history, shares=SHARES)
    assert found.answer is Answer.WAIT
    ratio = sum(history.seen) / found.expected
    for more, known in ((math.ceil(found.more_days), True), (math.ceil(found.more_days) - 1, False)):
        at = Expectation(CHEAP.target, days([100] * (3 + more), [0] * (3 + more)), SHARES)
        later = days([100] * (3 + more), np.maximum([*history.seen, *[0] * more], ratio * at.high))
        assert (judge(CHEAP, later, shares=SHARES).answer is Answer.ACT) == known


def test_the_pace_of_a_first_day_is_that_of_a_whole_one():
    found = judge(CPA, days([24], [0], gone=0.25), shares=AT_ONCE)
    assert found.more_spend == pytest.approx(96 * found.more_days)


def test_one_huge_order_or_the_running_day_does_not_raise_by_itself():
    roas = claim_of(metric="roas", greater=True, threshold=1)
    quiet = [100.0] * 9
    for seen, gone in (([*quiet, 20_000.0], 1.0), ([*quiet, 20_000.0], 0.5)):
        assert judge(roas, days([100] * 10, seen, gone=gone), shares=AT_ONCE, scale=90).answer is Answer.WAIT
    half = judge(roas, days([100] * 10, [*quiet, 300.0], gone=0.5), shares=AT_ONCE, scale=90)
    assert half.e == judge(roas, days([100] * 10, [*quiet, 0.0], gone=0.5), shares=AT_ONCE, scale=90).e
    # Many good days do.
    assert judge(roas, days([100] * 20, [250.0] * 20), shares=AT_ONCE, scale=90).answer is Answer.ACT


def test_without_spend_only_what_is_still_to_be_reported_may_tell():
    stopped = days([120, 0, 0, 0, 0, 0, 0, 0], [0] * 8)
    assert (
        judge(CPA, replace(stopped, spend=[60] + [0] * 7, base=[60] + [0] * 7), shares=SHARES).more_spend
        is None
    )
    fresh = days([120, 0], [0, 0])
    found = judge(CPA, replace(fresh), shares=(0.2, 0.3, 1.0))
    assert found.answer is Answer.CANNOT_KNOW and found.more_days < 1
    quiet = days([130] + [0] * 8, [0] * 9)
    found = judge(CPA, quiet, shares=(0.1,) * 12 + (1.0,))
    assert found.more_spend == 0 and "what is still to be reported will tell" in told(
        quiet, shares=(0.1,) * 12 + (1.0,)
    )


@pytest.mark.parametrize(
    "broken",
    [
        lambda: History([], [], []),
        lambda: History([1.0], [1.0, 2.0], [1.0]),
        lambda: History([1.0], [1.0], [-1.0]),
        lambda: History([math.nan], [1.0], [1.0]),
        lambda: History([1.0], [1.0], [1.0], 0.0),
        lambda: History([1.0], [1.0], [1.0], 1.1),
        lambda: judge(CPA, days([1], [0]), shares=AT_ONCE, alpha=0),
    ],
)
def test_what_makes_no_sense_is_refused(broken):
    with pytest.raises(ValueError):
        broken()


# --- exact: the bets are fair


def poisson(mean, upto=400):
    n = np.arange(upto)
    return n, np.exp(n * math.log(mean) - mean - np.array([math.lgamma(k + 1) for k in n]))


@pytest.mark.parametrize("expected", [0.3, 3.0, 30.0])
def test_a_bet_against_a_true_target_is_worth_one_and_less_against_a_better_one(expected):
    for bet, healthy in ((shortage, 1.2), (excess, 0.8)):
        values = []
        for rate in (1.0, healthy):
            n, chance = poisson(expected * rate)
            values.append(float((chance * np.exp(bet(n[:, None].astype(float), [expected]))).sum()))
        assert values[0] == pytest.approx(1.0, abs=1e-9)
        assert values[1] < 1


@pytest.mark.parametrize("p", [0.002, 0.2])
def test_trials_are_never_worth_more_than_one(p):
    n = np.arange(101)
    chance = np.array([math.comb(100, k) * p**k * (1 - p) ** (100 - k) for k in n])
    for bet in (shortage, excess):
        assert float((chance * np.exp(bet(n[:, None].astype(float), [100 * p]))).sum()) <= 1 + 1e-12


#: Sizes of orders and how often each comes; the last has a rare order of a hundred times the usual.
ORDERS = [((10.0,), (1.0,)), ((5.0, 50.0), (0.8, 0.2)), ((10.0, 1000.0), (0.99, 0.01))]


@pytest.mark.parametrize(("sizes", "shares"), ORDERS)
def test_a_bet_on_money_is_fair_for_orders_of_any_spread(sizes, shares):
    """Two kinds of orders, each by chance: every pair of counts is summed."""
    mean = sum(x * p for x, p in zip(sizes, shares, strict=True))
    scale = sum(x * x * p for x, p in zip(sizes, shares, strict=True)) / mean
    for orders in (0.5, 4.0):
        value, chance = np.zeros(1), np.ones(1)
        for size, share in zip(sizes, shares, strict=True):
            n, p = poisson(orders * share, 60)
            value = (value[:, None] + size * n).ravel()
            chance = (chance[:, None] * p).ravel()
        whole = orders * mean
        for e in (
            np.exp(shortage(value[:, None], [whole], scale=scale)),
            np.exp(excess_by_day(value[:, None], [whole], [whole], scale=scale)),
        ):
            assert float((chance * e).sum()) <= 1 + 1e-9
    # And the spread matters: taken for orders of one size, the rare large one would be missed.
    if len(sizes) == 2 and sizes[1] == 1000:
        assert float((chance * np.exp(shortage(value[:, None], [whole], scale=sizes[0]))).sum()) > 1.5


counts = st.lists(st.integers(0, 30), min_size=1, max_size=30)


@given(counts, st.integers(0, 29), st.floats(0.1, 20))
def test_one_more_result_never_makes_an_object_look_worse(seen, where, per_day):
    day = where % len(seen)
    more = [n + (i == day) for i, n in enumerate(seen)]
    expected = [per_day] * len(seen)
    assert shortage(more, expected) <= shortage(seen, expected) + 1e-9
    assert excess(more, expected) >= excess(seen, expected) - 1e-9
    assert excess_by_day(more, expected, expected) >= excess_by_day(seen, expected, expected) - 1e-9


@given(counts, st.floats(1.0, 200.0), st.booleans())
def test_the_verdict_is_the_one_of_the_e_values(seen, spend, below):
    claim = replace(CPA, below=below)
    found = judge(claim, days([spend] * len(seen), seen, gone=0.5), shares=SHARES)
    assert (found.answer is Answer.ACT) == (found.e >= 1 / ALPHA)
    if found.answer in (Answer.ACT, Answer.CONTRARY):
        assert found.more_spend is None
    assert not (found.e >= 1 / ALPHA and found.e_contrary >= 1 / ALPHA)


# --- by simulation: looks do not add up to errors

HOURLY_RUNS = 300


@pytest.fixture(scope="module")
def on_target():
    """Ad sets exactly at the target for 28 days, looked at each hour."""
    return ad_sets.run(np.random.default_rng(11), runs=HOURLY_RUNS, days=28, looks_per_day=24)


def test_hourly_looks_over_28_days_stop_no_more_healthy_ad_sets_than_tolerated(on_target):
    bound = most_by_chance(HOURLY_RUNS, ALPHA)
    assert ad_sets.guard_stops(on_target).any(axis=1).sum() <= bound
    # The same looks with the plain "this little happens in less than 5 %" stop many more: the bound tells them apart.
    naive = np.zeros(HOURLY_RUNS, bool)
    for look in range(23, len(on_target.at)):
        expected = ad_sets.expectation(on_target, look).low.sum()
        n, chance = poisson(float(expected))
        naive |= np.cumsum(chance)[on_target.seen[:, :, look].sum(axis=0).astype(int)] < ALPHA
    assert naive.sum() > 2 * bound


def test_hourly_looks_raise_no_more_ad_sets_that_are_not_better_than_tolerated(on_target):
    raised = np.zeros(HOURLY_RUNS, bool)
    for look in range(len(on_target.at)):
        at = ad_sets.expectation(on_target, look)
        if at.enough(1.0):
            raised |= excess(on_target.seen[: len(at.high), :, look].T, at.high) >= -math.log(ALPHA)
    assert raised.sum() <= most_by_chance(HOURLY_RUNS, ALPHA)


def heavy(rng, count):
    """Order values with a heavy tail, of mean 1: one in a hundred is fourteen times the median or more."""
    return np.exp(1.1 * rng.standard_normal(count) - 0.605)


@pytest.mark.parametrize("learned_from", [None, 200])
def test_hourly_looks_at_money_with_a_heavy_tail_stop_no_more_than_tolerated(learned_from):
    """With the true spread of orders, and with one that was learned from 200 orders."""
    rng = np.random.default_rng(12)
    one = ad_sets.run(rng, runs=HOURLY_RUNS, days=28, looks_per_day=8, size=heavy)
    scale = (
        math.exp(1.21) if learned_from is None else event_scale(heavy(rng, learned_from), [1] * learned_from)
    )
    assert ad_sets.guard_stops(one, scale=scale).any(axis=1).sum() <= most_by_chance(HOURLY_RUNS, ALPHA)
    raised = np.zeros(HOURLY_RUNS, bool)
    for look in range(7, len(one.at), 8):
        at = ad_sets.expectation(one, look)
        logs = excess_by_day(one.seen[: len(at.high), :, look].T, at.high, at.whole, scale=scale)
        raised |= logs >= -math.log(ALPHA)
    assert raised.sum() <= most_by_chance(HOURLY_RUNS, ALPHA)
    # A loser and a winner are found all the same.
    for rate, stops in ((1 / 3, True), (2.5, False)):
        other = ad_sets.run(rng, runs=60, days=28, looks_per_day=1, size=heavy, rate=rate)
        at = ad_sets.expectation(other, 27)
        last = other.seen[:, :, 27].T
        logs = (
            shortage(last, at.low, scale=scale)
            if stops
            else excess_by_day(last, at.high, at.whole, scale=scale)
        )
        assert (logs >= -math.log(ALPHA)).mean() > 0.9


def test_intervals_hold_the_true_rate_at_all_looks_together():
    one = ad_sets.run(np.random.default_rng(13), runs=40, days=21, looks_per_day=1)
    outside = 0
    for which in range(40):
        bounds = [
            interval(ad_sets.history(one, which=which, look=look), shares=ad_sets.shares())
            for look in range(2, 21, 6)
        ]
        outside += any(not low <= 1 <= high for low, high in bounds)
        low, high = bounds[-1]
        assert 0.4 < low < 1.6 and 0.6 < high < 2.2
    assert outside <= most_by_chance(40, ALPHA)
    # The bounds are the targets at which each test refuses at half of alpha.
    history = ad_sets.history(one, which=0, look=20)
    low, high = interval(history, shares=ad_sets.shares())
    for bound, below in ((high, True), (low, False)):
        at_bound = judge(Claim("cpa", "conversions", "spend", bound, below), history, shares=ad_sets.shares())
        assert at_bound.e == pytest.approx(2 / ALPHA, rel=0.02)
    assert interval(days([0], [0]), shares=AT_ONCE) == (0.0, math.inf)


def test_what_turned_bad_after_good_weeks_is_found_in_days():
    """28 days at the target, then at three times the cost. A test that first works off the past takes twice as long."""
    rng = np.random.default_rng(14)
    seen = np.concatenate([rng.poisson(5.0, (200, 28)), rng.poisson(5 / 3, (200, 14))], axis=1).astype(float)
    stopped = np.full(200, 99)
    for day in range(42, 28, -1):
        hit = shortage(seen[:, :day], np.full(day, 5.0)) >= -math.log(ALPHA)
        stopped[hit] = day - 28
    assert np.median(stopped) <= 7 and (stopped <= 14).mean() > 0.95


def test_the_guard_says_of_one_object_what_the_simulation_says_of_all(on_target):
    for which in range(4):
        for look in (5, 30, 200, 671):
            at = ad_sets.expectation(on_target, look)
            found = judge(
                Claim("cpa", "conversions", "spend", 1.0, True),
                ad_sets.history(on_target, which=which, look=look),
                shares=ad_sets.shares(),
            )
            logs = shortage(on_target.seen[: len(at.low), which, look], at.low)
            assert found.e == pytest.approx(math.exp(logs), rel=1e-6)


@pytest.mark.fault("F75")
def test_the_table_of_popular_recipes_and_the_guard():
    """A small rebuild of the table (`make prove`: all 2,000 runs): recipes stop the healthy, the guard does not."""
    ad_sets.check_the_table(runs=250, seed=1)


def test_the_spread_of_orders_is_learned_from_rows_that_hold_several():
    rng = np.random.default_rng(15)
    rows = rng.poisson(3, 4000)
    values = [float(heavy(rng, n).sum()) for n in rows]
    # E[x^2] / E[x] of this lognormal.
    assert event_scale(values, rows) == pytest.approx(math.exp(1.21), rel=0.25)
    assert event_scale([10.0] * 40, [1] * 40) == pytest.approx(10)
    assert event_scale([10.0] * 29, [1] * 29) is None
    assert event_scale([0.0] * 40, [1] * 40) is None


def uneven(rng, runs, per_day, variation, count=28):
    """Days with a factor of their own, beside chance."""
    return rng.poisson(per_day * rng.gamma(1 / variation, variation, (runs, count))).astype(float)


def test_days_that_differ_beyond_chance_are_learned_and_allowed_for():
    """A shop with 30 orders a day whose days differ by 30 %: chance alone would explain a fifth of that."""
    rng, variation = np.random.default_rng(16), 0.09
    learned = day_variation([([50.0] * 28, row) for row in uneven(rng, 40, 30, variation)])
    assert learned == pytest.approx(variation, rel=0.2)
    seen = uneven(rng, HOURLY_RUNS, 30, variation)
    stops = {}
    for allowed in (0.0, learned):
        stopped = np.zeros(HOURLY_RUNS, bool)
        for day in range(1, 29):
            at = Expectation(1.0, days([30.0] * day, [0] * day), AT_ONCE)
            stopped |= shortage(seen[:, :day], at.low, scale=at.lumps(1.0, allowed)) >= -math.log(ALPHA)
        stops[allowed] = int(stopped.sum())
    assert stops[learned] <= most_by_chance(HOURLY_RUNS, ALPHA) < stops[0.0] / 2
    # And what is twice too dear is found.
    losers = uneven(rng, 50, 15, variation)
    at = Expectation(1.0, days([30.0] * 28, [0] * 28), AT_ONCE)
    assert (shortage(losers, at.low, scale=at.lumps(1.0, learned)) >= -math.log(ALPHA)).all()


def test_even_days_have_no_variation_and_few_say_nothing():
    rng = np.random.default_rng(17)
    even = [([5.0] * 28, rng.poisson(5.0, 28)) for _ in range(40)]
    assert day_variation(even) == pytest.approx(0, abs=0.02)
    assert day_variation([([5.0] * 13, [5] * 13)]) is None
    assert day_variation([([1.0] * 20, [1] * 20)]) is None
    assert day_variation([([10.0, 0.0] * 20, [10, 3] * 20)]) == 0


def test_the_guard_allows_for_uneven_days():
    history = days([100] * 6, [2, 1, 4, 3, 2, 3])
    plain, allowed = (judge(CPA, history, shares=AT_ONCE, variation=one) for one in (0.0, 0.3))
    assert plain.answer is Answer.ACT and allowed.answer is Answer.WAIT
    # The chance of one look grows with it: a negative binomial with the same mean.
    assert plain.chance < 0.01 < allowed.chance < 0.2
    calm, wild = (interval(history, shares=AT_ONCE, variation=one) for one in (0.0, 0.3))
    assert wild[0] <= calm[0] < calm[1] < wild[1]


def test_the_chance_of_one_look_is_that_of_the_distribution():
    n, chance = poisson(7.5)
    assert judge(CPA, days([150], [4]), shares=AT_ONCE).chance == pytest.approx(chance[:5].sum())
    assert judge(CHEAP, days([150], [9]), shares=AT_ONCE).chance == pytest.approx(chance[9:].sum())
    rng = np.random.default_rng(18)
    drawn = rng.poisson(7.5 * rng.gamma(5, 1 / 5, 200_000))
    found = judge(CPA, days([150], [4]), shares=AT_ONCE, variation=0.2)
    assert found.chance == pytest.approx((drawn <= 4).mean(), abs=0.004)
    assert judge(CPA, days([150], [9000]), shares=AT_ONCE).chance == 1
