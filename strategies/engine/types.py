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


class Action(StrEnum):
    """Everything that a rule may want. Nothing deletes."""

    PAUSE = "pause"
    PAUSE_UNTIL = "pause_until"
    START = "start"
    SET_BUDGET = "set_budget"
    RAISE_BUDGET = "raise_budget"
    LOWER_BUDGET = "lower_budget"
    REBALANCE = "rebalance"
    SET_BID = "set_bid"
    RAISE_BID = "raise_bid"
    LOWER_BID = "lower_bid"
    SET_END = "set_end"
    RENAME = "rename"
    NOTIFY = "notify"
    ADJUST_BIDDING = "adjust_bidding"
    EXPAND_AUDIENCE = "expand_audience"
    BID_STRATEGY = "bid_strategy"
    DUPLICATE_PAUSED = "duplicate_paused"


#: What an action is about, beside a budget, whose field depends on its kind. Of one field the first true case counts.
_FIELDS: Mapping[Action, str] = {
    Action.PAUSE: "status",
    Action.PAUSE_UNTIL: "status",
    Action.START: "status",
    Action.SET_BID: "bid_amount",
    Action.RAISE_BID: "bid_amount",
    Action.LOWER_BID: "bid_amount",
    Action.SET_END: "end_time",
    Action.RENAME: "name",
    Action.NOTIFY: "notice",
    Action.ADJUST_BIDDING: "bid",
    Action.EXPAND_AUDIENCE: "audience",
    Action.BID_STRATEGY: "bid_strategy",
    Action.DUPLICATE_PAUSED: "copy",
}
#: Actions that are said and never sent.
ADVICE = frozenset(
    {Action.ADJUST_BIDDING, Action.EXPAND_AUDIENCE, Action.BID_STRATEGY, Action.DUPLICATE_PAUSED}
)
#: Actions that tell people something and propose nothing.
NOTICES = frozenset({Action.NOTIFY})


@dataclass(frozen=True)
class Do:
    """One action of a case, with its bounds. Amounts are in the account's currency, major units.

    `amount` is what is set, or the step; `percent` the step in percent; `limit` the most that a raise or the least
    that a cut may reach. `budget` is the kind of budget that is meant. The rest is for one action each:
    `hours | days | hour` say how long a pause lasts or when a schedule ends, `only_ours` that a start undoes nothing
    but this strategy's own pauses, `metric`, `window` by which siblings are compared, `text` what is written (`mode`,
    `other`: as what, and instead of what).
    """

    action: Action
    amount: Decimal | None = None
    percent: Decimal | None = None
    limit: Decimal | None = None
    budget: str = "daily"
    hours: int | None = None
    days: int | None = None
    hour: int | None = None
    only_ours: bool = True
    metric: str = ""
    window: str = ""
    text: str = ""
    other: str = ""
    severity: str = ""
    mode: str = ""

    @property
    def field(self) -> str:
        return _FIELDS.get(self.action, f"{self.budget}_budget")

    @property
    def spends_more(self) -> bool:
        """Whether it may make an object spend more; a set amount is judged by what stands there."""
        return self.action in _SPENDS_MORE


_SPENDS_MORE = frozenset(
    {Action.RAISE_BUDGET, Action.RAISE_BID, Action.START, Action.SET_BUDGET, Action.SET_BID, Action.SET_END}
    | {Action.REBALANCE}
)


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
class Place:
    """Where an object stands in a ranking, counted from the end that is asked for.

    `ahead`: how many others of the field have a known value that is as good or better, `unknown` how many have none;
    `size` how large the field is. `value` is the object's own; `ranked` whether it is in the field at all.
    """

    ranked: bool
    value: Decimal | None = None
    ahead: int = 0
    unknown: int = 0
    size: int = 0


@dataclass(frozen=True)
class Past:
    """An object's account days from a start that stands still, oldest first: what a guess about its true rate rests on.

    `days` holds a number per day and metric (spend in the account's currency); of the last day `day_gone` is over.
    """

    since: date
    day_gone: Decimal
    days: Mapping[str, tuple[Decimal, ...]]


@dataclass(frozen=True)
class Ground:
    """What an account's days teach of one rate: `shares[k]` of the final number is reported k days after a day's end
    (None: not learned), how large single events are and how much days differ beyond chance (see `evidence.judge`)."""

    shares: tuple[Decimal, ...] | None
    scale: Decimal | None
    variation: Decimal


