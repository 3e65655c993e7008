"""A rule over the past as it would have gone: the same judging, priorities and rests as live, instant by instant.

    snapshot as known then ─> what the rule has left behind so far ─> prepare ─> judge ─> who wins ─> what rests
        ─> firings (each counts as done at once) ─> left behind for the next instant

From the first firing on the past is one that did not happen: the object is seen with the status and budgets that the
rule would have left, with the figures that it really had. Where somebody really changed the field afterwards, that
stands instead, as a person's word does live. PURE.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from campaigns.states import canonical_amount
from strategies.engine.conflicts import Claim, outranked, settle
from strategies.engine.judge import judge, prepare
from strategies.engine.resting import DONE, Past, hindrance, weighed, window_key
from strategies.engine.rules import Document
from strategies.engine.types import NOTICES, Intent, Judgement, Snapshot, Subject, Trace
from strategies.engine.wording import sentence

#: Fields of an object that a rule leaves behind; advice leaves nothing.
_AMOUNTS: Final = ("daily_budget", "lifetime_budget", "bid_amount")
_ME: Final = "this"


@dataclass(frozen=True)
class Number:
    """A condition with the numbers that it was judged on; canonical text, `None` for unknown."""

    label: str
    window: str
    left: str | None
    op: str
    right: str | None


@dataclass(frozen=True)
class Firing:
    """What the rule would have done at an instant, and on which numbers."""

    at: datetime
    level: str
    object_id: str
    object_name: str
    action: str
    field: str
    before: str
    target: str
    case: str
    sentence: str
    numbers: tuple[Number, ...]
    notice: bool = False
    until: datetime | None = None


@dataclass(frozen=True)
class Left:
    """What the rule left in a field, and what really stood there at that instant."""

    ours: str
    really: str
    at: datetime
    ends: datetime | None = None


@dataclass
class Run:
    """The rule's way through the past. `others` of a step are what other strategies had open then."""

    document: Document
    version: int
    left: dict[tuple[str, str], Left] = field(default_factory=dict)
    done: dict[tuple[str, str], tuple[Past, ...]] = field(default_factory=dict)
    told: dict[tuple[str, str], bool] = field(default_factory=dict)

    def step(
        self, snapshot: Snapshot, *, now: datetime, others: Sequence[Claim] = ()
    ) -> tuple[list[Judgement], list[Firing]]:
        """Judge one instant; instants come in their order."""
        seen = prepare(self.document, self.overlaid(snapshot), now=now)
        judged = [judge(self.document, subject, seen, now=now) for subject in seen.subjects]
        lost = self._lost(judged, others)

        def why(intent: Intent) -> tuple[str, str] | None:
            if intent in lost:
                return "outranked", outranked(lost[intent], me=_ME)
            past = self.done.get((intent.object_id, intent.field), ())
            return hindrance(intent, past, snapshot=seen, version=self.version, now=now)

        judgements = [weighed(judgement, why) for judgement in judged]
        firings = [
            firing for judgement in judgements for firing in self._fire(judgement, snapshot, seen, now)
        ]
        return judgements, firings

    def _lost(self, judged: Iterable[Judgement], others: Sequence[Claim]) -> dict[Intent, Claim]:
        claims = [
            Claim(_ME, intent)
            for judgement in judged
            for intent in judgement.intents
            if intent.action not in NOTICES
        ]
        objects = {claim.intent.object_id for claim in claims}
        claims += [claim for claim in others if claim.intent.object_id in objects]
        return {loser.intent: winner for loser, winner in settle(claims).losers if loser.strategy == _ME}

    # --- what the rule left behind

    def overlaid(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with what the rule has left behind; what really moved since stands as it is."""
        self._forget(snapshot)
        if not self.left:
            return snapshot
        stopped = {
            one for (one, name), left in self.left.items() if name == "status" and left.ours == "PAUSED"
        }
        return replace(snapshot, subjects=tuple(self._seen(one, stopped) for one in snapshot.subjects))

    def _forget(self, snapshot: Snapshot) -> None:
        for subject in snapshot.subjects:
            for name in ("status", "name", "end_time", *_AMOUNTS):
                left = self.left.get((subject.object_id, name))
                if left is not None and standing(subject, name) != left.really:
                    del self.left[subject.object_id, name]

    def _seen(self, subject: Subject, stopped: set[str]) -> Subject:
        found: dict[str, Any] = {}
        for name in _AMOUNTS:
            left = self.left.get((subject.object_id, name))
            if left is not None:
                found[name] = Decimal(left.ours)
        for name, column in (("name", "name"), ("end_time", "end")):
            left = self.left.get((subject.object_id, name))
            if left is not None:
                found[column] = left.ours if name == "name" else datetime.fromisoformat(left.ours)
        status = self.left.get((subject.object_id, "status"))
        if status is not None:
            found |= {"status": status.ours, "effective_status": status.ours}
            if status.ours == "PAUSED":
                found |= {"paused_at": status.at, "pause_ends": status.ends}
        elif subject.level != "campaign" and subject.campaign_id in stopped:
            found["effective_status"] = "CAMPAIGN_PAUSED"
        elif subject.level == "ad" and subject.parent_id in stopped:
            found["effective_status"] = "ADSET_PAUSED"
        return replace(subject, **found) if found else subject

    def _fire(
        self, judgement: Judgement, snapshot: Snapshot, seen: Snapshot, now: datetime
    ) -> Iterable[Firing]:
        cases = {case.name: case for case in judgement.cases}
        really = next(one for one in snapshot.subjects if one.object_id == judgement.subject.object_id)
        told = {name for one, name in self.told if one == really.object_id}
        notices = {intent.case for intent in judgement.intents if intent.action in NOTICES}
        for name in told - notices:
            del self.told[really.object_id, name]
        for intent in judgement.intents:
            case = cases[intent.case]
            if intent.action in NOTICES:
                if intent.case in told:
                    continue  # people are told once while it lasts
                self.told[intent.object_id, intent.case] = True
            else:
                self._leave(intent, really, seen, now)
            yield Firing(
                at=now,
                level=intent.level,
                object_id=intent.object_id,
                object_name=intent.object_name,
                action=intent.action.value,
                field=intent.field,
                before=intent.before or "",
                target=intent.target or "",
                case=intent.case,
                sentence=sentence(intent, case, judgement.subject, seen),
                numbers=tuple(_number(leaf) for leaf in case.trace.leaves()),
                notice=intent.action in NOTICES,
                until=intent.until,
            )

    def _leave(self, intent: Intent, really: Subject, seen: Snapshot, now: datetime) -> None:
        key = (intent.object_id, intent.field)
        offer = Past(
            action=intent.action.value,
            target=intent.target or "",
            state=DONE,
            decided_at=now,
            window_key=window_key(seen, intent),
            version=self.version,
            word="done",
        )
        self.done[key] = (*self.done.get(key, ()), offer)
        if intent.target is not None:
            self.left[key] = Left(intent.target, standing(really, intent.field), now, intent.until)


def standing(subject: Subject, name: str) -> str:
    """What stands in a field of the object, in canonical text."""
    value = subject.end if name == "end_time" else getattr(subject, name, None)
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return canonical_amount(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _number(leaf: Trace) -> Number:
    left, right = (
        format(side, "f") if isinstance(side, Decimal) else side for side in (leaf.left, leaf.right)
    )
    return Number(leaf.label, leaf.window, left, leaf.op, right)
