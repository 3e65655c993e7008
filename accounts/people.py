"""People and their roles: the first owner, then whoever is added; a removed one loses everything at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from allauth.usersessions.models import UserSession
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

import accounts.access as access
import accounts.audit as audit
import accounts.clients as clients
import accounts.leases as leases
import accounts.policies as policies
import accounts.sessions as sessions
from accounts.errors import Conflict, Forbidden, Invalid, NotFound
from accounts.models import Client, Membership, Role, User
from accounts.signals import access_changed
from accounts.tenancy import Principal


def nobody_yet() -> bool:
    """Whether this installation still waits for its first owner."""
    return not User.objects.exists()


def set_up(*, email: str, name: str, password: str, client_name: str, now: datetime) -> tuple[User, Client]:
    """First visit: the owner and the first client, together. Raises `Conflict` when somebody was faster."""
    check(email=email, password=password, name=name)
    with transaction.atomic():
        # The lease row makes two first visits at once queue up behind each other on every database.
        if leases.take(name="set-up", holder=email.lower(), seconds=60, now=now) is None or not nobody_yet():
            raise Conflict(
                "This installation is set up already.", code="set_up_done", advice="Sign in instead."
            )
        user = User.objects.create_user(email, password, name=name.strip(), is_staff=True)
        Membership.objects.create(user=user, client=None, role=Role.OWNER)
        client = clients.create(name=client_name, principal=access.principal_of(user), now=now)
    return user, client


def add(
    *,
    email: str,
    name: str,
    password: str | None,
    client: Client | None,
    role: str,
    principal: Principal,
    now: datetime,
) -> User:
    """Add a person (made if new) with a role at a client; owners have no client and are added by owners only.

    A manager may give any role below owner at their own client. An existing person keeps name and password.
    """
    may_give(principal, role, client)
    user = User.objects.filter(email=email.strip().lower()).first()
    with transaction.atomic():
        if user is None:
            check(email=email, password=password, name=name)
            user = User.objects.create_user(email, password, name=name.strip())
        join(user=user, client=client, role=role, principal=principal, now=now)
    return user


def join(*, user: User, client: Client | None, role: str, principal: Principal, now: datetime) -> Membership:
    """Give `user` a role, in the caller's transaction. Who may give it was asked before; raises `Conflict`."""
    if Membership.objects.filter(
        user=user, client=client
    ).exists():  # NULLs are distinct: owners need the look
        raise _member_exists(user)
    try:
        with transaction.atomic():
            row = Membership.objects.create(user=user, client=client, role=role)
    except IntegrityError:
        raise _member_exists(user) from None
    mend_staff(user)
    subject = f"{user.email} as {role}"
    audit.record(principal=principal, client=client, verb="add_person", subject=subject, now=now)
    return row


def may_give(principal: Principal, role: str, client: Client | None) -> None:
    """Raise where `principal` may not give this role here: owners give every role, a manager all below owner."""
    if role not in Role.values:
        raise Invalid(f"A role is one of {', '.join(Role.values)}.", code="unknown_role")
    if (client is None) != (role == Role.OWNER):
        raise Invalid("An owner belongs to no single client; everybody else to one.", code="role_and_client")
    if client is None:
        access.require_owner(principal, code="may_not_manage_people")
    else:
        access.require(principal, "manage_people", client)


# --- the people of a client


@dataclass(frozen=True)
class Member:
    """One row of the people page: who, what role, how they sign in, when they were last here."""

    user: User
    client: Client | None
    role: Role
    mfa: bool
    mfa_required: bool
    seen_at: datetime | None
    may_change: bool
    may_remove: bool


def members(principal: Principal, *, client: Client | None) -> list[Member]:
    """People with a role at `client`, by name; None: the owners. Only for whoever may manage them."""
    if client is None:
        access.require_owner(principal, code="may_not_manage_people")
    else:
        access.require(principal, "manage_people", client)
    rows = list(
        Membership.objects.filter(client=client).select_related("user").order_by("user__name", "user__email")
    )
    ids = [row.user_id for row in rows]
    mfa = policies.with_mfa(ids)
    required = {role for role, must in policies.listing() if must}
    seen = _last_seen(row.user for row in rows)
    owners = _owners(ids)
    return [
        Member(
            user=row.user,
            client=client,
            role=Role(row.role),
            mfa=row.user_id in mfa,
            mfa_required=row.role in required,
            seen_at=seen.get(row.user_id),
            may_change=client is not None and _why_not(principal, row.user, owners, changing=True) is None,
            may_remove=_why_not(principal, row.user, owners, changing=False) is None,
        )
        for row in rows
    ]


def _last_seen(users: Iterable[User]) -> dict[int, datetime]:
    """User id -> the last activity in a session that still lives, else the last sign-in."""
    seen = {user.pk: user.last_login for user in users if user.last_login is not None}
    whose = dict(UserSession.objects.filter(user_id__in=seen).values_list("session_key", "user_id"))
    for row in Session.objects.filter(session_key__in=whose):
        active = row.get_decoded().get(sessions.ACTIVE_AT)
        if isinstance(active, int):
            pk = whose[row.session_key]
            seen[pk] = max(seen[pk], datetime.fromtimestamp(active, UTC))
    return seen


def find(principal: Principal, uuid: str | UUID, *, client: Client | None) -> Membership:
    """The role of a person at `client` (None: as owner), for whoever may manage people there; else `NotFound`."""
    if client is None:
        access.require_owner(principal, code="may_not_manage_people")
    else:
        access.require(principal, "manage_people", client)
    row = Membership.objects.select_related("user", "client").filter(user__uuid=uuid, client=client).first()
    if row is None:
        raise NotFound("There is no such person here.")
    return row


