"""`/api/strategies`: strategies as people write them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

import strategies.drafts as drafts
import strategies.ladder as ladder
from accounts.api.base import TenantAPIView
from accounts.api.meta import ERRORS, KEY, WRITE_ERRORS
from accounts.idempotency import idempotent
from metaads.clock import now
from strategies.api.answers import stage_json, strategy_json
from strategies.api.base import CLIENT, body, text
from strategies.api.shapes import AccountStrategy, StageAsked, StageCard, StrategyEdit, StrategyList
from strategies.documents import FORMAT
from strategies.errors import BadRules

_ACCOUNT = OpenApiParameter("account", str, description="Of this ad account only.")
#: `format` is what an exported document says that it is.
_GIVEN = {"accountId", "name", "type", "status", "rules", "actions", "document", "format"}


class SavedStrategies(TenantAPIView):
    @extend_schema(
        operation_id="strategies_list",
        summary="Saved strategies",
        parameters=[CLIENT, _ACCOUNT],
        responses={200: StrategyList, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        account = request.query_params.get("account")
        rows = drafts.list_(
            self.principal,
            client=self.client() if "client" in request.query_params else None,
            ad_account=self.ad_account(account) if account else None,
        )
        return Response({"strategies": [strategy_json(row) for row in rows]})

    @extend_schema(
        summary="Save a new strategy",
        parameters=[KEY],
        request=AccountStrategy,
        responses={201: AccountStrategy, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """It is active unless `status` says otherwise; every change it asks for waits for a person. Own rules come as a
        `document` (`/api/rules/schema`) instead of `rules` and `actions`."""
        data = dict(body(request))
        unknown = sorted(set(data) - _GIVEN)
        if unknown:
            raise BadRules("This is not known here.", errors=[(key, "is not known") for key in unknown])
        if data.pop("format", FORMAT) != FORMAT:
            raise BadRules("These rules are of another format.", errors=[("format", f"must be {FORMAT}")])
        account = self.ad_account(text(data, "accountId"), verb="edit_strategy")
        row = drafts.create(principal=self.principal, ad_account=account, data=data, now=now())
        return Response(strategy_json(row), status=201, headers={"Location": f"/api/strategies/{row.uuid}"})


class SavedStrategy(TenantAPIView):
    @extend_schema(summary="One strategy", responses={200: AccountStrategy, **ERRORS})
    def get(self, request: Request, uuid: Any) -> Response:
        return Response(strategy_json(drafts.get(self.principal, str(uuid))))

    @extend_schema(
        summary="Edit a strategy",
        parameters=[KEY],
        request=StrategyEdit,
        responses={200: AccountStrategy, **WRITE_ERRORS},
    )
    @idempotent
    def patch(self, request: Request, uuid: Any) -> Response:
        """New rules, actions or type make a new version; what the old one has open is withdrawn."""
        row = drafts.get(self.principal, str(uuid), verb="edit_strategy")
        row = drafts.edit(strategy=row, principal=self.principal, data=body(request), now=now())
        return Response(strategy_json(row))


class StrategyStage(TenantAPIView):
    @extend_schema(summary="A strategy's stage and its score card", responses={200: StageCard, **ERRORS})
    def get(self, request: Request, uuid: Any) -> Response:
        row = drafts.get(self.principal, str(uuid))
        return Response(stage_json(row, ladder.card(row, now=now())))

    @extend_schema(
        summary="Move a strategy to another stage",
        parameters=[KEY],
        request=StageAsked,
        responses={200: StageCard, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, uuid: Any) -> Response:
        """Down at once, and what it has open is withdrawn; up only when its card is full."""
        row = drafts.get(self.principal, str(uuid), verb="edit_strategy")
        stage = text(body(request), "stage")
        row = drafts.to_stage(strategy=row, principal=self.principal, stage=stage, now=now())
        return Response(stage_json(row, ladder.card(row, now=now())))
