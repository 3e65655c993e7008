"""The table of states, by itself."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.errors import IllegalTransition
from campaigns.states import (
    OPEN,
    TERMINAL,
    TRANSITIONS,
    WAITING,
    ChangeState,
    Direction,
    Field,
    canonical,
    canonical_amount,
    check,
    direction,
)  # fmt: skip

S = ChangeState


def test_every_state_is_in_the_table():
    assert set(TRANSITIONS) == set(ChangeState)


def test_the_terminal_states_are_the_six_of_the_specification():
    assert {S.REJECTED, S.EXPIRED, S.NOOP, S.FAILED, S.APPLIED, S.SUPERSEDED} == TERMINAL


def test_open_is_what_has_begun_and_has_not_ended():
    nine = {
        S.PREPARING,
        S.SENDING,
        S.THROTTLED,
        S.HELD_AUTH,
        S.ACKED,
        S.UNKNOWN,
        S.VERIFYING,
        S.NOT_APPLIED,
        S.NEEDS_HUMAN,
    }
    assert nine == OPEN and not OPEN & (WAITING | TERMINAL)


@pytest.mark.parametrize("old", sorted(TERMINAL))
@pytest.mark.parametrize("new", list(ChangeState))
def test_terminal_states_absorb(old, new):
    with pytest.raises(IllegalTransition):
        check(old, new)


def test_only_sending_leads_to_an_answer_of_meta():
    for state in (S.ACKED, S.UNKNOWN, S.THROTTLED, S.HELD_AUTH):
        before = [old for old, onward in TRANSITIONS.items() if state in onward]
        assert before == [S.SENDING]


def test_sending_is_reached_only_from_preparing():
    assert [old for old, onward in TRANSITIONS.items() if S.SENDING in onward] == [S.PREPARING]


def test_a_state_leads_to_an_end():
    """Liveness: from every state some end can be reached."""
    reach = set(TERMINAL)
    while more := {old for old, onward in TRANSITIONS.items() if onward & reach} - reach:
        reach |= more
    assert reach == set(ChangeState)


@given(st.decimals(min_value=0, max_value=10**12, places=6, allow_nan=False, allow_infinity=False))
def test_an_amount_has_one_text_and_it_means_the_same_amount(amount):
    text = canonical_amount(amount)
    assert Decimal(text) == amount
    assert canonical(Field.DAILY_BUDGET, text) == text
    assert canonical_amount(amount.normalize()) == text


@pytest.mark.parametrize(
    "field, text",
    [
        (Field.STATUS, "DELETED"),
        (Field.STATUS, "on"),
        (Field.DAILY_BUDGET, "ten"),
        (Field.DAILY_BUDGET, "NaN"),
        (Field.DAILY_BUDGET, ""),
    ],
)
def test_what_is_no_value_of_the_field_is_refused(field, text):
    with pytest.raises(ValueError):
        canonical(field, text)


def test_the_direction_of_a_change():
    assert direction(Field.STATUS, "ACTIVE", "PAUSED") is Direction.STOP
    assert direction(Field.STATUS, "PAUSED", "ACTIVE") is Direction.START
    assert direction(Field.DAILY_BUDGET, "9.50", "10") is Direction.RAISE
    assert direction(Field.DAILY_BUDGET, "10", "9.50") is Direction.CUT
    assert direction(Field.DAILY_BUDGET, "", "1") is Direction.RAISE
