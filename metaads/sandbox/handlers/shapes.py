"""Fields of the objects, with the JSON types that Meta sends (references 6.1 to 6.7): budgets are strings of
minor units, ``bid_amount`` and ``account_status`` whole numbers, ids strings, times texts with the account's offset.

A value of None means the field is absent from the answer.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

from metaads.sandbox.delivery.day import SPEND
from metaads.sandbox.delivery.engine import Engine
from metaads.sandbox.delivery.learning import LEARNING_CONVERSIONS, LEARNING_DAYS, last_significant_edit
from metaads.sandbox.handlers import times
from metaads.sandbox.money import minimum_daily_budget
from metaads.sandbox.world.nodes import ACCOUNT, AD, ADSET, CAMPAIGN, CREATIVE, Node
from metaads.sandbox.world.people import Person


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """A node looked at: by whom, at which moment."""

    engine: Engine
    node: Node
    at: float
    person: Person | None

    @property
    def zone(self) -> str:
        """The account's zone name."""
        return str(self.engine.world.account_of(self.node).get("timezone_name", self.at, "UTC"))

    def get(self, name: str) -> Any:
        """A plain field."""
        return self.node.get(name, self.at)


Shape = Callable[[View], Any]


def _plain(name: str) -> Shape:
    return lambda view: view.get(name)


def _text(name: str) -> Shape:
    def text(view: View) -> str | None:
        value = view.get(name)
        return None if value is None else str(value)

    return text


def _time(name: str) -> Shape:
    def text(view: View) -> str | None:
        value = view.get(name)
        return times.text(float(value), view.zone) if value else None

    return text


def _created(view: View) -> str:
    return times.text(view.node.created, view.zone)


def _status(view: View) -> str:
    return view.engine.world.status(view.node, view.at)


def _effective(view: View) -> str:
    return view.engine.world.effective_status(view.node, view.at)


def _account_id(view: View) -> str:
    return view.node.account_id.removeprefix("act_")


def spent(
    engine: Engine, campaigns: list[Node], at: float, *, since: dt.date | None = None, adset: str = ""
) -> int:
    """Spend so far in minor units, of whole campaigns or of one ad set in them."""
    total = 0
    for campaign in campaigns:
        first = since or engine.first_day(campaign)
        for day in engine.days(campaign, first, dt.date.max, at):
            spend = day.counts(engine.as_of(at))[SPEND]
            if adset:
                nodes = engine.world.nodes
                total += sum(int(spend[row]) for row, ad in enumerate(day.ads) if nodes[ad].adset_id == adset)
            else:
                total += int(spend.sum())
    return total


def _remaining(view: View) -> str | None:
    campaign = view.engine.world.nodes[view.node.campaign_id]
    adset = view.node.id if view.node.kind == ADSET else ""
    daily, lifetime = view.get("daily_budget"), view.get("lifetime_budget")
    if not (daily or lifetime):
        return "0" if view.node.kind == CAMPAIGN else None
    since = view.engine.today(view.node.account_id, view.at) if daily else None
    used = spent(view.engine, [campaign], view.at, since=since, adset=adset)
    return str(max(0, int(daily or lifetime) - used))


def _learning(view: View) -> dict[str, Any]:
    engine, adset = view.engine, view.node
    campaign = engine.world.nodes[adset.campaign_id]
    edited = last_significant_edit(engine.world, adset, view.at)
    carry = engine.carry_before(campaign, engine.today(adset.account_id, view.at))
    got = int(carry.learned.get(adset.id, 0.0)) if carry.edited.get(adset.id) == edited else 0
    days = (view.at - edited) / 86_400
    status = "SUCCESS" if got >= LEARNING_CONVERSIONS else "LEARNING" if days < LEARNING_DAYS else "FAIL"
    return {
        "status": status,
        "conversions": min(got, LEARNING_CONVERSIONS),
        "last_sig_edit_ts": int(edited),
        "attribution_windows": ["7d_click", "1d_view"],
    }


def _issues(view: View) -> list[dict[str, Any]] | None:
    if _effective(view) != "WITH_ISSUES":
        return None
    return [
        {
            "level": view.node.kind.upper(),
            "error_code": 1815869,
            "error_summary": "Ad paused due to an issue",
            "error_message": "There is an issue with this ad.",
            "error_type": "HARD_ERROR",
        }
    ]


