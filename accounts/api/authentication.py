"""Who calls: a bearer token of allauth's (stateful JWT), or a server's API key. A browser's session comes third."""

from __future__ import annotations

from typing import Any

from allauth.headless.contrib.rest_framework.authentication import JWTTokenAuthentication
from django.contrib.sessions.backends.base import SessionBase
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

import accounts.keys as keys
from accounts.api.jwt import opened
from accounts.models import ApiKey, User
from metaads.clock import now


class BearerJWT(JWTTokenAuthentication):
    """An access token; `request.auth` is the session behind it, so its limits, logout, MFA and deactivation hold."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        if _bearer(request).startswith(keys.PREFIX):
            return None
        found: tuple[Any, Any] | None = super().authenticate(request)
        return found

    def authenticate_credentials(self, key: str) -> tuple[Any, SessionBase]:
        found = opened(key)
        if found is None:
            raise AuthenticationFailed(
                "This token is wrong, too old, or its session has ended: sign in again."
            )
        return found


class ApiKeyAuthentication(BaseAuthentication):
    """`X-API-Key: mak_…`, `Authorization: Api-Key mak_…` or `Bearer mak_…`; acts as its narrowed user."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        given = request.headers.get("X-API-Key") or _bearer(request) or _after(request, "api-key")
        if not given.startswith(keys.PREFIX):
            return None
        key = keys.find(secret=given, now=now())
        if key is None:
            raise AuthenticationFailed("This API key is unknown, expired or revoked.")
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _bearer(request: Request) -> str:
    return _after(request, "bearer")


def _after(request: Request, wanted: str) -> str:
    scheme, _, value = get_authorization_header(request).decode("latin-1").partition(" ")
    return value.strip() if scheme.lower() == wanted else ""


class ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": "X-API-Key"}


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.api.authentication.BearerJWT"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
