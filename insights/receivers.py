"""What the insights floor does when something happened: sync a new account, look again, tell open pages."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

import insights.poll as poll
import metaads.inbox as inbox
from accounts.models import AdAccount
from accounts.signals import access_changed, ad_account_enabled
from campaigns.signals import change_recorded
from insights.live import look_again, publish
from insights.signals import data_arrived
from insights.tasks import first_sync_account
from metaads.clock import now
from metaads.signals import webhook_received


@receiver(ad_account_enabled)
def sync_new_account(*, ad_account_id: int, **_: Any) -> None:
    first_sync_account.delay(ad_account_id)


@receiver(access_changed)
def let_sockets_look(**_: Any) -> None:
    """Every open page asks again whether it may go on; which of them are this person's the sockets know."""
    look_again()


@receiver(data_arrived)
def tell_of_rows(*, ad_account_id: int, **_: Any) -> None:
    account = AdAccount.everything.filter(pk=ad_account_id).first()
    if account is not None:
        publish(client_id=account.client_id, topic="insights", id=account.act_id)


@receiver(change_recorded)
def tell_of_change(*, change_id: str | None, client_id: int | None, **_: Any) -> None:
    publish(client_id=client_id, topic="change", id=str(change_id or "stop"))


@receiver(webhook_received, dispatch_uid="insights.wake_look")
def wake_look(
    *, delivery_id: int, object: str, fields: tuple[str, ...] = (), entries: tuple[str, ...] = (), **_: Any
) -> None:
    """Meta says that an ad account changed: it is looked at in the next tick. Nothing is read here."""
    named = inbox.ad_accounts(delivery_id=delivery_id, kind=object, fields=fields, entries=entries)
    rows = AdAccount.everything.filter(meta_id__in=named, enabled_at__isnull=False, archived_at__isnull=True)
    poll.wake(ad_account_ids=list(rows.values_list("pk", flat=True)), now=now())
