"""The words of the rule language for a form: what may stand where, with the labels that people read.

It is told from the table that also reads documents (`language`, `grammar`), so a form never offers what would be
refused, and knows a new metric, fact or action as soon as the table does. PURE.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from strategies.engine import spans
from strategies.engine.actions import BID_STRATEGIES, BUDGETS, ONLY_OURS
from strategies.engine.facts import FACTS, IN, SHARE, TEXT_OPERATORS
from strategies.engine.figures import FIGURES
from strategies.engine.grammar import Amount, Flag, Keyed, Many, Named, Record, Ref, Shape, Text, Whole, Word
from strategies.engine.language import shapes
from strategies.engine.rules import BUDGET_OWNER, ENDS, LEVELS, OPERATORS, SELF, WHOSE
from strategies.engine.spans import Kind, Span
from strategies.engine.types import LAST_7_DAYS, Action
from strategies.engine.wording import VERBS

#: Key -> what a field is called. The order is that in which fields stand.
FIELDS: Final[Mapping[str, str]] = {
    "name": "Name",
    "level": "It judges",
    "scope": "Whom it is about",
    "cases": "Cases",
    "all": "all of",
    "any": "any of",
    "not": "none of",
    "learning": "Also judge what is in Meta's learning phase",
    "only": "Only these ids (one a line; empty: all, new ones too)",
    "except": "Never these ids (one a line)",
    "where": "Only where this holds",
    "when": "When",
    "do": "Then",
    "action": "Do",
    "fact": "Fact",
    "rank": "Among the",
    "count": "How many",
    "by": "By",
    "metric": "Figure",
    "of": "Whose",
    "within": "Within",
    "window": "Over",
    "op": "Is",
    "than": "Compared with",
    "target": "Target",
    "number": "Number",
    "amount": "Amount",
    "percent": "Percent",
    "step_percent": "Each by at most (percent)",
    "at_most": "To at most",
    "at_least": "To at least",
    "times": "Times",
    "budget": "Budget",
    "text": "Text",
    "texts": "One of (one a line)",
    "which": "Which",
    "hours": "Hours",
    "days": "Days",
    "hour": "Until (hour of the account's day)",
    "to": "To",
    "prefix": "Put before the name",
    "suffix": "Put after the name",
    "replace": "Write, instead of",
    "with": "this",
    "severity": "How loudly",
    "zeros": "Also those without delivery",
}
#: What is meant where an optional field is left out.
USUAL: Final[Mapping[str, Any]] = {
    "of": SELF,
    "window": LAST_7_DAYS,
    "times": "1",
    "budget": BUDGETS[0],
    "which": ONLY_OURS,
    "severity": "warning",
    "learning": False,
    "zeros": False,
}
_BY_KEY: Final[Mapping[str, Mapping[str, str]]] = {
    "metric": {name: one.label for name, one in FIGURES.items()},
    "by": {name: one.label for name, one in FIGURES.items()},
    "op": {**OPERATORS, **TEXT_OPERATORS, IN: "is one of"},
    "of": WHOSE,
    "within": {"parent": "what it is in", "campaign": "its campaign", "account": "the account"},
    "rank": ENDS,
    "level": {**LEVELS, BUDGET_OWNER: "campaigns or ad sets, whichever owns the budget"},
    "target": {"cpa": "target CPA", "roas": "target ROAS"},
    "amount": {name: fact.label for name, fact in FACTS.items()},
    "fact": {**{name: fact.label for name, fact in FACTS.items()}, SHARE: "share of the spend"},
    "action": {action.value: " ".join(VERBS[action][0].format(budget="").split()) for action in Action}
    | {Action.PAUSE_UNTIL.value: "Pause for a time"},
    "which": {ONLY_OURS: "only what this strategy paused", "any": "whatever is paused"},
    "to": {name: name.replace("_", " ").capitalize() for name in BID_STRATEGIES},
}
_NODES: Final[Mapping[str, str]] = {"metric": "Figure", "fact": "Fact", "rank": "Ranking"}
_OPERANDS: Final[Mapping[str, str]] = {
    "number": "a number",
    "metric": "another figure",
    "target": "the client's target",
    "amount": "an amount of its own",
}
_COUNT, _SHARE = 88, 77
_SPANS: Final[tuple[tuple[str, Span], ...]] = (
    ("today", Span(Kind.TODAY)),
    ("yesterday", Span(Kind.DAYS, 1)),
    ("full days", Span(Kind.DAYS, _COUNT)),
    ("full days and today", Span(Kind.DAYS_AND_TODAY, _COUNT)),
    ("full days, those that are mostly reported", Span(Kind.MATURE, _COUNT, _SHARE)),
    ("full hours", Span(Kind.HOURS, _COUNT)),
    ("its whole life", Span(Kind.LIFETIME)),
)


def vocabulary() -> dict[str, Any]:
    """Everything that a form of rules is made of, as JSON."""
    table = shapes()
    return {
        "document": describe(table["document"]),
        "node": describe(table["node"]),
        "fields": dict(FIELDS),
        "usual": dict(USUAL),
        "units": {name: one.unit for name, one in FIGURES.items()},
        "factUnits": {name: fact.unit for name, fact in FACTS.items()} | {SHARE: "percent"},
        "windows": [_window(label, span) for label, span in _SPANS],
        "nodes": dict(_NODES),
        "operands": dict(_OPERANDS),
        "whose": {of: f"{words} average" for of, words in WHOSE.items() if of != SELF},
        "in": IN,
    }


def _window(label: str, span: Span) -> dict[str, Any]:
    """How the text of such a window is made of its numbers, and how far they go."""
    text = span.text.replace(str(_COUNT), "{count}").replace(str(_SHARE), "{share}")
    most = spans.MOST_HOURS if span.kind is Kind.HOURS else spans.MOST_DAYS
    return {"label": label, "text": text, "most": most, "shares": [spans.SHARES[0], spans.SHARES[-1]]}


def describe(shape: Shape, key: str = "") -> dict[str, Any]:
    """A shape as a form needs it: what it is, its choices with their words, its bounds."""
    match shape:
        case Word(choices):
            known = _BY_KEY.get(key, {})
            return {"is": "word", "choices": [[one, known.get(one) or _plain(one)] for one in choices]}
        case Text(pattern=spans.PATTERN):
            return {"is": "window"}
        case Text(most):
            return {"is": "text", "most": most}
        case Amount(least, most):
            return {"is": "amount", "least": f"{least:f}", "most": f"{most:f}"}
        case Whole(least, most):
            return {"is": "whole", "least": least, "most": most}
        case Flag():
            return {"is": "flag"}
        case Many(one, most, what):
            return {"is": "many", "one": describe(one, key), "most": most, "what": what}
        case Keyed(kinds):
            return {"is": "keyed", "kinds": {kind: describe(one) for kind, one in kinds.items()}}
        case Named(named, kinds):
            words = _BY_KEY[named]
            found = {kind: {"label": words[kind], **describe(one)} for kind, one in kinds.items()}
            return {"is": "named", "key": named, "kinds": found}
        case Record():
            return _record(shape)
        case Ref():
            return {"is": "node"}
    raise TypeError(f"a form does not know {type(shape).__name__}")


def _record(shape: Record) -> dict[str, Any]:
    known = {**shape.needs, **shape.may}
    order = sorted(known, key=list(FIELDS).index)
    return {
        "is": "record",
        "fields": {key: {"needed": key in shape.needs, **describe(known[key], key)} for key in order},
        "oneOf": [list(group) for group in shape.one_of],
    }


def _plain(word: str) -> str:
    return word.replace("_", " ")
