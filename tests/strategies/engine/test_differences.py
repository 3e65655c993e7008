"""What changed between two versions, in words."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given

from strategies.engine.differences import differences
from strategies.engine.language import dump_document, parse_document
from strategies.engine.rules import Case, Compare, Document, Number, Scope
from strategies.engine.types import Action, Do
from tests.strategies.engine.documents import documents


def case(name, number, *does):
    when = Compare("cpc", ">", Number(Decimal(number)))
    return Case(name, when, does or (Do(Action.PAUSE),))


A, B = case("A", "1.00"), case("B", "2.00")
BOTH = Document((A, B), "adset")


def told(before, after):
    return differences(before, after, currency="USD")


def test_a_changed_threshold_says_both_sentences():
    (said,) = told(BOTH, replace(BOTH, cases=(case("A", "1.50"), B)))
    assert said.startswith("“A” says: Pause an ad set when CPC is above USD 1.50")
    assert "It said: Pause an ad set when CPC is above USD 1.00" in said


def test_what_came_what_went_and_what_moved():
    assert told(BOTH, replace(BOTH, cases=(A,))) == (
        "“B” is gone. It said: Pause an ad set when CPC is above USD 2.00, judged on the last 7 full days.",
    )
    (new,) = told(replace(BOTH, cases=(A,)), BOTH)
    assert new.startswith("“B” is new: Pause")
    (order,) = told(BOTH, replace(BOTH, cases=(B, A)))
    assert order == "The order of the cases is now “B”, “A”; the first that is met counts."


def test_the_level_and_whom_it_is_about():
    assert told(BOTH, replace(BOTH, level="ad"))[0] == "It judges each ad, before each ad set."
    some = replace(BOTH, scope=Scope(only=("77",)))
    assert told(BOTH, some) == ("New: Only about the ad set 77.",)
    assert told(some, BOTH) == ("No longer: Only about the ad set 77.",)


@given(documents(), documents())
def test_two_documents_are_told_apart_exactly_where_they_differ(one, other):
    assert told(one, one) == ()
    if dump_document(one) != dump_document(other):
        assert told(one, other)
    assert parse_document(dump_document(one)) == one
