"""Whether it helped: by lot, at any number of looks, and never from the bad week that made a rule fire."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.engine.outcomes import (
    ALPHA,
    CHECKPOINTS,
    LEAST_OBJECTS,
    Outcome,
    Stretch,
    Unit,
    effect,
    followed,
    held_out,
)
from tests.insights.markets import most_by_chance

KEYS = [f"2385{number:08d}" for number in range(4000)]


# --- by lot


def test_the_draw_is_the_same_each_time_and_another_one_for_another_seed():
    drawn = [held_out(seed="rule-1", key=key, share=0.2) for key in KEYS]
    assert drawn == [held_out(seed="rule-1", key=key, share=0.2) for key in KEYS]
    other = [held_out(seed="rule-2", key=key, share=0.2) for key in KEYS]
    both = sum(a and b for a, b in zip(drawn, other, strict=True))
    assert abs(sum(drawn) - 800) < 4 * math.sqrt(4000 * 0.16)
    assert abs(both - 160) < 4 * math.sqrt(160)


def test_the_draw_is_written_down():
    """Another way of drawing would let objects change sides in the middle of an experiment."""
    assert [key for key in KEYS[:40] if held_out(seed="rule-1", key=key, share=0.1)] == [
        "238500000005",
        "238500000026",
        "238500000031",
        "238500000033",
    ]


@given(st.text(), st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_only_adds_objects(seed, key, one, other):
    small, large = sorted((one, other))
    assert held_out(seed=seed, key=key, share=large) or not held_out(seed=seed, key=key, share=small)
    assert not held_out(seed=seed, key=key, share=0) and held_out(seed=seed, key=key, share=1)


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_a_share_without_sense_is_refused(share):
    with pytest.raises(ValueError):
        held_out(seed="s", key="k", share=share)


# --- the rule's own effect


def matched(rng, count, *, gain=0.0, share=0.2):
    """Objects whose profit per day is their own, with a heavy tail; the rule adds `gain` to those it treats."""
    own = np.exp(rng.standard_normal(count)) * 20
    held = rng.random(count) < share
    before = own + 8 * rng.standard_normal(count)
    after = own + 8 * rng.standard_normal(count) + np.where(held, 0, gain)
    return [Unit(bool(h), float(b), float(a)) for h, b, a in zip(held, before, after, strict=True)]


def plainly_wrong(units, gain):
    """What 1.96 standard errors around the difference of the changes would have said at one look."""
    moved = [
        np.array([one.after - one.before for one in units if one.held is held]) for held in (False, True)
    ]
    error = math.sqrt(sum(one.var(ddof=1) / len(one) for one in moved))
    return abs(moved[0].mean() - moved[1].mean() - gain) > 1.96 * error


@pytest.mark.parametrize("gain", [0.0, 5.0])
def test_the_interval_holds_the_true_effect_at_every_look(gain):
    """Objects come in one after the other, and somebody looks at each fifth."""
    rng, runs, wrong, peeked = np.random.default_rng(21), 200, 0, 0
    for _ in range(runs):
        units = matched(rng, 200, gain=gain)
        looks = [effect(units[:count]) for count in range(40, 201, 5)]
        wrong += any(not one.low <= gain <= one.high for one in looks)
        # What a plain interval of 1.96 errors would have said at some look.
        peeked += any(plainly_wrong(units[:count], gain) for count in range(40, 201, 5))
    assert wrong <= most_by_chance(runs, ALPHA)
    assert peeked > 2 * most_by_chance(runs, ALPHA)


def test_an_effect_is_found_and_has_its_sign():
    rng = np.random.default_rng(22)
    better, worse = effect(matched(rng, 150, gain=12)), effect(matched(rng, 150, gain=-12))
    assert (better.outcome, worse.outcome) == (Outcome.IMPROVED, Outcome.WORSE)
    assert better.cost == pytest.approx(better.difference * better.held) and better.cost > 0 > worse.cost
    assert better.treated + better.held == 150


def test_the_past_explains_what_the_rule_did_not_do():
    """Without it, objects of such different size would drown the effect."""
    units = matched(np.random.default_rng(23), 150, gain=12)
    blind = effect([replace(one, before=0.0) for one in units])
    assert blind.outcome is Outcome.INCONCLUSIVE
    assert (blind.high - blind.low) > 1.5 * (effect(units).high - effect(units).low)


def test_few_objects_say_nothing_however_far_apart():
    apart = [Unit(False, 0.0, 100.0)] * 50 + [Unit(True, 0.0, 0.0)] * (LEAST_OBJECTS - 1)
    found = effect(apart)
    assert (found.outcome, found.low, found.high) == (Outcome.INCONCLUSIVE, -math.inf, math.inf)
    assert effect([*apart, Unit(True, 0.0, 0.0)]).outcome is Outcome.IMPROVED
    assert effect([]).outcome is Outcome.INCONCLUSIVE


# --- what one change was followed by

QUIET = {"peers_before": Stretch(4000, 80_000), "peers_after": Stretch(4000, 80_000)}


def test_a_change_that_was_followed_by_twice_the_rate_has_improved():
    found = followed(Stretch(50, 1000), Stretch(100, 1000), **QUIET)
    assert found.outcome is Outcome.IMPROVED and found.ratio == pytest.approx(2)
    assert 1 < found.low < 2 < found.high
    assert followed(Stretch(100, 1000), Stretch(50, 1000), **QUIET).outcome is Outcome.WORSE
    assert followed(Stretch(5, 100), Stretch(10, 100), **QUIET).outcome is Outcome.INCONCLUSIVE


def test_what_all_peers_did_is_not_put_down_to_the_change():
    sale = {"peers_before": Stretch(4000, 80_000), "peers_after": Stretch(8000, 80_000)}
    found = followed(Stretch(50, 1000), Stretch(100, 1000), **sale)
    assert found.outcome is Outcome.INCONCLUSIVE and found.ratio == pytest.approx(1)
    # Few peers are a weak witness.
    few = {"peers_before": Stretch(4, 80), "peers_after": Stretch(4, 80)}
    assert followed(Stretch(50, 1000), Stretch(100, 1000), **few).outcome is Outcome.INCONCLUSIVE


def test_money_is_counted_in_units_of_its_spread():
    stretches = Stretch(2000, 1000), Stretch(4000, 1000)
    peers = {"peers_before": Stretch(160_000, 80_000), "peers_after": Stretch(160_000, 80_000)}
    assert followed(*stretches, **peers, scale=30).outcome is Outcome.IMPROVED
    assert followed(*stretches, **peers, scale=300).outcome is Outcome.INCONCLUSIVE


def test_a_part_of_an_event_counts_for_the_careful_side():
    between = followed(Stretch(12.5, 100), Stretch(20.5, 100), **QUIET)
    assert between.low == followed(Stretch(13, 100), Stretch(20, 100), **QUIET).low
    assert between.high == followed(Stretch(12, 100), Stretch(21, 100), **QUIET).high


@pytest.mark.parametrize("odd", [Stretch(0, 1000), Stretch(10, 0), Stretch(0, 0)])
def test_nothing_before_or_after_is_inconclusive_or_plain(odd):
    assert followed(odd, Stretch(3, 1000), **QUIET).outcome is Outcome.INCONCLUSIVE
    assert followed(Stretch(3, 1000), odd, **QUIET).outcome is Outcome.INCONCLUSIVE
    assert (
        followed(Stretch(3, 9), Stretch(3, 9), peers_before=odd, peers_after=odd).outcome
        is Outcome.INCONCLUSIVE
    )


def test_nothing_at_all_after_many_is_worse():
    found = followed(Stretch(50, 1000), Stretch(0, 1000), **QUIET)
    assert (found.outcome, found.ratio, found.low) == (Outcome.WORSE, 0, 0)
    assert followed(Stretch(0, 1000), Stretch(50, 1000), **QUIET).outcome is Outcome.IMPROVED


@pytest.mark.parametrize("scale", [1.0, 25.0])
def test_four_looks_at_changes_without_effect_call_few_of_them_anything(scale):
    """1, 3, 7 and 28 days after; orders of one size each, so that a scale is that size."""
    rng, runs, wrong = np.random.default_rng(24), 400, 0
    for _ in range(runs):
        before = Stretch(scale * rng.poisson(35), 700)
        after, peers = 0, 0
        verdicts = []
        for since, until in zip((0, *CHECKPOINTS), CHECKPOINTS, strict=False):
            after += scale * rng.poisson(5 * (until - since))
            peers += scale * rng.poisson(50 * (until - since))
            verdicts.append(
                followed(
                    before,
                    Stretch(after, 100 * until),
                    peers_before=Stretch(scale * 350, 7000),
                    peers_after=Stretch(peers, 1000 * until),
                    scale=scale,
                ).outcome
            )
        wrong += set(verdicts) != {Outcome.INCONCLUSIVE}
    assert wrong <= most_by_chance(runs, ALPHA)


def test_the_interval_is_the_exact_one():
    """Against the tails of the binomial themselves."""
    huge = {"peers_before": Stretch(1e12, 1e12), "peers_after": Stretch(1e12, 1e12)}
    found = followed(Stretch(12, 100), Stretch(20, 100), **huge)
    tail = ALPHA / 4 / 2 / 2

    def at_least(share):
        return sum(math.comb(32, k) * share**k * (1 - share) ** (32 - k) for k in range(20, 33))

    assert at_least(found.low / (1 + found.low)) == pytest.approx(tail, rel=1e-4)
    low_side = (
        1
        - at_least(found.high / (1 + found.high))
        + math.comb(32, 20) * (found.high / (1 + found.high)) ** 20 * (1 / (1 + found.high)) ** 12
    )
    assert low_side == pytest.approx(tail, rel=1e-4)
