"""How this floor's answers look: the brief's field names, money as exact JSON numbers beside its currency.

A number is null where it is unknown; 0 means that it was measured and is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from rest_framework import serializers

from insights.analytics import Header, TableRow
from insights.attribution import CHOICES
from insights.breakdowns import COMBINATIONS, Cell
from insights.completeness import Curve
from insights.metrics import METRICS, RANKINGS, RANKS, Metric, ranked, rounded
from insights.progress import Progress
from insights.results import Result
from insights.samples import Seen

Body = dict[str, Any]
#: A column counts as settled when this share of its final sum is there.
SETTLED: Final = Decimal("0.98")


def header(found: Header) -> Body:
    """What every answer says of itself."""
    return {
        "currency": found.currency,
        "timezone_name": found.zone,
        "date_start": found.since.isoformat(),
        "date_stop": found.until.isoformat(),
        "data_version": found.data_version,
        "checked_at": found.checked_at,
        "data_as_of": found.data_as_of,
        "attribution": found.attribution,
        "trust": {"state": found.trust.state, "reasons": list(found.trust.reasons)},
    }


def numbers(values: Mapping[str, Decimal | None]) -> Body:
    """Numbers at six decimals; a ranking is Meta's word, since its place in the order is ours."""
    return {name: ranked(value) if name in RANKINGS else rounded(value) for name, value in values.items()}


def samples(found: Iterable[Seen]) -> list[Body]:
    return [
        {"at": one.at, "spend": rounded(one.spend), "impressions": one.impressions, "clicks": one.clicks}
        for one in found
    ]


def result(found: Result | None) -> Body:
    """What counts as a conversion here; nothing where no such metric was asked for."""
    if found is None:
        return {}
    return {
        "result_action": found.action,
        "result_label": found.label,
        "result_reason": found.reason,
    }


def campaign(row: Any, found: TableRow) -> Body:
    """The brief's Campaign."""
    return {
        **_object(row),
        "objective": row.objective,
        "daily_budget": row.daily_budget,
        "lifetime_budget": row.lifetime_budget,
        "bid_strategy": row.bid_strategy,
        **numbers(found.values),
        **result(found.result),
        **_times(row),
    }


def ad_set(row: Any, found: TableRow) -> Body:
    return {
        **_object(row),
        "campaign_id": row.campaign.meta_id,
        "optimization_goal": row.optimization_goal,
        "learning_stage": row.learning_stage,
        "daily_budget": row.daily_budget,
        "lifetime_budget": row.lifetime_budget,
        "bid_strategy": row.bid_strategy,
        "bid_amount": row.bid_amount,
        **numbers(found.values),
        **result(found.result),
        **_times(row),
    }


def ad(row: Any, found: TableRow) -> Body:
    return {
        **_object(row),
        "campaign_id": row.campaign.meta_id,
        "adset_id": row.ad_set.meta_id,
        "creative_id": row.creative.meta_id if row.creative else None,
        **numbers(found.values),
        **result(found.result),
        **_times(row),
    }


def insight(level: str, since: date, until: date, row: TableRow) -> Body:
    """One object's row of an insights answer."""
    return {
        "id": f"act_{row.object_id}" if level == "account" else row.object_id,
        "level": level,
        "date_start": since.isoformat(),
        "date_stop": until.isoformat(),
        **numbers(row.values),
        **result(row.result),
    }


def part(level: str, object_id: str, since: date, until: date, cell: Cell) -> Body:
    """One part of an object, under Meta's names of the breakdowns."""
    whole = insight(level, since, until, TableRow(object_id, cell.values))
    return {
        **{name: whole.pop(name) for name in ("id", "level", "date_start", "date_stop")},
        **cell.names,
        **whole,
    }


def curve(one: Curve) -> Body:
    return {
        "column": one.base,
        "shares": list(one.shares),
        "days": one.days,
        "total": one.total,
        "settled_after": one.settled(SETTLED),
        "learned_at": one.learned_at,
    }


def metric(one: Metric) -> Body:
    return {
        "name": one.name,
        "label": one.label,
        "unit": one.unit,
        "formula": one.formula,
        "levels": list(one.levels),
        "summable": one.summable,
        "not_added": one.not_added,
        "hourly": one.hourly,
        "attributed": one.attributed,
        "of_result": one.of_result,
        "private": one.private,
        "lag_days": one.lag_days,
        "decimals": one.decimals,
        "good": one.good,
        "description": one.description,
    }


def progress(one: Progress) -> Body:
    return {"done": one.done, "total": one.total, "sentence": one.sentence, "state": one.state}


def _object(row: Any) -> Body:
    return {
        "id": row.meta_id,
        "name": row.name,
        "status": row.status,
        "effective_status": row.effective_status,
    }


def _times(row: Any) -> Body:
    return {"created_time": row.created_time, "updated_time": row.updated_time}


# --- the same for the OpenAPI schema


def _number() -> serializers.Field[Any, Any, Any, Any]:
    return serializers.DecimalField(max_digits=30, decimal_places=6, allow_null=True)


def _metrics() -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    """Every metric of the registry; an answer has those that `metrics` names, or the usual ones."""
    return {name: _metric(one) for name, one in METRICS.items()}


def _metric(one: Metric) -> serializers.Field[Any, Any, Any, Any]:
    rest: dict[str, Any] = {"allow_null": True, "required": False, "help_text": one.description}
    if one.unit == "rank":
        return serializers.ChoiceField(list(RANKS), **rest)
    return serializers.DecimalField(max_digits=30, decimal_places=6, **rest)


