"""The language's JSON: whatever is sent is either a document that evaluates, or refused with a path."""

from __future__ import annotations

import json
import os
import random
import re
from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strategies.engine.evaluate import evaluate
from strategies.engine.grammar import MAX_DEPTH, BadTree
from strategies.engine.judge import judge, prepare
from strategies.engine.language import dump, dump_document, parse, parse_document, schema
from strategies.engine.reading import read_rules
from strategies.engine.rules import (
    All,
    Any_,
    Case,
    Compare,
    Document,
    FactNumber,
    MetricOperand,
    Not,
    Number,
    Rank,
    Share,
    metrics_of,
    needs,
)
from strategies.engine.types import Action, Do
from tests.strategies.engine.documents import documents, of_schema, trees
from tests.strategies.figures import NOW, snapshot, subject

ROOT = Path(__file__).parents[3]
SCHEMA = schema()
ADMITS = jsonschema.Draft202012Validator(SCHEMA)
figures = st.none() | st.decimals(0, 10**6, places=4, allow_nan=False, allow_infinity=False).map(str)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "all",
                    "any",
                    "not",
                    "metric",
                    "fact",
                    "rank",
                    "op",
                    "than",
                    "number",
                    "text",
                    "window",
                    "of",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)
PLAIN = {"metric": "ctr", "op": "<", "than": {"number": "1"}}


def a_document(when=PLAIN, *, do=({"action": "pause"},), level="adset", **more):
    return {"level": level, "cases": [{"name": "A", "when": when, "do": list(do)}], **more}


def read(data):
    try:
        return parse_document(data), ()
    except BadTree as refused:
        return None, refused.errors


def mistakes(data):
    with pytest.raises(BadTree) as refused:
        parse_document(data)
    return dict(refused.value.errors)


def test_the_published_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_in_the_docs_is_the_one_that_is_served():
    file = ROOT / "docs" / "rules.schema.json"
    text = json.dumps(SCHEMA, indent=1) + "\n"
    if os.environ.get("UPDATE_SCHEMA") == "1":
        file.write_text(text)
    assert file.read_text() == text, "UPDATE_SCHEMA=1 rewrites it"


def test_every_document_in_the_docs_is_one_and_reads_back_as_said():
    text = (ROOT / "docs" / "rules.md").read_text()
    blocks = re.findall(r"```json\n(.*?)```\n+((?:> [^\n]*\n)+)", text, re.S)
    assert len(blocks) >= 4
    for block, said in blocks:
        lines = read_rules(parse_document(json.loads(block)), currency="USD")
        assert [line.removeprefix("> ") for line in said.splitlines()] == list(lines)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(documents())
def test_a_document_survives_being_saved_and_loaded_and_is_admitted_by_the_schema(document):
    data = json.loads(json.dumps(dump_document(document)))
    ADMITS.validate(data)
    again = parse_document(data)
    assert again == document
    assert read_rules(again, currency="USD") == read_rules(document, currency="USD")
    assert len(read_rules(document, currency="USD")) >= len(document.cases)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], max_examples=300)
@given(of_schema(SCHEMA, SCHEMA["$defs"]))
def test_whatever_the_schema_admits_is_a_document_that_judges_or_is_refused_with_a_path(data):
    ADMITS.validate(data)
    document, errors = read(data)
    if document is None:
        assert errors
        assert all(path and text for path, text in errors)
    else:
        ready = prepare(document, snapshot(subject()), now=NOW)
        for one in ready.subjects:
            judge(document, one, ready, now=NOW)
        ADMITS.validate(dump_document(document))


@settings(max_examples=300)
@given(json_values)
def test_whatever_is_sent_is_a_tree_or_refused_with_a_path(data):
    errors: tuple[tuple[str, str], ...] = ()
    try:
        tree = parse(data)
    except BadTree as refused:
        tree, errors = None, refused.errors
    if tree is None:
        assert errors
        assert all(isinstance(path, str) and text for path, text in errors)
    else:
        one = subject()
        assert evaluate(tree, one, snapshot(one), now=NOW).result in (True, False, None)


@given(trees, figures, figures, figures)
def test_every_tree_evaluates_to_true_false_or_unknown(tree, ctr, cpc, impressions):
    one = subject(ctr=ctr, cpc=cpc, impressions=impressions)
    trace = evaluate(tree, one, snapshot(one), now=NOW)
    assert trace.result in (True, False, None)
    if trace.result is None:
        assert any(leaf.why_unknown for leaf in trace.leaves())


