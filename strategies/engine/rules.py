"""The rule language: a typed AND/OR/NOT tree over metrics and object facts, and its JSON form.

    {"all": [node, ...]}   {"any": [node, ...]}   {"not": node}
    {"metric": "ctr", "window": "last_7d", "op": "<", "than": {"number": "0.80"}}
    {"metric": "cpc", "window": "last_7d", "op": ">", "than": {"metric": "cpm", "times": "0.1"}}
    {"fact": "name", "op": "contains", "text": "sale"}   {"fact": "level", "op": "is", "text": "campaign"}

Numbers are written as text, so that JSON never makes them floats. `parse` either returns a tree or raises
`BadTree`, which names each mistake by its path (``all[1].than.number``); units are checked there, so that
money is never compared with a percentage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from strategies.engine.types import LAST_7_DAYS, WINDOWS, Action

OPERATORS: Mapping[str, str] = {"<": "below", "<=": "at most", ">": "above", ">=": "at least"}
FACTS: Mapping[str, str] = {
    "level": "level",
    "name": "name",
    "status": "status",
    "effective_status": "delivery",
    "learning_stage": "learning stage",
}
FACT_OPERATORS = ("is", "contains")
MAX_DEPTH = 12
MAX_NODES = 200
MAX_NUMBER = Decimal(10) ** 12
MAX_DECIMALS = 9
_MISSING = object()
_NONE: Mapping[str, str] = {}


class BadTree(ValueError):
    """A tree that cannot be read; `errors` holds (path, sentence)."""

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{path or 'rule'}: {text}" for path, text in self.errors))


@dataclass(frozen=True)
class Number:
    value: Decimal


@dataclass(frozen=True)
class MetricOperand:
    metric: str
    window: str = LAST_7_DAYS
    times: Decimal = Decimal(1)


@dataclass(frozen=True)
class Compare:
    metric: str
    op: str
    than: Number | MetricOperand
    window: str = LAST_7_DAYS


@dataclass(frozen=True)
class FactIs:
    fact: str
    op: str
    text: str


@dataclass(frozen=True)
class All:
    children: tuple[Node, ...]


@dataclass(frozen=True)
class Any_:
    children: tuple[Node, ...]


@dataclass(frozen=True)
class Not:
    child: Node


Node = Compare | FactIs | All | Any_ | Not


@dataclass(frozen=True)
class Case:
    """One rule: when the tree is true, do the action. `percent` and `ceiling` bound a raise."""

    name: str
    when: Node
    action: Action
    percent: Decimal = Decimal(0)
    ceiling: Decimal | None = None


@dataclass(frozen=True)
class RuleSet:
    """Cases in order: the first true case of a field wins."""

    cases: tuple[Case, ...]
    notes: tuple[str, ...] = ()  # what is switched on but can do nothing, in words


def dump(node: Node) -> dict[str, Any]:
    """The JSON form of a tree; `parse(dump(node), units=...) == node`."""
    match node:
        case All(children):
            return {"all": [dump(child) for child in children]}
        case Any_(children):
            return {"any": [dump(child) for child in children]}
        case Not(child):
            return {"not": dump(child)}
        case FactIs(fact, op, text):
            return {"fact": fact, "op": op, "text": text}
        case Compare(metric, op, than, window):
            return {"metric": metric, "window": window, "op": op, "than": _dump_operand(than)}


def _dump_operand(than: Number | MetricOperand) -> dict[str, str]:
    if isinstance(than, Number):
        return {"number": str(than.value)}
    return {"metric": than.metric, "window": than.window, "times": str(than.times)}


def dump_set(rule_set: RuleSet) -> list[dict[str, Any]]:
    """The JSON form of a rule set's cases (its notes are words and are not kept)."""
    return [
        {
            "name": case.name,
            "action": case.action.value,
            "when": dump(case.when),
            "percent": str(case.percent),
            "ceiling": None if case.ceiling is None else str(case.ceiling),
        }
        for case in rule_set.cases
    ]


def parse_set(
    data: Sequence[Mapping[str, Any]], *, units: Mapping[str, str], aliases: Mapping[str, str] = _NONE
) -> RuleSet:
    """What `dump_set` wrote. Raises `BadTree` for a tree that is not known any more."""
    return RuleSet(
        tuple(
            Case(
                name=item["name"],
                when=parse(item["when"], units=units, aliases=aliases),
                action=Action(item["action"]),
                percent=Decimal(item["percent"]),
                ceiling=None if item["ceiling"] is None else Decimal(item["ceiling"]),
            )
            for item in data
        )
    )


def parse(data: Any, *, units: Mapping[str, str], aliases: Mapping[str, str] = _NONE) -> Node:
    """The tree that `data` describes. `units` is metric -> unit (money, count, ratio, percent); `aliases` other names
    of metrics, so that old rules load: the tree has the metric's own.

    Raises `BadTree` with every mistake found, each with its path.
    """
    reader = _Reader(units, aliases)
    node = reader.node(data, path="", depth=0)
    if reader.errors or node is None:
        raise BadTree(reader.errors or [("", "is not a rule")])
    return node


