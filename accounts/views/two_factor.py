"""The page of whoever must set up a second factor first, and the answer to being asked for one."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

import accounts.policies as policies


@login_required
@never_cache
@require_safe
def required(request: HttpRequest) -> HttpResponse:
    """Say why nothing else opens, and how to go on; whoever is ready is sent to the overview."""
    if policies.refusal(request.user) is None:
        return HttpResponseRedirect("/")
    return render(request, "accounts/two_factor_required.html")


@login_required
@require_POST
def later(request: HttpRequest) -> HttpResponse:
    """Ask again at the next sign-in."""
    request.session["mfa_later"] = True
    return HttpResponseRedirect("/")
