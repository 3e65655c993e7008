"""Set who may let how much pass at a client: four eyes, and limits per person or role. `standing` reads them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.db.models import Q

import accounts.access as access
import accounts.audit as audit
import campaigns.changes.ledger as ledger
import campaigns.changes.standing as standing
import metaads.graph.money as money
from accounts.errors import Forbidden, Invalid, NotFound
from accounts.models import Client, Membership, Role, User
from accounts.tenancy import Principal
from campaigns.changes.envelopes import money as written
from campaigns.models import ApprovalPolicy, Authority, FourEyesAmount


def set_policy(
    *,
    client: Client,
    principal: Principal,
    four_eyes_percent: int | None,
    batch_objects: int,
    approval_hours: int,
    now: datetime,
    currency: str = "",
    four_eyes_amount: Decimal | None = None,
) -> ApprovalPolicy:
    """Set a client's rules. `four_eyes_percent` None: no percentage needs a second person. With a `currency`, also
    what one person may both ask for and approve in it within 24 hours; None: no such limit."""
    access.require(principal, "manage_client", client)
    if four_eyes_percent is None and not principal.everywhere:
        raise Forbidden(
            "Only an owner switches four eyes off.", code="may_not_operate", advice="Ask an owner."
        )
    if currency:
        _known(currency)
    with ledger.locked_client(client.pk) as chains:
        before = _rules(client)
        row, _ = ApprovalPolicy.objects.of(client).update_or_create(
            client=client,
            defaults={
                "four_eyes_percent": four_eyes_percent, "batch_objects": batch_objects, "set_at": now,
                "set_by_id": principal.user_id,
            },
        )  # fmt: skip
        Client.objects.filter(pk=client.pk).update(approval_hours=approval_hours)
        client.approval_hours = approval_hours
        if currency:
            _set_four_eyes_amount(client, principal, currency, four_eyes_amount, now)
        after = _rules(client)
        audit.record(
            principal=principal, client=client, verb="set_approval_policy", subject=client.slug, now=now,
            before=before, after=after,
        )  # fmt: skip
        for name in sorted(
            name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
        ):
            ledger.limit_set(
                client_id=client.pk, ad_account_ids=chains, by=ledger.actor(principal), now=now,
                what=name.replace("_", " "), before=_said(before.get(name)), after=_said(after.get(name)),
            )  # fmt: skip
    found: ApprovalPolicy = row
    return found


def _rules(client: Client) -> dict[str, int | str | None]:
    rules = standing.policy(client.pk)
    amounts = standing.four_eyes_amounts(client.pk)
    return {
        "four_eyes_percent": rules.four_eyes_percent,
        "batch_objects": rules.batch_objects,
        "approval_hours": client.approval_hours,
        **{f"four_eyes_amount_{currency}": written(amount) for currency, amount in amounts.items()},
    }


def _said(value: int | str | None) -> str:
    return "" if value is None else str(value)


def _set_four_eyes_amount(
    client: Client, principal: Principal, currency: str, amount: Decimal | None, now: datetime
) -> None:
    rows = FourEyesAmount.objects.of(client)
    if amount is None:
        rows.filter(currency=currency).delete()
        return
    rows.update_or_create(
        client=client,
        currency=currency,
        defaults={"amount": amount, "set_at": now, "set_by_id": principal.user_id},
    )


def _known(currency: str) -> None:
    if not money.known(currency):
        raise Invalid(
            "Which currency?", code="currency_required", advice="Send its three letters, such as USD."
        )


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
    """Limit what a person (by e-mail) or a role may approve in 24 hours: `percent` of an object's budget or bid, or,
    with a `currency`, an `amount` of all that may be spent more in it. Both empty: the limit goes."""
    access.require(principal, "manage_client", client)
    if bool(email) == bool(role):
        raise Invalid("Name either a person or a role.", advice="Send email or role.")
    user = _person(client, email) if email else None
    if role and role not in Role.values:
        raise Invalid(f"There is no role {role}.", advice=f"One of: {', '.join(Role.values)}.")
    if currency:
        _known(currency)
    if user is not None and user.pk == principal.user_id and not principal.everywhere:
        raise Forbidden("Nobody sets their own limit.", code="own_limit", advice="Ask an owner.")
    wanted = amount if currency else percent
    key = f"user:{user.pk}" if user is not None else f"role:{role}"
    rows = Authority.objects.of(client).filter(who=key, currency=currency)
    with ledger.locked_client(client.pk) as chains:
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
        after = None if wanted is None else str(wanted)
        audit.record(
            principal=principal, client=client, verb="set_authority", subject=f"{key} {currency}".strip(), now=now,
            before=was, after=after,
        )  # fmt: skip
        # Lines hold numbers of people, never names.
        ledger.limit_set(
            client_id=client.pk, ad_account_ids=chains, by=ledger.actor(principal), now=now,
            what=f"authority of {key}", before=was or "", after=after or "", currency=currency,
            note="" if currency else "In percent of one budget or bid.",
        )  # fmt: skip


def _person(client: Client, email: str) -> User:
    rows = Membership.objects.filter(Q(client=client) | Q(client__isnull=True))
    member = rows.filter(user__email__iexact=email.strip()).select_related("user").first()
    if member is None:
        raise NotFound("There is no such person at this client.")
    return member.user
