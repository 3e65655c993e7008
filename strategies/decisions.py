"""Decision records: what was said about each object, why, and on which figures; any record can be judged again.

A record is self-contained (the object as seen, the rules as they stood, every node's value), so `replay` needs
neither today's rules nor today's figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet

from accounts.models import AdAccount
from accounts.tenancy import Principal
from insights.metrics import ALIASES, METRICS
from strategies.engine.evaluate import hold, judge
from strategies.engine.rules import RuleSet, dump_set, metrics_of, parse_set
from strategies.engine.types import CaseTrace, Judgement, Snapshot, Subject, Trace, Trust, Verdict
from strategies.models import Decision, Strategy

#: Verdicts that get a row of their own whenever the figures differ.
_NOTE = "noted_afterwards"
EVENTS = frozenset({Verdict.FIRED, Verdict.HELD})


def record(
    *,
    strategy: Strategy,
    rule_set: RuleSet,
    judgements: Iterable[Judgement],
    snapshot: Snapshot,
    now: datetime,
) -> dict[str, Decision]:
    """Store what was said about every object; object id -> its row. Repeats are counted, not added."""
    before = {
        row.object_id: row
        for row in Decision.objects.of(strategy.client_id).filter(strategy=strategy, current=True)
    }
    rows: dict[str, Decision] = {}
    fresh: list[Decision] = []
    renewed: list[Decision] = []
    counted: list[int] = []
    for judgement in judgements:
        row = _row(strategy, rule_set, judgement, snapshot, now)
        old = before.get(row.object_id)
        if old is None or not _same_answer(old, row):
            fresh.append(row)
        elif _only_repeats(old, row):
            counted.append(old.pk)
            row = _moved_on(old, row)
        else:
            row = _renew(old, row)
            renewed.append(row)
        rows[row.object_id] = row
    with transaction.atomic():
        replaced = [before[row.object_id].pk for row in fresh if row.object_id in before]
        Decision.objects.of(strategy.client_id).filter(pk__in=replaced).update(current=False)
        Decision.everything.bulk_create(fresh, batch_size=500)
        Decision.everything.bulk_update(renewed, _RENEWED, batch_size=200)
        for start in range(0, len(counted), 500):
            some = Decision.objects.of(strategy.client_id).filter(pk__in=counted[start : start + 500])
            some.update(
                times=F("times") + 1,
                last_at=now,
                since=snapshot.since,
                until=snapshot.until,
                data_version=snapshot.data_version,
                as_of=snapshot.as_of,
                trust=snapshot.trust.value,
            )
    return rows


_RENEWED = [
    "verdict",
    "reason_code",
    "reason",
    "since",
    "until",
    "data_version",
    "as_of",
    "trust",
    "record",
    "last_at",
    "times",
    "object_name",
]


def _renew(old: Decision, new: Decision) -> Decision:
    for name in _RENEWED:
        if name != "times":
            setattr(old, name, getattr(new, name))
    old.times += 1
    return old


def _only_repeats(old: Decision, new: Decision) -> bool:
    """Whether nothing but the moment differs: then one UPDATE serves every such row."""
    return (old.verdict, old.reason_code) == (new.verdict, new.reason_code) and _seen(old) == _seen(new)


def _seen(row: Decision) -> dict[str, Any]:
    """The record without what was noted afterwards."""
    return {key: value for key, value in row.record.items() if key != _NOTE}


def _moved_on(old: Decision, new: Decision) -> Decision:
    for name in ("since", "until", "data_version", "as_of", "trust", "last_at"):
        setattr(old, name, getattr(new, name))
    old.times += 1
    return old


def _same_answer(old: Decision, new: Decision) -> bool:
    if old.strategy_version != new.strategy_version:
        return False
    if new.verdict in EVENTS:
        # Not the verdict: `held` may have been noted afterwards, when the change path did not take it.
        return old.until == new.until and _seen(old) == _seen(new)
    return (old.verdict, old.reason_code) == (new.verdict, new.reason_code)


def _row(
    strategy: Strategy, rule_set: RuleSet, judgement: Judgement, snapshot: Snapshot, now: datetime
) -> Decision:
    subject = judgement.subject
    return Decision(
        client_id=strategy.client_id,
        ad_account_id=strategy.ad_account_id,
        strategy=strategy,
        strategy_version=strategy.version,
        level=subject.level,
        object_id=subject.object_id,
        object_name=subject.name[:400],
        verdict=judgement.verdict.value,
        reason_code=judgement.reason_code,
        reason=judgement.reason[:600],
        since=snapshot.since,
        until=snapshot.until,
        data_version=snapshot.data_version,
        as_of=snapshot.as_of,
        trust=snapshot.trust.value,
        record={
            "subject": _subject_json(subject, _asked(rule_set)),
            "snapshot": {
                "currency": snapshot.currency,
                "minor_unit": _text(snapshot.minor_unit),
                "zone": snapshot.zone,
                "trust_reasons": list(snapshot.trust_reasons),
            },
            "rules": dump_set(rule_set) if judgement.cases else [],
            "cases": [case_json(case) for case in judgement.cases],
            "blocks": [list(block) for block in judgement.blocks],
        },
        first_at=now,
        last_at=now,
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _asked(rule_set: RuleSet) -> frozenset[str]:
    """Metrics that a record keeps: those that the rules ask for, and what the minimum of data is counted in."""
    return frozenset({"impressions", "spend", "conversions"}).union(
        *(metrics_of(case.when) for case in rule_set.cases)
    )


def _subject_json(subject: Subject, asked: frozenset[str]) -> dict[str, Any]:
    return {
        "level": subject.level,
        "object_id": subject.object_id,
        "name": subject.name,
        "parent_id": subject.parent_id,
        "status": subject.status,
        "effective_status": subject.effective_status,
        "daily_budget": _text(subject.daily_budget),
        "lifetime_budget": _text(subject.lifetime_budget),
        "owns_budget": subject.owns_budget,
        "learning_stage": subject.learning_stage,
        "start": subject.start.isoformat() if subject.start else None,
        "end": subject.end.isoformat() if subject.end else None,
        "values": {
            window: {metric: _text(value) for metric, value in sorted(values.items()) if metric in asked}
            for window, values in subject.values.items()
        },
    }


def case_json(case: CaseTrace) -> dict[str, Any]:
    """A case with its tree and every node's value, as the API and the pages show it."""
    return {
        "name": case.name,
        "action": case.action.value,
        "result": case.result,
        "blocked_by": case.blocked_by,
        "tree": _trace_json(case.trace),
    }