def _result() -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    return {
        "result_action": serializers.CharField(
            required=False, help_text="Meta's action that counts as a conversion here; empty: none does."
        ),
        "result_label": serializers.CharField(required=False),
        "result_reason": serializers.CharField(
            required=False, help_text="Why nothing counts: then conversions, CPA and ROAS are null."
        ),
    }


class TrustShape(serializers.Serializer[Any]):
    state = serializers.ChoiceField(["ready", "partial", "stale", "unavailable", "empty"])
    reasons = serializers.ListField(child=serializers.CharField())


class HeaderShape(serializers.Serializer[Any]):
    currency = serializers.CharField()
    timezone_name = serializers.CharField()
    date_start = serializers.DateField()
    date_stop = serializers.DateField()
    data_version = serializers.IntegerField()
    checked_at = serializers.DateTimeField(allow_null=True)
    data_as_of = serializers.DateTimeField(allow_null=True)
    attribution = serializers.ChoiceField(list(CHOICES))
    trust = TrustShape()


class PerformanceShape(HeaderShape):
    account_id = serializers.CharField()
    name = serializers.CharField()
    previous = serializers.DictField(child=_number())
    locals().update(_metrics() | _result())


class CampaignShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    status = serializers.CharField()
    effective_status = serializers.CharField()
    objective = serializers.CharField()
    daily_budget = _number()
    lifetime_budget = _number()
    bid_strategy = serializers.CharField()
    created_time = serializers.DateTimeField(allow_null=True)
    updated_time = serializers.DateTimeField(allow_null=True)
    locals().update(_metrics() | _result())


class CampaignsShape(HeaderShape):
    account_id = serializers.CharField()
    campaigns = CampaignShape(many=True)


class AdSetShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    status = serializers.CharField()
    effective_status = serializers.CharField()
    campaign_id = serializers.CharField()
    optimization_goal = serializers.CharField()
    learning_stage = serializers.CharField()
    daily_budget = _number()
    lifetime_budget = _number()
    bid_strategy = serializers.CharField()
    bid_amount = _number()
    created_time = serializers.DateTimeField(allow_null=True)
    updated_time = serializers.DateTimeField(allow_null=True)
    locals().update(_metrics() | _result())


class AdSetsShape(HeaderShape):
    campaign_id = serializers.CharField()
    ad_sets = AdSetShape(many=True)


class AdShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    status = serializers.CharField()
    effective_status = serializers.CharField()
    campaign_id = serializers.CharField()
    adset_id = serializers.CharField()
    creative_id = serializers.CharField(allow_null=True)
    created_time = serializers.DateTimeField(allow_null=True)
    updated_time = serializers.DateTimeField(allow_null=True)
    locals().update(_metrics() | _result())


class AdsShape(HeaderShape):
    adset_id = serializers.CharField()
    ads = AdShape(many=True)


def _part_names() -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    names = dict.fromkeys(name for one in COMBINATIONS for name in one)
    return {
        name: serializers.CharField(required=False, help_text="Meta's value, where `breakdowns` names it.")
        for name in names
    }


class InsightShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    level = serializers.ChoiceField(["account", "campaign", "adset", "ad"])
    date_start = serializers.DateField()
    date_stop = serializers.DateField()
    locals().update(_part_names())
    locals().update(_metrics() | _result())


class ProgressShape(serializers.Serializer[Any]):
    done = serializers.IntegerField()
    total = serializers.IntegerField()
    sentence = serializers.CharField()
    state = serializers.ChoiceField(["", "running", "waiting", "done", "failed"])


class InsightsShape(HeaderShape):
    id = serializers.CharField()
    level = serializers.ChoiceField(["account", "campaign", "adset", "ad"])
    breakdowns = serializers.ListField(child=serializers.CharField(), required=False)
    reading = ProgressShape(
        required=False, allow_null=True, help_text="With `breakdowns`: how far reading them is."
    )
    insights = InsightShape(many=True)


class SampleShape(serializers.Serializer[Any]):
    at = serializers.DateTimeField(help_text="When Meta was asked.")
    spend = _number()
    impressions = serializers.IntegerField()
    clicks = serializers.IntegerField()


class RealtimeShape(HeaderShape):
    account_id = serializers.CharField()
    next_check_at = serializers.DateTimeField(allow_null=True)
    poll_seconds = serializers.IntegerField()
    against_yesterday = serializers.DictField(
        child=_number(),
        help_text="Today's full hours less yesterday's same hours; null where an hour was not read.",
    )
    progress = ProgressShape()
    samples = SampleShape(
        many=True, required=False, help_text="With `samples`: the day so far, look by look."
    )
    locals().update(_metrics() | _result())


class MetricShape(serializers.Serializer[Any]):
    name = serializers.ChoiceField(list(METRICS))
    # `label` is a name of the serializer itself, so this field is added by `get_fields`.
    unit = serializers.ChoiceField(["money", "count", "ratio", "percent", "rank"])
    formula = serializers.CharField()
    levels = serializers.ListField(child=serializers.CharField(), help_text="Where it exists.")
    summable = serializers.BooleanField()
    not_added = serializers.CharField(help_text="Why its values are not added; empty for what adds up.")
    hourly = serializers.BooleanField()
    attributed = serializers.BooleanField(help_text="Counts what Meta credits within an attribution window.")
    of_result = serializers.BooleanField(help_text="Depends on what the client calls a result.")
    private = serializers.BooleanField(help_text="For roles that may see costs.")
    lag_days = serializers.IntegerField()
    decimals = serializers.IntegerField()
    good = serializers.ChoiceField(["up", "down", ""])
    description = serializers.CharField()

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "label": serializers.CharField()}


class MetricsShape(serializers.Serializer[Any]):
    metrics = MetricShape(many=True)
    aliases = serializers.DictField(child=serializers.CharField())
