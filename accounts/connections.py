"""Connections to Meta from the first yes to the last no; the use of their tokens is `accounts.tokens`.

establish   exchange -> debug_token -> me -> ad accounts (all pages)  | asks Meta, no transaction
            -> MetaConnection + AdAccounts + GrantedAssets            | one transaction
rediscover  the ad accounts that it sees now                          validate   what Meta says of the token
refresh     a fresh token, asked for by a person                      renew_due  the same, before its end

connected <-> degraded, expiring -> reauth_needed   what calls teach: see `accounts.tokens`
connected -> expiring                               less than three days left, and not renewed
reauth_needed -> connected                          validate (solved at facebook.com) or connect
connected, degraded, expiring <-> paused            a person
any -> revoked                                      disconnect, or the app was removed at Facebook
any -> deleting                                     deletion was asked for
revoked, deleting -> connected                      only connect
"""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, transaction

import accounts.access as access
import accounts.audit as audit
import accounts.claims as claims
import accounts.leases as leases
import accounts.renewal as renewal
import metaads.gateway as gateway
from accounts.claims import Established, claim, meta_id_of
from accounts.errors import (
    Conflict,
    Invalid,
    NoConnection,
    NotFound,
    Refused,
    TooMany,
    Unavailable,
)
from accounts.fields import Unreadable
from accounts.models import (
    READABLE,
    Client,
    ConnectionState,
    MetaConnection,
    PendingGrant,
    User,
)
from accounts.renewal import Renewal
from accounts.tenancy import Principal
from metaads.graph import fields as asked
from metaads.graph import oauth
from metaads.graph.errors import (
    AuthFailed,
    GraphError,
    NotPermitted,
    Throttled,
    Transient,
    Unknown,
    passing,
)
from metaads.graph.errors import Refused as MetaRefused
from metaads.quota import Blocked

log = logging.getLogger(__name__)

REMOVED_AT_META: Final = "The app was removed at Facebook."
WRITE_SCOPE: Final = claims.WRITE_SCOPE
DAILY: Final = "daily:"
_HOUR: Final = 3600.0


@dataclass(frozen=True)
class Preview:
    """What a token is, before anything is stored. `rows` are Graph's ad accounts as `fields.AD_ACCOUNT` lists them."""

    meta_user_id: str
    meta_user_name: str
    scopes: tuple[str, ...]
    missing: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    kind: str = "USER"
    granular_scopes: tuple[Mapping[str, Any], ...] = ()
    expires_at: datetime | None = None
    data_access_expires_at: datetime | None = None


def redirect_uri() -> str:
    """The OAuth redirect, exactly as it is to be entered in the Meta app's settings."""
    return f"{settings.PUBLIC_URL}{settings.META['redirect_path']}"


def requests_session() -> Any:
    """A session for allauth's three OAuth calls, through the product's one door to Meta."""
    return gateway.requests_session()


def require_app() -> None:
    """Raise `Invalid` while the installation has no Meta app."""
    if not settings.META["app_id"] or not settings.META["app_secret"]:
        raise Invalid(
            "This installation has no Meta app yet.",
            code="no_meta_app",
            advice="Set META_APP_ID and META_APP_SECRET (in .env or the environment) and start again.",
        )


# --- connecting


def exchange(*, code: str) -> str:
    """The token for the code of Meta's dialog. Raises a `Refused`; `meta_refused` when Meta does not know the code."""
    require_app()
    with _words_for_people():
        return oauth.exchange_code(gateway.transport(), code, redirect_uri=redirect_uri()).access_token


def whose(*, token: str) -> dict[str, Any]:
    """The Meta user of a token: {"id": digits, "name": text}. Raises a `Refused`."""
    with _words_for_people():
        return oauth.me(gateway.transport(), token)


def preview(*, token: str) -> Preview:
    """Ask Meta whose token it is and what it may see. Stores nothing.

    Raises a `Refused` that names the cause: not of this app, no scope to read, no ad account, Meta down.
    """
    require_app()
    with _words_for_people():
        info = renewal.inspect(token)
        person = oauth.me(gateway.transport(), token)
        rows = _some_ad_account(token)
    missing = tuple(scope for scope in settings.META["scopes"] if scope not in info.scopes)
    facts = renewal.facts(info)
    return Preview(
        person["id"],
        person["name"],
        info.scopes,
        missing,
        rows,
        kind=facts["kind"],
        granular_scopes=tuple(facts["granular_scopes"]),
        expires_at=info.expires_at,
        data_access_expires_at=info.data_access_expires_at,
    )


