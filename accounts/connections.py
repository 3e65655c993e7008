"""Connections to Meta: the only module that holds a token, and the state of each.

establish   exchange -> debug_token -> me -> ad accounts (all pages)  | asks Meta, no transaction
            -> MetaConnection + AdAccounts                            | one transaction
reader / write_token   a token for one ad account, decrypted now, for this call only
worked / auth_failed   what a call taught us          validate   what Meta says of the token

connected | expiring | degraded -> reauth_needed    one definite subcode (190/458, 460, 463, 464, 467), or
                                                    a second unclear auth answer more than 30 s later;
                                                    5xx, 429 and time-outs never count
degraded -> connected     a good answer             reauth_needed -> connected     validate or connect
any -> revoked            disconnect, or the app was removed at Facebook
any -> deleting           deletion was asked for    revoked, deleting -> connected only connect
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q

import accounts.access as access
import accounts.audit as audit
import accounts.leases as leases
import metaads.gateway as gateway
from accounts.claims import Established, claim, meta_id_of
from accounts.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NoConnection,
    NotFound,
    Refused,
    TooMany,
    Unavailable,
)
from accounts.fields import Unreadable, bound
from accounts.models import (
    READABLE,
    WRITABLE,
    AdAccount,
    Client,
    ConnectionState,
    MetaConnection,
    PendingGrant,
    User,
)
from accounts.tenancy import Principal
from metaads.graph import fields as asked
from metaads.graph import oauth
from metaads.graph.client import GraphClient
from metaads.graph.errors import AuthFailed, GraphError, NotPermitted, Throttled
from metaads.graph.errors import Refused as MetaRefused
from metaads.quota import Blocked

log = logging.getLogger(__name__)

WARN_BEFORE: Final = timedelta(days=14)
_AGAIN_AFTER: Final = timedelta(seconds=30)
_NOTE_EVERY: Final = timedelta(minutes=5)
REMOVED_AT_META: Final = "The app was removed at Facebook."
#: One of these makes a connection worth having; the first alone gives a read-only one.
READ_SCOPES: Final = frozenset({"ads_read", "ads_management"})
WRITE_SCOPE: Final = "ads_management"


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


def preview(*, token: str) -> Preview:
    """Ask Meta whose token it is and what it may see. Stores nothing.

    Raises a `Refused` that names the cause: not of this app, no scope to read, no ad account, Meta down.
    """
    require_app()
    with _words_for_people():
        info = _inspect(token)
        person = oauth.me(gateway.transport(), token)
        rows = _ad_account_rows(token)
    missing = tuple(scope for scope in settings.META["scopes"] if scope not in info.scopes)
    facts = _facts(info)
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
        info = _inspect(token)
        if info.type != "SYSTEM_USER":  # a system user's token is long-lived already and has no exchange
            token = oauth.long_lived(gateway.transport(), token).access_token
            info = _inspect(token)
        person = oauth.me(gateway.transport(), token)
        rows = _ad_account_rows(token)
    if expected_user is not None and person["id"] != expected_user:
        raise Conflict("Meta names another user now than the one you confirmed.", code="connect_wrong_user")
    with _one_claim_at_a_time(), transaction.atomic():
        connection, _ = MetaConnection.objects.of(client).update_or_create(
            client=client,
            meta_user_id=person["id"],
            defaults={
                **_facts(info),
                "meta_user_name": person["name"][:200],
                "token": token,
                "state": _state(info, now),
                "reason": "",
                "auth_failures": 0,
                "checked_at": now,
                "connected_by": user,
                "connected_at": now,
            },
        )
        made = claim(connection, rows, now=now)
        if not made.ad_accounts:
            raise Conflict(
                f"Another client holds {', '.join(made.foreign)}.",
                code="ad_account_claimed",
                advice="An ad account belongs to one client. Disconnect it there first, or connect other accounts.",
            )
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
    return made


def rediscover(*, connection: MetaConnection, now: datetime) -> Established:
    """Ask again which ad accounts a live connection sees; new ones are stored, switched off."""
    with _words_for_people():
        rows = _ad_account_rows(_token(connection))
    with transaction.atomic():
        return claim(connection, rows, now=now)


def _inspect(token: str) -> oauth.TokenInfo:
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
    if not READ_SCOPES & set(info.scopes):
        raise Forbidden(
            "The permission to read ads was not given.",
            code="connect_scope_declined",
            advice="Connect again and leave ads_read switched on; without ads_management it will be read-only.",
        )
    return info


def _ad_account_rows(token: str) -> tuple[Mapping[str, Any], ...]:
    reads = gateway.client(token=token, ad_account=None, use="read")
    rows = tuple(
        row for row in reads.edge("me", "adaccounts", fields=asked.AD_ACCOUNT, limit=100) if meta_id_of(row)
    )
    if not rows:
        raise Conflict(
            "This Meta user has no ad account.",
            code="connect_no_ad_accounts",
            advice="Have them added to an ad account in Meta Business settings, or connect another Meta user.",
        )
    return rows


def _facts(info: oauth.TokenInfo) -> dict[str, Any]:
    return {
        "kind": (info.type or "USER")[:12],
        "scopes": list(info.scopes),
        "granular_scopes": [asdict(scope) for scope in info.granular_scopes],
        "expires_at": info.expires_at,
        "data_access_expires_at": info.data_access_expires_at,
    }


def _state(info: oauth.TokenInfo, now: datetime) -> ConnectionState:
    ends = [end for end in (info.expires_at, info.data_access_expires_at) if end is not None]
    if any(end <= now for end in ends):
        return ConnectionState.REAUTH_NEEDED
    return (
        ConnectionState.EXPIRING
        if any(end - now < WARN_BEFORE for end in ends)
        else ConnectionState.CONNECTED
    )


# --- using a token


def reader(ad_account: AdAccount, *, use: str = "read") -> GraphClient:
    """Reads of one ad account with its own connection's token, decrypted for this client only."""
    connection = _connection_of(ad_account, READABLE)
    return gateway.client(token=_token(connection), ad_account=ad_account.meta_id, use=use)