class _Reader:
    """Collects mistakes instead of stopping at the first."""

    def __init__(self, units: Mapping[str, str], aliases: Mapping[str, str]) -> None:
        self.units, self.aliases = units, aliases
        self.errors: list[tuple[str, str]] = []
        self.seen = 0

    def bad(self, path: str, text: str) -> None:
        self.errors.append((path, text))

    def node(self, data: Any, *, path: str, depth: int) -> Node | None:
        self.seen += 1
        if self.seen > MAX_NODES:
            if self.seen == MAX_NODES + 1:
                self.bad(path, f"a rule has at most {MAX_NODES} conditions")
            return None
        if depth > MAX_DEPTH:
            self.bad(path, f"a rule is nested at most {MAX_DEPTH} deep")
            return None
        if not isinstance(data, Mapping):
            self.bad(path, "must be an object with one of all, any, not, metric, fact")
            return None
        kinds = [kind for kind in ("all", "any", "not", "metric", "fact") if kind in data]
        if len(kinds) != 1:
            self.bad(path, "must have exactly one of all, any, not, metric, fact")
            return None
        return getattr(self, f"_{kinds[0]}")(data, path, depth)  # type: ignore[no-any-return]

    def _children(self, data: Mapping[str, Any], kind: str, path: str, depth: int) -> tuple[Node, ...] | None:
        self._only(data, {kind}, path)
        items = data[kind]
        here = _join(path, kind)
        if not isinstance(items, list) or not items:
            self.bad(here, "must be a list with at least one condition")
            return None
        children = [self.node(item, path=f"{here}[{i}]", depth=depth + 1) for i, item in enumerate(items)]
        return None if None in children else tuple(child for child in children if child is not None)

    def _all(self, data: Mapping[str, Any], path: str, depth: int) -> Node | None:
        children = self._children(data, "all", path, depth)
        return None if children is None else All(children)

    def _any(self, data: Mapping[str, Any], path: str, depth: int) -> Node | None:
        children = self._children(data, "any", path, depth)
        return None if children is None else Any_(children)

    def _not(self, data: Mapping[str, Any], path: str, depth: int) -> Node | None:
        self._only(data, {"not"}, path)
        child = self.node(data["not"], path=_join(path, "not"), depth=depth + 1)
        return None if child is None else Not(child)

    def _fact(self, data: Mapping[str, Any], path: str, depth: int) -> Node | None:
        self._only(data, {"fact", "op", "text"}, path)
        fact = self._one_of(data.get("fact"), FACTS, _join(path, "fact"))
        op = self._one_of(data.get("op"), FACT_OPERATORS, _join(path, "op"))
        text = data.get("text")
        if not isinstance(text, str) or not text or len(text) > 400:
            self.bad(_join(path, "text"), "must be a text of 1 to 400 characters")
            return None
        return FactIs(fact, op, text) if fact and op else None

    def _metric(self, data: Mapping[str, Any], path: str, depth: int) -> Node | None:
        self._only(data, {"metric", "window", "op", "than"}, path)
        metric = self._known_metric(data.get("metric"), _join(path, "metric"))
        window = self._one_of(data.get("window", LAST_7_DAYS), WINDOWS, _join(path, "window"))
        op = self._one_of(data.get("op"), OPERATORS, _join(path, "op"))
        than = self._operand(data.get("than", _MISSING), metric, _join(path, "than"))
        return Compare(metric, op, than, window) if metric and window and op and than is not None else None

    def _operand(self, data: Any, metric: str | None, path: str) -> Number | MetricOperand | None:
        if not isinstance(data, Mapping) or ("number" in data) == ("metric" in data):
            self.bad(path, 'must be {"number": "..."} or {"metric": "..."}')
            return None
        if "number" in data:
            self._only(data, {"number"}, path)
            value = self._number(data["number"], _join(path, "number"))
            return None if value is None else Number(value)
        self._only(data, {"metric", "window", "times"}, path)
        other = self._known_metric(data["metric"], _join(path, "metric"))
        window = self._one_of(data.get("window", LAST_7_DAYS), WINDOWS, _join(path, "window"))
        times = self._number(data.get("times", "1"), _join(path, "times"))
        if metric and other and self.units[metric] != self.units[other]:
            self.bad(
                _join(path, "metric"),
                f"is a {self.units[other]} while {metric} is a {self.units[metric]}: compare like with like",
            )
            return None
        return MetricOperand(other, window, times) if other and window and times is not None else None

    def _known_metric(self, name: Any, path: str) -> str | None:
        return self._one_of(self.aliases.get(name, name) if isinstance(name, str) else name, self.units, path)

    def _number(self, raw: Any, path: str) -> Decimal | None:
        if isinstance(raw, bool) or not isinstance(raw, str | int | Decimal):
            self.bad(path, 'must be a number written as text, e.g. "0.80"')
            return None
        try:
            value = Decimal(raw)
        except InvalidOperation:
            value = Decimal("NaN")
        if not value.is_finite() or value < 0 or value > MAX_NUMBER:
            self.bad(path, f"must be a number from 0 to {MAX_NUMBER}")
            return None
        exponent = value.as_tuple().exponent
        if isinstance(exponent, int) and exponent < -MAX_DECIMALS:
            self.bad(path, f"has at most {MAX_DECIMALS} decimals")
            return None
        return value

    def _one_of(self, value: Any, known: Mapping[str, str] | Sequence[str], path: str) -> str | None:
        if isinstance(value, str) and value in known:
            return value
        self.bad(path, f"must be one of {', '.join(sorted(known))}")
        return None

    def _only(self, data: Mapping[str, Any], allowed: set[str], path: str) -> None:
        for key in data:
            if key not in allowed:
                self.bad(_join(path, str(key)[:60]), "is not known here")


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def metrics_of(node: Node) -> frozenset[str]:
    """Every metric that a tree asks for."""
    match node:
        case All(children) | Any_(children):
            return frozenset().union(*(metrics_of(child) for child in children))
        case Not(child):
            return metrics_of(child)
        case FactIs():
            return frozenset()
        case Compare(metric, _, than, _):
            return frozenset({metric} | ({than.metric} if isinstance(than, MetricOperand) else set()))
