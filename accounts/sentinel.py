"""The watch over connections: checks tokens, and keeps one alert per trouble, opened and closed from what is stored.

tend   deletions that may be finished            -> done
       due connections -> validate (asks Meta)   -> states
       states, silence, statuses, notices        -> alerts (opened, renewed or closed; safe to run twice)
       grants, links and answers past their time -> deleted
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

import accounts.ad_accounts as ad_accounts
import accounts.alerts as alerts
import accounts.connections as connections
import accounts.deletions as deletions
import accounts.grants as grants
import accounts.idempotency as idempotency
from accounts.models import READABLE, AdAccount, ConnectionState, MetaConnection
from metaads.notices import open_notices

CHECK_EVERY: Final = timedelta(hours=24)
DOUBTFUL_EVERY: Final = timedelta(minutes=10)
#: After this long without one good answer for a switched-on account, a person should know.
SILENCE: Final = timedelta(hours=6)
_AT_ONCE: Final = 20
_CHECKED_STATES: Final = (*READABLE, ConnectionState.REAUTH_NEEDED)


def tend(*, now: datetime) -> int:
    """One round; how many connections were checked at Meta."""
    deletions.sweep(now=now)
    checked = check_due(now=now)
    reconcile(now=now)
    grants.sweep(now=now)
    idempotency.sweep(now=now)
    return checked


def check_due(*, now: datetime) -> int:
    """Re-validate connections unchecked for a day, doubtful ones for ten minutes; twenty a round."""
    due = Q(checked_at__isnull=True) | Q(checked_at__lt=now - CHECK_EVERY)
    doubtful = Q(state__in=(ConnectionState.DEGRADED, ConnectionState.REAUTH_NEEDED)) & Q(
        checked_at__lt=now - DOUBTFUL_EVERY
    )
    rows = MetaConnection.everything.filter(due | doubtful, state__in=_CHECKED_STATES).order_by("checked_at")
    due_now = list(rows[:_AT_ONCE])
    for row in due_now:
        connections.validate(connection=row, now=now)
    return len(due_now)


def reconcile(*, now: datetime) -> None:
    """Make the open alerts say what the stored states say."""
    for connection in MetaConnection.everything.select_related("client").defer("token"):
        _connection(connection, now)
    # Archived ones too: what was opened a moment before somebody archived them has to close.
    for account in AdAccount.everything.select_related("client", "connection"):
        _silence(account, now)
        _status(account, now)
    _notices(now)


def _connection(connection: MetaConnection, now: datetime) -> None:
    key = f"connection:{connection.uuid}"
    name = connection.meta_user_name or connection.meta_user_id
    reconnect = "Reconnect the Meta account on the connections page; changes rest until then."
    if connection.state == ConnectionState.REAUTH_NEEDED:
        title, advice, severity = (
            f"{name} has to be reconnected",
            f"{connection.reason} {reconnect}",
            "critical",
        )
    elif connection.state == ConnectionState.DEGRADED:
        title, severity = f"Meta doubts the connection of {name}", "warning"
        advice = "It is checked again every ten minutes; changes rest until it is good."
    elif connection.state == ConnectionState.EXPIRING:
        title, advice, severity = _expiring(connection, name, now)
    elif connection.state == ConnectionState.REVOKED and connection.reason == connections.REMOVED_AT_META:
        title, advice, severity = deletions.removed_title(name), deletions.REMOVED_ADVICE, "critical"
    else:
        alerts.close(client=connection.client, key=key, now=now)
        return
    alerts.open_(
        client=connection.client, key=key, title=title, advice=advice.strip(), severity=severity, now=now
    )


def _expiring(connection: MetaConnection, name: str, now: datetime) -> tuple[str, str, str]:
    ends = [end for end in (connection.expires_at, connection.data_access_expires_at) if end is not None]
    days = max(0, (min(ends) - now).days) if ends else 0
    title = f"The connection of {name} ends in {days} day{'s' if days != 1 else ''}"
    return title, "Reconnect the Meta account before that day.", "critical" if days <= 3 else "warning"


def _silence(account: AdAccount, now: datetime) -> None:
    key = f"silence:{account.act_id}"
    since = account.last_contact_at or account.enabled_at
    if not account.enabled or since is None or now - since < SILENCE:
        alerts.close(client=account.client, key=key, now=now)
        return
    hours = int((now - since).total_seconds() // 3600)
    alerts.open_(
        client=account.client,
        key=key,
        title=f"No answer for {account.name} in {hours} hours",
        advice="Its numbers are stale. Look at the connection and at Meta's status page.",
        severity="warning",
        now=now,
    )


def _status(account: AdAccount, now: datetime) -> None:
    """Open while Meta does not call the account active: what it is, what it was, and since when."""
    key = f"account-status:{account.act_id}"
    if not account.enabled or account.account_status == 1:
        alerts.close(client=account.client, key=key, now=now)
        return
    status, reason = account.account_status, account.disable_reason
    change = ad_accounts.last_change(account)
    since = ""
    if change is not None and change.after == (status, reason):
        since = (
            f"It was {ad_accounts.standing(*change.before).lower()} until {change.at:%d %b %Y %H:%M} UTC. "
        )
    alerts.open_(
        client=account.client,
        key=key,
        title=f"{account.name} is not active at Meta: {ad_accounts.standing(status, reason).lower()}",
        advice=f"{since}{ad_accounts.status_advice(status)}",
        severity="critical" if ad_accounts.tone(status) == "bad" else "warning",
        now=now,
    )


def _notices(now: datetime) -> None:
    """Meta's warnings (a version that is about to end) concern the installation: owners see them."""
    kinds = {notice.kind: notice for notice in open_notices()}
    for kind, notice in kinds.items():
        alerts.open_(
            client=None,
            key=f"notice:{kind}",
            title=f"Meta warns: {notice.text}",
            advice="Ask whoever runs this installation to look at META_GRAPH_VERSION and update.",
            severity="warning",
            now=now,
        )
    for kind in alerts.open_keys(prefix="notice:") - {f"notice:{kind}" for kind in kinds}:
        alerts.close(client=None, key=kind, now=now)
