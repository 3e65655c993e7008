"""The brief's `AccountStrategy` as documents of the rule language: three types, four thresholds, four actions.

Low-performing  = ctr < minCtr OR cpc > maxCpc                          -> pause
Good            = ctr >= minCtr AND cpc <= maxCpc AND cpm <= targetCpm  -> daily budget + 20 %
Dear            = ctr >= minCtr AND (cpc > maxCpc OR cpm > targetCpm)   -> advice: adjust bidding
Answered well   = ctr >= minCtr AND cpc <= maxCpc                       -> advice: expand the audience

`minCtr` is in percent as Meta reports it, the others are in account currency. An absent threshold switches
its condition off; a case whose every condition is off does not exist. No raise goes above `budgetThreshold`,
and without it nothing is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from strategies.engine.grammar import MAX_DECIMALS
from strategies.engine.rules import All, Any_, Case, Compare, Document, Node, Number
from strategies.engine.types import Action, Do

RAISE_PERCENT = Decimal(20)
MAX_AMOUNT = Decimal(10) ** 9

#: type -> (title, meaning, actions that are on unless said otherwise)
TYPES: Mapping[str, tuple[str, str, frozenset[str]]] = {
    "budget_optimization": (
        "Budget optimisation",
        "Moves money to what performs: raises good budgets in steps, pauses what does not perform.",
        frozenset({"pauseLowPerforming", "increaseBudget"}),
    ),
    "performance_optimization": (
        "Performance optimisation",
        "Protects the money: pauses what does not perform and points to bids that cost too much.",
        frozenset({"pauseLowPerforming", "adjustBidding"}),
    ),
    "audience_expansion": (
        "Audience expansion",
        "Looks for objects that people answer well to and proposes a wider audience.",
        frozenset({"expandAudience"}),
    ),
}
STATUSES = ("active", "paused", "completed")


@dataclass(frozen=True)
class Thresholds:
    minCtr: Decimal | None = None
    maxCpc: Decimal | None = None
    targetCpm: Decimal | None = None
    budgetThreshold: Decimal | None = None


@dataclass(frozen=True)
class Actions:
    pauseLowPerforming: bool = False
    increaseBudget: bool = False
    adjustBidding: bool = False
    expandAudience: bool = False


def read_thresholds(data: Any) -> tuple[Thresholds, list[tuple[str, str]]]:
    """`rules` of the brief (numbers or text) -> thresholds, and the mistakes as (path, sentence)."""
    errors: list[tuple[str, str]] = []
    known = {field.name for field in fields(Thresholds)}
    if not isinstance(data, Mapping):
        return Thresholds(), [("rules", "must be an object")]
    found: dict[str, Decimal] = {}
    for key, raw in data.items():
        path = f"rules.{str(key)[:60]}"
        if key not in known:
            errors.append((path, f"is not known; there are {', '.join(sorted(known))}"))
        elif raw is not None:
            value, mistake = _amount(raw, percent=key == "minCtr")
            if mistake:
                errors.append((path, mistake))
            elif value is not None:
                found[key] = value
    return Thresholds(**found), errors


def _amount(raw: Any, *, percent: bool) -> tuple[Decimal | None, str]:
    if isinstance(raw, bool) or not isinstance(raw, int | str | Decimal):
        return None, "must be a number"
    try:
        value = Decimal(raw)
    except ArithmeticError:
        return None, "must be a number"
    exponent = value.as_tuple().exponent
    if not value.is_finite() or not isinstance(exponent, int) or exponent < -MAX_DECIMALS:
        return None, f"must be a number with at most {MAX_DECIMALS} decimals"
    if value <= 0:
        return None, "must be above 0; leave it out to switch the condition off"
    if percent and value > 100:
        return None, "is in percent as Meta reports it (0.8 means 0.8 %), so at most 100"
    if value > MAX_AMOUNT:
        return None, f"must be at most {MAX_AMOUNT:,f}"
    return value, ""


def read_actions(data: Any, *, type_: str) -> tuple[Actions, list[tuple[str, str]]]:
    """`actions` of the brief -> switches; what is left out takes the type's default."""
    errors: list[tuple[str, str]] = []
    known = {field.name for field in fields(Actions)}
    defaults = TYPES[type_][2] if type_ in TYPES else frozenset()
    found = {name: name in defaults for name in known}
    if data is None:
        data = {}
    if not isinstance(data, Mapping):
        return Actions(), [("actions", "must be an object")]
    for key, raw in data.items():
        path = f"actions.{str(key)[:60]}"
        if key not in known:
            errors.append((path, f"is not known; there are {', '.join(sorted(known))}"))
        elif not isinstance(raw, bool):
            errors.append((path, "must be true or false"))
        else:
            found[key] = raw
    return Actions(**found), errors