def connect(
    *, client: Client, principal: Principal, token: str, now: datetime, user: User | None = None
) -> MetaConnection:
    """Store a token of `client` (a person's or a system user's) with the ad accounts that it sees."""
    return establish(client=client, principal=principal, token=token, user=user, now=now).connection


def establish(
    *,
    client: Client,
    principal: Principal,
    token: str,
    now: datetime,
    user: User | None = None,
    expected_user: str | None = None,
) -> Established:
    """Exchange, verify, discover, then store all of it in one transaction.

    `expected_user` is the Meta user that the person confirmed. An ad account of another client is left with
    that client and named in `foreign`; when there is no other, `Conflict` and nothing is stored.
    """
    access.require(principal, "connect", client)
    require_app()
    with _words_for_people():
        info = renewal.inspect(token)
        if info.type != "SYSTEM_USER":  # a system user's token is long-lived already and has no exchange
            token = oauth.long_lived(gateway.transport(), token).access_token
            info = renewal.inspect(token)
        person = oauth.me(gateway.transport(), token)
        rows = _some_ad_account(token)
    if expected_user is not None and person["id"] != expected_user:
        raise Conflict("Meta names another user now than the one you confirmed.", code="connect_wrong_user")
    with _one_claim_at_a_time(), transaction.atomic():
        connection, _ = MetaConnection.objects.of(client).update_or_create(
            client=client,
            meta_user_id=person["id"],
            defaults={
                **renewal.facts(info),
                "meta_user_name": person["name"][:200],
                "token": token,
                "state": renewal.state_at(info.expires_at, info.data_access_expires_at, now=now),
                "reason": renewal.why_expiring(info.expires_at, info.data_access_expires_at, now=now),
                "held": False,
                "refreshed_at": now,
                "auth_failures": 0,
                "checked_at": now,
                "connected_by": user,
                "connected_at": now,
            },
        )
        made = claim(connection, rows, now=now)
        if not made.ad_accounts:
            raise all_claimed(made.foreign)
        audit.record(
            principal=principal,
            client=client,
            verb="connect",
            subject=f"{connection.meta_user_name[:60]} ({connection.meta_user_id})",
            now=now,
            scopes=connection.scopes,
            ad_accounts=[account.act_id for account in made.ad_accounts],
            refused=list(made.foreign),
        )
    leases.take(name=daily_name(connection), holder=uuid.uuid4().hex, seconds=24 * _HOUR, now=now)
    return made


def all_claimed(act_ids: Sequence[str]) -> Refused:
    """The refusal when every ad account (`act_1`) that a token sees is held by other clients."""
    return Conflict(
        f"Another client holds {', '.join(act_ids)}.",
        code="ad_account_claimed",
        advice="An ad account belongs to one client, with all of its history. Connect this Facebook user to that"
        " client, or one who sees other ad accounts to this.",
    )


def rediscover(*, connection: MetaConnection, now: datetime) -> Established:
    """Ask again which ad accounts a live connection sees: new ones are stored, switched off; what it sees no more
    is noted, and read and written by another connection of the client, if there is one."""
    with _words_for_people():
        token = renewal.decrypted(connection)
        # Everything gone at once: Meta answers so, too, when it has a bad minute. Two reads have to say it.
        rows = _ad_account_rows(token) or _ad_account_rows(token)
    with transaction.atomic():
        return claim(connection, rows, now=now)


def _ad_account_rows(token: str) -> tuple[Mapping[str, Any], ...]:
    reads = gateway.client(token=token, ad_account=None, use="read")
    return tuple(
        row for row in reads.edge("me", "adaccounts", fields=asked.AD_ACCOUNT, limit=100) if meta_id_of(row)
    )


def _some_ad_account(token: str) -> tuple[Mapping[str, Any], ...]:
    rows = _ad_account_rows(token)
    if not rows:
        raise Conflict(
            "This Meta user has no ad account.",
            code="connect_no_ad_accounts",
            advice="Have them added to an ad account in Meta Business settings, or connect another Meta user.",
        )
    return rows


# --- looking after a connection


def live(client: Client) -> list[MetaConnection]:
    """Connections of the client that can read now."""
    return list(MetaConnection.objects.of(client).filter(state__in=READABLE, held=False).order_by("pk"))


