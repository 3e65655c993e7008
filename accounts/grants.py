"""From Meta's answer to a stored connection: a grant waits, a person confirms, then everything in one transaction.

    start      state = {purpose, client, user or link, renews, at}   bound to this session by allauth, 10 minutes
    open_      state checked again -> PendingGrant                   encrypted; session + person + client; 10 minutes
    paste      a token from a form, asked about at Meta -> PendingGrant, the same from here on
    preview    asks Meta what the token may see                      nothing is stored
    confirm    used once, then connections.establish                 the token leaves the grant

A used grant stays for a day without its token, so that a second click or a reload lands where the first one did.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils.crypto import salted_hmac

import accounts.access as access
import accounts.ad_accounts as ad_accounts
import accounts.claims as claims
import accounts.connections as connections
import accounts.links as links
from accounts.claims import Established
from accounts.errors import Conflict, Forbidden, Invalid, NotFound, Refused, Unavailable
from accounts.models import AdAccount, Client, ConnectLink, MetaConnection, PendingGrant, User
from accounts.tenancy import Principal

LIFE: Final = timedelta(minutes=10)
KEPT: Final = timedelta(days=1)
PURPOSE: Final = "connect"


def start(
    *,
    client: Client,
    user: User | None,
    now: datetime,
    link: ConnectLink | None = None,
    renews: MetaConnection | None = None,
) -> dict[str, Any]:
    """The part of the OAuth state that says what the dance is for; plain JSON, for the session."""
    return {
        "purpose": PURPOSE,
        "client": client.pk,
        "user": user.pk if user else None,
        "link": link.pk if link else None,
        "renews": renews.pk if renews else None,
        "at": now.timestamp(),
    }


def digest(*, state: str, code: str) -> str:
    """What a reload of Meta's answer is known by; tells neither the state nor the code."""
    return salted_hmac("accounts.callback", f"{state}\n{code}", algorithm="sha256").hexdigest()


def open_(
    *,
    state: Mapping[str, Any] | None,
    user: Any,
    session_key: str,
    meta_user_id: str,
    meta_user_name: str,
    token: str,
    now: datetime,
    answer: str = "",
) -> PendingGrant:
    """Keep the token for ten minutes until its person confirms. `answer` is the digest of Meta's answer.

    Raises `Refused` when the state is not this person's or too old, the role was lost meanwhile, or the link ended.
    """
    state = state or {}
    at = state.get("at")
    if state.get("purpose") != PURPOSE or not isinstance(at, int | float):
        raise _bad_state()
    if not 0 <= now.timestamp() - at <= LIFE.total_seconds():
        raise _bad_state()
    if not token or not meta_user_id:
        raise Unavailable(
            "Meta sent no token.", code="connect_no_token", advice="Connect again; nothing was stored."
        )
    link = None
    if state.get("link"):
        link = links.numbered(state["link"])
        links.require_guest(link, now=now)
    elif not getattr(user, "is_authenticated", False) or state.get("user") != user.pk:
        raise Forbidden(
            "Another person is signed in here than the one who began to connect.",
            code="connect_wrong_person",
            advice="Sign in as the person who began, and connect again. Nothing was stored.",
        )
    client = Client.objects.filter(pk=links.number(state.get("client")), archived_at__isnull=True).first()
    if client is None or (link is not None and link.client_id != client.pk):
        raise NotFound("There is no such client.")
    if link is None:
        _still_may(access.principal_of(user), client)
    grant: PendingGrant = PendingGrant.objects.of(client).create(
        client=client,
        user=None if link else user,
        link=link,
        renews=MetaConnection.objects.of(client).filter(pk=links.number(state.get("renews"))).first(),
        session_key=session_key,
        digest=answer,
        meta_user_id=meta_user_id,
        meta_user_name=meta_user_name[:200],
        token=token,
        expires_at=now + LIFE,
    )
    return grant


def paste(
    *, client: Client, principal: Principal, user: User, session_key: str, token: str, now: datetime
) -> PendingGrant:
    """A pasted token (a system user's, or a person's), once Meta has said whose it is; then confirmed like any."""
    access.require(principal, "connect", client)
    found = connections.preview(token=token)
    grant: PendingGrant = PendingGrant.objects.of(client).create(
        client=client,
        user=user,
        session_key=session_key,
        meta_user_id=found.meta_user_id,
        meta_user_name=found.meta_user_name[:200],
        token=token,
        expires_at=now + LIFE,
    )
    return grant


def find(*, uuid: Any, principal: Principal, session_key: str) -> PendingGrant:
    """The grant of this person (or guest) in this session; any other gets the same `NotFound` as a random id.

    A changed role begins a new session: its person is told of the role, not that the grant is gone.
    """
    rows = PendingGrant.everything.select_related(
        "client", "user", "link__client", "link__made_by", "renews"
    ).filter(uuid=uuid)
    grant: PendingGrant | None = rows.first()
    mine = grant is not None and (grant.link_id is not None or grant.user_id == principal.user_id)
    if grant is not None and mine and grant.session_key == session_key:
        return grant
    if grant is not None and mine and grant.user_id is not None:
        _still_may(principal, grant.client)
    raise NotFound(
        "There is no such connection to confirm.", advice="Connect again from the connections page."
    )


def back(*, answer: str, user_id: int | None, session_key: str) -> PendingGrant | None:
    """The grant that this very answer of Meta's has made before, in this session; None for any other answer."""
    grant: PendingGrant | None = PendingGrant.everything.filter(
        digest=answer, session_key=session_key or "-"
    ).first()
    if not answer or grant is None or (grant.link_id is None and grant.user_id != user_id):
        return None
    return grant


def done(grant: PendingGrant) -> bool:
    """Whether it became a connection; its token is gone then."""
    return grant.used_at is not None and not grant.token