def _trace_json(trace: Trace) -> dict[str, Any]:
    data: dict[str, Any] = {"kind": trace.kind, "label": trace.label, "result": trace.result}
    if trace.children:
        data["children"] = [_trace_json(child) for child in trace.children]
        return data
    left, right = (_text(side) if isinstance(side, Decimal) else side for side in (trace.left, trace.right))
    return data | {"left": left, "op": trace.op, "right": right, "why_unknown": trace.why_unknown}


def note(decision: Decision, *, code: str, reason: str) -> None:
    """Add to a record that the change path did not take what was decided, and why."""
    decision.verdict, decision.reason_code, decision.reason = Verdict.HELD.value, code[:40], reason[:600]
    decision.record = {**decision.record, _NOTE: True}
    decision.save(update_fields=["verdict", "reason_code", "reason", "record"])


def replay(decision: Decision) -> Judgement:
    """Judge a stored record again, by its own rules and figures, and by what held it then."""
    record: Mapping[str, Any] = decision.record
    subject = _subject(record["subject"])
    minor_unit = record["snapshot"]["minor_unit"]
    snapshot = Snapshot(
        currency=record["snapshot"]["currency"],
        minor_unit=None if minor_unit is None else Decimal(minor_unit),
        zone=record["snapshot"]["zone"],
        since=decision.since,
        until=decision.until,
        data_version=decision.data_version,
        as_of=decision.as_of,
        trust=Trust(decision.trust),
        trust_reasons=tuple(record["snapshot"]["trust_reasons"]),
        subjects=(subject,),
    )
    rule_set = parse_set(
        record["rules"],
        units={name: str(metric.unit) for name, metric in METRICS.items() if "campaign" in metric.levels},
        aliases=ALIASES,
    )
    judged = judge(rule_set, subject, snapshot, now=decision.last_at)
    judged = hold(judged, [(field, code, reason) for field, code, reason in record["blocks"]])
    if record.get(_NOTE):
        return replace(judged, verdict=Verdict.HELD, reason_code=decision.reason_code, reason=decision.reason)
    return judged


def _subject(data: Mapping[str, Any]) -> Subject:
    def number(text: str | None) -> Decimal | None:
        return None if text is None else Decimal(text)

    def moment(text: str | None) -> datetime | None:
        return None if text is None else datetime.fromisoformat(text)

    given = dict(data)
    given["daily_budget"], given["lifetime_budget"] = (
        number(data["daily_budget"]),
        number(data["lifetime_budget"]),
    )
    given["start"], given["end"] = moment(data["start"]), moment(data["end"])
    given["values"] = {
        window: {metric: number(value) for metric, value in values.items()}
        for window, values in data["values"].items()
    }
    return Subject(**given)


def list_(
    principal: Principal,
    *,
    ad_account: AdAccount | None = None,
    object_id: str | None = None,
    strategy: Strategy | None = None,
    current: bool = False,
) -> QuerySet[Decision]:
    """Decisions that `principal` may see, newest first."""
    rows = Decision.objects.for_(principal).select_related("strategy", "ad_account")
    if ad_account is not None:
        rows = rows.filter(ad_account=ad_account)
    if object_id:
        rows = rows.filter(object_id=object_id)
    if strategy is not None:
        rows = rows.filter(strategy=strategy)
    if current:
        rows = rows.filter(current=True)
    found: QuerySet[Decision] = rows.order_by("-last_at", "-pk")
    return found
