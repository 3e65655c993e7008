"""Ad accounts of a client: found again, switched on and off, and when Meta last answered for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

import accounts.access as access
import accounts.audit as audit
import accounts.claims as claims
import accounts.connections as connections
from accounts.errors import Conflict
from accounts.models import AdAccount, Client
from accounts.signals import ad_account_enabled
from accounts.tenancy import Principal

#: Meta's account_status, decoded (reference section 5.1). Only an active account can deliver.
STATUS: dict[int, str] = {
    1: "Active",
    2: "Disabled",
    3: "Unsettled",
    7: "Pending risk review",
    8: "Pending settlement",
    9: "In grace period",
    100: "Pending closure",
    101: "Closed",
    201: "Any active",
    202: "Any closed",
}
_HEARD_EVERY = timedelta(seconds=5)


def status_words(code: int) -> str:
    """Meta's number in words; an unlisted number is named, not guessed."""
    return STATUS.get(code, f"Status {code}")


def discover(*, client: Client, principal: Principal, now: datetime) -> tuple[AdAccount, ...]:
    """Ask Meta again what the client's connections can see, and store it. Nothing is switched on by itself."""
    access.require(principal, "connect", client)
    found: list[AdAccount] = []
    for connection in connections.live(client):
        found.extend(connections.rediscover(connection=connection, now=now).ad_accounts)
    return tuple(found)


def enable(*, ad_account: AdAccount, principal: Principal, now: datetime) -> AdAccount:
    """Switch the account on: it is synced and polled from now on. Enabling twice changes nothing.

    Raises `Conflict` without a connection or for an account that Meta has closed.
    """
    access.require(principal, "connect", ad_account.client_id)
    if ad_account.connection_id is None:
        raise Conflict(
            "No connection can see this ad account.",
            code="no_connection",
            advice="Connect a Meta user who can.",
        )
    if ad_account.account_status == 101:
        raise Conflict(
            "Meta has closed this ad account.", code="account_closed", advice="Nothing can run in it."
        )
    with transaction.atomic():
        rows = AdAccount.objects.of(ad_account.client_id).filter(pk=ad_account.pk, enabled_at__isnull=True)
        if rows.update(enabled_at=now, archived_at=None):
            audit.record(
                principal=principal,
                client=ad_account.client,
                verb="enable_ad_account",
                subject=ad_account.act_id,
                now=now,
            )
            pk = ad_account.pk
            transaction.on_commit(lambda: ad_account_enabled.send(sender=AdAccount, ad_account_id=pk))
    ad_account.refresh_from_db()
    return ad_account


def disable(*, ad_account: AdAccount, principal: Principal, now: datetime) -> AdAccount:
    """Switch the account off: no reads, no changes; its history stays."""
    access.require(principal, "connect", ad_account.client_id)
    with transaction.atomic():
        rows = AdAccount.objects.of(ad_account.client_id).filter(pk=ad_account.pk, enabled_at__isnull=False)
        if rows.update(enabled_at=None):
            audit.record(
                principal=principal,
                client=ad_account.client,
                verb="disable_ad_account",
                subject=ad_account.act_id,
                now=now,
            )
    ad_account.refresh_from_db()
    return ad_account


def heard(*, ad_account_id: int, now: datetime) -> None:
    """Report a good answer for the account (sync and fetch call this); the sentinel misses it when it stays out."""
    AdAccount.everything.filter(pk=ad_account_id).exclude(last_contact_at__gt=now - _HEARD_EVERY).update(
        last_contact_at=now
    )


def refresh_from(*, ad_account: AdAccount, row: Mapping[str, Any], now: datetime) -> AdAccount:
    """Store what a Graph row says about the account itself: name, status, currency, zone, spend."""
    claims.apply_row(ad_account, row)
    ad_account.last_contact_at = now
    ad_account.save(update_fields=[*claims.COPIED, "last_contact_at"])
    return ad_account