def acting(*, grant: PendingGrant, principal: Principal, now: datetime) -> Principal:
    """Who confirms: the person, or for a guest the narrow right of the link. Raises when it ended meanwhile."""
    if grant.used_at is not None:
        raise Conflict(
            "This connection is being confirmed right now.",
            code="connect_used",
            advice="Look at the connections page in a moment.",
        )
    if grant.expires_at <= now:
        raise Conflict(
            "The ten minutes to confirm have passed.",
            code="connect_expired",
            advice="Connect again; nothing was stored.",
        )
    if grant.link_id is not None:
        return links.require_guest(grant.link, now=now)
    _still_may(principal, grant.client)
    return principal


def wrong_user(grant: PendingGrant) -> bool:
    """Whether another Meta user logged in than the one whose connection was to be renewed."""
    return grant.renews is not None and grant.renews.meta_user_id != grant.meta_user_id


def preview(grant: PendingGrant) -> connections.Preview:
    """What Meta says the token is and may see. Asks Meta; stores nothing. Refused when nothing could be connected."""
    found = connections.preview(token=grant.token)
    if found.meta_user_id != grant.meta_user_id:
        raise Conflict("Meta names another user now than when you logged in.", code="connect_wrong_user")
    ids = [claims.meta_id_of(row) for row in found.rows]
    if all(claims.claimed_elsewhere(meta_id=meta_id, client=grant.client) for meta_id in ids):
        raise connections.all_claimed([f"act_{meta_id}" for meta_id in ids])
    return found


def confirm(
    *, grant: PendingGrant, principal: Principal, enable: Iterable[str], now: datetime, second: bool = False
) -> Established:
    """Store the connection and enable the chosen ad accounts (`act_1` or `1`). Once: a second call is refused.

    `second`: the person has seen that it is another Meta user than expected, and wants both. When Meta does not
    answer, the grant may be confirmed again within its ten minutes.
    """
    if wrong_user(grant) and not second:
        raise Conflict(
            "Another Facebook user logged in than the one of this connection.",
            code="connect_wrong_user",
            advice="Log in at Meta as the right one, or add this one as a second connection.",
        )
    rows = PendingGrant.objects.of(grant.client_id).filter(pk=grant.pk)
    if not rows.filter(used_at__isnull=True).update(used_at=now):
        raise Conflict("This connection was confirmed already.", code="connect_used")
    link = grant.link
    try:
        if link is not None:
            links.spend(link, now=now)
        made = connections.establish(
            client=grant.client,
            principal=principal,
            token=grant.token,
            user=grant.user or (link.made_by if link else None),
            expected_user=grant.meta_user_id,
            now=now,
        )
    except BaseException as error:
        rows.update(used_at=None)
        if link is not None and getattr(error, "code", "") != "link_spent":
            links.unspend(link)
        raise
    # The grant has done its work: its copy of the token goes.
    rows.update(token="")
    wanted = {ref.removeprefix("act_") for ref in enable}
    seen = [account.pk for account in made.ad_accounts]
    for account in AdAccount.objects.of(grant.client_id).filter(meta_id__in=wanted, pk__in=seen):
        # One that Meta has closed stays off; that is no reason to call the connection failed.
        with contextlib.suppress(Refused):
            ad_accounts.enable(ad_account=account, principal=principal, now=now)
    return made


def sweep(*, now: datetime) -> int:
    """Delete grants and links whose time has passed: a token nobody confirmed is not kept."""
    over = PendingGrant.everything.filter(expires_at__lt=now - LIFE)
    gone, _ = over.filter(used_at__isnull=True).delete()
    over.update(token="")
    old, _ = over.filter(used_at__lt=now - KEPT).delete()
    return gone + old + links.sweep(now=now)


def _still_may(principal: Principal, client: Client) -> None:
    try:
        access.require(principal, "connect", client)
    except Refused:
        raise Forbidden(
            f"You may not connect Meta accounts for {client} any more: your role changed meanwhile.",
            code="connect_role_lost",
            advice="Nothing was stored. Ask an owner or manager of this client to connect, or to give you the role.",
        ) from None


def _bad_state() -> Refused:
    return Forbidden(
        "This log-in at Meta was begun elsewhere, was used already, or is more than ten minutes old.",
        code="connect_state",
        advice="Begin again with the Connect button, in this browser. Nothing was stored.",
    )


def why_failed(*, cancelled: bool, has_state: bool, signed_in: bool, query: Mapping[str, str]) -> Refused:
    """The refusal for a failed dance, from what came back. `query` is only read for Meta's own error words."""
    if not has_state and not signed_in:
        return Forbidden(
            "You were signed out before Meta sent you back, so this log-in cannot be finished.",
            code="connect_signed_out",
            advice="Sign in and begin again with the Connect button; if you came by a link from an e-mail, open the"
            " link again in this browser. Nothing was stored.",
        )
    if not has_state:
        return _bad_state()
    if cancelled and query.get("error_reason", "user_denied") == "user_denied":
        return Forbidden(
            "Permission was not given at Meta.",
            code="connect_denied",
            advice="Connect again and choose Continue. If you did not cancel, your Meta app may be in"
            " development mode or lack a permission: look into its settings. Nothing was stored.",
        )
    return Invalid(
        "Meta ended the log-in with an error.",
        code="connect_error",
        advice="Check that the redirect URI below is entered in the Meta app, and begin again.",
    )


def code_refused() -> Refused:
    """Meta knows the code of its own dialog no more, or never did."""
    return Invalid(
        "Meta did not accept the log-in's code.",
        code="connect_code",
        advice="Begin again; nothing was stored. If it stays, the app secret or the redirect URI below does not match"
        " the Meta app.",
    )
