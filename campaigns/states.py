"""PURE: the words of a change and its state machine, one table.

    PROPOSED ──> REJECTED | APPROVED | EXPIRED
    APPROVED ──> PREPARING | EXPIRED
    PREPARING ─> SENDING | APPROVED (read failed, or stopped) | NOOP | APPLIED | SUPERSEDED | NEEDS_HUMAN
                 | FAILED (the object is archived or deleted)
    SENDING ───> ACKED | UNKNOWN | THROTTLED | HELD_AUTH | FAILED
                 | NOT_APPLIED (the send guard kept the request back)
    ACKED | UNKNOWN ──> VERIFYING     THROTTLED ──> PREPARING     HELD_AUTH ──> VERIFYING (after reconnecting)
    VERIFYING ─> APPLIED | NOT_APPLIED | SUPERSEDED | NEEDS_HUMAN
    NOT_APPLIED > PREPARING (same target, tries left) | NEEDS_HUMAN
    NEEDS_HUMAN > APPLIED | FAILED | SUPERSEDED (a named person, with a reason)

REJECTED, EXPIRED, NOOP, FAILED, APPLIED and SUPERSEDED absorb. `campaigns.changes.ledger.transition` is the only
place that assigns a state, and it asks `check` first.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from campaigns.errors import IllegalTransition

#: Of a name, in characters; what Meta takes is not published, ours is what is stored.
LONGEST_NAME = 400


class Level(StrEnum):
    """The words that Meta's insights `level` uses."""

    CAMPAIGN = "campaign"
    AD_SET = "adset"
    AD = "ad"

    @property
    def words(self) -> str:
        return {"campaign": "campaign", "adset": "ad set", "ad": "ad"}[self.value]


class Field(StrEnum):
    STATUS = "status"
    DAILY_BUDGET = "daily_budget"
    LIFETIME_BUDGET = "lifetime_budget"
    BID_AMOUNT = "bid_amount"
    NAME = "name"
    START_TIME = "start_time"
    END_TIME = "end_time"

    @property
    def is_money(self) -> bool:
        return self.is_budget or self is Field.BID_AMOUNT

    @property
    def is_time(self) -> bool:
        return self in (Field.START_TIME, Field.END_TIME)

    @property
    def family(self) -> str:
        """What Meta's log cannot tell apart: the two budgets are one."""
        return "budget" if self.is_budget else self.value

    @property
    def is_budget(self) -> bool:
        return self in (Field.DAILY_BUDGET, Field.LIFETIME_BUDGET)

    @property
    def words(self) -> str:
        return self.value.replace("_", " ")


class Source(StrEnum):
    PERSON = "person"
    STRATEGY = "strategy"
    WATCHDOG = "watchdog"
    UNDO = "undo"

    @property
    def automated(self) -> bool:
        """Whether no person asked for it: such a change rests wherever the connection is in doubt."""
        return self in (Source.STRATEGY, Source.WATCHDOG)


class Direction(StrEnum):
    """What a change does to spend: stops need nothing, cuts fresh data, raises and starts everything
    healthy. An edit moves no money."""

    STOP = "stop"
    CUT = "cut"
    RAISE = "raise"
    START = "start"
    EDIT = "edit"

    @property
    def spends_more(self) -> bool:
        return self in (Direction.RAISE, Direction.START)


class ChangeState(StrEnum):
    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    PREPARING = "PREPARING"
    SENDING = "SENDING"
    ACKED = "ACKED"
    UNKNOWN = "UNKNOWN"
    THROTTLED = "THROTTLED"
    HELD_AUTH = "HELD_AUTH"
    VERIFYING = "VERIFYING"
    NOT_APPLIED = "NOT_APPLIED"
    APPLIED = "APPLIED"
    SUPERSEDED = "SUPERSEDED"
    NEEDS_HUMAN = "NEEDS_HUMAN"
    FAILED = "FAILED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    NOOP = "NOOP"


S = ChangeState

