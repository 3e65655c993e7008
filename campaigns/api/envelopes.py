"""`/api/envelopes`: spend caps of a client's ad accounts, and how full they are."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

import campaigns.changes.caps as caps
import campaigns.changes.headroom as headroom
from accounts.api.base import TenantAPIView
from accounts.api.meta import ERRORS, KEY, WRITE_ERRORS
from accounts.errors import Invalid
from accounts.idempotency import idempotent
from accounts.models import AdAccount
from campaigns.api.shapes import EnvelopeBody, EnvelopeList
from campaigns.changes.envelopes import Period, Scope
from metaads.clock import now

ACCOUNT = OpenApiParameter("account", str, required=True, description="act_1 or 1")


class Envelopes(TenantAPIView):
    @extend_schema(
        operation_id="envelopes_list",
        summary="Spend caps around an ad account, and how full they are",
        parameters=[ACCOUNT],
        responses={200: EnvelopeList, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        """Its own, those of its objects, and its client's in its currency. `worst` is what could be spent at worst in
        the period: what is spent, and what may still be. From 85 % raises stop, from 95 % only cuts and pauses pass."""
        ref = request.query_params.get("account", "")
        if not ref:
            raise Invalid("Which ad account?", code="account_required", advice="Add ?account=act_...")
        return self._answer(self.ad_account(ref))

    def _answer(self, account: AdAccount) -> Response:
        found = caps.of(self.principal, ad_account=account, now=now())
        said = {
            "envelopes": found,
            "in_another_currency": headroom.foreign_caps(account),
            "lacking": list(headroom.lacks(account, [row for row, _ in found])),
        }
        return Response(EnvelopeList(said).data)

    @extend_schema(
        operation_id="envelopes_set",
        summary="Set a spend cap",
        parameters=[KEY],
        request=EnvelopeBody,
        responses={200: EnvelopeList, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Owners and managers. A lower cap holds for everything that has not been sent yet; nothing is undone by it."""
        body = EnvelopeBody(data=request.data)
        body.is_valid(raise_exception=True)
        data: dict[str, Any] = body.validated_data
        account = self.ad_account(data["account_id"])
        caps.set_(
            principal=self.principal,
            client=account.client,
            scope=Scope(data["scope"]),
            period=Period(data["period"]),
            amount=data["amount"],
            reason=data["reason"],
            now=now(),
            ad_account=account,
            object_id=data.get("object_id", ""),
            currency=account.currency,
        )
        return self._answer(account)
