"""PURE: may this change be made, now? Values in, reasons out; no reasons means yes.

    needs of a direction      stop  nothing but an object that is there
                              cut   fresh knowledge of the object
                              raise, start   everything healthy

Four independent fences keep a raise from compounding: the step, the rolling 24 hours, the cool-down, and
Meta's own
four budget edits an hour. Amounts are in the account's own currency, major units. A reason is of one of two
kinds:
*input* (the request itself is wrong: mend it) or *limit* (right, but not allowed, or not now).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import campaigns.changes.envelopes as envelopes
import metaads.graph.money as money
from campaigns.changes.envelopes import Use
from campaigns.states import Direction, Evidence, Field, Level, Source, canonical_amount, direction


@dataclass(frozen=True)
class Limits:
    """What one source may do. The defaults hold from the first minute.

    `step_percent`: most that one change may raise. `acknowledged_percent`: the same after the person
    confirmed
    that it is a large step. `rolling_percent`: most that 24 hours may add to what stood before them.
    """

    step_percent: Decimal
    acknowledged_percent: Decimal
    rolling_percent: Decimal
    around_percent: Decimal
    acknowledged_around_percent: Decimal
    cool_down: timedelta
    needs_evidence: bool
    edits_per_hour: int = 4
    structure_age: timedelta = timedelta(hours=24)
    structure_age_to_raise: timedelta = timedelta(hours=2)


_RULE: Final = Limits(
    step_percent=Decimal(20),
    acknowledged_percent=Decimal(20),
    rolling_percent=Decimal(50),
    around_percent=Decimal(40),
    acknowledged_around_percent=Decimal(40),
    cool_down=timedelta(hours=1),
    needs_evidence=True,
)
_PERSON: Final = Limits(
    step_percent=Decimal(50),
    acknowledged_percent=Decimal(900),
    rolling_percent=Decimal(100),
    around_percent=Decimal(100),
    acknowledged_around_percent=Decimal(300),
    cool_down=timedelta(0),
    needs_evidence=False,
)
LIMITS: Final = {
    Source.PERSON: _PERSON,
    Source.UNDO: _PERSON,
    Source.STRATEGY: _RULE,
    Source.WATCHDOG: _RULE,
}
HIGHEST: Final = Decimal(10) ** 10
#: A schedule's new moment lies at least this far ahead: it has to be read twice and sent first.
SCHEDULE_AHEAD: Final = timedelta(minutes=2)


@dataclass(frozen=True)
class Intent:
    """What is asked for. `before` and `target` in canonical text."""

    level: Level
    field: Field
    before: str
    target: str
    currency: str
    source: Source
    acknowledged: bool = False
    evidence: Evidence | None = None
    approved_at: datetime | None = None

    @property
    def direction(self) -> Direction:
        return direction(self.field, self.before, self.target)

    @property
    def by_rule(self) -> bool:
        return self.source.automated


@dataclass(frozen=True)
class Around:
    """All budgets of one kind in an ad account, or in a client's accounts of one currency, major units."""

    name: str
    base: Decimal  # without what raises may have added in 24 hours
    rises_24h: Decimal  # of changes that were sent, may have been, or are approved (this one left out)


@dataclass(frozen=True)
class Situation:
    """Everything that the guards look at, as it is known now. Money in major units."""

    present: bool
    known: bool
    status: str
    currency: str  # the account's, as read last
    daily_budget: Decimal | None
    lifetime_budget: Decimal | None
    budget_elsewhere: str = ""  # where the budget is when the object has none: "campaign", "adset", or ""
    learning: bool = False
    ends_at: datetime | None = None
    starts_at: datetime | None = None
    bid_amount: Decimal | None = None
    structure_at: datetime | None = None
    account_enabled: bool = True
    account_active: bool = True
    minimum_daily: Decimal | None = None
    stopped: str = ""  # why, when a kill switch is pulled
    held_at: datetime | None = None
    held_reason: str = ""
    other_open: bool = False  # another change of this field is on its way
    rises_24h: Decimal = Decimal(0)  # rises that were sent, or may have been, in 24 hours (this one left out)
    edits_1h: tuple[datetime, ...] = ()  # when this object's budget was written in the last hour
    last_write_at: datetime | None = None
    spend_so_far: Decimal | None = None
    exposure_trust: str = ""
    exposure_known: bool = True  # whether the account's spend was reported lately
    around: tuple[Around, ...] = ()
    uses: tuple[Use, ...] = ()  # every envelope around the object, as it would be after the change
    disk_full: str = ""  # which place of this machine has no room, so that outcomes may not be recorded
    unswept_since: datetime | None = None  # since when nobody has followed changes up, once that is too long
    lacking: tuple[str, ...] = ()  # who has no envelope for its day: the account, the client
    foreign: tuple[str, ...] = ()  # amounts of envelopes in another currency than the account has by now


