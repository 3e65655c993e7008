"""What an action comes to for one object: the value it would write, or why it cannot. PURE.

A raise is rounded down to the currency's smallest unit and never goes above its bound, a cut is rounded up and never
below; neither turns into its opposite where the object is beyond the bound already.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from zoneinfo import ZoneInfo

from campaigns.states import LONGEST_NAME, canonical_amount, canonical_moment
from strategies.engine.types import ADVICE, NOTICES, Action, Do, Snapshot, Subject

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Move:
    """`target` is canonical text, none for advice and notices; `until` is when a pause ends."""

    before: str | None = None
    target: str | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Stuck:
    """Why nothing can be written. `idle`: there is nothing to do, rather than something in the way."""

    code: str
    reason: str
    idle: bool = False


def move(do: Do, subject: Subject, snapshot: Snapshot, *, now: datetime) -> Move | Stuck:
    """What the action would write to the object."""
    if do.action in ADVICE | NOTICES:
        return Move()
    if do.field == "status":
        return _status(do, subject, snapshot, now)
    if do.field == "name":
        return _rename(do, subject)
    if do.field == "end_time":
        return _end(do, subject, snapshot, now)
    return _amount(do, subject, snapshot)


def _status(do: Do, subject: Subject, snapshot: Snapshot, now: datetime) -> Move | Stuck:
    paused = subject.status == "PAUSED"
    if do.action is Action.START:
        if not paused:
            return Stuck("nothing_to_do", "It is not paused.", idle=True)
        if do.only_ours and subject.paused_at is None:
            return Stuck(
                "not_ours", "It was not paused by this strategy, so this does not start it.", idle=True
            )
        return Move(subject.status, "ACTIVE")
    if paused:
        return Stuck("nothing_to_do", "It is paused already.", idle=True)
    until = ends(do, snapshot.zone, now=now) if do.action is Action.PAUSE_UNTIL else None
    return Move(subject.status, "PAUSED", until)


def ends(do: Do, zone: str, *, now: datetime) -> datetime:
    """When a pause that begins now is over; the hour is one of the account's clock, at least a minute ahead."""
    if do.hour is None:
        return now + (timedelta(hours=do.hours) if do.hours is not None else _DAY * (do.days or 0))
    here = now.astimezone(ZoneInfo(zone))
    day = here.date()
    for ahead in range(3):
        # Where the clock jumps over the hour, the first moment after the jump; where it is there twice, the first.
        local = datetime.combine(day + _DAY * ahead, time(do.hour), tzinfo=ZoneInfo(zone))
        found = local.astimezone(UTC)
        if found > now:
            return found
    raise AssertionError("one of three days has that hour ahead")


def _rename(do: Do, subject: Subject) -> Move | Stuck:
    name = subject.name
    if do.mode == "replace":
        wanted = name.replace(do.other, do.text)
    elif do.mode == "prefix":
        wanted = name if name.startswith(do.text) else do.text + name
    else:
        wanted = name if name.endswith(do.text) else name + do.text
    wanted = wanted.strip()
    if wanted == name:
        return Stuck("nothing_to_do", "Its name is right already.", idle=True)
    if not wanted or len(wanted) > LONGEST_NAME:
        return Stuck("name_too_long", f"The name would not have 1 to {LONGEST_NAME} characters.")
    return Move(name, wanted)


def _end(do: Do, subject: Subject, snapshot: Snapshot, now: datetime) -> Move | Stuck:
    today: date = now.astimezone(ZoneInfo(snapshot.zone)).date()
    after = today + _DAY * ((do.days or 0) + 1)
    target = canonical_moment(datetime.combine(after, time(), tzinfo=ZoneInfo(snapshot.zone)))
    before = "" if subject.end is None else canonical_moment(subject.end)
    if before == target:
        return Stuck("nothing_to_do", "It ends then already.", idle=True)
    return Move(before, target)


def _amount(do: Do, subject: Subject, snapshot: Snapshot) -> Move | Stuck:
    current: Decimal | None = getattr(subject, do.field)
    if not current:
        return _without(do, subject)
    if snapshot.minor_unit is None:
        return Stuck(
            "unknown_currency",
            f"The smallest unit of {snapshot.currency} is not known, so no budget is written.",
        )
    if do.action is Action.REBALANCE:
        target = subject.shares.get(f"{do.metric} {do.window}")
        if target is None:
            return Stuck("nothing_to_move", "Between it and its siblings nothing is to be moved.", idle=True)
        return Move(canonical_amount(current), canonical_amount(target))
    if do.action in (Action.SET_BUDGET, Action.SET_BID):
        assert do.amount is not None
        if do.amount % snapshot.minor_unit:
            return Stuck("not_whole", f"{do.amount:f} is no whole amount of {snapshot.currency}.")
        if do.amount == current:
            return Stuck("nothing_to_do", "It has this amount already.", idle=True)
        return Move(canonical_amount(current), canonical_amount(do.amount))
    wanted = stepped(current, do=do, minor_unit=snapshot.minor_unit)
    if wanted is None:
        return _at_limit(do, snapshot)
    return Move(canonical_amount(current), canonical_amount(wanted))


def stepped(current: Decimal, *, do: Do, minor_unit: Decimal) -> Decimal | None:
    """The raised or lowered amount within its bound and in whole minor units; `None` when nothing is left to move."""
    up = do.action in (Action.RAISE_BUDGET, Action.RAISE_BID)
    step = do.amount if do.percent is None else current * do.percent / 100
    assert step is not None
    assert do.limit is not None
    wanted = min(current + step, do.limit) if up else max(current - step, do.limit)
    rounding = ROUND_FLOOR if up else ROUND_CEILING
    target = (wanted / minor_unit).to_integral_value(rounding) * minor_unit
    return target if (target > current if up else 0 < target < current) else None


def _without(do: Do, subject: Subject) -> Stuck:
    if do.field == "bid_amount":
        return Stuck("no_bid", "It has no bid of its own; only bids that are there are changed.")
    other = "a lifetime budget" if subject.lifetime_budget is not None else "no known daily budget"
    if do.budget == "lifetime":
        other = "a daily budget" if subject.daily_budget is not None else "no known lifetime budget"
    verb = {Action.RAISE_BUDGET: "raised", Action.LOWER_BUDGET: "lowered"}.get(do.action, "changed")
    return Stuck(f"no_{do.budget}_budget", f"It has {other}; only {do.budget} budgets are {verb}.")


def _at_limit(do: Do, snapshot: Snapshot) -> Stuck:
    what = "bid" if do.field == "bid_amount" else f"{do.budget} budget"
    limit = f"{snapshot.currency} {do.limit:,f}"
    if do.action in (Action.RAISE_BUDGET, Action.RAISE_BID):
        return Stuck("at_ceiling", f"Its {what} cannot rise further: the highest allowed is {limit}.")
    return Stuck("at_floor", f"Its {what} cannot fall further: the lowest allowed is {limit}.")
