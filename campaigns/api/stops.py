"""`/api/stop`, `/api/release` and holds: keeping changes from being sent."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

import accounts.access as access
import campaigns.changes.switch as switch
from accounts.api.base import TenantAPIView
from accounts.api.meta import ERRORS, KEY, WRITE_ERRORS
from accounts.errors import Invalid
from accounts.idempotency import idempotent
from accounts.tenancy import Principal
from campaigns.api.shapes import (
    HoldList,
    HoldShape,
    ReasonBody,
    Released,
    StopBody,
    SwitchList,
    SwitchShape,
)
from campaigns.changes.switch import Scope
from metaads.clock import now


def _scope(principal: Principal, data: dict[str, Any]) -> Scope:
    kind = data["scope"]
    if kind == "everything":
        return Scope()
    if kind == "ad_account":
        if not data.get("account_id"):
            raise Invalid("Which ad account?", code="account_required", advice="Send account_id.")
        return Scope(ad_account=access.ad_account(principal, data["account_id"]))
    client = access.client(principal, data.get("client"))
    if kind == "client":
        return Scope(client=client)
    if not data.get("strategy_id"):
        raise Invalid("Which strategy?", code="strategy_required", advice="Send strategy_id.")
    return Scope(client=client, strategy_ref=data["strategy_id"])


def _valid(request: Request) -> dict[str, Any]:
    body = StopBody(data=request.data)
    body.is_valid(raise_exception=True)
    data: dict[str, Any] = body.validated_data
    return data


class Stop(TenantAPIView):
    @extend_schema(summary="What is stopped now", responses={200: SwitchList, **ERRORS})
    def get(self, request: Request) -> Response:
        return Response({"stops": SwitchShape(switch.pulled(self.principal), many=True).data})

    @extend_schema(
        summary="Stop all changes in a scope",
        parameters=[KEY],
        request=StopBody,
        responses={200: SwitchShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Nothing in the scope is sent from now on; approved changes that were not sent expire."""
        data = _valid(request)
        scope = _scope(self.principal, data)
        row = switch.pull(scope=scope, principal=self.principal, reason=data["reason"], now=now())
        return Response(SwitchShape(row).data)


class Release(TenantAPIView):
    @extend_schema(
        summary="Let changes pass again",
        parameters=[KEY],
        request=StopBody,
        responses={200: Released, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        data = _valid(request)
        scope = _scope(self.principal, data)
        done = switch.release(scope=scope, principal=self.principal, reason=data["reason"], now=now())
        return Response({"released": done})


class Holds(TenantAPIView):
    @extend_schema(summary="Objects that are left alone", responses={200: HoldList, **ERRORS})
    def get(self, request: Request) -> Response:
        """Objects that somebody else changed; rules leave them alone until then."""
        return Response({"holds": HoldShape(switch.holds(self.principal, now=now()), many=True).data})


class Resume(TenantAPIView):
    @extend_schema(
        summary="End a hold early",
        parameters=[KEY],
        request=ReasonBody,
        responses={200: HoldShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, uuid: UUID) -> Response:
        body = ReasonBody(data=request.data)
        body.is_valid(raise_exception=True)
        reason = body.validated_data["reason"]
        row = switch.resume(principal=self.principal, uuid=str(uuid), reason=reason, now=now())
        return Response(HoldShape(row).data)
