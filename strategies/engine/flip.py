"""The smallest change that would turn a verdict round: of the object's figures, or of what the rule asks for.

    tree ─> alternatives    of a conjunction that fails all failing conditions have to turn, of one that holds any one
         ─> flips           each alternative is tried on the rules and on the figures, and judged; what does not turn
                            the verdict is left out, so that whatever is told was seen to work
         ─> smallest first  by its relative size; a text or a place in a ranking has none and comes last

What is unknown turns by no number: its reason says what is missing. What something outside the rules holds turns when
that goes away. PURE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final

from strategies.engine.evaluate import evaluate
from strategies.engine.facts import AMOUNTS, FACTS
from strategies.engine.figures import FIGURES, money
from strategies.engine.judge import judge
from strategies.engine.ranking import wanted as asked_for
from strategies.engine.rules import (
    OPERATORS,
    SELF,
    All,
    Any_,
    Compare,
    Document,
    FactNumber,
    Leaf,
    Node,
    Not,
    Number,
    Rank,
    Share,
)
from strategies.engine.types import Judgement, Snapshot, Subject, Trace, Verdict
from strategies.engine.wording import figure, name

_OPPOSITE: Final[Mapping[str, str]] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_MIRRORED: Final[Mapping[str, str]] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
#: The place of the scope's filter among the trees.
SCOPE: Final = -1
_MOST: Final = 12
#: Sorts what has no relative size behind everything that has one.
_LAST: Final = Decimal(10) ** 15

_Path = tuple[int, ...]


@dataclass(frozen=True)
class Move:
    """One condition turned round. `value`: what the figure would have to be; `threshold`: what the rule would have to
    ask for; `None` where no number does it. `case` is the index of its case, `path` the way to it from the root;
    `holds` whether the condition holds now."""

    case: int
    path: _Path
    leaf: Leaf
    left: Decimal | str | None
    right: Decimal | str | None
    value: Decimal | None = None
    threshold: Decimal | None = None
    relative: Decimal | None = None
    holds: bool = False


@dataclass(frozen=True)
class Flip:
    """Moves that turn the verdict when all of them are made: of the figures, of the rules, or either.

    `by_figures` and `by_rules` are what the object would then be judged; `None` where that way does not turn it.
    """

    moves: tuple[Move, ...]
    by_figures: Judgement | None
    by_rules: Judgement | None

    @property
    def relative(self) -> Decimal | None:
        sizes = [move.relative for move in self.moves]
        return None if None in sizes else sum((size for size in sizes if size is not None), Decimal(0))


def flips(document: Document, subject: Subject, snapshot: Snapshot, *, now: datetime) -> tuple[Flip, ...]:
    """Every way to turn the verdict by turning as few conditions as it takes, the smallest first."""
    judged = judge(document, subject, snapshot, now=now)
    found = []
    for moves in _alternatives(document, judged, subject, snapshot, now):
        if not moves:
            continue
        by_rules = judge(with_rules(document, moves), subject, snapshot, now=now)
        other = with_figures(subject, moves)
        by_figures = None if other is None else judge(document, other, snapshot, now=now)
        flip = Flip(moves, _turned(judged, by_figures), _turned(judged, by_rules))
        if flip.by_figures or flip.by_rules:
            found.append(flip)
    return tuple(sorted(found, key=_order)[:_MOST])


def _order(flip: Flip) -> tuple[Decimal, int, int, _Path]:
    size = flip.relative
    first = flip.moves[0]
    return (_LAST if size is None else size), len(flip.moves), first.case, first.path


def _turned(before: Judgement, after: Judgement | None) -> Judgement | None:
    """The new judgement, where it is of the other side."""
    if after is None:
        return None
    if before.verdict is Verdict.EXCLUDED:
        return after if after.verdict is not Verdict.EXCLUDED else None
    if before.verdict is Verdict.FIRED:
        return after if after.verdict is not Verdict.FIRED else None
    return after if after.verdict in (Verdict.FIRED, Verdict.HELD) or weighs(after) else None


def weighs(judgement: Judgement) -> bool:
    """Whether it is unknown only because a rate that looks as the rule needs it has to be weighed longer."""
    leaves = (leaf for case in judgement.cases for leaf in case.trace.leaves())
    return judgement.verdict is Verdict.UNKNOWN and any(leaf.guard and leaf.result is None for leaf in leaves)


def _alternatives(
    document: Document, judged: Judgement, subject: Subject, snapshot: Snapshot, now: datetime
) -> list[tuple[Move, ...]]:
    def turn(case: int, tree: Node, want: bool) -> list[tuple[Move, ...]]:
        return _turn(tree, want, case, (), subject, snapshot, now)

    where = document.scope.where
    if judged.verdict is Verdict.EXCLUDED:
        return turn(SCOPE, where, True) if where is not None and judged.reason_code == "not_in_scope" else []
    if judged.verdict is Verdict.HELD:
        return []
    cases = [
        (number, case.when, evaluate(case.when, subject, snapshot, now=now).result)
        for number, case in enumerate(document.cases)
    ]
    if judged.verdict is not Verdict.FIRED:
        return [
            one for number, tree, result in cases if result is not True for one in turn(number, tree, True)
        ]
    ways = [turn(number, tree, False) for number, tree, result in cases if result is True]
    return ways[0] if len(ways) == 1 else _together(ways)


def _turn(
    node: Node,
    want: bool,
    case: int,
    path: _Path,
    subject: Subject,
    snapshot: Snapshot,
    now: datetime,
    wanted: bool = True,
) -> list[tuple[Move, ...]]:
    """Ways to make the node's truth `want`; one without moves where it is so already."""
    trace = evaluate(node, subject, snapshot, now=now, wanted=wanted)
    if trace.result is want:
        return [()]
    match node:
        case Not(child):
            return _turn(child, not want, case, (*path, 0), subject, snapshot, now, not wanted)
        case All(children) | Any_(children):
            ways = [
                _turn(child, want, case, (*path, number), subject, snapshot, now, wanted)
                for number, child in enumerate(children)
            ]
            every = isinstance(node, All) is want
            return _together(ways) if every else [one for some in ways for one in some]
        case _:
            move = (
                None
                if trace.result is None
                else _move(node, want, trace.left, trace.right, subject, snapshot)
            )
            return (
                [] if move is None else [(replace(move, case=case, path=path, holds=trace.result is True),)]
            )


