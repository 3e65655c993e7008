"""Connections to Meta with their state and what to do about it, the ad accounts behind them, and the connect button."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse

import accounts.access as access
import accounts.connections as connections
from accounts.models import AdAccount, Client, MetaConnection
from accounts.tenancy import Principal
from dashboard.pages.frame import Context, Part, asked_client, clients, page, principal, show


@dataclass(frozen=True)
class Group:
    """One connection (None: accounts that have lost theirs) with its ad accounts."""

    connection: MetaConnection | None
    accounts: tuple[AdAccount, ...]
    may_connect: bool


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
        "connectable": [row for row in ([here] if here else clients(who)) if access.may(who, "connect", row)],
    }
    parts = {"connections": Part("dashboard/parts/connection_list.html", lambda: _groups(who, here))}
    return show(
        request,
        "dashboard/connections.html",
        section="connections",
        client=here,
        context=context,
        parts=parts,
    )


def _groups(who: Principal, here: Client | None) -> Context:
    rows = connections.of(who, client=here)
    accounts = access.ad_accounts(who, client=here)
    groups = [
        Group(
            row,
            tuple(one for one in accounts if one.connection_id == row.pk),
            access.may(who, "connect", row.client_id),
        )
        for row in rows
    ]
    known = {row.pk for row in rows}
    lost = tuple(one for one in accounts if one.connection_id not in known)
    if lost:
        groups.append(Group(None, lost, False))
    return {"groups": groups}
