"""A client's own metrics: listed, written, deleted."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

import insights.formulas as formulas
from accounts.api.base import TenantAPIView
from accounts.api.meta import CLIENT, ERRORS, KEY, WRITE_ERRORS
from accounts.idempotency import idempotent
from metaads.clock import now


class OwnMetricAsked(serializers.Serializer[Any]):
    name = serializers.RegexField(r"^[a-z][a-z0-9_]{1,39}$", help_text="Asked for as `my.<name>`.")
    expression = serializers.CharField(max_length=300, help_text="e.g. spend / landing_page_views")
    percent = serializers.BooleanField(default=False)
    decimals = serializers.IntegerField(min_value=0, max_value=6, default=2)
    good = serializers.ChoiceField(["up", "down", ""], default="")

    def get_fields(self) -> dict[str, Any]:
        # `label` is a name of the serializer itself.
        return {**super().get_fields(), "label": serializers.CharField(max_length=120, required=False)}


class OwnMetricShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    unit = serializers.ChoiceField(["money", "count", "ratio", "percent"])
    kind = serializers.CharField(help_text="What the outcome is, in words.")
    formula = serializers.CharField()
    summable = serializers.BooleanField()
    hourly = serializers.BooleanField()
    attributed = serializers.BooleanField()
    of_result = serializers.BooleanField()
    private = serializers.BooleanField()
    lag_days = serializers.IntegerField()
    decimals = serializers.IntegerField()
    good = serializers.ChoiceField(["up", "down", ""])

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "label": serializers.CharField()}


class OwnMetricsShape(serializers.Serializer[Any]):
    metrics = OwnMetricShape(many=True)


class OwnMetrics(TenantAPIView):
    @extend_schema(
        summary="The client's own metrics", parameters=[CLIENT], responses={200: OwnMetricsShape, **ERRORS}
    )
    def get(self, request: Request) -> Response:
        """Asked for by name, like the registry's, in `metrics=`."""
        return Response({"metrics": [_shape(one) for one in formulas.of(self.client())]})

    @extend_schema(
        summary="Write a metric",
        parameters=[CLIENT, KEY],
        request=OwnMetricAsked,
        responses={201: OwnMetricShape, **WRITE_ERRORS},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """The formula is checked first: units, double counting, mixed results."""
        body = OwnMetricAsked(data=request.data)
        body.is_valid(raise_exception=True)
        said = {"label": "", **body.validated_data}
        made = formulas.save(
            client=self.client("edit_metrics"), principal=self.principal, user=self.user, now=now(), **said
        )
        return Response(_shape(made), status=201)


class OwnMetric(TenantAPIView):
    @extend_schema(summary="Delete a metric", parameters=[CLIENT, KEY], responses={204: None, **WRITE_ERRORS})
    @idempotent
    def delete(self, request: Request, name: str) -> Response:
        formulas.delete(client=self.client("edit_metrics"), principal=self.principal, name=name, now=now())
        return Response(status=204)


def _shape(one: formulas.Own) -> dict[str, Any]:
    return {
        "name": one.name,
        "label": one.row.label,
        "unit": one.unit,
        "kind": one.formula.kind,
        "formula": one.formula.text,
        "summable": one.formula.summable,
        "hourly": one.formula.hourly,
        "attributed": one.formula.attributed,
        "of_result": one.formula.of_result,
        "private": one.formula.private,
        "lag_days": one.formula.lag_days,
        "decimals": one.row.decimals,
        "good": one.row.good,
    }
