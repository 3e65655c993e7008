"""Stopping: the kill switch by scope, and holds on single objects.

A pulled switch is a row; the SENDING transaction reads it, so it works with the queue and every worker dead and is
effective at once (a request that has left by then is the only exception, and that is at most 5 s old). Changes
that were approved but not sent do not wait for the release: the sender expires them. A hold keeps rules, and
approvals from before it, away from an object that somebody else has just changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

import accounts.access as access
import accounts.alerts as alerts
import campaigns.changes.ledger as ledger
from accounts.errors import Forbidden, Invalid, NotFound
from accounts.models import AdAccount, Client
from accounts.tenancy import Principal
from campaigns.models import Change, Hold, Switch
from campaigns.signals import change_recorded
from campaigns.states import ChangeState
from metaads.crash import point

HOLD_FOR: Final = timedelta(hours=24)


@dataclass(frozen=True)
class Scope:
    """What a switch covers; exactly one of the last three, or none for everything."""

    client: Client | None = None
    ad_account: AdAccount | None = None
    strategy_ref: str = ""

    @property
    def kind(self) -> str:
        if self.strategy_ref:
            return "strategy"
        if self.ad_account is not None:
            return "account"
        return "global" if self.client is None else "client"

    @property
    def key(self) -> str:
        if self.strategy_ref:
            return f"strategy:{self.owner.pk if self.owner else 0}:{self.strategy_ref}"
        if self.ad_account is not None:
            return f"account:{self.ad_account.pk}"
        return "global" if self.client is None else f"client:{self.client.pk}"

    @property
    def owner(self) -> Client | None:
        """The client whose rows the switch belongs to."""
        return self.ad_account.client if self.ad_account is not None else self.client

    @property
    def words(self) -> str:
        if self.strategy_ref:
            return "this strategy"
        if self.ad_account is not None:
            return f"the ad account {self.ad_account.name}"
        return "everything" if self.client is None else f"the client {self.client.name}"


def pull(*, scope: Scope, principal: Principal, reason: str, now: datetime) -> Switch:
    """Stop all changes in `scope`. Pulling a pulled switch changes nothing and returns it."""
    _allowed(scope, principal, "stop")
    if not reason.strip():
        raise Invalid("Say why.", advice="Send a reason; it is shown to everybody who meets the stop.")
    try:
        with transaction.atomic():
            row = Switch.everything.create(
                scope=scope.kind,
                scope_key=scope.key,
                client=scope.owner,
                ad_account=scope.ad_account,
                strategy_ref=scope.strategy_ref,
                reason=reason.strip()[:500],
                pulled_at=now,
                pulled_by_id=principal.user_id,
            )
    except IntegrityError:
        pulled: Switch = Switch.everything.get(scope_key=scope.key, released_at__isnull=True)
        return pulled
    point("switch.pulled")
    _written(scope, principal, "STOPPED", reason, now)
    stopped_row: Switch = row
    return stopped_row


def release(*, scope: Scope, principal: Principal, reason: str, now: datetime) -> bool:
    """Let changes in `scope` be sent again; True if it was stopped. What had expired meanwhile stays expired."""
    _allowed(scope, principal, "release")
    rows = Switch.everything.filter(scope_key=scope.key, released_at__isnull=True)
    if not rows.update(
        released_at=now, released_by_id=principal.user_id, release_reason=reason.strip()[:500]
    ):
        return False
    _written(scope, principal, "RELEASED", reason, now)
    return True


def was_released(*, scope: Scope, reason: str) -> bool:
    """Whether somebody has already released a switch that was pulled there for this reason."""
    rows = Switch.everything.filter(scope_key=scope.key, reason=reason.strip()[:500])
    found: bool = rows.filter(released_at__isnull=False).exists()
    return found


def stopped(*, client_id: int, ad_account_id: int, strategy_ref: str | None = None) -> str:
    """Why nothing may be sent there now, as a sentence; "" when it may."""
    scopes = Q(scope="global") | Q(scope="client", client_id=client_id)
    scopes |= Q(scope="account", ad_account_id=ad_account_id)
    if strategy_ref:
        scopes |= Q(scope="strategy", client_id=client_id, strategy_ref=strategy_ref)
    row = Switch.everything.filter(scopes, released_at__isnull=True).order_by("pulled_at").first()
    if row is None:
        return ""
    where = {
        "global": "Everything",
        "client": "This client",
        "account": "This ad account",
        "strategy": "This strategy",
    }
    return f"{where[row.scope]} was stopped at {row.pulled_at:%Y-%m-%d %H:%M} UTC: {row.reason}"


def pulled(principal: Principal) -> QuerySet[Switch]:
    """Switches that are pulled now and that `principal` may see; a stop of everything concerns everybody."""
    visible = Switch.objects.for_(principal) | Switch.everything.filter(client__isnull=True)
    return (
        visible.filter(released_at__isnull=True).select_related("client", "ad_account").order_by("pulled_at")
    )


def hold(
    *,
    ad_account_id: int,
    client_id: int,
    level: str,
    object_id: str,
    object_name: str,
    field: str,
    ours: str,
    theirs: str,
    reason: str,
    now: datetime,
    change: Change | None = None,
) -> Hold:
    """Leave the object alone for 24 hours. Call it inside `ledger.locked`; a running hold is prolonged."""
    until = now + HOLD_FOR
    running: Hold | None = held(object_id=object_id, now=now)
    if running is not None:
        Hold.everything.filter(pk=running.pk).update(until=until, theirs=theirs, reason=reason[:500])
        running.refresh_from_db()
        return running
    row: Hold = Hold.everything.create(
        client_id=client_id,
        ad_account_id=ad_account_id,
        level=level,
        object_id=object_id,
        field=field,
        ours=ours,
        theirs=theirs,
        reason=reason[:500],
        change=change,
        held_at=now,
        until=until,
    )
    ledger.record(
        ad_account_id=ad_account_id,
        client_id=client_id,
        kind="hold",
        now=now,
        by=ledger.SYSTEM,
        change=change,
        level=level,
        object_id=object_id,
        object_name=object_name,
        field=field,
        before=ours,
        after=theirs,
        currency=change.currency if change is not None else "",
        note=f"Left alone until {until:%Y-%m-%d %H:%M} UTC: {reason}",
    )
    return row


def held(*, object_id: str, now: datetime) -> Hold | None:
    """The object's running hold."""
    rows = Hold.everything.filter(object_id=object_id, until__gt=now, resumed_at__isnull=True)
    found: Hold | None = rows.order_by("-until").first()
    return found


