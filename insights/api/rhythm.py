"""When it goes better: a ratio by hour, weekday or hour of the week, with what chance alone would show."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

import insights.api.params as params
import insights.api.shapes as shapes
import insights.rhythms as rhythms
from accounts.api.base import TenantAPIView
from accounts.api.meta import ERRORS
from accounts.errors import Invalid
from insights.errors import UnknownMetric
from insights.metrics import rounded
from insights.patterns import Family, Group
from metaads.clock import now

FAMILIES: dict[str, Family] = {
    "hour": "hour",
    "weekday": "weekday",
    "hour_of_week": "hour_of_week",
    "month": "month",
    "week": "week",
}
MOST_WEEKS = 26


class GroupShape(serializers.Serializer[Any]):
    weekday = serializers.IntegerField(allow_null=True, help_text="0 is Monday.")
    hour = serializers.IntegerField(allow_null=True)
    season = serializers.IntegerField(allow_null=True, help_text="Month 1 to 12, or ISO week 1 to 53.")
    value = serializers.DecimalField(max_digits=30, decimal_places=6, allow_null=True)
    low = serializers.DecimalField(max_digits=30, decimal_places=6, allow_null=True)
    high = serializers.DecimalField(max_digits=30, decimal_places=6, allow_null=True)
    over = serializers.DecimalField(
        max_digits=30, decimal_places=6, help_text="What the value is divided by."
    )
    verdict = serializers.ChoiceField(["better", "worse", ""])


class RhythmShape(shapes.HeaderShape):
    account_id = serializers.CharField()
    metric = serializers.CharField()
    by = serializers.ChoiceField(list(FAMILIES))
    weeks = serializers.IntegerField(help_text="Weeks with hours that were read.")
    enough = serializers.BooleanField()
    why_not = serializers.CharField(allow_blank=True)
    groups = GroupShape(many=True)


class Rhythm(TenantAPIView):
    @extend_schema(
        summary="Hours and weekdays compared",
        parameters=[
            OpenApiParameter(
                "metric", str, description="A ratio; for hours one that Meta tells by the hour. Default: ctr."
            ),
            OpenApiParameter("by", str, enum=list(FAMILIES), description="Default: hour."),
            OpenApiParameter(
                "weeks",
                int,
                description=f"1 to {MOST_WEEKS}; default 8. Months and weeks of the year look back 37 months.",
            ),
            OpenApiParameter("campaign", str, description="One campaign's instead of the account's."),
        ],
        responses={200: RhythmShape, **ERRORS},
    )
    def get(self, request: Request, account_id: str) -> Response:
        """In the account's zone. A verdict is given at a false-discovery rate of 5 % over the groups compared.

        Meta tells no conversions by the hour; weekdays and seasons leave out days that still change."""
        account, query = self.ad_account(account_id), request.query_params
        by = params.one_of(query, "by", FAMILIES, "hour")
        weeks = params.one_of(query, "weeks", [str(one) for one in range(1, MOST_WEEKS + 1)], "8")
        campaign = query.get("campaign")
        metric, *more = params.metrics(
            {"metrics": query.get("metric") or "ctr"}, who=self.principal, client=account.client
        )
        if more:
            raise Invalid(
                "Ask for one metric.", advice="Ask once for each.", errors=[("metric", "Name one.")]
            )
        try:
            found = rhythms.find_rhythm(
                account,
                metric=metric,
                family=FAMILIES[by],
                weeks=int(weeks),
                level="campaign" if campaign else "account",
                object_id=campaign,
                now=now(),
            )
        except UnknownMetric as unknown:
            names = f"One of: {', '.join(unknown.allowed)}."
            raise Invalid(
                f"{unknown.name} cannot be told by the {by.replace('_', ' ')}.",
                advice=names,
                errors=[("metric", names)],
            ) from None
        times = found.metric.times
        return Response(
            {
                "account_id": account.act_id,
                **shapes.header(found.header),
                "metric": found.metric.name,
                "by": by,
                "weeks": found.pattern.weeks,
                "enough": found.pattern.enough,
                "why_not": found.pattern.why,
                "groups": [_group(one, times) for one in found.pattern.groups],
            }
        )


def _group(one: Group, times: int) -> dict[str, Any]:
    return {
        "weekday": one.weekday,
        "hour": one.hour,
        "season": one.season,
        "value": rounded(one.top * times / one.over if one.over else None),
        "low": rounded(None if one.low is None else Decimal(one.low) * times),
        "high": rounded(None if one.high is None else Decimal(one.high) * times),
        "over": rounded(one.over),
        "verdict": one.verdict,
    }