@dataclass(frozen=True)
class Reason:
    code: str
    message: str
    advice: str = ""
    kind: str = "limit"  # or "input"
    field: str = ""
    retry_at: datetime | None = None


def evaluate(
    *, intent: Intent, situation: Situation, now: datetime, limits: Limits | None = None
) -> tuple[Reason, ...]:
    """Every reason against the change, the most basic first. Empty: it may go."""
    limits = limits or LIMITS[intent.source]
    reasons = _the_object(intent, situation)
    if intent.field.is_budget:
        reasons += _the_amount(intent, situation)
    elif intent.field is Field.BID_AMOUNT:
        reasons += _the_bid(intent, situation)
    elif intent.field.is_time:
        reasons += _the_time(intent, situation, now)
    if any(reason.kind == "input" for reason in reasons):
        return tuple(reasons)
    reasons += _switches(intent, situation)
    if intent.direction not in (Direction.STOP, Direction.EDIT):
        reasons += _freshness(intent, situation, limits, now)
    if intent.direction.spends_more:
        reasons += _health(intent, situation, now)
    if intent.field.is_budget:
        reasons += _pace(intent, situation, limits, now)
    if intent.field.is_money and intent.direction is Direction.RAISE:
        reasons += _steps(intent, situation, limits)
        if intent.field.is_budget:
            reasons += _around(intent, situation, limits)
    if intent.direction.spends_more:
        reasons += _envelopes(intent, situation)
    return tuple(reasons)


def _the_object(intent: Intent, at: Situation) -> list[Reason]:
    words = intent.level.words
    if not at.present or at.status in ("ARCHIVED", "DELETED"):
        gone = f"This {words} is archived or deleted at Meta, or cannot be seen any more."
        return [Reason("object_gone", gone, "Choose another one.", "input")]
    if intent.by_rule and not at.known and intent.direction is not Direction.STOP:
        odd = f"This {words} is in a state that we do not know."
        return [Reason("object_unknown", odd, "A person has to look at it; rules leave it alone.")]
    return []


def _the_currency(intent: Intent, at: Situation) -> list[Reason]:
    """Nothing is ever converted: the same number is another amount where the account's currency is another one."""
    if not money.known(intent.currency):
        text = f"The minor unit of {intent.currency} is not known, so budgets and bids in it are not changed."
        return [Reason("currency_unknown", text, "Change it in Ads Manager.", "input", intent.field.value)]
    if intent.currency != at.currency:
        text = f"This was asked for in {intent.currency}, and the ad account is in {at.currency} by now."
        return [Reason("currency_changed", text, "Ask again.", "input", intent.field.value)]
    return []


def _the_amount(intent: Intent, at: Situation) -> list[Reason]:
    name = intent.field.value
    if intent.level is Level.AD:
        return [
            Reason(
                "no_budget_here", "An ad has no budget.", "Change its ad set's or campaign's.", "input", name
            )
        ]
    foreign = _the_currency(intent, at)
    if foreign:
        return foreign
    mismatch = _owner(intent, at)
    if mismatch:
        return [mismatch]
    target = Decimal(intent.target)
    unit = money.minor_unit(intent.currency)
    if target != target.quantize(unit):
        text = f"{intent.target} {intent.currency} is not a whole number of {unit} {intent.currency}."
        return [Reason("not_whole_minor_unit", text, f"Round it to {unit}.", "input", name)]
    if not 0 < target <= HIGHEST:
        text = "A budget is more than 0." if target <= 0 else "This amount is too large."
        return [Reason("amount_out_of_range", text, "To stop spending, pause it.", "input", name)]
    if intent.field is Field.DAILY_BUDGET and at.minimum_daily is not None and target < at.minimum_daily:
        least = f"{canonical_amount(at.minimum_daily)} {intent.currency}"
        return [
            Reason(
                "below_minimum",
                f"Meta's smallest daily budget here is {least}.",
                f"Ask for {least} or more.",
                "input",
                name,
            )
        ]
    spent = at.spend_so_far
    if intent.field is Field.LIFETIME_BUDGET and spent is not None and target <= spent:
        text = f"{canonical_amount(spent)} {intent.currency} are spent already."
        return [Reason("below_spend", text, "Ask for more than that, or pause it.", "input", name)]
    return []


