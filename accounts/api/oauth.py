"""`/api/meta-oauth/`: the same dance for programs, and looking after a connection."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

import accounts.access as access
import accounts.connections as connections
import accounts.links as links
import accounts.upkeep as upkeep
from accounts.api.base import TenantAPIView
from accounts.api.meta import CLIENT, ERRORS, KEY, WRITE_ERRORS
from accounts.api.shapes import (
    AuthorizeUrl,
    ConnectInvitation,
    ConnectionRef,
    ConnectionShape,
    ConnectLinkShape,
    Disconnected,
    Discovered,
    LinkRef,
)
from accounts.idempotency import idempotent
from metaads.clock import now


class AuthorizeUrlView(TenantAPIView):
    @extend_schema(
        summary="Get a link that connects Meta", parameters=[CLIENT], responses={200: AuthorizeUrl, **ERRORS}
    )
    def get(self, request: Request) -> Response:
        """A one-time link, good for ten minutes, for the same person in a browser."""
        row = links.link(client=self.client("connect"), principal=self.principal, user=self.user, now=now())
        return Response(AuthorizeUrl({"url": links.address(row), "expires_at": row.expires_at}).data)


class Callback(TenantAPIView):
    """Meta's redirect, where META_REDIRECT_PATH is set to this path. The session and its state are the key."""

    authentication_classes = [SessionAuthentication]
    permission_classes = [AllowAny]

    @extend_schema(
        summary="Where Meta sends the browser back",
        parameters=[
            OpenApiParameter("code", str),
            OpenApiParameter("state", str),
            OpenApiParameter("error", str),
        ],
        responses={
            302: OpenApiResponse(description="To the page that confirms the connection."),
            (403, "text/html"): OpenApiResponse(
                description="Begun elsewhere, used already, too old or denied."
            ),
        },
    )
    def get(self, request: Request) -> HttpResponse:
        """The view that also stands at META_REDIRECT_PATH."""
        plain = request._request
        adapter = get_adapter(plain).get_provider(plain, "facebook").get_oauth2_adapter(plain)
        response: HttpResponse = OAuth2CallbackView.adapter_view(adapter)(plain)
        return response


class Disconnect(TenantAPIView):
    @extend_schema(
        summary="Disconnect a Meta account",
        parameters=[KEY],
        request=ConnectionRef,
        responses={200: Disconnected, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Automation stops at once; then the grant is revoked at Meta."""
        row = connections.get(self.principal, _connection_id(request), verb="connect")
        revoked = connections.disconnect(connection=row, principal=self.principal, now=now())
        return Response(Disconnected(row, context={"revoked_at_meta": revoked}).data)


class Refresh(TenantAPIView):
    @extend_schema(
        summary="Refresh a connection's token",
        parameters=[KEY],
        request=ConnectionRef,
        responses={200: ConnectionShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Exchange the token for a fresh one of about 60 days."""
        row = connections.get(self.principal, _connection_id(request), verb="connect")
        row = connections.refresh(connection=row, principal=self.principal, now=now())
        return Response(ConnectionShape(row).data)


class Pause(TenantAPIView):
    @extend_schema(
        summary="Pause a connection",
        parameters=[KEY],
        request=ConnectionRef,
        responses={200: ConnectionShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Nothing is read or changed through it until it is resumed; the token stays."""
        row = connections.get(self.principal, _connection_id(request), verb="connect")
        row = connections.pause(connection=row, principal=self.principal, now=now())
        return Response(ConnectionShape(row).data)


class Resume(TenantAPIView):
    @extend_schema(
        summary="Resume a paused connection",
        parameters=[KEY],
        request=ConnectionRef,
        responses={200: ConnectionShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Meta is asked whether the token is still good; the answer is the state that it has then."""
        row = connections.get(self.principal, _connection_id(request), verb="connect")
        row = connections.resume(connection=row, principal=self.principal, now=now())
        return Response(ConnectionShape(row).data)


class Discover(TenantAPIView):
    @extend_schema(
        summary="Look again for ad accounts",
        parameters=[KEY],
        request=ConnectionRef,
        responses={200: Discovered, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Every ad account that the connection sees now; new ones are listed, switched off."""
        row = connections.get(self.principal, _connection_id(request), verb="connect")
        made = upkeep.discover(connection=row, principal=self.principal, now=now())
        return Response(Discovered(made).data)


class Invite(TenantAPIView):
    @extend_schema(
        summary="Mail a connect link to a client's own person",
        parameters=[KEY],
        request=ConnectInvitation,
        responses={201: ConnectLinkShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """They need no account here. Good for seven days and one connection; the address is in the mail only."""
        body = ConnectInvitation(data=request.data)
        body.is_valid(raise_exception=True)
        row = links.invite(
            client=access.client(self.principal, body.validated_data["client"], verb="connect"),
            principal=self.principal,
            user=self.user,
            email=body.validated_data["email"],
            now=now(),
        )
        return Response(ConnectLinkShape(row).data, status=201)


class Withdraw(TenantAPIView):
    @extend_schema(
        summary="Withdraw a connect link",
        parameters=[KEY],
        request=LinkRef,
        responses={200: ConnectLinkShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """It opens nothing from now on."""
        body = LinkRef(data=request.data)
        body.is_valid(raise_exception=True)
        row = links.withdraw(uuid=body.validated_data["link_id"], principal=self.principal, now=now())
        return Response(ConnectLinkShape(row).data)


def _connection_id(request: Request) -> Any:
    body = ConnectionRef(data=request.data)
    body.is_valid(raise_exception=True)
    return body.validated_data["connection_id"]
