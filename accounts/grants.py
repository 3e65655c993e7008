"""From Meta's answer to a stored connection: a grant waits, a person confirms, then everything in one transaction.

    start      state = {purpose, client, user, at}            bound to this session by allauth, 10 minutes
    open_      state checked again -> PendingGrant             encrypted; session + person + client; 10 minutes
    preview    asks Meta what the token may see                nothing is stored
    confirm    used once, then connections.establish           a second click finds it used

A link for the API (`link`, `follow`) starts the same dance for the same person, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.core import signing

import accounts.access as access
import accounts.ad_accounts as ad_accounts
import accounts.audit as audit
import accounts.connections as connections
from accounts.claims import Established
from accounts.errors import Conflict, Forbidden, Invalid, NotFound, Refused, Unavailable
from accounts.models import AdAccount, Client, ConnectLink, PendingGrant, User
from accounts.tenancy import Principal

LIFE = timedelta(minutes=10)
PURPOSE = "connect"
_SALT = "accounts.connect-link"


def start(*, client: Client, user: User | None, now: datetime) -> dict[str, Any]:
    """The part of the OAuth state that says what the dance is for; plain JSON, for the session."""
    return {"purpose": PURPOSE, "client": client.pk, "user": user.pk if user else None, "at": now.timestamp()}


def open_(
    *,
    state: Mapping[str, Any] | None,
    user: Any,
    session_key: str,
    meta_user_id: str,
    meta_user_name: str,
    token: str,
    now: datetime,
) -> PendingGrant:
    """Keep the token for ten minutes until its person confirms.

    Raises `Forbidden` when the state is not this person's or too old, or the role was lost meanwhile.
    """
    state = state or {}
    at = state.get("at")
    if state.get("purpose") != PURPOSE or not isinstance(at, int | float):
        raise _bad_state()
    if not getattr(user, "is_authenticated", False) or state.get("user") != user.pk:
        raise Forbidden(
            "Another person is signed in here than the one who began to connect.",
            code="connect_wrong_person",
            advice="Sign in as the person who began, and connect again.",
        )
    if now.timestamp() - at > LIFE.total_seconds():
        raise _bad_state()
    if not token:
        raise Unavailable("Meta sent no token.", code="connect_no_token", advice="Connect again.")
    client = Client.objects.filter(pk=state.get("client") or 0, archived_at__isnull=True).first()
    if client is None:
        raise NotFound("There is no such client.")
    access.require(access.principal_of(user), "connect", client)
    grant: PendingGrant = PendingGrant.objects.of(client).create(
        client=client,
        user=user,
        session_key=session_key,
        meta_user_id=meta_user_id,
        meta_user_name=meta_user_name[:200],
        token=token,
        expires_at=now + LIFE,
    )
    return grant


def find(*, uuid: Any, principal: Principal, session_key: str, now: datetime) -> PendingGrant:
    """The waiting grant of this person in this session; any other gets the same `NotFound` as a random id."""
    grant = (
        PendingGrant.objects.for_(principal)
        .select_related("client", "user")
        .filter(uuid=uuid, user_id=principal.user_id or 0, session_key=session_key)
        .first()
    )
    if grant is None or not session_key:
        raise NotFound(
            "There is no such connection to confirm.", advice="Connect again from the connections page."
        )
    if grant.used_at is not None:
        raise Conflict(
            "This connection was confirmed already.",
            code="connect_used",
            advice="Look at the connections page.",
        )
    if grant.expires_at <= now:
        raise Conflict(
            "The ten minutes to confirm have passed.",
            code="connect_expired",
            advice="Connect again; nothing was stored.",
        )
    access.require(principal, "connect", grant.client)
    return grant


def preview(grant: PendingGrant) -> connections.Preview:
    """What Meta says the token is and may see. Asks Meta; stores nothing."""
    found = connections.preview(token=grant.token)
    if found.meta_user_id != grant.meta_user_id:
        raise Conflict("Meta names another user now than when you logged in.", code="connect_wrong_user")
    return found


def confirm(
    *, grant: PendingGrant, principal: Principal, enable: Iterable[str], now: datetime
) -> Established:
    """Store the connection and enable the chosen ad accounts (`act_1` or `1`). Once: a second call is refused.

    When Meta does not answer, the grant may be confirmed again within its ten minutes.
    """
    rows = PendingGrant.objects.of(grant.client_id).filter(pk=grant.pk, used_at__isnull=True)
    if not rows.update(used_at=now):
        raise Conflict("This connection was confirmed already.", code="connect_used")
    try:
        made = connections.establish(
            client=grant.client,
            principal=principal,
            token=grant.token,
            user=grant.user,
            expected_user=grant.meta_user_id,
            now=now,
        )
    except BaseException:
        PendingGrant.objects.of(grant.client_id).filter(pk=grant.pk).update(used_at=None)
        raise
    # The grant has done its work: its copy of the token goes.
    PendingGrant.objects.of(grant.client_id).filter(pk=grant.pk).delete()
    wanted = {ref.removeprefix("act_") for ref in enable}
    for account in AdAccount.objects.of(grant.client_id).filter(
        meta_id__in=wanted, connection=made.connection
    ):
        ad_accounts.enable(ad_account=account, principal=principal, now=now)
    return made


def link(*, client: Client, principal: Principal, user: User, now: datetime) -> str:
    """A one-time text for the address that starts the dance in a browser, for this person, within ten minutes."""
    access.require(principal, "connect", client)
    row = ConnectLink.objects.of(client).create(client=client, user=user, made_by=user, expires_at=now + LIFE)
    audit.record(principal=principal, client=client, verb="ask_connect_link", subject=str(row.uuid), now=now)
    return signing.dumps(str(row.uuid), salt=_SALT)


def linked(*, text: str, principal: Principal, now: datetime) -> ConnectLink:
    """The live link behind `text`; refused when forged, another person's, used or too old."""
    try:
        identity = signing.loads(text, salt=_SALT)
    except signing.BadSignature:
        raise NotFound("There is no such link.", advice="Ask for a new one.") from None
    row = (
        ConnectLink.objects.for_(principal)
        .select_related("client", "user")
        .filter(uuid=identity, user_id=principal.user_id or 0)
        .first()
    )
    if row is None:
        raise NotFound("There is no such link for you.", advice="Sign in as the person who asked for it.")
    if row.used_at is not None or row.expires_at <= now:
        raise Conflict("This link was used or is too old.", code="link_spent", advice="Ask for a new one.")
    access.require(principal, "connect", row.client)
    return row


