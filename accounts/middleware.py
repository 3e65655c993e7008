"""What every request carries: an id for its log lines, a principal, and a session that sleeps after 30 idle minutes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.functional import SimpleLazyObject

import accounts.acting as acting
import accounts.policies as policies
from metaads.clock import now

GetResponse = Callable[[HttpRequest], HttpResponseBase]

_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_ACTIVE_AT = "active_at"
_TOUCH_SECONDS = 60
_DOCS = ("/api/docs/", "/api/schema/")
_ENDS_ACTING = ("/acting/stop", "/accounts/logout/")
#: Open to whoever must set up a second factor first: that, the way out, and what asks for no session at all.
_UNGATED = (
    "/accounts/2fa/",
    "/accounts/reauthenticate/",
    "/accounts/logout/",
    "/two-factor/",
    "/livez",
    "/readyz",
    "/webhooks/",
    "/data-deletion/",
    "/_allauth/",
)


class RequestId:
    """`request.request_id`: the caller's `X-Request-ID` where it is harmless to log, else a new one; answered back."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-ID", "")
        identity = given if _ID.fullmatch(given) else uuid.uuid4().hex
        request.request_id = identity  # type: ignore[attr-defined]
        response = self.get_response(request)
        response.headers["X-Request-ID"] = identity
        return response


class KeptByNobody:
    """An answer is made for one person: no proxy and no browser keeps it, and one key's is never another's."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "private, no-store")
        patch_vary_headers(response, ("Cookie", "Authorization", "X-API-Key"))
        return response


class PrincipalOfRequest:
    """`request.principal`, looked up when first asked for; and the idle limit.

    A poll (`X-Poll: 1`) is the page's doing, not the person's: it neither extends nor revives a session.
    The time of the last activity is written at most once a minute, so that reading pages costs no write.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.user.is_authenticated:
            self._mind_idleness(request)
        request.principal = SimpleLazyObject(  # type: ignore[attr-defined]
            lambda: acting.principal(session=request.session, user=_plain(request.user), now=now())
        )
        return self.get_response(request)

    @staticmethod
    def _mind_idleness(request: HttpRequest) -> None:
        moment = int(now().timestamp())
        active_at = request.session.get(_ACTIVE_AT)
        idle = moment - active_at if isinstance(active_at, int) else 0
        if idle > settings.SESSION_COOKIE_AGE:
            logout(request)
        elif request.headers.get("X-Poll") != "1" and (active_at is None or idle >= _TOUCH_SECONDS):
            request.session[_ACTIVE_AT] = moment


def _plain(user: Any) -> Any:
    """The user behind `request.user`, which is a lazy wrapper that `isinstance` sees through only by luck."""
    return getattr(user, "_wrapped", user) or user


class Gate:
    """What a session that is signed in may not open now, asked before any view.

        a required second factor is missing  -> the page that says how to set one up
        viewing as a client                  -> nothing is written, and the person's own pages are closed

    The API's own paths answer the same refusals as problem details (`accounts.api.base`).
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        user = _plain(request.user)
        request.acting = None  # type: ignore[attr-defined]
        if not user.is_authenticated:
            return self.get_response(request)
        viewing = acting.tidy(session=request.session, user=user, now=now())
        request.acting = viewing  # type: ignore[attr-defined]
        path = request.path
        page = not path.startswith("/api/") or path.startswith(_DOCS)
        if page and not path.startswith(_UNGATED) and policies.refusal(user) is not None:
            return HttpResponseRedirect("/two-factor/")
        if page and viewing is not None and not path.startswith(_ENDS_ACTING):
            refusal = acting.refusal(method=request.method or "", path=path)
            if refusal is not None:
                context = {"refusal": refusal}
                return render(request, "accounts/acting_refused.html", context, status=refusal.status)
        response = self.get_response(request)
        # A page that was opened, not a part of one that is read again.
        opened = request.method == "GET" and response.status_code == 200 and "part" not in request.GET
        if viewing is not None and opened and request.headers.get("X-Poll") != "1":
            acting.saw(acting=viewing, user=user, path=path, now=now())
        return response


@receiver(user_logged_out)
def end_acting_with_the_session(sender: Any, *, request: Any, user: Any, **_: Any) -> None:
    """Signing out, idleness and the absolute limit end the viewing, too."""
    if user is not None and hasattr(request, "session"):
        acting.ended(session=request.session, user=_plain(user), now=now())