def write_token(ad_account: AdAccount) -> str:
    """The token for one write. Raises `NoConnection` unless connected, allowed to write, and switched on."""
    connection = _connection_of(ad_account, WRITABLE)
    if WRITE_SCOPE not in connection.scopes:
        raise NoConnection(
            "This connection is read-only: ads_management was not given.",
            code="read_only_connection",
            advice="Connect again and leave ads_management switched on.",
        )
    tasks = set(ad_account.user_tasks)
    if tasks and not tasks & {"ADVERTISE", "MANAGE"}:
        raise NoConnection(
            f"The connected Meta user may not change ads in {ad_account.act_id}.",
            code="read_only_ad_account",
            advice="Have them given the task Manage campaigns in Meta Business settings.",
        )
    if not ad_account.enabled:
        raise NoConnection(
            f"{ad_account.act_id} is switched off here.",
            code="ad_account_disabled",
            advice="Enable the ad account.",
        )
    return _token(connection)


def _connection_of(ad_account: AdAccount, states: Sequence[str]) -> MetaConnection:
    """The account's connection as it is now: never a row that was loaded before somebody disconnected."""
    connection = MetaConnection.objects.of(ad_account.client_id).filter(pk=_pk(ad_account)).first()
    if connection is None:
        raise NoConnection(f"{ad_account.act_id} has no connection to Meta.")
    if connection.state not in states:
        words = ConnectionState(connection.state).label.lower()
        raise NoConnection(
            f"The connection of {ad_account.act_id} is in the state “{words}”. {connection.reason}".strip()
        )
    return connection


def _pk(ad_account: AdAccount) -> int:
    return ad_account.connection_id or 0  # no row has 0


def _token(connection: MetaConnection) -> str:
    """The token, decrypted now. One that is not this connection's own holds the connection and never leaves."""
    try:
        token: str = connection.token
    except Unreadable as error:
        _hold(connection, error)
        raise
    if not token:
        raise NoConnection("The connection's token was deleted.")
    return token


def _hold(connection: MetaConnection, error: Unreadable) -> None:
    """Automation rests until a person reconnects, or the key is back and the next check reads the token."""
    log.error("connection %s is held: %s", connection.uuid, error.code)
    MetaConnection.objects.of(connection.client_id).filter(
        pk=connection.pk, state__in=READABLE, connected_at=connection.connected_at
    ).update(state=ConnectionState.REAUTH_NEEDED, reason=str(error)[:300])


def worked(*, ad_account: AdAccount, now: datetime) -> None:
    """A call with the account's token was answered: doubts are forgotten. Writes at most every five minutes."""
    rows = MetaConnection.objects.of(ad_account.client_id).filter(pk=_pk(ad_account))
    rows.filter(state=ConnectionState.DEGRADED).update(state=ConnectionState.CONNECTED, reason="")
    stale = Q(auth_failures__gt=0) | Q(checked_at__isnull=True) | Q(checked_at__lt=now - _NOTE_EVERY)
    rows.filter(stale, state__in=READABLE).update(auth_failures=0, checked_at=now)