COMMON: dict[str, Shape] = {
    "id": lambda view: view.node.id,
    "account_id": _account_id,
    "name": _text("name"),
    "status": _status,
    "configured_status": _status,
    "effective_status": _effective,
    "created_time": _created,
    "updated_time": _time("updated_time"),
    "issues_info": _issues,
    "adlabels": _plain("adlabels"),
    "recommendations": _plain("recommendations"),
    "bid_strategy": _text("bid_strategy"),
    "bid_constraints": _plain("bid_constraints"),
}
BUDGETS: dict[str, Shape] = {
    "daily_budget": _text("daily_budget"),
    "lifetime_budget": _text("lifetime_budget"),
    "budget_remaining": _remaining,
    "pacing_type": lambda view: view.get("pacing_type") or ["standard"],
    "promoted_object": _plain("promoted_object"),
}


def _edge_time(name: str, pick: Callable[[list[float]], float]) -> Shape:
    def text(view: View) -> str | None:
        values = [
            float(adset.get(name, view.at))
            for adset in view.engine.world.children(view.node.id, ADSET, at=view.at)
            if adset.get(name, view.at)
        ]
        return times.text(pick(values), view.zone) if values else None

    return text


CAMPAIGN_SHAPES: dict[str, Shape] = (
    COMMON
    | BUDGETS
    | {
        "objective": _text("objective"),
        "buying_type": _text("buying_type"),
        "spend_cap": lambda view: _cap(view),
        "special_ad_categories": lambda view: view.get("special_ad_categories") or [],
        "special_ad_category": lambda view: "NONE",
        "special_ad_category_country": _plain("special_ad_category_country"),
        "smart_promotion_type": lambda view: view.get("smart_promotion_type") or "GUIDED_CREATION",
        "start_time": _edge_time("start_time", min),
        "stop_time": _edge_time("end_time", max),
        "is_adset_budget_sharing_enabled": lambda view: bool(view.get("is_adset_budget_sharing_enabled")),
        "is_budget_schedule_enabled": lambda view: False,
        "is_skadnetwork_attribution": lambda view: False,
        "can_use_spend_cap": lambda view: True,
        "source_campaign_id": lambda view: str(view.get("source_id") or "0"),
        "last_budget_toggling_time": _time("last_budget_toggling_time"),
        "topline_id": lambda view: "0",
        "brand_lift_studies": _plain("brand_lift_studies"),
        "advantage_state_info": _plain("advantage_state_info"),
    }
)
ADSET_SHAPES: dict[str, Shape] = (
    COMMON
    | BUDGETS
    | {
        "campaign_id": lambda view: view.node.campaign_id,
        "bid_amount": _plain("bid_amount"),
        "bid_info": _plain("bid_info"),
        "billing_event": _text("billing_event"),
        "optimization_goal": _text("optimization_goal"),
        "destination_type": _text("destination_type"),
        "targeting": _plain("targeting"),
        "attribution_spec": _plain("attribution_spec"),
        "frequency_control_specs": _plain("frequency_control_specs"),
        "learning_stage_info": _learning,
        "adset_schedule": _plain("adset_schedule"),
        "start_time": _time("start_time"),
        "end_time": _time("end_time"),
        "is_dynamic_creative": lambda view: False,
        "source_adset_id": lambda view: str(view.get("source_id") or "0"),
        "daily_min_spend_target": _text("daily_min_spend_target"),
        "daily_spend_cap": _text("daily_spend_cap"),
        "lifetime_min_spend_target": _text("lifetime_min_spend_target"),
        "lifetime_spend_cap": _text("lifetime_spend_cap"),
        "dsa_payor": _text("dsa_payor"),
        "dsa_beneficiary": _text("dsa_beneficiary"),
        "lifetime_imps": lambda view: 0,
    }
)
AD_SHAPES: dict[str, Shape] = COMMON | {
    "campaign_id": lambda view: view.node.campaign_id,
    "adset_id": lambda view: view.node.adset_id,
    "bid_amount": _plain("bid_amount"),
    "tracking_specs": _plain("tracking_specs"),
    "conversion_specs": _plain("conversion_specs"),
    "conversion_domain": _text("conversion_domain"),
    "ad_review_feedback": _plain("ad_review_feedback"),
    "failed_delivery_checks": _plain("failed_delivery_checks"),
    "preview_shareable_link": lambda view: f"https://fb.me/{view.node.id}",
    "source_ad_id": lambda view: str(view.get("source_id") or "0"),
    "last_updated_by_app_id": lambda view: str(view.get("last_app") or "0"),
}
CREATIVE_SHAPES: dict[str, Shape] = {
    "id": COMMON["id"],
    "account_id": _account_id,
    "status": _status,
    "effective_object_story_id": lambda view: f"100000000000077_{view.node.id}",
    **{
        name: _text(name)
        for name in (
            "name",
            "title",
            "body",
            "object_type",
            "thumbnail_url",
            "image_url",
            "image_hash",
            "video_id",
            "link_url",
            "call_to_action_type",
            "url_tags",
            "object_story_id",
            "product_set_id",
            "template_url",
            "instagram_permalink_url",
        )
    },
    **{
        name: _plain(name)
        for name in ("object_story_spec", "asset_feed_spec", "degrees_of_freedom_spec", "adlabels")
    },
}


