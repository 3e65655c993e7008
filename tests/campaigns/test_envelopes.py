"""The arithmetic of spend caps: what could be spent at worst, and from where on raises stop."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.changes.envelopes import (
    NO_SPEND,
    Owner,
    Period,
    Scope,
    Spend,
    Use,
    may_spend,
    together,
    window,
    worst,
)
from campaigns.changes.guards import Around, evaluate
from campaigns.states import Source
from tests.campaigns.test_guards import BY_RULE, CUT, FINE, RAISE, START, STOP

TODAY = date(2026, 11, 18)  # a Wednesday
DAILY = Owner(object_id="1", campaign_id="1", daily=Decimal(100), lifetime=None, running=True)
LIFETIME = replace(DAILY, daily=None, lifetime=Decimal(1000))


def spent(**days: int) -> Spend:
    found = {TODAY - timedelta(days=int(key[1:])): Decimal(value) for key, value in days.items()}
    return Spend(days=found, total=sum(found.values(), Decimal(0)))


def at_worst(owner: Owner, period: Period, spend: Spend = NO_SPEND) -> Decimal | None:
    return worst(owner, spend, period, today=TODAY)


def test_a_week_is_sunday_to_saturday():
    assert window(Period.WEEK, TODAY) == (date(2026, 11, 15), date(2026, 11, 21))
    assert window(Period.WEEK, date(2026, 11, 15)) == (date(2026, 11, 15), date(2026, 11, 21))
    assert window(Period.WEEK, date(2026, 11, 21)) == (date(2026, 11, 15), date(2026, 11, 21))


def test_a_day_may_run_to_175_percent_and_a_week_to_seven_days():
    assert at_worst(DAILY, Period.DAY) == 175
    assert may_spend(Decimal(100), date(2026, 11, 15), date(2026, 11, 21)) == 700
    assert may_spend(Decimal(100), date(2026, 11, 20), date(2026, 11, 21)) == 350
    # Friday to Monday is two weeks: two days of each, each day up to 175 %.
    assert may_spend(Decimal(100), date(2026, 11, 20), date(2026, 11, 23)) == 700


def test_what_is_spent_of_the_week_leaves_less_of_it():
    assert at_worst(DAILY, Period.WEEK, spent(d1=100, d2=100, d3=100)) == 700
    assert at_worst(DAILY, Period.WEEK) == 700
    # More was spent than seven of today's budgets: it stays spent, and no more is promised on top.
    assert at_worst(DAILY, Period.WEEK, spent(d1=900)) == 900


def test_what_is_spent_today_counts_where_it_is_more_than_the_budget_allows():
    assert at_worst(DAILY, Period.DAY, spent(d0=300)) == 300
    assert at_worst(DAILY, Period.HOUR, spent(d0=100)) == 75
    assert at_worst(DAILY, Period.HOUR, spent(d0=300)) == 0


def test_of_a_lifetime_budget_all_that_is_left_may_go_today():
    assert at_worst(LIFETIME, Period.DAY, spent(d0=10, d9=300)) == 700
    assert at_worst(LIFETIME, Period.FLIGHT, spent(d0=10, d9=300)) == 1000


def test_what_is_paused_keeps_what_it_spent_and_adds_nothing():
    assert at_worst(replace(DAILY, running=False), Period.WEEK, spent(d1=40)) == 40
    assert at_worst(replace(DAILY, running=False), Period.HOUR, spent(d0=40)) == 0


def test_a_flight_needs_an_end():
    assert at_worst(DAILY, Period.FLIGHT) is None
    assert at_worst(replace(DAILY, ends_on=date(2026, 11, 19)), Period.FLIGHT, spent(d40=5)) == 355


def test_what_was_spent_by_what_is_gone_counts_in_the_account():
    owners = [DAILY, replace(DAILY, object_id="2", campaign_id="2")]
    assert together(owners, {"1": spent(d0=10)}, Period.DAY, today=TODAY, whole=spent(d0=60)) == 400


@given(
    st.decimals(min_value=1, max_value=9999, places=2),
    st.decimals(min_value=0, max_value=99999, places=2),
    st.integers(min_value=0, max_value=60),
)
def test_a_higher_budget_never_leaves_more_room(budget, more, shift):
    day = TODAY + timedelta(days=shift)
    spend = Spend(days={day: Decimal(7)}, total=Decimal(7))
    for period in (Period.HOUR, Period.DAY, Period.WEEK, Period.MONTH):
        low = worst(replace(DAILY, daily=budget), spend, period, today=day)
        high = worst(replace(DAILY, daily=budget + more), spend, period, today=day)
        assert low is not None and high is not None and low <= high


# --- what the guards make of it

USE = Use(
    scope=Scope.ACCOUNT, period=Period.DAY, name="the ad account Tea", cap=Decimal(1000), worst=Decimal(0),
    currency="USD",
)  # fmt: skip
NOW = datetime(2026, 11, 18, 15, tzinfo=UTC)


def refused(intent, **situation):
    found = evaluate(intent=intent, situation=replace(FINE, **situation), now=NOW)
    assert all(reason.message and reason.advice for reason in found)
    return [reason.code for reason in found]


UNDO = replace(RAISE, source=Source.UNDO)


@pytest.mark.fault("F65")
@pytest.mark.parametrize(
    "at, stopped",
    [
        ("850", set()),
        ("850.01", {RAISE, BY_RULE}),
        ("950", {RAISE, BY_RULE}),
        ("950.01", {RAISE, BY_RULE, START, UNDO}),
        ("5000", {RAISE, BY_RULE, START, UNDO}),
        (None, {RAISE, BY_RULE, START, UNDO}),
    ],
)
def test_raises_stop_at_85_percent_and_from_95_only_cuts_and_pauses_pass(at, stopped):
    use = replace(USE, worst=Decimal(at) if at is not None else None)
    found = {one for one in (RAISE, BY_RULE, START, UNDO, CUT, STOP) if refused(one, uses=(use,))}
    assert found == stopped


def test_nothing_spends_more_where_spend_or_limits_are_unknown():
    for trouble, code in (
        ({"exposure_known": False}, "exposure_unknown"),
        ({"lacking": ("the client in USD",)}, "no_envelope"),
    ):
        assert refused(RAISE, **trouble) == refused(START, **trouble) == refused(UNDO, **trouble) == [code]
        assert refused(CUT, **trouble) == refused(STOP, **trouble) == []


@pytest.mark.fault("F65")
def test_many_small_raises_are_one_large_raise_of_the_account():
    around = Around(name="the ad account Tea", base=Decimal(1000), rises_24h=Decimal(390))
    assert refused(BY_RULE, around=(around,)) == []
    assert refused(BY_RULE, around=(replace(around, rises_24h=Decimal("390.01")),)) == ["rolling_rise_around"]
    assert refused(RAISE, around=(replace(around, rises_24h=Decimal("390.01")),)) == []
    assert refused(RAISE, around=(replace(around, rises_24h=Decimal("990.01")),)) == ["rolling_rise_around"]
    assert refused(RAISE, around=(replace(around, base=Decimal(0)),)) == ["rolling_rise_around"]


def test_the_reason_names_the_money_and_what_to_do():
    use = replace(USE, worst=Decimal("912.5"), period=Period.WEEK)
    (reason,) = evaluate(intent=RAISE, situation=replace(FINE, uses=(use,)), now=NOW)
    assert reason.message == (
        "With this, the ad account Tea could spend up to 912.50 USD this week (Sunday to Saturday); "
        "its limit is 1000 USD."
    )
    assert "85 %" in reason.advice and "owner or manager" in reason.advice
