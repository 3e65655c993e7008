"""What the insights floor does when something happened: sync a new account, tell open pages."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from accounts.models import AdAccount
from accounts.signals import ad_account_enabled
from campaigns.signals import change_recorded
from insights.live import publish
from insights.signals import data_arrived
from insights.tasks import first_sync_account


@receiver(ad_account_enabled)
def sync_new_account(*, ad_account_id: int, **_: Any) -> None:
    first_sync_account.delay(ad_account_id)


@receiver(data_arrived)
def tell_of_rows(*, ad_account_id: int, **_: Any) -> None:
    account = AdAccount.everything.filter(pk=ad_account_id).first()
    if account is not None:
        publish(client_id=account.client_id, topic="insights", id=account.act_id)


@receiver(change_recorded)
def tell_of_change(*, change_id: str | None, client_id: int | None, **_: Any) -> None:
    publish(client_id=client_id, topic="change", id=str(change_id or "stop"))
