"""Ad accounts of a client: found again, switched on and off, put away, and when Meta last answered for them.

            enable ->                 archive ->
    off  <------------>  on      any <----------> archived, off
            <- disable               <- restore (off)

On: read, polled, may be changed. Off: nothing is asked and nothing is sent, all pages stay readable.
Archived: off, and out of every list as well. Rows, ledger and decisions stay, and its own page still opens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction

import accounts.access as access
import accounts.alerts as alerts
import accounts.audit as audit
import accounts.claims as claims
import accounts.connections as connections
from accounts.errors import Conflict, Invalid
from accounts.models import AdAccount, AuditLine, Client
from accounts.signals import ad_account_enabled
from accounts.tenancy import Principal

#: What a polling interval of its own may be.
LEAST_SECONDS: Final = 30
MOST_SECONDS: Final = 86_400
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
#: Meta's disable_reason, decoded (same section); 0 is none.
REASONS: Final[dict[int, str]] = {
    1: "ads integrity policy",
    2: "intellectual property review",
    3: "payment risk",
    4: "grey account shut down",
    5: "ad fraud review",
    6: "business integrity review",
    7: "closed for good",
    8: "unused reseller account",
    9: "unused account",
    10: "umbrella ad account",
    11: "business manager integrity policy",
    12: "misrepresented ad account",
    13: "legal entity of the business was unlinked",
    14: "review of a messaging thread",
    15: "compromised ad account",
}
#: What a person does about a status; any other one is looked up at Meta.
ADVICE: Final[dict[int, str]] = {
    2: "Its ads do not run. Open Account Quality at Meta, read the reason and ask for a review there.",
    3: "Its ads do not run until Meta is paid. Open Billing at Meta and pay what is due.",
    7: "Its ads do not run while Meta reviews the account. Open Account Quality at Meta and confirm what it asks for.",
    8: "A payment is still being settled, and its ads may stop. Open Billing at Meta and check the payment method.",
    9: "A payment failed and Meta waits a few days. Open Billing at Meta and pay before its ads stop.",
    100: "Somebody asked Meta to close it. If that is wrong, stop the closure in the ad account's settings at Meta.",
    101: "Nothing can run in it any more. Archive it here; its history stays.",
}
#: 7, 8 and 9 may still deliver for a while; 100 is closing, 201 and 202 are only filters of Meta's.
_BAD: Final = frozenset({2, 101})
#: Alerts about one ad account, by the beginning of their key.
ALERTS: Final = ("account-status", "silence")
_HEARD_EVERY: Final = timedelta(seconds=5)


@dataclass(frozen=True)
class StatusChange:
    """One change of an account's status at Meta: (status, reason) before and after, and when we saw it."""

    at: datetime
    before: tuple[int, int]
    after: tuple[int, int]


def status_words(code: int) -> str:
    """Meta's number in words; an unlisted number is named, not guessed."""
    return STATUS.get(code, f"Status {code}")


def reason_words(code: int) -> str:
    """Why Meta disabled it; "" for no reason, and an unlisted number is named."""
    return REASONS.get(code, f"reason {code}") if code else ""


def standing(status: int, reason: int = 0) -> str:
    """Status and reason in one phrase: "Disabled (payment risk)"."""
    why = reason_words(reason)
    return f"{status_words(status)} ({why})" if why else status_words(status)


def status_advice(status: int) -> str:
    """What to do about a status that is not active."""
    return ADVICE.get(status, "Its ads may not run. Look into Account Quality and Billing at Meta.")


def tone(status: int) -> str:
    """How bad a status is: ok, warn or bad."""
    return "ok" if status in (1, 201) else "bad" if status in _BAD else "warn"


def last_change(ad_account: AdAccount) -> StatusChange | None:
    """The latest change of the account's status at Meta; None when it never changed while we looked."""
    rows = AuditLine.objects.of(ad_account.client_id)
    line = rows.filter(verb=claims.STATUS_CHANGED, subject=ad_account.act_id).first()
    if line is None:
        return None
    before, after = tuple(line.detail["before"]), tuple(line.detail["after"])
    return StatusChange(line.at, before, after)


def discover(*, client: Client, principal: Principal, now: datetime) -> tuple[AdAccount, ...]:
    """Ask Meta again what the client's connections can see, and store it. Nothing is switched on by itself."""
    access.require(principal, "connect", client)
    found: list[AdAccount] = []
    for connection in connections.live(client):
        found.extend(connections.rediscover(connection=connection, now=now).ad_accounts)
    return tuple(found)


