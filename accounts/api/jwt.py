"""Tokens of the API: allauth's, held to this installation and to the limits of the session behind them.

sign in (allauth headless; password, second factor) -> a session, an access token (5 min), a refresh token
access token   -> signature, time, issuer, audience -> its session, still alive -> its person, still active
refresh token  -> the same, and good once           -> a new pair; this is the session's activity
"""

from __future__ import annotations

from typing import Any

from allauth.headless.tokens.strategies.jwt import JWTTokenStrategy, internal
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db import transaction

import accounts.sessions as sessions
from metaads.clock import now


class Tokens(JWTTokenStrategy):
    """allauth's strategy with our claims, and no life beyond the session's limits."""

    def get_claims(self, user: Any) -> dict[str, Any]:
        return {"iss": settings.PUBLIC_URL, "aud": audience()}

    def create_access_token_payload(self, request: Any) -> dict[str, Any] | None:
        """The first pair, at the end of the sign-in: the limits of its session count from here."""
        if request.user.is_authenticated:
            sessions.begin(session=request.session, now=now())
        found: dict[str, Any] | None = super().create_access_token_payload(request)
        return found

    def lookup_session(self, session_token: str) -> SessionBase | None:
        session: SessionBase | None = super().lookup_session(session_token)
        user = sessions.person(session) if session is not None else None
        # A session without a person is one whose sign-in is not finished (the code is asked for).
        if user is None or not user.is_authenticated or _alive(session, user):
            return session
        return None

    def refresh_token(self, refresh_token: str) -> tuple[str, str] | None:
        """A new pair; None when the token was used before, or its session is over."""
        payload = internal.decode_token(refresh_token, "refresh")
        key = internal.session_key_from_sid(payload["sid"]) if payload else None
        if key is None:
            return None
        with transaction.atomic():
            # One after the other: of two that use a token at once, the second finds it used.
            if not Session.objects.select_for_update().filter(session_key=key).exists():
                return None
            found = internal.validate_refresh_token(refresh_token)
            if found is None or not _alive(found[1], found[0]):
                return None
            user, session, payload = found
            internal.invalidate_refresh_token(session, payload)
            sessions.touch(session=session, now=now(), at_once=True)
            pair = (
                internal.create_access_token(user, session, self.get_claims(user)),
                internal.create_refresh_token(user, session),
            )
            session.save()
        return pair

    def _get_access_token(self, request: Any) -> Any:
        payload = super()._get_access_token(request)
        return payload if payload and _ours(payload) else None


def opened(token: str) -> tuple[Any, SessionBase] | None:
    """The person and the session of a good access token; None for every other text."""
    payload = internal.decode_token(token, "access")
    if payload is None or not _ours(payload):
        return None
    session = internal.get_token_session(payload)
    user = internal.validate_token_user(payload, session) if session is not None else None
    return (user, session) if user is not None and session is not None and _alive(session, user) else None


def audience() -> str:
    """Whom the access tokens are for: this installation's API."""
    return f"{settings.PUBLIC_URL}/api"


def _ours(payload: dict[str, Any]) -> bool:
    return payload.get("iss") == settings.PUBLIC_URL and payload.get("aud") == audience()


def _alive(session: Any, user: Any) -> bool:
    return bool(user.is_active) and not sessions.left(session=session, user=user, now=now()).over
