"""Many changes asked for together: one review sheet, one approval, one undo.

    file      each one through `request.file`; what a guard refuses is on the sheet with its reason
    approve   against the batch's digest, all or nothing: each is judged with the room that those before it have taken
    undo      all that was applied goes back together, or nothing does

Locks: the heads of all ad accounts concerned, by their number, then the client's headroom (see `headroom`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from django.db import transaction

import accounts.access as access
import campaigns.changes.approvals as approvals
import campaigns.changes.ledger as ledger
import campaigns.changes.request as request
import campaigns.changes.standing as standing
import campaigns.changes.undo as undoing
import campaigns.queries as queries
from accounts.errors import Invalid, NotFound, Refused
from accounts.tenancy import Principal
from campaigns.errors import Closed, NotAllowedBy, WrongDigest
from campaigns.models import Ad, AdSet, Campaign, Change
from campaigns.states import OPEN, ChangeState, Field, Source

S = ChangeState
MOST: Final = 100


@dataclass(frozen=True)
class Wish:
    """One line of the request."""

    object_id: str
    field: Field
    target: str
    acknowledged: bool = False


@dataclass(frozen=True)
class Refusal:
    """A wish that was not put on record, since the request itself is wrong."""

    object_id: str
    field: str
    target: str
    message: str
    advice: str


@dataclass(frozen=True)
class Sheet:
    """What is reviewed: the batch's changes, what was joined or refused, and what it comes to."""

    batch: str
    changes: tuple[Change, ...]
    joined: tuple[Change, ...] = ()
    refused: tuple[Refusal, ...] = ()

    @property
    def waiting(self) -> tuple[Change, ...]:
        return tuple(one for one in self.changes if one.state == S.PROPOSED)

    @property
    def digest(self) -> str:
        """What one approval is pinned to: every change that waits; empty when none does."""
        return ledger.batch_digest(self.batch, self.waiting)

    @property
    def total_raise(self) -> dict[str, Decimal]:
        """Currency -> sum of all raises that wait."""
        found: dict[str, Decimal] = {}
        for one in self.waiting:
            if one.rise:
                found[one.currency] = found.get(one.currency, Decimal(0)) + Decimal(one.rise)
        return found

    @property
    def cannot_be_undone(self) -> tuple[str, ...]:
        """Sentence by sentence with the object's name, each once."""
        found = (
            f"{one.object_name or one.object_id}: {sentence}"
            for one in self.waiting
            for sentence in ledger.cannot_be_undone(one)
        )
        return tuple(dict.fromkeys(found))


def sheet(principal: Principal, batch: str) -> Sheet:
    """The batch as it stands now; `NotFound` when none of it is the principal's to see."""
    rows = tuple(ledger.changes(principal).filter(batch=batch).order_by("pk"))
    if not rows:
        raise NotFound("There is no such batch.")
    return Sheet(batch=batch, changes=rows)


def file(*, principal: Principal, wishes: Sequence[Wish], reason: str, batch: str, now: datetime) -> Sheet:
    """File many changes of one client together; cuts and pauses of few objects pass at once, as by hand."""
    objects = _objects(principal, wishes)
    joined: list[Change] = []
    refused: list[Refusal] = []
    with _locked(objects):
        for number, (wish, obj) in enumerate(zip(wishes, objects, strict=True)):
            try:
                with transaction.atomic():
                    change = request.file(
                        principal=principal, ad_account=obj.ad_account, level=obj.level, object_id=obj.meta_id,
                        field=wish.field, target=wish.target, reason=reason, source=Source.PERSON,
                        key=f"batch:{batch}:{number}", evidence=None, acknowledged=wish.acknowledged,
                        batch=uuid.UUID(batch), now=now,
                    )  # fmt: skip
            except Refused as refusal:
                line = Refusal(obj.meta_id, wish.field.value, wish.target, refusal.message, refusal.advice)
                refused.append(line)
                continue
            if str(change.batch) != batch:
                joined.append(change)
        _at_once(principal, batch, objects, now=now)
    rows = tuple(ledger.changes(principal).filter(batch=batch).order_by("pk"))
    return Sheet(batch=batch, changes=rows, joined=tuple(joined), refused=tuple(refused))


