"""The connect dance from button to confirmation, for people who are signed in and for guests with a link."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.base.constants import AuthProcess
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

import accounts.access as access
import accounts.ad_accounts as ad_accounts
import accounts.capabilities as capabilities
import accounts.claims as claims
import accounts.connections as connections
import accounts.grants as grants
import accounts.links as links
import accounts.pages as pages
import accounts.unfinished as unfinished
from accounts.claims import Established
from accounts.errors import NotFound, Refused
from accounts.forms import TokenForm
from accounts.models import AdAccount, Client, PendingGrant
from accounts.views.refusals import refusals_as_pages
from metaads.clock import now


@login_required
@require_POST
@refusals_as_pages
def connect(request: HttpRequest) -> HttpResponse:
    """Start the OAuth dance for `client` (slug, from the form or the query), or to renew one `connection`."""
    principal = request.principal  # type: ignore[attr-defined]
    renews = None
    if request.POST.get("connection"):
        renews = connections.get(principal, _uuid(request.POST["connection"]), verb="connect")
        client = renews.client
    else:
        ref = request.POST.get("client") or request.GET.get("client")
        client = access.client(principal, ref, verb="connect")
    state = grants.start(client=client, user=request.user, renews=renews, now=now())  # type: ignore[arg-type]
    ask = {"again": "rerequest", "other": "reauthenticate"}
    return _to_meta(
        request,
        state,
        auth_type=next((kind for name, kind in ask.items() if request.POST.get(name) == "1"), ""),
    )


@never_cache
@require_http_methods(["GET", "POST"])
@refusals_as_pages
def connect_link(request: HttpRequest, text: str) -> HttpResponse:
    """A one-time link: GET says what will happen, POST starts the dance. Only a guest's needs no sign-in."""
    row = links.read(text)
    if row is not None and row.user_id is None:
        return _guest_link(request, row)
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    moment = now()
    row = links.require_own(row, principal=request.principal, now=moment)  # type: ignore[attr-defined]
    if request.method == "GET":
        return render(request, "accounts/connect_link.html", {"client": row.client})
    state = grants.start(client=row.client, user=row.user, now=moment)
    links.spend(row, now=moment)
    return _to_meta(request, state)


def _guest_link(request: HttpRequest, row: Any) -> HttpResponse:
    moment = now()
    try:
        links.require_guest(row, now=moment)
        if request.method == "GET":
            context = {"client": row.client, "sender": row.made_by, "until": row.expires_at}
            context |= {"scopes": settings.META["scopes"], "host": settings.PUBLIC_URL}
            return render(request, "accounts/guest_link.html", context)
        return _to_meta(request, grants.start(client=row.client, user=None, link=row, now=moment))
    except Refused as refusal:
        return pages.refused(request, refusal, guest=True)


@never_cache
@require_http_methods(["GET", "POST"])
@refusals_as_pages
def confirm_connection(request: HttpRequest, uuid: str) -> HttpResponse:
    """Name the Meta user, the permissions and the ad accounts; store them only when the person says so."""
    key = request.session.session_key or ""
    try:
        grant = grants.find(uuid=uuid, principal=request.principal, session_key=key)  # type: ignore[attr-defined]
    except Refused:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        raise
    if grants.done(grant):
        return _landed(request, grant)
    try:
        return _confirm(request, grant)
    except Refused as refusal:
        return pages.refused(request, refusal, dance=pages.dance_of(grant))


def _confirm(request: HttpRequest, grant: PendingGrant) -> HttpResponse:
    moment = now()
    who = grants.acting(grant=grant, principal=request.principal, now=moment)  # type: ignore[attr-defined]
    second = "1" in (request.POST.get("second"), request.GET.get("second"))
    if request.method == "POST":
        made = grants.confirm(
            grant=grant, principal=who, enable=request.POST.getlist("enable"), second=second, now=moment
        )
        if grant.link_id is None:
            _tell(request, made)
        return HttpResponseRedirect(_after(grant))
    if grants.wrong_user(grant) and not second:
        return render(
            request, "accounts/wrong_user.html", {"grant": grant, "client": grant.client}, status=409
        )
    found = grants.preview(grant)
    choices = [_choice(row, grant.client) for row in found.rows]
    context = {
        "grant": grant,
        "client": grant.client,
        "found": found,
        "second": second,
        "guest": grant.link is not None,
        "capabilities": capabilities.of(scopes=found.scopes, granular_scopes=found.granular_scopes),
        "read_only": claims.WRITE_SCOPE not in found.scopes,
        "accounts": choices,
        "taken": sum(choice["taken"] for choice in choices),
    }
    return render(request, "accounts/confirm_connection.html", context)


