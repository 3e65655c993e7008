"""The engine's words: what it sees (`Snapshot` of `Subject`s) and what it says (`Judgement` with `Intent`s).

Money and ratios are `Decimal` in major units of the account's currency; CTR is in percent as Meta reports it.
A truth value is `bool | None`: `None` is *unknown*, and an unknown condition never fires anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

Truth = bool | None
Values = Mapping[str, Decimal | None]

LAST_7_DAYS = "last_7d"
#: window -> how a sentence says it. Seven full account days, today left out.
WINDOWS: Mapping[str, str] = {LAST_7_DAYS: "the last 7 full days"}


class Action(StrEnum):
    PAUSE = "pause"
    RAISE_BUDGET = "raise_budget"
    ADJUST_BIDDING = "adjust_bidding"
    EXPAND_AUDIENCE = "expand_audience"


#: The field of the object that an action is about; of one field at most one proposal is open.
FIELD_OF: Mapping[Action, str] = {
    Action.PAUSE: "status",
    Action.RAISE_BUDGET: "daily_budget",
    Action.ADJUST_BIDDING: "bid",
    Action.EXPAND_AUDIENCE: "audience",
}
#: Actions that are said and never sent.
ADVICE = frozenset({Action.ADJUST_BIDDING, Action.EXPAND_AUDIENCE})


class Verdict(StrEnum):
    """What an evaluation of one object came to."""

    FIRED = "fired"  # at least one intent
    NOT_MET = "not_met"  # every case is known, none is true
    UNKNOWN = "unknown"  # a figure is missing or rests on too little data
    EXCLUDED = "excluded"  # outside the scope: paused, scheduled, learning, ...
    HELD = "held"  # the rule is met, but something forbids to act now


class Trust(StrEnum):
    READY = "ready"
    PARTIAL = "partial"
    STALE = "stale"
    UNAVAILABLE = "unavailable"
    EMPTY = "empty"


@dataclass(frozen=True)
class Subject:
    """One object with its figures: `values[window][metric]`."""

    level: str  # "campaign" | "adset" | "ad", the words of Meta's insights
    object_id: str
    name: str
    parent_id: str | None
    status: str
    effective_status: str
    daily_budget: Decimal | None
    lifetime_budget: Decimal | None
    owns_budget: bool
    learning_stage: str | None
    start: datetime | None
    end: datetime | None
    values: Mapping[str, Values] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """What the engine sees of one ad account. `minor_unit` is the smallest amount of the currency (0.01, 1);
    `None` where Meta's offset of the currency is unknown, and then no budget may be written."""

    currency: str
    minor_unit: Decimal | None
    zone: str
    since: date
    until: date
    data_version: int
    as_of: datetime | None
    trust: Trust
    trust_reasons: tuple[str, ...]
    subjects: tuple[Subject, ...]


@dataclass(frozen=True)
class Trace:
    """A node of the rule tree with what it came to; a leaf keeps both sides and why it is unknown."""

    kind: str  # "all" | "any" | "not" | "metric" | "fact"
    result: Truth
    label: str
    left: Decimal | str | None = None
    op: str = ""
    right: Decimal | str | None = None
    why_unknown: str = ""
    children: tuple[Trace, ...] = ()

    def leaves(self) -> tuple[Trace, ...]:
        if not self.children:
            return (self,)
        return tuple(leaf for child in self.children for leaf in child.leaves())


@dataclass(frozen=True)
class CaseTrace:
    name: str
    action: Action
    result: Truth
    trace: Trace
    blocked_by: str = ""  # code of what forbids a met case to act


@dataclass(frozen=True)
class Intent:
    """One thing that a strategy wants done. `target` is canonical text ("PAUSED", "60.50"), none for advice."""

    action: Action
    level: str
    object_id: str
    object_name: str
    field: str
    before: str | None
    target: str | None
    case: str


@dataclass(frozen=True)
class Judgement:
    """What the engine says about one object, and why. `reason_code` is the first thing that blocked.

    `blocks` are (field, code, sentence) of what forbade an intent from outside the rules (see `evaluate.hold`).
    """

    subject: Subject
    verdict: Verdict
    reason_code: str
    reason: str
    cases: tuple[CaseTrace, ...] = ()
    intents: tuple[Intent, ...] = ()
    blocks: tuple[tuple[str, str, str], ...] = ()