@given(trees, st.randoms(use_true_random=False))
def test_the_order_of_siblings_never_matters(tree, dice):
    one = subject(ctr="0.9", cpc=None)
    shot = snapshot(one)
    assert (
        evaluate(tree, one, shot, now=NOW).result
        == evaluate(_shuffled(tree, dice), one, shot, now=NOW).result
    )


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
        ({"any": [PLAIN, {"not": 3}]}, "any[1].not"),
        ({"metric": "nonsense", "op": "<", "than": {"number": "1"}}, "metric"),
        ({"metric": "ctr", "op": "=<", "than": {"number": "1"}}, "op"),
        ({"metric": "ctr", "op": "<"}, "than"),
        ({"metric": "ctr", "op": "<", "than": {"number": 0.8}}, "than.number"),
        ({"metric": "ctr", "op": "<", "than": {"number": "-1"}}, "than.number"),
        ({"metric": "ctr", "op": "<", "than": {"number": "1e-99"}}, "than.number"),
        ({"metric": "ctr", "op": "<", "than": {"metric": "cpc"}}, "than.metric"),
        ({**PLAIN, "window": "last_91d"}, "window"),
        ({**PLAIN, "window": "last_3d", "of": "uncle"}, "of"),
        ({**PLAIN, "shell": "rm"}, "shell"),
        ({"fact": "password", "op": "is", "text": "x"}, "fact"),
        ({"fact": "name", "op": "is", "text": ""}, "text"),
        ({"fact": "name", "op": "regex", "text": ".*"}, "op"),
        ({"fact": "name", "op": "in", "text": "a"}, "op"),
        ({"fact": "weekday", "op": "is", "text": "Monday"}, "text"),
        ({"fact": "hour", "op": ">=", "number": "24"}, "number"),
        ({"fact": "spend_share", "of": "parent", "op": ">", "number": "101"}, "number"),
        ({"rank": "bottom", "by": "roas", "within": "parent"}, "count"),
        ({"rank": "bottom", "by": "roas", "within": "parent", "count": 2, "percent": "10"}, "count"),
        ({"metric": "quality_ranking", "op": "<", "than": {"number": "3"}}, "metric"),
        ({"metric": "reach", "window": "last_3d", "op": "<", "than": {"number": "3"}}, "window"),
        ({"metric": "spend", "window": "last_6h", "op": "<", "than": {"number": "3"}}, "window"),
        (
            {"metric": "cpa", "window": "last_6h", "of": "account", "op": "<", "than": {"number": "3"}},
            "window",
        ),
    ],
)
def test_a_mistake_is_named_by_its_path(data, path):
    with pytest.raises(BadTree) as refused:
        parse(data)
    assert path in [at for at, _ in refused.value.errors]


@pytest.mark.parametrize(
    ("left", "than"),
    [
        ("ctr", {"metric": "cpc"}),
        ("ctr", {"metric": "roas"}),
        ("cpc", {"metric": "roas"}),
        ("impressions", {"metric": "spend"}),
        ("frequency", {"metric": "roas"}),
        ("frequency", {"target": "roas"}),
        ("ctr", {"target": "cpa"}),
        ("roas", {"target": "cpa"}),
        ("clicks", {"amount": "daily_budget"}),
    ],
)
def test_only_like_is_compared_with_like_and_the_mistake_says_what_to_take(left, than):
    with pytest.raises(BadTree, match="compare like with like") as refused:
        parse({"metric": left, "op": "<", "than": than})
    (where, text) = refused.value.errors[0]
    assert where == f"than.{next(iter(than))}"
    assert "for example" in text or left == "frequency"


@pytest.mark.parametrize(
    ("do", "at", "text"),
    [
        ({"action": "delete"}, "action", "pause it"),
        ({"action": "webhook", "url": "https://x"}, "action", "notify"),
        ({"action": "raise_budget", "percent": "10"}, "at_most", "missing"),
        ({"action": "lower_budget", "percent": "10"}, "at_least", "missing"),
        ({"action": "raise_budget", "at_most": "10"}, "percent", "exactly one"),
        ({"action": "raise_budget", "percent": "21", "at_most": "10"}, "percent", "to 20"),
        ({"action": "set_budget", "amount": "0"}, "amount", "from"),
        ({"action": "pause_until"}, "hours", "exactly one"),
        ({"action": "rename", "replace": "a"}, "prefix", "exactly one"),
        (
            {"action": "rebalance", "metric": "quality_ranking", "step_percent": "5", "at_least": "1"},
            "metric",
            "must",
        ),
    ],
)
def test_an_action_without_its_bounds_is_refused(do, at, text):
    found = mistakes(a_document(do=[do]))
    assert text in found[f"cases[0].do[0].{at}"]


