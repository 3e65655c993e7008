"""What every request carries: an id for its log lines, a principal, and a session within its limits."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.functional import SimpleLazyObject

import accounts.acting as acting
import accounts.policies as policies
import accounts.sessions as sessions
from metaads.clock import now

GetResponse = Callable[[HttpRequest], HttpResponseBase]

_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
#: Not "cookies": that would reach the other products of the same domain, and the choice of light or dark.
_CLEAR = '"cache", "storage"'
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


class SessionLimits:
    """Ends a session that is over before any view, and takes leave properly after it.

    over (idle, absolute)       -> flushed; the view sees nobody, and its way to the sign-in page says why
    a person's request          -> the idle limit counts anew (`X-Poll: 1` is the page's doing, not the person's)
    roles or proofs have changed -> the session goes on under a new key
    the session ended           -> `Clear-Site-Data`: caches, stores and service workers of the browser go
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        was_in = request.user.is_authenticated
        key, proofs, person = request.session.session_key, _proofs(request), request.user.pk
        # A cookie without its session: ended elsewhere, or swept away long after its end.
        why = "ended" if key is None and settings.SESSION_COOKIE_NAME in request.COOKIES else ""
        if was_in:
            why = _end_or_go_on(request)
        response = self.get_response(request)
        is_in = request.user.is_authenticated
        if was_in and is_in:
            if _proofs(request) != proofs and request.session.session_key == key:
                request.session.cycle_key()
            if key and request.session.session_key not in (None, key):
                sessions.moved(old=key, new=str(request.session.session_key))
        elif not is_in:
            response = _to_sign_in(request, response, why)
        if was_in and not is_in:
            sessions.gone(key=str(key), user_id=int(person or 0))
            response.headers["Clear-Site-Data"] = _CLEAR
            if why:
                # Once: the next request comes without the cookie. The page hands it on to the other tabs.
                response.headers["X-Session-Ended"] = why
        return response


def _end_or_go_on(request: HttpRequest) -> str:
    """Hold the session to its limits; why it was ended, or ""."""
    moment = now()
    sessions.begin(session=request.session, now=moment)
    why = sessions.left(session=request.session, user=request.user, now=moment).over
    if why:
        logout(request)
        return why
    if request.headers.get("X-Poll") != "1":
        # Not for a poll: a page sends several at once, and all but the first would come with the key before.
        sessions.follow_roles(session=request.session, user=_plain(request.user))
        sessions.touch(session=request.session, now=moment)
    return ""


def _proofs(request: HttpRequest) -> str:
    """How and when this session has proved who it is: password, code, passkey."""
    return str(request.session.get(AUTHENTICATION_METHODS_SESSION_KEY))


def _to_sign_in(request: HttpRequest, response: HttpResponseBase, why: str) -> HttpResponseBase:
    """A way to the sign-in page says why; a poll is told 401 instead, since nobody would look at that page."""
    where = urlsplit(response.headers.get("Location", ""))
    if response.status_code != 302 or where.path != reverse("account_login"):
        return response
    if request.headers.get("X-Poll") == "1":
        return HttpResponse(status=401)
    if why:
        query = urlencode({**dict(parse_qsl(where.query)), "ended": why})
        response.headers["Location"] = where._replace(query=query).geturl()
    return response


class PrincipalOfRequest:
    """`request.principal`, looked up when first asked for."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.principal = SimpleLazyObject(  # type: ignore[attr-defined]
            lambda: acting.principal(session=request.session, user=_plain(request.user), now=now())
        )
        # For the menu under the person's name; the page itself asks for the roles.
        request.offers_facebook = settings.FACEBOOK_SIGN_IN and not getattr(request.user, "is_staff", True)  # type: ignore[attr-defined]
        return self.get_response(request)


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
            acting.saw(acting=viewing, user=user, path=request.get_full_path(), now=now())
        return response


@receiver(user_logged_out)
def end_acting_with_the_session(sender: Any, *, request: Any, user: Any, **_: Any) -> None:
    """Signing out, idleness and the absolute limit end the viewing, too."""
    if user is not None and hasattr(request, "session"):
        acting.ended(session=request.session, user=_plain(user), now=now())