def thresholds_json(thresholds: Thresholds) -> dict[str, str]:
    """The stored form: numbers as plain text, absent conditions left out."""
    pairs = ((field.name, getattr(thresholds, field.name)) for field in fields(Thresholds))
    return {name: format(value, "f") for name, value in pairs if value is not None}


def actions_json(actions: Actions) -> dict[str, bool]:
    return {field.name: getattr(actions, field.name) for field in fields(Actions)}


def document(thresholds: Thresholds, actions: Actions) -> Document:
    """An account strategy as a document, its cases in the order pause, raise, bidding, audience."""
    cases: list[Case] = []
    notes: list[str] = []
    if actions.pauseLowPerforming:
        low = low_performing(thresholds)
        if low is None:
            notes.append("Never pauses: neither minCtr nor maxCpc is set.")
        else:
            cases.append(Case("low-performing", low, (Do(Action.PAUSE),)))
    if actions.increaseBudget:
        good = performing_well(thresholds)
        if good is None:
            notes.append("Never raises a budget: none of minCtr, maxCpc and targetCpm is set.")
        elif thresholds.budgetThreshold is None:
            notes.append(
                "Never raises a budget: budgetThreshold, the highest budget a raise may reach, is not set."
            )
        else:
            step = Do(Action.RAISE_BUDGET, percent=RAISE_PERCENT, limit=thresholds.budgetThreshold)
            cases.append(Case("performing well", good, (step,)))
    if actions.adjustBidding:
        dear = too_dear(thresholds)
        if dear is None:
            notes.append("Never advises on bidding: neither maxCpc nor targetCpm is set.")
        else:
            cases.append(Case("answered but dear", dear, (Do(Action.ADJUST_BIDDING),)))
    if actions.expandAudience:
        wide = answered_well(thresholds)
        if wide is None:
            notes.append("Never advises on the audience: neither minCtr nor maxCpc is set.")
        else:
            cases.append(Case("answered well", wide, (Do(Action.EXPAND_AUDIENCE),)))
    return Document(tuple(cases), notes=tuple(notes))


def low_performing(thresholds: Thresholds) -> Node | None:
    return _group(Any_, (_leaf("ctr", "<", thresholds.minCtr), _leaf("cpc", ">", thresholds.maxCpc)))


def performing_well(thresholds: Thresholds) -> Node | None:
    return _group(
        All,
        (
            _leaf("ctr", ">=", thresholds.minCtr),
            _leaf("cpc", "<=", thresholds.maxCpc),
            _leaf("cpm", "<=", thresholds.targetCpm),
        ),
    )


def too_dear(thresholds: Thresholds) -> Node | None:
    dear = _group(Any_, (_leaf("cpc", ">", thresholds.maxCpc), _leaf("cpm", ">", thresholds.targetCpm)))
    return None if dear is None else _group(All, (_leaf("ctr", ">=", thresholds.minCtr), dear))


def answered_well(thresholds: Thresholds) -> Node | None:
    return _group(All, (_leaf("ctr", ">=", thresholds.minCtr), _leaf("cpc", "<=", thresholds.maxCpc)))


def _leaf(metric: str, op: str, threshold: Decimal | None) -> Compare | None:
    return None if threshold is None else Compare(metric, op, Number(threshold))


def _group(kind: type[All] | type[Any_], members: tuple[Node | None, ...]) -> Node | None:
    present = tuple(member for member in members if member is not None)
    return kind(present) if present else None