def holds(principal: Principal, *, now: datetime) -> QuerySet[Hold]:
    return Hold.objects.for_(principal).filter(until__gt=now, resumed_at__isnull=True).order_by("-held_at")


def resume(*, principal: Principal, uuid: str, reason: str, now: datetime) -> Hold:
    """End a hold early: a person has seen both values."""
    row: Hold | None = Hold.objects.for_(principal).filter(uuid=uuid).first()
    if row is None:
        raise NotFound("There is no such hold.")
    access.require(principal, "approve", row.client_id)
    with ledger.locked(row.ad_account_id):
        if Hold.everything.filter(pk=row.pk, resumed_at__isnull=True).update(
            resumed_at=now, resumed_by_id=principal.user_id
        ):
            ledger.record(
                ad_account_id=row.ad_account_id,
                client_id=row.client_id,
                kind="hold",
                now=now,
                by=ledger.actor(principal),
                level=row.level,
                object_id=row.object_id,
                field=row.field,
                note=f"Resumed: {reason}",
            )
    row.refresh_from_db()
    return row


def superseded(change: Change, *, value: str, now: datetime, why: str = "") -> None:
    """End a change whose object somebody else has changed, and leave the object alone. Call it inside `locked`."""
    shown = value or "not set here any more"
    why = why or f"It is {shown} by now; we knew {change.before} and wanted {change.target}."
    advice = "Somebody else changed it. Look at both values, then ask again if you still want it."
    ledger.transition(
        change, to=ChangeState.SUPERSEDED, now=now, note=why, error_text=why, advice=advice, **ledger.free()
    )
    point("switch.superseded")
    hold(
        ad_account_id=change.ad_account_id,
        client_id=change.client_id,
        level=change.level,
        object_id=change.object_id,
        object_name=change.object_name,
        field=change.field,
        ours=change.target,
        theirs=value,
        reason=why,
        now=now,
        change=change,
    )


def needs_human(change: Change, *, why: str, now: datetime) -> None:
    """Stop working on a change whose fate we cannot find out, and say so loudly. Call it inside `locked`."""
    advice = "Look at the object in Ads Manager, then say here what became of it."
    ledger.transition(
        change,
        to=ChangeState.NEEDS_HUMAN,
        now=now,
        note=why,
        error_text=why[:500],
        advice=advice,
        **ledger.free(),
    )
    point("switch.needs_human")
    alerts.open_(
        client=change.client,
        key=f"change:{change.uuid}",
        title=f"A change of {change.object_name or change.object_id} needs a person",
        advice=f"{why} {advice}",
        severity="critical",
        now=now,
    )


def _allowed(scope: Scope, principal: Principal, verb: str) -> None:
    owner = scope.owner
    if owner is None and not scope.strategy_ref:
        if not principal.everywhere and principal.kind != "system":
            access_denied = "Only an owner stops or releases everything."
            raise Invalid(access_denied, code="client_required", advice="Name a client or an ad account.")
        if principal.scopes is not None and verb not in principal.scopes:
            raise Forbidden(f"This key may not do this ({verb}).", code=f"may_not_{verb}")
        return
    if owner is None:
        raise Invalid("A strategy is stopped together with its client.", code="client_required")
    access.require(principal, verb, owner)


def _written(scope: Scope, principal: Principal, word: str, reason: str, now: datetime) -> None:
    """A line in the chain of every account in scope, then the signal; the switch itself is committed before."""
    accounts = AdAccount.everything.filter(enabled_at__isnull=False)
    if scope.ad_account is not None:
        accounts = AdAccount.everything.filter(pk=scope.ad_account.pk)
    elif scope.client is not None:
        accounts = accounts.filter(client=scope.client)
    for pk, client_id in accounts.values_list("pk", "client_id"):
        with ledger.locked(pk):
            ledger.record(
                ad_account_id=pk,
                client_id=client_id,
                kind="switch",
                state=word,
                now=now,
                by=ledger.actor(principal),
                note=f"{word.capitalize()}, {scope.words}: {reason.strip()}",
            )
    owner_id = scope.owner.pk if scope.owner is not None else None
    transaction.on_commit(
        lambda: change_recorded.send_robust(sender=Switch, change_id=None, state=word, client_id=owner_id)
    )
