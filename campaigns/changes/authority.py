"""Who may let how much pass: four eyes above a threshold, and limits per person or role.

    four eyes   a raise above the client's threshold is not approved by who asked for it (what raises of 24 hours have
                added to the object counts, so that small steps are one large step)
    authority   what one person has approved in 24 hours: percent of an object, amount per currency; a person's own
                limits go before those of the role

`policy` gives a client's rules; without a row the careful ones hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db import transaction
from django.db.models import Q, QuerySet, Sum

import accounts.access as access
import accounts.audit as audit
import metaads.graph.money as money
from accounts.errors import Forbidden, Invalid, NotFound
from accounts.models import Client, Membership, Role, User
from accounts.tenancy import Principal
from campaigns.changes.envelopes import money as written
from campaigns.changes.headroom import COUNTS, RESERVES
from campaigns.models import ApprovalPolicy, Authority, Change
from campaigns.states import Direction, Field, Source

DAY: Final = timedelta(hours=24)
CAREFUL: Final = {"four_eyes_percent": 50, "batch_objects": 10}


def policy(client_id: int) -> ApprovalPolicy:
    """The client's rules; unsaved with the careful values where nobody has set any."""
    found: ApprovalPolicy | None = ApprovalPolicy.objects.of(client_id).first()
    return found or ApprovalPolicy(client_id=client_id, **CAREFUL)


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
        before = policy(client.pk)
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


@dataclass(frozen=True)
class Step:
    """One raise as authority sees it. `base`: what stood there before the raises of 24 hours."""

    rise: Decimal
    base: Decimal
    rises_24h: Decimal


def refusal(change: Change, principal: Principal, *, rises_24h: Decimal, now: datetime) -> Forbidden | None:
    """Why this person may not approve this raise, though the role might; None when they may.

    Call it inside `ledger.locked`, with the client's headroom taken: it counts what was approved a moment ago.
    """
    if change.direction is not Direction.RAISE or not Field(change.field).is_budget:
        return None
    before = Decimal(change.before or 0)
    step = Step(rise=Decimal(change.rise), base=before - rises_24h, rises_24h=rises_24h)
    return _four_eyes(change, principal, step) or _over(change, principal, step, now=now)


def _four_eyes(change: Change, principal: Principal, step: Step) -> Forbidden | None:
    most = policy(change.client_id).four_eyes_percent
    by_hand = Source(change.source) in (Source.PERSON, Source.UNDO)
    if most is None or not by_hand or change.requested_by_id != principal.user_id:
        return None
    if step.base > 0 and (step.rises_24h + step.rise) * 100 <= step.base * most:
        return None
    return Forbidden(
        f"A raise of more than {most} % within 24 hours is approved by somebody else than who asked for it.",
        code="four_eyes",
        advice="Ask the client's approver, another manager or an owner. An owner can change this rule.",
    )


def _over(change: Change, principal: Principal, step: Step, *, now: datetime) -> Forbidden | None:
    rows = _of(change, principal)
    percent = [row.percent for row in rows if row.percent is not None]
    amounts = [row for row in rows if row.currency]
    mine = _approved(change, principal, now=now)
    if percent:
        here = mine.filter(object_id=change.object_id, field=change.field)
        rise = Decimal(here.aggregate(total=Sum("rise"))["total"] or 0) + step.rise
        if step.base <= 0 or rise * 100 > step.base * max(percent):
            return _limit(f"{max(percent)} % of one budget within 24 hours")
    if amounts:
        most = max(
            (
                Decimal(row.amount)
                for row in amounts
                if row.currency == change.currency and row.amount is not None
            ),
            default=Decimal(0),
        )
        total = Decimal(mine.filter(currency=change.currency).aggregate(total=Sum("rise"))["total"] or 0)
        if total + step.rise > most:
            return _limit(f"{written(most)} {change.currency} within 24 hours")
    return None


def _limit(text: str) -> Forbidden:
    return Forbidden(
        f"You may approve raises of up to {text}; this one goes beyond.",
        code="over_authority",
        advice="Ask somebody with a higher limit; owners and managers set the limits.",
    )


def _of(change: Change, principal: Principal) -> list[Authority]:
    rows = Authority.objects.of(change.client_id)
    own = list(rows.filter(who=f"user:{principal.user_id}"))
    if own:
        return own
    roles = principal.roles_at(change.client_id)
    found = list(rows.filter(who__in=[f"role:{role}" for role in roles]))
    # Who also holds a role without any limit has that role's freedom.
    return found if {row.role for row in found} >= set(roles) else []


def _approved(change: Change, principal: Principal, *, now: datetime) -> QuerySet[Change]:
    rows = Change.objects.of(change.client_id).filter(
        approved_by_id=principal.user_id, approved_at__gt=now - DAY
    )
    counts = Q(state__in=COUNTS, possibly_applied=True) | Q(state__in=RESERVES)
    return rows.filter(counts).exclude(pk=change.pk)
