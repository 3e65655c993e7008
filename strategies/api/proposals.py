"""`/api/proposals`: what strategies ask people for, and the answers. `/api/decisions`: why, and why not."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

import strategies.decisions as decisions
import strategies.drafts as drafts
import strategies.proposals as proposals
from accounts.api.base import TenantAPIView
from accounts.api.meta import ERRORS, KEY, WRITE_ERRORS
from accounts.errors import Invalid
from accounts.idempotency import idempotent
from metaads.clock import now
from strategies.api.answers import decision_json, proposal_json
from strategies.api.base import CLIENT, PAGE, body, page, text
from strategies.api.shapes import DecisionList, Digest, ProposalList, ProposalShape, Reason
from strategies.models import ProposalState

_ACCOUNT = OpenApiParameter("account", str, description="Of this ad account only.")
_STATE = OpenApiParameter(
    "state", str, description="open (unless said), approved, rejected, done, ..., or all."
)


class Proposals(TenantAPIView):
    @extend_schema(
        operation_id="proposals_list",
        summary="Proposals",
        parameters=[CLIENT, _ACCOUNT, _STATE, *PAGE],
        responses={200: ProposalList, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        asked = request.query_params
        state: str | None = asked.get("state", ProposalState.OPEN.value)
        if state == "all":
            state = None
        elif state not in ProposalState.values:
            raise Invalid(
                "There is no such state.",
                errors=[("state", f"one of {', '.join(ProposalState.values)}, all")],
            )
        rows = proposals.list_(
            self.principal,
            client=self.client() if "client" in asked else None,
            ad_account=self.ad_account(asked["account"]) if "account" in asked else None,
            state=state,
        )
        return Response(page(request, rows, proposal_json, "proposals"))


class OneProposal(TenantAPIView):
    @extend_schema(summary="One proposal", responses={200: ProposalShape, **ERRORS})
    def get(self, request: Request, uuid: Any) -> Response:
        return Response(proposal_json(proposals.get(self.principal, str(uuid))))


class Approve(TenantAPIView):
    @extend_schema(
        summary="Approve a proposal",
        parameters=[KEY],
        request=Digest,
        responses={202: ProposalShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, uuid: Any) -> Response:
        """Say yes to exactly what `digest` names. The change goes on its way; its state tells when it is applied."""
        row = proposals.get(self.principal, str(uuid), verb="approve")
        digest = text(body(request), "digest")
        row = proposals.approve(proposal=row, principal=self.principal, digest=digest, now=now())
        return Response(proposal_json(row), status=202)


class Reject(TenantAPIView):
    @extend_schema(
        summary="Reject a proposal",
        parameters=[KEY],
        request=Reason,
        responses={200: ProposalShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, uuid: Any) -> Response:
        row = proposals.get(self.principal, str(uuid), verb="approve")
        reason = text(body(request), "reason", required=False)
        row = proposals.reject(proposal=row, principal=self.principal, reason=reason, now=now())
        return Response(proposal_json(row))


class Decisions(TenantAPIView):
    @extend_schema(
        summary="Why a strategy did, or did not",
        parameters=[
            OpenApiParameter("account", str, required=True),
            OpenApiParameter("object", str, description="Meta id of a campaign or ad set."),
            OpenApiParameter("strategy", str, description="UUID of a strategy."),
            OpenApiParameter("current", bool, description="1: only the latest about each object."),
            *PAGE,
        ],
        responses={200: DecisionList, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        """Every evaluation of every object, with the tree and its values; repeated non-events are counted."""
        asked = request.query_params
        if not asked.get("account"):
            raise Invalid("Which ad account?", errors=[("account", "is needed, e.g. act_1")])
        account = self.ad_account(asked["account"])
        strategy = asked.get("strategy")
        rows = decisions.list_(
            self.principal,
            ad_account=account,
            object_id=asked.get("object"),
            strategy=drafts.get(self.principal, strategy) if strategy else None,
            current=asked.get("current", "") in ("1", "true"),
        )
        return Response(page(request, rows, decision_json, "decisions"))
