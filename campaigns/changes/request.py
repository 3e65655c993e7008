"""File a change: everything that wants to change anything at Meta comes in here.

same target already wanted for the field      that change is returned: asking twice moves once
guards say the request itself is wrong        a person gets it back (NotAllowedBy), a rule's is kept as REJECTED
guards say not now                            REJECTED, with the reasons
else                                          PROPOSED: it waits for an approval
"""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import Q

import accounts.access as access
import campaigns.changes.approvals as approvals
import campaigns.changes.ledger as ledger
import campaigns.changes.standing as standing
import campaigns.diff as diff
import campaigns.queries as queries
from accounts.errors import Invalid, NotFound
from accounts.models import AdAccount
from accounts.tenancy import Principal
from campaigns.changes.guards import Reason
from campaigns.errors import NotAllowedBy
from campaigns.models import Ad, AdSet, Campaign, Change
from campaigns.states import (
    IN_FLIGHT,
    OPEN,
    WAITING,
    ChangeState,
    Direction,
    Evidence,
    Field,
    Level,
    Source,
    canonical,
    direction,
)

S = ChangeState
_JOINED: Final = sorted(state.value for state in OPEN | WAITING)


def file(
    *,
    principal: Principal,
    ad_account: AdAccount,
    level: Level,
    object_id: str,
    field: Field,
    target: str,
    reason: str,
    source: Source,
    key: str,
    evidence: Evidence | None,
    now: datetime,
    strategy_ref: str | None = None,
    acknowledged: bool = False,
    undo_of: Change | None = None,
    batch: uuid.UUID | None = None,
) -> Change:
    """File one change of one field of one object. `target` is canonical or will be made so: "PAUSED", "12.50".

    `key` is unique: the same key returns the first change. Raises `NotFound`, `Forbidden`, `Invalid` for a target
    that is no value of the field, and `NotAllowedBy` for a person's wrong input.
    """
    access.require(principal, "request_change", ad_account.client_id)
    level, field, source = Level(level), Field(field), Source(source)
    obj = queries.stored(ad_account=ad_account, level=level, object_id=object_id)
    if obj is None:
        raise NotFound(f"There is no such {level.words}.")
    try:
        target = canonical(field, target)
    except ValueError as error:
        raise Invalid(str(error), code="bad_target", errors=[(field.value, str(error))]) from None
    if not key or len(key) > 200:
        raise Invalid("A change needs a key of 1 to 200 characters.", code="bad_key")
    with ledger.locked(ad_account.pk):
        # Whose own wish passes at once does not wait behind somebody else's that needs an approval.
        wish = direction(field, _before(obj, field, target), target)
        passes = source in (Source.PERSON, Source.UNDO) and standing.at_once(
            principal, client_id=ad_account.client_id, direction=wish, field=field
        )
        known = Change.everything.filter(key=key).first() or _joined(
            ad_account, object_id, field, target, now, only_of=principal.user_id if passes else None
        )
        if known is not None:
            if known.client_id != ad_account.client_id:
                raise Invalid("This key is taken.", code="bad_key")
            found: Change = known
            return found
        change = _new(
            obj,
            principal=principal,
            ad_account=ad_account,
            field=field,
            target=target,
            reason=reason.strip()[:1000],
            source=source,
            key=key,
            evidence=evidence,
            now=now,
            strategy_ref=strategy_ref,
            acknowledged=acknowledged,
            undo_of=undo_of,
            batch=batch,
        )
        return _judged(change, principal=principal, now=now)


def _joined(
    ad_account: AdAccount,
    object_id: str,
    field: Field,
    target: str,
    now: datetime,
    *,
    only_of: int | None = None,
) -> Change | None:
    """The change that wants the same already: waiting and not expired, or on its way. With `only_of`, one that
    waits for an approval is joined only when that person asked for it by hand."""
    rows = Change.everything.filter(
        ad_account=ad_account, object_id=object_id, field=field.value, target=target, state__in=_JOINED
    )
    rows = rows.exclude(state__in=[state.value for state in WAITING], expires_at__lte=now)
    # One that needs a person is no promise to do anything.
    rows = rows.exclude(state=S.NEEDS_HUMAN.value)
    if only_of is not None:
        mine = Q(requested_by_id=only_of, source__in=[Source.PERSON.value, Source.UNDO.value])
        rows = rows.filter(~Q(state=S.PROPOSED.value) | mine)
    found: Change | None = rows.order_by("-created_at").first()
    return found