def of(principal: Principal, *, client: Client | None = None) -> list[MetaConnection]:
    """Connections that `principal` may see; the token column is not loaded."""
    rows = MetaConnection.objects.for_(principal).select_related("client", "connected_by").defer("token")
    if client is not None:
        rows = rows.filter(client=client)
    return list(rows.order_by("client__name", "meta_user_name"))


def get(principal: Principal, uuid: Any, *, verb: str = "view") -> MetaConnection:
    """One connection by its UUID, if the principal may do `verb` at its client."""
    row = MetaConnection.objects.for_(principal).select_related("client").filter(uuid=uuid).first()
    if row is None:
        raise NotFound("There is no such connection.")
    access.require(principal, verb, row.client)
    connection: MetaConnection = row
    return connection


def validate(*, connection: MetaConnection, now: datetime) -> MetaConnection:
    """Ask Meta about the token and follow its answer; a Meta that does not answer changes nothing.

    Heals as well as ends: a checkpoint that the person has solved at facebook.com makes the token good again.
    """
    if connection.state in (ConnectionState.REVOKED, ConnectionState.DELETING):
        return connection
    rows = MetaConnection.objects.of(connection.client_id).filter(pk=connection.pk)
    try:
        info = oauth.debug_token(gateway.transport(), renewal.decrypted(connection))
    except (GraphError, Blocked) as error:
        log.warning("connection %s could not be checked: %s", connection.uuid, error)
        return connection
    except NoConnection:
        # Nothing to ask with. The next look is as far away as after an answer, and other rows get their turn.
        rows.update(checked_at=now)
        connection.refresh_from_db(fields=["state", "reason", "checked_at"])
        return connection
    if not info.is_valid and passing(info.error_code):
        log.warning("connection %s could not be checked: %s", connection.uuid, info.error)
        return connection
    # Whoever reconnected, renewed or ended it meanwhile knows more than this answer.
    same = rows.filter(
        state=connection.state, connected_at=connection.connected_at, refreshed_at=connection.refreshed_at
    )
    same.update(**_checked(connection, info, now), held=False, checked_at=now)
    connection.refresh_from_db()
    claims.hand_over_all(connection, now=now)
    return connection


def _checked(connection: MetaConnection, info: oauth.TokenInfo, now: datetime) -> dict[str, Any]:
    """What an answer of `debug_token` makes of the row."""
    if not info.is_valid or info.app_id != settings.META["app_id"]:
        reason = (info.error or "Meta says that the token is not valid.")[:300]
        return {"state": ConnectionState.REAUTH_NEEDED, "reason": reason}
    known = renewal.facts(info)
    state = renewal.state_at(info.expires_at, info.data_access_expires_at, now=now)
    if connection.state == ConnectionState.PAUSED:
        return {**known, "auth_failures": 0}
    if not set(claims.READ_SCOPES) & set(info.scopes):
        reason = "The permission to read ads was taken back at Facebook."
        return {**known, "state": ConnectionState.REAUTH_NEEDED, "reason": reason}
    if state == ConnectionState.REAUTH_NEEDED:
        reason = "The grant has run out at Meta."
    else:
        reason = renewal.why_expiring(info.expires_at, info.data_access_expires_at, now=now)
    return {**known, "state": state, "reason": reason, "auth_failures": 0}


def daily_name(connection: MetaConnection) -> str:
    """The lease that says: looked after today."""
    return f"{DAILY}{connection.uuid}"


def look_after(*, connection: MetaConnection, now: datetime) -> MetaConnection:
    """Validate; and once a day look which ad accounts the connection sees. Nothing is raised for what Meta says."""
    connection = validate(connection=connection, now=now)
    if connection.checked_at != now or connection.state not in READABLE or connection.held:
        return connection
    name, holder = daily_name(connection), uuid.uuid4().hex
    if leases.take(name=name, holder=holder, seconds=24 * _HOUR, now=now) is None:
        return connection
    try:
        rediscover(connection=connection, now=now)
    except (Refused, IntegrityError) as no:
        log.warning("connection %s: its ad accounts could not be listed: %s", connection.uuid, no)
        leases.take(name=name, holder=holder, seconds=_HOUR, now=now)
    return connection


