"""An ad account belongs to one client: rows of Meta become a client's ad accounts, or stay with whom they are.

What a Graph row (`metaads.graph.fields.AD_ACCOUNT`) says is copied here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import accounts.audit as audit
from accounts.access import system
from accounts.models import READABLE, AdAccount, Client, MetaConnection
from metaads.graph import money

#: What `apply_row` may change. A long read saves these alone: meanwhile a person may have switched the account off.
COPIED: Final = (
    "name",
    "business_name",
    "currency",
    "timezone_name",
    "account_status",
    "disable_reason",
    "is_personal",
    "user_tasks",
    "spend_cap",
    "amount_spent",
    "min_daily_budget",
)

#: The audit's word for a change of an account's status at Meta; its detail holds (status, reason) before and after.
STATUS_CHANGED: Final = "ad_account_status"


@dataclass(frozen=True)
class Established:
    """A stored connection, its ad accounts, and those (`act_1`) that another client has claimed."""

    connection: MetaConnection
    ad_accounts: tuple[AdAccount, ...]
    foreign: tuple[str, ...]


def claim(connection: MetaConnection, rows: Sequence[Mapping[str, Any]], *, now: datetime) -> Established:
    """Store what the connection sees, in the caller's transaction. Nothing is switched on or taken from anybody.

    An account keeps its connection while that one is live: one token reads and writes it.
    """
    kept: list[AdAccount] = []
    foreign: list[str] = []
    for row in rows:
        meta_id = meta_id_of(row)
        account = AdAccount.everything.select_for_update().filter(meta_id=meta_id).first()
        if account is None:
            account = AdAccount(client=connection.client, meta_id=meta_id)
        elif account.client_id != connection.client_id:
            foreign.append(f"act_{meta_id}")
            continue
        before = status_of(account)
        apply_row(account, row)
        note_status(account, before=before, now=now)
        current = account.connection
        if current is None or current.state not in READABLE or current.pk == connection.pk:
            account.connection = connection
        account.save()
        kept.append(account)
    return Established(connection, tuple(kept), tuple(foreign))


def status_of(account: AdAccount) -> tuple[int, int]:
    """Meta's status and the reason behind it, as stored."""
    return account.account_status, account.disable_reason


def note_status(account: AdAccount, *, before: tuple[int, int], now: datetime) -> None:
    """Write down that a known account's status at Meta is another one now; the sentinel makes an alert of it."""
    after = status_of(account)
    if account.pk is None or before == after:
        return
    audit.record(
        principal=system(account.client),
        client=account.client,
        verb=STATUS_CHANGED,
        subject=account.act_id,
        now=now,
        before=list(before),
        after=list(after),
    )


def claimed_elsewhere(*, meta_id: str, client: Client) -> bool:
    """Whether another client holds this ad account; says nothing about which."""
    return AdAccount.everything.filter(meta_id=meta_id).exclude(client=client).exists()


def apply_row(account: AdAccount, row: Mapping[str, Any]) -> None:
    """Copy what a Graph row says onto `account` (not saved). Fields that Meta left out keep their value.

    Money comes in minor units; in a currency without a known minor unit it stays unknown (None).
    """
    business = row.get("business")
    name = row.get("business_name") or (business.get("name") if isinstance(business, Mapping) else "")
    account.name = str(row.get("name") or account.name or f"act_{account.meta_id}")[:400]
    account.business_name = str(name or account.business_name or "")[:400]
    account.currency = str(row.get("currency") or account.currency)[:3]
    account.timezone_name = str(row.get("timezone_name") or account.timezone_name or "UTC")[:64]
    account.account_status = _whole(row.get("account_status"), account.account_status)
    account.disable_reason = _whole(row.get("disable_reason"), account.disable_reason)
    if "is_personal" in row:
        account.is_personal = row["is_personal"] in (1, True, "1", "true")
    if isinstance(row.get("user_tasks"), list):
        account.user_tasks = [str(task) for task in row["user_tasks"]]
    for field in ("spend_cap", "amount_spent", "min_daily_budget"):
        if field in row:
            amount = _minor(row[field], account.currency)
            # Meta writes "no cap" as 0.
            setattr(account, field, None if field == "spend_cap" and amount == 0 else amount)


def meta_id_of(row: Mapping[str, Any]) -> str:
    """The account's number without `act_`; "" for a row that names none."""
    text = str(row.get("account_id") or row.get("id") or "").removeprefix("act_")
    return text if text.isascii() and text.isdigit() and len(text) <= 38 else ""


def _whole(value: Any, otherwise: int) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return otherwise


def _minor(value: Any, currency: str) -> Decimal | None:
    try:
        return money.from_minor(value, currency)
    except money.MoneyError:
        return None
