"""Smaller edges of an ad account: activities, estimates, minimum budgets, ads volume, subscriptions
(references 6.1, 6.10, 9).
"""

from __future__ import annotations

import json
from typing import Any

from metaads.sandbox.errors import GraphError, invalid, unknown_field
from metaads.sandbox.handlers import paging, times
from metaads.sandbox.handlers.call import OUR_APP_NAME, Call, Desk
from metaads.sandbox.handlers.fields import parse
from metaads.sandbox.journal import Entry
from metaads.sandbox.world.nodes import AD, ADSET, CAMPAIGN, Node

LEVEL_WORD = {CAMPAIGN: "campaign", ADSET: "ad_set", AD: "ad"}
TYPE_WORD = {CAMPAIGN: "CAMPAIGN", ADSET: "AD_SET", AD: "AD"}
EVENTS = {
    "daily_budget": "budget",
    "lifetime_budget": "budget",
    "status": "run_status",
    "name": "name",
    "bid_amount": "bidding",
    "bid_strategy": "bid_strategy",
    "targeting": "target_spec",
    "end_time": "duration",
    "start_time": "duration",
    "optimization_goal": "optimization_goal",
    "creative": "creative",
    "spend_cap": "group_spend_cap",
}
CATEGORIES = {
    "budget": "BUDGET",
    "run_status": "STATUS",
    "bidding": "BID",
    "bid_strategy": "BID",
    "target_spec": "TARGETING",
    "duration": "DATE",
}
CREATED = {CAMPAIGN: "create_campaign_group", ADSET: "create_ad_set", AD: "create_ad"}
ACTIVITY_FIELDS = frozenset(
    [
        "event_time",
        "date_time_in_timezone",
        "event_type",
        "translated_event_type",
        "actor_id",
        "actor_name",
        "application_id",
        "application_name",
        "object_id",
        "object_name",
        "object_type",
        "extra_data",
        "tool",
    ]
)


def activities(desk: Desk, call: Call, account: Node) -> dict[str, Any]:
    """Every effect on the account's objects, newest first; a person's own edit has no application id."""
    zone = str(account.get("timezone_name", call.now, "UTC"))
    since, until = (times.parse(call.params.get(name), zone, field=name) for name in ("since", "until"))
    wanted = [field.name for field in parse(call.params.get("fields"))] or [
        "event_time",
        "event_type",
        "object_id",
    ]
    for name in wanted:
        if name not in ACTIVITY_FIELDS:
            raise unknown_field(name, "AdActivity")
    rows = []
    for entry in reversed(desk.world.moves):
        moment = float(entry.data.get("lands", entry.at))
        node = desk.world.nodes[entry.data.get("object_id") or entry.data["id"]]
        if node.account_id != account.id or moment > call.read_at or node.kind not in LEVEL_WORD:
            continue
        if (
            (since and moment < since)
            or (until and moment > until)
            or (call.params.get("oid") and call.text("oid") != node.id)
        ):
            continue
        row, category = _activity(entry, node, moment, zone, call.read_at)
        if call.params.get("category") and category != call.text("category"):
            continue
        rows.append({name: row[name] for name in wanted if row.get(name) is not None})
    limit = call.number("limit", paging.DEFAULT_LIMIT, top=1000)
    page, start = paging.cut(rows, limit=limit, after=call.text("after"), before=call.text("before"))
    params = {name: call.text(name) for name in call.params}
    return paging.wrap(
        call, page, start=start, total=len(rows), path=f"{account.id}/activities", params=params, limit=limit
    )


def _activity(entry: Entry, node: Node, moment: float, zone: str, at: float) -> tuple[dict[str, Any], str]:
    data = entry.data
    level = LEVEL_WORD[node.kind]
    if entry.kind == "create":
        event, category, extra = CREATED[node.kind], TYPE_WORD[node.kind], dict[str, Any](type="create")
    else:
        what = EVENTS.get(data["field"], data["field"])
        event, category = f"update_{level}_{what}", CATEGORIES.get(what, TYPE_WORD[node.kind])
        extra = {
            "type": what,
            "field": data["field"],
            "old_value": data.get("old"),
            "new_value": data["value"],
        }
    app = data.get("application_id") or None
    return {
        "event_time": times.text(moment, "UTC"),
        "date_time_in_timezone": times.text(moment, zone),
        "event_type": event,
        "translated_event_type": event.replace("_", " ").capitalize(),
        "actor_id": data.get("actor"),
        "actor_name": data.get("actor_name"),
        "application_id": app,
        "application_name": OUR_APP_NAME if app else None,
        "object_id": node.id,
        "object_name": str(node.get("name", at)),
        "object_type": TYPE_WORD[node.kind],
        "extra_data": json.dumps(extra, sort_keys=True),
        "tool": None if app else "Ads Manager",
    }, category


