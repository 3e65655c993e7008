"""A bulk edit before it is asked for: each object's before and after, and what would come of it. It only reads.

draft     objects and an action -> lines: one field of one object each, judged in their order, each with the room
          that those before it would take; what is so already, or would be refused, is left out and says why
together  what waits of a batch that is asked for: who may let each line pass, and who all of them, since one
          approval lets all pass or none
ticket    the number of the batch to be, signed: pressing the button twice asks once
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from typing import Final

from django.core import signing

import campaigns.changes.guards as guards
import campaigns.changes.ledger as ledger
import campaigns.changes.standing as standing
import metaads.graph.money as money
from accounts.errors import Invalid
from accounts.tenancy import Principal
from campaigns.changes.envelopes import Use
from campaigns.changes.exposure import intent_of
from campaigns.changes.guards import Reason
from campaigns.changes.headroom import Rooms
from campaigns.changes.standing import Standing
from campaigns.diff import written
from campaigns.models import Ad, AdSet, Campaign, Change
from campaigns.states import ChangeState, Direction, Field, Level, Source, canonical_amount

MOST: Final = 100
_SALT: Final = "campaigns.batch"


class Action(StrEnum):
    PAUSE = "pause"
    START = "start"
    RAISE = "raise"
    CUT = "cut"
    SET = "set"

    @property
    def words(self) -> str:
        return {
            "pause": "Pause",
            "start": "Start",
            "raise": "Raise the budget by percent",
            "cut": "Cut the budget by percent",
            "set": "Set the budget to an amount",
        }[self.value]


@dataclass(frozen=True)
class Line:
    """One field of one object. `left_out` says why it would not be asked for; empty when it would."""

    change: Change
    left_out: str
    advice: str
    warnings: tuple[str, ...]
    at_once: bool
    standing: Standing
    others: tuple[str, ...]


@dataclass(frozen=True)
class Draft:
    """`people`: who may let all of it pass that waits, who asks left out; `alone`: who asks may."""

    lines: tuple[Line, ...]
    batch_objects: int
    limits: tuple[Use, ...]
    people: tuple[str, ...] = ()
    alone: bool = False

    @property
    def asked(self) -> tuple[Line, ...]:
        return tuple(one for one in self.lines if not one.left_out)

    @property
    def at_once(self) -> bool:
        """Whether what may pass at once does: a large batch always waits."""
        return len({one.change.object_id for one in self.asked}) <= self.batch_objects

    @property
    def waiting(self) -> tuple[Line, ...]:
        """What will wait for the batch's one approval."""
        return tuple(one for one in self.asked if not (one.at_once and self.at_once))

    @property
    def at_once_count(self) -> int:
        return len(self.asked) - len(self.waiting)

    @property
    def total_raise(self) -> dict[str, Decimal]:
        found: dict[str, Decimal] = {}
        for one in self.asked:
            if one.change.rise:
                found[one.change.currency] = found.get(one.change.currency, Decimal(0)) + one.change.rise
        return found


@dataclass(frozen=True)
class Waits:
    """One line that waits: whether the reader may let it pass, who else may, and what would keep it back anyway."""

    change: Change
    standing: Standing
    others: tuple[str, ...]
    hindrances: tuple[Reason, ...]

    @property
    def ready(self) -> bool:
        return self.standing.may and not self.hindrances


@dataclass(frozen=True)
class Together:
    """`people`: who may let all of it pass, the reader left out."""

    lines: tuple[Waits, ...]
    people: tuple[str, ...]

    @property
    def blocked(self) -> Waits | None:
        """The first line for which the batch's one approval would be refused."""
        return next((one for one in self.lines if not one.ready), None)

    @property
    def may(self) -> bool:
        return bool(self.lines) and self.blocked is None

    @property
    def why_not(self) -> str:
        """Which line holds it back and why; empty where none does."""
        first = self.blocked
        if first is None:
            return ""
        why = (
            f"{first.standing.why} {first.standing.advice}"
            if not first.standing.may
            else _said(first.hindrances)
        )
        return f"{first.change.object_name or first.change.object_id}: {why}".strip()


def together(*, principal: Principal, changes: Sequence[Change], now: datetime) -> Together:
    """Judge what waits among a batch's changes as its approval would: in their order, all or nothing."""
    waiting = [one for one in changes if standing.closed(one, now=now) is None]
    if not waiting:
        return Together(lines=(), people=())
    reader = standing.Reader(principal, now=now)
    people = standing.People(waiting[0].client_id, principal, now=now)
    rooms: dict[int, Rooms] = {}
    lines = []
    for change in waiting:
        room = rooms.setdefault(change.ad_account_id, Rooms(change.ad_account, now=now))
        found = reader.in_turn(change)
        others = () if found.may else people.who([change])
        lines.append(Waits(change, found, others, standing.hindrances(change, now=now, rooms=room)))
    return Together(lines=tuple(lines), people=people.who(waiting))