def _the_bid(intent: Intent, at: Situation) -> list[Reason]:
    name = intent.field.value

    def wrong(code: str, text: str, advice: str) -> list[Reason]:
        return [Reason(code, text, advice, "input", name)]

    if intent.level is not Level.AD_SET:
        return wrong(
            "no_bid_here", f"The bid is set on ad sets, not on this {intent.level.words}.", "Name an ad set."
        )
    foreign = _the_currency(intent, at)
    if foreign:
        return foreign
    if at.bid_amount is None:
        text = "This ad set has no bid: its bid strategy sets none."
        return wrong("no_bid_here", text, "Choose a bid cap or a cost cap in Ads Manager first.")
    target, unit = Decimal(intent.target), money.minor_unit(intent.currency)
    if target != target.quantize(unit):
        text = f"{intent.target} {intent.currency} is not a whole number of {unit} {intent.currency}."
        return wrong("not_whole_minor_unit", text, f"Round it to {unit}.")
    budget = max((one for one in (at.daily_budget, at.lifetime_budget) if one is not None), default=HIGHEST)
    if not 0 < target <= budget:
        most = f"{canonical_amount(budget)} {intent.currency}"
        return wrong(
            "amount_out_of_range", f"A bid is more than 0 and at most the budget, {most}.", "Mend the bid."
        )
    return []


def _the_time(intent: Intent, at: Situation, now: datetime) -> list[Reason]:
    name, target = intent.field.value, datetime.fromisoformat(intent.target)

    def wrong(code: str, text: str, advice: str) -> list[Reason]:
        return [Reason(code, text, advice, "input", name)]

    if intent.level is not Level.AD_SET:
        text = f"The schedule is set on ad sets, not on this {intent.level.words}."
        return wrong("no_schedule_here", text, "Name an ad set.")
    if target <= now + SCHEDULE_AHEAD:
        return wrong(
            "time_past", "This time has passed, or is a moment away.", "Choose a later one, or pause it."
        )
    if intent.field is Field.END_TIME:
        if at.starts_at is not None and target <= at.starts_at:
            return wrong("end_before_start", "The end is before the start.", "Choose a later end.")
        return []
    if at.starts_at is not None and at.starts_at <= now:
        return wrong("has_started", "This ad set has started already.", "Pause it instead.")
    if at.ends_at is not None and target >= at.ends_at:
        return wrong("end_before_start", "The start is after the end.", "Choose an earlier start.")
    return []


def _owner(intent: Intent, at: Situation) -> Reason | None:
    words, name = intent.level.words, intent.field.value
    daily = intent.field is Field.DAILY_BUDGET
    if (at.daily_budget if daily else at.lifetime_budget) is not None:
        return None
    if (at.lifetime_budget if daily else at.daily_budget) is not None:
        has, other = ("lifetime", "lifetime_budget") if daily else ("daily", "daily_budget")
        return Reason(
            "budget_kind",
            f"This {words} has a {has} budget.",
            f"Send {other} instead of {name}.",
            "input",
            name,
        )
    if at.budget_elsewhere == Level.AD_SET:
        text = f"The ad sets of this {words} own the budget, not the {words} itself."
        return Reason("budget_owner", text, "Change the budget of its ad sets.", "input", name)
    if at.budget_elsewhere == Level.CAMPAIGN:
        text = "The campaign of this ad set owns the budget (Advantage campaign budget)."
        return Reason("budget_owner", text, "Change the budget of the campaign.", "input", name)
    return Reason(
        "no_budget_here",
        f"This {words} has no budget that is known.",
        "Sync the account, then look again.",
        "input",
        name,
    )


