"""What is certainly wrong with a document: found in a corpus of faulty ones, and never claimed of what can be."""

from __future__ import annotations

import random
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.engine.evaluate import evaluate
from strategies.engine.language import parse_document
from strategies.engine.library import TEMPLATES, Ground, default, instantiate
from strategies.engine.rules import Case, Document, FactNumber
from strategies.engine.soundness import NOTE, REFUSE, Interval, _terms, examine, worst_case
from strategies.engine.types import Action, Do
from tests.strategies.engine.documents import tree_of
from tests.strategies.figures import NOW, snapshot, subject

METRICS = ("cpc", "ctr", "spend", "clicks", "frequency")
PAUSE, START = {"action": "pause"}, {"action": "start"}
UP = {"action": "raise_budget", "percent": "10", "at_most": "90"}
DOWN = {"action": "lower_budget", "percent": "10", "at_least": "5"}


def is_(metric, op, number):
    return {"metric": metric, "op": op, "than": {"number": f"{number}"}}


def document(*cases):
    return parse_document(
        {
            "level": "adset",
            "cases": [{"name": str(n), "when": when, "do": [do]} for n, (when, do) in enumerate(cases)],
        }
    )


def codes(found):
    return {one.code for one in found if one.severity != NOTE}


def faulty(dice):
    """(what is wrong, the document): thresholds, metrics and nesting by chance."""
    metric, other = dice.sample(METRICS, 2)
    low = dice.randint(1, 50)
    high = low + dice.randint(1, 50)
    noise = is_(other, ">", dice.randint(1, 9))
    yield "unsatisfiable", document(({"all": [is_(metric, "<", low), noise, is_(metric, ">", high)]}, PAUSE))
    yield (
        "unsatisfiable",
        document(({"all": [noise, {"not": is_(metric, "<=", high)}, is_(metric, "<=", low)]}, PAUSE)),
    )
    yield "unsatisfiable", document((is_(metric, "<", 0), PAUSE))
    yield "always_true", document(({"any": [is_(metric, "<", high), noise, is_(metric, ">", low)]}, PAUSE))
    yield "always_true", document((is_(metric, ">=", 0), PAUSE))
    yield (
        "shadowed",
        document((is_(metric, ">", low), PAUSE), ({"all": [is_(metric, ">", high), noise]}, PAUSE)),
    )
    yield "shadowed", document(({"any": [noise, is_(metric, "<", high)]}, UP), (is_(metric, "<=", low), UP))
    yield "no_gap", document((is_(metric, "<", low), UP), (is_(metric, ">=", low), DOWN))
    yield (
        "no_gap",
        document(({"all": [is_(metric, ">", low), noise]}, PAUSE), (is_(metric, "<=", low), START)),
    )


def sound(dice):
    """Documents of the same make without the fault."""
    metric, other = dice.sample(METRICS, 2)
    low = dice.randint(1, 50)
    high = low + dice.randint(1, 50)
    noise = is_(other, ">", dice.randint(1, 9))
    yield document(({"all": [is_(metric, ">", low), noise, is_(metric, "<", high)]}, PAUSE))
    yield document(({"any": [is_(metric, "<", low), noise, is_(metric, ">", high)]}, PAUSE))
    yield document((is_(metric, ">", high), PAUSE), (is_(metric, ">", low), DOWN))
    yield document((is_(metric, "<", low), UP), (is_(metric, ">", high), DOWN))


def test_faulty_documents_are_found_and_sound_ones_left_alone():
    dice = random.Random(6)
    wrong = [one for _ in range(60) for one in faulty(dice)]
    found = sum(code in codes(examine(one)) for code, one in wrong)
    fine = [one for _ in range(60) for one in sound(dice)]
    alarms = sum(bool(codes(examine(one))) for one in fine)
    sys.stdout.write(f"found {found} of {len(wrong)}, false alarms {alarms} of {len(fine)}\n")
    assert found >= 0.95 * len(wrong)
    assert alarms <= 0.05 * len(fine)


@pytest.mark.parametrize("key", sorted(TEMPLATES))
def test_a_template_raises_no_alarm(key):
    ground = Ground(Decimal(20), Decimal(100))
    money = {"base": "50", "at_least": "10", "week": "1000", "month": "4000", "warn": "3500"}
    asked = {
        name: money[name]
        for name, parameter in TEMPLATES[key].parameters.items()
        if parameter.unit == "money" and default(parameter, ground) is None
    }
    assert codes(examine(instantiate(TEMPLATES[key], given=asked, ground=ground))) == set()


numbers = [FactNumber("daily_budget", op, Decimal(n)) for op in ("<", "<=", ">", ">=") for n in (0, 3, 7)]


@given(tree_of(st.sampled_from(numbers), most=8))
def test_what_is_claimed_of_a_tree_is_so_for_every_amount(tree):
    """Halves between the thresholds stand for everything between them."""
    amounts = [Decimal(n) / 2 for n in range(1, 18)]
    truths = set()
    for amount in amounts:
        one = subject(daily_budget=amount)
        truths.add(evaluate(tree, one, snapshot(one), now=NOW).result)
    found = codes(examine(Document((Case("x", tree, (Do(Action.PAUSE),)),))))
    if "unsatisfiable" in found:
        assert truths == {False}
    if "always_true" in found:
        assert truths == {True}


def test_the_worst_case_of_raises_is_the_closed_form():
    assert worst_case(Decimal(20), times=7) == Decimal("258.3")
    assert worst_case(Decimal(10), times=1) == Decimal("10.0")
    (note,) = examine(document((is_("cpc", "<", 1), UP)))
    assert (note.severity, note.path) == (NOTE, "cases[0].do[0]")
    assert "up to 94.9 % more" in note.sentence


def test_a_case_that_can_never_hold_is_told_with_its_path():
    (found,) = examine(document((is_("cpc", ">", 1), PAUSE), (is_("ctr", "<", 0), PAUSE)))
    assert (found.severity, found.code, found.path) == (REFUSE, "unsatisfiable", "cases[1].when")


def test_a_tree_that_is_too_large_is_not_judged():
    pairs = [{"any": [is_("cpc", ">", n), is_("ctr", ">", n)]} for n in range(1, 12)]
    one = document(({"all": pairs}, PAUSE))
    assert _terms(one.cases[0].when, negated=False) is None
    assert examine(one) == ()


def test_an_open_end_shuts_a_point_out():
    assert Interval(Decimal(1), Decimal(1), low_open=True).empty
    assert not Interval(Decimal(1), Decimal(1)).empty


def test_a_case_behind_an_action_that_may_have_nothing_to_do_is_reached():
    assert codes(examine(document((is_("cpc", ">", 1), START), (is_("cpc", ">", 2), PAUSE)))) == set()
    wide = {**UP, "at_most": "200"}
    assert codes(examine(document((is_("cpc", "<", 2), UP), (is_("cpc", "<", 1), wide)))) == set()
    assert codes(examine(document((is_("cpc", "<", 2), wide), (is_("cpc", "<", 1), UP)))) == {"shadowed"}
