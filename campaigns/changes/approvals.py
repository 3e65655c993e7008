"""Who may let a change pass, and letting it pass.

    direction         approves (a person, against the digest)      passes at once under the policy "hand"
    stop, cut, edit   owner, manager, buyer, client's approver     when asked for by owner, manager or buyer
    raise, start      owner, manager, client's approver            never: it takes a second, separate step
    any bid           as its direction says                        never

The table is `standing.WHO`; it is the only one. `standing` takes away from it: four eyes above the client's threshold,
and what one person may let pass in a day. An approval is pinned to the change's digest and good for 30 minutes; then
the change expires unsent. The guards, the evidence's age among them, are asked again here and when it is sent.
Approving a change ends every other waiting one of the same field.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import QuerySet

import accounts.access as access
import accounts.alerts as alerts
import campaigns.changes.exposure as exposure
import campaigns.changes.guards as guards
import campaigns.changes.ledger as ledger
import campaigns.changes.standing as standing
from accounts.errors import Invalid
from accounts.models import Client
from accounts.tenancy import Principal
from campaigns.changes.guards import Reason, Situation
from campaigns.errors import Closed, NotAllowedBy, WrongDigest
from campaigns.models import Change
from campaigns.states import WAITING, ChangeState, Direction, Field, Source

S = ChangeState

GOOD_FOR: Final = timedelta(minutes=30)

#: Policies that a caller may name, and the sources that each is for.
POLICIES: Final[dict[str, frozenset[Source]]] = {
    "hand": frozenset({Source.PERSON, Source.UNDO}),
    "watchdog": frozenset({Source.WATCHDOG}),
}


def approve(*, change: Change, principal: Principal, digest: str, now: datetime) -> Change:
    """Let the change pass; from here on it is sent by itself. The signal `change_recorded` wakes the sender.

    Raises `WrongDigest` when another change was looked at, `Closed` when it does not wait any more, `Forbidden`
    for a role that may not, for who asked for it where it takes four eyes, and beyond a person's limits, and
    `NotAllowedBy` when a guard has a reason by now.
    """
    access.require(principal, "approve", change.client_id)
    if digest != change.digest:
        raise WrongDigest("This digest belongs to another change.")
    return _pass(change, principal=principal, policy="", now=now)


def approve_by_policy(
    *, change: Change, policy: str, now: datetime, principal: Principal | None = None
) -> Change:
    """Let the change pass without a second step where the table allows it; otherwise it goes on waiting.

    The policy "hand" needs the person who asked; "watchdog" lets the product's own pauses pass, and nothing else.
    Returns the change in whichever state it is then.
    """
    if policy not in POLICIES:
        raise Invalid(f"There is no policy {policy!r}.", advice=f"One of: {', '.join(POLICIES)}.")
    if (
        change.state != S.PROPOSED
        or Source(change.source) not in POLICIES[policy]
        or principal is None
        or change.requested_by_id != principal.user_id
        or not _passes(change, policy, principal)
    ):
        return change
    return _pass(change, principal=principal, policy=policy, now=now)


def _passes(change: Change, policy: str, principal: Principal) -> bool:
    if policy == "watchdog":
        return principal.kind == "system" and change.direction is Direction.STOP
    return standing.at_once(
        principal, client_id=change.client_id, direction=change.direction, field=Field(change.field)
    )


def _pass(change: Change, *, principal: Principal, policy: str, now: datetime) -> Change:
    with ledger.locked(change.ad_account_id):
        current = _waiting(change, now=now)
        situation = _situation(current, now=now)
        refused = standing.of(current, principal, now=now).refusal
        if refused is not None:
            raise refused
        _ask_guards(current, situation, now=now)
        _end_others(current, now=now)
        note = f"Approved under the policy {policy}." if policy else "Approved."
        ledger.transition(
            current,
            to=S.APPROVED,
            now=now,
            by=ledger.actor(principal),
            note=note,
            approved_at=now,
            approved_by_id=principal.user_id,
            approval_policy=policy,
            adds=standing.adds(current, now=now),
            expires_at=now + GOOD_FOR,
        )
    return current


def _waiting(change: Change, *, now: datetime) -> Change:
    """The change as it is now, if it still waits for an approval. Call it inside `locked`."""
    current: Change = Change.everything.select_related("client", "ad_account").get(pk=change.pk)
    over = standing.closed(current, now=now)
    if over is not None:
        raise Closed(over.why)
    return current


def _ask_guards(change: Change, situation: Situation, *, now: datetime) -> None:
    reasons = guards.evaluate(intent=exposure.intent_of(change), situation=situation, now=now)
    if reasons:
        raise NotAllowedBy(
            reasons[0].message,
            code=reasons[0].code,
            advice=reasons[0].advice,
            errors=[
                (reason.field or "change", f"{reason.message} {reason.advice}".strip()) for reason in reasons
            ],
        )


def judged(change: Change, *, now: datetime) -> tuple[Reason, ...]:
    """What the guards say of a stored change now. Call it inside `locked`: it takes the client's headroom."""
    return guards.evaluate(intent=exposure.intent_of(change), situation=_situation(change, now=now), now=now)


