"""What the campaigns floor does when something happened: it wakes the sender, or a structure read."""

from __future__ import annotations

from typing import Any, Final

from django.dispatch import receiver

from accounts.models import AdAccount
from campaigns.signals import change_recorded
from campaigns.states import ChangeState
from campaigns.tasks import advance, sync_structure
from metaads.signals import webhook_received

#: States from which a change goes on by itself, and after how many seconds it is due (None: at once).
MOVING: Final = {ChangeState.APPROVED: None, ChangeState.NOT_APPLIED: None, ChangeState.ACKED: 2.2}


@receiver(change_recorded, dispatch_uid="campaigns.wake_sender")
def wake_sender(change_id: str | None, state: str, **kwargs: Any) -> None:
    """Sent after commit, so the task finds what was written."""
    if change_id is not None and state in MOVING:
        advance.apply_async((change_id,), countdown=MOVING[ChangeState(state)])


@receiver(webhook_received, dispatch_uid="campaigns.wake_structure")
def wake_structure(object: str, entries: tuple[str, ...] = (), **kwargs: Any) -> None:
    """Meta says that something in an ad account changed: read its structure."""
    if object != "ad_account":
        return
    rows = AdAccount.everything.filter(meta_id__in=entries, enabled_at__isnull=False)
    for ad_account_id in rows.values_list("pk", flat=True):
        sync_structure.delay(ad_account_id)
