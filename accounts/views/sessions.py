"""The page on which a person sees where they are signed in, and ends what they do not know."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

import accounts.sessions as sessions
from accounts.models import User
from metaads.clock import now


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def own(request: HttpRequest) -> HttpResponse:
    """GET lists one's own sessions; POST ends the one with `id`, or without it all others."""
    user = request.user
    assert isinstance(user, User)
    this = request.session.session_key or ""
    if request.method == "GET":
        found = sessions.listing(user=user, this=this, now=now())
        context = {"sessions": found, "others": [one for one in found if not one.is_this]}
        return render(request, "usersessions/usersession_list.html", context)
    id = request.POST.get("id", "")
    if not id:
        ended = sessions.end_all(user=user, but=this)
        messages.success(request, _words(ended))
    elif id.isdecimal() and len(id) < 19 and sessions.end(user=user, id=int(id), but=this):
        messages.success(request, "That session has ended. Its open pages close within half a minute.")
    else:
        messages.info(request, "That session had ended already.")
    return HttpResponseRedirect(reverse("usersessions_list"))


def _words(ended: int) -> str:
    if not ended:
        return "There was no other session."
    return f"{ended} other session{'s' if ended > 1 else ''} ended. Open pages close within half a minute."
