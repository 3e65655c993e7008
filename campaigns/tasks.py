"""Background work of the campaigns floor. A message carries an id and only wakes work that the database knows.

`sweep` runs every few seconds and finds everything that is due; losing every message costs seconds. `advance`
carries one change on from step to step, so that an approval is confirmed in some ten seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from celery import shared_task
from django.db.models import Case, F, Q, When

import campaigns.changes.approvals as approvals
import campaigns.changes.send as sending
import campaigns.changes.settle as settling
import campaigns.changes.sweeper as sweeper
import campaigns.erasure as erasure
import campaigns.sync as sync
import metaads.strikes as strikes
from accounts.errors import Refused
from accounts.models import AdAccount
from campaigns.models import Change
from campaigns.states import ChangeState, Field
from metaads.clock import monotonic, now

log = logging.getLogger(__name__)

#: Between two steps of one change a task comes back by itself, if it is this soon; the sweep does the rest.
SOON = 10.0
_PAUSE = 0.2
#: Seconds after which one pass begins no further change: two passes, each with one last call of 30 s, stay inside the
#: task's time limit, so a slow Meta neither cuts a request off nor keeps what was sent from being read back.
PASS = 25.0
#: A pause goes first, then what has been due the longest.
_ORDER = (
    Case(When(field=Field.STATUS.value, target="PAUSED", then=0), default=1),
    F("not_before").asc(nulls_first=True),
    "pk",
)


@shared_task
def advance(change_id: str) -> None:
    """Take the change (its UUID) one step on; come back when the next step is due soon."""
    due = step(change_id, now())
    wait = (due - now()).total_seconds() if due is not None else None
    if wait is not None and wait <= SOON:
        advance.apply_async((change_id,), countdown=max(wait, 0) + _PAUSE)


def step(change_id: str, moment: datetime) -> datetime | None:
    """One step by whichever of the two is responsible for the state; when to come back."""
    due = sending.send(change_id, now=moment, clock=now)
    return due or settling.settle(change_id, now=moment, clock=now)


@shared_task
def sweep() -> int:
    """Find everything that is due: approvals that ran out, changes to send, to settle, and abandoned ones."""
    done = int(send_due()) + int(settle_due())
    sweeper.swept(now=now())
    # Last: a row that cannot be ended must not keep a change from being verified.
    approvals.expire_waiting(now=now())
    return done


@shared_task
def send_due() -> int:
    return _each(sending.STATES, sending.send)


@shared_task
def settle_due() -> int:
    return _each(settling.STATES, settling.settle)


def _each(states: tuple[ChangeState, ...], do: Callable[..., datetime | None], limit: int = 100) -> int:
    """Take each due change a step on; how many were taken."""
    moment, begun, taken = now(), monotonic(), 0
    due = Change.everything.filter(
        Q(not_before__isnull=True) | Q(not_before__lte=moment),
        Q(lease_until__isnull=True) | Q(lease_until__lte=moment),
        state__in=[state.value for state in states],
    )
    due = due.exclude(uuid__in=strikes.names("change:"))
    ids = [str(uuid) for uuid in due.order_by(*_ORDER).values_list("uuid", flat=True)[:limit]]
    for change_id in ids:
        if monotonic() - begun > PASS:
            break
        taken += 1
        try:
            do(change_id, now=now(), clock=now)
        except Exception:
            # One change that cannot be moved must not keep the others from moving.
            log.exception("change %s could not be taken a step on", change_id)
    return taken


@shared_task
def sync_structure(ad_account_id: int) -> None:
    """Read the structure of one ad account (our id)."""
    account = AdAccount.everything.select_related("client", "connection").filter(pk=ad_account_id).first()
    if account is None or not account.enabled:
        return
    with strikes.trial(f"structure:{ad_account_id}", now=now()) as may:
        try:
            if may:
                sync.run(ad_account=account, now=now(), clock=now)
        except Refused as refusal:
            log.warning("structure of %s was not read: %s", account.act_id, refusal)


@shared_task
def sync_due() -> int:
    """Start a structure read of every account that is switched on (the schedule says how often)."""
    ids = list(
        AdAccount.everything.filter(enabled_at__isnull=False, archived_at__isnull=True).values_list(
            "pk", flat=True
        )
    )
    for ad_account_id in ids:
        sync_structure.delay(ad_account_id)
    return len(ids)


@shared_task
def erase() -> None:
    """Do this floor's part of what Meta users asked to have deleted."""
    erasure.sweep(now=now())
