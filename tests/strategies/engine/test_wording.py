"""Sentences say what, why, over which days, on how much data; and never something untrue after rounding."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from strategies.engine.figures import money
from strategies.engine.judge import judge
from strategies.engine.reading import read_back, read_rules
from strategies.engine.rules import Case, Compare, Document, MetricOperand, Not, Number, Target
from strategies.engine.templates import Actions, Thresholds, document
from strategies.engine.types import Action, Do
from strategies.engine.wording import effect, sentence, span
from tests.strategies.figures import NOW, snapshot, subject

RULES = Thresholds(minCtr=Decimal("0.80"), maxCpc=Decimal("1.00"), budgetThreshold=Decimal(100))


def sentences(one, rules, *, past=False, **given):
    shot = snapshot(one, **given)
    judgement = judge(rules, one, shot, now=NOW)
    by_name = {case.name: case for case in judgement.cases}
    return [sentence(intent, by_name[intent.case], one, shot, past=past) for intent in judgement.intents]


def test_a_pause_says_figure_threshold_days_and_basis():
    one = subject(ctr="0.412")
    rules = document(RULES, Actions(pauseLowPerforming=True))
    assert sentences(one, rules) == [
        "Pause: CTR 0.41 % is below 0.80 % over 12–18 Nov (12,310 impressions, USD 48.20)."
    ]
    assert sentences(one, rules, past=True) == [
        "Paused because CTR 0.41 % was below 0.80 % over 12–18 Nov (12,310 impressions, USD 48.20)."
    ]


def test_only_the_conditions_that_decided_are_named():
    rules = document(RULES, Actions(pauseLowPerforming=True))
    assert "CPC" not in sentences(subject(ctr="0.4", cpc="0.9"), rules)[0]
    assert (
        "CTR 0.40 % is below 0.80 % and CPC USD 1.30 is above USD 1.00"
        in sentences(subject(ctr="0.4", cpc="1.3"), rules)[0]
    )


def test_a_raise_says_from_and_to():
    (text,) = sentences(subject(), document(RULES, Actions(increaseBudget=True)))
    assert text.startswith(
        "Raise the daily budget from USD 50.00 to USD 60.00: CTR 1.00 % is at least 0.80 % and CPC USD 0.50 is at most"
    )


def test_rounding_never_says_that_a_number_is_below_itself():
    (text,) = sentences(subject(ctr="0.7996"), document(RULES, Actions(pauseLowPerforming=True)))
    assert "CTR 0.7996 % is below 0.8000 % over" in text
    (text,) = sentences(subject(cpc="1.0049"), document(RULES, Actions(pauseLowPerforming=True)))
    assert "CPC USD 1.005 is above USD 1.000 over" in text


def test_a_negated_condition_is_told_the_right_way_round():
    rules = Document((Case("x", Not(Compare("ctr", ">=", Number(Decimal("0.8")))), (Do(Action.PAUSE),)),))
    assert "CTR 0.40 % is below 0.80 %" in sentences(subject(ctr="0.4"), rules)[0]


def test_money_shows_whole_minor_units_of_the_currency():
    assert money(Decimal("1048.2"), "USD", Decimal("0.01")) == "USD 1,048.20"
    assert money(Decimal("1200"), "JPY", Decimal(1)) == "JPY 1,200"
    assert money(Decimal("0.0031"), "USD", Decimal("0.01")) == "USD 0.0031"


def test_spans_name_months_and_years_where_they_differ():
    assert span(date(2026, 11, 12), date(2026, 11, 18)) == "12–18 Nov"
    assert span(date(2026, 11, 28), date(2026, 12, 4)) == "28 Nov – 4 Dec"
    assert span(date(2026, 12, 29), date(2027, 1, 4)) == "29 Dec 2026 – 4 Jan 2027"


def test_the_rules_are_read_back_in_plain_words():
    lines = read_rules(document(RULES, Actions(True, True, False, False)), currency="USD")
    assert lines == (
        "Pause when CTR is below 0.80 % or CPC is above USD 1.00, judged on the last 7 full days.",
        "Raise the daily budget by 20 %, to at most USD 100 when CTR is at least 0.80 % and CPC is at most USD 1.00,"
        " judged on the last 7 full days.",
    )
    silent = read_rules(document(Thresholds(), Actions(True, True, True, True)), currency="USD")
    assert len(silent) == 4
    assert all(line.startswith("Never") for line in silent)


def test_a_nested_tree_is_read_back_with_brackets():
    rules = document(Thresholds(Decimal("0.8"), Decimal(1), Decimal(5)), Actions(adjustBidding=True))
    assert (
        read_back(rules.cases[0].when, currency="EUR")
        == "CTR is at least 0.8 % and (CPC is above EUR 1 or CPM is above EUR 5)"
    )


def test_the_effect_promises_nothing_that_is_not_known():
    one = subject(ctr="0.4", spend=None)
    shot = snapshot(one)
    (intent,) = judge(document(RULES, Actions(pauseLowPerforming=True)), one, shot, now=NOW).intents
    assert effect(intent, one, shot) == "It stops spending."


def test_what_a_figure_is_compared_with_is_named_where_it_is_no_plain_number():
    than = MetricOperand("cpc", "last_14d", Decimal("1.5"), "campaign")
    rules = Document((Case("x", Compare("cpc", ">", than), (Do(Action.PAUSE),)),))
    one = subject(cpc="1.00", around={"campaign": {"last_14d": {"cpc": Decimal("0.50")}}})
    assert sentences(one, rules) == [
        "Pause: CPC USD 1.00 is above USD 0.75 (1.5 x the campaign's cpc over the last 14 full days)"
        " over 12–18 Nov (12,310 impressions, USD 48.20)."
    ]
    target = Document((Case("x", Compare("cpc", ">", Target("cpa", Decimal(1))), (Do(Action.PAUSE),)),))
    assert "is above USD 0.50 (the target CPA)" in sentences(one, target, targets={"cpa": Decimal("0.50")})[0]
