"""Set and read the spend caps: who set which, when, and how full each is.

Setting one writes a line into the ledger of the account, or of each of the client's accounts, and takes the client's
lock, so it falls before or after a raise that is being approved or sent, never between
that raise's look at the cap and its attempt.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

import accounts.access as access
import accounts.audit as audit
import campaigns.changes.headroom as headroom
import campaigns.changes.ledger as ledger
import campaigns.queries as queries
import metaads.graph.money as money
from accounts.errors import Invalid, NotFound
from accounts.models import AdAccount, Client, User
from accounts.tenancy import Principal
from campaigns.changes.envelopes import Period, Scope, Use
from campaigns.models import AdSet, Campaign, Envelope, LedgerLine
from campaigns.states import Level, canonical_amount

_HISTORY: Final = 20


def of(principal: Principal, *, ad_account: AdAccount, now: datetime) -> list[tuple[Envelope, Use]]:
    """Every envelope that can hold a change of the account, with how full it is now."""
    access.require(principal, "view", ad_account.client_id)
    return headroom.uses_now(ad_account=ad_account, now=now)


@dataclass(frozen=True)
class Cap:
    """One cap as it would stand: whose, in which currency, how much (None: none any more)."""

    client: Client
    ad_account: AdAccount | None
    scope: Scope
    period: Period
    key: str
    object_id: str
    name: str
    currency: str
    amount: Decimal | None


def wanted(
    *,
    principal: Principal,
    client: Client,
    scope: Scope,
    period: Period,
    amount: Decimal | None,
    ad_account: AdAccount | None = None,
    object_id: str = "",
    currency: str = "",
) -> Cap:
    """What `set_` would set, for a form that tells before it is sent; raises what `set_` raises."""
    access.require(principal, "manage_client", client)
    if scope is Scope.CLIENT:
        key, object_id, name = headroom.client_key(client.pk, _currency(currency)), "", client.name
        ad_account = None
    else:
        ad_account = _account(ad_account, client)
        currency = ad_account.currency
        key, name = headroom.account_key(ad_account.pk), ad_account.name
        if scope in (Scope.CAMPAIGN, Scope.OBJECT):
            obj = _object(ad_account, scope, object_id)
            key, name = f"{scope}:{obj.meta_id}", obj.name
        else:
            object_id = ""
    if period is Period.FLIGHT and scope in (Scope.ACCOUNT, Scope.CLIENT):
        raise Invalid("Only a campaign or an ad set has a flight.", code="bad_period", advice="Use month.")
    if amount is None and period is Period.DAY and scope in (Scope.ACCOUNT, Scope.CLIENT):
        advice = "Send another amount; 0 lets nothing spend more."
        raise Invalid("This limit can be changed, not taken away.", code="limit_needed", advice=advice)
    _amount(amount, currency)
    return Cap(client, ad_account, scope, period, key, object_id, name, currency, amount)


def set_(
    *,
    principal: Principal,
    client: Client,
    scope: Scope,
    period: Period,
    amount: Decimal | None,
    reason: str,
    now: datetime,
    ad_account: AdAccount | None = None,
    object_id: str = "",
    currency: str = "",
) -> Envelope | None:
    """Set one cap, in major units of the account's currency; None takes it away. An account and a client keep one for
    their day: without it nothing may spend more, so that one is only ever changed.

    `client` needs a currency, `account` an ad account, `campaign` and `object` the account and the object's id. One
    that stands there in a currency which the account has no more is replaced, not converted.
    """
    cap = wanted(
        principal=principal, client=client, scope=scope, period=period, amount=amount, ad_account=ad_account,
        object_id=object_id, currency=currency,
    )  # fmt: skip
    reason = reason.strip()[:500]
    account_id = cap.ad_account.pk if cap.ad_account is not None else None
    with ledger.locked_client(client.pk, only=account_id) as chains:
        rows = Envelope.objects.of(client).filter(scope_key=cap.key, period=period.value)
        before = rows.first()
        row = None
        if amount is None:
            rows.delete()
        else:
            row, _ = Envelope.everything.update_or_create(
                scope_key=cap.key,
                period=period.value,
                defaults={
                    "client": client,
                    "ad_account": cap.ad_account,
                    "scope": scope.value,
                    "object_id": cap.object_id,
                    "currency": cap.currency,
                    "amount": amount,
                    "set_at": now,
                    "set_by_id": principal.user_id,
                    "reason": reason,
                },
            )
        _told(cap, before, reason, principal=principal, chains=chains, now=now)
    return row


def _told(
    cap: Cap, before: Envelope | None, reason: str, *, principal: Principal, chains: list[int], now: datetime
) -> None:
    """Who set it, from what to what, in the audit and in each chain."""
    was, note = _written(before.amount if before is not None else None), reason
    if before is not None and before.currency != cap.currency:
        # A line has one currency; the number of the other one beside it would read as if it had been converted.
        note = f"It was {was} {before.currency}, which held nothing any more. {reason}".strip()
        was = None
    audit.record(
        principal=principal, client=cap.client, verb="set_envelope", subject=f"{cap.key} {cap.period}", now=now,
        before=was, after=_written(cap.amount), currency=cap.currency, reason=note[:500],
    )  # fmt: skip
    ledger.limit_set(
        client_id=cap.client.pk, ad_account_ids=chains, by=ledger.actor(principal), now=now,
        what=headroom.named(cap.scope, cap.period), before=was or "", after=_written(cap.amount) or "",
        currency=cap.currency, note=note, object_id=cap.object_id, object_name=cap.name,
    )  # fmt: skip


def history(row: Envelope) -> list[str]:
    """Who set this limit, from what to what and why: a sentence a line of the ledger, newest first."""
    rows = LedgerLine.objects.of(row.client_id).filter(
        kind="limit", field=headroom.named(Scope(row.scope), Period(row.period)), object_id=row.object_id
    )
    if row.ad_account_id is not None:
        rows = rows.filter(ad_account_id=row.ad_account_id)
    else:
        # The same line stands in the chain of each of the client's accounts: one of them is enough.
        newest = rows.filter(currency=row.currency).order_by("-at", "-pk").first()
        rows = rows.filter(currency=row.currency, ad_account_id=newest.ad_account_id if newest else None)
    lines = list(rows.order_by("-seq")[:_HISTORY])
    ids = {int(line.actor_id) for line in lines if line.actor_id.isdigit()}
    names = {str(user.pk): str(user) for user in User.objects.filter(pk__in=ids)}
    return [
        f"{line.at:%d %b %Y %H:%M} UTC, {names.get(line.actor_id, 'metaads' if line.by == 'system' else 'somebody')}: "
        f"{line.before or 'none'} → {line.after or 'none'} {line.currency}. {line.note}".strip()
        for line in lines
    ]


def _written(amount: Decimal | None) -> str | None:
    return None if amount is None else canonical_amount(Decimal(amount))


def _currency(text: str) -> str:
    if not money.known(text):
        advice = "Send its three letters, such as USD: a client has one limit per currency."
        raise Invalid(
            "Which currency?", code="currency_required", advice=advice, errors=[("currency", advice)]
        )
    return text


def _account(ad_account: AdAccount | None, client: Client) -> AdAccount:
    if ad_account is None:
        raise Invalid("Which ad account?", code="account_required", advice="Send account_id.")
    if ad_account.client_id != client.pk:
        raise NotFound("There is no such ad account.")
    return ad_account


def _object(ad_account: AdAccount, scope: Scope, object_id: str) -> Campaign | AdSet:
    levels = (Level.CAMPAIGN,) if scope is Scope.CAMPAIGN else (Level.CAMPAIGN, Level.AD_SET)
    for level in levels:
        row: Campaign | AdSet | None = queries.stored(  # type: ignore[assignment]
            ad_account=ad_account, level=level, object_id=object_id
        )
        if row is not None:
            return row
    raise NotFound("There is no such campaign or ad set.")


def _amount(amount: Decimal | None, currency: str) -> None:
    if amount is None:
        return
    if not amount.is_finite() or not 0 <= amount <= Decimal(10) ** 12:
        raise Invalid("A limit is an amount from 0 on.", code="bad_amount", errors=[("amount", "0 or more.")])
    if money.known(currency) and amount != amount.quantize(money.minor_unit(currency)):
        text = f"{amount} {currency} is not a whole number of {money.minor_unit(currency)} {currency}."
        raise Invalid(text, code="not_whole_minor_unit", errors=[("amount", text)])
