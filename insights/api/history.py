"""More history of an ad account, read in the background."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

import insights.api.shapes as shapes
import insights.fetch as fetch
from accounts.api.base import TenantAPIView
from accounts.api.meta import KEY, WRITE_ERRORS
from accounts.errors import Invalid
from accounts.idempotency import idempotent
from insights.errors import TooFarBack
from insights.progress import of
from insights.tasks import go_on_fetching
from metaads.clock import now


class HistoryAsked(serializers.Serializer[Any]):
    days = serializers.IntegerField(
        min_value=1, help_text="Days back, today among them; Meta keeps 37 months."
    )


class HistoryShape(serializers.Serializer[Any]):
    account_id = serializers.CharField()
    days = serializers.IntegerField()
    progress = shapes.ProgressShape()


class History(TenantAPIView):
    @extend_schema(
        summary="Read more history",
        parameters=[KEY],
        request=HistoryAsked,
        responses={202: HistoryShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request, account_id: str) -> Response:
        """Goes on beside live work; how far it is stands in `progress` here and at the realtime path."""
        account = self.ad_account(account_id, "sync")
        asked = HistoryAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            run = fetch.more(ad_account=account, days=asked.validated_data["days"], now=now())
        except TooFarBack as no:
            advice = f"Ask for days from {no.first.isoformat()} on."
            raise Invalid(str(no), advice=advice, errors=[("days", f"{no} {advice}")]) from None
        transaction.on_commit(partial(go_on_fetching.delay, run.pk))
        shape = {"account_id": account.act_id, "days": run.days, "progress": shapes.progress(of(run))}
        return Response(shape, status=202)