def enable(*, ad_account: AdAccount, principal: Principal, now: datetime) -> AdAccount:
    """Switch the account on: it is synced and polled from now on. Enabling twice changes nothing.

    Raises `Conflict` without a connection, for an archived account, or for one that Meta has closed.
    """
    access.require(principal, "connect", ad_account.client_id)
    if ad_account.archived_at is not None:
        raise Conflict(
            f"{ad_account.act_id} is archived.", code="ad_account_archived", advice="Restore it first."
        )
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
        rows = AdAccount.objects.of(ad_account.client_id).filter(
            pk=ad_account.pk, enabled_at__isnull=True, archived_at__isnull=True
        )
        if rows.update(enabled_at=now):
            _recorded(ad_account, principal, "enable_ad_account", now)
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
            _recorded(ad_account, principal, "disable_ad_account", now)
    ad_account.refresh_from_db()
    return ad_account


def archive(*, ad_account: AdAccount, principal: Principal, now: datetime) -> AdAccount:
    """Put the account away: switched off and out of every list. Nothing of its history is touched."""
    access.require(principal, "connect", ad_account.client_id)
    with transaction.atomic():
        rows = AdAccount.objects.of(ad_account.client_id).filter(pk=ad_account.pk, archived_at__isnull=True)
        if rows.update(archived_at=now, enabled_at=None):
            _recorded(ad_account, principal, "archive_ad_account", now)
            for kind in ALERTS:  # nobody waits for an account that was put away
                alerts.close(client=ad_account.client, key=f"{kind}:{ad_account.act_id}", now=now)
    ad_account.refresh_from_db()
    return ad_account


def restore(*, ad_account: AdAccount, principal: Principal, now: datetime) -> AdAccount:
    """Take the account back into the lists, switched off: reading starts when somebody switches it on."""
    access.require(principal, "connect", ad_account.client_id)
    with transaction.atomic():
        rows = AdAccount.objects.of(ad_account.client_id).filter(pk=ad_account.pk, archived_at__isnull=False)
        if rows.update(archived_at=None):
            _recorded(ad_account, principal, "restore_ad_account", now)
    ad_account.refresh_from_db()
    return ad_account


def look_every(seconds: int | None, *, ad_account: AdAccount, principal: Principal, now: datetime) -> None:
    """Give the account a polling interval of its own; None: the installation's."""
    access.require(principal, "connect", ad_account.client_id)
    if seconds is not None and not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        words = f"An ad account is looked at every {LEAST_SECONDS} to {MOST_SECONDS} seconds, not every {seconds}."
        advice = "Meta's own numbers move about every 15 minutes: 30 seconds is soon enough to see it."
        raise Invalid(
            words, code="poll_seconds", advice=advice, errors=[("poll_seconds", f"{words} {advice}")]
        )
    rows = AdAccount.objects.of(ad_account.client_id).filter(pk=ad_account.pk).exclude(poll_seconds=seconds)
    if rows.update(poll_seconds=seconds):
        _recorded(ad_account, principal, "set_polling_interval", now)


def archived(principal: Principal, *, client: Client | None = None) -> list[AdAccount]:
    """Ad accounts that were put away, by name."""
    rows = AdAccount.objects.for_(principal).select_related("client").filter(archived_at__isnull=False)
    if client is not None:
        rows = rows.filter(client=client)
    return list(rows.order_by("name"))


def _recorded(ad_account: AdAccount, principal: Principal, verb: str, now: datetime) -> None:
    audit.record(principal=principal, client=ad_account.client, verb=verb, subject=ad_account.act_id, now=now)


def heard(*, ad_account_id: int, now: datetime) -> None:
    """Report a good answer for the account (sync and fetch call this); the sentinel misses it when it stays out."""
    AdAccount.everything.filter(pk=ad_account_id).exclude(last_contact_at__gt=now - _HEARD_EVERY).update(
        last_contact_at=now
    )


def refresh_from(*, ad_account: AdAccount, row: Mapping[str, Any], now: datetime) -> AdAccount:
    """Store what a Graph row says about the account itself: name, status, currency, zone, spend."""
    claims.apply_row(ad_account, row)
    ad_account.last_contact_at = now
    with transaction.atomic():
        # As it stands now, not as it was loaded: two reads at once note one change.
        stored = AdAccount.objects.of(ad_account.client_id).select_for_update().get(pk=ad_account.pk)
        before = claims.status_of(stored)
        claims.note_status(ad_account, before=before, now=now)
        ad_account.save(update_fields=[*claims.COPIED, "last_contact_at"])
    return ad_account
