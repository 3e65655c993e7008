"""What a token is, by Meta's word and by the calendar; and a fresh one before it ends.

inspect, facts       what `debug_token` says, and what is stored of it
state_at             its state by its two ends alone; an end that Meta does not name is none
renew                one exchange at a time (a lease) -> debug_token -> stored only over the row that was read

Nobody decrypts a stored token but `decrypted`.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import asdict
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django.conf import settings
from django.db.models import QuerySet

import accounts.claims as claims
import accounts.leases as leases
import metaads.gateway as gateway
from accounts.errors import Conflict, Forbidden, Invalid, NoConnection
from accounts.fields import Unreadable, bound
from accounts.models import READABLE, ConnectionState, MetaConnection
from metaads.clock import now as clock_now
from metaads.graph import oauth

log = logging.getLogger(__name__)

#: A connection with less than this left, which could not be renewed, is *expiring*; people are warned long before.
EXPIRING_BEFORE: Final = timedelta(days=3)
#: A token is renewed in the last third of its life, and in any case in its last two weeks.
RENEW_BEFORE: Final = timedelta(days=14)
_EXCHANGE_SECONDS: Final = 60.0


class Renewal(StrEnum):
    """What came of an exchange."""

    RENEWED = "renewed"
    UNCHANGED = "unchanged"  # Meta answered well, and the end has not moved
    BY_ANOTHER = "by_another"  # a newer token was stored already
    RUNNING = "running"  # somebody else is at it


# --- the stored token


def decrypted(connection: MetaConnection) -> str:
    """The token, decrypted now. One that is gone or is not this connection's own ends the connection and never
    leaves. Raises `NoConnection`."""
    try:
        token: str = connection.token
        if not token:  # disconnected, or given up with its key
            raise NoConnection("The connection's token was deleted.")
    except NoConnection as error:
        rows = same(connection).filter(state__in=READABLE)
        # Of a token that is gone all advice is to reconnect, which page and alert give anyway.
        reason = str(error) if isinstance(error, Unreadable) else error.message
        if rows.update(state=ConnectionState.REAUTH_NEEDED, reason=reason[:300]):
            log.error("connection %s rests: %s", connection.uuid, error.code)
            claims.hand_over_all(connection, now=clock_now())
        raise
    return token


def same(connection: MetaConnection) -> QuerySet[MetaConnection]:
    """The row, unless somebody reconnected or renewed it since it was read."""
    rows: QuerySet[MetaConnection] = MetaConnection.objects.of(connection.client_id).filter(
        pk=connection.pk, connected_at=connection.connected_at, refreshed_at=connection.refreshed_at
    )
    return rows


# --- what a token is


def inspect(token: str) -> oauth.TokenInfo:
    """What Meta says of a token. Raises a `Refused` for one that this installation cannot use, and a GraphError."""
    info = oauth.debug_token(gateway.transport(), token)
    if not info.is_valid:
        raise Invalid(
            "Meta says that this token is not valid.",
            code="token_invalid",
            advice=info.error or "Connect again.",
        )
    if info.app_id != settings.META["app_id"]:
        raise Invalid(
            "This token belongs to another Meta app.",
            code="token_of_other_app",
            advice=f"Make a token with the app {settings.META['app_id']}.",
        )
    if not set(claims.READ_SCOPES) & set(info.scopes):
        raise Forbidden(
            "The permission to read ads was not given.",
            code="connect_scope_declined",
            advice="Connect again and leave ads_read switched on; without ads_management it will be read-only.",
        )
    return info


def facts(info: oauth.TokenInfo) -> dict[str, Any]:
    """What is stored of it. `expires_in` of an exchange is never used: Meta leaves it out for tokens that have an
    end all the same, the end of the access to data."""
    return {
        "kind": (info.type or "USER")[:12],
        "scopes": list(info.scopes),
        "granular_scopes": [asdict(scope) for scope in info.granular_scopes],
        "expires_at": info.expires_at,
        "data_access_expires_at": info.data_access_expires_at,
    }


def state_at(
    expires_at: datetime | None, data_access_expires_at: datetime | None, *, now: datetime
) -> ConnectionState:
    """The state of a good token by its two ends alone; an end that Meta does not name is none."""
    ends = [end for end in (expires_at, data_access_expires_at) if end is not None]
    if any(end <= now for end in ends):
        return ConnectionState.REAUTH_NEEDED
    near = any(end - now < EXPIRING_BEFORE for end in ends)
    return ConnectionState.EXPIRING if near else ConnectionState.CONNECTED


def why_expiring(
    expires_at: datetime | None, data_access_expires_at: datetime | None, *, now: datetime
) -> str:
    """For a person: which of the two ends is near, and what helps; "" while neither is."""
    if state_at(expires_at, data_access_expires_at, now=now) != ConnectionState.EXPIRING:
        return ""
    if expires_at is not None and (data_access_expires_at is None or expires_at <= data_access_expires_at):
        return f"Its token ends on {expires_at:%d %b %Y} and could not be renewed."
    return (
        f"Meta's access to data ends on {data_access_expires_at:%d %b %Y}; only connecting again extends it."
    )


# --- renewing


def renewal_due(connection: MetaConnection, *, now: datetime) -> bool:
    """Whether the token nears its end: the last third of its life, or two weeks. Access to data is not renewed so."""
    if connection.state not in READABLE or connection.held or connection.expires_at is None:
        return False
    left = connection.expires_at - now
    life = connection.expires_at - (connection.refreshed_at or connection.connected_at)
    return timedelta(0) < left < max(life / 3, RENEW_BEFORE)


def renew(*, connection: MetaConnection, now: datetime, instead_of: str | None = None) -> Renewal:
    """Exchange the connection's token for a fresh one; two at once make one exchange.

    `instead_of` is a token that was refused: where another one is stored by now, that one is it. Raises GraphError,
    `quota.Blocked` or a `Refused`; then nothing has changed.
    """
    name, holder = f"refresh:{connection.uuid}", uuid.uuid4().hex
    if leases.take(name=name, holder=holder, seconds=_EXCHANGE_SECONDS, now=now) is None:
        return Renewal.RUNNING
    try:
        row = MetaConnection.objects.of(connection.client_id).get(pk=connection.pk)
        if row.state not in READABLE or row.held:
            raise NoConnection("This connection cannot be refreshed any more.")
        old = decrypted(row)
        moved = (row.connected_at, row.refreshed_at) != (connection.connected_at, connection.refreshed_at)
        if moved or (instead_of is not None and old != instead_of):
            return Renewal.BY_ANOTHER
        return _exchanged(row, old, now)
    finally:
        leases.release(name=name, holder=holder, now=now)


def _exchanged(row: MetaConnection, old: str, now: datetime) -> Renewal:
    system_user = row.kind == "SYSTEM_USER"
    token = old
    if not system_user or row.expires_at is not None:  # a system user's token without an end has no exchange
        token = oauth.long_lived(gateway.transport(), old, system_user=system_user).access_token
    info = inspect(token)
    if info.user_id and info.user_id != row.meta_user_id:
        raise Conflict("Meta gave a token of another user.", code="refresh_wrong_user")
    ends = (info.expires_at, info.data_access_expires_at)
    stored = (
        same(row)
        .filter(state__in=READABLE)
        .update(
            **facts(info),
            token=bound(row, token),
            state=state_at(*ends, now=now),
            reason=why_expiring(*ends, now=now),
            auth_failures=0,
            checked_at=now,
            refreshed_at=now,
        )
    )
    if not stored:
        return Renewal.BY_ANOTHER  # somebody reconnected, or ended it, while Meta was asked
    claims.hand_over_all(row, now=now)
    if row.expires_at is None or info.expires_at is None or info.expires_at > row.expires_at:
        return Renewal.RENEWED
    if token != old and info.expires_at - now > RENEW_BEFORE:
        return Renewal.RENEWED  # exchanged twice in one second
    log.warning("connection %s: Meta answered the exchange, but the end has not moved", row.uuid)
    return Renewal.UNCHANGED
