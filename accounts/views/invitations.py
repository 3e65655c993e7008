"""The page behind the link of an invitation: GET says what is offered, POST takes it."""

from __future__ import annotations

from allauth.account.utils import perform_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

import accounts.invitations as invitations
from accounts.errors import Refused
from accounts.forms import AcceptForm
from accounts.models import Invitation, User
from metaads.clock import now


@never_cache
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest, secret: str) -> HttpResponse:
    """A new person gives a name and a password; somebody who signs in here presses one button."""
    try:
        row = invitations.find(secret=secret, now=now())
        if isinstance(request.user, User):
            return _member(request, row, secret, request.user)
        if invitations.has_account(row):
            context = {"invitation": row, "next": request.path}
            return render(request, "accounts/invitation_sign_in.html", context)
        return _newcomer(request, row, secret)
    except Refused as refusal:
        context = {"refusal": refusal}
        return render(request, "accounts/invitation_refused.html", context, status=refusal.status)


def _member(request: HttpRequest, row: Invitation, secret: str, user: User) -> HttpResponse:
    invitations.mine(row, user)
    if request.method == "GET":
        return render(request, "accounts/invitation.html", {"invitation": row})
    invitations.accept(secret=secret, user=user, now=now())
    return HttpResponseRedirect(_home(row))


def _newcomer(request: HttpRequest, row: Invitation, secret: str) -> HttpResponse:
    form = AcceptForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = invitations.accept_new(secret=secret, **form.cleaned_data, now=now())
        except Refused as refusal:
            if not refusal.errors:
                raise
            form.take(refusal)
        else:
            answer: HttpResponse = perform_login(
                request, user, email_verification="none", redirect_url=_home(row)
            )
            request.session.set_expiry(0)  # ends with the browser, as after the sign-in form
            return answer
    context = {"invitation": row, "form": form}
    return render(request, "accounts/invitation.html", context, status=400 if form.errors else 200)


def _home(row: Invitation) -> str:
    return f"/c/{row.client.slug}/" if row.client is not None else "/"