def _together(ways: Iterable[Sequence[tuple[Move, ...]]]) -> list[tuple[Move, ...]]:
    """The smallest way of each, all at once; none where one has no way."""
    chosen: list[Move] = []
    for some in ways:
        if not some:
            return []
        best: tuple[Move, ...] = min(some, key=_size)
        chosen += best
    return [tuple(chosen)] if chosen else []


def _size(moves: Sequence[Move]) -> Decimal:
    return sum((_LAST if move.relative is None else move.relative for move in moves), Decimal(0))


# --- one condition


def _move(leaf: Leaf, want: bool, left: Any, right: Any, subject: Subject, snapshot: Snapshot) -> Move | None:
    if isinstance(leaf, Rank):
        return _place(leaf, want, subject)
    if not (
        isinstance(leaf, Compare | FactNumber | Share)
        and isinstance(left, Decimal)
        and isinstance(right, Decimal)
    ):
        return Move(0, (), leaf, left, right)
    op = leaf.op if want else _OPPOSITE[leaf.op]
    unit = _unit(leaf, snapshot)
    value = _beyond(right, op, unit)
    threshold: Decimal | None = _beyond(left, _MIRRORED[op], unit)
    least = None if isinstance(leaf, Compare) and FIGURES[leaf.metric].signed else Decimal(0)
    if least is not None and threshold is not None and threshold < least:
        threshold = None
    if least is not None and value < least:
        return (
            None
            if threshold is None
            else Move(0, (), leaf, left, right, None, threshold, _part(threshold, right))
        )
    return Move(0, (), leaf, left, right, value, threshold, _part(value, left, of=right))


def _part(to: Decimal, at: Decimal, *, of: Decimal | None = None) -> Decimal:
    """How far it is from one to the other, in parts of the threshold."""
    base = abs(at if of is None else of)
    return abs(to - at) / base if base else Decimal(int(to != at))


def _unit(leaf: Compare | FactNumber | Share, snapshot: Snapshot) -> Decimal:
    """The smallest step that people write such a number in."""
    unit = FIGURES[leaf.metric].unit if isinstance(leaf, Compare) else "percent"
    if isinstance(leaf, FactNumber):
        unit = FACTS[leaf.fact].unit
    if unit == "money":
        return snapshot.minor_unit or Decimal("0.01")
    return Decimal("0.01") if unit in ("percent", "ratio") else Decimal(1)


def _beyond(bound: Decimal, op: str, unit: Decimal) -> Decimal:
    """The number nearest to the bound, in whole units, for which `number op bound` is true."""
    steps = bound / unit
    up = op in (">", ">=")
    whole = steps.to_integral_value(ROUND_CEILING if up else ROUND_FLOOR)
    if whole == steps and op in ("<", ">"):
        whole += 1 if up else -1
    return whole * unit


def _place(leaf: Rank, want: bool, subject: Subject) -> Move | None:
    """Only how many are asked for can be turned: the object's own place depends on the others."""
    place = subject.places.get(leaf.key)
    if place is None or not place.ranked or place.value is None:
        return None
    size = asked_for(leaf, place.size)
    needed = place.ahead + 1 + place.unknown if want else place.ahead
    if needed < 1:
        return None
    part = Decimal(abs(needed - size)) / max(size, 1)
    return Move(0, (), leaf, place.value, Decimal(size), None, Decimal(needed), part)


# --- made


def with_rules(document: Document, moves: Sequence[Move]) -> Document:
    """The document in which each of these conditions asks for something else."""
    scope, cases = document.scope, list(document.cases)
    for move in moves:
        if move.case == SCOPE:
            assert scope.where is not None
            scope = replace(scope, where=_replaced(scope.where, move.path, _other(move)))
        else:
            case = cases[move.case]
            cases[move.case] = replace(case, when=_replaced(case.when, move.path, _other(move)))
    return replace(document, scope=scope, cases=tuple(cases))


