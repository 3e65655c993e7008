"""The reference evaluator: a tree and a subject in, a truth value with every node's figures out.

Logic is three-valued (Kleene): a figure that is `None`, or that rests on too little data, makes its condition
*unknown*; `all` is false as soon as one child is false, `any` true as soon as one is true, else an unknown
child makes them unknown. Nothing fires on unknown.

    judge(subject) = scope -> cases (the first true case of a field counts) -> what forbids to act -> intents
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal

from campaigns.states import canonical_amount
from strategies.engine.evidence import NOT_KNOWN, shortfall
from strategies.engine.rules import (
    FACTS,
    OPERATORS,
    All,
    Any_,
    Case,
    Compare,
    FactIs,
    MetricOperand,
    Node,
    Not,
    Number,
    RuleSet,
)
from strategies.engine.types import (
    FIELD_OF,
    Action,
    CaseTrace,
    Intent,
    Judgement,
    Snapshot,
    Subject,
    Trace,
    Trust,
    Truth,
    Verdict,
)


def evaluate(node: Node, subject: Subject) -> Trace:
    """The tree's truth for this subject, with the value of each node."""
    match node:
        case All(children):
            traces = tuple(evaluate(child, subject) for child in children)
            return Trace("all", conjunction(trace.result for trace in traces), "all of", children=traces)
        case Any_(children):
            traces = tuple(evaluate(child, subject) for child in children)
            return Trace("any", disjunction(trace.result for trace in traces), "any of", children=traces)
        case Not(child):
            inner = evaluate(child, subject)
            return Trace("not", negation(inner.result), "not", children=(inner,))
        case FactIs():
            return _fact(node, subject)
        case Compare():
            return _compare(node, subject)


def conjunction(truths: Iterable[Truth]) -> Truth:
    seen = list(truths)
    return False if False in seen else None if None in seen else True


def disjunction(truths: Iterable[Truth]) -> Truth:
    seen = list(truths)
    return True if True in seen else None if None in seen else False


def negation(truth: Truth) -> Truth:
    return None if truth is None else not truth


def _fact(node: FactIs, subject: Subject) -> Trace:
    value: str | None = getattr(subject, node.fact)
    label = FACTS[node.fact]
    if value is None:
        return Trace("fact", None, label, None, node.op, node.text, why_unknown=f"{label} {NOT_KNOWN}")
    if node.op == "is":
        result = value.casefold() == node.text.casefold()
    else:
        result = node.text.casefold() in value.casefold()
    return Trace("fact", result, label, value, node.op, node.text)


def _compare(node: Compare, subject: Subject) -> Trace:
    values = subject.values.get(node.window, {})
    left = values.get(node.metric)
    if isinstance(node.than, Number):
        right: Decimal | None = node.than.value
    else:
        right = _operand(node.than, subject)
    trace = Trace("metric", None, node.metric, left, node.op, right)
    if right is None:
        missing = node.than.metric if isinstance(node.than, MetricOperand) else node.metric
        return _unknown(trace, f"{missing} {NOT_KNOWN}")
    short = shortfall(metric=node.metric, threshold=right, values=values)
    if short and not short.endswith(NOT_KNOWN):
        return _unknown(trace, f"too little data: {short}")
    if left is None or short:
        return _unknown(trace, short if left is not None else f"{node.metric} {NOT_KNOWN}")
    return Trace("metric", compare(left, node.op, right), node.metric, left, node.op, right)


def _unknown(trace: Trace, why: str) -> Trace:
    return Trace("metric", None, trace.label, trace.left, trace.op, trace.right, why_unknown=why)


def _operand(operand: MetricOperand, subject: Subject) -> Decimal | None:
    value = subject.values.get(operand.window, {}).get(operand.metric)
    return None if value is None else value * operand.times


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


#: Delivery states in which an object can be judged; Meta's other words mean that it does not run.
RUNNING = frozenset({"ACTIVE", "IN_PROCESS", "WITH_ISSUES"})
STOPPED = frozenset({"PAUSED", "CAMPAIGN_PAUSED", "ADSET_PAUSED", "ARCHIVED", "DELETED"})
LEARNING = "LEARNING"


def excluded(subject: Subject, *, now: datetime) -> tuple[str, str] | None:
    """Why this object is outside every strategy's scope at the moment: (code, sentence), or `None`."""
    if not subject.owns_budget:
        return (
            "not_budget_owner",
            "Its budget lies at another level; only the level that owns the budget is judged.",
        )
    if subject.effective_status in STOPPED or subject.status in STOPPED:
        return "not_running", f"It does not run ({(subject.effective_status or subject.status).lower()})."
    if subject.effective_status not in RUNNING or subject.status != "ACTIVE":
        shown = subject.effective_status if subject.effective_status not in RUNNING else subject.status
        return "unknown_status", f"Its status {shown or 'is empty'} is not known here, so it is left alone."
    if subject.start is not None and subject.start > now:
        return "scheduled", f"It starts on {subject.start:%d %b %Y}."
    if subject.end is not None and subject.end <= now:
        return "ended", f"It ended on {subject.end:%d %b %Y}."
    if subject.learning_stage == LEARNING:
        return (
            "learning",
            "It is in Meta's learning phase; figures are not settled and an edit would restart it.",
        )
    return None


def held_by_trust(trust: Trust, *, raising: bool) -> tuple[str, str] | None:
    """Why figures of this trust forbid to act: (code, sentence), or `None`.

    A raise needs everything healthy. Anything else may rest on figures that are complete and late (stale), never
    on a part of the days: seven days of which two are missing are not the seven days that the rule names.
    """
    if trust in (Trust.UNAVAILABLE, Trust.EMPTY):
        return "data_" + trust.value, "There are no figures to judge it by."
    if trust is Trust.PARTIAL:
        return (
            "data_partial",
            "Some of the seven days are missing or do not add up; nothing is done until they do.",
        )
    if raising and trust is Trust.STALE:
        return "data_stale", "The figures were not checked lately; a budget is only raised on fresh ones."
    return None


