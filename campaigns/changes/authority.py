"""Set who may let how much pass at a client: four eyes, and limits per person or role. `standing` reads them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import Q, QuerySet

import accounts.access as access
import accounts.audit as audit
import campaigns.changes.standing as standing
import metaads.graph.money as money
from accounts.errors import Forbidden, Invalid, NotFound
from accounts.models import Client, Membership, Role, User
from accounts.tenancy import Principal
from campaigns.models import ApprovalPolicy, Authority


def set_policy(
    *,
    client: Client,
    principal: Principal,
    four_eyes_percent: int | None,
    batch_objects: int,
    approval_hours: int,
    now: datetime,
) -> ApprovalPolicy:
    """Set a client's rules. `four_eyes_percent` None: nobody needs a second person."""
    access.require(principal, "manage_client", client)
    if four_eyes_percent is None and not principal.everywhere:
        raise Forbidden(
            "Only an owner switches four eyes off.", code="may_not_operate", advice="Ask an owner."
        )
    values = {"four_eyes_percent": four_eyes_percent, "batch_objects": batch_objects}
    with transaction.atomic():
        before = standing.policy(client.pk)
        was = {name: getattr(before, name) for name in values} | {"approval_hours": client.approval_hours}
        row, _ = ApprovalPolicy.objects.of(client).update_or_create(
            client=client, defaults={**values, "set_at": now, "set_by_id": principal.user_id}
        )
        Client.objects.filter(pk=client.pk).update(approval_hours=approval_hours)
        client.approval_hours = approval_hours
        after = values | {"approval_hours": approval_hours}
        audit.record(
            principal=principal, client=client, verb="set_approval_policy", subject=client.slug, now=now,
            before=was, after=after,
        )  # fmt: skip
    found: ApprovalPolicy = row
    return found


def limits(principal: Principal, *, client: Client) -> QuerySet[Authority]:
    """The limits of people and roles at the client."""
    access.require(principal, "view", client)
    return Authority.objects.of(client).select_related("user").order_by("role", "user_id", "currency")


def set_limit(
    *,
    client: Client,
    principal: Principal,
    now: datetime,
    email: str = "",
    role: str = "",
    percent: int | None = None,
    currency: str = "",
    amount: Decimal | None = None,
) -> None:
    """Limit what a person (by e-mail) or a role may approve in 24 hours: `percent` of an object's budget, or, with a
    `currency`, an `amount` of all raises in it. Both empty: the limit goes."""
    access.require(principal, "manage_client", client)
    if bool(email) == bool(role):
        raise Invalid("Name either a person or a role.", advice="Send email or role.")
    user = _person(client, email) if email else None
    if role and role not in Role.values:
        raise Invalid(f"There is no role {role}.", advice=f"One of: {', '.join(Role.values)}.")
    if currency and not money.known(currency):
        raise Invalid(
            "Which currency?", code="currency_required", advice="Send its three letters, such as USD."
        )
    if user is not None and user.pk == principal.user_id and not principal.everywhere:
        raise Forbidden("Nobody sets their own limit.", code="own_limit", advice="Ask an owner.")
    wanted = amount if currency else percent
    key = f"user:{user.pk}" if user is not None else f"role:{role}"
    rows = Authority.objects.of(client).filter(who=key, currency=currency)
    with transaction.atomic():
        before = rows.first()
        if wanted is None:
            rows.delete()
        else:
            Authority.objects.of(client).update_or_create(
                client=client, who=key, currency=currency,
                defaults={
                    "user": user, "role": role, "percent": None if currency else percent,
                    "amount": amount if currency else None, "set_at": now, "set_by_id": principal.user_id,
                },
            )  # fmt: skip
        was = None if before is None else str(before.amount if currency else before.percent)
        audit.record(
            principal=principal, client=client, verb="set_authority", subject=f"{key} {currency}".strip(), now=now,
            before=was, after=None if wanted is None else str(wanted),
        )  # fmt: skip


def _person(client: Client, email: str) -> User:
    rows = Membership.objects.filter(Q(client=client) | Q(client__isnull=True))
    member = rows.filter(user__email__iexact=email.strip()).select_related("user").first()
    if member is None:
        raise NotFound("There is no such person at this client.")
    return member.user
