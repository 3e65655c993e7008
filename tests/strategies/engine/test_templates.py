"""The brief's AccountStrategy, field by field."""

from __future__ import annotations

from decimal import Decimal

import pytest

from strategies.engine.rules import All, Any_, Compare, Number
from strategies.engine.templates import (
    TYPES,
    Actions,
    Thresholds,
    low_performing,
    performing_well,
    read_actions,
    read_thresholds,
    thresholds_json,
)


def test_the_briefs_thresholds_are_read_and_written_one_to_one():
    thresholds, errors = read_thresholds(
        {"minCtr": Decimal("0.8"), "maxCpc": "1.20", "targetCpm": 7, "budgetThreshold": Decimal(250)}
    )
    assert errors == []
    assert thresholds == Thresholds(Decimal("0.8"), Decimal("1.20"), Decimal(7), Decimal(250))
    assert thresholds_json(thresholds) == {
        "minCtr": "0.8",
        "maxCpc": "1.20",
        "targetCpm": "7",
        "budgetThreshold": "250",
    }
    assert read_thresholds(thresholds_json(thresholds)) == (thresholds, [])


def test_an_absent_threshold_switches_its_condition_off():
    only_ctr, _ = read_thresholds({"minCtr": "0.8", "maxCpc": None})
    assert only_ctr == Thresholds(minCtr=Decimal("0.8"))
    assert low_performing(only_ctr) == Any_((Compare("ctr", "<", Number(Decimal("0.8"))),))
    assert performing_well(only_ctr) == All((Compare("ctr", ">=", Number(Decimal("0.8"))),))
    assert low_performing(Thresholds(targetCpm=Decimal(5))) is None


@pytest.mark.fault("F70", "F73")
@pytest.mark.parametrize(
    ("rules", "path"),
    [
        ({"minCtr": "0"}, "rules.minCtr"),
        ({"minCtr": "-1"}, "rules.minCtr"),
        ({"minCtr": "101"}, "rules.minCtr"),
        ({"minCtr": True}, "rules.minCtr"),
        ({"minCtr": 0.8}, "rules.minCtr"),
        ({"maxCpc": "NaN"}, "rules.maxCpc"),
        ({"maxCpc": "Infinity"}, "rules.maxCpc"),
        ({"maxCpc": "1e18"}, "rules.maxCpc"),
        ({"maxCpc": "one"}, "rules.maxCpc"),
        ({"budgetThreshold": "0"}, "rules.budgetThreshold"),
        ({"min_ctr": "1"}, "rules.min_ctr"),
        ([], "rules"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused_by_name(rules, path):
    _, errors = read_thresholds(rules)
    assert [at for at, _ in errors] == [path]


def test_actions_left_out_take_the_types_default():
    for type_, (_, _, on) in TYPES.items():
        actions, errors = read_actions({}, type_=type_)
        assert errors == []
        assert {name for name in vars(actions) if getattr(actions, name)} == on
    actions, _ = read_actions({"pauseLowPerforming": False}, type_="budget_optimization")
    assert actions == Actions(pauseLowPerforming=False, increaseBudget=True)


def test_actions_that_make_no_sense_are_refused_by_name():
    _, errors = read_actions({"pauseLowPerforming": "yes", "launch": True}, type_="budget_optimization")
    assert [at for at, _ in errors] == ["actions.pauseLowPerforming", "actions.launch"]
