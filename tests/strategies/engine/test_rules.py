"""The tree's JSON: whatever is sent is either a tree that evaluates, or refused with a path."""

from __future__ import annotations

import json
import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.engine.evaluate import evaluate
from strategies.engine.rules import (
    MAX_DEPTH,
    All,
    Any_,
    BadTree,
    Compare,
    FactIs,
    MetricOperand,
    Not,
    Number,
    dump,
    metrics_of,
    parse,
)
from tests.strategies.figures import subject

UNITS = {
    "ctr": "percent",
    "cpc": "money",
    "cpm": "money",
    "spend": "money",
    "impressions": "count",
    "roas": "ratio",
}

numbers = st.decimals(min_value=0, max_value=10**9, places=4, allow_nan=False, allow_infinity=False)
operators = st.sampled_from(["<", "<=", ">", ">="])
compares = st.builds(
    Compare, st.sampled_from(sorted(UNITS)), operators, st.builds(Number, numbers)
) | st.builds(
    Compare,
    st.sampled_from(["cpc", "cpm", "spend"]),
    operators,
    st.builds(MetricOperand, st.sampled_from(["cpc", "cpm", "spend"]), times=numbers),
)
facts = st.builds(
    FactIs,
    st.sampled_from(["level", "name", "status", "learning_stage"]),
    st.sampled_from(["is", "contains"]),
    st.text(min_size=1, max_size=20),
)
trees = st.recursive(
    compares | facts,
    lambda inner: (
        st.builds(All, st.lists(inner, min_size=1, max_size=4).map(tuple))
        | st.builds(Any_, st.lists(inner, min_size=1, max_size=4).map(tuple))
        | st.builds(Not, inner)
    ),
    max_leaves=12,
)
figures = st.none() | numbers.map(str)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["all", "any", "not", "metric", "fact", "op", "than", "number", "text", "window", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(trees)
def test_a_tree_survives_being_saved_and_loaded(tree):
    assert parse(json.loads(json.dumps(dump(tree))), units=UNITS) == tree


@given(trees, figures, figures, figures)
def test_every_tree_evaluates_to_true_false_or_unknown(tree, ctr, cpc, impressions):
    trace = evaluate(tree, subject(ctr=ctr, cpc=cpc, impressions=impressions))
    assert trace.result in (True, False, None)
    if trace.result is None:
        assert any(leaf.why_unknown for leaf in trace.leaves())


@settings(max_examples=300)
@given(json_values)
def test_whatever_is_sent_is_a_tree_or_refused_with_a_path(data):
    errors: tuple[tuple[str, str], ...] = ()
    try:
        tree = parse(data, units=UNITS)
    except BadTree as refused:
        tree, errors = None, refused.errors
    if tree is None:
        assert errors
        assert all(isinstance(path, str) and text for path, text in errors)
    else:
        assert evaluate(tree, subject()).result in (True, False, None)


@given(trees, st.randoms(use_true_random=False))
def test_the_order_of_siblings_never_matters(tree, dice):
    one = subject(ctr="0.9", cpc=None)
    assert evaluate(tree, one).result == evaluate(_shuffled(tree, dice), one).result


def _shuffled(node, dice: random.Random):
    if isinstance(node, All | Any_):
        children = [_shuffled(child, dice) for child in node.children]
        dice.shuffle(children)
        return type(node)(tuple(children))
    return Not(_shuffled(node.child, dice)) if isinstance(node, Not) else node


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ([], ""),
        ({}, ""),
        ({"all": []}, "all"),
        ({"all": [{"metric": "ctr", "op": "<", "than": {"number": "x"}}]}, "all[0].than.number"),
        ({"any": [{"metric": "ctr", "op": "<", "than": {"number": "1"}}, {"not": 3}]}, "any[1].not"),
        ({"metric": "nonsense", "op": "<", "than": {"number": "1"}}, "metric"),
        ({"metric": "ctr", "op": "=<", "than": {"number": "1"}}, "op"),
        ({"metric": "ctr", "op": "<", "than": {"number": 0.8}}, "than.number"),
        ({"metric": "ctr", "op": "<", "than": {"number": "-1"}}, "than.number"),
        ({"metric": "ctr", "op": "<", "than": {"number": "1e-99"}}, "than.number"),
        ({"metric": "ctr", "op": "<", "than": {"metric": "cpc"}}, "than.metric"),
        ({"metric": "ctr", "op": "<", "than": {"number": "1"}, "window": "yesterday"}, "window"),
        ({"metric": "ctr", "op": "<", "than": {"number": "1"}, "shell": "rm"}, "shell"),
        ({"fact": "password", "op": "is", "text": "x"}, "fact"),
        ({"fact": "name", "op": "is", "text": ""}, "text"),
    ],
)
def test_a_mistake_is_named_by_its_path(data, path):
    with pytest.raises(BadTree) as refused:
        parse(data, units=UNITS)
    assert path in [at for at, _ in refused.value.errors]


def test_money_is_not_compared_with_a_percentage():
    with pytest.raises(BadTree, match="compare like with like"):
        parse({"metric": "ctr", "op": "<", "than": {"metric": "cpc"}}, units=UNITS)


def test_a_tree_too_deep_or_too_large_is_refused_without_recursion_trouble():
    deep: object = {"metric": "ctr", "op": "<", "than": {"number": "1"}}
    for _ in range(MAX_DEPTH + 500):
        deep = {"not": deep}
    with pytest.raises(BadTree, match="deep"):
        parse(deep, units=UNITS)
    leaf = {"metric": "ctr", "op": "<", "than": {"number": "1"}}
    with pytest.raises(BadTree, match="at most"):
        parse({"all": [leaf] * 500}, units=UNITS)


def test_the_metrics_of_a_tree_are_all_that_it_asks_for():
    tree = All((Compare("ctr", "<", Number(Decimal(1))), Not(Compare("cpc", ">", MetricOperand("cpm")))))
    assert metrics_of(tree) == {"ctr", "cpc", "cpm"}