def _switches(intent: Intent, at: Situation) -> list[Reason]:
    reasons = []
    if not at.account_enabled:
        reasons.append(
            Reason("account_disabled", "This ad account is switched off here.", "Enable it, then ask again.")
        )
    if at.stopped:
        reasons.append(Reason("stopped", at.stopped, "Release the stop, then ask again."))
    # A person who decides after the outside edit has seen it; a rule, and an approval from before it, have
    # not.
    blind = intent.by_rule or (
        intent.approved_at is not None and at.held_at is not None and intent.approved_at < at.held_at
    )
    # The watchdog's pause is the last fence: it passes.
    emergency = intent.source is Source.WATCHDOG and intent.direction is Direction.STOP
    if at.held_at is not None and blind and not emergency:
        reasons.append(Reason("held", at.held_reason, "Wait until the hold ends, or resume the object."))
    # A stop waits behind it (the partial unique index keeps them apart); everything else has to ask again.
    if at.other_open and intent.direction is not Direction.STOP:
        text = f"Another change of this {intent.field.words} is on its way."
        reasons.append(Reason("other_open", text, "Wait until it has ended."))
    return reasons


def _freshness(intent: Intent, at: Situation, limits: Limits, now: datetime) -> list[Reason]:
    reasons = []
    oldest = limits.structure_age_to_raise if intent.direction.spends_more else limits.structure_age
    if at.structure_at is None or now - at.structure_at > oldest:
        reasons.append(
            Reason(
                "structure_stale", "The account's structure was not read lately.", "Sync the account first."
            )
        )
    if limits.needs_evidence and intent.evidence is None:
        reasons.append(Reason("no_evidence", "A rule's change needs the evidence that it rests on."))
    if intent.evidence is not None and intent.evidence.valid_until <= now:
        reasons.append(
            Reason(
                "evidence_old", "The numbers behind this change are too old.", "Evaluate again on newer data."
            )
        )
    return reasons


def _health(intent: Intent, at: Situation, now: datetime) -> list[Reason]:
    reasons = []
    if at.disk_full:
        text = f"A disk of this installation is full, so nothing may spend more: {at.disk_full}."
        advice = "Make room there; it goes on by itself. Cuts and pauses pass."
        reasons.append(Reason("disk_full", text, advice, retry_at=now + timedelta(minutes=1)))
    if at.unswept_since is not None:
        since = f"{at.unswept_since:%Y-%m-%d %H:%M} UTC"
        text = f"Changes have not been followed up since {since} (the sweeper is silent), so nothing may spend more."
        advice = "Look at the workers; /readyz names what is silent. Cuts and pauses pass."
        reasons.append(Reason("sweeper_silent", text, advice, retry_at=now + timedelta(minutes=1)))
    if not at.account_active:
        reasons.append(
            Reason(
                "account_inactive",
                "Meta has not got this ad account active.",
                "Solve it in Meta Business settings.",
            )
        )
    if at.ends_at is not None and at.ends_at <= now and intent.field is not Field.END_TIME:
        reasons.append(Reason("ended", f"This {intent.level.words} has ended.", "Move its end first."))
    if intent.by_rule and at.learning:
        reasons.append(Reason("learning", "It is in its learning phase; a raise would start that again."))
    if intent.by_rule and at.exposure_trust not in ("", "ready"):
        reasons.append(
            Reason(
                "exposure_untrusted",
                "Today's spend is not known well enough for a raise.",
                "Wait for fresh data.",
            )
        )
    return reasons


