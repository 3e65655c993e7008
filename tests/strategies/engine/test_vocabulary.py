"""What a form of rules may offer is what the reader takes: every choice, every usual value, every window."""

from __future__ import annotations

import json

import pytest

from strategies.engine import spans
from strategies.engine.actions import ACTIONS
from strategies.engine.facts import FACT_SHAPES
from strategies.engine.language import parse, parse_document, schema
from strategies.engine.types import Action
from strategies.engine.vocabulary import FIELDS, USUAL, describe, vocabulary
from tests.strategies.engine.documents import plain

V = vocabulary()
LEAF = {"metric": "cpc", "op": ">", "than": {"number": "1"}}


def keys(shape):
    """Every field name of a description."""
    for key, one in shape.get("fields", {}).items():
        yield key
        yield from keys(one)
    for one in [*shape.get("kinds", {}).values(), *([shape["one"]] if "one" in shape else [])]:
        yield from keys(one)


def document(do):
    return {"level": "adset", "cases": [{"name": "A", "when": LEAF, "do": [do]}]}


def test_it_is_json_and_every_field_of_the_table_has_a_name():
    assert json.loads(json.dumps(V)) == V
    seen = {*keys(V["document"]), *keys(V["node"])}
    assert {"metric", "window", "than", "at_most", "severity", "zeros"} <= seen <= set(FIELDS)


def test_every_metric_fact_and_action_of_the_language_is_offered():
    kinds = V["node"]["kinds"]
    (metric,) = [one for one in schema()["$defs"]["node"]["anyOf"] if "metric" in one.get("properties", {})]
    offered = {name for name, _ in kinds["metric"]["fields"]["metric"]["choices"]}
    assert offered <= set(metric["properties"]["metric"]["enum"]) and set(plain) <= offered
    assert set(kinds["fact"]["kinds"]) == set(FACT_SHAPES)
    does = V["document"]["fields"]["cases"]["one"]["fields"]["do"]["one"]
    assert set(does["kinds"]) == {one.value for one in Action} == set(describe(ACTIONS)["kinds"])
    labels = [one["label"] for one in does["kinds"].values()]
    assert len(set(labels)) == len(labels) and not any("{" in label or "  " in label for label in labels)


@pytest.mark.parametrize(
    ("without", "key"),
    [
        (LEAF, "of"),
        (LEAF, "window"),
        ({"rank": "top", "count": 1, "by": "ctr", "within": "parent"}, "zeros"),
        ({**LEAF, "than": {"metric": "cpm"}}, "times"),
    ],
)
def test_the_usual_values_of_a_condition_are_those_of_the_reader(without, key):
    given = (
        {**without, key: USUAL[key]}
        if key != "times"
        else {**without, "than": {"metric": "cpm", "times": "1"}}
    )
    assert parse(given) == parse(without)


@pytest.mark.parametrize(
    ("without", "key"),
    [
        ({"action": "set_budget", "amount": "5"}, "budget"),
        ({"action": "start"}, "which"),
        ({"action": "notify"}, "severity"),
    ],
)
def test_the_usual_values_of_an_action_are_those_of_the_reader(without, key):
    assert parse_document(document({**without, key: USUAL[key]})) == parse_document(document(without))


def test_every_window_that_it_writes_is_one():
    for one in V["windows"]:
        for count in (1, one["most"]):
            for share in one["shares"]:
                text = one["text"].format(count=count, share=share)
                assert spans.parse(text) is not None, text
        assert (
            spans.parse(one["text"].format(count=one["most"] + 1, share=90)) is None
            or "{count}" not in one["text"]
        )
