"""`/api/meta/`: is the connection good, whose is it, which ad accounts does it bring."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

import accounts.access as access
import accounts.ad_accounts as ad_accounts
import accounts.connections as connections
from accounts.api.base import TenantAPIView
from accounts.api.shapes import AdAccountList, AdAccountShape, Problem, TokenState, UserInfo
from accounts.errors import NotFound
from accounts.idempotency import idempotent
from accounts.models import READABLE, Client, ConnectionState, MetaConnection
from metaads.clock import now

CLIENT = OpenApiParameter("client", str, description="Slug or UUID; optional where you have one client.")
ARCHIVED = OpenApiParameter("archived", bool, description="true: the ad accounts that were put away.")
KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="The same key moves nothing twice."
)
#: What any path may refuse with, and what a write may besides.
ERRORS: dict[Any, Any] = {
    (status, "application/problem+json"): Problem for status in (400, 401, 403, 404, 429)
}
WRITE_ERRORS: dict[Any, Any] = ERRORS | {
    (status, "application/problem+json"): Problem for status in (409, 422)
}

#: Best first: what a reader wants to hear about when a client has several connections.
_ORDER: list[str] = [
    ConnectionState.CONNECTED,
    ConnectionState.EXPIRING,
    ConnectionState.DEGRADED,
    ConnectionState.REAUTH_NEEDED,
]


def best_connection(view: TenantAPIView, client: Client) -> MetaConnection | None:
    """The client's healthiest connection; None when there is none."""
    rows = connections.of(view.principal, client=client)
    return min(
        rows, key=lambda row: _ORDER.index(row.state) if row.state in _ORDER else len(_ORDER), default=None
    )


class ValidateToken(TenantAPIView):
    @extend_schema(
        summary="Validate Meta access token", parameters=[CLIENT], responses={200: TokenState, **ERRORS}
    )
    def get(self, request: Request) -> Response:
        """The state of the client's connection, as last checked; the token itself is never shown."""
        row = best_connection(self, self.client())
        if row is None:
            return Response(_NO_TOKEN | {"missing_scopes": settings.META["scopes"]})
        missing = [scope for scope in settings.META["scopes"] if scope not in row.scopes]
        body = {
            "valid": row.state in READABLE,
            "state": row.state,
            "reason": row.reason,
            "connection_id": str(row.uuid),
            "scopes": row.scopes,
            "missing_scopes": missing,
            "expires_at": row.expires_at,
            "data_access_expires_at": row.data_access_expires_at,
            "checked_at": row.checked_at,
        }
        return Response(TokenState(body).data)


_NO_TOKEN: dict[str, Any] = {
    "valid": False,
    "state": "none",
    "reason": "No Meta account is connected.",
    "connection_id": None,
    "scopes": [],
    "expires_at": None,
    "data_access_expires_at": None,
    "checked_at": None,
}


class UserInfoView(TenantAPIView):
    @extend_schema(
        summary="Get Meta user information", parameters=[CLIENT], responses={200: UserInfo, **ERRORS}
    )
    def get(self, request: Request) -> Response:
        """The connected Meta user, and who asks."""
        client = self.client()
        row = best_connection(self, client)
        if row is None:
            raise NotFound("No Meta account is connected.", code="no_connection", advice="Connect one first.")
        user = self.user
        body = {
            "id": row.meta_user_id,
            "name": row.meta_user_name,
            "client": client.slug,
            "user": {"id": str(user.uuid), "email": user.email, "name": user.name},
        }
        return Response(UserInfo(body).data)


class AdAccounts(TenantAPIView):
    @extend_schema(
        summary="Get user's ad accounts",
        parameters=[CLIENT, ARCHIVED],
        responses={200: AdAccountList, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        """Every ad account of the client (of all your clients without `client`); `archived=true`: those put away."""
        client = self.client() if "client" in request.query_params else None
        archived = request.query_params.get("archived") in ("1", "true")
        rows = (ad_accounts.archived if archived else access.ad_accounts)(self.principal, client=client)
        return Response({"ad_accounts": [AdAccountShape(row).data for row in rows]})


class EnableAdAccount(TenantAPIView):
    @extend_schema(
        summary="Switch an ad account on",
        parameters=[KEY],
        request=None,
        responses={200: AdAccountShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, account_id: str) -> Response:
        """Its structure and insights are read from now on."""
        account = self.ad_account(account_id, verb="connect")
        account = ad_accounts.enable(ad_account=account, principal=self.principal, now=now())
        return Response(AdAccountShape(account).data)


class DisableAdAccount(TenantAPIView):
    @extend_schema(
        summary="Switch an ad account off",
        parameters=[KEY],
        request=None,
        responses={200: AdAccountShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, account_id: str) -> Response:
        """No reads and no changes any more; its history stays."""
        account = self.ad_account(account_id, verb="connect")
        account = ad_accounts.disable(ad_account=account, principal=self.principal, now=now())
        return Response(AdAccountShape(account).data)


class ArchiveAdAccount(TenantAPIView):
    @extend_schema(
        summary="Put an ad account away",
        parameters=[KEY],
        request=None,
        responses={200: AdAccountShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, account_id: str) -> Response:
        """Switched off and out of every list; rows, ledger and decisions stay readable."""
        account = self.ad_account(account_id, verb="connect")
        account = ad_accounts.archive(ad_account=account, principal=self.principal, now=now())
        return Response(AdAccountShape(account).data)


class RestoreAdAccount(TenantAPIView):
    @extend_schema(
        summary="Take an ad account back",
        parameters=[KEY],
        request=None,
        responses={200: AdAccountShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, account_id: str) -> Response:
        """Back in the lists, switched off: it is read again once it is switched on."""
        account = self.ad_account(account_id, verb="connect")
        account = ad_accounts.restore(ad_account=account, principal=self.principal, now=now())
        return Response(AdAccountShape(account).data)


class DiscoverAdAccounts(TenantAPIView):
    @extend_schema(
        summary="Look for ad accounts at Meta again",
        parameters=[CLIENT, KEY],
        request=None,
        responses={200: AdAccountList, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Ask Meta what the client's connections see now; new ad accounts arrive switched off."""
        client = self.client("connect")
        found = ad_accounts.discover(client=client, principal=self.principal, now=now())
        rows = sorted(set(found), key=lambda row: row.name)
        return Response({"ad_accounts": [AdAccountShape(row).data for row in rows]})
