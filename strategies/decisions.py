"""Decision records: what was said about each object, why, and on which figures; any record can be judged again.

A record holds the object as it was seen and every node's value, and names the version of the strategy whose rules it
was judged by (versions never change), so `replay` needs neither today's rules nor today's figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet

import strategies.documents as documents
from accounts.errors import NotFound
from accounts.models import AdAccount
from accounts.tenancy import Principal
from strategies.engine.judge import hold, judge
from strategies.engine.rules import Document
from strategies.engine.types import (
    CaseTrace,
    Ground,
    Judgement,
    Look,
    Past,
    Place,
    Snapshot,
    Subject,
    Trace,
    Trust,
    Values,
    Verdict,
)
from strategies.models import Decision, Strategy

#: Verdicts that get a row of their own whenever the figures differ.
_NOTE = "noted_afterwards"
EVENTS = frozenset({Verdict.FIRED, Verdict.HELD})


def record(
    *,
    strategy: Strategy,
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
        row = _row(strategy, judgement, snapshot, now)
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


def _row(strategy: Strategy, judgement: Judgement, snapshot: Snapshot, now: datetime) -> Decision:
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
            "subject": _subject_json(subject),
            "snapshot": {
                "currency": snapshot.currency,
                "minor_unit": _text(snapshot.minor_unit),
                "zone": snapshot.zone,
                "trust_reasons": list(snapshot.trust_reasons),
                "looks": {window: _look_json(look) for window, look in snapshot.looks.items()},
                "targets": {name: _text(value) for name, value in snapshot.targets.items()},
                **_grounds_json(subject, snapshot),
            },
            "cases": [case_json(case) for case in judgement.cases],
            "blocks": [list(block) for block in judgement.blocks],
        },
        first_at=now,
        last_at=now,
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


#: Fields of a subject that are written as they are; the rest by their kinds.
_AMOUNTS = frozenset({"daily_budget", "lifetime_budget", "bid_amount"})
_MOMENTS = frozenset({"start", "end", "created", "paused_at", "pause_ends"})
_PARTS = frozenset({"values", "around", "places", "shares", "past"})
_PLAIN = frozenset(field.name for field in fields(Subject)) - _AMOUNTS - _MOMENTS - _PARTS


def _subject_json(subject: Subject) -> dict[str, Any]:
    moments = {name: getattr(subject, name) for name in sorted(_MOMENTS)}
    return {
        **{name: getattr(subject, name) for name in sorted(_PLAIN)},
        **{name: _text(getattr(subject, name)) for name in sorted(_AMOUNTS)},
        **{name: None if moment is None else moment.isoformat() for name, moment in moments.items()},
        "values": _values_json(subject.values),
        "around": {whose: _values_json(values) for whose, values in subject.around.items()},
        "places": {
            key: [place.ranked, _text(place.value), place.ahead, place.unknown, place.size]
            for key, place in subject.places.items()
        },
        "shares": {key: _text(value) for key, value in subject.shares.items()},
        **({"past": _past_json(subject.past)} if subject.past else {}),
    }


def _past_json(past: Past) -> dict[str, Any]:
    """Days of one metric as one text: half of what a list of texts takes."""
    return {
        "since": past.since.isoformat(),
        "day_gone": _text(past.day_gone),
        "days": {name: " ".join(_short(one) for one in days) for name, days in sorted(past.days.items())},
    }


def _short(number: Decimal) -> str:
    return format(number.normalize(), "f")


def _grounds_json(subject: Subject, snapshot: Snapshot) -> dict[str, Any]:
    """What its rates were weighed on; nothing for an object of which none was."""
    if subject.past is None:
        return {}
    mine = {key: ground for key, ground in snapshot.grounds.items() if key.startswith(f"{subject.level} ")}
    return {
        "tolerated": _text(snapshot.tolerated),
        "grounds": {
            key: [
                None if ground.shares is None else " ".join(_short(one) for one in ground.shares),
                _text(ground.scale),
                _text(ground.variation),
            ]
            for key, ground in sorted(mine.items())
        },
    }


def _values_json(values: Mapping[str, Values]) -> dict[str, dict[str, str | None]]:
    return {
        window: {metric: _text(value) for metric, value in sorted(some.items())}
        for window, some in values.items()
    }


def _look_json(look: Look) -> list[Any]:
    days = (None if day is None else day.isoformat() for day in (look.since, look.until))
    return [*days, look.trust.value, list(look.reasons)]


def case_json(case: CaseTrace) -> dict[str, Any]:
    """A case with its tree and every node's value, as the API and the pages show it."""
    return {
        "name": case.name,
        "action": case.does[0].action.value,
        "actions": [do.action.value for do in case.does],
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
    more: dict[str, Any] = {
        name: value for name in ("window", "of", "other") if (value := getattr(trace, name))
    }
    if trace.guard is not None:
        more["guard"] = {
            field.name: _text(value) if isinstance(value, Decimal) else value
            for field in fields(trace.guard)
            for value in [getattr(trace.guard, field.name)]
        }
    return data | {"left": left, "op": trace.op, "right": right, "why_unknown": trace.why_unknown} | more


def note(decision: Decision, *, code: str, reason: str) -> None:
    """Add to a record that the change path did not take what was decided, and why."""
    decision.verdict, decision.reason_code, decision.reason = Verdict.HELD.value, code[:40], reason[:600]
    decision.record = {**decision.record, _NOTE: True}
    decision.save(update_fields=["verdict", "reason_code", "reason", "record"])


def noted(decision: Decision) -> bool:
    """Whether what was decided was not taken by the change path."""
    return bool(decision.record.get(_NOTE))


@dataclass(frozen=True)
class Then:
    """What a stored decision was judged by: the rules, the object and the figures of then."""

    document: Document
    subject: Subject
    snapshot: Snapshot
    now: datetime


def then(decision: Decision) -> Then:
    """What a stored decision was judged by."""
    record: Mapping[str, Any] = decision.record
    kept: Mapping[str, Any] = record["snapshot"]
    subject = _subject(record["subject"])
    snapshot = Snapshot(
        currency=kept["currency"],
        minor_unit=_number(kept["minor_unit"]),
        zone=kept["zone"],
        since=decision.since,
        until=decision.until,
        data_version=decision.data_version,
        as_of=decision.as_of,
        trust=Trust(decision.trust),
        trust_reasons=tuple(kept["trust_reasons"]),
        subjects=(subject,),
        looks={window: _look(look) for window, look in kept["looks"].items()},
        targets={name: Decimal(value) for name, value in kept["targets"].items()},
        grounds={
            key: Ground(_numbers(shares), _number(scale), Decimal(variation))
            for key, (shares, scale, variation) in kept.get("grounds", {}).items()
        },
        tolerated=Decimal(kept.get("tolerated", "5")),
    )
    document = documents.at(decision.strategy, decision.strategy_version)
    return Then(document, subject, snapshot, decision.last_at)


def replay(decision: Decision) -> Judgement:
    """Judge a stored record again, by the rules and figures of then, and by what held it then."""
    record, at = decision.record, then(decision)
    judged = judge(at.document, at.subject, at.snapshot, now=at.now)
    judged = hold(judged, [(field, code, reason) for field, code, reason in record["blocks"]])
    if noted(decision):
        return replace(judged, verdict=Verdict.HELD, reason_code=decision.reason_code, reason=decision.reason)
    return judged


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _numbers(text: str | None) -> tuple[Decimal, ...] | None:
    return None if text is None else tuple(Decimal(one) for one in text.split())


def _past(data: Mapping[str, Any]) -> Past:
    days = {name: _numbers(text) or () for name, text in data["days"].items()}
    return Past(date.fromisoformat(data["since"]), Decimal(data["day_gone"]), days)


def _look(data: list[Any]) -> Look:
    since, until, trust, reasons = data
    first, last = (None if day is None else date.fromisoformat(day) for day in (since, until))
    return Look(first, last, Trust(trust), tuple(reasons))


def _values(data: Mapping[str, Mapping[str, str | None]]) -> dict[str, Values]:
    return {window: {metric: _number(text) for metric, text in some.items()} for window, some in data.items()}


def _subject(data: Mapping[str, Any]) -> Subject:
    given = dict(data)
    given |= {name: _number(data[name]) for name in _AMOUNTS}
    given |= {name: datetime.fromisoformat(data[name]) if data[name] else None for name in _MOMENTS}
    given["values"] = _values(data["values"])
    given["around"] = {whose: _values(values) for whose, values in data["around"].items()}
    given["places"] = {
        key: Place(ranked, _number(value), ahead, unknown, size)
        for key, (ranked, value, ahead, unknown, size) in data["places"].items()
    }
    given["past"] = _past(data["past"]) if "past" in data else None
    given["shares"] = {key: Decimal(text) for key, text in data["shares"].items()}
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


def get(principal: Principal, uuid: str) -> Decision:
    """One decision; absent and not-yours are the same `NotFound`."""
    row: Decision | None = list_(principal).select_related("ad_account__client").filter(uuid=uuid).first()
    if row is None:
        raise NotFound("There is no such decision.")
    return row


def about(principal: Principal, *, ad_account: AdAccount, object_ids: Iterable[str]) -> QuerySet[Decision]:
    """The latest decision of every strategy about these objects, without the records."""
    rows = list_(principal, ad_account=ad_account, current=True).filter(object_id__in=list(object_ids))
    found: QuerySet[Decision] = rows.defer("record")
    return found
