"""What was known when, and how complete young numbers are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

import insights.analytics as analytics
import insights.api.params as params
import insights.api.shapes as shapes
import insights.completeness as completeness
from accounts.api.base import TenantAPIView
from accounts.api.meta import ERRORS
from accounts.errors import Invalid
from insights.metrics import ADDITIVE
from metaads.clock import now

LEVELS = ("account", "campaign", "adset", "ad")


class KnownAtShape(serializers.Serializer[Any]):
    account_id = serializers.CharField()
    level = serializers.ChoiceField(LEVELS)
    currency = serializers.CharField()
    timezone_name = serializers.CharField()
    date_start = serializers.DateField()
    date_stop = serializers.DateField()
    known_at = serializers.DateTimeField()
    answers_for = serializers.DateTimeField(
        help_text="Equal to known_at, or later within its hour where the period holds the day that was running then."
    )
    unread_days = serializers.IntegerField(help_text="Days of the period that had not been read by then.")
    rows = shapes.InsightShape(many=True)


class CurveShape(serializers.Serializer[Any]):
    column = serializers.ChoiceField(list(ADDITIVE))
    shares = serializers.ListField(
        child=serializers.DecimalField(max_digits=12, decimal_places=4),
        help_text="Share of the final sum k days after a day's end, k = 0..28.",
    )
    days = serializers.IntegerField(help_text="Days that it was learned from.")
    total = serializers.DecimalField(max_digits=30, decimal_places=6)
    settled_after = serializers.IntegerField(allow_null=True, help_text="Days until 98 % are there for good.")
    learned_at = serializers.DateTimeField()


class CompletenessShape(serializers.Serializer[Any]):
    account_id = serializers.CharField()
    curves = CurveShape(many=True)
    not_learned = serializers.ListField(child=serializers.CharField())


class KnownAt(TenantAPIView):
    @extend_schema(
        summary="Numbers as they were known at an instant",
        parameters=[
            OpenApiParameter("at", datetime, required=True, description="ISO 8601 with its offset, e.g. …Z."),
            OpenApiParameter("level", str, enum=LEVELS, description="Default: account."),
            *params.PERIOD,
            params.METRIC_NAMES,
        ],
        responses={200: KnownAtShape, **ERRORS},
    )
    def get(self, request: Request, account_id: str) -> Response:
        """The rows of then, before what Meta restated later. Reach is not known for the past."""
        account, query = self.ad_account(account_id), request.query_params
        at = _instant(query.get("at"), now())
        period = params.period(query, account, now=at)
        level = params.one_of(query, "level", LEVELS, "account")
        names = params.metrics(query, who=self.principal, client=account.client)
        past = analytics.as_known_at(
            account, at=at, level=level, since=period.since, until=period.until, metrics=names
        )
        return Response(
            {
                "account_id": account.act_id,
                "level": level,
                "currency": past.currency,
                "timezone_name": past.zone,
                "date_start": past.since.isoformat(),
                "date_stop": past.until.isoformat(),
                "known_at": past.at,
                "answers_for": past.answers_for,
                "unread_days": past.unread,
                "rows": [shapes.insight(level, past.since, past.until, row) for row in past.rows],
            }
        )


class Completeness(TenantAPIView):
    @extend_schema(summary="How complete young numbers are", responses={200: CompletenessShape, **ERRORS})
    def get(self, request: Request, account_id: str) -> Response:
        """Learned from what this account's rows used to say; a column over too few results has no curve."""
        account = self.ad_account(account_id)
        found = completeness.curves(account)
        return Response(
            {
                "account_id": account.act_id,
                "curves": [shapes.curve(found[name]) for name in ADDITIVE if name in found],
                "not_learned": [name for name in ADDITIVE if name not in found],
            }
        )


def _instant(text: str | None, at_most: datetime) -> datetime:
    advice = "Write it like 2026-11-18T15:00:00Z."
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        raise Invalid("at is not an instant.", advice=advice, errors=[("at", advice)]) from None
    if at.tzinfo is None:
        raise Invalid("at has no time zone.", advice=advice, errors=[("at", advice)])
    at = at.astimezone(UTC)
    if at > at_most:
        words = "at lies in the future."
        raise Invalid(words, advice="Ask for now, or for an earlier instant.", errors=[("at", words)])
    return at
