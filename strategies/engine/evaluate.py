"""The reference evaluator: a tree and a subject in, a truth value with every node's figures out.

Logic is three-valued (Kleene): a figure that is `None`, or that rests on too little data, makes its condition
*unknown*; `all` is false as soon as one child is false, `any` true as soon as one is true, else an unknown
child makes them unknown. Nothing fires on unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from strategies.engine import facts
from strategies.engine.evidence import NOT_KNOWN, shortfall
from strategies.engine.ranking import among, wanted
from strategies.engine.rules import (
    OPERATORS,
    SELF,
    All,
    Any_,
    Compare,
    FactIn,
    FactIs,
    FactNumber,
    MetricOperand,
    Node,
    Not,
    Number,
    OwnAmount,
    Rank,
    Share,
    Target,
)
from strategies.engine.spans import words
from strategies.engine.types import Snapshot, Subject, Trace, Truth, Values


def evaluate(node: Node, subject: Subject, snapshot: Snapshot, *, now: datetime) -> Trace:
    """The tree's truth for this subject, with the value of each node. `now` is for ages and the account's clock."""
    match node:
        case All(children):
            traces = tuple(evaluate(child, subject, snapshot, now=now) for child in children)
            return Trace("all", conjunction(trace.result for trace in traces), "all of", children=traces)
        case Any_(children):
            traces = tuple(evaluate(child, subject, snapshot, now=now) for child in children)
            return Trace("any", disjunction(trace.result for trace in traces), "any of", children=traces)
        case Not(child):
            inner = evaluate(child, subject, snapshot, now=now)
            return Trace("not", negation(inner.result), "not", children=(inner,))
        case Compare():
            return _compare(node, subject, snapshot)
        case Rank():
            return _rank(node, subject)
        case Share():
            return _share(node, subject)
        case _:
            return _fact(node, subject, snapshot, now)


def conjunction(truths: Iterable[Truth]) -> Truth:
    seen = list(truths)
    return False if False in seen else None if None in seen else True


def disjunction(truths: Iterable[Truth]) -> Truth:
    seen = list(truths)
    return True if True in seen else None if None in seen else False


def negation(truth: Truth) -> Truth:
    return None if truth is None else not truth


def compare(left: Decimal, op: str, right: Decimal) -> bool:
    """`left op right`, exactly; a value on the threshold is neither below nor above it."""
    assert op in OPERATORS
    if op == "<":
        return left < right
    if op == "<=":
        return left <= right
    if op == ">":
        return left > right
    return left >= right


def _fact(node: FactIs | FactIn | FactNumber, subject: Subject, snapshot: Snapshot, now: datetime) -> Trace:
    value = facts.value(node.fact, subject, snapshot, now=now)
    label = facts.FACTS[node.fact].label
    if isinstance(node, FactNumber):
        trace = Trace("fact", None, label, value, node.op, node.number)
        if not isinstance(value, Decimal):
            return _unknown(trace, f"{label} {NOT_KNOWN}")
        return replace(trace, result=compare(value, node.op, node.number))
    op = facts.IN if isinstance(node, FactIn) else node.op
    asked = node.texts if isinstance(node, FactIn) else (node.text,)
    trace = Trace("fact", None, label, value, op, " or ".join(asked))
    if not isinstance(value, str):
        return _unknown(trace, f"{label} {NOT_KNOWN}")
    mine = value.casefold()
    return replace(trace, result=any(_matches(mine, op, text.casefold()) for text in asked))


def _matches(mine: str, op: str, text: str) -> bool:
    if op == "contains":
        return text in mine
    return mine.startswith(text) if op == "starts_with" else mine == text


def _figures(subject: Subject, of: str, window: str) -> Values:
    return (subject.values if of == SELF else subject.around.get(of, {})).get(window, {})


def _compare(node: Compare, subject: Subject, snapshot: Snapshot) -> Trace:
    values = _figures(subject, node.of, node.window)
    left = values.get(node.metric)
    right, other = _operand(node, subject, snapshot)
    trace = Trace(
        "metric", None, node.metric, left, node.op, right, window=node.window, of=node.of, other=other
    )
    if right is None:
        return _unknown(trace, f"{other or node.metric} {NOT_KNOWN}")
    short = shortfall(metric=node.metric, threshold=right, values=values)
    if short and not short.endswith(NOT_KNOWN):
        return _unknown(trace, f"too little data: {short}")
    if left is None or short:
        return _unknown(trace, short if left is not None else f"{node.metric} {NOT_KNOWN}")
    return replace(trace, result=compare(left, node.op, right))


def _unknown(trace: Trace, why: str) -> Trace:
    return replace(trace, result=None, why_unknown=why)


def _operand(node: Compare, subject: Subject, snapshot: Snapshot) -> tuple[Decimal | None, str]:
    """The right side, and what it is called where it is no plain number."""
    value: Decimal | None
    match node.than:
        case Number(value):
            return value, ""
        case MetricOperand(metric, window, times, of):
            value = _figures(subject, of, window).get(metric)
            name = f"its {metric}" if of == SELF else f"the {of}'s {metric}"
            if window != node.window:
                name += f" over {words(window)}"
        case Target(target, times):
            value, name = snapshot.targets.get(target), f"the target {target.upper()}"
        case OwnAmount(fact, times):
            found = getattr(subject, fact)
            value, name = found or None, f"its {facts.FACTS[fact].label}"
    if times != 1 and name:
        name = f"{times:f} x {name}"
    return (None if value is None else value * times), name


def _share(node: Share, subject: Subject) -> Trace:
    own = _figures(subject, SELF, node.window).get("spend")
    whole = _figures(subject, node.of, node.window).get("spend")
    label = f"share of the {node.of}'s spend"
    share = None if own is None or not whole else own * 100 / whole
    trace = Trace("fact", None, label, share, node.op, node.number, window=node.window, of=node.of)
    if share is None:
        return _unknown(trace, f"{label} {NOT_KNOWN}")
    return replace(trace, result=compare(share, node.op, node.number))


def _rank(node: Rank, subject: Subject) -> Trace:
    place = subject.places.get(node.key)
    size = wanted(node, place.size) if place is not None else 0
    trace = Trace(
        "rank",
        among(node, place),
        node.metric,
        place.value if place is not None else None,
        node.end,
        Decimal(size),
        window=node.window,
        of=node.within,
    )
    if trace.result is not None or place is None:
        return trace
    if place.value is None:
        return _unknown(trace, f"{node.metric} {NOT_KNOWN}, or on too little data")
    return _unknown(trace, f"{node.metric} of {place.unknown} others in its field {NOT_KNOWN}")
