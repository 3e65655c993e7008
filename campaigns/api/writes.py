"""The two writes of the brief. Both file a change and answer 202 with its address; nothing is sent in here."""

from __future__ import annotations

from uuid import uuid4

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

import campaigns.changes.approvals as approvals
import campaigns.changes.request as filing
import campaigns.queries as queries
from accounts.api.base import TenantAPIView
from accounts.api.meta import KEY, WRITE_ERRORS
from accounts.errors import Conflict
from accounts.idempotency import idempotent
from campaigns.api.shapes import BudgetBody, ChangeShape, StatusBody
from campaigns.models import Change
from campaigns.states import ChangeState, Field, Level, Source, canonical_amount
from metaads.clock import now


class CampaignWrite(TenantAPIView):
    """What both have in common: file by hand, let the policy pass what it may, answer."""

    def file(
        self, campaign_id: str, *, field: Field, target: str, reason: str, acknowledged: bool = False
    ) -> Response:
        moment = now()
        campaign = queries.campaign(self.principal, campaign_id, verb="request_change")
        change = filing.file(
            principal=self.principal,
            ad_account=campaign.ad_account,
            level=Level.CAMPAIGN,
            object_id=campaign.meta_id,
            field=field,
            target=target,
            reason=reason,
            source=Source.PERSON,
            key=f"api:{uuid4()}",
            evidence=None,
            acknowledged=acknowledged,
            now=moment,
        )
        change = approvals.approve_by_policy(
            change=change, policy="hand", principal=self.principal, now=moment
        )
        return accepted(self, change)


def accepted(view: TenantAPIView, change: Change) -> Response:
    """202 with the change's address; 409 when the guards have turned it down (it is on record, with the reasons)."""
    if change.state == ChangeState.REJECTED:
        raise Conflict(change.error_text, code="refused_by_guard", advice=change.advice)
    body = ChangeShape(change, context={"principal": view.principal}).data
    return Response(body, status=202, headers={"Location": f"/api/changes/{change.uuid}"})


class CampaignStatus(CampaignWrite):
    @extend_schema(
        summary="Update campaign status",
        parameters=[KEY],
        request=StatusBody,
        responses={202: ChangeShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, campaign_id: str) -> Response:
        """Start or pause a campaign. A pause by an agency member passes at once; a start waits for approval."""
        body = StatusBody(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        return self.file(
            campaign_id, field=Field.STATUS, target=data["status"], reason=data.get("reason", "")
        )


class CampaignBudget(CampaignWrite):
    @extend_schema(
        summary="Update campaign budget",
        parameters=[KEY],
        request=BudgetBody,
        responses={202: ChangeShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, campaign_id: str) -> Response:
        """Set the daily or the lifetime budget, in major units. A cut passes at once; a raise waits for approval."""
        body = BudgetBody(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        field, amount = BudgetBody.wanted(data)
        return self.file(
            campaign_id,
            field=field,
            target=canonical_amount(amount),
            reason=data.get("reason", ""),
            acknowledged=data["confirm_large_step"],
        )
