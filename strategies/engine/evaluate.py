"""The reference evaluator: a tree and a subject in, a truth value with every node's figures out.

Logic is three-valued (Kleene): a figure that is `None`, or that rests on too little data, makes its condition
*unknown*; `all` is false as soon as one child is false, `any` true as soon as one is true, else an unknown
child makes them unknown. Nothing fires on unknown.

A condition on a rate that looks as its rule needs it is true only once that is known of the *true* rate
(`engine.guard`); under a `not` what has to be known is the other side. Where nothing can be weighed, because the right
side moves with the object's own figures or its days were not looked up, a plain minimum of data stands in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from strategies.engine import facts, guard
from strategies.engine.evidence import NOT_KNOWN, Answer, shortfall
from strategies.engine.ranking import among
from strategies.engine.ranking import wanted as asked_for
from strategies.engine.rules import (
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


def evaluate(
    node: Node, subject: Subject, snapshot: Snapshot, *, now: datetime, wanted: bool = True
) -> Trace:
    """The tree's truth for this subject, with the value of each node. `now` is for ages and the account's clock;
    `wanted` is the truth that would act: it has to be known, the other one may be a guess."""
    match node:
        case All(children):
            traces = tuple(evaluate(child, subject, snapshot, now=now, wanted=wanted) for child in children)
            return Trace("all", conjunction(trace.result for trace in traces), "all of", children=traces)
        case Any_(children):
            traces = tuple(evaluate(child, subject, snapshot, now=now, wanted=wanted) for child in children)
            return Trace("any", disjunction(trace.result for trace in traces), "any of", children=traces)
        case Not(child):
            inner = evaluate(child, subject, snapshot, now=now, wanted=not wanted)
            return Trace("not", negation(inner.result), "not", children=(inner,))
        case Compare():
            return _compare(node, subject, snapshot, wanted)
        case Rank():
            return _rank(node, subject)
        case Share():
            return _share(node, subject)
        case _:
            return _fact(node, subject, snapshot, now)


def unsure(
    node: Node, subject: Subject, snapshot: Snapshot, *, wanted: bool = True
) -> frozenset[tuple[str, str]]:
    """The rates (metric, per metric) of conditions that look as their rule needs it, so that it is worth knowing."""
    match node:
        case All(children) | Any_(children):
            found = (unsure(child, subject, snapshot, wanted=wanted) for child in children)
            return frozenset().union(*found)
        case Not(child):
            return unsure(child, subject, snapshot, wanted=not wanted)
        case Compare() if node.of == SELF and not isinstance(node.than, MetricOperand):
            right, _ = _operand(node, subject, snapshot)
            values = _figures(subject, SELF, node.window)
            if (
                right is not None
                and guard.looks(metric=node.metric, op=node.op, threshold=right, values=values) is wanted
            ):
                op = node.op if wanted else guard.OPPOSITE[node.op]
                claim = guard.claimed(metric=node.metric, op=op, threshold=right)
                return frozenset() if claim is None else frozenset({(claim.seen, claim.per)})
    return frozenset()


def conjunction(truths: Iterable[Truth]) -> Truth:
    seen = list(truths)
    return False if False in seen else None if None in seen else True


def disjunction(truths: Iterable[Truth]) -> Truth:
    seen = list(truths)
    return True if True in seen else None if None in seen else False


def negation(truth: Truth) -> Truth:
    return None if truth is None else not truth


def _fact(node: FactIs | FactIn | FactNumber, subject: Subject, snapshot: Snapshot, now: datetime) -> Trace:
    value = facts.value(node.fact, subject, snapshot, now=now)
    label = facts.FACTS[node.fact].label
    if isinstance(node, FactNumber):
        trace = Trace("fact", None, label, value, node.op, node.number)
        if not isinstance(value, Decimal):
            return _unknown(trace, f"{label} {NOT_KNOWN}")
        return replace(trace, result=guard.compare(value, node.op, node.number))
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


def _compare(node: Compare, subject: Subject, snapshot: Snapshot, wanted: bool) -> Trace:
    values = _figures(subject, node.of, node.window)
    left = values.get(node.metric)
    right, other = _operand(node, subject, snapshot)
    trace = Trace(
        "metric", None, node.metric, left, node.op, right, window=node.window, of=node.of, other=other
    )
    if right is None:
        return _unknown(trace, f"{other or node.metric} {NOT_KNOWN}")
    if isinstance(node.than, MetricOperand) or node.of != SELF:
        weighed = None
    else:
        op = node.op if wanted else guard.OPPOSITE[node.op]
        weighed = guard.weighed(
            metric=node.metric, op=op, threshold=right, subject=subject, snapshot=snapshot
        )
    looks = guard.looks(metric=node.metric, op=node.op, threshold=right, values=values)
    if weighed is not None and looks is wanted:
        return _known(replace(trace, guard=weighed), wanted)
    short = shortfall(metric=node.metric, threshold=right, values=values)
    if short and not short.endswith(NOT_KNOWN):
        return _unknown(trace, f"too little data: {short}")
    if left is None or short:
        return _unknown(trace, short if left is not None else f"{node.metric} {NOT_KNOWN}")
    return replace(trace, result=guard.compare(left, node.op, right))


def _known(trace: Trace, wanted: bool) -> Trace:
    assert trace.guard is not None
    if trace.guard.answer in (Answer.ACT, Answer.CONTRARY):
        return replace(trace, result=wanted is (trace.guard.answer == Answer.ACT))
    return _unknown(trace, f"{guard.NOT_YET}{trace.guard.words}")


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
    return replace(trace, result=guard.compare(share, node.op, node.number))


def _rank(node: Rank, subject: Subject) -> Trace:
    place = subject.places.get(node.key)
    size = asked_for(node, place.size) if place is not None else 0
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
