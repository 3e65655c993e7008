"""The smallest change that turns a verdict: found, seen to work when made, and told in words."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.engine.flip import SCOPE, by_figure, by_rule, flips, with_figures, with_rules
from strategies.engine.judge import judge
from strategies.engine.language import dump_document, parse_document
from strategies.engine.rules import (
    All,
    Any_,
    Case,
    Compare,
    Document,
    FactIs,
    FactNumber,
    Not,
    Number,
    Rank,
    Scope,
)
from strategies.engine.types import LAST_7_DAYS, Action, Do, Place, Trust, Verdict
from tests.strategies.figures import NOW, snapshot, subject

PAUSE = (Do(Action.PAUSE),)
#: The planted object: 12,310 impressions, USD 48.20, CTR 1.00, CPC 0.50, CPM 4.00.
ONE = subject(clicks="96", conversions="12", cpa="4.0166666", roas="2")


def over(metric, number, op=">"):
    return Compare(metric, op, Number(Decimal(number)))


def rule(*trees, level="adset", scope=None):
    cases = tuple(Case(f"case {number}", tree, PAUSE) for number, tree in enumerate(trees))
    return Document(cases, level, scope or Scope())


def found(document, one=ONE, **more):
    return flips(document, one, snapshot(one, **more), now=NOW)


def said(document, one=ONE, **more):
    return judge(document, one, snapshot(one, **more), now=NOW)


def numbers(flip):
    return [(move.value, move.threshold) for move in flip.moves]


@pytest.mark.parametrize(
    ("op", "number", "value", "threshold"),
    [
        (">", "1.00", "1.01", "0.49"),
        (">=", "1.00", "1.00", "0.50"),
        ("<", "0.40", "0.39", "0.51"),
        ("<=", "0.40", "0.40", "0.50"),
        (">", "0.40", "0.40", "0.50"),
        (">=", "0.50", "0.49", "0.51"),
        ("<", "0.60", "0.60", "0.50"),
        ("<=", "0.50", "0.51", "0.49"),
    ],
)
def test_a_single_condition_turns_by_the_nearest_figure_or_threshold_that_people_write(
    op, number, value, threshold
):
    (one,) = found(rule(over("cpc", number, op)))
    assert numbers(one) == [(Decimal(value), Decimal(threshold))]
    assert one.by_figures is not None
    assert one.by_rules is not None


def test_the_nearest_of_several_comes_first_and_the_farther_after_it():
    tree = Any_((over("cpc", "4.00"), over("spend", "50"), over("cpm", "8")))
    first, second, third = found(rule(tree))
    assert [flip.moves[0].leaf.metric for flip in (first, second, third)] == ["spend", "cpm", "cpc"]
    assert first.relative < second.relative < third.relative


def test_of_a_conjunction_all_that_fail_have_to_turn_and_what_holds_stays():
    tree = All((over("cpc", "1.00"), over("spend", "10"), over("ctr", "0.80", "<")))
    (one,) = found(rule(tree))
    assert [(move.path, move.leaf.metric) for move in one.moves] == [((0,), "cpc"), ((2,), "ctr")]


def test_what_fired_is_turned_off_by_its_nearest_condition():
    fired = rule(All((over("cpc", "0.49"), over("spend", "10"))))
    assert said(fired).verdict is Verdict.FIRED
    first, second = found(fired)
    assert (first.moves[0].leaf.metric, second.moves[0].leaf.metric) == ("cpc", "spend")
    assert first.by_figures.verdict is Verdict.NOT_MET


def test_all_cases_that_are_true_have_to_turn_before_nothing_is_asked_for():
    both = rule(over("cpc", "0.40"), over("spend", "40"))
    (one,) = found(both)
    assert [move.case for move in one.moves] == [0, 1]


def test_a_change_that_leaves_the_figure_without_enough_data_is_not_told():
    """At a CPC limit of 5.00 ten clicks cost more than was spent, so only the figure can turn it."""
    (one,) = found(rule(over("cpc", "4.90")), subject(cpc="5.10", spend="49.50"))
    assert one.by_figures is not None
    thresholds = flips(rule(over("cpc", "4.90")), subject(cpc="4.00", spend="49.50"), snapshot(), now=NOW)
    assert all(flip.by_rules is None or flip.by_rules.verdict is not Verdict.UNKNOWN for flip in thresholds)
    (dear,) = found(rule(over("cpc", "4.00", "<")), subject(cpc="8.00", spend="48.20"))
    assert (dear.by_rules, dear.by_figures.verdict) == (None, Verdict.FIRED)


def test_what_is_unknown_or_held_turns_by_no_number():
    assert found(rule(over("cpc", "1.00")), subject(cpc=None)) == ()
    held = rule(over("cpc", "0.40"))
    assert said(held, trust=Trust.PARTIAL).verdict is Verdict.HELD
    assert found(held, trust=Trust.PARTIAL) == ()


def test_the_scopes_filter_turns_as_a_condition_does_and_a_pick_does_not():
    big = rule(over("cpc", "0.40"), scope=Scope(where=over("spend", "60")))
    assert said(big).verdict is Verdict.EXCLUDED
    (one,) = found(big)
    assert (one.moves[0].case, one.by_figures.verdict) == (SCOPE, Verdict.FIRED)
    assert found(rule(over("cpc", "0.40"), scope=Scope(only=("99",)))) == ()
    assert found(big, subject(status="PAUSED", effective_status="PAUSED")) == ()


def test_facts_and_places_turn_by_what_the_rule_asks_for():
    (named,) = found(rule(FactIs("name", "contains", "sale")))
    assert (named.relative, named.by_figures) == (None, None)
    assert named.by_rules.verdict is Verdict.FIRED
    (older,) = found(rule(FactNumber("daily_budget", ">=", Decimal(80))))
    assert numbers(older) == [(Decimal(80), Decimal(50))]
    rank = Rank("bottom", "ctr", "parent", count=1)
    third = subject(places={rank.key: Place(True, Decimal(1), 2, 0, 9)})
    (placed,) = found(rule(rank), third)
    assert numbers(placed) == [(None, Decimal(3))]
    nobody = subject(places={rank.key: Place(True, None, 0, 0, 9)})
    assert found(rule(rank), nobody) == ()


def test_each_is_told_in_words():
    document = rule(over("cpc", "1.00"))
    (one,) = found(document)
    shop = snapshot(ONE)
    assert by_figure(one.moves[0], shop) == "CPC were above USD 1.00 (it is USD 0.50)"
    assert by_rule(one.moves[0], shop) == "the rule asked for CPC above USD 0.49 instead of USD 1.00"
    (off,) = found(rule(over("cpc", "0.40")))
    assert by_figure(off.moves[0], shop) == "CPC were at most USD 0.40 (it is USD 0.50)"
    (named,) = found(rule(FactIs("name", "contains", "sale")))
    assert by_rule(named.moves[0], shop) == "name were another (Ad set 10 now)"


conditions = st.builds(
    over,
    st.sampled_from(["cpc", "ctr", "cpm", "spend", "impressions", "clicks"]),
    st.decimals("0.01", "100", places=2).map(str),
    st.sampled_from(["<", "<=", ">", ">="]),
)
trees = st.recursive(
    conditions,
    lambda inner: (
        st.builds(All, st.lists(inner, min_size=1, max_size=3).map(tuple))
        | st.builds(Any_, st.lists(inner, min_size=1, max_size=3).map(tuple))
        | st.builds(Not, inner)
    ),
    max_leaves=6,
)


@given(st.lists(trees, min_size=1, max_size=2))
def test_whatever_is_told_turns_the_verdict_when_it_is_made(some):
    document = rule(*some)
    before = said(document)
    for flip in found(document):
        ways = []
        if flip.by_rules:
            changed = with_rules(document, flip.moves)
            assert parse_document(dump_document(changed)) == changed
            ways.append(said(changed))
        if flip.by_figures:
            other = with_figures(ONE, flip.moves)
            ways.append(judge(document, other, snapshot(other), now=NOW))
        assert ways
        for after in ways:
            assert (after.verdict is Verdict.FIRED) != (before.verdict is Verdict.FIRED)


@given(
    st.sampled_from(["spend", "impressions", "clicks"]),
    st.integers(1, 10**6).map(str),
    st.sampled_from(["<", "<=", ">", ">="]),
)
def test_a_condition_on_a_plain_sum_can_always_be_turned(metric, number, op):
    """Of sums no minimum of data stands in the way."""
    (one,) = found(rule(over(metric, number, op)))
    assert one.by_rules


def test_the_value_that_is_told_is_that_of_the_window_that_the_rule_looks_at():
    other = Compare("spend", ">", Number(Decimal(100)), "yesterday")
    one = subject()
    seen = {**one.values, "yesterday": {"spend": Decimal(7)}}
    one = type(one)(**{**vars(one), "values": seen})
    (flip,) = found(rule(other), one)
    changed = with_figures(one, flip.moves)
    assert changed.values["yesterday"]["spend"] == Decimal("100.01")
    assert changed.values[LAST_7_DAYS] == one.values[LAST_7_DAYS]
