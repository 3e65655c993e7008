"""A change as steps that a person follows (requested, approved, sending, confirmed), as a tree of all that
belongs to it, and the lines of its ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from accounts.models import Role
from accounts.tenancy import Principal
from campaigns.models import Attempt, Change, LedgerLine, Observation
from campaigns.states import ChangeState

S = ChangeState
_STEPS = (
    ("requested", "Requested"),
    ("approved", "Approved"),
    ("sending", "Sending"),
    ("applied", "Applied"),
)
#: State -> how many steps are behind it. Applied only when it was read back.
_REACHED: dict[str, int] = {
    S.PROPOSED: 1,
    S.APPROVED: 2,
    S.PREPARING: 2,
    S.SENDING: 2,
    S.ACKED: 2,
    S.UNKNOWN: 2,
    S.THROTTLED: 2,
    S.HELD_AUTH: 2,
    S.VERIFYING: 2,
    S.NOT_APPLIED: 2,
    S.APPLIED: 4,
    S.NOOP: 4,
    S.SUPERSEDED: 2,
    S.NEEDS_HUMAN: 2,
    S.FAILED: 2,
    S.REJECTED: 1,
    S.EXPIRED: 1,
}
_ENDED_BADLY = frozenset({S.SUPERSEDED, S.NEEDS_HUMAN, S.FAILED, S.REJECTED, S.EXPIRED})
MOVING = frozenset(
    {
        S.APPROVED,
        S.PREPARING,
        S.SENDING,
        S.ACKED,
        S.UNKNOWN,
        S.THROTTLED,
        S.HELD_AUTH,
        S.VERIFYING,
        S.NOT_APPLIED,
    }
)


@dataclass(frozen=True)
class Step:
    """`state` is done, now, todo or failed."""

    key: str
    label: str
    state: str
    at: datetime | None


def steps(change: Change) -> tuple[Step, ...]:
    """The four steps as they stand. A step is done when it is recorded, never because it is hoped for."""
    reached = _REACHED.get(change.state, 1)
    moments = {"requested": change.created_at, "approved": change.approved_at, "applied": change.applied_at}
    if change.approved_at is None and reached > 1:
        reached = 1 if change.state in _ENDED_BADLY else reached
    found = []
    for index, (key, label) in enumerate(_STEPS):
        if index < reached:
            state = "done"
        elif index == reached and change.state in _ENDED_BADLY:
            state, label = "failed", _FAILED_WORDS.get(change.state, label)
        elif index == reached:
            state, label = "now", "Approval" if key == "approved" else label
        else:
            state = "todo"
        if key == "applied" and change.state == S.NOOP:
            label = "Nothing to send"
        found.append(Step(key, label, state, moments.get(key)))
    return tuple(found)


_FAILED_WORDS: dict[str, str] = {
    S.SUPERSEDED: "Stopped",
    S.NEEDS_HUMAN: "A person has to look",
    S.FAILED: "Failed",
    S.REJECTED: "Rejected",
    S.EXPIRED: "Expired",
}


def who_did(lines: list[LedgerLine], names: dict[str, str]) -> dict[int, str]:
    """Line -> who, in words. Lines hold ids of people; a name is looked up when it is shown."""
    words = {
        "system": "metaads",
        "outside": "somebody in Ads Manager",
        "meta": "Meta",
        "other_app": "another app",
        "us_outside": "our app, outside metaads",
        "us_late": "an earlier request of ours",
        "unknown": "unknown",
    }
    return {line.pk: names.get(line.actor_id) or words.get(line.by, "somebody") for line in lines}


AUTHORITY: Final = "authority of "


def whose(line: LedgerLine) -> str:
    """The id of the person whose limit the line is about; empty for every other line."""
    key = line.field.removeprefix(AUTHORITY)
    return key.removeprefix("user:") if line.kind == "limit" and key.startswith("user:") else ""


def what_of(lines: list[LedgerLine], names: dict[str, str]) -> dict[int, str]:
    """Line -> the field or the rule that it is about, in words."""
    return {line.pk: _what(line, names) for line in lines}


def _what(line: LedgerLine, names: dict[str, str]) -> str:
    said = line.field
    if whose(line):
        said = AUTHORITY + names.get(whose(line), "somebody who has left")
    elif said.startswith(f"{AUTHORITY}role:"):
        said = f"{AUTHORITY}every {Role(said.partition('role:')[2]).label.lower()}"
    said = said.replace("_", " ")
    return said[:1].upper() + said[1:]


@dataclass(frozen=True)
class Node:
    """One thing that happened: what, when, by whom or why; a value of the field where one was seen or set; what belongs
    below it, and an address to go on."""

    title: str
    at: datetime | None = None
    text: str = ""
    value: str | None = None
    href: str = ""
    tone: str = ""
    below: tuple[Node, ...] = ()


_ASKED_BY = {"strategy": "A strategy", "watchdog": "The watchdog"}
_OUTSIDE_SHOWN = 10


def tree(who: Principal, change: Change) -> tuple[Node, ...]:
    """The change's whole story in its order: asked with evidence, approved, read, sent and read back, what others did
    to the same field meanwhile, and its undo."""
    reads = list(Observation.objects.for_(who).filter(change=change).order_by("id"))
    sent = list(Attempt.objects.for_(who).filter(change=change).order_by("n"))
    found = [_asked(change)]
    if change.approved_at is not None:
        found.append(_approved(change))
    before = [one for one in reads if one.attempt == 0]
    if before:
        found.append(Node("Read before sending", before[0].at, below=_reads(before)))
    found.extend(_attempt(one, [read for read in reads if read.attempt == one.n]) for one in sent)
    found.append(_ending(change))
    found.extend(_outside(who, change))
    found.extend(_undo(who, change))
    return tuple(found)


def _asked(change: Change) -> Node:
    name = _ASKED_BY.get(change.source) or str(change.requested_by or "Somebody who has left")
    below = []
    if change.evidence_as_of is not None:
        text = f"Data version {change.evidence_version}, checksum {change.evidence_checksum[:12]}"
        if change.evidence_valid_until is not None:
            text += f", to be acted on until {change.evidence_valid_until:%d %b %H:%M} UTC"
        below.append(Node("Evidence", change.evidence_as_of, text))
    if change.batch is not None:
        below.append(Node("Asked for together with others", href=f"/batches/{change.batch}/"))
    if change.undo_of_id is not None:
        below.append(Node("It undoes an earlier change", href=f"/changes/{change.undo_of.uuid}/"))  # type: ignore[union-attr]
    return Node(
        f"Asked for by {name}", change.created_at, change.reason, value=change.target, below=tuple(below)
    )


def _approved(change: Change) -> Node:
    by = str(change.approved_by) if change.approved_by else "somebody who has left"
    under = f" under the policy “{change.approval_policy}”" if change.approval_policy else ""
    return Node(f"Approved by {by}{under}", change.approved_at, f"Digest {change.digest[:16]}")


def _attempt(one: Attempt, reads: list[Observation]) -> Node:
    said = (one.outcome or "no answer recorded").replace("_", " ")
    text = f"Meta: {said}"
    if one.http_status:
        text += f", HTTP {one.http_status}"
    if one.message and one.message != one.outcome:
        text += f". {one.message}"
    return Node(f"Sent, attempt {one.n}", one.committed_at, text, below=_reads(reads))


_READ_WORDS = {"prepare": "Read before sending", "verify": "Read back", "log": "Meta's activity log"}


def _reads(rows: Iterable[Observation]) -> tuple[Node, ...]:
    return tuple(
        Node(_READ_WORDS.get(one.phase, one.phase), one.at, one.error_text, tone="warn")
        if one.error_text
        else Node(_READ_WORDS.get(one.phase, one.phase), one.at, value=one.value)
        for one in rows
    )


_ENDED_WORDS = {
    S.PROPOSED: "Waits for approval",
    S.APPLIED: "Applied: read back twice alike",
    S.NOOP: "Nothing to send: it was so already",
    S.REJECTED: "Rejected",
    S.EXPIRED: "Expired unsent",
    S.FAILED: "Failed",
    S.SUPERSEDED: "Stopped: somebody else changed it",
    S.NEEDS_HUMAN: "A person has to look",
}


def _ending(change: Change) -> Node:
    tone = "ok" if change.state in (S.APPLIED, S.NOOP) else "bad" if change.state in _ENDED_BADLY else "info"
    title = _ENDED_WORDS.get(ChangeState(change.state), "On its way")
    return Node(title, change.applied_at or change.state_at, change.error_text, tone=tone)


def _outside(who: Principal, change: Change) -> list[Node]:
    rows = LedgerLine.objects.for_(who).filter(
        object_id=change.object_id, field=change.field, kind__in=["edit", "hold"], at__gte=change.created_at
    )
    lines = list(rows.order_by("at", "seq")[:_OUTSIDE_SHOWN])
    did = who_did(lines, {})
    return [
        Node(
            f"Changed outside by {did[line.pk]}" if line.kind == "edit" else "Left alone from here on",
            line.at,
            line.note,
            value=line.after or None,
            tone="warn",
        )
        for line in lines
    ]


def _undo(who: Principal, change: Change) -> list[Node]:
    rows = Change.objects.for_(who).filter(undo_of=change).select_related("requested_by").order_by("pk")
    return [
        Node(
            f"Undo asked for by {row.requested_by or 'somebody who has left'}",
            row.created_at,
            _ENDED_WORDS.get(ChangeState(row.state), "On its way"),
            value=row.target,
            href=f"/changes/{row.uuid}/",
        )
        for row in rows
    ]