def _before(obj: Campaign | AdSet | Ad, field: Field, target: str) -> str:
    """What stands there as far as we know. For a stop behind another change on its way: what that one will leave; and
    behind one whose fate is not known: ACTIVE, since a stop has nothing else to end."""
    if field is Field.STATUS and target == "PAUSED":
        mine = Change.everything.filter(object_id=obj.meta_id, field=field.value)
        ahead = mine.filter(state__in=[state.value for state in IN_FLIGHT]).first()
        if ahead is not None:
            return str(ahead.target)
        if mine.filter(state=S.NEEDS_HUMAN.value).exists():
            return "ACTIVE"
    return diff.written(getattr(obj, field.value, None))


def _new(
    obj: Campaign | AdSet | Ad,
    *,
    principal: Principal,
    ad_account: AdAccount,
    field: Field,
    target: str,
    reason: str,
    source: Source,
    key: str,
    evidence: Evidence | None,
    now: datetime,
    strategy_ref: str | None,
    acknowledged: bool,
    undo_of: Change | None,
    batch: uuid.UUID | None,
) -> Change:
    before = _before(obj, field, target)
    rise = Decimal(0)
    if field.is_budget and before and direction(field, before, target) is Direction.RAISE:
        rise = min(Decimal(target) - Decimal(before), Decimal(10) ** 12).quantize(Decimal("0.000001"))
    return Change(
        client_id=ad_account.client_id,
        ad_account=ad_account,
        level=obj.level.value,
        object_id=obj.meta_id,
        object_name=obj.name,
        field=field.value,
        before=before,
        target=target,
        currency=ad_account.currency,
        rise=rise,
        key=key,
        reason=reason,
        source=source.value,
        strategy_ref=strategy_ref,
        requested_by_id=principal.user_id,
        acknowledged=acknowledged,
        undo_of=undo_of,
        batch=batch,
        evidence_version=evidence.data_version if evidence else None,
        evidence_as_of=evidence.as_of if evidence else None,
        evidence_checksum=evidence.checksum if evidence else "",
        evidence_valid_until=evidence.valid_until if evidence else None,
        created_at=now,
        state=S.PROPOSED.value,
        state_at=now,
        expires_at=now + timedelta(hours=ad_account.client.approval_hours),
    )


def _judged(change: Change, *, principal: Principal, now: datetime) -> Change:
    """Ask the guards, then store. Inside `locked`."""
    reasons = approvals.judged(change, now=now)
    if change.source in (Source.PERSON, Source.UNDO) and any(reason.kind == "input" for reason in reasons):
        raise NotAllowedBy(
            reasons[0].message,
            code=reasons[0].code,
            advice=reasons[0].advice,
            errors=[
                (reason.field or "target", f"{reason.message} {reason.advice}".strip()) for reason in reasons
            ],
        )
    change.digest = digest_of(change)
    change.save(force_insert=True)
    ledger.begin(change, now=now, by=ledger.actor(principal), note=change.reason)
    if reasons:
        _refuse(change, reasons, now=now)
    return change


def _refuse(change: Change, reasons: tuple[Reason, ...], *, now: datetime) -> None:
    why = " ".join(reason.message for reason in reasons)
    advice = " ".join(dict.fromkeys(reason.advice for reason in reasons if reason.advice))
    ledger.transition(change, to=S.REJECTED, now=now, note=why, error_text=why[:500], advice=advice[:500])


def digest_of(change: Change) -> str:
    """What an approval is pinned to: every word of what would be done, and what it rests on."""
    said = {
        "uuid": str(change.uuid),
        "client": change.client_id,
        "ad_account": change.ad_account_id,
        "level": change.level,
        "object_id": change.object_id,
        "field": change.field,
        "before": change.before,
        "target": change.target,
        "currency": change.currency,
        "reason": change.reason,
        "source": change.source,
        "strategy_ref": change.strategy_ref or "",
        "acknowledged": change.acknowledged,
        "evidence": f"{change.evidence_version} {change.evidence_checksum}",
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
