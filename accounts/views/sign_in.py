"""The way in: first set-up and sign-in."""

from __future__ import annotations

from allauth.account.utils import perform_login
from allauth.account.views import LoginView
from allauth.socialaccount.views import ConnectionsView
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

import accounts.connections as connections
import accounts.people as people
import accounts.sessions as sessions
from accounts.errors import Refused
from accounts.forms import SetUpForm
from metaads.clock import now


def sign_in(request: HttpRequest) -> HttpResponse:
    """allauth's sign-in; on an installation without people, the set-up instead."""
    if people.nobody_yet():
        return HttpResponseRedirect(reverse("set_up"))
    more = {
        "ended": sessions.ENDED.get(request.GET.get("ended", ""), ""),
        "facebook": settings.FACEBOOK_SIGN_IN,
    }
    response: HttpResponse = LoginView.as_view(extra_context=more)(request)
    return response


@login_required
@never_cache
@require_safe
def email(request: HttpRequest) -> HttpResponse:
    """Which address signs in. It is not changed here: one that nobody invited would be one that nobody checked."""
    return render(request, "account/email.html")


def no_email_api(request: HttpRequest) -> JsonResponse:
    """The same for programs: allauth's end point that adds and changes addresses is closed."""
    return JsonResponse({"status": 403}, status=403)


@csrf_exempt
def no_phone_api(request: HttpRequest) -> JsonResponse:
    """No telephone numbers are kept; allauth's end points for them would fail."""
    return JsonResponse({"status": 404}, status=404)


def linked(request: HttpRequest) -> HttpResponse:
    """The Facebook account with which a client's person signs in: link it, or take it away."""
    more = {"may_link": sessions.may_use_facebook(request.user)}
    response: HttpResponse = ConnectionsView.as_view(extra_context=more)(request)
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


def _missing_settings() -> list[str]:
    return [
        name
        for name, key in (("META_APP_ID", "app_id"), ("META_APP_SECRET", "app_secret"))
        if not settings.META[key]
    ]
