"""A change as steps that a person follows: requested, approved, sending, confirmed; and the lines of its ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from campaigns.models import Change, LedgerLine
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
