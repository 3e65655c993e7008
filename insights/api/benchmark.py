"""An ad account's ratios against its own past and against the agency's other accounts, anonymously."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

import insights.api.params as params
import insights.api.shapes as shapes
import insights.benchmarks as benchmarks
from accounts.api.base import TenantAPIView
from accounts.api.meta import ERRORS
from insights.metrics import rounded
from metaads.clock import now

DAYS = ("7", "28")


def _number(**more: Any) -> serializers.DecimalField:
    return serializers.DecimalField(max_digits=30, decimal_places=6, allow_null=True, **more)


class OwnPastShape(serializers.Serializer[Any]):
    value = _number(help_text="Of the last full days; young conversions as they are expected in the end.")
    low = _number(help_text="Lower quartile of the earlier windows.")
    median = _number()
    high = _number()
    percentile = _number(help_text="Percent of the earlier windows that were lower.")
    windows = serializers.IntegerField()
    why_not = serializers.CharField(allow_blank=True)


class OthersShape(serializers.Serializer[Any]):
    value = _number(help_text="The account's own, over its campaigns of the objective in these weeks.")
    low = _number(help_text="Lower quartile of the other accounts, two digits.")
    median = _number()
    high = _number()
    place = serializers.ChoiceField(["below", "within", "above", ""], help_text="Against the middle half.")
    at_least = serializers.IntegerField(help_text="So many accounts at least are in the group; 0: not shown.")
    why_not = serializers.CharField(allow_blank=True)


class BenchmarkShape(shapes.HeaderShape):
    account_id = serializers.CharField()
    days = serializers.IntegerField()
    own = serializers.DictField(child=OwnPastShape())
    portfolio_start = serializers.DateField()
    portfolio_stop = serializers.DateField()
    objective = serializers.CharField(
        allow_blank=True,
        help_text="The objective that the account spends most on; campaigns of it are compared.",
    )
    portfolio = serializers.DictField(child=OthersShape())


class Benchmark(TenantAPIView):
    @extend_schema(
        summary="An account against its past and against others",
        parameters=[
            OpenApiParameter(
                "days", int, enum=[int(one) for one in DAYS], description="Own windows; default 28."
            )
        ],
        responses={200: BenchmarkShape, **ERRORS},
    )
    def get(self, request: Request, account_id: str) -> Response:
        """Other accounts are shown as smoothed quartiles of groups large enough to hide each of them, or not at all."""
        account = self.ad_account(account_id)
        days = int(params.one_of(request.query_params, "days", DAYS, "28"))
        found = benchmarks.benchmarks(account, who=self.principal, days=days, now=now())
        return Response(
            {
                "account_id": account.act_id,
                **shapes.header(found.header),
                "days": found.days,
                "own": {name: _own(one) for name, one in found.own.items()},
                "portfolio_start": found.period.since.isoformat(),
                "portfolio_stop": found.period.until.isoformat(),
                "objective": found.objective,
                "portfolio": {name: _others(one) for name, one in found.portfolio.items()},
            }
        )


def _own(one: benchmarks.Own) -> dict[str, Any]:
    numbers = {name: rounded(getattr(one, name)) for name in ("value", "low", "median", "high", "percentile")}
    return {**numbers, "windows": one.windows, "why_not": one.why}


def _others(one: benchmarks.Portfolio) -> dict[str, Any]:
    numbers = {name: rounded(getattr(one, name)) for name in ("value", "low", "median", "high")}
    return {**numbers, "place": one.place, "at_least": one.at_least, "why_not": one.why}
