"""An offer of a role by e-mail: good once, for seven days, for whoever reads that mailbox.

    invite   a role that the inviter may give -> row with the keyed digest of a secret -> mail with the link
    resend   a new secret and seven new days; the old link is dead          withdraw   the link is dead
    accept   link -> alive? and may its sender still give this role? -> the row is taken, the role is given
                 a new person: name and password, and they are signed in
                 somebody with that e-mail here: signs in first; signed in as somebody else: refused

A dead link answers the same words whatever it died of, and whether or not the address has an account.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

import accounts.access as access
import accounts.audit as audit
import accounts.outbox as outbox
import accounts.people as people
from accounts.errors import Conflict, Forbidden, Invalid, NotFound, Refused
from accounts.models import Client, Invitation, Membership, Role, User
from accounts.tenancy import Principal

LIFE: Final = timedelta(days=7)


class Dead(NotFound):
    """Used, withdrawn, replaced, too old, or never made: the same answer for all."""

    code = "invitation_dead"
    advice = (
        "Ask the person who invited you to send the invitation again. A newer mail replaces an older one."
    )


def invite(
    *, email: str, client: Client | None, role: str, principal: Principal, now: datetime
) -> Invitation:
    """Offer a role at `client` (None: owner of the installation) and send the mail.

    Raises `Conflict` for somebody who is here already, and for an invitation that is still open.
    """
    people.may_give(principal, role, client)
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise Invalid(
            "This is no e-mail address.", errors=[("email", "This is no e-mail address.")]
        ) from None
    if Membership.objects.filter(user__email=email, client=client).exists():
        raise Conflict(
            f"{email} has a role here already.", code="member_exists", advice="Change that role instead."
        )
    secret = secrets.token_urlsafe(32)
    with transaction.atomic():
        # One that has expired makes room; one that is good is sent again instead.
        _unanswered(client).filter(email=email, expires_at__lte=now).update(withdrawn_at=now)
        try:
            with transaction.atomic():
                row: Invitation = Invitation.objects.of(client).create(
                    client=client,
                    email=email,
                    role=role,
                    digest=_digest(secret),
                    invited_by_id=principal.user_id,
                    expires_at=now + LIFE,
                )
        except IntegrityError:
            raise Conflict(
                f"{email} has an open invitation here.", code="invitation_open", advice="Send that one again."
            ) from None
        _mail(row, secret, principal, now)
        subject = f"{email} as {role}"
        audit.record(principal=principal, client=client, verb="invite_person", subject=subject, now=now)
    return row


def resend(*, invitation: Invitation, principal: Principal, now: datetime) -> Invitation:
    """Send a new link, good for seven days; the old one is dead. Whoever sends it answers for it from now on."""
    people.may_give(principal, invitation.role, invitation.client)
    secret = secrets.token_urlsafe(32)
    with transaction.atomic():
        changed = (
            _unanswered(invitation.client)
            .filter(pk=invitation.pk)
            .update(digest=_digest(secret), expires_at=now + LIFE, invited_by_id=principal.user_id)
        )
        if not changed:
            raise _answered()
        invitation.refresh_from_db()
        _mail(invitation, secret, principal, now)
        audit.record(
            principal=principal, client=invitation.client, verb="resend_invitation",
            subject=invitation.email, now=now,
        )  # fmt: skip
    return invitation


def withdraw(*, invitation: Invitation, principal: Principal, now: datetime) -> Invitation:
    """Take an invitation back; its link is dead."""
    people.may_give(principal, invitation.role, invitation.client)
    with transaction.atomic():
        if not _unanswered(invitation.client).filter(pk=invitation.pk).update(withdrawn_at=now):
            raise _answered()
        audit.record(
            principal=principal, client=invitation.client, verb="withdraw_invitation",
            subject=invitation.email, now=now,
        )  # fmt: skip
    invitation.refresh_from_db()
    return invitation


def listing(principal: Principal, *, client: Client | None) -> list[Invitation]:
    """Invitations to `client` (None: to own the installation) that nobody has answered, newest first."""
    if client is None:
        access.require_owner(principal, code="may_not_manage_people")
    else:
        access.require(principal, "manage_people", client)
    return list(_unanswered(client).select_related("invited_by", "client").order_by("-created_at", "-pk"))


def sent_at(invitation: Invitation) -> datetime:
    """When its living link was sent."""
    return invitation.expires_at - LIFE


def get(principal: Principal, uuid: str | UUID) -> Invitation:
    """One invitation of a client where the principal may manage people; else `NotFound`."""
    row: Invitation | None = (
        Invitation.objects.for_(principal).select_related("client", "invited_by").filter(uuid=uuid).first()
    )
    if row is None:
        raise NotFound("There is no such invitation.")
    people.may_give(principal, row.role, row.client)
    return row


# --- the other side of the mail


def find(*, secret: str, now: datetime) -> Invitation:
    """The living invitation behind a link. Raises `Dead`."""
    row: Invitation | None = (
        Invitation.everything.select_related("client", "invited_by")
        .filter(
            digest=_digest(secret), accepted_at__isnull=True, withdrawn_at__isnull=True, expires_at__gt=now
        )
        .first()
    )
    if row is None or not _still_meant(row):
        raise _dead()
    return row


def has_account(invitation: Invitation) -> bool:
    """Whether the invited address signs in here already. Only for whoever holds the living link."""
    return User.objects.filter(email=invitation.email).exists()


def accept_new(*, secret: str, name: str, password: str, now: datetime) -> User:
    """The invited person becomes a user, with a name and a password of their own."""
    invitation = find(secret=secret, now=now)
    if not name.strip():
        raise Invalid("Say your name.", errors=[("name", "Say your name.")])
    people.check(email=invitation.email, password=password, name=name)
    with transaction.atomic():
        _take(invitation, now)
        try:
            with transaction.atomic():
                user = User.objects.create_user(invitation.email, password, name=" ".join(name.split())[:200])
        except IntegrityError:
            raise Conflict(
                "You have an account here already.",
                code="account_exists",
                advice="Sign in; then open the link of your invitation again.",
            ) from None
        _join(invitation, user, now)
    return user


def accept(*, secret: str, user: User, now: datetime) -> Invitation:
    """Somebody who signs in here takes the role. Only the person whose address it was sent to."""
    invitation = find(secret=secret, now=now)
    mine(invitation, user)
    with transaction.atomic():
        _take(invitation, now)
        _join(invitation, user, now)
    return invitation


def mine(invitation: Invitation, user: User) -> None:
    """Raise `Forbidden` when the invitation was sent to somebody else. The other address is not named."""
    if user.email != invitation.email:
        raise Forbidden(
            f"This invitation was sent to another address than {user.email}.",
            code="invitation_of_another",
            advice="Sign out, then open the link again. Or ask to be invited with the address that you sign in with.",
        )


def _take(invitation: Invitation, now: datetime) -> None:
    """The guarded step: of two acceptances, or an acceptance and a withdrawal, one wins."""
    rows = _unanswered(invitation.client).filter(
        pk=invitation.pk, digest=invitation.digest, expires_at__gt=now
    )
    if not rows.update(accepted_at=now):
        raise _dead()


def _join(invitation: Invitation, user: User, now: datetime) -> None:
    principal = access.principal_of(user)
    people.join(user=user, client=invitation.client, role=invitation.role, principal=principal, now=now)
    audit.record(
        principal=principal, client=invitation.client, verb="accept_invitation",
        subject=str(invitation.uuid), now=now,
    )  # fmt: skip


def _still_meant(invitation: Invitation) -> bool:
    """Whether its sender could still send it: one who was removed leaves no door open behind them."""
    if invitation.client is not None and invitation.client.archived_at is not None:
        return False
    try:
        people.may_give(access.principal_of(invitation.invited_by), invitation.role, invitation.client)
    except Refused:
        return False
    return True


def _unanswered(client: Client | None) -> QuerySet[Any]:
    rows: QuerySet[Any] = Invitation.objects.of(client)
    return rows.filter(accepted_at__isnull=True, withdrawn_at__isnull=True)


def _mail(invitation: Invitation, secret: str, principal: Principal, now: datetime) -> None:
    subject, body = outbox.render(
        "invitation",
        link=f"{settings.PUBLIC_URL}/invitations/{secret}/",
        role=Role(invitation.role).label,
        client=invitation.client,
        inviter=principal.name,
        days=LIFE.days,
        until=invitation.expires_at,
    )
    outbox.send(
        key=f"invitation:{invitation.uuid}:{invitation.digest[:16]}",
        address=invitation.email,
        subject=subject,
        body=body,
        now=now,
        client=invitation.client,
    )


def _dead() -> Dead:
    return Dead(
        f"This invitation cannot be used. It was used or withdrawn, a newer one replaced it, or it is older than "
        f"{LIFE.days} days."
    )


def _answered() -> Conflict:
    return Conflict("This invitation was answered or withdrawn already.", code="invitation_answered")


def _digest(secret: str) -> str:
    """Keyed with SECRET_KEY, so that a stolen table alone opens nothing."""
    return hmac.new(settings.SECRET_KEY.encode(), f"invitation:{secret}".encode(), hashlib.sha256).hexdigest()
