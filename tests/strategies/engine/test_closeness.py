"""How far a rule is from turning: by the nearest way, and by figures only."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from strategies.engine.closeness import distance, near
from strategies.engine.types import Action, CaseTrace, Do, Judgement, Subject, Trace, Verdict


def leaf(left, right="1.00", result=True):
    return Trace("metric", result, "ctr", D(left), "<", D(right))


def tree(kind, result, *children):
    return Trace(kind, result, kind, children=children)


UNKNOWN = Trace("metric", None, "ctr", None, "<", D(1), why_unknown="ctr not known")
NAME = Trace("fact", False, "name", "Spring", "contains", "sale")


@pytest.mark.parametrize(
    ("trace", "far"),
    [
        (leaf("0.95"), "0.05"),
        (leaf("1.05", result=False), "0.05"),
        (leaf("45", "50"), "0.1"),
        (leaf("-45", "-50"), "0.1"),
        (leaf("0", "0"), "0"),
        (leaf("0.01", "0"), "1"),
        (UNKNOWN, None),
        (NAME, None),
        (tree("not", False, leaf("0.95")), "0.05"),
        # All hold: the nearest would end it.
        (tree("all", True, leaf("0.5"), leaf("0.98")), "0.02"),
        # Two are false: both have to turn. Those that are true do not count.
        (tree("all", False, leaf("1.5", result=False), leaf("1.02", result=False), leaf("0.99")), "0.5"),
        # No figure turns a name, and nobody knows how far the unknown is.
        (tree("all", False, leaf("1.02", result=False), NAME), None),
        (tree("all", False, leaf("1.02", result=False), UNKNOWN), None),
        (tree("any", False, leaf("1.5", result=False), leaf("1.02", result=False), NAME), "0.02"),
        (tree("any", True, leaf("0.5"), leaf("0.98"), leaf("1.01", result=False)), "0.5"),
        (tree("all", None, leaf("0.99"), UNKNOWN), None),
    ],
)
def test_the_distance_is_that_of_the_nearest_way_to_turn(trace, far):
    assert distance(trace) == (None if far is None else D(far))


SUBJECT = Subject("adset", "21", "A", None, "ACTIVE", "ACTIVE", D(50), None, True, None, None, None)


def judged(*traces, verdict=Verdict.NOT_MET):
    cases = tuple(
        CaseTrace(str(number), (Do(Action.PAUSE),), one.result, one) for number, one in enumerate(traces)
    )
    return Judgement(SUBJECT, verdict, "", "", cases)


def test_an_object_is_near_when_one_of_its_cases_is_within_a_tenth_on_either_side():
    assert near(judged(leaf("2", result=False), leaf("1.1", result=False)))
    assert near(judged(leaf("0.9"), verdict=Verdict.FIRED))
    assert not near(judged(leaf("1.11", result=False), UNKNOWN, NAME))


def test_an_object_outside_the_scope_is_never_near():
    assert not near(replace(judged(leaf("1.0", result=False)), verdict=Verdict.EXCLUDED))
