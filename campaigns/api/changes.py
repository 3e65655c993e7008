"""`/api/changes`: what was asked for, what became of it, and the decisions that people take."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

import campaigns.changes.approvals as approvals
import campaigns.changes.ledger as ledger
import campaigns.changes.undo as undoing
from accounts.api.base import TenantAPIView
from accounts.api.meta import CLIENT, ERRORS, KEY, WRITE_ERRORS
from accounts.errors import Invalid
from accounts.idempotency import idempotent
from campaigns.api.shapes import ChangeDetail, ChangeList, ChangeShape, DigestBody, ReasonBody, ResolveBody
from campaigns.api.writes import accepted
from campaigns.models import Change
from campaigns.states import ChangeState
from metaads.clock import now

MOST = 200


class Changes(TenantAPIView):
    @extend_schema(
        operation_id="changes_list",
        summary="List changes, newest first",
        parameters=[
            CLIENT,
            OpenApiParameter("account", str, description="act_1 or 1"),
            OpenApiParameter("state", str, description="One or more states, comma separated."),
            OpenApiParameter("object", str, description="Meta's id of a campaign, ad set or ad."),
            OpenApiParameter("limit", int, description=f"Up to {MOST}; 50 without."),
            OpenApiParameter("after", str, description="The `next` of the page before."),
        ],
        responses={200: ChangeList, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        """Changes of all your clients, or narrowed by the parameters."""
        query = request.query_params
        rows = ledger.changes(self.principal)
        if "client" in query:
            rows = rows.filter(client=self.client())
        if query.get("account"):
            rows = rows.filter(ad_account=self.ad_account(query["account"]))
        if query.get("state"):
            rows = rows.filter(state__in=_states(query["state"]))
        if query.get("object"):
            rows = rows.filter(object_id=query["object"])
        if query.get("after"):
            last = ledger.change(self.principal, str(_uuid(query["after"])))
            rows = rows.filter(pk__lt=last.pk)
        size = _size(query.get("limit"))
        page = list(rows.order_by("-pk")[: size + 1])
        more = len(page) > size
        shaped = ChangeShape(page[:size], many=True, context={"principal": self.principal}).data
        return Response({"changes": shaped, "next": str(page[size - 1].uuid) if more else None})


def _states(text: str) -> list[str]:
    states = [word.strip().upper() for word in text.split(",") if word.strip()]
    if unknown := [word for word in states if word not in list(ChangeState)]:
        raise Invalid(f"There is no state {unknown[0]}.", advice=f"One of: {', '.join(ChangeState)}.")
    return states


def _size(text: str | None) -> int:
    if not text:
        return 50
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MOST:
        raise Invalid(f"limit is a number from 1 to {MOST}.")
    return int(text)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Invalid("after is the `next` of an earlier page.") from None


class OneChange(TenantAPIView):
    """A view of one change; what is not the principal's answers 404."""

    def change(self, uuid: UUID) -> Change:
        return ledger.change(self.principal, str(uuid))

    def answer(self, change: Change) -> Response:
        fresh = self.change(change.uuid)
        return Response(ChangeDetail(fresh, context={"principal": self.principal}).data)


class ChangeView(OneChange):
    @extend_schema(summary="Read a change with its ledger lines", responses={200: ChangeDetail, **ERRORS})
    def get(self, request: Request, uuid: UUID) -> Response:
        return self.answer(self.change(uuid))


def _valid(shape: Any, request: Request) -> dict[str, Any]:
    body = shape(data=request.data)
    body.is_valid(raise_exception=True)
    data: dict[str, Any] = body.validated_data
    return data


class Approve(OneChange):
    @extend_schema(
        summary="Approve a change",
        parameters=[KEY],
        request=DigestBody,
        responses={200: ChangeDetail, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, uuid: UUID) -> Response:
        """Let it pass, pinned to the digest of what you read. It is sent at once; watch its state."""
        digest = _valid(DigestBody, request)["digest"]
        change = approvals.approve(
            change=self.change(uuid), principal=self.principal, digest=digest, now=now()
        )
        return self.answer(change)


class Reject(OneChange):
    @extend_schema(
        summary="Reject a change",
        parameters=[KEY],
        request=ReasonBody,
        responses={200: ChangeDetail, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, uuid: UUID) -> Response:
        reason = _valid(ReasonBody, request)["reason"]
        change = approvals.reject(
            change=self.change(uuid), principal=self.principal, reason=reason, now=now()
        )
        return self.answer(change)


class Undo(OneChange):
    @extend_schema(
        summary="Undo an applied change",
        parameters=[KEY],
        request=None,
        responses={202: ChangeShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, uuid: UUID) -> Response:
        """File the exact opposite. Spent money and a restarted learning phase do not come back."""
        moment = now()
        change = undoing.undo(change=self.change(uuid), principal=self.principal, now=moment)
        change = approvals.approve_by_policy(
            change=change, policy="hand", principal=self.principal, now=moment
        )
        return accepted(self, change)


class Resolve(OneChange):
    @extend_schema(
        summary="Say what became of a change that needs a person",
        parameters=[KEY],
        request=ResolveBody,
        responses={200: ChangeDetail, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, uuid: UUID) -> Response:
        data = _valid(ResolveBody, request)
        change = approvals.resolve(
            change=self.change(uuid),
            principal=self.principal,
            outcome=data["outcome"],
            reason=data["reason"],
            now=now(),
        )
        return self.answer(change)