def minimum_budgets(account: Node, minimum: int) -> dict[str, Any]:
    """One row for the account's currency, whole numbers of minor units."""
    return {
        "data": [
            {
                "currency": account.currency(),
                "min_daily_budget_imp": minimum,
                "min_daily_budget_video_views": minimum,
                "min_daily_budget_high_freq": minimum,
                "min_daily_budget_low_freq": minimum * 40,
            }
        ]
    }


def ads_volume(desk: Desk, call: Call, account: Node) -> dict[str, Any]:
    """How many ads run or are in review."""
    count = sum(
        desk.world.effective_status(ad, call.read_at) in ("ACTIVE", "PENDING_REVIEW")
        for ad in desk.world.children(account.id, AD, at=call.read_at)
    )
    return {"data": [{"ads_running_or_in_review_count": count}]}


def _audience(call: Call, node: Node) -> int:
    spec = call.value("targeting_spec") or node.get("targeting", call.read_at)
    if not isinstance(spec, dict):
        raise invalid("The parameter targeting_spec is required")
    if not spec.get("geo_locations"):
        raise GraphError(100, "(#100) Missing geo_locations in targeting", subcode=1885364)
    countries = spec["geo_locations"].get("countries") if isinstance(spec["geo_locations"], dict) else None
    ages = [spec.get("age_min", 18), spec.get("age_max", 65)]
    if not isinstance(countries or ["US"], list) or not all(isinstance(age, int) for age in ages):
        raise invalid("Invalid targeting_spec", field="targeting_spec")
    base = {"US": 240_000_000, "DE": 52_000_000, "JP": 70_000_000}
    size = float(sum(base.get(str(country), 9_000_000) for country in countries or ["US"]))
    size *= max(1, ages[1] - ages[0] + 1) / 48
    size *= 0.5 if spec.get("genders") in ([1], [2]) else 1.0
    size *= 0.08 if spec.get("flexible_spec") or spec.get("interests") else 1.0
    return int(size) // 100 * 100


def delivery_estimate(call: Call, node: Node) -> dict[str, Any]:
    """Monthly audience of a targeting; on an account the optimisation goal is compulsory."""
    if node.kind != ADSET and not call.params.get("optimization_goal"):
        raise invalid("The parameter optimization_goal is required")
    size = _audience(call, node)
    return {
        "data": [
            {
                "estimate_ready": True,
                "estimate_mau_lower_bound": size * 85 // 100,
                "estimate_mau_upper_bound": size,
            }
        ]
    }


def reach_estimate(call: Call, node: Node) -> dict[str, Any]:
    """``data`` is an object here (reference 1.5)."""
    size = _audience(call, node)
    return {
        "data": {"users_lower_bound": size * 85 // 100, "users_upper_bound": size, "estimate_ready": True}
    }


def app_subscriptions(desk: Desk, call: Call) -> dict[str, Any]:
    """``/{app_id}/subscriptions`` with the app token."""
    if call.token is None or call.token.kind != "APP":
        raise GraphError(15, "(#15) This method must be called with an app access_token.")
    if call.method == "GET":
        rows = [
            value
            for key, value in sorted(desk.world.subscriptions.items())
            if key.startswith("app:") and value
        ]
        return {"data": rows}
    kind = call.text("object")
    if not kind:
        raise invalid("The parameter object is required")
    value = None
    if call.method == "POST":
        fields = [part for part in call.text("fields").split(",") if part]
        value = {
            "object": kind,
            "callback_url": call.text("callback_url"),
            "active": True,
            "fields": [{"name": name, "version": call.version} for name in fields],
        }
    desk.world.record(at=call.now, kind="subscription", key=f"app:{kind}", value=value)
    return {"success": True}


def subscribed_apps(desk: Desk, call: Call, account: Node) -> dict[str, Any]:
    """``/act_X/subscribed_apps``."""
    key = f"account:{account.id}"
    if call.method == "GET":
        on = desk.world.subscriptions.get(key)
        row = {"id": desk.app_id, "name": OUR_APP_NAME, "app_id": desk.app_id, "app_name": OUR_APP_NAME}
        return {"data": [row] if on else []}
    desk.world.record(
        at=call.now, kind="subscription", key=key, value={"on": True} if call.method == "POST" else None
    )
    return {"success": True}