TRANSITIONS: Mapping[ChangeState, frozenset[ChangeState]] = {
    S.PROPOSED: frozenset({S.APPROVED, S.REJECTED, S.EXPIRED}),
    S.APPROVED: frozenset({S.PREPARING, S.EXPIRED}),
    S.PREPARING: frozenset({S.SENDING, S.APPROVED, S.NOOP, S.APPLIED, S.SUPERSEDED, S.NEEDS_HUMAN, S.FAILED}),
    S.SENDING: frozenset({S.ACKED, S.UNKNOWN, S.THROTTLED, S.HELD_AUTH, S.FAILED, S.NOT_APPLIED}),
    S.ACKED: frozenset({S.VERIFYING}),
    S.UNKNOWN: frozenset({S.VERIFYING}),
    S.THROTTLED: frozenset({S.PREPARING}),
    S.HELD_AUTH: frozenset({S.VERIFYING}),
    S.VERIFYING: frozenset({S.APPLIED, S.NOT_APPLIED, S.SUPERSEDED, S.NEEDS_HUMAN}),
    S.NOT_APPLIED: frozenset({S.PREPARING, S.NEEDS_HUMAN}),
    S.NEEDS_HUMAN: frozenset({S.APPLIED, S.FAILED, S.SUPERSEDED}),
    S.APPLIED: frozenset(),
    S.SUPERSEDED: frozenset(),
    S.FAILED: frozenset(),
    S.REJECTED: frozenset(),
    S.EXPIRED: frozenset(),
    S.NOOP: frozenset(),
}

TERMINAL = frozenset(state for state, onward in TRANSITIONS.items() if not onward)
#: Not begun yet: may still be replaced by another change of the same field.
WAITING = frozenset({S.PROPOSED, S.APPROVED})
#: Begun and not finished.
OPEN = frozenset(TRANSITIONS) - TERMINAL - WAITING
#: Open, and may still move by itself: at most one per (object, field), kept by a partial unique index. One that waits
#: for a person has nothing on the wire; it keeps all others of its field away but a pause (by the guards).
IN_FLIGHT = OPEN - {S.NEEDS_HUMAN}
#: Sent and not proven without effect: such a change counts in every rolling limit.
IN_DOUBT = frozenset({S.SENDING, S.ACKED, S.UNKNOWN, S.VERIFYING, S.HELD_AUTH, S.SUPERSEDED, S.NEEDS_HUMAN})


def check(old: ChangeState, new: ChangeState) -> None:
    """Raise `IllegalTransition` unless the table leads from `old` to `new`."""
    if new not in TRANSITIONS[old]:
        raise IllegalTransition(f"{old} -> {new} is not in the table of states")


@dataclass(frozen=True)
class Evidence:
    """What a decision rested on: the data version it read, when, its checksum, and until when it may be acted
    on."""

    data_version: int
    as_of: datetime
    checksum: str
    valid_until: datetime


def canonical_amount(amount: Decimal) -> str:
    """`Decimal("12.500")` -> `"12.50"`, `Decimal("9000")` -> `"9000"`: one text per amount, at least two
    decimals if any."""
    if not amount.is_finite():
        raise ValueError("An amount is a finite number.")
    text = f"{amount:f}"
    if "." not in text:
        return str(int(text))
    whole, _, cents = text.partition(".")
    cents = cents.rstrip("0")
    return f"{whole}.{cents.ljust(2, '0')}" if cents else whole


def canonical(field: Field, text: str) -> str:
    """The one way to write a value of `field`: a status word in capitals, an amount in major units, a name of one
    line, or a moment in UTC to the second (`2026-11-21T18:15:30+00:00`).

    Raises `ValueError` with a sentence for anything else.
    """
    if field is Field.STATUS:
        word = text.strip().upper()
        if word not in ("ACTIVE", "PAUSED"):
            raise ValueError("A status is ACTIVE or PAUSED.")
        return word
    if field is Field.NAME:
        return _canonical_name(text)
    if field.is_time:
        return canonical_moment(_moment(text))
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"{text!r} is not an amount.") from None
    return canonical_amount(amount)


def _canonical_name(text: str) -> str:
    name = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(name) <= LONGEST_NAME:
        raise ValueError(f"A name has 1 to {LONGEST_NAME} characters.")
    if any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in name):
        raise ValueError("A name is one line without control characters.")
    return name


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not a time such as 2026-11-21T18:00:00+00:00.") from None
    if found.tzinfo is None:
        raise ValueError("A time needs its offset, such as +00:00 or Z.")
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is out of range.") from None


def canonical_moment(moment: datetime) -> str:
    """UTC to the second: Meta's times have no parts of one."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat()


def direction(field: Field, before: str, target: str) -> Direction:
    """Which way a change moves spend; `before` may be empty (unknown), which counts as the more careful
    side."""
    if field is Field.STATUS:
        return Direction.STOP if target == "PAUSED" else Direction.START
    if field is Field.NAME:
        return Direction.EDIT
    if field.is_time:
        # A later end and an earlier start spend longer. Without an end any end is a cut; that there is none is read
        # twice before it is written.
        longer = target > before if field is Field.END_TIME else target < before
        if not before:
            longer = field is Field.START_TIME
        return Direction.RAISE if longer else Direction.CUT
    if not before:
        return Direction.RAISE
    return Direction.RAISE if Decimal(target) > Decimal(before) else Direction.CUT
