"""The guards by themselves: values in, reasons out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.changes.guards import Intent, Situation, evaluate
from campaigns.states import Evidence, Field, Level, Source

NOW = datetime(2026, 11, 18, 15, tzinfo=UTC)
FINE = Situation(
    present=True, known=True, status="ACTIVE", currency="USD", daily_budget=Decimal(100), lifetime_budget=None,
    structure_at=NOW - timedelta(minutes=5), minimum_daily=Decimal(1),
)  # fmt: skip
GOOD = Evidence(data_version=1, as_of=NOW, checksum="x", valid_until=NOW + timedelta(hours=1))
RAISE = Intent(
    level=Level.CAMPAIGN,
    field=Field.DAILY_BUDGET,
    before="100",
    target="110",
    currency="USD",
    source=Source.PERSON,
)
STOP = Intent(
    level=Level.AD, field=Field.STATUS, before="ACTIVE", target="PAUSED", currency="USD", source=Source.PERSON
)
START = replace(STOP, before="PAUSED", target="ACTIVE")
CUT = replace(RAISE, target="90")
BY_RULE = replace(RAISE, source=Source.STRATEGY, evidence=GOOD)


def codes(intent: Intent, now: datetime = NOW, **situation: object) -> list[str]:
    return [reason.code for reason in evaluate(intent=intent, situation=replace(FINE, **situation), now=now)]


@pytest.mark.parametrize("intent", [RAISE, STOP, START, CUT, BY_RULE])
def test_when_all_is_well_nothing_speaks_against_it(intent):
    assert codes(intent) == []


@pytest.mark.parametrize(
    "trouble, refused",
    [
        ({"structure_at": None}, {RAISE, START, CUT, BY_RULE}),
        ({"structure_at": NOW - timedelta(days=2)}, {RAISE, START, CUT, BY_RULE}),
        ({"structure_at": NOW - timedelta(hours=3)}, {RAISE, START, BY_RULE}),
        ({"account_active": False}, {RAISE, START, BY_RULE}),
        ({"ends_at": NOW}, {RAISE, START, BY_RULE}),
        ({"learning": True}, {BY_RULE}),
        ({"known": False}, {BY_RULE}),
        ({"exposure_trust": "stale"}, {BY_RULE}),
        ({"stopped": "Everything was stopped"}, {RAISE, START, CUT, BY_RULE, STOP}),
        ({"account_enabled": False}, {RAISE, START, CUT, BY_RULE, STOP}),
        ({"present": False}, {RAISE, START, CUT, BY_RULE, STOP}),
        ({"status": "ARCHIVED"}, {RAISE, START, CUT, BY_RULE, STOP}),
        ({"other_open": True}, {RAISE, START, CUT, BY_RULE}),
        ({"held_at": NOW, "held_reason": "edited"}, {BY_RULE}),
    ],
)
def test_stops_need_nothing_cuts_fresh_knowledge_raises_everything_healthy(trouble, refused):
    assert {intent for intent in (RAISE, STOP, START, CUT, BY_RULE) if codes(intent, **trouble)} == refused


def test_an_approval_from_before_an_outside_edit_does_not_count():
    early = replace(RAISE, approved_at=NOW - timedelta(minutes=5))
    assert codes(early, held_at=NOW - timedelta(minutes=1), held_reason="edited") == ["held"]
    assert codes(replace(RAISE, approved_at=NOW), held_at=NOW - timedelta(minutes=1)) == []


def test_a_hold_keeps_a_rule_s_pause_away_and_not_the_watchdog_s():
    by_rule, by_watchdog = replace(STOP, source=Source.STRATEGY), replace(STOP, source=Source.WATCHDOG)
    assert codes(by_rule, held_at=NOW) == ["held"] and codes(by_watchdog, held_at=NOW) == []


@pytest.mark.fault("F75")
def test_a_rule_needs_evidence_that_is_still_good():
    assert codes(replace(BY_RULE, evidence=None)) == ["no_evidence"]
    assert codes(BY_RULE, now=NOW + timedelta(hours=1)) == ["evidence_old"]


@pytest.mark.fault("F65")
def test_a_rule_raises_by_at_most_twenty_percent_a_step():
    assert codes(replace(BY_RULE, target="120")) == []
    assert codes(replace(BY_RULE, target="120.01")) == ["step_too_large"]


@pytest.mark.fault("F73")
def test_a_person_confirms_a_step_of_more_than_fifty_percent():
    assert codes(replace(RAISE, target="150")) == []
    assert "step_too_large" in codes(replace(RAISE, target="151"))
    assert codes(replace(RAISE, target="300", acknowledged=True)) == []
    assert "step_too_large" in codes(replace(RAISE, target="2000", acknowledged=True))


@pytest.mark.fault("F30", "F65")
def test_twenty_four_hours_are_a_rolling_window_over_what_may_have_been_applied():
    assert codes(replace(BY_RULE, before="140", target="150"), rises_24h=Decimal(40)) == []
    assert "rolling_rise" in codes(replace(BY_RULE, before="140", target="151"), rises_24h=Decimal(40))


@pytest.mark.fault("F67")
def test_a_rule_waits_an_hour_after_the_last_write():
    assert codes(BY_RULE, last_write_at=NOW - timedelta(minutes=59)) == ["cool_down"]
    assert codes(BY_RULE, last_write_at=NOW - timedelta(minutes=60)) == []
    assert codes(RAISE, last_write_at=NOW) == []


@pytest.mark.fault("F42")
def test_meta_allows_four_budget_edits_an_hour_and_the_reason_says_when_the_next_may_go():
    edits = tuple(NOW - timedelta(minutes=minutes) for minutes in (50, 40, 30, 20))
    (reason,) = evaluate(intent=CUT, situation=replace(FINE, edits_1h=edits), now=NOW)
    assert reason.code == "too_many_edits" and reason.retry_at == NOW + timedelta(minutes=10)
    assert codes(CUT, edits_1h=edits[1:]) == []
    assert codes(STOP, edits_1h=edits) == []


@pytest.mark.fault("F70")
@pytest.mark.parametrize(
    "target, code",
    [
        ("0", "amount_out_of_range"),
        ("-5", "amount_out_of_range"),
        ("1" + "0" * 18, "amount_out_of_range"),
        ("0.99", "below_minimum"),
        ("99.999", "not_whole_minor_unit"),
    ],
)
def test_an_impossible_amount_is_an_input_error_that_says_what_to_do(target, code):
    (reason,) = evaluate(intent=replace(RAISE, target=target), situation=FINE, now=NOW)
    assert (reason.code, reason.kind) == (code, "input") and reason.advice


def test_the_budget_has_to_be_of_that_kind_and_at_that_level():
    lifetime = replace(RAISE, field=Field.LIFETIME_BUDGET)
    assert codes(lifetime) == ["budget_kind"]
    assert codes(RAISE, daily_budget=None, budget_elsewhere="adset") == ["budget_owner"]
    assert codes(replace(RAISE, level=Level.AD_SET), daily_budget=None, budget_elsewhere="campaign") == [
        "budget_owner"
    ]
    assert codes(RAISE, daily_budget=None) == ["no_budget_here"]
    assert codes(replace(RAISE, level=Level.AD)) == ["no_budget_here"]


@pytest.mark.fault("F71")
def test_a_currency_that_meta_does_not_list_is_not_written():
    assert codes(replace(RAISE, currency="XAU")) == ["currency_unknown"]


@pytest.mark.fault("F72")
@pytest.mark.parametrize("intent", [RAISE, CUT, BY_RULE])
def test_a_number_of_another_currency_than_the_account_s_is_not_written(intent):
    assert codes(intent, currency="EUR") == ["currency_changed"]
    assert codes(STOP, currency="EUR") == [], "a pause needs no currency"


def test_a_lifetime_budget_stays_above_what_is_spent():
    lifetime = replace(CUT, field=Field.LIFETIME_BUDGET)
    assert codes(lifetime, daily_budget=None, lifetime_budget=Decimal(100), spend_so_far=Decimal(95)) == [
        "below_spend"
    ]


@pytest.mark.fault("N5")
@given(
    st.decimals(min_value=2, max_value=10_000, places=2),
    st.decimals(min_value=1, max_value=50_000, places=2),
    st.decimals(min_value=0, max_value=5_000, places=2),
)
def test_whatever_a_rule_asks_for_it_never_exceeds_the_step_or_the_rolling_limit(before, target, rises):
    intent = replace(BY_RULE, before=str(before), target=str(target))
    if target > before and not codes(intent, daily_budget=before, rises_24h=rises):
        assert target <= before * Decimal("1.2")
        assert rises + target - before <= (before - rises) * Decimal("0.5")
