"""People and their roles: the first owner, then whoever is added; a removed one loses everything at once."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

import accounts.access as access
import accounts.audit as audit
import accounts.clients as clients
import accounts.leases as leases
from accounts.errors import Conflict, Forbidden, Invalid
from accounts.models import Client, Membership, Role, User
from accounts.tenancy import Principal

_STAFF_ROLES = frozenset({Role.OWNER, Role.MANAGER, Role.BUYER, Role.ANALYST})


def nobody_yet() -> bool:
    """Whether this installation still waits for its first owner."""
    return not User.objects.exists()


def set_up(*, email: str, name: str, password: str, client_name: str, now: datetime) -> tuple[User, Client]:
    """First visit: the owner and the first client, together. Raises `Conflict` when somebody was faster."""
    _check(email=email, password=password, name=name)
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
    if role not in Role.values:
        raise Invalid(f"A role is one of {', '.join(Role.values)}.", code="unknown_role")
    if (client is None) != (role == Role.OWNER):
        raise Invalid("An owner belongs to no single client; everybody else to one.", code="role_and_client")
    if client is None:
        if not principal.everywhere:
            raise Forbidden("Only an owner may add owners.", code="may_not_manage_people")
    else:
        access.require(principal, "manage_people", client)
    user = User.objects.filter(email=email.strip().lower()).first()
    with transaction.atomic():
        if user is None:
            _check(email=email, password=password, name=name)
            user = User.objects.create_user(email, password, name=name.strip())
        try:
            with transaction.atomic():
                Membership.objects.create(user=user, client=client, role=role)
        except IntegrityError:
            raise Conflict(
                f"{user} has a role here already.", code="member_exists", advice="Change that role."
            ) from None
        mend_staff(user)
        subject = f"{user.email} as {role}"
        audit.record(principal=principal, client=client, verb="add_person", subject=subject, now=now)
    return user


def remove(*, user: User, client: Client, principal: Principal, now: datetime) -> None:
    """End a person's role at a client; their next request there finds nothing."""
    access.require(principal, "manage_people", client)
    with transaction.atomic():
        Membership.objects.filter(user=user, client=client).delete()
        mend_staff(user)
        audit.record(principal=principal, client=client, verb="remove_person", subject=user.email, now=now)


def mend_staff(user: User) -> None:
    """Agency roles may sign in to the admin; a person whose last agency role went may not any more."""
    staff = Membership.objects.filter(user=user, role__in=_STAFF_ROLES).exists()
    if user.is_staff != staff:
        User.objects.filter(pk=user.pk).update(is_staff=staff)
        user.is_staff = staff


def _check(*, email: str, password: str | None, name: str) -> None:
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