def _pace(intent: Intent, at: Situation, limits: Limits, now: datetime) -> list[Reason]:
    reasons = []
    recent = sorted(moment for moment in at.edits_1h if moment > now - timedelta(hours=1))
    if len(recent) >= limits.edits_per_hour:
        free = recent[-limits.edits_per_hour] + timedelta(hours=1)
        text = f"Meta allows {limits.edits_per_hour} budget changes an hour; this {intent.level.words} has had them."
        reasons.append(Reason("too_many_edits", text, f"Ask again after {free:%H:%M} UTC.", retry_at=free))
    if at.last_write_at is not None and now < at.last_write_at + limits.cool_down:
        free = at.last_write_at + limits.cool_down
        pause = int(limits.cool_down.total_seconds() // 60)
        text = f"It was changed at {at.last_write_at:%H:%M} UTC; a rule waits {pause} minutes in between."
        reasons.append(Reason("cool_down", text, f"It may go after {free:%H:%M} UTC.", retry_at=free))
    return reasons


def _steps(intent: Intent, at: Situation, limits: Limits) -> list[Reason]:
    if intent.source is Source.UNDO:
        return []  # the value stood there before; Meta's own four an hour still hold
    if not intent.before:
        return [Reason("before_unknown", "What stands there now is not known.", "Sync the account first.")]
    reasons = []
    before, target = Decimal(intent.before), Decimal(intent.target)
    most = limits.acknowledged_percent if intent.acknowledged else limits.step_percent
    if (target - before) * 100 > before * most:
        text = f"This raises the {'bid' if intent.field is Field.BID_AMOUNT else 'budget'} by more than {most} %."
        advice = f"Raise it by at most {most} %"
        advice += (
            ", or confirm that the large step is meant."
            if not intent.acknowledged and not intent.by_rule
            else "."
        )
        reasons.append(Reason("step_too_large", text, advice, field=intent.field.value))
    base = before - at.rises_24h
    rolling = max(
        limits.rolling_percent, limits.acknowledged_percent if intent.acknowledged else limits.rolling_percent
    )
    if base <= 0 or (at.rises_24h + target - before) * 100 > base * rolling:
        text = f"Together with the last 24 hours this would raise the budget by more than {rolling} %."
        reasons.append(Reason("rolling_rise", text, "Wait, or raise it by less.", field=intent.field.value))
    return reasons


def _around(intent: Intent, at: Situation, limits: Limits) -> list[Reason]:
    """The rolling 24 hours of the account and of the client: many small raises are a large one."""
    if intent.source is Source.UNDO or not intent.before:
        return []
    rise = Decimal(intent.target) - Decimal(intent.before)
    most = limits.acknowledged_around_percent if intent.acknowledged else limits.around_percent
    reasons = []
    for one in at.around:
        if one.base <= 0 or (one.rises_24h + rise) * 100 > one.base * most:
            text = (
                f"Within 24 hours this would raise the budgets of {one.name} by more than {most} % together."
            )
            reasons.append(Reason("rolling_rise_around", text, "Wait, or raise it by less."))
    return reasons


def _no_envelope(at: Situation) -> Reason:
    who = " and ".join(at.lacking)
    none = f"no spending limit for a day in {at.currency}"
    if at.foreign:
        has = "have" if len(at.lacking) > 1 else "has"
        text = (
            f"The ad account's currency is {at.currency} now, and {who} {has} {none}, "
            f"so nothing may spend more. What stands there in another currency ({', '.join(at.foreign)}) is never "
            "converted and holds nothing."
        )
        advice = (
            f"An owner or manager sets the limits anew in {at.currency}, on the ad account's page of limits."
        )
        return Reason("no_envelope", text, advice)
    text = f"There is {none} yet for {who}, so nothing may spend more."
    advice = (
        "An owner or manager sets one; a first complete sync of the ad account sets careful ones by itself."
    )
    return Reason("no_envelope", text, advice)


def _envelopes(intent: Intent, at: Situation) -> list[Reason]:
    """Raises stop at the soft stage. A start, and an undo, which brings back what stood there, at the hard one."""
    if not at.exposure_known:
        text = "What this ad account has spent was not reported lately, so nothing may spend more."
        return [Reason("exposure_unknown", text, "Wait for fresh numbers, or sync the account.")]
    if at.lacking:
        return [_no_envelope(at)]
    raises = intent.direction is Direction.RAISE and intent.source is not Source.UNDO
    ends = ("soft", "hard", "unknown") if raises else ("hard", "unknown")
    share = envelopes.SOFT if raises else envelopes.HARD
    return [
        Reason(
            f"envelope_{use.scope}_{use.period}",
            envelopes.sentence(use),
            f"{'Raises' if raises else 'Starts'} stop at {share * 100:.0f} % of it. Ask for less, cut or pause "
            "something else, or have an owner or manager set a higher limit.",
            field=intent.field.value,
        )
        for use in at.uses
        if use.stage in ends
    ]
