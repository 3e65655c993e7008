"""Best and worst of a level by any metric, with who has too little volume to be ranked."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

import campaigns.queries as queries
import insights.api.params as params
import insights.api.shapes as shapes
import insights.rankings as rankings
from accounts.api.base import TenantAPIView
from accounts.api.meta import ERRORS
from accounts.errors import Invalid
from insights.metrics import rounded
from metaads.clock import now

LEVELS = ("campaign", "adset", "ad")
ORDERS: dict[str, rankings.Order] = {"best": "best", "worst": "worst"}
DEFAULT = 10
#: So many of those that are left out are named.
NAMED = 20


def _number(**more: Any) -> serializers.DecimalField:
    return serializers.DecimalField(max_digits=30, decimal_places=6, allow_null=True, **more)


class EntryShape(serializers.Serializer[Any]):
    rank = serializers.IntegerField(help_text="Equal values share a rank: 1, 2, 2, 4.")
    tied = serializers.BooleanField()
    id = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    value = _number()
    spend = _number()
    spend_share_percent = _number(help_text="Of all spend of the level in the period.")


class LeftOutShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    value = _number()
    spend = _number()
    why = serializers.CharField()


class RankingShape(shapes.HeaderShape):
    account_id = serializers.CharField()
    level = serializers.ChoiceField(LEVELS)
    metric = serializers.CharField()
    order = serializers.ChoiceField(list(ORDERS))
    least = _number(help_text="How much of `least_of` an object needs to be ranked; null for sums.")
    least_of = serializers.CharField(allow_blank=True)
    ranked = serializers.IntegerField(help_text="How many could be ranked.")
    tied_beyond = serializers.IntegerField(help_text="How many more have the value of the last entry.")
    entries = EntryShape(many=True)
    left_out = LeftOutShape(many=True)
    left_out_count = serializers.IntegerField()


class Ranking(TenantAPIView):
    @extend_schema(
        summary="Best and worst objects of an account",
        parameters=[
            OpenApiParameter("metric", str, description="One name from /api/metrics. Default: roas."),
            OpenApiParameter("level", str, enum=LEVELS, description="Default: ad."),
            OpenApiParameter("order", str, enum=list(ORDERS), description="Default: best."),
            OpenApiParameter("limit", int, description=f"1 to {rankings.MOST}; default {DEFAULT}."),
            *params.PERIOD,
        ],
        responses={200: RankingShape, **ERRORS},
    )
    def get(self, request: Request, account_id: str) -> Response:
        """By what is welcome: a low CPA is best, a high CTR is. Too little volume is left out, and named."""
        account, query, at = self.ad_account(account_id), request.query_params, now()
        level = params.one_of(query, "level", LEVELS, "ad")
        order = ORDERS[params.one_of(query, "order", ORDERS, "best")]
        limit = params.one_of(query, "limit", [str(one) for one in range(1, rankings.MOST + 1)], str(DEFAULT))
        names = params.metrics(
            {"metrics": query.get("metric") or "roas"}, who=self.principal, client=account.client
        )
        if len(names) != 1:
            raise Invalid(
                "Rank by one metric.", advice="Ask once for each.", errors=[("metric", "Name one.")]
            )
        period = params.period(query, account, now=at)
        found = rankings.rank(
            account,
            level=level,
            since=period.since,
            until=period.until,
            metric=names[0],
            order=order,
            most=int(limit),
            now=at,
        )
        shown = found.left_out[:NAMED]
        called = queries.names(
            self.principal,
            ad_account=account,
            level=level,
            meta_ids=[*(one.object_id for one in found.entries), *(one.object_id for one in shown)],
        )
        return Response(
            {
                "account_id": account.act_id,
                **shapes.header(found.header),
                "level": level,
                "metric": found.metric,
                "order": found.order,
                "least": rounded(found.least),
                "least_of": found.least_of,
                "ranked": found.of,
                "tied_beyond": found.beyond,
                "entries": [
                    {
                        "rank": one.rank,
                        "tied": one.tied,
                        "id": one.object_id,
                        "name": called.get(one.object_id, ""),
                        "value": rounded(one.value),
                        "spend": rounded(one.spend),
                        "spend_share_percent": rounded(one.share),
                    }
                    for one in found.entries
                ],
                "left_out": [
                    {
                        "id": one.object_id,
                        "name": called.get(one.object_id, ""),
                        "value": rounded(one.value),
                        "spend": rounded(one.spend),
                        "why": one.why,
                    }
                    for one in shown
                ],
                "left_out_count": len(found.left_out),
            }
        )
