"""One winner per object and field, whatever the order."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.engine.conflicts import STRENGTH, Claim, settle
from strategies.engine.types import Action, Do, Intent


def claim(strategy: str, action: Action, object_id: str = "10", *, open_: bool = False) -> Claim:
    target = {Action.PAUSE: "PAUSED", Action.RAISE_BUDGET: "60"}.get(action)
    return Claim(
        strategy, Intent(action, "adset", object_id, "Ad set", Do(action).field, None, target, "case"), open_
    )


@pytest.mark.fault("N17")
@pytest.mark.fault("F66")
def test_a_pause_beats_a_raise_in_every_order():
    claims = [
        claim("a", Action.RAISE_BUDGET),
        claim("b", Action.PAUSE),
        claim("c", Action.EXPAND_AUDIENCE),
        claim("c", Action.RAISE_BUDGET, "11"),
    ]
    outcomes = {settle(order) for order in permutations(claims)}
    (settled,) = outcomes
    assert {(won.strategy, won.intent.object_id) for won in settled.winners} == {("b", "10"), ("c", "11")}
    assert {lost.strategy for lost, _ in settled.losers} == {"a", "c"}


def test_of_two_raises_the_one_that_a_person_already_sees_stays():
    settled = settle([claim("a", Action.RAISE_BUDGET), claim("b", Action.RAISE_BUDGET, open_=True)])
    assert [won.strategy for won in settled.winners] == ["b"]


def test_a_raise_and_advice_may_stand_side_by_side():
    assert len(settle([claim("a", Action.RAISE_BUDGET), claim("a", Action.EXPAND_AUDIENCE)]).winners) == 2


@pytest.mark.fault("N17")
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from(sorted(STRENGTH)),
            st.sampled_from(["10", "11"]),
            st.booleans(),
        ),
        unique_by=lambda item: item[:3],
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_the_outcome_is_unique_per_field_and_independent_of_order(items, dice):
    claims = [claim(who, action, object_id, open_=open_) for who, action, object_id, open_ in items]
    settled = settle(claims)
    keys = [(won.intent.object_id, won.intent.field) for won in settled.winners]
    assert len(keys) == len(set(keys))
    paused = {won.intent.object_id for won in settled.winners if won.intent.action is Action.PAUSE}
    assert all(field == "status" for object_id, field in keys if object_id in paused)
    assert len(settled.winners) + len(settled.losers) == len(claims)
    dice.shuffle(claims)
    assert settle(claims) == settled