def judge(rule_set: RuleSet, subject: Subject, snapshot: Snapshot, *, now: datetime) -> Judgement:
    """What the rules say about one object: a verdict, the first reason that blocks, and the intents.

    Depends on nothing but its arguments; `now` only tells scheduled and ended objects.
    """
    out = excluded(subject, now=now)
    if out:
        return Judgement(subject, Verdict.EXCLUDED, *out)
    if not rule_set.cases:
        return Judgement(
            subject, Verdict.NOT_MET, "no_rule", "The strategy has no condition that is switched on."
        )
    traces: list[CaseTrace] = []
    intents: list[Intent] = []
    blocks: list[tuple[str, str]] = []
    taken: set[str] = set()
    for case in rule_set.cases:
        trace = evaluate(case.when, subject)
        field, blocked = FIELD_OF[case.action], None
        if trace.result is True and field not in taken:
            taken.add(field)
            blocked = _blocked(case, subject, snapshot)
            if blocked:
                blocks.append(blocked)
            else:
                intents.append(_intent(case, subject, snapshot))
        code = blocked[0] if blocked else ""
        traces.append(CaseTrace(case.name, case.action, trace.result, trace, blocked_by=code))
    verdict, code, reason = _verdict(traces, intents, blocks)
    return Judgement(subject, verdict, code, reason, tuple(traces), tuple(intents))


def _verdict(
    traces: list[CaseTrace], intents: list[Intent], blocks: list[tuple[str, str]]
) -> tuple[Verdict, str, str]:
    if intents:
        return Verdict.FIRED, "fired", ""
    if blocks:
        return Verdict.HELD, *blocks[0]
    unknown = [trace for trace in traces if trace.result is None]
    if unknown:
        leaves = (leaf for trace in unknown for leaf in trace.trace.leaves())
        why = next((leaf.why_unknown for leaf in leaves if leaf.why_unknown), NOT_KNOWN)
        code = "too_little_data" if why.startswith("too little data") else "not_known"
        return Verdict.UNKNOWN, code, f"Cannot be judged: {why}."
    return Verdict.NOT_MET, "not_met", "None of the strategy's conditions is met."


def _blocked(case: Case, subject: Subject, snapshot: Snapshot) -> tuple[str, str] | None:
    raising = case.action is Action.RAISE_BUDGET
    by_trust = held_by_trust(snapshot.trust, raising=raising)
    if by_trust or not raising:
        return by_trust
    if subject.daily_budget is None:
        kind = "a lifetime budget" if subject.lifetime_budget is not None else "no known daily budget"
        return "no_daily_budget", f"It has {kind}; only daily budgets are raised."
    if snapshot.minor_unit is None:
        return (
            "unknown_currency",
            f"The smallest unit of {snapshot.currency} is not known, so no budget is written.",
        )
    if case.ceiling is None:
        return "no_ceiling", "No highest daily budget is set, so nothing is raised."
    if raised(subject.daily_budget, case=case, minor_unit=snapshot.minor_unit) is None:
        limit = f"{snapshot.currency} {case.ceiling:,f}"
        return "at_ceiling", f"Its daily budget cannot rise further: the highest allowed is {limit}."
    return None


def raised(daily_budget: Decimal, *, case: Case, minor_unit: Decimal) -> Decimal | None:
    """The raised daily budget, rounded DOWN to the currency's smallest unit and never above the ceiling;
    `None` when nothing is left to raise. `case` gives percent and ceiling."""
    wanted = daily_budget * (100 + case.percent) / 100
    if case.ceiling is not None:
        wanted = min(wanted, case.ceiling)
    target = (wanted / minor_unit).to_integral_value(ROUND_FLOOR) * minor_unit
    return target if target > daily_budget else None


def _intent(case: Case, subject: Subject, snapshot: Snapshot) -> Intent:
    before: str | None = None
    target: str | None = None
    if case.action is Action.PAUSE:
        before, target = subject.status, "PAUSED"
    elif case.action is Action.RAISE_BUDGET:
        assert subject.daily_budget is not None
        assert snapshot.minor_unit is not None
        amount = raised(subject.daily_budget, case=case, minor_unit=snapshot.minor_unit)
        assert amount is not None
        before, target = canonical_amount(subject.daily_budget), canonical_amount(amount)
    return Intent(
        action=case.action,
        level=subject.level,
        object_id=subject.object_id,
        object_name=subject.name,
        field=FIELD_OF[case.action],
        before=before,
        target=target,
        case=case.name,
    )


def hold(judgement: Judgement, blocks: Iterable[tuple[str, str, str]]) -> Judgement:
    """The judgement without the intents whose field is blocked from outside the rules: (field, code, sentence).

    Held when nothing is left of them; the first block is then the reason.
    """
    why = {field: (code, reason) for field, code, reason in blocks}
    stopped = [intent.field for intent in judgement.intents if intent.field in why]
    if not stopped:
        return judgement
    cases = tuple(
        replace(case, blocked_by=why[FIELD_OF[case.action]][0])
        if FIELD_OF[case.action] in stopped and case.result is True and not case.blocked_by
        else case
        for case in judgement.cases
    )
    kept = tuple(intent for intent in judgement.intents if intent.field not in why)
    found = tuple((field, *why[field]) for field in stopped)
    if kept:
        return replace(judgement, cases=cases, intents=kept, blocks=found)
    code, reason = why[stopped[0]]
    return Judgement(judgement.subject, Verdict.HELD, code, reason, cases, (), found)
