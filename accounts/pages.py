"""The page for everything that can go wrong while connecting: what happened, what to do next, and the button for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

import accounts.access as access
import accounts.connections as connections
import accounts.links as links
from accounts.errors import Refused
from accounts.models import Client, MetaConnection, PendingGrant

#: Declined once, Meta asks again only when told to.
_ASK_AGAIN: Final = frozenset({"connect_denied", "connect_scope_declined"})
#: Beginning anew would end the same.
_NO_RETRY: Final = frozenset({"no_meta_app", "connect_role_lost", "link_spent"})
_SHOW_ADDRESS: Final = frozenset({"connect_code", "connect_error"})


def dance_of(grant: PendingGrant) -> dict[str, Any]:
    """What the state of a grant's dance said, for `refused`."""
    return {"client": grant.client_id, "link": grant.link_id, "renews": grant.renews_id}


def refused(
    request: HttpRequest, refusal: Refused, *, dance: Mapping[str, Any] | None = None, guest: bool = False
) -> HttpResponse:
    """The page for a refusal; nothing was stored. `dance` (client, link, renews) lets the person try again from here.

    A guest sees no address of the product but the link that they came by.
    """
    dance = dance or {}
    link = links.numbered(dance.get("link")) if dance.get("link") else None
    guest = guest or link is not None
    client = None if guest else _client(request, dance.get("client"))
    renews = (
        MetaConnection.objects.of(client).filter(pk=links.number(dance.get("renews"))).first()
        if client
        else None
    )
    may_retry = refusal.code not in _NO_RETRY
    context = {
        "refusal": refusal,
        "guest": guest,
        "link": links.address(link) if link is not None and may_retry else "",
        "client": client if may_retry else None,
        "renews": renews,
        "again": refusal.code in _ASK_AGAIN,
        "show_scopes": refusal.code in _ASK_AGAIN,
        "show_address": refusal.code in _SHOW_ADDRESS and not guest,
        "redirect_uri": connections.redirect_uri(),
        "scopes": settings.META["scopes"],
    }
    return render(request, "accounts/connect_failed.html", context, status=refusal.status)


def _client(request: HttpRequest, pk: Any) -> Client | None:
    """The client of the dance, where this person may connect it."""
    principal = request.principal  # type: ignore[attr-defined]
    client = Client.objects.filter(pk=links.number(pk), archived_at__isnull=True).first()
    return client if client is not None and access.may(principal, "connect", client) else None