def _other(move: Move) -> Node:
    """The condition as it would have to be; where no number turns it, its opposite."""
    match move.leaf, move.threshold:
        case Compare() as leaf, Decimal() as threshold:
            return replace(leaf, than=Number(threshold))
        case FactNumber() | Share() as one, Decimal() as threshold:
            return replace(one, number=threshold)
        case Rank() as rank, Decimal() as threshold:
            return replace(rank, count=int(threshold), percent=None)
    return Not(move.leaf)


def _replaced(node: Node, path: _Path, by: Node) -> Node:
    if not path:
        return by
    first, rest = path[0], path[1:]
    match node:
        case Not(child):
            return Not(_replaced(child, rest, by))
        case All(children) | Any_(children):
            changed = tuple(
                _replaced(child, rest, by) if number == first else child
                for number, child in enumerate(children)
            )
            return replace(node, children=changed)
    raise ValueError("the path leads to no condition")


def with_figures(subject: Subject, moves: Sequence[Move]) -> Subject | None:
    """The object with the figures that turn these conditions; `None` where one is no figure of its own."""
    for move in moves:
        leaf, value = move.leaf, move.value
        if value is None:
            return None
        if isinstance(leaf, FactNumber) and leaf.fact in AMOUNTS:
            subject = replace(subject, **{leaf.fact: value})  # type: ignore[arg-type]
        elif isinstance(leaf, Compare) and leaf.of == SELF:
            seen = {**subject.values.get(leaf.window, {}), leaf.metric: value}
            subject = replace(subject, values={**subject.values, leaf.window: seen})
        elif isinstance(leaf, Compare):
            around = subject.around.get(leaf.of, {})
            seen = {**around.get(leaf.window, {}), leaf.metric: value}
            subject = replace(subject, around={**subject.around, leaf.of: {**around, leaf.window: seen}})
        else:
            return None
    return subject


# --- told


def by_figure(move: Move, snapshot: Snapshot) -> str:
    """ "its CPC were above USD 1.00 (it is USD 0.30)": what the figure would have to be."""
    leaf = move.leaf
    assert isinstance(leaf, Compare | FactNumber | Share)
    op = _OPPOSITE[leaf.op] if move.holds else leaf.op
    limit, now = (_shown(leaf, side, snapshot) for side in (move.right, move.left))
    for finer in range(1, 7):
        if limit != now or move.right == move.left:
            break
        # Rounding would say "above USD 1.00 (it is USD 1.00)".
        limit, now = (_shown(leaf, side, snapshot, finer=finer) for side in (move.right, move.left))
    return f"{_label(leaf)} were {OPERATORS[op]} {limit} (it is {now})"


def by_rule(move: Move, snapshot: Snapshot) -> str:
    """ "the rule asked for CPC above USD 0.29 instead of USD 1.00": what the rule would have to say."""
    leaf = move.leaf
    if isinstance(leaf, Rank) and move.threshold is not None:
        return f"the rule asked for {move.threshold} instead of {move.right} of the {_label(leaf)}"
    if isinstance(leaf, Compare | FactNumber | Share) and move.threshold is not None:
        to, at = (_shown(leaf, value, snapshot) for value in (move.threshold, move.right))
        return f"the rule asked for {_label(leaf)} {OPERATORS[leaf.op]} {to} instead of {at}"
    return f"{_label(leaf)} were another ({move.left or 'not known'} now)"


def seen(leaf: Leaf, trace: Trace, snapshot: Snapshot) -> tuple[str, str]:
    """What a condition saw and what it was held against, as people read it."""
    if isinstance(leaf, Rank):
        return figure(leaf.metric, trace.left if isinstance(trace.left, Decimal) else None, snapshot), ""
    if isinstance(leaf, Compare | FactNumber | Share):
        return _shown(leaf, trace.left, snapshot), _shown(leaf, trace.right, snapshot)
    return str(trace.left or "not known"), ""


def _label(leaf: Leaf) -> str:
    match leaf:
        case Compare(metric, of=of):
            return f"{'' if of == SELF else f'the {of}' + chr(39) + 's '}{name(metric)}"
        case Share(of=of):
            return f"its share of the {of}'s spend"
        case Rank(metric=metric):
            return f"ranking by {name(metric)}"
        case _:
            return FACTS[leaf.fact].label


def _shown(leaf: Compare | FactNumber | Share, value: Any, snapshot: Snapshot, *, finer: int = 0) -> str:
    """A number in its unit, with as many decimals as it takes to tell it from what a person would write."""
    if not isinstance(value, Decimal):
        return "not known"
    if isinstance(leaf, Compare):
        return figure(leaf.metric, value, snapshot, finer=finer)
    unit = FACTS[leaf.fact].unit if isinstance(leaf, FactNumber) else "percent"
    if unit == "money":
        return money(value, snapshot.currency, snapshot.minor_unit)
    return f"{value.quantize(Decimal('0.1')):f} %" if unit == "percent" else f"{value:,f}"