def change_role(*, user: User, client: Client, role: str, principal: Principal, now: datetime) -> None:
    """Give a member another role at the same client; it holds from their next request.

    Nobody changes their own role, nobody but an owner one of an owner's, and the role of an owner is not given here.
    """
    may_give(principal, role, client)
    with transaction.atomic():
        row = _locked(user, client)
        _guard(principal, user, changing=True)
        if row.role == role:
            return
        before, row.role = row.role, role
        row.save(update_fields=["role"])
        mend_staff(user)
        _announce(user)
        audit.record(
            principal=principal, client=client, verb="change_role", subject=user.email, now=now,
            before=before, after=role,
        )  # fmt: skip


def remove(*, user: User, client: Client | None, principal: Principal, now: datetime) -> None:
    """End a person's role at a client (None: as owner). Every session of theirs ends with it.

    People may leave by themselves, the last owner may not.
    """
    if client is None:
        access.require_owner(principal, code="may_not_manage_people")
    else:
        access.require(principal, "manage_people", client)
    with transaction.atomic():
        if client is None:
            _keep_an_owner(without=user)  # first: it locks all owners, always in the same order
        row = _locked(user, client)
        _guard(principal, user, changing=False)
        row.delete()
        mend_staff(user)
        sessions.end_all(user=user)
        _announce(user)
        audit.record(principal=principal, client=client, verb="remove_person", subject=user.email, now=now)


def deactivate(*, user: User, principal: Principal, now: datetime) -> None:
    """Close a person's account: no sign-in, no key, no open session. Owners only; their history stays."""
    _switch(user, principal, active=False, now=now)


def reactivate(*, user: User, principal: Principal, now: datetime) -> None:
    """Open a closed account again, with the roles that it still has."""
    _switch(user, principal, active=True, now=now)


def person(principal: Principal, uuid: str | UUID) -> User:
    """Anybody of the installation, for owners."""
    access.require_owner(principal, code="may_not_manage_people")
    user = User.objects.filter(uuid=uuid).first()
    if user is None:
        raise NotFound("There is no such person here.")
    return user


def _switch(user: User, principal: Principal, *, active: bool, now: datetime) -> None:
    access.require_owner(principal, code="may_not_manage_people")
    if user.pk == principal.user_id:
        raise Forbidden("Nobody closes their own account.", code="own_account", advice="Ask another owner.")
    with transaction.atomic():
        if not active:
            _keep_an_owner(without=user)
        if User.objects.filter(pk=user.pk, is_active=not active).update(is_active=active):
            if not active:
                sessions.end_all(user=user)
                _announce(user)
            verb = "reactivate_person" if active else "deactivate_person"
            audit.record(principal=principal, client=None, verb=verb, subject=user.email, now=now)
    user.is_active = active


def _announce(user: User) -> None:
    """Open sockets of this person look again as soon as it is true."""
    pk = user.pk
    transaction.on_commit(lambda: access_changed.send(sender=User, user_id=pk))


def _locked(user: User, client: Client | None) -> Membership:
    row = Membership.objects.select_for_update().filter(user=user, client=client).first()
    if row is None:
        raise NotFound("There is no such person here.")
    return row


def _guard(principal: Principal, user: User, *, changing: bool) -> None:
    refusal = _why_not(principal, user, _owners([user.pk]), changing=changing)
    if refusal is not None:
        raise refusal


def _why_not(principal: Principal, user: User, owners: frozenset[int], *, changing: bool) -> Forbidden | None:
    if changing and user.pk == principal.user_id:
        return Forbidden(
            "Nobody changes their own role.", code="own_role", advice="Ask another owner or manager."
        )
    if user.pk in owners and not principal.everywhere:
        return Forbidden("Only an owner may change an owner.", code="may_not_touch_owner")
    return None


def _owners(users: Sequence[int]) -> frozenset[int]:
    rows = Membership.objects.filter(user_id__in=users, role=Role.OWNER)
    return frozenset(rows.values_list("user_id", flat=True))


def _keep_an_owner(*, without: User) -> None:
    """Raise `Conflict` when no other active owner would be left. All owners' rows are locked, so that two owners
    who remove each other queue up, and the second one is refused."""
    rows = Membership.objects.select_for_update().filter(role=Role.OWNER).order_by("pk")
    ids = set(rows.values_list("user_id", flat=True))
    if without.pk not in ids:
        return
    if not User.objects.filter(pk__in=ids - {without.pk}, is_active=True).exists():
        raise Conflict(
            "This is the last owner.", code="last_owner", advice="Make somebody else an owner first."
        )


def _member_exists(user: User) -> Conflict:
    return Conflict(f"{user} has a role here already.", code="member_exists", advice="Change that role.")


def mend_staff(user: User) -> None:
    """Agency roles may sign in to the admin; a person whose last agency role went may not any more."""
    staff = Membership.objects.filter(user=user, role__in=access.AGENCY).exists()
    if user.is_staff != staff:
        User.objects.filter(pk=user.pk).update(is_staff=staff)
        user.is_staff = staff


def check(*, email: str, password: str | None, name: str) -> None:
    """Raise `Invalid`, with the fields, for an e-mail or a password that will not do."""
    errors: list[tuple[str, str]] = []
    try:
        validate_email(email.strip())
    except ValidationError:
        errors.append(("email", "This is no e-mail address."))
    if password is not None:
        try:
            validate_password(password, User(email=email.strip().lower(), name=name))
        except ValidationError as error:
            errors.extend(("password", message) for message in error.messages)
    if errors:
        raise Invalid(errors[0][1], code="invalid", errors=errors)
