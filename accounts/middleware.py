"""What every request carries: an id for its log lines, a principal, and a session that sleeps after 30 idle minutes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import SimpleLazyObject

import accounts.access as access
from metaads.clock import now

GetResponse = Callable[[HttpRequest], HttpResponseBase]

_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_ACTIVE_AT = "active_at"
_TOUCH_SECONDS = 60


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
        request.principal = SimpleLazyObject(lambda: access.principal_of(_plain(request.user)))  # type: ignore[attr-defined]
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
