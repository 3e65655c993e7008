"""A bulk edit before it is asked for: each object's before and after, and what would come of it. It only reads.

draft    objects and an action -> lines: one field of one object each, judged in their order, each with the room
         that those before it would take; what is so already, or would be refused, is left out and says why
ticket   the number of the batch to be, signed: pressing the button twice asks once
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
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
from campaigns.states import ChangeState, Direction, Field, Source, canonical_amount

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
    lines: tuple[Line, ...]
    batch_objects: int
    limits: tuple[Use, ...]

    @property
    def asked(self) -> tuple[Line, ...]:
        return tuple(one for one in self.lines if not one.left_out)

    @property
    def at_once(self) -> bool:
        """Whether what may pass at once does: a large batch always waits."""
        return len({one.change.object_id for one in self.asked}) <= self.batch_objects

    @property
    def total_raise(self) -> dict[str, Decimal]:
        found: dict[str, Decimal] = {}
        for one in self.asked:
            if one.change.rise:
                found[one.change.currency] = found.get(one.change.currency, Decimal(0)) + one.change.rise
        return found


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
    rooms: dict[int, Rooms] = {}
    lines = []
    for obj in objects:
        room = rooms.setdefault(obj.ad_account_id, Rooms(obj.ad_account, now=now))
        change, why = _wished(obj, action, number, principal, acknowledged, now)
        lines.append(_judged(change, why, reader, room, now=now))
    rules = standing.policy(objects[0].client_id)
    limits = tuple(use for one in rooms.values() for use in one.left())
    return Draft(lines=tuple(lines), batch_objects=rules.batch_objects, limits=limits)


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
        field = Field.LIFETIME_BUDGET if obj.lifetime_budget is not None else Field.DAILY_BUDGET
        stands = getattr(obj, field.value)
        target = _amount(stands, action, number or Decimal(0), obj.ad_account.currency)
        why = "" if stands is not None else "It has no budget of its own."
    before = written(getattr(obj, field.value))
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


def _amount(stands: Decimal | None, action: Action, number: Decimal, currency: str) -> str:
    """The new budget, down to a whole minor unit."""
    if action is Action.SET:
        return canonical_amount(number)
    if stands is None or not money.known(currency):
        return ""
    share = 100 + number if action is Action.RAISE else 100 - number
    return canonical_amount((stands * share / 100).quantize(money.minor_unit(currency), ROUND_DOWN))


def _judged(change: Change, why: str, reader: standing.Reader, rooms: Rooms, *, now: datetime) -> Line:
    if why or not change.target:
        return Line(change, why or "Its currency is not known.", "", (), False, standing.MAY, ())
    situation = standing.situation(change, now=now, rooms=rooms)
    reasons = guards.evaluate(intent=intent_of(change), situation=situation, now=now)
    found = reader.of(change)
    at_once = standing.at_once(
        reader.principal, client_id=change.client_id, direction=change.direction, field=Field(change.field)
    )
    warnings = list(ledger.cannot_be_undone(change))
    if situation.learning and change.direction is not Direction.STOP:
        warnings.append("It is in its learning phase now; a significant change starts that again.")
    others = () if found.may or at_once else standing.others(change, reader.principal, now=now)
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
