"""What a document says about each object: a verdict, every case's tree with its figures, and what is to be done.

    prepare   who is covered -> places in the rankings, budgets of a rebalance: what one object needs of the others
    judge     scope -> cases (of each field the first true one counts) -> what forbids to act -> intents
    hold      the same without intents that something outside the rules forbids

`judge` depends on one object alone, so that a stored record can be judged again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from insights.metrics import METRICS
from strategies.engine.evaluate import evaluate
from strategies.engine.evidence import NOT_KNOWN
from strategies.engine.guard import NOT_YET
from strategies.engine.moves import Stuck, move
from strategies.engine.ranking import figure, group, places
from strategies.engine.rebalance import Sibling, rebalance
from strategies.engine.rules import BUDGET_OWNER, Case, Document, Rank, leaves, windows_of
from strategies.engine.types import (
    ADVICE,
    NOTICES,
    Action,
    CaseTrace,
    Do,
    Intent,
    Judgement,
    Look,
    Place,
    Snapshot,
    Subject,
    Trace,
    Trust,
    Truth,
    Verdict,
)

#: Delivery states in which an object can be judged; Meta's other words mean that it does not run.
RUNNING: Final = frozenset({"ACTIVE", "IN_PROCESS", "WITH_ISSUES"})
STOPPED: Final = frozenset({"PAUSED", "CAMPAIGN_PAUSED", "ADSET_PAUSED", "ARCHIVED", "DELETED"})
GONE: Final = frozenset({"ARCHIVED", "DELETED"})
LEARNING: Final = "LEARNING"
#: How an unknown condition's words begin -> the code of what that means.
_UNKNOWN: Final = {"too little data": "too_little_data", NOT_YET: "not_known_yet"}
_WORST_FIRST: Final = (Trust.UNAVAILABLE, Trust.EMPTY, Trust.PARTIAL, Trust.STALE, Trust.READY)

#: Stands beside a document's own cases while a pause of `pause_until` comes to its end.
PAUSE_IS_OVER: Final = CaseTrace(
    "end of the pause",
    (Do(Action.START),),
    True,
    Trace("fact", True, "the pause", "over", "is", "over"),
)


# --- what one object needs of the others


def covered(document: Document, snapshot: Snapshot) -> tuple[Subject, ...]:
    """The objects of the document's level; they are judged one by one."""
    if document.level == BUDGET_OWNER:
        return tuple(one for one in snapshot.subjects if one.level != "ad")
    return tuple(one for one in snapshot.subjects if one.level == document.level)


def prepare(document: Document, snapshot: Snapshot, *, now: datetime) -> Snapshot:
    """The snapshot with the objects that the document is about, each with its places and shares."""
    subjects = covered(document, snapshot)
    rankings = {
        leaf.key: leaf for case in document.cases for leaf in leaves(case.when) if isinstance(leaf, Rank)
    }
    moves = [(case, do) for case in document.cases for do in case.do if do.action is Action.REBALANCE]
    if not rankings and not moves:
        return replace(snapshot, subjects=subjects)
    inside = [one for one in subjects if _picked(document, one) and _where(document, one, snapshot, now)]
    if document.level == BUDGET_OWNER:
        inside = [one for one in inside if one.owns_budget]
    found = {key: places(rank, inside) for key, rank in rankings.items()}
    nowhere = Place(False)
    ranked = [
        replace(one, places={key: place.get(one.object_id, nowhere) for key, place in found.items()})
        for one in subjects
    ]
    for case, do in moves:
        ranked = _shared(document, case, do, ranked, snapshot, now)
    return replace(snapshot, subjects=tuple(ranked))


def _shared(
    document: Document, case: Case, do: Do, subjects: Sequence[Subject], snapshot: Snapshot, now: datetime
) -> list[Subject]:
    """The subjects with what the rebalance gives each. Who takes part: objects that can be judged and for which the
    case is true, with a daily budget and a known figure; siblings are those of one parent."""
    if snapshot.minor_unit is None or do.percent is None or do.limit is None:
        return list(subjects)
    groups: dict[str, list[Sibling]] = defaultdict(list)
    sign = -1 if METRICS[do.metric].good == "down" else 1
    for one in subjects:
        score = figure(one, do.metric, do.window)
        if score is None or not one.daily_budget or excluded(document, one, snapshot, now=now):
            continue
        if evaluate(case.when, one, snapshot, now=now).result is True:
            key = f"{one.level} {group(one, 'parent')}"
            groups[key].append(Sibling(one.object_id, one.daily_budget, sign * score))
    given: dict[str, Decimal] = {}
    for siblings in groups.values():
        given |= rebalance(
            siblings, step_percent=do.percent, at_least=do.limit, minor_unit=snapshot.minor_unit
        )
    name = f"{do.metric} {do.window}"
    return [
        replace(one, shares={**one.shares, name: given[one.object_id]}) if one.object_id in given else one
        for one in subjects
    ]