def _cap(view: View) -> str | None:
    value = view.get("spend_cap")
    return str(value) if value else None


def _account_spent(view: View) -> str:
    return str(spent(view.engine, view.engine.campaigns(view.node.id, view.at), view.at))


def _offset_hours(view: View) -> float:
    moment = dt.datetime.fromtimestamp(view.at, view.node.zone())
    delta = moment.utcoffset()
    return delta.total_seconds() / 3600 if delta else 0.0


ACCOUNT_SHAPES: dict[str, Shape] = {
    "id": COMMON["id"],
    "account_id": _account_id,
    "name": _text("name"),
    "currency": _text("currency"),
    "timezone_name": _text("timezone_name"),
    "timezone_id": lambda view: 1,
    "timezone_offset_hours_utc": _offset_hours,
    "account_status": _plain("account_status"),
    "disable_reason": _plain("disable_reason"),
    "is_personal": _plain("is_personal"),
    "business": _plain("business"),
    "business_name": lambda view: (view.get("business") or {}).get("name"),
    "owner": lambda view: (view.get("business") or {}).get("id"),
    "amount_spent": _account_spent,
    "balance": lambda view: "0",
    "spend_cap": _text("spend_cap"),
    "min_campaign_group_spend_cap": lambda view: "10000",
    "min_daily_budget": lambda view: minimum_daily_budget(view.node.currency()),
    "is_prepay_account": lambda view: False,
    "capabilities": lambda view: ["CAN_CREATE_CAMPAIGN", "CAN_USE_CONVERSION_LIFT"],
    "user_tasks": lambda view: list(view.person.tasks.get(view.node.id, ())) if view.person else None,
    "age": lambda view: round((view.at - view.node.created) / 86_400, 4),
    "created_time": _created,
    "business_country_code": _text("country"),
    "funding_source": lambda view: "6" + view.node.id[5:],
    "tos_accepted": lambda view: {"web_custom_audience_tos": 1},
    "user_tos_accepted": lambda view: {},
    "default_dsa_payor": _text("default_dsa_payor"),
    "default_dsa_beneficiary": _text("default_dsa_beneficiary"),
    "failed_delivery_checks": _plain("failed_delivery_checks"),
    "opportunity_score": lambda view: 72.0,
    "funding_source_details": lambda view: {
        "id": "6" + view.node.id[5:],
        "display_string": "VISA *1111",
        "type": 1,
    },
}
SHAPES = {
    CAMPAIGN: CAMPAIGN_SHAPES,
    ADSET: ADSET_SHAPES,
    AD: AD_SHAPES,
    CREATIVE: CREATIVE_SHAPES,
    ACCOUNT: ACCOUNT_SHAPES,
}
TYPE_NAMES = {
    CAMPAIGN: "AdCampaignGroup",
    ADSET: "AdCampaign",
    AD: "Adgroup",
    CREATIVE: "AdCreative",
    ACCOUNT: "AdAccount",
}
DEFAULTS = {CAMPAIGN: ("id",), ADSET: ("id",), AD: ("id",), CREATIVE: ("id",), ACCOUNT: ("account_id", "id")}
