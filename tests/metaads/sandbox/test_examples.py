"""The examples of the Graph API reference, held against what the sandbox sends: same keys, same JSON types.

Each case names the reference's section. ``optional`` are keys that Meta leaves out when there is nothing to say.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from tests.metaads.sandbox.conftest import ACCOUNT, Graph, make

APP = "1000000000000001|sandbox-secret"


def shape(value: Any) -> Any:
    """Keys and JSON types; a list is the shape of its entries together."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        merged: Any = None
        for item in map(shape, value):
            merged = merged | item if isinstance(merged, dict) and isinstance(item, dict) else item
        return [merged] if value else []
    if isinstance(value, bool):
        return "bool"
    return {int: "int", float: "float", str: "string", type(None): "null"}[type(value)]


def differences(
    example: Any, answer: Any, *, optional: frozenset[str] = frozenset(), at: str = ""
) -> list[str]:
    """Where two shapes differ."""
    if isinstance(example, dict) and isinstance(answer, dict):
        found = []
        for key in sorted(set(example) | set(answer)):
            if key in optional and (key not in answer or key not in example):
                continue
            if key not in answer or key not in example:
                found.append(f"{at}.{key} only in the {'example' if key in example else 'answer'}")
            else:
                found += differences(example[key], answer[key], optional=optional, at=f"{at}.{key}")
        return found
    if isinstance(example, list) and isinstance(answer, list) and example and answer:
        return differences(example[0], answer[0], optional=optional, at=f"{at}[]")
    return [] if example == answer else [f"{at}: {example} is answered as {answer}"]


def same(example: Any, answer: Any, *optional: str) -> None:
    assert differences(shape(example), shape(answer), optional=frozenset(optional)) == []


def test_section_2_2_debug_token() -> None:
    graph = make()
    token = graph.sandbox.token(scopes=("ads_management", "ads_read", "public_profile"))
    example = {
        "data": {
            "app_id": "1112223334445",
            "type": "USER",
            "application": "Sandbox App",
            "data_access_expires_at": 1803200000,
            "expires_at": 1798000000,
            "issued_at": 1792800000,
            "is_valid": True,
            "scopes": ["ads_management", "ads_read", "public_profile"],
            "granular_scopes": [
                {"scope": "ads_management", "target_ids": ["123456789"]},
                {"scope": "ads_read"},
            ],
            "user_id": "10200000000000001",
        }
    }
    same(example, graph.get("debug_token", input_token=token, access_token=APP))


def test_section_2_5_permissions(graph: Graph) -> None:
    graph.raw("DELETE", "me/permissions", permission="email")
    example = {
        "data": [
            {"permission": "ads_read", "status": "granted"},
            {"permission": "email", "status": "declined"},
        ]
    }
    answer = graph.get("me/permissions")
    same(example, answer)
    assert {"permission": "email", "status": "declined"} in answer["data"]