def draft(
    *,
    principal: Principal,
    objects: Sequence[Campaign | AdSet | Ad],
    action: Action,
    number: Decimal | None,
    acknowledged: bool,
    now: datetime,
) -> Draft:
    """What the action would ask for. Raises `Invalid` for no objects, too many, or a number that the action needs."""
    if not 1 <= len(objects) <= MOST:
        raise Invalid(f"Choose 1 to {MOST} rows.", advice="Go back and tick some.")
    if action not in (Action.PAUSE, Action.START) and (number is None or number <= 0):
        raise Invalid("By how much?", advice="Go back and fill in a number above 0.")
    reader = standing.Reader(principal, now=now)
    people = standing.People(objects[0].client_id, principal, now=now)
    rooms: dict[int, Rooms] = {}
    lines = []
    for obj in objects:
        room = rooms.setdefault(obj.ad_account_id, Rooms(obj.ad_account, now=now))
        change, why = _wished(obj, action, number, principal, acknowledged, now)
        lines.append(_judged(change, why, reader, people, room, now=now))
    rules = standing.policy(objects[0].client_id)
    limits = tuple(use for one in rooms.values() for use in one.left())
    found = Draft(lines=tuple(lines), batch_objects=rules.batch_objects, limits=limits)
    waiting = [one.change for one in found.waiting]
    alone = all(one.standing.may for one in found.waiting)
    return replace(found, people=people.who(waiting), alone=alone)


def _wished(
    obj: Campaign | AdSet | Ad,
    action: Action,
    number: Decimal | None,
    principal: Principal,
    acknowledged: bool,
    now: datetime,
) -> tuple[Change, str]:
    field, target, why = Field.STATUS, "", ""
    if action is Action.PAUSE:
        target = "PAUSED"
    elif action is Action.START:
        target = "ACTIVE"
    else:
        # An ad has neither of the two budgets, and no such columns.
        lifetime = getattr(obj, Field.LIFETIME_BUDGET.value, None)
        field = Field.LIFETIME_BUDGET if lifetime is not None else Field.DAILY_BUDGET
        stands = getattr(obj, field.value, None)
        target = _amount(stands, action, number or Decimal(0), obj.ad_account.currency)
        why = "" if stands is not None else _elsewhere(obj)
    before = written(getattr(obj, field.value, None))
    if not why and target == before:
        why = "It is so already."
    rise = Decimal(0)
    if field.is_budget and before and not why:
        rise = max(Decimal(target) - Decimal(before), Decimal(0))
    change = Change(
        client_id=obj.client_id, ad_account=obj.ad_account, level=obj.level.value, object_id=obj.meta_id,
        object_name=obj.name, field=field.value, before=before, target=target, currency=obj.ad_account.currency,
        rise=rise, source=Source.PERSON.value, requested_by_id=principal.user_id, acknowledged=acknowledged,
        state=ChangeState.PROPOSED.value, created_at=now, state_at=now,
        expires_at=now + timedelta(hours=obj.ad_account.client.approval_hours),
    )  # fmt: skip
    return change, why


def _elsewhere(obj: Campaign | AdSet | Ad) -> str:
    where = {Level.CAMPAIGN: "its ad sets", Level.AD_SET: "its campaign", Level.AD: "its ad set or campaign"}
    return f"It has no budget of its own: that is on {where[obj.level]}."


def _amount(stands: Decimal | None, action: Action, number: Decimal, currency: str) -> str:
    """The new budget, down to a whole minor unit."""
    if action is Action.SET:
        return canonical_amount(number)
    if stands is None or not money.known(currency):
        return ""
    share = 100 + number if action is Action.RAISE else 100 - number
    return canonical_amount((stands * share / 100).quantize(money.minor_unit(currency), ROUND_DOWN))


def _judged(
    change: Change, why: str, reader: standing.Reader, people: standing.People, rooms: Rooms, *, now: datetime
) -> Line:
    if why or not change.target:
        return Line(change, why or "Its currency is not known.", "", (), False, standing.MAY, ())
    situation = standing.situation(change, now=now, rooms=rooms)
    reasons = guards.evaluate(intent=intent_of(change), situation=situation, now=now)
    # What is left out takes nothing of anybody's limit.
    found = reader.of(change) if reasons else reader.in_turn(change)
    at_once = standing.at_once(
        reader.principal, client_id=change.client_id, direction=change.direction, field=Field(change.field)
    )
    warnings = list(ledger.cannot_be_undone(change))
    if situation.learning and change.direction is not Direction.STOP:
        warnings.append("It is in its learning phase now; a significant change starts that again.")
    others = () if reasons or found.may or at_once else people.who([change])
    return Line(change, _said(reasons), _advice(reasons), tuple(warnings), at_once, found, others)


def _said(reasons: Sequence[Reason]) -> str:
    return " ".join(one.message for one in reasons)


def _advice(reasons: Sequence[Reason]) -> str:
    return " ".join(dict.fromkeys(one.advice for one in reasons if one.advice))


def ticket() -> str:
    """The number of a batch to be, signed: only numbers that a sheet gave are taken."""
    return signing.dumps(str(uuid.uuid4()), salt=_SALT)


def ticketed(text: str) -> str:
    """The number in the ticket."""
    try:
        return str(signing.loads(text, salt=_SALT))
    except signing.BadSignature:
        raise Invalid("This form was changed.", advice="Open the review sheet again.") from None
