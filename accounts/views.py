"""Pages of this floor: first set-up, sign-in, the connect dance from button to confirmation, and what Meta calls
when a user leaves."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.utils import perform_login
from allauth.account.views import LoginView
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.base.constants import AuthProcess
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

import accounts.access as access
import accounts.ad_accounts as ad_accounts
import accounts.claims as claims
import accounts.connections as connections
import accounts.deletions as deletions
import accounts.grants as grants
import accounts.people as people
from accounts.errors import Refused
from accounts.forms import SetUpForm
from accounts.models import Client
from metaads.clock import now

View = Callable[..., HttpResponse]


def refusals_as_pages(view: View) -> View:
    """Show a refusal as the page that says what happened and what to do next."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Refused as refusal:
            context = {
                "refusal": refusal,
                "redirect_uri": connections.redirect_uri(),
                "scopes": settings.META["scopes"],
            }
            return render(request, "accounts/connect_failed.html", context, status=refusal.status)

    return wrapper


def sign_in(request: HttpRequest) -> HttpResponse:
    """allauth's sign-in; on an installation without people, the set-up instead."""
    if people.nobody_yet():
        return HttpResponseRedirect(reverse("set_up"))
    response: HttpResponse = LoginView.as_view()(request)
    return response


@never_cache
@require_http_methods(["GET", "POST"])
def set_up(request: HttpRequest) -> HttpResponse:
    """First visit: the owner and the first client. Gone (to the sign-in) as soon as anybody exists."""
    if not people.nobody_yet():
        return HttpResponseRedirect(reverse("account_login"))
    form = SetUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user, client = people.set_up(**form.cleaned_data, now=now())
        except Refused as refusal:
            form.take(refusal)
        else:
            # allauth's own way in, so that the session is listed, limited and asked again like any other.
            into = f"/c/{client.slug}/"
            answer: HttpResponse = perform_login(request, user, email_verification="none", redirect_url=into)
            request.session.set_expiry(0)  # ends with the browser, as after the sign-in form
            return answer
    context = {"form": form, "redirect_uri": connections.redirect_uri(), "missing": _missing_settings()}
    return render(request, "accounts/set_up.html", context, status=400 if form.errors else 200)


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


@csrf_exempt  # the signature takes the token's place
@require_POST
def deauthorize(request: HttpRequest) -> JsonResponse:
    """Meta says that a user removed our app: stop everything that runs under that user's name."""
    return _signed(request, deletions.DEAUTHORIZE)


@csrf_exempt
@require_POST
def data_deletion(request: HttpRequest) -> JsonResponse:
    """Meta passes on that a user wants to be forgotten; the answer is what Meta shows to that person."""
    return _signed(request, deletions.DELETION)


def _signed(request: HttpRequest, kind: str) -> JsonResponse:
    """400 for whatever is not Meta's; else the confirmation code, the same for a repeat."""
    try:
        filed = deletions.receive(kind=kind, signed_request=request.POST.get("signed_request", ""), now=now())
    except Refused as refusal:
        return JsonResponse({"error": refusal.message}, status=refusal.status)
    answer = {"confirmation_code": filed.code}
    if kind == deletions.DELETION:
        answer = {"url": deletions.status_address(filed), **answer}
    return JsonResponse(answer)


@never_cache
@require_safe
def data_deletion_status(request: HttpRequest, code: str) -> HttpResponse:
    """How far a deletion is, for the person who holds its code; no sign-in, and nothing about who they are."""
    try:
        filed = deletions.find(code)
    except Refused as refusal:
        return render(request, "accounts/data_deletion.html", {"refusal": refusal}, status=refusal.status)
    context = {"filed": filed, "parts": deletions.progress(filed)}
    return render(request, "accounts/data_deletion.html", context)


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


def _missing_settings() -> list[str]:
    return [
        name
        for name, key in (("META_APP_ID", "app_id"), ("META_APP_SECRET", "app_secret"))
        if not settings.META[key]
    ]
