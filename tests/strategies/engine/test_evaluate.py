"""Three-valued logic, scope, trust and the minimum of data."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.engine.evaluate import conjunction, disjunction, negation
from strategies.engine.evaluate import evaluate as evaluated
from strategies.engine.judge import judge
from strategies.engine.moves import stepped
from strategies.engine.rules import Any_, Compare, Number
from strategies.engine.templates import Actions, Thresholds, document
from strategies.engine.types import Action, Do, Trust, Verdict
from strategies.engine.wording import because
from tests.strategies.figures import NOW, snapshot, subject

ALL_ON = Actions(True, True, True, True)
BRIEF = Thresholds(
    minCtr=Decimal("0.80"), maxCpc=Decimal("1.00"), targetCpm=Decimal("5.00"), budgetThreshold=Decimal("100")
)


def evaluate(node, one):
    return evaluated(node, one, snapshot(one), now=NOW)


def a_fifth_more(ceiling):
    return Do(Action.RAISE_BUDGET, percent=Decimal(20), limit=Decimal(ceiling))


def say(one, *, thresholds=BRIEF, actions=ALL_ON, now=NOW, **given):
    return judge(document(thresholds, actions), one, snapshot(one, **given), now=now)


def wanted(judgement):
    return {(intent.action.value, intent.target) for intent in judgement.intents}


@pytest.mark.fault("F59")
@pytest.mark.parametrize(
    ("left", "right", "both", "either"),
    [
        (True, True, True, True),
        (True, False, False, True),
        (True, None, None, True),
        (False, False, False, False),
        (False, None, False, None),
        (None, None, None, None),
    ],
)
def test_the_truth_table_of_unknown(left, right, both, either):
    assert conjunction([left, right]) is conjunction([right, left]) is both
    assert disjunction([left, right]) is disjunction([right, left]) is either
    assert negation(left) is (None if left is None else not left)


def test_a_low_ctr_pauses():
    judgement = say(subject(ctr="0.41"))
    assert judgement.verdict is Verdict.FIRED
    assert ("pause", "PAUSED") in wanted(judgement)


def test_a_dear_click_pauses():
    assert ("pause", "PAUSED") in wanted(say(subject(cpc="1.01")))


@pytest.mark.parametrize(("name", "value"), [("ctr", "0.80"), ("cpc", "1.00"), ("cpm", "5.00")])
def test_a_value_on_its_threshold_is_good_and_not_bad(name, value):
    judgement = say(subject(**{name: value}))
    assert ("raise_budget", "60") in wanted(judgement)
    assert not [intent for intent in judgement.intents if intent.action is Action.PAUSE]


def test_a_good_object_gets_twenty_percent_more_and_never_above_the_threshold():
    assert ("raise_budget", "60") in wanted(say(subject(daily_budget=Decimal(50))))
    assert ("raise_budget", "100") in wanted(say(subject(daily_budget=Decimal(95))))
    full = say(subject(daily_budget=Decimal(100)), actions=Actions(increaseBudget=True))
    assert (full.verdict, full.reason_code, full.intents) == (Verdict.HELD, "at_ceiling", ())
    above = say(subject(daily_budget=Decimal(400)), actions=Actions(increaseBudget=True))
    assert (above.reason_code, above.intents) == ("at_ceiling", ())


def test_without_budget_threshold_nothing_is_raised():
    rules = Thresholds(minCtr=Decimal("0.80"), maxCpc=Decimal("1.00"))
    judgement = say(subject(), thresholds=rules, actions=Actions(increaseBudget=True))
    assert (judgement.verdict, judgement.intents) == (Verdict.NOT_MET, ())


def test_with_no_threshold_at_all_a_raise_is_not_true_of_everything():
    rules = Thresholds(budgetThreshold=Decimal(1000))
    assert document(rules, ALL_ON).cases == ()
    assert say(subject(), thresholds=rules).intents == ()


def test_a_dear_impression_does_not_pause_but_stops_the_raise_and_advises():
    assert wanted(say(subject(cpm="5.01"))) == {("adjust_bidding", None), ("expand_audience", None)}


def test_switches_that_are_off_do_nothing():
    assert say(subject(ctr="0.41"), actions=Actions(increaseBudget=True)).intents == ()
    assert say(subject(), actions=Actions(pauseLowPerforming=True)).intents == ()


@pytest.mark.fault("F59")
@pytest.mark.parametrize("name", ["ctr", "cpc", "cpm", "impressions", "spend"])
def test_an_unknown_figure_never_raises(name):
    judgement = say(subject(**{name: None}), actions=Actions(increaseBudget=True))
    assert judgement.verdict is Verdict.UNKNOWN
    assert judgement.reason_code in {"not_known", "too_little_data"}
    assert "not known" in judgement.reason
    assert judgement.intents == ()


def test_an_unknown_cpc_does_not_hide_a_known_bad_ctr():
    assert ("pause", "PAUSED") in wanted(say(subject(ctr="0.10", cpc=None)))


def test_no_clicks_at_all_is_a_ctr_of_zero_and_pauses():
    assert ("pause", "PAUSED") in wanted(say(subject(ctr="0", cpc=None)))


@pytest.mark.fault("F75")
def test_three_clicks_are_not_enough_to_judge():
    few = subject(ctr="0.50", cpc="2.00", impressions="600", spend="6.00")
    judgement = say(few)
    assert (judgement.verdict, judgement.reason_code) == (Verdict.UNKNOWN, "too_little_data")
    assert "600 of 1,250 impressions" in judgement.reason


def test_a_low_threshold_asks_for_more_impressions():
    rare = Any_((Compare("ctr", "<", Number(Decimal("0.10"))),))
    assert evaluate(rare, subject(ctr="0.05", impressions="9999")).result is None
    assert evaluate(rare, subject(ctr="0.05", impressions="10000")).result is True


def test_spend_of_ten_clicks_is_enough_for_a_cpc():
    dear = Compare("cpc", ">", Number(Decimal("2")))
    assert evaluate(dear, subject(cpc="5", spend="19.99")).result is None
    assert evaluate(dear, subject(cpc="5", spend="20.00")).result is True


@pytest.mark.fault("F77", "F78")
@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"owns_budget": False}, "not_budget_owner"),
        ({"status": "PAUSED", "effective_status": "PAUSED"}, "not_running"),
        ({"effective_status": "CAMPAIGN_PAUSED"}, "not_running"),
        ({"effective_status": "ARCHIVED"}, "not_running"),
        ({"effective_status": "SOMETHING_NEW"}, "unknown_status"),
        ({"effective_status": ""}, "unknown_status"),
        ({"status": "SOMETHING_NEW"}, "unknown_status"),
        ({"start": NOW + timedelta(days=1)}, "scheduled"),
        ({"end": NOW - timedelta(seconds=1)}, "ended"),
        ({"learning_stage": "LEARNING"}, "learning"),
    ],
)
def test_objects_outside_the_scope_are_left_alone_with_a_reason(facts, code):
    judgement = say(subject(ctr="0.01", **facts))
    assert (judgement.verdict, judgement.reason_code, judgement.intents) == (Verdict.EXCLUDED, code, ())
    assert judgement.reason


def test_late_figures_hold_raises_and_let_a_stop_through():
    held = say(subject(), actions=Actions(increaseBudget=True), trust=Trust.STALE)
    assert (held.verdict, held.reason_code, held.intents) == (Verdict.HELD, "data_stale", ())
    assert ("pause", "PAUSED") in wanted(say(subject(ctr="0.1"), trust=Trust.STALE))


@pytest.mark.fault("F56", "F60", "F76")
@pytest.mark.parametrize("trust", [Trust.UNAVAILABLE, Trust.EMPTY, Trust.PARTIAL])
def test_on_missing_figures_nothing_is_done(trust):
    assert say(subject(ctr="0.1"), trust=trust).intents == ()
    assert say(subject(), trust=trust).verdict is Verdict.HELD


def test_a_lifetime_budget_is_not_raised():
    judgement = say(
        subject(daily_budget=None, lifetime_budget=Decimal(900)), actions=Actions(increaseBudget=True)
    )
    assert (judgement.verdict, judgement.reason_code) == (Verdict.HELD, "no_daily_budget")


@pytest.mark.fault("F71")
def test_a_currency_without_known_minor_unit_is_never_raised_but_may_be_paused():
    held = say(subject(), actions=Actions(increaseBudget=True), currency="LKR", minor_unit=None)
    assert held.reason_code == "unknown_currency"
    assert ("pause", "PAUSED") in wanted(say(subject(ctr="0.1"), currency="LKR", minor_unit=None))


@pytest.mark.fault("F69")
@pytest.mark.parametrize(
    ("budget", "unit", "expected"),
    [
        ("33.33", "0.01", "39.99"),  # 39.996
        ("0.01", "0.01", None),  # 0.012 -> 0.01: nothing left to raise
        ("0.05", "0.01", "0.06"),
        ("999", "1", "1198"),  # 1198.8 yen
        ("4", "1", None),
    ],
)
def test_a_raise_is_rounded_down_to_whole_minor_units(budget, unit, expected):
    got = stepped(Decimal(budget), do=a_fifth_more(10**6), minor_unit=Decimal(unit))
    assert got == (None if expected is None else Decimal(expected))


def test_a_ceiling_between_two_minor_units_is_rounded_down():
    do = a_fifth_more("55.555")
    assert stepped(Decimal(50), do=do, minor_unit=Decimal("0.01")) == Decimal("55.55")
    assert stepped(Decimal(50), do=do, minor_unit=Decimal(1)) == Decimal("55")


amounts = st.decimals(min_value="0.01", max_value=10**6, places=2, allow_nan=False, allow_infinity=False)
maybe = st.none() | st.decimals(min_value=0, max_value=10**6, places=4, allow_nan=False, allow_infinity=False)


@pytest.mark.fault("F65", "F69")
@given(amounts, amounts, st.sampled_from(["0.01", "1"]))
def test_a_raise_is_whole_at_most_a_fifth_more_and_never_above_the_ceiling(budget, ceiling, unit):
    target = stepped(budget, do=a_fifth_more(ceiling), minor_unit=Decimal(unit))
    if target is not None:
        assert budget < target <= ceiling
        assert target * 100 <= budget * 120
        assert target % Decimal(unit) == 0


@pytest.mark.fault("F59")
@given(
    st.builds(Thresholds, st.none() | amounts, st.none() | amounts, st.none() | amounts, st.none() | amounts),
    st.builds(Actions, st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    st.fixed_dictionaries(dict.fromkeys(("ctr", "cpc", "cpm", "impressions", "spend"), maybe)),
)
def test_whatever_the_figures_only_known_ones_decide(thresholds, actions, figures):
    one = subject(**{name: None if value is None else str(value) for name, value in figures.items()})
    judgement = say(one, thresholds=thresholds, actions=actions)
    fired = {intent.case for intent in judgement.intents}
    assert (judgement.verdict is Verdict.FIRED) == bool(fired)
    assert len({intent.field for intent in judgement.intents}) == len(judgement.intents)
    for case in judgement.cases:
        if case.name in fired:
            assert case.result is True
            decided = [leaf for leaf in case.trace.leaves() if leaf.result is True]
            assert decided
            assert all(leaf.left is not None and leaf.right is not None for leaf in decided)
            assert because(case.trace, snapshot(one))
    if None in figures.values():
        assert "low-performing" not in fired or figures["ctr"] is not None or figures["cpc"] is not None