# --- scope


def excluded(
    document: Document, subject: Subject, snapshot: Snapshot, *, now: datetime
) -> tuple[str, str] | None:
    """Why this object is outside the strategy's scope at the moment: (code, sentence), or `None`."""
    if not _picked(document, subject):
        return "not_in_scope", "The strategy is not about this object."
    if document.level == BUDGET_OWNER and not subject.owns_budget:
        return (
            "not_budget_owner",
            "Its budget lies at another level; only the level that owns the budget is judged.",
        )
    starting = _starts(document) or subject.pause_ends is not None
    out = out_of_reach(subject, starting=starting, now=now)
    if out is not None:
        return out
    if subject.learning_stage == LEARNING and not document.scope.learning:
        return (
            "learning",
            "It is in Meta's learning phase; figures are not settled and an edit would restart it.",
        )
    inside = _where(document, subject, snapshot, now)
    if inside is None:
        return (
            "scope_not_known",
            "Whether the strategy is about it cannot be told: a fact or figure is not known.",
        )
    return None if inside else ("not_in_scope", "The strategy's filter leaves it out.")


def out_of_reach(subject: Subject, *, now: datetime, starting: bool = False) -> tuple[str, str] | None:
    """Why an object cannot be judged by anybody now. With `starting` one that is paused itself can."""
    effective, status = subject.effective_status, subject.status
    waits = starting and status == "PAUSED" and effective in STOPPED - GONE
    if not waits:
        if effective in STOPPED or status in STOPPED:
            return "not_running", f"It does not run ({(effective or status).lower()})."
        if effective not in RUNNING or status != "ACTIVE":
            shown = effective if effective not in RUNNING else status
            return (
                "unknown_status",
                f"Its status {shown or 'is empty'} is not known here, so it is left alone.",
            )
    if subject.start is not None and subject.start > now:
        return "scheduled", f"It starts on {subject.start:%d %b %Y}."
    if subject.end is not None and subject.end <= now:
        return "ended", f"It ended on {subject.end:%d %b %Y}."
    return None


def _starts(document: Document) -> bool:
    return any(do.action is Action.START for do in document.does)


def _picked(document: Document, subject: Subject) -> bool:
    scope = document.scope
    return subject.object_id not in scope.excluding and (not scope.only or subject.object_id in scope.only)


def _where(document: Document, subject: Subject, snapshot: Snapshot, now: datetime) -> Truth:
    where = document.scope.where
    if where is None:
        return True
    # What a strategy is about is a figure, not a judgement: it is not weighed.
    return evaluate(where, replace(subject, past=None), snapshot, now=now).result


# --- trust


def held_by_trust(look: Look, *, raising: bool) -> tuple[str, str] | None:
    """Why figures of this trust forbid to act: (code, sentence), or `None`.

    A raise needs everything healthy. Anything else may rest on figures that are complete and late (stale), never
    on a part of the days: seven days of which two are missing are not the seven days that the rule names.
    """
    if look.trust in (Trust.UNAVAILABLE, Trust.EMPTY):
        return "data_" + look.trust.value, "There are no figures to judge it by."
    if look.trust is Trust.PARTIAL:
        return "data_partial", "Some of its days are missing or do not add up; nothing is done until they do."
    if raising and look.trust is Trust.STALE:
        return "data_stale", "The figures were not checked lately; a budget is only raised on fresh ones."
    return None


def worst(looks: Iterable[Look], *, otherwise: Look) -> Look:
    """The look that can be trusted least."""
    return min(looks, key=lambda look: _WORST_FIRST.index(look.trust), default=otherwise)


# --- the verdict


def judge(document: Document, subject: Subject, snapshot: Snapshot, *, now: datetime) -> Judgement:
    """What the document says about one object of a prepared snapshot: a verdict, the first reason that blocks, and the
    intents. Depends on nothing but its arguments."""
    out = excluded(document, subject, snapshot, now=now)
    if out:
        return Judgement(subject, Verdict.EXCLUDED, *out)
    if not document.cases:
        return Judgement(
            subject, Verdict.NOT_MET, "no_rule", "The strategy has no condition that is switched on."
        )
    traces: list[CaseTrace] = []
    intents: list[Intent] = []
    blocks: list[Stuck] = []
    taken: set[str] = set()
    if subject.pause_ends is not None:
        # What this strategy paused for a time is its own to start again, whatever its conditions say by then.
        taken.add("status")
        if subject.pause_ends <= now and subject.status == "PAUSED":
            traces.append(PAUSE_IS_OVER)
            intents.append(_restart(subject))
    for case in document.cases:
        trace = evaluate(case.when, subject, snapshot, now=now)
        blocked: list[tuple[str, str]] = []
        for do in case.do if trace.result is True else ():
            if do.field in taken:
                continue
            found = _act(case, do, subject, snapshot, now)
            if isinstance(found, Intent):
                intents.append(found)
            elif not _for_the_other_budget(case, do, subject):
                blocks.append(found)
                blocked.append((do.field, found.code))
            if not isinstance(found, Stuck) or not found.idle:
                taken.add(do.field)
        traces.append(CaseTrace(case.name, case.do, trace.result, trace, tuple(blocked)))
    verdict, code, reason = _verdict(traces, intents, blocks)
    return Judgement(subject, verdict, code, reason, tuple(traces), tuple(intents))