def test_section_2_6_signed_request(graph: Graph) -> None:
    example = {
        "user_id": "10200000000000001",
        "algorithm": "HMAC-SHA256",
        "issued_at": 1795000000,
        "expires": 1795003600,
    }
    text = graph.session.post(
        "https://graph.facebook.com/_sandbox/signed_request", json={"user": "alice"}
    ).json()["signed_request"]
    seal, _, payload = text.partition(".")
    same(example, json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
    wanted = hmac.new(b"sandbox-secret", payload.encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(seal + "=" * (-len(seal) % 4)) == wanted
    assert "=" not in text


def test_section_3_1_error_envelope(graph: Graph) -> None:
    example = {
        "error": {
            "message": "(#80004) There have been too many calls",
            "type": "OAuthException",
            "is_transient": True,
            "code": 80004,
            "error_subcode": 2446079,
            "error_user_title": "Too many calls",
            "error_user_msg": "Wait a bit and try again.",
            "error_data": {"blame_field_specs": [["daily_budget"]]},
            "fbtrace_id": "AbCdEf123",
        }
    }
    graph.sandbox.faults.arm("throttle", code=80004)
    same(example, graph.get(ACCOUNT), "error_data")
    campaign = graph.rows(f"{ACCOUNT}/campaigns")[0]["id"]
    same(example, graph.post(campaign, daily_budget=1), "is_transient")


def test_section_4_1_usage_headers(graph: Graph) -> None:
    row = {
        "type": "ads_management",
        "call_count": 95,
        "total_cputime": 20,
        "total_time": 20,
        "estimated_time_to_regain_access": 0,
        "ads_api_access_tier": "development_access",
    }
    headers = graph.raw("GET", f"{ACCOUNT}/insights").headers
    same([row], json.loads(headers["X-Business-Use-Case-Usage"])[ACCOUNT[4:]])
    example = {"acc_id_util_pct": 9.67, "reset_time_duration": 100, "ads_api_access_tier": "standard_access"}
    same(example, json.loads(headers["X-Ad-Account-Usage"]))
    throttle = json.loads(headers["X-FB-Ads-Insights-Throttle"])
    assert set(throttle) == {"app_id_util_pct", "acc_id_util_pct", "ads_api_access_tier"}
    same(
        {"call_count": 28, "total_time": 25, "total_cputime": 25},
        json.loads(graph.raw("GET", "me").headers["X-App-Usage"]),
    )


def test_section_5_4_insights_row() -> None:
    graph = make("demo")
    example = {
        "data": [
            {
                "account_id": "123",
                "campaign_id": "10",
                "adset_id": "20",
                "ad_id": "30",
                "ad_name": "Blue shoe",
                "impressions": "18342",
                "reach": "15210",
                "frequency": "1.205917",
                "clicks": "402",
                "inline_link_clicks": "311",
                "spend": "128.47",
                "cpc": "0.319577",
                "cpm": "7.004144",
                "ctr": "2.191691",
                "account_currency": "USD",
                "actions": [
                    {"action_type": "link_click", "value": "311"},
                    {"action_type": "omni_purchase", "value": "7", "7d_click": "6", "1d_view": "1"},
                ],
                "action_values": [
                    {"action_type": "omni_purchase", "value": "412.5", "7d_click": "1", "1d_view": "1"}
                ],
                "cost_per_action_type": [
                    {"action_type": "link_click", "value": "0.413087", "7d_click": "1", "1d_view": "1"}
                ],
                "purchase_roas": [
                    {"action_type": "omni_purchase", "value": "3.210867", "7d_click": "1", "1d_view": "1"}
                ],
                "outbound_clicks": [{"action_type": "outbound_click", "value": "298"}],
                "video_play_actions": [{"action_type": "video_view", "value": "5120"}],
                "video_p25_watched_actions": [{"action_type": "video_view", "value": "2310"}],
                "quality_ranking": "ABOVE_AVERAGE",
                "date_start": "2026-11-14",
                "date_stop": "2026-11-20",
            }
        ],
        "paging": {"cursors": {"before": "MAZDZD", "after": "MAZDZD"}, "next": "https://"},
    }
    fields = ",".join(name for name in example["data"][0] if not name.startswith("date_"))
    body = graph.get(
        f"{graph.sandbox.ad_accounts()[0]}/insights",
        level="ad",
        fields=fields,
        date_preset="last_7d",
        limit=1,
        action_attribution_windows='["7d_click","1d_view"]',
    )
    same(example, body, "7d_click", "1d_view")


def test_section_5_7_report_run(graph: Graph) -> None:
    same({"report_run_id": "6023920149050"}, run := graph.post(f"{ACCOUNT}/insights", level="ad"))
    graph.sandbox.clock.advance(60)
    example = {
        "id": "6044",
        "account_id": "101",
        "time_ref": 1795000000,
        "time_completed": 1795000062,
        "async_status": "Job Completed",
        "async_percent_completion": 100,
        "is_running": False,
        "date_start": "2026-10-19",
        "date_stop": "2026-11-17",
    }
    same(example, graph.get(run["report_run_id"]))


def test_section_6_1_account_and_minimum_budgets(graph: Graph) -> None:
    example = {
        "id": "act_123",
        "account_id": "123",
        "name": "N",
        "account_status": 1,
        "disable_reason": 0,
        "currency": "USD",
        "timezone_name": "America/New_York",
        "timezone_id": 1,
        "timezone_offset_hours_utc": -5.0,
        "amount_spent": "1",
        "balance": "0",
        "spend_cap": "0",
        "min_daily_budget": 100,
        "is_personal": 0,
        "is_prepay_account": False,
        "business": {"id": "1", "name": "B"},
        "user_tasks": ["MANAGE"],
        "capabilities": ["X"],
        "age": 400.5,
        "created_time": "2026-11-21T10:15:30-0800",
    }
    same(example, graph.get(ACCOUNT, fields=",".join(example)))
    budgets = {
        "data": [
            {
                "currency": "USD",
                "min_daily_budget_imp": 100,
                "min_daily_budget_video_views": 100,
                "min_daily_budget_high_freq": 100,
                "min_daily_budget_low_freq": 4000,
            }
        ]
    }
    assert graph.get(f"{ACCOUNT}/minimum_budgets") == budgets
    same({"data": [{"ads_running_or_in_review_count": 2}]}, graph.get(f"{ACCOUNT}/ads_volume"))


def test_sections_6_3_and_6_5_campaign_and_ad_set(graph: Graph, tree: dict[str, Any]) -> None:
    campaign = {
        "id": "1",
        "name": "N",
        "objective": "OUTCOME_SALES",
        "status": "ACTIVE",
        "configured_status": "ACTIVE",
        "effective_status": "ACTIVE",
        "daily_budget": "10000",
        "budget_remaining": "1",
        "bid_strategy": "LOWEST_COST_WITHOUT_CAP",
        "buying_type": "AUCTION",
        "special_ad_categories": [],
        "pacing_type": ["standard"],
        "start_time": "2026-11-21T10:15:30-0800",
        "created_time": "2026-11-21T10:15:30-0800",
        "updated_time": "2026-11-21T10:15:30-0800",
        "is_adset_budget_sharing_enabled": False,
    }
    owner = next(row for row in tree["campaigns"] if "daily_budget" in row)
    same(
        campaign,
        graph.get(
            owner["id"],
            fields=",".join([*campaign, "lifetime_budget", "spend_cap", "stop_time", "issues_info"]),
        ),
    )
    cups = next(row for row in tree["adsets"] if "daily_budget" in row)["id"]
    graph.post(cups, bid_amount=150, bid_strategy="LOWEST_COST_WITH_BID_CAP")
    adset = {
        "id": "1",
        "campaign_id": "1",
        "account_id": "1",
        "daily_budget": "3000",
        "budget_remaining": "1",
        "bid_amount": 150,
        "billing_event": "IMPRESSIONS",
        "optimization_goal": "LINK_CLICKS",
        "destination_type": "WEBSITE",
        "targeting": {
            "age_min": 18,
            "age_max": 65,
            "geo_locations": {"countries": ["US"], "location_types": ["home"]},
            "publisher_platforms": ["facebook"],
            "targeting_automation": {"advantage_audience": 0},
        },
        "attribution_spec": [{"event_type": "CLICK_THROUGH", "window_days": 7}],
        "learning_stage_info": {
            "status": "LEARNING",
            "conversions": 1,
            "last_sig_edit_ts": 1,
            "attribution_windows": ["7d_click"],
        },
        "start_time": "2026-11-21T10:15:30-0800",
        "is_dynamic_creative": False,
    }
    same(adset, graph.get(cups, fields=",".join([*adset, "lifetime_budget", "end_time", "daily_spend_cap"])))


def test_section_6_8_copies(graph: Graph) -> None:
    campaign = graph.rows(f"{ACCOUNT}/campaigns")[1]["id"]
    example = {
        "copied_campaign_id": "120210000000000011",
        "ad_object_ids": [
            {"ad_object_type": "campaign", "source_id": "10", "copied_id": "120210000000000011"},
            {"ad_object_type": "ad_set", "source_id": "20", "copied_id": "120210000000000012"},
        ],
    }
    answer = graph.post(f"{campaign}/copies", deep_copy="true")
    same(example, answer)
    assert [row["ad_object_type"] for row in answer["ad_object_ids"]] == ["campaign", "ad_set", "ad", "ad"]


def test_section_6_10_activities(graph: Graph) -> None:
    graph.post(graph.rows(f"{ACCOUNT}/campaigns")[0]["id"], daily_budget=12000)
    names = (
        "event_time date_time_in_timezone event_type translated_event_type actor_id actor_name application_id "
        "application_name object_id object_name object_type extra_data"
    )
    body = graph.get(f"{ACCOUNT}/activities", fields=names.replace(" ", ","))
    same({"data": [dict.fromkeys(names.split(), "text")]}, {"data": body["data"]})
    assert json.loads(body["data"][0]["extra_data"])["old_value"] == 10000


def test_section_7_2_batch(graph: Graph) -> None:
    example = [
        {
            "code": 200,
            "headers": [{"name": "Content-Type", "value": "application/json"}],
            "body": '{"id":"10","name":"Spring"}',
        }
    ]
    same(
        example,
        graph.post("", batch=json.dumps([{"method": "GET", "relative_url": f"{ACCOUNT}?fields=name"}])),
    )


def test_section_8_1_cursor_page(graph: Graph) -> None:
    example = {
        "data": [{"id": "1"}],
        "paging": {
            "cursors": {"before": "QVFI", "after": "QVFI"},
            "next": "https://",
            "previous": "https://",
        },
        "summary": {"total_count": 137},
    }
    first = graph.get(f"{ACCOUNT}/ads", limit=1)
    same(
        example,
        graph.get(f"{ACCOUNT}/ads", limit=1, after=first["paging"]["cursors"]["after"], summary="true"),
    )


def test_section_9_2_webhook(graph: Graph) -> None:
    value = {
        "id": "20",
        "level": "AD_SET",
        "error_code": "1815869",
        "error_summary": "…",
        "error_message": "…",
    }
    example = {
        "object": "ad_account",
        "entry": [
            {
                "id": "123456789",
                "time": 1795000000,
                "changes": [{"field": "with_issues_ad_objects", "value": value}],
            }
        ],
    }
    made = graph.session.post(
        "https://graph.facebook.com/_sandbox/webhook",
        json={"changes": [{"field": "with_issues_ad_objects", "value": value}]},
    ).json()
    same(example, json.loads(made["body"]))
