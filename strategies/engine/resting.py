"""What forbids to act again so soon, told by what was offered of the same field before; the same for a live evaluation
and for one of the past. PURE.

After a raise was done the object rests for `REST`, so that it is judged on days at the new budget before it is raised
again; what a person rejected rests as long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from strategies.engine.judge import hold
from strategies.engine.types import NOTICES, Action, Intent, Judgement, Snapshot

REST: Final = timedelta(days=3)
#: States of an offer that matter here, as proposals call them.
APPROVED: Final = "approved"
DONE: Final = "done"
REJECTED: Final = "rejected"


@dataclass(frozen=True)
class Past:
    """An offer of one field of one object that is closed; `word` is what its state is called."""

    action: str
    target: str
    state: str
    decided_at: datetime | None
    window_key: str
    version: int
    word: str


def window_key(snapshot: Snapshot, intent: Intent) -> str:
    """Of one key there is one proposal: once for the same days, and a start is not the pause before it."""
    return f"{snapshot.since}..{snapshot.until}" + (":start" if intent.action is Action.START else "")


def hindrance(
    intent: Intent, past: Sequence[Past], *, snapshot: Snapshot, version: int, now: datetime
) -> tuple[str, str] | None:
    """Why this intent is not offered now: (code, sentence), or `None`. `past` in the order in which they were made."""
    for one in reversed(past):
        if one.state == DONE and intent.field == "status" and one.target != intent.target:
            break  # what was switched since is another story than the switches before
        rested = one.decided_at is not None and one.decided_at > now - REST
        if one.state == APPROVED:
            return "under_way", "A proposal for this was approved and is on its way."
        if one.state == DONE and rested and not _safer(intent, one):
            return (
                "resting",
                f"It was done on {one.decided_at:%d %b}; the object rests for {REST.days} days.",
            )
        if one.state == REJECTED and rested and one.version == version:
            return (
                "rejected",
                f"A person rejected it on {one.decided_at:%d %b}; it rests for {REST.days} days.",
            )
        if one.window_key == window_key(snapshot, intent) and one.version == version:
            return "offered_before", f"It was offered for the same days already ({one.word})."
    return None


def _safer(intent: Intent, past: Past) -> bool:
    """Whether a cut follows on something else that was done: what protects money does not rest for a raise."""
    return intent.action in (Action.LOWER_BUDGET, Action.LOWER_BID) and past.action != intent.action.value


def weighed(judgement: Judgement, why: Callable[[Intent], tuple[str, str] | None]) -> Judgement:
    """The judgement without what `why` forbids to offer now; what people are told of is not held."""
    blocks = [
        (intent.field, *block)
        for intent in judgement.intents
        if intent.action not in NOTICES and (block := why(intent)) is not None
    ]
    return hold(judgement, blocks)
