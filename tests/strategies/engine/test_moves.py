"""What an action writes, and what it leaves alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.engine.judge import judge
from strategies.engine.moves import Move, Stuck, ends, move, stepped
from strategies.engine.rules import Case, Document, FactIs
from strategies.engine.types import Action, Do, Trust, Verdict
from tests.strategies.engine.documents import amounts, percents
from tests.strategies.figures import NOW, snapshot, subject


def made(do, one=None, **given):
    one = one or subject()
    return move(do, one, snapshot(one, **given), now=NOW)


@pytest.mark.parametrize(
    ("do", "before", "target"),
    [
        (Do(Action.SET_BUDGET, amount=Decimal(42)), "50", "42"),
        (Do(Action.LOWER_BUDGET, percent=Decimal(33), limit=Decimal(1)), "50", "33.50"),
        (Do(Action.LOWER_BUDGET, amount=Decimal("0.001"), limit=Decimal(1)), "50", None),
        (Do(Action.LOWER_BUDGET, amount=Decimal(60), limit=Decimal(5)), "50", "5"),
        (Do(Action.RAISE_BUDGET, amount=Decimal(7), limit=Decimal(55)), "50", "55"),
        (Do(Action.SET_BUDGET, amount=Decimal("42.001")), "50", None),
    ],
)
def test_budgets_move_in_whole_units_and_within_their_bounds(do, before, target):
    found = made(do)
    if target is None:
        assert isinstance(found, Stuck)
    else:
        assert found == Move(before, target)


@given(amounts, amounts, percents, st.sampled_from(["0.01", "1"]))
def test_a_cut_is_whole_never_more_than_its_step_and_never_below_its_bound(current, least, percent, unit):
    target = stepped(
        current, do=Do(Action.LOWER_BUDGET, percent=percent, limit=least), minor_unit=Decimal(unit)
    )
    if target is not None:
        assert least <= target < current
        assert target * 100 >= current * (100 - percent)
        assert target % Decimal(unit) == 0


def test_a_lifetime_budget_is_moved_only_by_an_action_that_means_it():
    one = subject(daily_budget=None, lifetime_budget=Decimal(900))
    daily = Do(Action.LOWER_BUDGET, percent=Decimal(10), limit=Decimal(1))
    assert made(daily, one).code == "no_daily_budget"
    lifetime = Do(Action.LOWER_BUDGET, percent=Decimal(10), limit=Decimal(1), budget="lifetime")
    assert made(lifetime, one) == Move("900", "810")
    assert made(lifetime).code == "no_lifetime_budget"


def test_of_two_kinds_of_budget_the_one_that_is_there_is_moved_without_a_word_about_the_other():
    both = tuple(
        Do(Action.LOWER_BUDGET, percent=Decimal(10), limit=Decimal(1), budget=kind)
        for kind in ("daily", "lifetime")
    )
    always = Document((Case("x", FactIs("status", "is", "active"), both),), level="adset")
    one = subject()
    judged = judge(always, one, snapshot(one), now=NOW)
    assert [(intent.field, intent.target) for intent in judged.intents] == [("daily_budget", "45")]
    assert judged.cases[0].blocked == ()


@pytest.mark.parametrize(
    ("do", "name", "target"),
    [
        (Do(Action.RENAME, text="[low] ", mode="prefix"), "Shoes", "[low] Shoes"),
        (Do(Action.RENAME, text="[low] ", mode="prefix"), "[low] Shoes", None),
        (Do(Action.RENAME, text=" | low", mode="suffix"), "Shoes", "Shoes | low"),
        (Do(Action.RENAME, text="boots", other="Shoes", mode="replace"), "Red Shoes", "Red boots"),
        (Do(Action.RENAME, text="boots", other="Hats", mode="replace"), "Red Shoes", None),
        (Do(Action.RENAME, text="x", mode="prefix"), "a" * 400, None),
    ],
)
def test_a_name_is_put_right_once_and_never_grows_too_long(do, name, target):
    found = made(do, subject(name=name))
    assert found == Move(name, target) if target else isinstance(found, Stuck)


@pytest.mark.parametrize(
    ("now", "hour", "until"),
    [
        ("2026-11-19T09:00", 6, "2026-11-19T11:00"),  # 04:00 in New York: at 06:00 today
        ("2026-11-19T11:00", 6, "2026-11-20T11:00"),  # on the hour: at the next one
        ("2026-11-19T12:00", 6, "2026-11-20T11:00"),
        ("2026-10-31T12:00", 6, "2026-11-01T11:00"),  # the clock goes back in between
        ("2027-03-14T05:00", 2, "2027-03-14T07:00"),  # 02:00 does not exist that night: the jump
        ("2026-11-01T04:00", 1, "2026-11-01T05:00"),  # 01:00 is there twice: the first
    ],
)
def test_a_pause_ends_at_an_hour_of_the_accounts_clock(now, hour, until):
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    found = ends(Do(Action.PAUSE_UNTIL, hour=hour), "America/New_York", now=moment)
    assert found == datetime.fromisoformat(until).replace(tzinfo=UTC)


def test_a_pause_may_last_hours_or_days():
    assert ends(Do(Action.PAUSE_UNTIL, hours=6), "UTC", now=NOW) == NOW + timedelta(hours=6)
    assert ends(Do(Action.PAUSE_UNTIL, days=2), "UTC", now=NOW) == NOW + timedelta(days=2)


def test_a_schedule_ends_with_a_day_of_the_account():
    found = made(Do(Action.SET_END, days=0))
    assert found == Move("", "2026-11-20T05:00:00+00:00")  # midnight in New York
    same = subject(end=datetime(2026, 11, 20, 5, tzinfo=UTC))
    assert made(Do(Action.SET_END, days=0), same).idle


STARTS = Document((Case("x", FactIs("name", "contains", "set"), (Do(Action.START),)),), level="adset")
PAUSED = {"status": "PAUSED", "effective_status": "PAUSED"}


@pytest.mark.parametrize(
    ("facts", "verdict", "code"),
    [
        ({**PAUSED, "paused_at": NOW}, Verdict.FIRED, "fired"),
        (PAUSED, Verdict.NOT_MET, "not_ours"),
        ({}, Verdict.NOT_MET, "nothing_to_do"),
        ({"effective_status": "CAMPAIGN_PAUSED"}, Verdict.EXCLUDED, "not_running"),
        (
            {"status": "PAUSED", "effective_status": "ARCHIVED", "paused_at": NOW},
            Verdict.EXCLUDED,
            "not_running",
        ),
        ({**PAUSED, "paused_at": NOW, "end": NOW}, Verdict.EXCLUDED, "ended"),
    ],
)
def test_a_start_is_for_what_this_strategy_paused(facts, verdict, code):
    one = subject(**facts)
    judged = judge(STARTS, one, snapshot(one), now=NOW)
    assert (judged.verdict, judged.reason_code) == (verdict, code)


def test_a_rule_of_the_clock_alone_needs_no_figures():
    always = Document((Case("x", FactIs("weekday", "is", "thu"), (Do(Action.PAUSE),)),), level="adset")
    one = subject()
    judged = judge(always, one, snapshot(one, trust=Trust.PARTIAL), now=NOW)
    assert [intent.target for intent in judged.intents] == ["PAUSED"]


def test_of_each_field_the_first_true_case_acts():
    true = FactIs("name", "contains", "set")
    document = Document(
        (
            Case("never", FactIs("name", "is", "nobody"), (Do(Action.SET_BUDGET, amount=Decimal(1)),)),
            Case("first", true, (Do(Action.SET_BUDGET, amount=Decimal(40)),)),
            Case(
                "second",
                true,
                (Do(Action.SET_BUDGET, amount=Decimal(60)), Do(Action.RENAME, text="x", mode="prefix")),
            ),
        ),
        level="adset",
    )
    one = subject()
    judged = judge(document, one, snapshot(one), now=NOW)
    assert [(intent.case, intent.field) for intent in judged.intents] == [
        ("first", "daily_budget"),
        ("second", "name"),
    ]
