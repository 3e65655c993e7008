"""The connect dance from button to confirmation."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.base.constants import AuthProcess
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

import accounts.access as access
import accounts.ad_accounts as ad_accounts
import accounts.claims as claims
import accounts.connections as connections
import accounts.grants as grants
from accounts.models import Client
from accounts.views.refusals import refusals_as_pages
from metaads.clock import now


@login_required
@require_POST
@refusals_as_pages
def connect(request: HttpRequest) -> HttpResponse:
    """Start the OAuth dance for `client` (slug, from the form or the query)."""
    ref = request.POST.get("client") or request.GET.get("client")
    client = access.client(request.principal, ref, verb="connect")  # type: ignore[attr-defined]
    state = grants.start(client=client, user=request.user, now=now())  # type: ignore[arg-type]
    return _to_meta(request, state, again=request.POST.get("again") == "1")


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
@refusals_as_pages
def connect_link(request: HttpRequest, text: str) -> HttpResponse:
    """A one-time link of the API: GET says what will happen, POST starts the dance and spends the link."""
    row = grants.linked(text=text, principal=request.principal, now=now())  # type: ignore[attr-defined]
    if request.method == "GET":
        return render(request, "accounts/connect_link.html", {"client": row.client})
    return _to_meta(request, grants.follow(row=row, now=now()))


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
@refusals_as_pages
def confirm_connection(request: HttpRequest, uuid: str) -> HttpResponse:
    """Name the Meta user, the permissions and the ad accounts; store them only when the person says so."""
    principal = request.principal  # type: ignore[attr-defined]
    key = request.session.session_key or ""
    grant = grants.find(uuid=uuid, principal=principal, session_key=key, now=now())
    if request.method == "POST":
        grants.confirm(grant=grant, principal=principal, enable=request.POST.getlist("enable"), now=now())
        return HttpResponseRedirect(f"/c/{grant.client.slug}/")
    found = grants.preview(grant)
    context = {
        "grant": grant,
        "client": grant.client,
        "found": found,
        "read_only": connections.WRITE_SCOPE not in found.scopes,
        "accounts": [_choice(row, grant.client) for row in found.rows],
    }
    return render(request, "accounts/confirm_connection.html", context)


def _choice(row: Any, client: Client) -> dict[str, Any]:
    """One ad account on the confirm page; an account of another client is shown, but cannot be chosen."""
    meta_id = claims.meta_id_of(row)
    return {
        "act_id": f"act_{meta_id}",
        "name": row.get("name", ""),
        "currency": row.get("currency", ""),
        "timezone_name": row.get("timezone_name", ""),
        "status": ad_accounts.status_words(int(row.get("account_status") or 0)),
        "active": row.get("account_status") in (1, "1"),
        "taken": claims.claimed_elsewhere(meta_id=meta_id, client=client),
    }


def _to_meta(request: HttpRequest, state: dict[str, Any], *, again: bool = False) -> HttpResponse:
    """Off to Meta's dialog. `again` asks once more for permissions that were declined before."""
    connections.require_app()
    provider = get_adapter(request).get_provider(request, "facebook")
    more = {"auth_params": {"auth_type": "rerequest"}} if again else {}
    response: HttpResponse = provider.redirect(request, process=AuthProcess.REDIRECT, data=state, **more)
    return response
