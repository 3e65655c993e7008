"""Begin and end viewing as a client."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

import accounts.access as access
import accounts.acting as acting
from accounts.views.refusals import refusals_as_pages
from metaads.clock import now


@login_required
@require_POST
@refusals_as_pages
def start(request: HttpRequest) -> HttpResponse:
    """View as `client` (slug) for an hour at most; from here on nothing can be changed."""
    principal = request.principal  # type: ignore[attr-defined]
    client = access.client(principal, request.POST.get("client") or "-", verb="act_as")
    acting.start(session=request.session, client=client, principal=principal, now=now())
    return HttpResponseRedirect(f"/c/{client.slug}/")


@login_required
@require_POST
def stop(request: HttpRequest) -> HttpResponse:
    """Be oneself again."""
    viewing = request.acting  # type: ignore[attr-defined]
    acting.stop(session=request.session, user=request.user, now=now())  # type: ignore[arg-type]
    return HttpResponseRedirect(f"/c/{viewing.client.slug}/" if viewing is not None else "/")