def _objects(principal: Principal, wishes: Sequence[Wish]) -> list[Campaign | AdSet | Ad]:
    if not 1 <= len(wishes) <= MOST:
        raise Invalid(f"A batch has 1 to {MOST} changes.", advice="Split it.")
    if len({(wish.object_id, wish.field) for wish in wishes}) < len(wishes):
        raise Invalid("The same field of the same object is in the batch twice.", advice="Keep one of them.")
    objects = [queries.find(principal, wish.object_id, verb="request_change") for wish in wishes]
    if len({obj.client_id for obj in objects}) > 1:
        raise Invalid("A batch belongs to one client.", advice="Send one batch per client.")
    return objects


@contextmanager
def _locked(objects: Sequence[Campaign | AdSet | Ad | Change]) -> Iterator[None]:
    with transaction.atomic():
        for account_id in sorted({obj.ad_account_id for obj in objects}):
            with ledger.locked(account_id):
                pass  # the row stays locked until the outer transaction ends
        yield


def _at_once(
    principal: Principal, batch: str, objects: Sequence[Campaign | AdSet | Ad], *, now: datetime
) -> None:
    """What passes by hand alone passes here too, unless the batch is so large that a slip would be a disaster."""
    client_id = objects[0].client_id
    if len({obj.meta_id for obj in objects}) > standing.policy(client_id).batch_objects:
        return
    for change in Change.objects.of(client_id).filter(batch=batch, state=S.PROPOSED.value):
        approvals.approve_by_policy(change=change, policy="hand", principal=principal, now=now)


def approve(*, principal: Principal, batch: str, digest: str, now: datetime) -> Sheet:
    """Let all that waits pass, or nothing. Raises as `approvals.approve` does, naming the object."""

    def one(change: Change) -> None:
        approvals.approve(change=change, principal=principal, digest=change.digest, now=now)

    return _each_waiting(principal, batch, digest, one)


def reject(*, principal: Principal, batch: str, digest: str, reason: str, now: datetime) -> Sheet:
    """Say no to all that waits."""

    def one(change: Change) -> None:
        approvals.reject(change=change, principal=principal, reason=reason, now=now)

    return _each_waiting(principal, batch, digest, one)


def _each_waiting(principal: Principal, batch: str, digest: str, do: Callable[[Change], None]) -> Sheet:
    seen = sheet(principal, batch)
    access.require(principal, "approve", seen.changes[0].client_id)
    with _locked(seen.changes):
        current = sheet(principal, batch)
        if not current.waiting:
            raise Closed("Nothing of this batch waits any more.")
        if digest != current.digest:
            raise WrongDigest("The batch is not the one that you looked at.")
        for change in current.waiting:
            try:
                do(change)
            except NotAllowedBy as refusal:
                name = change.object_name or change.object_id
                raise NotAllowedBy(
                    f"{name}: {refusal.message} Nothing of the batch was approved.",
                    code=refusal.code,
                    advice=refusal.advice,
                ) from None
    return sheet(principal, batch)


def undo(*, principal: Principal, batch: str, now: datetime) -> Sheet:
    """File the opposite of everything that the batch has applied, as a batch of its own; all or nothing."""
    seen = sheet(principal, batch)
    access.require(principal, "request_change", seen.changes[0].client_id)
    with _locked(seen.changes):
        rows = sheet(principal, batch).changes
        if any(ChangeState(one.state) in OPEN or one.state == S.APPROVED for one in rows):
            raise Closed("Some of the batch is still on its way.", advice="Wait until all of it has ended.")
        applied = [one for one in rows if one.state == S.APPLIED]
        if not applied:
            raise Closed("Nothing of this batch was applied.", advice="There is nothing to undo.")
        back = uuid.uuid5(uuid.UUID(batch), "undo")
        filed = [
            undoing.undo(change=one, principal=principal, batch=back, now=now) for one in reversed(applied)
        ]
        for change in filed:
            approvals.approve_by_policy(change=change, policy="hand", principal=principal, now=now)
    return sheet(principal, str(filed[0].batch))