def note_end(*, connection: MetaConnection, now: datetime) -> None:
    """From *connected* to *expiring* by the calendar alone: Meta need not be asked for that."""
    ends = (connection.expires_at, connection.data_access_expires_at)
    if renewal.state_at(*ends, now=now) == ConnectionState.EXPIRING:
        rows = MetaConnection.objects.of(connection.client_id).filter(
            pk=connection.pk, state=ConnectionState.CONNECTED, connected_at=connection.connected_at
        )
        same = rows.filter(expires_at=ends[0], data_access_expires_at=ends[1])
        same.update(state=ConnectionState.EXPIRING, reason=renewal.why_expiring(*ends, now=now))


def renew_due(*, connection: MetaConnection, now: datetime) -> bool:
    """Renew the token if its end is near, at most once a day (after a Meta that does not answer, once an hour).
    True when it was renewed; nothing is raised."""
    if not renewal.renewal_due(connection, now=now):
        return False
    name, holder = f"renewal:{connection.uuid}", uuid.uuid4().hex
    if leases.take(name=name, holder=holder, seconds=_HOUR, now=now) is None:
        return False
    try:
        came = renewal.renew(connection=connection, now=now)
    except (Blocked, GraphError) as error:
        log.warning("connection %s was not renewed: %s", connection.uuid, error)
        if isinstance(error, Blocked | Throttled | Transient | Unknown):
            return False
        came = None
    except Refused as no:
        log.warning("connection %s was not renewed: %s", connection.uuid, no)
        came = None
    leases.take(name=name, holder=holder, seconds=24 * _HOUR, now=now)
    connection.refresh_from_db()
    return came is Renewal.RENEWED


def refresh(*, connection: MetaConnection, principal: Principal, now: datetime) -> MetaConnection:
    """Exchange the token for a fresh long-lived one. Two at once make one exchange: the second is refused.

    Raises `Conflict` (code refresh_unchanged) when Meta answered well and gave no longer life.
    """
    access.require(principal, "connect", connection.client)
    if connection.state not in READABLE or connection.held:
        raise NoConnection("This connection cannot be refreshed any more.")
    with _words_for_people():
        came = renewal.renew(connection=connection, now=now)
    if came is Renewal.RUNNING:
        raise Conflict("This connection is being refreshed right now.", code="refresh_running", retry_after=5)
    audit.record(
        principal=principal,
        client=connection.client,
        verb="refresh_connection",
        subject=str(connection.uuid),
        now=now,
        outcome=came.value,
    )
    connection.refresh_from_db()
    if came is Renewal.UNCHANGED:
        raise Conflict(
            "Meta answered, but the connection does not last any longer than before.",
            code="refresh_unchanged",
            advice="Reconnect the Meta account: that starts its time anew.",
        )
    return connection


def pause(*, connection: MetaConnection, principal: Principal, now: datetime) -> MetaConnection:
    """Let a live connection rest: no read, no change, no renewal until somebody resumes it. Twice changes nothing."""
    access.require(principal, "connect", connection.client)
    rows = MetaConnection.objects.of(connection.client_id).filter(pk=connection.pk)
    name = f"Paused by {principal.name} on {now:%d %b %Y}."[:300]
    if rows.filter(state__in=READABLE).update(state=ConnectionState.PAUSED, reason=name):
        _audited(connection, principal, "pause_connection", now)
    connection.refresh_from_db()
    if connection.state != ConnectionState.PAUSED:
        words = ConnectionState(connection.state).label.lower()
        raise Conflict(
            f"This connection is in the state “{words}”: there is nothing to pause.",
            code="not_pausable",
            advice="Only a live connection can be paused.",
        )
    return connection


def resume(*, connection: MetaConnection, principal: Principal, now: datetime) -> MetaConnection:
    """Use a paused connection again; Meta is asked about it at once. Twice changes nothing."""
    access.require(principal, "connect", connection.client)
    rows = MetaConnection.objects.of(connection.client_id).filter(pk=connection.pk)
    expires_at, access_ends = connection.expires_at, connection.data_access_expires_at
    state = renewal.state_at(expires_at, access_ends, now=now)
    over = "The grant has run out at Meta."
    reason = (
        over
        if state == ConnectionState.REAUTH_NEEDED
        else renewal.why_expiring(expires_at, access_ends, now=now)
    )
    # Without `checked_at` the next round asks Meta, should it not answer now.
    fresh = {"state": state, "reason": reason, "auth_failures": 0, "checked_at": None}
    if rows.filter(state=ConnectionState.PAUSED).update(**fresh):
        _audited(connection, principal, "resume_connection", now)
        connection.refresh_from_db()
        return validate(connection=connection, now=now)
    connection.refresh_from_db()
    if connection.state not in READABLE:
        words = ConnectionState(connection.state).label.lower()
        raise Conflict(
            f"This connection is in the state “{words}”: it is not paused.",
            code="not_paused",
            advice="Connect the Meta account again.",
        )
    return connection