def follow(*, row: ConnectLink, now: datetime) -> dict[str, Any]:
    """Spend the link; the state for the dance. Raises `Conflict` for the second of two clicks."""
    if not ConnectLink.objects.of(row.client_id).filter(pk=row.pk, used_at__isnull=True).update(used_at=now):
        raise Conflict("This link was used already.", code="link_spent", advice="Ask for a new one.")
    return start(client=row.client, user=row.user, now=now)


def sweep(*, now: datetime) -> int:
    """Delete grants and links whose time has passed: a token nobody confirmed is not kept."""
    old = now - LIFE
    grants_gone, _ = PendingGrant.everything.filter(expires_at__lt=old).delete()
    links_gone, _ = ConnectLink.everything.filter(expires_at__lt=old).delete()
    return grants_gone + links_gone


def _bad_state() -> Refused:
    return Forbidden(
        "This log-in at Meta was begun elsewhere, was used already, or is more than ten minutes old.",
        code="connect_state",
        advice="Begin again with the Connect button, in this browser. Nothing was stored.",
    )


def why_failed(
    *, cancelled: bool, has_state: bool, query: Mapping[str, str], unreachable: bool, code_refused: bool
) -> Refused:
    """The refusal for a failed dance, from what came back. `query` is only read for Meta's own error words."""
    if not has_state:
        return _bad_state()
    if cancelled and query.get("error_reason", "user_denied") == "user_denied":
        return Forbidden(
            "Permission was not given at Meta.",
            code="connect_denied",
            advice="Connect again and choose Continue. If you did not cancel, your Meta app may be in"
            " development mode or lack a permission: look into its settings.",
        )
    if unreachable:
        return Unavailable(
            "Meta did not answer.",
            code="connect_meta_down",
            advice="Try again in a few minutes. Nothing was stored.",
        )
    if code_refused:
        return Invalid(
            "Meta did not accept the log-in's code.",
            code="connect_code",
            advice="Begin again. If it stays, the app secret or the redirect URI below does not match the Meta app.",
        )
    return Invalid(
        "Meta ended the log-in with an error.",
        code="connect_error",
        advice="Check that the redirect URI below is entered in the Meta app, and begin again.",
    )
