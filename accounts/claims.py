"""An ad account belongs to one client and has one writer: rows of Meta become a client's ad accounts, or stay where
they are.

    claim      rows that a connection sees -> AdAccount + GrantedAsset; what it sees no more -> gone_at
    hand_over  the writer ended, or may not write any more -> another connection of the client that may

What a Graph row (`metaads.graph.fields.AD_ACCOUNT`) says is copied here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, OuterRef

import accounts.audit as audit
from accounts.access import system
from accounts.models import (
    READABLE,
    WRITABLE,
    AdAccount,
    AuditLine,
    Client,
    ConnectionState,
    GrantedAsset,
    MetaConnection,
)
from metaads.graph import money

#: One of these makes a connection worth having; the first alone gives a read-only one.
READ_SCOPES: Final = ("ads_read", "ads_management")
WRITE_SCOPE: Final = "ads_management"
WRITE_TASKS: Final = frozenset({"ADVERTISE", "MANAGE"})
#: From here only a person leads back: another connection of the client takes the writing over.
ENDED: Final = (ConnectionState.REAUTH_NEEDED, ConnectionState.REVOKED, ConnectionState.DELETING)
#: Best first.
HEALTH: Final = (ConnectionState.CONNECTED, ConnectionState.EXPIRING, ConnectionState.DEGRADED)
HANDED_OVER: Final = "hand_over_writer"

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
    """Store what the connection sees (all of it), in the caller's transaction. Nothing is switched on or taken from
    anybody: another client's account stays where it is, and an account keeps its writer while that one may write.
    """
    kept: list[AdAccount] = []
    foreign: list[str] = []
    for row in sorted(
        rows, key=meta_id_of
    ):  # one order for all: two that claim at once must not lock crosswise
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
        if account.connection_id is None:
            account.connection = connection
        account.save()
        _grant(connection, account, row, now=now)
        hand_over(account, now=now)
        kept.append(account)
    gone = GrantedAsset.objects.of(connection.client_id).filter(connection=connection, gone_at__isnull=True)
    lost = gone.exclude(ad_account__in=kept).select_related("ad_account")
    for asset in list(lost):
        gone.filter(pk=asset.pk).update(gone_at=now)
        hand_over(asset.ad_account, now=now)
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


def _grant(connection: MetaConnection, account: AdAccount, row: Mapping[str, Any], *, now: datetime) -> None:
    fields: dict[str, Any] = {"seen_at": now, "gone_at": None}
    if isinstance(row.get("user_tasks"), list):
        fields["tasks"] = [str(task) for task in row["user_tasks"]]
    GrantedAsset.objects.of(connection.client_id).update_or_create(
        connection=connection,
        ad_account=account,
        defaults=fields,
        create_defaults={"client": connection.client} | fields,
    )


# --- who may do what


def granted(ad_account: AdAccount) -> list[GrantedAsset]:
    """The connections of the account's own client that see it, each with what it may do there; no tokens."""
    rows = GrantedAsset.objects.of(ad_account.client_id).filter(
        ad_account_id=ad_account.pk, gone_at__isnull=True, connection__client_id=ad_account.client_id
    )
    return list(rows.select_related("connection").defer("connection__token").order_by("connection_id"))


def readable() -> Exists:
    """A condition on ad accounts: some connection of its client can read it now."""
    return Exists(
        GrantedAsset.everything.filter(
            ad_account_id=OuterRef("pk"),
            client_id=OuterRef("client_id"),
            gone_at__isnull=True,
            connection__client_id=OuterRef("client_id"),
            connection__state__in=READABLE,
            connection__held=False,
        )
    )


def may_read(asset: GrantedAsset) -> bool:
    """Whether the grant lets its holder read this account; says nothing of the token's health."""
    return any(_scoped(asset.connection, scope, asset.ad_account.meta_id) for scope in READ_SCOPES)


def why_not_write(asset: GrantedAsset) -> str:
    """What the grant lacks for a change in this account: "scope", "task", or "" when nothing."""
    if not _scoped(asset.connection, WRITE_SCOPE, asset.ad_account.meta_id):
        return "scope"
    if asset.tasks and not WRITE_TASKS & set(asset.tasks):
        return "task"
    return ""


def left_out(asset: GrantedAsset) -> bool:
    """Whether changes were allowed, and not in this account: somebody has taken it out of what is shared."""
    connection = asset.connection
    return WRITE_SCOPE in connection.scopes and not _scoped(connection, WRITE_SCOPE, asset.ad_account.meta_id)


def _scoped(connection: MetaConnection, scope: str, meta_id: str) -> bool:
    """A scope may be given for some accounts only: Meta names those; it names none when all are meant."""
    if scope not in connection.scopes:
        return False
    for one in connection.granular_scopes:
        targets = one.get("target_ids") if one.get("scope") == scope else None
        if targets:
            return meta_id in {str(target).removeprefix("act_") for target in targets}
    return True


# --- the one writer


def hand_over(ad_account: AdAccount, *, now: datetime) -> None:
    """Give the account another writer of its client, if its own has ended or may not write, and another one may.

    Where nobody else may write, one that ended leaves its place to one that can read. A doubt, a pause and a near end
    are no reason: the same writer comes back from them.
    """
    with transaction.atomic():
        account = (
            AdAccount.objects.of(ad_account.client_id)
            .select_for_update(of=("self",))
            .select_related("client", "connection")
            .get(pk=ad_account.pk)
        )
        heir = _heir(account)
        if heir is None:
            return
        AdAccount.objects.of(account.client_id).filter(pk=account.pk).update(connection=heir)
        before = account.connection
        audit.record(
            principal=system(account.client),
            client=account.client,
            verb=HANDED_OVER,
            subject=account.act_id,
            now=now,
            before=str(before.uuid) if before is not None else "",
            after=str(heir.uuid),
        )
    ad_account.connection = heir


def _heir(account: AdAccount) -> MetaConnection | None:
    """Who is to write in this account from now on; None: the one who does."""
    assets = granted(account)
    mine = next((asset for asset in assets if asset.connection_id == account.connection_id), None)
    over = mine is None or mine.connection.state in ENDED
    if not over and mine is not None and not why_not_write(mine):
        return None
    others = [asset for asset in assets if asset is not mine and not asset.connection.held]
    writers = [asset for asset in others if asset.connection.state in WRITABLE and not why_not_write(asset)]
    readers = [asset for asset in others if asset.connection.state in READABLE and may_read(asset)]
    heirs = writers or (readers if over else [])
    if not heirs:
        return None
    return min(heirs, key=lambda asset: (health(asset.connection), asset.connection_id)).connection


def hand_over_all(connection: MetaConnection, *, now: datetime) -> None:
    """`hand_over` for every account that the connection writes."""
    for account in AdAccount.objects.of(connection.client_id).filter(connection_id=connection.pk):
        hand_over(account, now=now)


def handed_over_since(ad_account: AdAccount, moment: datetime) -> bool:
    """Whether the account got another writer since that moment."""
    lines = AuditLine.objects.of(ad_account.client_id).filter(verb=HANDED_OVER, subject=ad_account.act_id)
    return lines.filter(at__gte=moment).exists()


def health(connection: MetaConnection) -> int:
    """A rank: the smaller, the better. A state that cannot be used comes last."""
    return HEALTH.index(connection.state) if connection.state in HEALTH else len(HEALTH)


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