@login_required
@never_cache
@sensitive_post_parameters("token")
@require_http_methods(["GET", "POST"])
@refusals_as_pages
@sensitive_variables("form", "token")
def paste_token(request: HttpRequest) -> HttpResponse:
    """A form for a system user's token: asked about at Meta, then confirmed like any other. Never shown again."""
    principal = request.principal  # type: ignore[attr-defined]
    client = access.client(principal, request.GET.get("client"), verb="connect")
    connections.require_app()
    form = TokenForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            grant = grants.paste(
                client=client,
                principal=principal,
                user=request.user,  # type: ignore[arg-type]
                session_key=request.session.session_key or "",
                token=form.cleaned_data["token"],
                now=now(),
            )
        except Refused as refusal:
            form.take(refusal)
            status = refusal.status
        else:
            return HttpResponseRedirect(reverse("confirm_connection", args=[grant.uuid]))
    elif form.errors:
        status = 400
    context = {
        "form": form,
        "client": client,
        "scopes": settings.META["scopes"],
        "app_id": settings.META["app_id"],
    }
    return render(request, "accounts/paste_token.html", context, status=status)


def _landed(request: HttpRequest, grant: PendingGrant) -> HttpResponse:
    """Where a confirmed grant leads, the first time and at every reload."""
    if grant.link is not None:
        return render(request, "accounts/guest_thanks.html", {"grant": grant, "client": grant.client})
    if request.method == "POST":
        name = grant.meta_user_name or grant.meta_user_id
        messages.info(request, f"{name} is connected to {grant.client} already; nothing was done twice.")
    return HttpResponseRedirect(_after(grant))


def _after(grant: PendingGrant) -> str:
    """The client's dashboard; for a guest, who never sees one, the thank-you that this same address shows now."""
    if grant.link_id is not None:
        return reverse("confirm_connection", args=[grant.uuid])
    return f"/c/{grant.client.slug}/"


def _tell(request: HttpRequest, made: Established) -> None:
    """The success message on the client's dashboard: who and what was connected, and what was left alone."""
    row = made.connection
    on = [account for account in made.ad_accounts if _enabled(account)]
    off = len(made.ad_accounts) - len(on)
    words = [f"{row.meta_user_name or row.meta_user_id} is connected to {row.client}."]
    if on:
        named = ", ".join(f"{account.name} ({account.act_id})" for account in on[:3])
        more = f" and {len(on) - 3} more" if len(on) > 3 else ""
        words.append(f"Read from now on: {named}{more}.")
    if off:
        words.append(
            f"{off} more can be switched on under Connections."
            if on
            else "Switch on what should be read under Connections."
        )
    messages.success(request, " ".join(words))
    if claims.WRITE_SCOPE not in row.scopes:
        messages.warning(
            request, "It is read-only: ads_management was not given, so nothing can be changed through it."
        )
    if made.foreign:
        messages.warning(
            request, f"Left alone, because another client holds them: {', '.join(made.foreign)}."
        )


def _enabled(account: Any) -> bool:
    account.refresh_from_db(fields=["enabled_at", "archived_at"])
    return bool(account.enabled)


def _choice(row: Any, client: Client) -> dict[str, Any]:
    """One ad account on the confirm page. What is on stays on, what a person has switched off is not ticked again,
    and an account of another client is shown, but cannot be chosen."""
    meta_id = claims.meta_id_of(row)
    tasks = row.get("user_tasks") or []
    known = AdAccount.objects.of(client).filter(meta_id=meta_id).first()
    taken = claims.claimed_elsewhere(meta_id=meta_id, client=client)
    closed = row.get("account_status") in (101, "101")
    active = row.get("account_status") in (1, "1")
    return {
        "act_id": f"act_{meta_id}",
        "name": row.get("name", ""),
        "currency": row.get("currency", ""),
        "timezone_name": row.get("timezone_name", ""),
        "status": ad_accounts.status_words(int(row.get("account_status") or 0)),
        "on": known is not None and known.enabled,
        "ticked": known is None and active and not taken,
        "open": not (taken or closed or (known is not None and known.enabled)),
        "tasks": capabilities.task_words(tasks),
        "may_change": capabilities.may_change(tasks),
        "taken": taken,
    }


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such connection.") from None


def _to_meta(request: HttpRequest, state: dict[str, Any], *, auth_type: str = "") -> HttpResponse:
    """Off to Meta's dialog. `rerequest` asks once more for what was declined, `reauthenticate` for another user."""
    connections.require_app()
    provider = get_adapter(request).get_provider(request, "facebook")
    more = {"auth_params": {"auth_type": auth_type}} if auth_type else {}
    unfinished.begin(request.session, state)
    response: HttpResponse = provider.redirect(request, process=AuthProcess.REDIRECT, data=state, **more)
    return response
