"""What the campaigns floor does when something happened: it wakes the sender, or a structure read."""

from __future__ import annotations

from typing import Any, Final

from django.dispatch import receiver

import metaads.inbox as inbox
from accounts.leases import turn
from accounts.models import AdAccount
from campaigns.signals import change_recorded
from campaigns.states import ChangeState
from campaigns.tasks import advance, sync_structure
from metaads.clock import now
from metaads.signals import webhook_received

#: States from which a change goes on by itself, and after how many seconds it is due (None: at once).
MOVING: Final = {ChangeState.APPROVED: None, ChangeState.NOT_APPLIED: None, ChangeState.ACKED: 2.2}
#: Seconds between two reads of one account that notices ask for: a flood of them must not eat Meta's calls.
QUIET: Final = 120.0


@receiver(change_recorded, dispatch_uid="campaigns.wake_sender")
def wake_sender(change_id: str | None, state: str, **kwargs: Any) -> None:
    """Sent after commit, so the task finds what was written."""
    if change_id is not None and state in MOVING:
        advance.apply_async((change_id,), countdown=MOVING[ChangeState(state)])


@receiver(webhook_received, dispatch_uid="campaigns.wake_structure")
def wake_structure(
    delivery_id: int, object: str, fields: tuple[str, ...] = (), entries: tuple[str, ...] = (), **kwargs: Any
) -> None:
    """Meta says that something in an ad account changed, or the account itself (status, limit, owner): read its
    structure, which begins with the account's own row."""
    named = inbox.ad_accounts(delivery_id=delivery_id, kind=object, fields=fields, entries=entries)
    rows = AdAccount.everything.filter(meta_id__in=named, enabled_at__isnull=False, archived_at__isnull=True)
    for ad_account_id in rows.values_list("pk", flat=True):
        wait = turn(name=f"structure:{ad_account_id}", quiet=QUIET, now=now())
        if wait is not None:
            sync_structure.apply_async((ad_account_id,), countdown=wait or None)
