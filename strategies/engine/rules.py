"""The rule document as values: what it covers, which cases it has, and the typed AND/OR/NOT tree of each.

    Document = level + scope (only, excluding, where) + ordered cases: of each field the first true one acts
    Case     = name + tree + actions
    tree     = All | Any_ | Not over Compare (a metric), FactIs | FactIn | FactNumber | Share (a fact), Rank

`language` reads these from JSON and writes them as JSON; `evaluate` judges by them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from strategies.engine.types import LAST_7_DAYS, Do

OPERATORS: Mapping[str, str] = {"<": "below", "<=": "at most", ">": "above", ">=": "at least"}
#: The levels of a document; `budget_owner` is the campaign or ad set that owns the budget.
BUDGET_OWNER: Final = "budget_owner"
LEVELS: Mapping[str, str] = {
    BUDGET_OWNER: "campaign or ad set that owns its budget",
    "campaign": "campaign",
    "adset": "ad set",
    "ad": "ad",
}
SELF: Final = "self"
#: Whose figure it is. Averages are those of sums: the account's CPC is its spend by its clicks.
WHOSE: Mapping[str, str] = {
    SELF: "its own",
    "parent": "that of what it is in",
    "campaign": "its campaign's",
    "account": "the account's",
}
WITHIN: Final = ("parent", "campaign", "account")
#: Ends of a ranking.
ENDS: Mapping[str, str] = {"top": "highest", "bottom": "lowest"}
#: The client's targets, and the kind of figure that each is.
TARGETS: Mapping[str, str] = {"cpa": "money", "roas": "return"}
#: What the evidence of any figure is counted in, so that it is always read along.
BASIS: Final = frozenset({"impressions", "spend", "conversions"})


@dataclass(frozen=True)
class Number:
    value: Decimal


@dataclass(frozen=True)
class MetricOperand:
    metric: str
    window: str = LAST_7_DAYS
    times: Decimal = Decimal(1)
    of: str = SELF


@dataclass(frozen=True)
class Target:
    """A target of the client: "cpa" or "roas"."""

    name: str
    times: Decimal = Decimal(1)


@dataclass(frozen=True)
class OwnAmount:
    """An amount that the object has itself: its daily or lifetime budget, or its bid."""

    fact: str
    times: Decimal = Decimal(1)


Operand = Number | MetricOperand | Target | OwnAmount


@dataclass(frozen=True)
class Compare:
    metric: str
    op: str
    than: Operand
    window: str = LAST_7_DAYS
    of: str = SELF


@dataclass(frozen=True)
class FactIs:
    fact: str
    op: str
    text: str


@dataclass(frozen=True)
class FactIn:
    fact: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class FactNumber:
    fact: str
    op: str
    number: Decimal


@dataclass(frozen=True)
class Share:
    """How much of the spend of what it is inside of is the object's, in percent."""

    of: str
    op: str
    number: Decimal
    window: str = LAST_7_DAYS


@dataclass(frozen=True)
class Rank:
    """Whether the object is among the `count` (or `percent` of the field, rounded down) highest ("top") or lowest
    ("bottom") of a metric. `ranking` says what the field is and what ties, zeros and unknown figures mean."""

    end: str
    metric: str
    within: str
    count: int | None = None
    percent: Decimal | None = None
    window: str = LAST_7_DAYS
    zeros: bool = False

    @property
    def key(self) -> str:
        """Names the ranking that answers it, whatever part of it is asked for."""
        return f"{self.end} {self.metric} {self.window} {self.within}{' zeros' if self.zeros else ''}"


@dataclass(frozen=True)
class All:
    children: tuple[Node, ...]


@dataclass(frozen=True)
class Any_:
    children: tuple[Node, ...]


@dataclass(frozen=True)
class Not:
    child: Node


Leaf = Compare | FactIs | FactIn | FactNumber | Share | Rank
Node = Leaf | All | Any_ | Not


@dataclass(frozen=True)
class Case:
    """When the tree is true, do the actions."""

    name: str
    when: Node
    do: tuple[Do, ...]


@dataclass(frozen=True)
class Scope:
    """Which objects of the level: all, new ones included, unless `only` picks some; never those in `excluding`.

    `learning` says that objects in Meta's learning phase are judged too; else they are left alone.
    """

    only: tuple[str, ...] = ()
    excluding: tuple[str, ...] = ()
    where: Node | None = None
    learning: bool = False


@dataclass(frozen=True)
class Document:
    """Cases in order: of each field the first true case wins. `notes`: what is switched on but can do nothing."""

    cases: tuple[Case, ...]
    level: str = BUDGET_OWNER
    scope: Scope = Scope()
    notes: tuple[str, ...] = ()

    @property
    def does(self) -> tuple[Do, ...]:
        return tuple(do for case in self.cases for do in case.do)


def leaves(node: Node) -> Iterator[Leaf]:
    """The tree's conditions, in reading order."""
    match node:
        case All(children) | Any_(children):
            for child in children:
                yield from leaves(child)
        case Not(child):
            yield from leaves(child)
        case _:
            yield node


def looks_at(node: Node) -> Iterator[tuple[str, str, str]]:
    """(whose, window, metric) of every figure that a tree asks for."""
    for leaf in leaves(node):
        match leaf:
            case Compare(metric, _, than, window, of):
                yield of, window, metric
                if isinstance(than, MetricOperand):
                    yield than.of, than.window, than.metric
            case Share(of, _, _, window):
                yield SELF, window, "spend"
                yield of, window, "spend"
            case Rank():
                yield SELF, leaf.window, leaf.metric


def metrics_of(node: Node) -> frozenset[str]:
    """Every metric that a tree asks for."""
    return frozenset(metric for _, _, metric in looks_at(node))


def windows_of(case: Case) -> frozenset[str]:
    """Every window that a case rests on."""
    found = {window for _, window, _ in looks_at(case.when)}
    return frozenset(found | {do.window for do in case.do if do.window})


def needs(document: Document) -> dict[str, dict[str, frozenset[str]]]:
    """Whose -> window -> the metrics that have to be read, with what evidence is counted in. A document without any
    figure asks for the last seven days, so that a decision can say what it was taken on."""
    found: dict[str, dict[str, set[str]]] = {}
    trees = [case.when for case in document.cases]
    if document.scope.where is not None:
        trees.append(document.scope.where)
    asked = [one for tree in trees for one in looks_at(tree)]
    asked += [(SELF, do.window, do.metric) for do in document.does if do.window]
    for whose, window, metric in asked or [(SELF, LAST_7_DAYS, "spend")]:
        found.setdefault(whose, {}).setdefault(window, set(BASIS)).add(metric)
    return {whose: {window: frozenset(names) for window, names in of.items()} for whose, of in found.items()}
