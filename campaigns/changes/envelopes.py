"""PURE: nested spend caps, and how much could be spent at worst: object < campaign < account < client.

    hour    from now on            no part of a day's allowance is promised to another hour
    day     the account's day      a daily budget may run to 175 % of itself
    week    Sunday to Saturday     and to 7 times itself
    month   the calendar month     week by week, as above
    flight  start to end           what was spent, and all that may still be spent
    rise    the last 24 hours      what raises have added; nothing to do with spend

At worst = spent so far + what may still be spent. A lifetime budget has no bound but itself: all that is left of it
may go today. From `SOFT` of a cap raises stop, from `HARD` on only cuts and pauses pass. Amounts are major units of
the account's own currency; nothing is ever converted. Source of 175 % and 7 days: docs/meta.md (daily budgets).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Final

from campaigns.states import canonical_amount

SOFT: Final = Decimal("0.85")
HARD: Final = Decimal("0.95")
OVERSPEND: Final = Decimal("1.75")
WEEK: Final = 7


class Scope(StrEnum):
    OBJECT = "object"
    CAMPAIGN = "campaign"
    ACCOUNT = "account"
    CLIENT = "client"


class Period(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    FLIGHT = "flight"
    RISE = "rise"

    @property
    def words(self) -> str:
        return {
            "hour": "in the next hour",
            "day": "today",
            "week": "this week (Sunday to Saturday)",
            "month": "this month",
            "flight": "until its end",
            "rise": "by raises within 24 hours",
        }[self.value]


@dataclass(frozen=True)
class Owner:
    """What owns a budget, as it stands or would stand: exactly one of the two budgets, major units."""

    object_id: str
    campaign_id: str
    daily: Decimal | None
    lifetime: Decimal | None
    running: bool
    ends_on: date | None = None


@dataclass(frozen=True)
class Spend:
    """Spend so far of one owner. `total`: of all days that were reported."""

    days: dict[date, Decimal]
    total: Decimal

    def since(self, first: date) -> Decimal:
        return sum((spend for day, spend in self.days.items() if day >= first), Decimal(0))


NO_SPEND: Final = Spend(days={}, total=Decimal(0))


@dataclass(frozen=True)
class Use:
    """One envelope and what would be in it after the change. `worst` None: not known, or without a bound."""

    scope: Scope
    period: Period
    name: str
    cap: Decimal
    worst: Decimal | None
    currency: str

    @property
    def percent(self) -> Decimal | None:
        """How full, to a tenth of a percent; None when not known."""
        if self.worst is None:
            return None
        if self.cap <= 0:
            return Decimal(100)
        return (self.worst * 100 / self.cap).quantize(Decimal("0.1"), ROUND_HALF_UP)

    @property
    def stage(self) -> str:
        """`open`, `soft` (raises stop), `hard` (only cuts and pauses pass) or `unknown` (as hard)."""
        if self.worst is None:
            return "unknown"
        if self.worst > self.cap * HARD or self.cap <= 0:
            return "hard"
        return "soft" if self.worst > self.cap * SOFT else "open"


def window(period: Period, today: date) -> tuple[date, date]:
    """First and last day of the period that `today` is in; a flight has no first day (all that was reported)."""
    if period is Period.WEEK:
        first = today - timedelta(days=(today.weekday() + 1) % WEEK)
        return first, first + timedelta(days=WEEK - 1)
    if period is Period.MONTH:
        first = today.replace(day=1)
        return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    if period is Period.FLIGHT:
        return date.min, date.max
    return today, today


def may_spend(daily: Decimal, first: date, last: date) -> Decimal:
    """Most that a daily budget may spend on these days, both included: per Sunday-to-Saturday week at most 7 times
    itself, and at most 175 % of itself on each day."""
    total = Decimal(0)
    while first <= last:
        saturday = min(window(Period.WEEK, first)[1], last)
        total += min(daily * OVERSPEND * ((saturday - first).days + 1), daily * WEEK)
        first = saturday + timedelta(days=1)
    return total


def worst(owner: Owner, spend: Spend, period: Period, *, today: date) -> Decimal | None:
    """Spent so far and what may still be spent in the period; None for a flight without an end."""
    first, last = window(period, today)
    if period is Period.HOUR:
        return _rest_of_today(owner, spend, today)
    so_far = spend.total if period is Period.FLIGHT else spend.since(first)
    if not owner.running:
        return so_far
    if owner.lifetime is not None:
        return so_far + max(owner.lifetime - spend.total, Decimal(0))
    if owner.daily is None:
        return so_far
    if owner.ends_on is not None:
        last = min(last, owner.ends_on)
    if last == date.max:
        return None
    before = so_far - spend.days.get(today, Decimal(0))
    ahead = may_spend(owner.daily, today, last)
    sunday, saturday = window(Period.WEEK, today)
    if first <= sunday:
        # Of this week a part is spent already: it and the rest together stay within seven days' budget.
        rest = min(saturday, last)
        in_week = spend.since(max(sunday, first)) - spend.days.get(today, Decimal(0))
        this_week = max(min(may_spend(owner.daily, today, rest), owner.daily * WEEK - in_week), Decimal(0))
        ahead = this_week + may_spend(owner.daily, rest + timedelta(days=1), last)
    return max(so_far, before + ahead)


def _rest_of_today(owner: Owner, spend: Spend, today: date) -> Decimal:
    if not owner.running:
        return Decimal(0)
    if owner.lifetime is not None:
        return max(owner.lifetime - spend.total, Decimal(0))
    allowance = (owner.daily or Decimal(0)) * OVERSPEND
    return max(allowance - spend.days.get(today, Decimal(0)), Decimal(0))


def together(
    owners: Iterable[Owner],
    spends: dict[str, Spend],
    period: Period,
    *,
    today: date,
    whole: Spend | None = None,
) -> Decimal | None:
    """The same for several owners. `whole`: spend of everything in the scope, so that what has no budget any more
    (removed, archived, moved elsewhere) counts as well."""
    total, known = Decimal(0), Decimal(0)
    first, _ = window(period, today)
    for owner in owners:
        spend = spends.get(owner.object_id, NO_SPEND)
        one = worst(owner, spend, period, today=today)
        if one is None:
            return None
        total += one
        known += spend.total if period is Period.FLIGHT else spend.since(first)
    if whole is not None and period is not Period.HOUR:
        total += max((whole.total if period is Period.FLIGHT else whole.since(first)) - known, Decimal(0))
    return total


def sentence(use: Use) -> str:
    """What the envelope says of the change, in plain words."""
    if use.worst is None:
        return f"What {use.name} may spend {use.period.words} is not known, so its limit cannot be kept."
    could = f"{money(use.worst)} {use.currency}"
    limit = f"{money(use.cap)} {use.currency}"
    if use.period is Period.RISE:
        return f"With this, {use.name} would have risen by {could} within 24 hours; its limit is {limit}."
    return f"With this, {use.name} could spend up to {could} {use.period.words}; its limit is {limit}."


def money(amount: Decimal) -> str:
    return canonical_amount(amount.quantize(Decimal("0.01"), ROUND_HALF_UP))
