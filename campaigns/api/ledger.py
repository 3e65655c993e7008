"""`/api/ledger/{account}`: the record of everything that happened, to be kept and checked elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import UUID

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

import campaigns.changes.ledger as ledger
from accounts.api.base import TenantAPIView
from accounts.api.meta import ERRORS
from accounts.errors import Invalid
from campaigns.models import LedgerLine

NDJSON = "application/x-ndjson"


class Lines(BaseRenderer):
    """Named so that a caller may ask for it; the view streams by itself."""

    media_type = NDJSON
    format = "ndjson"

    def render(self, data: object, *args: object, **kwargs: object) -> bytes:
        return json.dumps(data).encode()


class LedgerExport(TenantAPIView):
    renderer_classes = (JSONRenderer, Lines)

    @extend_schema(
        operation_id="ledger_export",
        summary="Export the ledger of an ad account",
        parameters=[OpenApiParameter("change", str, description="Only the lines of this change.")],
        responses={(200, NDJSON): OpenApiTypes.STR, **ERRORS},
    )
    def get(self, request: Request, account_id: str) -> StreamingHttpResponse:
        """One JSON object a line, oldest first: `text` (as it was sealed), `previous_hash` and `hash`, which is
        the SHA-256 of the previous hash, a line feed and the text. A person stands in the text as a seal."""
        account = self.ad_account(account_id)
        rows = ledger.lines(self.principal, ad_account=account).order_by("seq")
        if request.query_params.get("change"):
            rows = rows.filter(change=ledger.change(self.principal, _uuid(request.query_params["change"])))
        answer = StreamingHttpResponse(_written(rows), content_type=NDJSON)
        answer["Content-Disposition"] = f'attachment; filename="ledger-{account.act_id}.ndjson"'
        return answer


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise Invalid("change is the id of a change.") from None


def _written(rows: QuerySet[LedgerLine]) -> Iterator[bytes]:
    for line in rows.iterator(chunk_size=500):
        said = {
            "seq": line.seq, "text": line.text, "previous_hash": line.previous_hash, "hash": line.hash,
        }  # fmt: skip
        yield json.dumps(said, ensure_ascii=False).encode() + b"\n"
