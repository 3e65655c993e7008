"""`/api/approval-policy` and `/api/authority`: who may let how much pass at a client."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

import campaigns.changes.authority as authority
import campaigns.changes.standing as standing
from accounts.api.base import TenantAPIView
from accounts.api.meta import CLIENT, ERRORS, KEY, WRITE_ERRORS
from accounts.idempotency import idempotent
from accounts.models import Client
from campaigns.api.shapes import ApprovalRulesSet, ApprovalRulesShape, AuthorityBody, AuthorityRow
from metaads.clock import now


def _shaped(view: TenantAPIView, client: Client) -> Response:
    rules = standing.policy(client.pk)
    limits = AuthorityRow(standing.limits(view.principal, client=client), many=True).data
    said = {
        "four_eyes_percent": rules.four_eyes_percent,
        "batch_objects": rules.batch_objects,
        "approval_hours": client.approval_hours,
        "four_eyes_amounts": [
            {"currency": currency, "amount": amount}
            for currency, amount in standing.four_eyes_amounts(client.pk).items()
        ],
    }
    return Response({**said, "limits": limits})


def _valid(shape: Any, request: Request) -> dict[str, Any]:
    body = shape(data=request.data)
    body.is_valid(raise_exception=True)
    data: dict[str, Any] = body.validated_data
    return data


class ApprovalPolicyView(TenantAPIView):
    @extend_schema(
        operation_id="approval_policy_read",
        summary="A client's rules of approving",
        parameters=[CLIENT],
        responses={200: ApprovalRulesShape, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        return _shaped(self, self.client())

    @extend_schema(
        operation_id="approval_policy_set",
        summary="Set a client's rules of approving",
        parameters=[CLIENT, KEY],
        request=ApprovalRulesSet,
        responses={200: ApprovalRulesShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Owners and managers; only an owner switches four eyes off."""
        client, data = self.client(verb="manage_client"), _valid(ApprovalRulesSet, request)
        authority.set_policy(client=client, principal=self.principal, now=now(), **data)
        return _shaped(self, client)


class AuthorityView(TenantAPIView):
    @extend_schema(
        operation_id="authority_set",
        summary="Limit what a person or role may approve in a day",
        parameters=[CLIENT, KEY],
        request=AuthorityBody,
        responses={200: ApprovalRulesShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Send an e-mail or a role, and either percent or currency with amount; neither takes the limit away."""
        client, data = self.client(verb="manage_client"), _valid(AuthorityBody, request)
        authority.set_limit(client=client, principal=self.principal, now=now(), **data)
        return _shaped(self, client)