@dataclass(frozen=True)
class Weighed:
    """What is known about a condition on a rate. `answer`: act, contrary, wait or cannot_know; `e` for the condition;
    `more_spend` is what it takes at least until it may be known, None where that is not in sight or not needed.
    `words` say it all in a sentence."""

    answer: str
    e: Decimal
    spent: Decimal
    expected: Decimal
    seen: Decimal
    more_spend: Decimal | None
    words: str


@dataclass(frozen=True)
class Subject:
    """One object with its figures: `values[window][metric]`.

    `around` holds those of what it is inside of ("parent", "campaign", "account"), `places` its place in each ranking
    that the rules ask for (see `ranking`), `shares` the budget that each rebalance gives it. `paused_at` is when this
    strategy paused it, while nobody touched it since, and `pause_ends` when such a pause is over. `past` is only there
    where a condition on a rate looks met.
    """

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
    campaign_id: str | None = None
    objective: str = ""
    bid_strategy: str = ""
    bid_amount: Decimal | None = None
    created: datetime | None = None
    paused_at: datetime | None = None
    pause_ends: datetime | None = None
    around: Mapping[str, Mapping[str, Values]] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    shares: Mapping[str, Decimal] = field(default_factory=dict)
    past: Past | None = None

    @property
    def budget_kind(self) -> str:
        """Of its own budget: "daily", "lifetime" or "none"."""
        return "daily" if self.daily_budget else "lifetime" if self.lifetime_budget else "none"


@dataclass(frozen=True)
class Look:
    """What is known of one window: its days (None: it holds none, or is one of hours) and how far to trust it."""

    since: date | None
    until: date | None
    trust: Trust
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """What the engine sees of one ad account. `minor_unit` is the smallest amount of the currency (0.01, 1);
    `None` where Meta's offset of the currency is unknown, and then no budget may be written.

    `since` to `until` and `trust` are those of all windows together, `looks` those of each; `targets` are the
    client's ("cpa" in the account's currency, "roas"), without those that are not set. `grounds` are by level and rate
    ("adset conversions per spend"), `tolerated` is the share of wrong calls that the client accepts, in percent.
    """

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
    looks: Mapping[str, Look] = field(default_factory=dict)
    targets: Mapping[str, Decimal] = field(default_factory=dict)
    grounds: Mapping[str, Ground] = field(default_factory=dict)
    tolerated: Decimal = Decimal(5)

    def look(self, window: str) -> Look:
        """What is known of a window; of one without a note of its own what is known of all."""
        return self.looks.get(window) or Look(self.since, self.until, self.trust, self.trust_reasons)


@dataclass(frozen=True)
class Trace:
    """A node of the rule tree with what it came to; a leaf keeps both sides and why it is unknown.

    `window` and `of` are those of the left side of a comparison, `other` says in words what the right side is where
    it is no plain number ("1.5 x the campaign's cpa"); `guard` is what is known of a rate that looks as it says."""

    kind: str  # "all" | "any" | "not" | "metric" | "fact" | "rank"
    result: Truth
    label: str
    left: Decimal | str | None = None
    op: str = ""
    right: Decimal | str | None = None
    why_unknown: str = ""
    children: tuple[Trace, ...] = ()
    window: str = ""
    of: str = ""
    other: str = ""
    guard: Weighed | None = None

    def leaves(self) -> tuple[Trace, ...]:
        if not self.children:
            return (self,)
        return tuple(leaf for child in self.children for leaf in child.leaves())


@dataclass(frozen=True)
class CaseTrace:
    """`blocked` are (field, code) of what forbids a met case to act."""

    name: str
    does: tuple[Do, ...]
    result: Truth
    trace: Trace
    blocked: tuple[tuple[str, str], ...] = ()

    @property
    def blocked_by(self) -> str:
        return self.blocked[0][1] if self.blocked else ""


@dataclass(frozen=True)
class Intent:
    """One thing that a strategy wants done. `target` is canonical text ("PAUSED", "60.50"), none for advice.

    `until` is when a pause ends; `text` what a notice says, `severity` how loudly.
    """

    action: Action
    level: str
    object_id: str
    object_name: str
    field: str
    before: str | None
    target: str | None
    case: str
    until: datetime | None = None
    text: str = ""
    severity: str = ""


@dataclass(frozen=True)
class Judgement:
    """What the engine says about one object, and why. `reason_code` is the first thing that blocked.

    `blocks` are (field, code, sentence) of what forbade an intent from outside the rules (see `judge.hold`).
    """

    subject: Subject
    verdict: Verdict
    reason_code: str
    reason: str
    cases: tuple[CaseTrace, ...] = ()
    intents: tuple[Intent, ...] = ()
    blocks: tuple[tuple[str, str, str], ...] = ()