def _restart(subject: Subject) -> Intent:
    return Intent(
        action=Action.START,
        level=subject.level,
        object_id=subject.object_id,
        object_name=subject.name,
        field="status",
        before=subject.status,
        target="ACTIVE",
        case=PAUSE_IS_OVER.name,
    )


def _for_the_other_budget(case: Case, do: Do, subject: Subject) -> bool:
    """Whether the action is about a kind of budget that the object has not, beside one about the kind that it has."""
    fields = {one.field for one in case.do}
    return (
        {"daily_budget", "lifetime_budget"} <= fields
        and do.field in {"daily_budget", "lifetime_budget"}
        and (not getattr(subject, do.field))
    )


def _verdict(traces: list[CaseTrace], intents: list[Intent], blocks: list[Stuck]) -> tuple[Verdict, str, str]:
    if intents:
        return Verdict.FIRED, "fired", ""
    hard = [block for block in blocks if not block.idle]
    if hard:
        return Verdict.HELD, hard[0].code, hard[0].reason
    unknown = [trace for trace in traces if trace.result is None]
    if unknown:
        ends = (leaf for trace in unknown for leaf in trace.trace.leaves())
        why = next((leaf.why_unknown for leaf in ends if leaf.why_unknown), NOT_KNOWN)
        code = next((code for start, code in _UNKNOWN.items() if why.startswith(start)), "not_known")
        return Verdict.UNKNOWN, code, f"Cannot be judged: {why}."
    if blocks:
        return Verdict.NOT_MET, blocks[0].code, blocks[0].reason
    return Verdict.NOT_MET, "not_met", "None of the strategy's conditions is met."


def _act(case: Case, do: Do, subject: Subject, snapshot: Snapshot, now: datetime) -> Intent | Stuck:
    """What the action of a case that is true comes to. An object that is paused itself can only be started, and told
    of."""
    if (
        subject.status == "PAUSED"
        and do.action not in {Action.START, Action.PAUSE, Action.PAUSE_UNTIL} | NOTICES
    ):
        return Stuck("not_running", "It does not run (paused).", idle=True)
    found = move(do, subject, snapshot, now=now)
    if isinstance(found, Stuck) and found.idle:
        return found
    looks = (snapshot.look(window) for window in sorted(windows_of(case)))
    whole = Look(snapshot.since, snapshot.until, snapshot.trust, snapshot.trust_reasons)
    # A rule that rests on no figure at all (the account's clock) needs none to be right.
    look = worst(looks, otherwise=Look(None, None, Trust.READY) if _clockwork(case) else whole)
    held = held_by_trust(look, raising=do.spends_more)
    if held:
        return Stuck(*held)
    if isinstance(found, Stuck):
        return found
    return Intent(
        action=do.action,
        level=subject.level,
        object_id=subject.object_id,
        object_name=subject.name,
        field=do.field,
        before=found.before,
        target=found.target,
        case=case.name,
        until=found.until,
        text=do.text if do.action in ADVICE | NOTICES else "",
        severity=do.severity,
    )


def _clockwork(case: Case) -> bool:
    return not windows_of(case)


def hold(judgement: Judgement, blocks: Iterable[tuple[str, str, str]]) -> Judgement:
    """The judgement without the intents whose field is blocked from outside the rules: (field, code, sentence).

    Held when nothing is left of them; the first block is then the reason.
    """
    why = {field: (code, reason) for field, code, reason in blocks}
    stopped = [intent.field for intent in judgement.intents if intent.field in why]
    if not stopped:
        return judgement
    owner = {intent.field: intent.case for intent in judgement.intents}
    cases = tuple(
        replace(
            case,
            blocked=(
                *case.blocked,
                *((field, why[field][0]) for field in stopped if owner[field] == case.name),
            ),
        )
        for case in judgement.cases
    )
    kept = tuple(intent for intent in judgement.intents if intent.field not in why)
    found = tuple((field, *why[field]) for field in stopped)
    if kept:
        return replace(judgement, cases=cases, intents=kept, blocks=found)
    code, reason = why[stopped[0]]
    return Judgement(judgement.subject, Verdict.HELD, code, reason, cases, (), found)
