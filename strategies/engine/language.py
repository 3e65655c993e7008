"""The rule language: what a document's JSON looks like and means, what fits together, and how it is written back.

    {"level": "budget_owner" | "campaign" | "adset" | "ad",
     "scope": {"only": [id, ...], "except": [id, ...], "where": node, "learning": true},
     "cases": [{"name": "Dear", "when": node, "do": [{"action": "pause"}, ...]}, ...]}

    node     {"all": [node, ...]}   {"any": [node, ...]}   {"not": node}
             {"metric": "ctr", "window": "last_7d", "of": "self", "op": "<", "than": operand}
             {"fact": "name", "op": "contains", "text": "sale"}   {"fact": "age_days", "op": ">=", "number": "3"}
             {"fact": "spend_share", "of": "parent", "window": "last_7d", "op": ">", "number": "40"}
             {"rank": "bottom", "count": 3, "by": "roas", "window": "last_14d", "within": "parent"}
    operand  {"number": "0.80"}   {"metric": "cpc", "of": "account", "times": "1.5"}   {"target": "cpa", "times": "2"}
             {"amount": "daily_budget", "times": "0.8"}

Numbers are written as text, so that JSON never makes them floats. `parse_document` either returns a document or raises
`BadTree`, which names each mistake by its path. Units are checked there: money is never compared with a percentage,
nor a ROAS with a frequency. The shapes are one table (`grammar`), which is published as a JSON Schema.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from insights.metrics import ALIASES
from strategies.engine import spans
from strategies.engine.actions import ACTIONS, dump_action, misplaced
from strategies.engine.facts import AMOUNTS, FACT_SHAPES, IN, SHARE, WINDOW
from strategies.engine.figures import FIGURES, RANKS_TO, Figure, like
from strategies.engine.figures import words as kind_words
from strategies.engine.grammar import (
    BAD,
    MAX_NODES,
    MAX_NUMBER,
    Amount,
    BadTree,
    Flag,
    Keyed,
    Many,
    Named,
    Reader,
    Record,
    Ref,
    Shape,
    Text,
    Whole,
    Word,
    join,
)
from strategies.engine.rules import (
    BUDGET_OWNER,
    ENDS,
    LEVELS,
    OPERATORS,
    SELF,
    TARGETS,
    WHOSE,
    WITHIN,
    All,
    Any_,
    Case,
    Compare,
    Document,
    FactIn,
    FactIs,
    FactNumber,
    MetricOperand,
    Node,
    Not,
    Number,
    Operand,
    OwnAmount,
    Rank,
    Scope,
    Share,
    Target,
    leaves,
)
from strategies.engine.types import LAST_7_DAYS

MOST_CASES: Final = 30
MOST_PICKED: Final = 1000
_ONE: Final = Decimal(1)
_ID: Final = Text(40, pattern="^[A-Za-z0-9_]{1,40}$", advice="must be an id of Meta, e.g. 238500000000")
_SMALL: Final = Amount(Decimal(0), Decimal(1_000_000))


@dataclass(frozen=True)
class About:
    """What reading depends on: the metrics there are, and the level that the document judges."""

    figures: Mapping[str, Figure]
    level: str = BUDGET_OWNER


def parse(data: Any, *, level: str = BUDGET_OWNER, figures: Mapping[str, Figure] = FIGURES) -> Node:
    """The tree that `data` describes. Raises `BadTree` with every mistake found, each with its path."""
    found: Node = _read("node", data, About(figures, level))
    return found


def parse_document(data: Any, *, figures: Mapping[str, Figure] = FIGURES) -> Document:
    """The document that `data` describes. Raises `BadTree` with every mistake found, each with its path."""
    level = data.get("level") if isinstance(data, Mapping) else None
    about = About(figures, level if isinstance(level, str) and level in LEVELS else BUDGET_OWNER)
    found: Document = _read("document", data, about)
    return found


def _read(name: str, data: Any, about: About) -> Any:
    shapes = _usual() if about.figures is FIGURES else _shapes(about.figures)
    reader = Reader(shapes, about)
    found = reader.read(Ref("node") if name == "node" else shapes[name], data, "")
    if reader.errors or found is BAD:
        raise BadTree(reader.errors or [("", "is not a rule")])
    return found


def shapes() -> Mapping[str, Shape]:
    """The table by which documents are read: "document" and "node"."""
    return _usual()


def schema() -> dict[str, Any]:
    """The published JSON Schema (draft 2020-12) of a document."""
    shapes = _usual()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://metaads/rules/1.json",
        "title": "A rule document",
        **shapes["document"].schema(),
        "$defs": {"node": shapes["node"].schema()},
    }


@functools.cache
def _usual() -> Mapping[str, Shape]:
    return _shapes(FIGURES)


def _shapes(figures: Mapping[str, Figure]) -> Mapping[str, Shape]:
    """The table."""
    node = Ref("node")
    metric = Word(tuple(figures), aliases={k: v for k, v in ALIASES.items() if v in figures})
    window, whose, op = WINDOW, Word(tuple(WHOSE)), Word(tuple(OPERATORS))
    number = Amount(-MAX_NUMBER)
    operand = Keyed(
        {
            "number": Record({"number": number}, lambda reader, values, path: Number(values["number"])),
            "metric": Record(
                {"metric": metric}, _metric_operand, may={"window": window, "of": whose, "times": _SMALL}
            ),
            "target": Record({"target": Word(tuple(TARGETS))}, _target, may={"times": _SMALL}),
            "amount": Record({"amount": Word(AMOUNTS)}, _own_amount, may={"times": _SMALL}),
        }
    )
    many = Many(node, MAX_NODES, "condition")
    nodes = Keyed(
        {
            "all": Record({"all": many}, lambda reader, values, path: All(values["all"])),
            "any": Record({"any": many}, lambda reader, values, path: Any_(values["any"])),
            "not": Record({"not": node}, lambda reader, values, path: Not(values["not"])),
            "metric": Record(
                {"metric": metric, "op": op, "than": operand}, _compare, may={"window": window, "of": whose}
            ),
            "fact": Named("fact", FACT_SHAPES),
            "rank": Record(
                {"rank": Word(tuple(ENDS)), "by": metric, "within": Word(WITHIN)},
                _rank,
                may={"window": window, "count": Whole(1, 1000), "percent": Amount(Decimal("0.1"), Decimal(99)),
                     "zeros": Flag()},
                one_of=(("count",), ("percent",)),
            ),
        }
    )  # fmt: skip
    picked = Many(_ID, MOST_PICKED, "id")
    scope = Record({}, _scope, may={"only": picked, "except": picked, "where": node, "learning": Flag()})
    case = Record({"name": Text(100), "when": node, "do": Many(ACTIONS, 10, "action")}, _case)
    document = Record(
        {"level": Word(tuple(LEVELS)), "cases": Many(case, MOST_CASES, "case")},
        _document,
        may={"scope": scope},
    )
    return {"node": nodes, "document": document}


# --- what fits together


def _compare(reader: Reader, values: dict[str, Any], path: str) -> Any:
    name, of = values["metric"], values.get("of", SELF)
    window = values.get("window", LAST_7_DAYS)
    than: Operand = values["than"]
    fits = _fits(reader, name, window, of, path)
    if not _alike(reader, reader.about.figures[name], than, join(path, "than")) or not fits:
        return BAD
    return Compare(name, values["op"], than, window, of)


def _metric_operand(reader: Reader, values: dict[str, Any], path: str) -> Any:
    name, of = values["metric"], values.get("of", SELF)
    window = values.get("window", LAST_7_DAYS)
    if not _fits(reader, name, window, of, path):
        return BAD
    return MetricOperand(name, window, values.get("times", _ONE), of)


def _target(reader: Reader, values: dict[str, Any], path: str) -> Any:
    return Target(values["target"], values.get("times", _ONE))


def _own_amount(reader: Reader, values: dict[str, Any], path: str) -> Any:
    return OwnAmount(values["amount"], values.get("times", _ONE))


def _fits(reader: Reader, name: str, window: str, of: str, path: str, key: str = "metric") -> bool:
    """Whether the metric can be known there and then; else the mistake is noted."""
    figure, level = reader.about.figures[name], reader.about.level
    if figure.ads_only and (level != "ad" or of != SELF):
        reader.bad(join(path, key), f"{name} is given per ad: take the level ad, and the ad's own")
        return False
    span = spans.parse(window)
    assert span is not None
    trouble = figure.trouble(span, hours_known=of in ("campaign", "account") or level == "campaign")
    if trouble:
        reader.bad(join(path, "window"), trouble)
    return not trouble


def _alike(reader: Reader, figure: Figure, than: Operand, path: str) -> bool:
    """Whether a figure may be compared with that; else the mistake is noted, with what to take instead."""
    name, kind = figure.name, figure.kind
    match than:
        case Number(value):
            if value < 0 and not figure.signed:
                return reader.bad(join(path, "number"), f"{name} is never below 0") is not BAD
            if kind == "rank" and not 1 <= value <= RANKS_TO:
                words = f"Meta's classes are 1 (worst) to {RANKS_TO} (best)"
                return reader.bad(join(path, "number"), words) is not BAD
            return True
        case MetricOperand(metric):
            other, key = reader.about.figures[metric], "metric"
            theirs, what = other.kind, metric
        case Target(target):
            theirs, what, key = TARGETS[target], f"the target {target}", "target"
        case OwnAmount(fact):
            theirs, what, key = "money", fact, "amount"
    if theirs == kind:
        return True
    instead = like(figure, reader.about.figures.values())
    advice = f", for example {instead}" if instead else ", or with a number"
    reader.bad(
        join(path, key),
        f"{what} is {kind_words(theirs)} while {name} is {kind_words(kind)}: compare like with like{advice}",
    )
    return False


def _rank(reader: Reader, values: dict[str, Any], path: str) -> Any:
    window = values.get("window", LAST_7_DAYS)
    if not _fits(reader, values["by"], window, SELF, path, key="by"):
        return BAD
    return Rank(
        end=values["rank"],
        metric=values["by"],
        within=values["within"],
        count=values.get("count"),
        percent=values.get("percent"),
        window=window,
        zeros=values.get("zeros", False),
    )


def _scope(reader: Reader, values: dict[str, Any], path: str) -> Any:
    where = values.get("where")
    if where is not None and any(isinstance(leaf, Rank) for leaf in leaves(where)):
        return reader.bad(join(path, "where"), "a ranking is over what the scope leaves: put it into a case")
    return Scope(values.get("only", ()), values.get("except", ()), where, values.get("learning", False))


def _case(reader: Reader, values: dict[str, Any], path: str) -> Any:
    seen: set[str] = set()
    fine = True
    for number, do in enumerate(values["do"]):
        here = join(path, f"do[{number}]")
        trouble = misplaced(do, reader.about.level)
        if not trouble and do.field in seen:
            trouble = f"this case has an action on the {do.field.replace('_', ' ')} already"
        if trouble:
            reader.bad(here, trouble)
            fine = False
        seen.add(do.field)
    return Case(values["name"], values["when"], values["do"]) if fine else BAD


def _document(reader: Reader, values: dict[str, Any], path: str) -> Any:
    names: set[str] = set()
    for number, case in enumerate(values["cases"]):
        if case.name in names:
            return reader.bad(f"cases[{number}].name", "another case has this name")
        names.add(case.name)
    return Document(values["cases"], values["level"], values.get("scope", Scope()))


# --- back to JSON


def dump(node: Node) -> dict[str, Any]:
    """The JSON form of a tree; `parse(dump(node)) == node`."""
    match node:
        case All(children):
            return {"all": [dump(child) for child in children]}
        case Any_(children):
            return {"any": [dump(child) for child in children]}
        case Not(child):
            return {"not": dump(child)}
        case FactIs(fact, op, text):
            return {"fact": fact, "op": op, "text": text}
        case FactIn(fact, texts):
            return {"fact": fact, "op": IN, "texts": list(texts)}
        case FactNumber(fact, op, number):
            return {"fact": fact, "op": op, "number": f"{number:f}"}
        case Share(of, op, number, window):
            return {"fact": SHARE, "of": of, "window": window, "op": op, "number": f"{number:f}"}
        case Rank(end, metric, within, count, percent, window, zeros):
            size = {"count": count} if percent is None else {"percent": f"{percent:f}"}
            more = {"zeros": True} if zeros else {}
            return {"rank": end, **size, "by": metric, "window": window, "within": within, **more}
        case Compare(metric, op, than, window, of):
            whose = {} if of == SELF else {"of": of}
            return {"metric": metric, "window": window, **whose, "op": op, "than": _dump_operand(than)}


def _dump_operand(than: Operand) -> dict[str, str]:
    match than:
        case Number(value):
            return {"number": f"{value:f}"}
        case MetricOperand(metric, window, times, of):
            whose = {} if of == SELF else {"of": of}
            return {"metric": metric, "window": window, **whose, "times": f"{times:f}"}
        case Target(name, times):
            return {"target": name, "times": f"{times:f}"}
        case OwnAmount(fact, times):
            return {"amount": fact, "times": f"{times:f}"}


def dump_document(document: Document) -> dict[str, Any]:
    """The JSON form of a document (its notes are words and are not kept)."""
    scope: dict[str, Any] = {}
    if document.scope.only:
        scope["only"] = list(document.scope.only)
    if document.scope.excluding:
        scope["except"] = list(document.scope.excluding)
    if document.scope.where is not None:
        scope["where"] = dump(document.scope.where)
    if document.scope.learning:
        scope["learning"] = True
    return {
        "level": document.level,
        **({"scope": scope} if scope else {}),
        "cases": [
            {"name": case.name, "when": dump(case.when), "do": [dump_action(do) for do in case.do]}
            for case in document.cases
        ],
    }