def _audited(connection: MetaConnection, principal: Principal, verb: str, now: datetime) -> None:
    audit.record(
        principal=principal, client=connection.client, verb=verb, subject=str(connection.uuid), now=now
    )


def disconnect(*, connection: MetaConnection, principal: Principal, now: datetime) -> bool:
    """End a connection: here at once, then at Meta. True if the grant is gone at Meta as well.

    Meta's revocation ends every token of that Meta user for our app; while another client still uses the same
    user, it is left standing there. The token is deleted here in any case.
    """
    access.require(principal, "connect", connection.client)
    try:
        token: str = connection.token
    except Unreadable:
        token = ""  # it goes all the same; Meta's side is left to the person
    rows = MetaConnection.objects.of(connection.client_id).filter(pk=connection.pk)
    # What is to be deleted stays so: the sweep looks for that state.
    rows.exclude(state=ConnectionState.DELETING).update(
        state=ConnectionState.REVOKED, reason="Disconnected here.", token="", checked_at=now
    )
    audit.record(
        principal=principal,
        client=connection.client,
        verb="disconnect",
        subject=str(connection.uuid),
        now=now,
    )
    connection.refresh_from_db()
    claims.hand_over_all(connection, now=now)
    shared = MetaConnection.everything.filter(
        meta_user_id=connection.meta_user_id, state__in=(*READABLE, ConnectionState.PAUSED)
    ).exists()
    if not token or shared:
        return False
    try:
        oauth.revoke(gateway.transport(), token)
    except GraphError as error:
        log.warning("connection %s was not revoked at Meta: %s", connection.uuid, error)
        return isinstance(error, AuthFailed)  # a dead token is what we wanted
    return True


def ended_at_meta(*, meta_user_id: str, deleting: bool, now: datetime) -> list[MetaConnection]:
    """The Meta user removed our app, or wants to be forgotten: every connection and waiting grant of theirs ends
    here, at every client, and the tokens go. Returns the connections that ended, as they were (without tokens)."""
    rows = MetaConnection.everything.filter(meta_user_id=meta_user_id)
    ended = {"token": "", "checked_at": now}
    PendingGrant.everything.filter(meta_user_id=meta_user_id).delete()
    if deleting:
        had = list(rows.select_related("client").defer("token"))
        rows.update(
            state=ConnectionState.DELETING, reason="Deletion was asked for.", meta_user_name="", **ended
        )
    else:
        rows = rows.exclude(state=ConnectionState.DELETING)
        had = list(rows.select_related("client").defer("token"))
        rows.update(state=ConnectionState.REVOKED, reason=REMOVED_AT_META, **ended)
    for connection in had:
        claims.hand_over_all(connection, now=now)
    return had


@contextlib.contextmanager
def _one_claim_at_a_time() -> Iterator[None]:
    """Two that connect the same ad accounts at once: the unique columns let one through."""
    try:
        yield
    except IntegrityError:
        raise Conflict(
            "The same accounts are being connected by somebody else right now.",
            code="connect_at_once",
            advice="Try again.",
        ) from None


@contextlib.contextmanager
def _words_for_people() -> Iterator[None]:
    """Turn what Meta answered into a refusal with a next step; nothing was stored yet."""
    try:
        yield
    except GraphError as error:
        raise _refusal(error) from None
    except Blocked as error:
        raise TooMany("Meta's call limit is reached.", advice=str(error), retry_after=60) from None


def _refusal(error: GraphError) -> Refused:
    answer = error.answer
    words = answer.user_message or answer.message or "Meta refused."
    if isinstance(error, AuthFailed):
        return Conflict(
            f"Meta does not accept this token: {words}", code="token_invalid", advice=answer.advice
        )
    if isinstance(error, Throttled):
        return TooMany("Meta's call limit is reached.", advice=answer.advice, retry_after=error.retry_after)
    if isinstance(error, NotPermitted | MetaRefused):
        return Invalid(f"Meta refused: {words}", code="meta_refused", advice=answer.advice)
    return Unavailable(
        "Meta did not answer.",
        code="connect_meta_down",
        advice="Try again in a few minutes. Nothing was stored.",
    )