def auth_failed(*, ad_account: AdAccount, error: GraphError, now: datetime) -> None:
    """A call failed. Only an auth answer counts: a definite one ends the connection, unclear ones need two."""
    if not isinstance(error, AuthFailed):
        return
    rows = MetaConnection.objects.of(ad_account.client_id).filter(pk=_pk(ad_account), state__in=READABLE)
    reason = f"{error.answer.message} {error.answer.advice}".strip()[:300]
    if error.definite:
        _end(rows, reason, now)
        return
    # Many calls in flight fail together; that is one observation, not two.
    rows = rows.exclude(auth_failures__gt=0, checked_at__gt=now - _AGAIN_AFTER)
    if rows.filter(auth_failures__gte=1).exists():
        _end(rows, reason, now)
    else:
        rows.update(
            state=ConnectionState.DEGRADED,
            reason=reason,
            auth_failures=F("auth_failures") + 1,
            checked_at=now,
        )


def _end(rows: Any, reason: str, now: datetime) -> None:
    rows.update(
        state=ConnectionState.REAUTH_NEEDED,
        reason=reason,
        auth_failures=F("auth_failures") + 1,
        checked_at=now,
    )


# --- looking after a connection


def live(client: Client) -> list[MetaConnection]:
    """Connections of the client that can read now."""
    return list(MetaConnection.objects.of(client).filter(state__in=READABLE).order_by("pk"))


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
    try:
        info = oauth.debug_token(gateway.transport(), _token(connection))
    except (GraphError, Blocked) as error:
        log.warning("connection %s could not be checked: %s", connection.uuid, error)
        return connection
    except NoConnection:
        # Nothing to ask with. The next look is as far away as after an answer, and other rows get their turn.
        rows = MetaConnection.objects.of(connection.client_id).filter(pk=connection.pk)
        rows.update(checked_at=now)
        connection.refresh_from_db(fields=["state", "reason", "checked_at"])
        return connection
    rows = MetaConnection.objects.of(connection.client_id).filter(
        pk=connection.pk, state=connection.state, connected_at=connection.connected_at
    )
    if info.is_valid and info.app_id == settings.META["app_id"]:
        state = connection.state if connection.state == ConnectionState.PAUSED else _state(info, now)
        reason = "" if state != ConnectionState.REAUTH_NEEDED else "The grant has run out at Meta."
        rows.update(**_facts(info), state=state, reason=reason, auth_failures=0, checked_at=now)
    else:
        reason = (info.error or "Meta says that the token is not valid.")[:300]
        rows.update(state=ConnectionState.REAUTH_NEEDED, reason=reason, checked_at=now)
    connection.refresh_from_db()
    return connection


def refresh(*, connection: MetaConnection, principal: Principal, now: datetime) -> MetaConnection:
    """Exchange the token for a fresh long-lived one. Two at once make one exchange: the second is refused."""
    access.require(principal, "connect", connection.client)
    if connection.state not in READABLE:
        raise NoConnection("This connection cannot be refreshed any more.")
    name, holder = f"refresh:{connection.uuid}", f"{principal.kind}:{principal.user_id}:{now.timestamp()}"
    if leases.take(name=name, holder=holder, seconds=60, now=now) is None:
        raise Conflict("This connection is being refreshed right now.", code="refresh_running", retry_after=5)
    try:
        with _words_for_people():
            token = _token(connection)
            if connection.kind != "SYSTEM_USER":
                token = oauth.long_lived(gateway.transport(), token).access_token
            info = _inspect(token)
        rows = MetaConnection.objects.of(connection.client_id).filter(pk=connection.pk, state__in=READABLE)
        rows.update(
            **_facts(info),
            token=bound(connection, token),
            state=_state(info, now),
            reason="",
            auth_failures=0,
            checked_at=now,
        )
        audit.record(
            principal=principal,
            client=connection.client,
            verb="refresh_connection",
            subject=str(connection.uuid),
            now=now,
        )
    finally:
        leases.release(name=name, holder=holder, now=now)
    connection.refresh_from_db()
    return connection


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
    shared = MetaConnection.everything.filter(
        meta_user_id=connection.meta_user_id, state__in=READABLE
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
        return had
    rows = rows.exclude(state=ConnectionState.DELETING)
    had = list(rows.select_related("client").defer("token"))
    rows.update(state=ConnectionState.REVOKED, reason=REMOVED_AT_META, **ended)
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
