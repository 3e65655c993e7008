"""Connections to Meta: how each one is and what to do about it, what it may, what it sees, and the way to a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

import accounts.access as access
import accounts.ad_accounts as ad_accounts
import accounts.capabilities as capabilities
import accounts.claims as claims
import accounts.connections as connections
import accounts.unfinished as unfinished
from accounts.models import (
    READABLE,
    AdAccount,
    Client,
    ConnectionState,
    ConnectLink,
    GrantedAsset,
    MetaConnection,
)
from accounts.tenancy import Principal
from dashboard.pages.frame import Context, Part, asked_client, clients, page, principal, show
from metaads.clock import now

#: state -> (tone of the badge, what it means, what to do). In the order in which they need somebody.
STATES: Final[Mapping[str, tuple[str, str, str]]] = {
    ConnectionState.REAUTH_NEEDED: (
        "bad",
        "It has ended at Meta: nothing is read and nothing is changed through it.",
        "Reconnect it; numbers that were missed meanwhile are read afterwards.",
    ),
    ConnectionState.EXPIRING: (
        "warn",
        "It ends soon and could not be renewed: numbers are read, people's changes are sent, automation rests.",
        "Reconnect it before the end.",
    ),
    ConnectionState.DEGRADED: (
        "warn",
        "Meta's last answer left it in doubt: numbers are still read, changes and automation rest.",
        "It is checked every ten minutes. If it stays so, reconnect it.",
    ),
    ConnectionState.PAUSED: (
        "warn",
        "It was paused here: nothing is read and nothing is changed through it.",
        "Resume it when it should go on.",
    ),
    ConnectionState.CONNECTED: ("ok", "It works: numbers are read and changes can be sent.", ""),
    ConnectionState.REVOKED: (
        "bad",
        "It was disconnected: its token is gone, nothing is read or changed through it.",
        "Connect the same user again to use it; history and settings are still there.",
    ),
    ConnectionState.DELETING: (
        "bad",
        "Its Facebook user asked for deletion: its token is gone and the rest follows.",
        "Connect another user who sees these ad accounts.",
    ),
}
_READ_ONLY: Final = "It works, read-only: numbers are read, nothing can be changed."
_READ_ONLY_ADVICE: Final = (
    "ads_management was not given. To change budgets, reconnect and leave it switched on."
)
_HELD: Final = (
    "It was restored from a backup: nothing is read or changed until Meta has answered for it.",
    "It is checked by itself within minutes.",
)
_LINKS_SHOWN: Final = 10


@dataclass(frozen=True)
class Seen:
    """An ad account through one connection. `writer` names who changes it ("" for this very connection)."""

    account: AdAccount
    tasks: str
    may_change: bool
    writes: bool
    writer: str
    gone: bool


@dataclass(frozen=True)
class Group:
    """One connection (None: accounts that have lost theirs) with what it may and what it sees."""

    connection: MetaConnection | None
    seen: tuple[Seen, ...]
    may_connect: bool
    tone: str = ""
    meaning: str = ""
    advice: str = ""
    table: tuple[capabilities.Capability, ...] = ()
    readable: bool = False


@page
def listing(request: HttpRequest) -> HttpResponse:
    who = principal(request)
    here = asked_client(request)
    context: Context = {
        "redirect_uri": connections.redirect_uri(),
        "app_ready": bool(settings.META["app_id"] and settings.META["app_secret"]),
        "scopes": settings.META["scopes"],
        "graph_url": settings.META["graph_url"],
        "version": settings.META["version"],
        "may_diagnose": any(access.may(who, "sync", row) for row in ([here] if here else clients(who))),
        "connectable": [row for row in ([here] if here else clients(who)) if access.may(who, "connect", row)],
        "unfinished": unfinished.of(request.session, principal=who, client=here, now=now()),
    }
    parts = {
        "connections": Part("dashboard/parts/connection_list.html", lambda: _groups(who, here)),
        "links": Part("dashboard/parts/connect_links.html", lambda: _links(who, here)),
    }
    return show(
        request,
        "dashboard/connections.html",
        section="connections",
        client=here,
        context=context,
        parts=parts,
    )


def _groups(who: Principal, here: Client | None) -> Context:
    order = list(STATES)
    rows = sorted(connections.of(who, client=here), key=lambda row: order.index(row.state))
    accounts = {row.pk: row for row in access.ad_accounts(who, client=here)}
    assets = GrantedAsset.objects.for_(who).filter(ad_account_id__in=accounts).order_by("ad_account__name")
    names = {row.pk: row.meta_user_name or row.meta_user_id for row in rows}
    seen: dict[int, list[Seen]] = {row.pk: [] for row in rows}
    for asset in assets:
        if asset.connection_id in seen:
            account = accounts[asset.ad_account_id]
            seen[asset.connection_id].append(_seen(account, asset.connection_id, names, asset))
    listed = {(pk, one.account.pk) for pk, some in seen.items() for one in some}
    lost = []
    for account in accounts.values():
        if account.connection_id in seen and (account.connection_id, account.pk) not in listed:
            seen[account.connection_id].append(_seen(account, account.connection_id, names))
        elif account.connection_id is None and not any(pk == account.pk for _, pk in listed):
            lost.append(_seen(account, None, names))
    groups = [_group(row, tuple(seen[row.pk]), access.may(who, "connect", row.client_id)) for row in rows]
    if lost:
        groups.append(Group(None, tuple(lost), False))
    put_away = ad_accounts.archived(who, client=here)
    return {
        "groups": groups,
        "archived": [(row, access.may(who, "connect", row.client_id)) for row in put_away],
    }


def _group(row: MetaConnection, seen: tuple[Seen, ...], may_connect: bool) -> Group:
    tone, meaning, advice = STATES[row.state]
    if row.held:
        tone, (meaning, advice) = "warn", _HELD
    elif row.state == ConnectionState.CONNECTED and claims.WRITE_SCOPE not in row.scopes:
        tone, meaning, advice = "info", _READ_ONLY, _READ_ONLY_ADVICE
    table = capabilities.of(scopes=row.scopes, granular_scopes=row.granular_scopes)
    return Group(row, seen, may_connect, tone, meaning, advice, table, row.state in READABLE)


def _seen(
    account: AdAccount, connection_id: int | None, names: Mapping[int, str], asset: GrantedAsset | None = None
) -> Seen:
    tasks = asset.tasks if asset is not None else account.user_tasks
    writes = connection_id is not None and account.connection_id == connection_id
    return Seen(
        account=account,
        tasks=capabilities.task_words(tasks),
        may_change=capabilities.may_change(tasks),
        writes=writes,
        writer="" if writes else names.get(account.connection_id or 0, ""),
        gone=asset is not None and asset.gone_at is not None,
    )


def _links(who: Principal, here: Client | None) -> Context:
    """Links that were mailed to clients' own people; only those who may connect see them."""
    mine = [row.pk for row in ([here] if here else clients(who)) if access.may(who, "connect", row)]
    rows = ConnectLink.objects.for_(who).filter(user__isnull=True, client_id__in=mine)
    rows = rows.select_related("client", "made_by").order_by("-created_at", "-pk")
    return {"links": list(rows[:_LINKS_SHOWN])}
