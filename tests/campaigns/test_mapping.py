"""Rows of the Graph API become our values: units, names, and what is odd."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import campaigns.mapping as mapping
from campaigns.states import Field, Level

ROW = {
    "id": "23850000000000001",
    "name": "Spring",
    "status": "ACTIVE",
    "effective_status": "ACTIVE",
    "daily_budget": "5000",
    "start_time": "2026-11-21T10:15:30-0800",
}


def test_a_budget_is_read_in_major_units_of_the_accounts_currency():
    assert mapping.campaign(ROW, currency="USD").daily_budget == Decimal("50")
    assert mapping.campaign(ROW, currency="JPY").daily_budget == Decimal("5000")
    assert mapping.campaign(ROW, currency="HUF").daily_budget == Decimal("5000")


@pytest.mark.fault("F71")
def test_in_an_unlisted_currency_a_budget_is_unknown_and_not_guessed():
    assert mapping.campaign(ROW, currency="XAU").daily_budget is None


@pytest.mark.parametrize("value", ["0", None, "", "50.5", True, 4.5, [], "9" * 30])
def test_what_is_no_budget_is_none(value):
    assert mapping.campaign({**ROW, "daily_budget": value}, currency="USD").daily_budget is None


def test_a_new_status_word_is_kept_and_flagged():
    row = mapping.campaign({**ROW, "effective_status": "SLEEPING"}, currency="USD")
    assert (row.effective_status, row.known) == ("SLEEPING", False)
    assert mapping.campaign(ROW, currency="USD").known


def test_times_become_utc():
    assert mapping.campaign(ROW, currency="USD").start_time == datetime(2026, 11, 21, 18, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "value", ["", None, "1970-01-01T00:00:00+0000", "soon", 10**20, "2026-11-21T10:15:30", {}]
)
def test_what_is_no_time_is_none(value):
    assert mapping.moment(value) is None


@pytest.mark.parametrize("bad", [{}, {"id": ""}, {"id": "act_1"}, {"id": None}, {"id": True}, {"id": ["1"]}])
def test_a_row_without_an_id_is_malformed(bad):
    with pytest.raises(mapping.Malformed):
        mapping.campaign(bad, currency="USD")


def test_an_ad_set_needs_its_campaign():
    with pytest.raises(mapping.Malformed):
        mapping.ad_set(ROW, currency="USD")


def test_the_value_of_a_field_in_canonical_text():
    assert mapping.value_of(ROW, Field.STATUS, currency="USD") == "ACTIVE"
    assert mapping.value_of({**ROW, "daily_budget": "5050"}, Field.DAILY_BUDGET, currency="USD") == "50.50"
    assert mapping.value_of(ROW, Field.LIFETIME_BUDGET, currency="USD") == ""
    assert mapping.value_of({**ROW, "status": "DELETED"}, Field.DAILY_BUDGET, currency="USD") == "DELETED"


def test_an_activity_names_the_object_the_field_and_both_values():
    line = mapping.activity(
        {
            "event_time": "2026-11-21T10:15:30+0000", "event_type": "update_campaign_budget", "object_id": "7",
            "actor_id": "5", "extra_data": '{"old_value": 5000, "new_value": "6000", "type": "daily_budget"}',
        },
        currency="USD",
    )  # fmt: skip
    assert (line.level, line.field, line.before, line.after) == (
        Level.CAMPAIGN,
        Field.DAILY_BUDGET,
        "50",
        "60",
    )


def test_a_status_activity_in_spoken_words():
    line = mapping.activity(
        {
            "event_time": "2026-11-21T10:15:30+0000", "event_type": "update_ad_set_run_status", "object_id": "7",
            "extra_data": '{"old_value": "Active", "new_value": "Inactive"}',
        },
        currency="USD",
    )  # fmt: skip
    assert (line.field, line.before, line.after) == (Field.STATUS, "ACTIVE", "PAUSED")


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30) | st.floats(allow_nan=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = [
    *(
        "name",
        "status",
        "configured_status",
        "effective_status",
        "daily_budget",
        "lifetime_budget",
        "bid_amount",
    ),
    *(
        "start_time",
        "end_time",
        "learning_stage_info",
        "creative",
        "thumbnail_url",
        "event_time",
        "event_type",
    ),
    *("extra_data", "object_id"),
]


@given(st.dictionaries(st.sampled_from(NAMES), ODD))
def test_mapping_is_total_whatever_meta_sends(odd):
    row = {**odd, "id": "1", "campaign_id": "2", "adset_id": "3"}
    for mapped in (mapping.campaign, mapping.ad_set, mapping.ad, mapping.creative):
        assert mapped(row, currency="USD").meta_id == "1"
    mapping.activity(row, currency="USD")
