"""Conditions on rates are weighed: true only once it is known of the true rate."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from strategies.engine.evaluate import evaluate, unsure
from strategies.engine.guard import claimed, key
from strategies.engine.rules import All, Compare, MetricOperand, Not, Number
from strategies.engine.types import LAST_7_DAYS, Ground, Past
from tests.strategies.figures import NOW, snapshot, subject

DEAR = Compare(metric="cpa", window=LAST_7_DAYS, op=">", than=Number(Decimal(20)))
CHEAP = Compare(metric="cpa", window=LAST_7_DAYS, op="<=", than=Number(Decimal(20)))
AT_ONCE = Ground((Decimal(1),), Decimal(1), Decimal(0))


def spent(spend, results, *, days=7, **given):
    """An ad set that spent and brought this much on each of some days; its CPA over them."""
    cpa = Decimal(spend) / results if results else None
    past = Past(
        date(2026, 11, 1),
        Decimal(1),
        {"spend": (Decimal(spend),) * days, "conversions": (Decimal(results),) * days},
    )
    one = subject(cpa=cpa, conversions=results * days, **given)
    values = {**one.values[LAST_7_DAYS], "spend": Decimal(spend) * days}
    return replace(one, values={LAST_7_DAYS: values}, past=past)


def say(node, one, *, ground=AT_ONCE, **given):
    grounds = {key("adset", "conversions", "spend"): ground}
    return evaluate(node, one, snapshot(one, grounds=grounds, **given), now=NOW)


def test_what_is_three_times_too_dear_is_known_to_be():
    trace = say(DEAR, spent(100, Decimal("1.5")))
    assert (trace.result, trace.guard.answer) == (True, "act")
    assert trace.guard.words.startswith(
        "Spent USD 700.00 since 1 Nov; at the target CPA of USD 20.00 about 35.0 reported conv"
    )


def test_a_little_too_dear_is_not_known_yet_and_says_what_it_takes():
    trace = say(DEAR, spent(100, 4))
    assert (trace.result, trace.guard.answer) == (None, "wait")
    assert trace.why_unknown == f"not known yet: {trace.guard.words}"
    assert trace.guard.more_spend > 0


def test_money_spent_for_nothing_is_dear_though_its_cpa_is_not_known():
    assert say(DEAR, spent(100, 0)).result is True
    assert say(DEAR, spent(3, 0)).guard.answer == "cannot_know"
    assert say(CHEAP, spent(100, 0)).result is not True


def test_what_only_looks_dear_after_good_weeks_is_contrary_and_false():
    good = spent(100, 10, days=28)
    today = replace(good, values={LAST_7_DAYS: {**good.values[LAST_7_DAYS], "cpa": Decimal(25)}})
    trace = say(DEAR, today)
    assert (trace.result, trace.guard.answer) == (False, "contrary")


def test_a_figure_that_does_not_look_so_is_not_weighed():
    trace = say(DEAR, spent(100, 6))
    assert (trace.result, trace.guard) == (False, None)


def test_under_a_not_the_other_side_has_to_be_known():
    """ "not (CPA at most 20)" acts on what is dear: it must not act on a guess either."""
    for one, truth in ((spent(100, 4), None), (spent(100, Decimal("1.5")), True), (spent(100, 6), False)):
        assert say(Not(CHEAP), one).result is truth
        assert say(Not(Not(DEAR)), one).result is truth


def test_the_clients_share_of_wrong_calls_decides_how_much_it_takes():
    one = spent(100, Decimal("2.7"))
    answers = [say(DEAR, one, tolerated=Decimal(tolerated)).guard.answer for tolerated in ("0.1", "20")]
    assert answers == ["wait", "act"]


def test_late_results_and_uneven_days_are_allowed_for():
    one = spent(100, Decimal("2.2"))
    assert say(DEAR, one).guard.answer == "act"
    assert say(DEAR, one, ground=replace(AT_ONCE, shares=None)).guard.answer == "wait"
    assert say(DEAR, one, ground=replace(AT_ONCE, variation=Decimal("0.5"))).guard.answer == "wait"


def test_money_whose_single_orders_are_not_known_cannot_be_weighed():
    assert say(DEAR, spent(100, 0), ground=replace(AT_ONCE, scale=None)).guard.answer == "cannot_know"


def test_a_right_side_that_moves_with_the_object_is_left_to_the_plain_minimum():
    node = Compare(metric="cpa", window=LAST_7_DAYS, op=">", than=MetricOperand("cpa", "last_28d"))
    one = spent(100, 4)
    one = replace(one, values={**one.values, "last_28d": {"cpa": Decimal(20)}})
    assert say(node, one).guard is None
    assert say(node, one).result is True
    assert unsure(node, one, snapshot(one)) == frozenset()


@pytest.mark.parametrize(
    ("metric", "weighed"),
    [
        ("cpa", True),
        ("ctr", True),
        ("roas", True),
        ("cpm", False),
        ("spend", False),
        ("frequency", False),
        ("profit_margin", False),
        ("value_per_conversion", False),
    ],
)
def test_rates_per_what_is_there_at_once_are_weighed(metric, weighed):
    assert (claimed(metric=metric, op=">", threshold=Decimal(1)) is not None) is weighed


def test_only_what_looks_as_its_rule_needs_it_asks_for_its_days():
    dear, fine = spent(100, 4), spent(100, 6)
    rate = frozenset({("conversions", "spend")})
    assert unsure(All((DEAR,)), dear, snapshot(dear)) == rate
    assert unsure(All((DEAR,)), fine, snapshot(fine)) == frozenset()
    assert unsure(Not(DEAR), fine, snapshot(fine)) == rate
