"""`/api/changes/batch` and `/api/batches`: many changes on one review sheet."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

import campaigns.changes.batches as batches
import campaigns.changes.review as review
from accounts.api.base import TenantAPIView
from accounts.api.meta import ERRORS, KEY, WRITE_ERRORS
from accounts.idempotency import idempotent
from campaigns.api.shapes import BatchBody, BatchSheet, ChangeShape, DigestBody, RejectBatchBody
from campaigns.changes.batches import Sheet
from metaads.clock import now


def _valid(shape: Any, request: Request) -> dict[str, Any]:
    body = shape(data=request.data)
    body.is_valid(raise_exception=True)
    data: dict[str, Any] = body.validated_data
    return data


class BatchView(TenantAPIView):
    """What all have in common: the sheet."""

    def answer(self, sheet: Sheet, status: int = 200) -> Response:
        found = review.together(principal=self.principal, changes=sheet.changes, now=now())
        context = {
            "principal": self.principal,
            "standings": {one.change.pk: one.standing for one in found.lines},
        }
        said = {
            "id": sheet.batch,
            "digest": sheet.digest,
            "waiting": len(sheet.waiting),
            "total_raise": [
                {"currency": currency, "amount": amount} for currency, amount in sheet.total_raise.items()
            ],
            "cannot_be_undone": list(sheet.cannot_be_undone),
            "may_approve": found.may,
            "why_not_approve": found.why_not,
            "approvers": list(found.people),
            "changes": ChangeShape(sheet.changes, many=True, context=context).data,
            "joined": ChangeShape(sheet.joined, many=True, context=context).data,
            "refused": [vars(one) for one in sheet.refused],
        }
        return Response(said, status=status, headers={"Location": f"/api/batches/{sheet.batch}"})


class FileBatch(BatchView):
    @extend_schema(
        summary="Ask for many changes on one review sheet",
        parameters=[KEY],
        request=BatchBody,
        responses={202: BatchSheet, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Up to 100 changes of one client. Cuts and pauses of few objects pass at once; the rest waits for one approval
        of the whole sheet. What a guard refuses is on the sheet with its reason."""
        data = _valid(BatchBody, request)
        wishes = [BatchBody.wish(line) for line in data["changes"]]
        sheet = batches.file(
            principal=self.principal, wishes=wishes, reason=data["reason"], batch=str(uuid4()), now=now()
        )
        return self.answer(sheet, 202)


class OneBatch(BatchView):
    @extend_schema(summary="Read a batch", responses={200: BatchSheet, **ERRORS})
    def get(self, request: Request, uuid: UUID) -> Response:
        return self.answer(batches.sheet(self.principal, str(uuid)))


class ApproveBatch(BatchView):
    @extend_schema(
        summary="Approve a batch, all or nothing",
        parameters=[KEY],
        request=DigestBody,
        responses={200: BatchSheet, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, uuid: UUID) -> Response:
        digest = _valid(DigestBody, request)["digest"]
        sheet = batches.approve(principal=self.principal, batch=str(uuid), digest=digest, now=now())
        return self.answer(sheet)


class RejectBatch(BatchView):
    @extend_schema(
        summary="Reject what waits of a batch",
        parameters=[KEY],
        request=RejectBatchBody,
        responses={200: BatchSheet, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, uuid: UUID) -> Response:
        data = _valid(RejectBatchBody, request)
        return self.answer(batches.reject(principal=self.principal, batch=str(uuid), now=now(), **data))


class UndoBatch(BatchView):
    @extend_schema(
        summary="Undo what a batch has applied, all or nothing",
        parameters=[KEY],
        request=None,
        responses={202: BatchSheet, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, uuid: UUID) -> Response:
        """File the exact opposite as a batch of its own; refused whole when somebody has touched one of the values."""
        return self.answer(batches.undo(principal=self.principal, batch=str(uuid), now=now()), 202)
