"""A period against another one: what moved, by how much, and what could not be compared."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

import insights.api.params as params
import insights.api.shapes as shapes
import insights.comparisons as comparisons
from accounts.api.meta import ERRORS
from insights.api.views import LEVELS, OfObject
from insights.comparisons import AGAINST, Against, Compared
from insights.metrics import rounded
from metaads.clock import now

NAMES: dict[str, Against] = {name: name for name in AGAINST}


class ComparedShape(serializers.Serializer[Any]):
    value = serializers.DecimalField(
        max_digits=30, decimal_places=6, allow_null=True, help_text="As reported, over the compared days."
    )
    before = serializers.DecimalField(max_digits=30, decimal_places=6, allow_null=True)
    change_percent = serializers.DecimalField(max_digits=30, decimal_places=6, allow_null=True)
    basis = serializers.ChoiceField(
        ["reported", "expected", ""],
        help_text="expected: both sides brought to what they will be by the account's completeness curve.",
    )
    why_not = serializers.CharField(allow_blank=True)


class ComparisonShape(shapes.HeaderShape):
    id = serializers.CharField()
    level = serializers.ChoiceField(LEVELS)
    against = serializers.ChoiceField(list(AGAINST))
    before_start = serializers.DateField()
    before_stop = serializers.DateField()
    days = serializers.IntegerField()
    compared_days = serializers.IntegerField(help_text="Days that were read on both sides.")
    until_hour = serializers.IntegerField(
        allow_null=True, help_text="Up to where the running day is compared, in the account's zone."
    )
    note = serializers.CharField(allow_blank=True)
    metrics = serializers.DictField(child=ComparedShape())


class Comparison(OfObject):
    @extend_schema(
        summary="A period compared with another",
        parameters=[
            OpenApiParameter("against", str, enum=list(AGAINST), description="Default: previous."),
            *params.PERIOD,
            params.METRIC_NAMES,
        ],
        responses={200: ComparisonShape, **ERRORS},
    )
    def get(self, request: Request, object_id: str) -> Response:
        """Day by day the same number of read days; today up to its last full hour."""
        account, level, meta_id = self.object_(object_id)
        at, query = now(), request.query_params
        against = NAMES[params.one_of(query, "against", AGAINST, "previous")]
        period = params.period(query, account, now=at)
        found = comparisons.compare(
            account,
            since=period.since,
            until=period.until,
            against=against,
            level=level,
            object_id=meta_id,
            metrics=params.metrics(query, who=self.principal, client=account.client),
            now=at,
        )
        return Response(
            {
                "id": account.act_id if level == "account" else meta_id,
                "level": level,
                **shapes.header(found.totals.header),
                "against": found.against,
                "before_start": found.before.since.isoformat(),
                "before_stop": found.before.until.isoformat(),
                "days": found.days,
                "compared_days": found.pairs,
                "until_hour": found.until_hour,
                "note": found.note,
                "metrics": {name: _compared(one) for name, one in found.metrics.items()},
            }
        )


def _compared(one: Compared) -> dict[str, Any]:
    return {
        "value": rounded(one.value),
        "before": rounded(one.before),
        "change_percent": rounded(one.change),
        "basis": one.basis,
        "why_not": one.why,
    }