@pytest.mark.parametrize(
    ("level", "do"),
    [
        ("ad", {"action": "set_budget", "amount": "5"}),
        ("ad", {"action": "set_end", "days": 3}),
        ("ad", {"action": "raise_bid", "percent": "5", "at_most": "3"}),
        ("campaign", {"action": "set_bid", "amount": "3"}),
    ],
)
def test_an_action_that_its_level_has_nothing_for_is_refused(level, do):
    assert "cases[0].do[0]" in mistakes(a_document(level=level, do=[do]))


def test_a_case_has_one_action_for_each_field_and_a_document_one_case_of_each_name():
    both = [{"action": "pause"}, {"action": "start"}]
    assert "already" in mistakes(a_document(do=both))["cases[0].do[1]"]
    case = a_document()["cases"][0]
    assert "name" in mistakes({"level": "ad", "cases": [case, case]})["cases[1].name"]


def test_a_ranking_is_no_filter():
    where = {"rank": "top", "count": 1, "by": "roas", "within": "account"}
    assert "scope.where" in mistakes(a_document(scope={"where": where}))


def test_every_mistake_is_told_at_once():
    when = {
        "all": [{"metric": "x", "op": "<", "than": {"number": "1"}}, {"fact": "name", "op": "is", "text": 5}]
    }
    found = mistakes(a_document(when, do=[{"action": "nuke"}], scope={"only": ["a b"]}))
    assert set(found) == {
        "cases[0].when.all[0].metric",
        "cases[0].when.all[1].text",
        "cases[0].do[0].action",
        "scope.only[0]",
    }


def test_a_tree_too_deep_or_too_large_is_refused_without_recursion_trouble():
    deep: object = PLAIN
    for _ in range(MAX_DEPTH + 500):
        deep = {"not": deep}
    with pytest.raises(BadTree, match="deep"):
        parse(deep)
    with pytest.raises(BadTree, match="at most"):
        parse({"all": [PLAIN] * 500})
    many = [{"all": [PLAIN] * 15}] * 15
    with pytest.raises(BadTree, match="at most 200"):
        parse({"all": many})


def test_hours_are_taken_of_campaigns_and_of_the_account_around_an_object():
    hours = {"metric": "spend", "window": "last_6h", "op": ">", "than": {"number": "3"}}
    assert parse(hours, level="campaign") == Compare("spend", ">", Number(Decimal(3)), "last_6h")
    assert parse({**hours, "of": "account"}, level="ad")


def test_metas_own_names_of_metrics_and_windows_load_and_are_written_canonically():
    tree = parse({"metric": "costPerConversion", "window": "last_1d", "op": ">", "than": {"number": 3}})
    assert dump(tree) == {"metric": "cpa", "window": "yesterday", "op": ">", "than": {"number": "3"}}


def test_profit_may_be_compared_with_less_than_nothing():
    assert parse({"metric": "profit", "op": "<", "than": {"number": "-50"}})


def test_the_metrics_of_a_tree_are_all_that_it_asks_for():
    tree = All((Compare("ctr", "<", Number(Decimal(1))), Not(Compare("cpc", ">", MetricOperand("cpm")))))
    assert metrics_of(tree) == {"ctr", "cpc", "cpm"}


def test_a_document_says_whose_figures_it_needs_over_which_windows():
    tree = All(
        (
            Compare("cpc", ">", MetricOperand("cpc", "last_14d", of="campaign"), "today"),
            Share("parent", ">", Decimal(40), "last_3d"),
            Rank("top", "roas", "account", 3, window="last_28d"),
            FactNumber("hour", ">", Decimal(3)),
        )
    )
    found = needs(Document((Case("a", tree, (Do(Action.PAUSE),)),)))
    basis = {"impressions", "spend", "conversions"}
    assert found == {
        "self": {"today": basis | {"cpc"}, "last_3d": basis, "last_28d": basis | {"roas"}},
        "campaign": {"last_14d": basis | {"cpc"}},
        "parent": {"last_3d": basis},
    }