def _situation(change: Change, *, now: datetime) -> Situation:
    if change.direction.spends_more:
        ledger.lock_client(change.client_id)
    return standing.situation(change, now=now)


def _end_others(change: Change, *, now: datetime) -> None:
    others = Change.everything.filter(
        object_id=change.object_id, field=change.field, state__in=[state.value for state in WAITING]
    ).exclude(pk=change.pk)
    for other in others:
        why = "Another change of the same field was approved instead."
        ledger.transition(other, to=S.EXPIRED, now=now, note=why, error_text=why, **ledger.free())


def reject(*, change: Change, principal: Principal, reason: str, now: datetime) -> Change:
    """Say no; the change ends unsent."""
    access.require(principal, "approve", change.client_id)
    with ledger.locked(change.ad_account_id):
        current = _waiting(change, now=now)
        why = reason.strip()[:500] or "Rejected without a reason."
        ledger.transition(
            current, to=S.REJECTED, now=now, by=ledger.actor(principal), note=why, error_text=why
        )
    return current


def resolve(*, change: Change, principal: Principal, outcome: str, reason: str, now: datetime) -> Change:
    """A named person says what became of a change that needed one: APPLIED, FAILED (no effect) or SUPERSEDED."""
    access.require(principal, "release", change.client_id)
    if outcome not in (S.APPLIED, S.FAILED, S.SUPERSEDED) or not reason.strip():
        raise Invalid(
            "Say what became of it, and why you know.", advice="APPLIED, FAILED or SUPERSEDED, with a reason."
        )
    with ledger.locked(change.ad_account_id):
        current: Change = Change.everything.select_related("client", "ad_account").get(pk=change.pk)
        if current.state != S.NEEDS_HUMAN:
            raise Closed("This change does not wait for a person.")
        fields = {
            "possibly_applied": outcome != S.FAILED,
            "applied_at": now if outcome == S.APPLIED else None,
        }
        by, note = ledger.actor(principal), reason.strip()
        ledger.transition(current, to=S(outcome), now=now, by=by, note=note, error_text=note[:500], **fields)
        alerts.close(client=current.client, key=f"change:{current.uuid}", now=now)
    return current


def expire_waiting(*, now: datetime, limit: int = 200) -> int:
    """End what nobody approved in time; returns how many."""
    rows = Change.everything.filter(state=S.PROPOSED.value, expires_at__lte=now).select_related("ad_account")[
        :limit
    ]
    for change in rows:
        with ledger.locked(change.ad_account_id):
            fresh: Change = Change.everything.get(pk=change.pk)
            if fresh.state == S.PROPOSED:
                why = "Nobody approved it in time."
                ledger.transition(fresh, to=S.EXPIRED, now=now, note=why, error_text=why, advice="Ask again.")
    return len(rows)


def recall(*, client_id: int, strategy_ref: str, reason: str, now: datetime) -> int:
    """End what was approved for a strategy and has not been sent, since that strategy is not what it was; how many.

    A change that a worker has begun loses its approval here, and the SENDING transaction asks for that.
    """
    unsent = [S.APPROVED.value, S.PREPARING.value, S.THROTTLED.value, S.NOT_APPLIED.value]
    rows = Change.objects.of(client_id).filter(
        strategy_ref=strategy_ref, state__in=unsent, expires_at__gt=now
    )
    recalled = list(rows.select_related("ad_account"))
    for change in recalled:
        with ledger.locked(change.ad_account_id):
            fresh: Change = Change.everything.get(pk=change.pk)
            if fresh.state == S.APPROVED:
                ledger.transition(
                    fresh, to=S.EXPIRED, now=now, note=reason, error_text=reason[:500], **ledger.free()
                )
            elif fresh.state in unsent:
                Change.everything.filter(pk=fresh.pk).update(expires_at=now, error_text=reason[:500])
    return len(recalled)


def waiting(principal: Principal, *, client: Client | None = None) -> QuerySet[Change]:
    """Changes that wait for an approval and that `principal` may see, the oldest first."""
    rows = ledger.changes(principal).filter(state=S.PROPOSED.value)
    if client is not None:
        rows = rows.filter(client=client)
    return rows.order_by("created_at")
