"""One-time links that start the connect dance.

    link      a person asks the API: for the same person, ten minutes, spent when the dance begins
    invite    for a client's own person by e-mail, who needs no account here: seven days, spent when a connection is
              stored, so that somebody who pressed Cancel at Meta may try again; may be withdrawn

A guest's link acts with the right of the person who made it: when that right is gone, so is the link.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.urls import reverse

import accounts.access as access
import accounts.audit as audit
import accounts.outbox as outbox
from accounts.errors import Conflict, Invalid, NotFound, Refused
from accounts.models import Client, ConnectLink, Role, User
from accounts.tenancy import Principal

LIFE: Final = timedelta(minutes=10)
GUEST_LIFE: Final = timedelta(days=7)
#: A link that is over is still told apart from one that never was, for this long.
KEPT: Final = timedelta(days=30)
MOST_OPEN: Final = 20
_SALT: Final = "accounts.connect-link"


def address(row: ConnectLink) -> str:
    """The whole address of a link; who has it may use it, so it goes into one answer or one mail and no log."""
    return f"{settings.PUBLIC_URL}{reverse('connect_link', args=[_signer().sign_object(str(row.uuid))])}"


def link(*, client: Client, principal: Principal, user: User, now: datetime) -> ConnectLink:
    """A link for this person alone, in a browser where they are signed in, within ten minutes."""
    access.require(principal, "connect", client)
    row: ConnectLink = ConnectLink.objects.of(client).create(
        client=client, user=user, made_by=user, expires_at=now + LIFE
    )
    audit.record(principal=principal, client=client, verb="ask_connect_link", subject=str(row.uuid), now=now)
    return row


def invite(*, client: Client, principal: Principal, user: User, email: str, now: datetime) -> ConnectLink:
    """Mail a link to a client's own person. Raises `Invalid` for what is no address, `Conflict` for too many."""
    access.require(principal, "connect", client)
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        words = "This is no e-mail address."
        raise Invalid(words, errors=[("email", words)]) from None
    with transaction.atomic():
        open_ = _open(client, now)
        if open_.count() >= MOST_OPEN:
            raise Conflict(
                f"{MOST_OPEN} links of this client are open already.",
                code="too_many_links",
                advice="Withdraw one that is not needed any more.",
            )
        # A second link to the same address takes the place of the first.
        open_.filter(sent_to=email).update(withdrawn_at=now)
        row: ConnectLink = ConnectLink.objects.of(client).create(
            client=client, user=None, made_by=user, sent_to=email, expires_at=now + GUEST_LIFE
        )
        audit.record(
            principal=principal,
            client=client,
            verb="invite_to_connect",
            subject=email,
            now=now,
            link=str(row.uuid),
        )
        subject, body = outbox.render(
            "connect_link",
            client=client,
            sender=user,
            url=address(row),
            until=row.expires_at,
            host=settings.PUBLIC_URL,
        )
        outbox.send(
            key=f"connect-link:{row.uuid}", address=email, subject=subject, body=body, now=now, client=client
        )
    return row


def withdraw(*, uuid: Any, principal: Principal, now: datetime) -> ConnectLink:
    """End a guest's link that was not used yet. Withdrawing twice changes nothing."""
    row: ConnectLink | None = (
        ConnectLink.objects.for_(principal)
        .select_related("client")
        .filter(uuid=uuid, user__isnull=True)
        .first()
    )
    if row is None:
        raise NotFound("There is no such link.")
    access.require(principal, "connect", row.client)
    if row.used_at is not None:
        raise Conflict(
            "This link was used already.", code="link_spent", advice="Disconnect the connection that it made."
        )
    rows = ConnectLink.objects.of(row.client_id).filter(
        pk=row.pk, used_at__isnull=True, withdrawn_at__isnull=True
    )
    if rows.update(withdrawn_at=now):
        audit.record(
            principal=principal, client=row.client, verb="withdraw_connect_link", subject=row.sent_to, now=now
        )
    row.refresh_from_db()
    return row


def read(text: str) -> ConnectLink | None:
    """The link behind an address's text, whatever has become of it; None for a text that nobody here signed."""
    try:
        identity = _signer().unsign_object(text)
    except signing.BadSignature:
        return None
    # The signature says that this installation made the link; whose it is, the caller has to ask.
    row: ConnectLink | None = (
        ConnectLink.everything.select_related("client", "made_by").filter(uuid=identity).first()
    )
    return row


def numbered(pk: Any) -> ConnectLink | None:
    """The guest's link that a dance was begun with (the number comes from the session's state)."""
    row: ConnectLink | None = (
        ConnectLink.everything.select_related("client", "made_by")
        .filter(pk=number(pk), user__isnull=True)
        .first()
    )
    return row


def _signer() -> signing.Signer:
    # Without a time of its own: the row knows when a link ends, and one link has one address.
    return signing.Signer(salt=_SALT)


def number(value: Any) -> int:
    """A row's number out of a session's state; 0, which no row has, for anything else."""
    return value if type(value) is int and 0 < value < 2**63 else 0


def require_own(row: ConnectLink | None, *, principal: Principal, now: datetime) -> ConnectLink:
    """A live link that `principal` asked the API for; refused when another person's, used or too old."""
    if row is None or row.user_id is None or row.user_id != principal.user_id:
        raise NotFound("There is no such link for you.", advice="Sign in as the person who asked for it.")
    if row.used_at is not None or row.expires_at <= now:
        raise _spent("This link was used or is too old.")
    access.require(principal, "connect", row.client)
    return row


def require_guest(row: ConnectLink | None, *, now: datetime) -> Principal:
    """The principal of whoever holds a live guest's link: may connect this client, and nothing else anywhere."""
    if row is None or row.user_id is not None:
        raise NotFound(
            "There is no such link.", advice="Open it from the e-mail again, whole; or ask for a new one."
        )
    if row.used_at is not None:
        raise _spent("This link was used already.")
    if row.withdrawn_at is not None or row.expires_at <= now or row.client.archived_at is not None:
        raise _spent("This link is not good any more.")
    try:
        access.require(access.principal_of(row.made_by), "connect", row.client)
    except Refused:
        raise _spent("This link is not good any more.") from None
    return Principal(
        kind="guest",
        user_id=None,
        name=row.sent_to,
        roles=((row.client_id, Role.MANAGER),),
        scopes=frozenset({"connect"}),
    )


def spend(row: ConnectLink, *, now: datetime) -> None:
    """Use the link up. Raises `Conflict` for the second of two at once, and for one withdrawn meanwhile."""
    rows = ConnectLink.objects.of(row.client_id).filter(
        pk=row.pk, used_at__isnull=True, withdrawn_at__isnull=True
    )
    if not rows.update(used_at=now):
        raise _spent("This link was used already.")


def unspend(row: ConnectLink) -> None:
    """Meta did not answer and nothing was stored: the link may be used again."""
    ConnectLink.objects.of(row.client_id).filter(pk=row.pk).update(used_at=None)


def sweep(*, now: datetime) -> int:
    """Delete links that have been over for a month."""
    gone, _ = ConnectLink.everything.filter(expires_at__lt=now - KEPT).delete()
    return gone


def _open(client: Client, now: datetime) -> Any:
    return ConnectLink.objects.of(client).filter(
        user__isnull=True, used_at__isnull=True, withdrawn_at__isnull=True, expires_at__gt=now
    )


def _spent(words: str) -> Conflict:
    return Conflict(words, code="link_spent", advice="Ask for a new one.")
