"""What is wrong with a document whatever the figures are: cases that can never hold, always hold, or are never reached;
raises that add up; thresholds that touch.

    tree ─> disjunction of conjunctions of bounds ─> per figure one interval ─> empty? everything? inside another?

A bound is on one figure (metric, whose, window) against one kind of right side: numbers are compared with numbers,
multiples of one target with multiples of it. Conditions of another kind are opaque: they may hold or not, so nothing is
ever claimed of them. What is found is certain; what is not found may still be wrong. PURE.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Final

from strategies.engine.facts import FACTS
from strategies.engine.figures import FIGURES
from strategies.engine.rules import (
    All,
    Any_,
    Case,
    Compare,
    Document,
    FactNumber,
    MetricOperand,
    Node,
    Not,
    Number,
    OwnAmount,
    Share,
    Target,
)
from strategies.engine.types import Action, Do

REFUSE, WARN, NOTE = "refuse", "warn", "note"
#: Beyond so many conjunctions a tree is not taken apart, and nothing is claimed of it.
MOST_TERMS: Final = 256
_NEGATED: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_UP: Final = frozenset({Action.RAISE_BUDGET, Action.RAISE_BID, Action.START})
_DOWN: Final = frozenset({Action.LOWER_BUDGET, Action.LOWER_BID, Action.PAUSE})


@dataclass(frozen=True)
class Finding:
    """`severity` is "refuse", "warn" or "note"; `path` as the language writes paths ("cases[0].when")."""

    severity: str
    code: str
    path: str
    sentence: str
    suggestion: str


@dataclass(frozen=True)
class Interval:
    """From `low` to `high` (None: no end); `open_` says of each end whether it is left out."""

    low: Decimal | None = None
    high: Decimal | None = None
    low_open: bool = False
    high_open: bool = False

    @property
    def empty(self) -> bool:
        if self.low is None or self.high is None:
            return False
        return self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))

    def meet(self, other: Interval) -> Interval:
        low, low_open = _tighter((self.low, self.low_open), (other.low, other.low_open), sign=1)
        high, high_open = _tighter((self.high, self.high_open), (other.high, other.high_open), sign=-1)
        return Interval(low, high, low_open, high_open)

    def inside(self, other: Interval) -> bool:
        return self.meet(other) == self


def _tighter(
    one: tuple[Decimal | None, bool], other: tuple[Decimal | None, bool], *, sign: int
) -> tuple[Decimal | None, bool]:
    if one[0] is None or other[0] is None:
        return other if one[0] is None else one
    if one[0] == other[0]:
        return one[0], one[1] or other[1]
    return max(one, other, key=lambda end: sign * (end[0] or Decimal(0)))


#: What is asked, as a key; opaque conditions are their own key with a truth.
Key = tuple[object, ...]
Term = Mapping[Key, Interval | bool]


def examine(document: Document) -> tuple[Finding, ...]:
    """Everything that is certainly wrong with the document, in the order of its cases."""
    terms = [_terms(case.when, negated=False) for case in document.cases]
    found = [one for n, case in enumerate(document.cases) for one in _of_case(n, case, document, terms)]
    return (*found, *_touching(document, terms))


def _of_case(
    number: int, case: Case, document: Document, terms: Sequence[list[Term] | None]
) -> Iterator[Finding]:
    path = f"cases[{number}].when"
    mine, against = terms[number], _terms(case.when, negated=True)
    if mine == []:
        yield Finding(REFUSE, "unsatisfiable", path, f"{case.name!r} can never be true.",
                      "Its conditions shut each other out: change a threshold, or join them with any.")  # fmt: skip
        return
    if against == []:
        yield Finding(WARN, "always_true", path, f"{case.name!r} is true of every object with known figures.",
                      "Add a condition, or narrow the scope.")  # fmt: skip
    for earlier in range(number):
        theirs = terms[earlier]
        if theirs and mine and _forestalls(document.cases[earlier], case) and _implies(mine, theirs):
            name = document.cases[earlier].name
            yield Finding(WARN, "shadowed", path, f"{case.name!r} is never reached: {name!r} is true before it.",
                          "Put it first, or tighten the earlier case.")  # fmt: skip
            break
    for place, do in enumerate(case.do):
        if do.action is Action.RAISE_BUDGET and do.percent is not None:
            yield _compounding(do, f"cases[{number}].do[{place}]", case)


def _forestalls(earlier: Case, later: Case) -> bool:
    """Whether the later case has nothing left to do where the earlier one is true. An action with nothing to do (a
    start of what runs, a raise at its bound) leaves its field to the next case, so only alike ones count."""
    return all(any(_instead(one, other) for one in earlier.do) for other in later.do)


def _instead(one: Do, other: Do) -> bool:
    if one.action is not other.action or one.field != other.field:
        return False
    if one.limit is None or other.limit is None:
        return one.limit is other.limit
    return one.limit <= other.limit if one.action in _DOWN else one.limit >= other.limit


def worst_case(percent: Decimal, *, times: int) -> Decimal:
    """By how many percent so many raises of `percent` add up: 100 * ((1 + p/100)^n - 1), to a tenth."""
    return (100 * ((1 + percent / 100) ** times - 1)).quantize(Decimal("0.1"))


def _compounding(do: Do, path: str, case: Case) -> Finding:
    assert do.percent is not None
    week = worst_case(do.percent, times=7)
    return Finding(
        NOTE, "compounding", path,
        f"{case.name!r} raises by {do.percent:f} %; once a day for a week that is up to {week:f} % more,"
        f" never above {do.limit:,f}.",
        "Lower the step or the bound if that is too much.",
    )  # fmt: skip


def _touching(document: Document, terms: Sequence[list[Term] | None]) -> Iterator[Finding]:
    """Opposite actions whose thresholds meet without a gap: the object goes up and down by turns."""
    for first, second in ((a, b) for a in range(len(terms)) for b in range(a + 1, len(terms))):
        one, other = document.cases[first], document.cases[second]
        if not _opposite(one, other):
            continue
        for mine, theirs in product(terms[first] or (), terms[second] or ()):
            shared = [key for key in mine if key in theirs and isinstance(mine[key], Interval)]
            edges = [key for key in shared if _meet_at_an_edge(mine[key], theirs[key])]
            if edges and not _apart(mine, theirs, but=edges):
                yield Finding(
                    WARN, "no_gap", f"cases[{second}].when",
                    f"{one.name!r} and {other.name!r} do the opposite and their thresholds on {edges[0][1]} touch.",
                    "Leave a gap between both thresholds, so that chance does not turn it over and over.",
                )  # fmt: skip
                break


def _opposite(one: Case, other: Case) -> bool:
    pairs = [(a, b) for a in one.do for b in other.do if a.field == b.field]
    return any({a.action, b.action} & _UP and {a.action, b.action} & _DOWN for a, b in pairs)


def _meet_at_an_edge(one: Interval | bool, other: Interval | bool) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    return (one.high is not None and one.high == other.low) or (one.low is not None and one.low == other.high)


def _apart(mine: Term, theirs: Term, *, but: Sequence[Key]) -> bool:
    """Whether something else than these figures keeps both from holding of one object."""
    for key in set(mine) & set(theirs) - set(but):
        one, other = mine[key], theirs[key]
        if isinstance(one, bool) or isinstance(other, bool):
            if one is not other:
                return True
        elif one.meet(other).empty:
            return True
    return False


# --- a tree as conjunctions


def _terms(node: Node, *, negated: bool) -> list[Term] | None:
    """The conjunctions of which one has to hold, without impossible ones; `None` when there are too many."""
    match node:
        case Not(child):
            return _terms(child, negated=not negated)
        case All(children) | Any_(children):
            parts = [_terms(child, negated=negated) for child in children]
            if isinstance(node, All) is negated:  # De Morgan
                known = [part for part in parts if part is not None]
                found = [term for part in known for term in part]
                return found if len(known) == len(parts) and len(found) <= MOST_TERMS else None
            return _conjunction(parts)
    key, value = _bound(node, negated)
    return _possible([{key: value}])


def _conjunction(parts: Sequence[list[Term] | None]) -> list[Term] | None:
    if any(part == [] for part in parts):
        return []
    found: list[Term] = [{}]
    for part in parts:
        if part is None or len(found) * len(part) > MOST_TERMS:
            return None
        found = [term for one, other in product(found, part) if (term := _both(one, other)) is not None]
    return found


def _both(one: Term, other: Term) -> Term | None:
    merged = dict(one)
    for key, value in other.items():
        mine = merged.get(key)
        if mine is None:
            merged[key] = value
        elif isinstance(mine, Interval) and isinstance(value, Interval):
            merged[key] = mine.meet(value)
        elif mine is not value:
            return None
    return merged if _possible([merged]) else None


def _possible(terms: Sequence[Term]) -> list[Term]:
    return [
        term for term in terms
        if not any(isinstance(value, Interval) and value.meet(_range(key)).empty for key, value in term.items())
    ]  # fmt: skip


def _range(key: Key) -> Interval:
    """Where the figure can be at all."""
    if key[0] == "fact":
        return Interval(Decimal(0), FACTS[str(key[1])].most)
    if key[0] == "share":
        return Interval(Decimal(0), Decimal(100))
    signed = key[-1] != "number" or FIGURES[str(key[1])].signed
    return Interval() if signed else Interval(Decimal(0))


def _bound(node: Node, negated: bool) -> tuple[Key, Interval | bool]:
    match node:
        case Compare(metric, op, than, window, of):
            kind, value = _side(than)
            if value is not None:
                return ("metric", metric, of, window, kind), _interval(op, value, negated)
        case FactNumber(fact, op, number):
            return ("fact", fact), _interval(op, number, negated)
        case Share(of, op, number, window):
            return ("share", of, window), _interval(op, number, negated)
    return ("opaque", node), not negated


def _side(than: Number | MetricOperand | Target | OwnAmount) -> tuple[str, Decimal | None]:
    match than:
        case Number(value):
            return "number", value
        case Target(name, times):
            return f"target {name}", times
        case OwnAmount(fact, times):
            return f"own {fact}", times
        case MetricOperand(metric, window, times, of):
            return (f"metric {metric} {window} {of}", None if FIGURES[metric].signed else times)


def _interval(op: str, value: Decimal, negated: bool) -> Interval:
    op = _NEGATED[op] if negated else op
    if op in ("<", "<="):
        return Interval(high=value, high_open=op == "<")
    return Interval(low=value, low_open=op == ">")


def _implies(mine: Sequence[Term], theirs: Sequence[Term]) -> bool:
    """Whether one of theirs holds whenever one of mine does: each of mine is inside one of theirs."""
    return all(any(_within(one, other) for other in theirs) for one in mine)


def _within(one: Term, other: Term) -> bool:
    for key, value in other.items():
        mine = one.get(key)
        if isinstance(value, Interval):
            if not isinstance(mine, Interval) or not mine.meet(_range(key)).inside(value):
                return False
        elif mine is not value:
            return False
    return True
