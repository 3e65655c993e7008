"""Limits and usage headers by tier; batches; the control surface."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from tests.metaads.sandbox.conftest import ACCOUNT, Graph, make

CONTROL = "https://graph.facebook.com/_sandbox"


def usage(response: Any) -> dict[str, Any]:
    return {
        name: json.loads(response.headers[name])
        for name in response.headers
        if "Usage" in name or "Throttle" in name
    }


def test_headers_by_kind_of_call(graph: Graph) -> None:
    assert set(usage(graph.raw("GET", "me"))) == {"X-App-Usage"}
    assert set(usage(graph.raw("GET", ACCOUNT))) == {"X-Business-Use-Case-Usage", "X-Ad-Account-Usage"}
    reads = usage(graph.raw("GET", f"{ACCOUNT}/insights"))
    assert set(reads) == {"X-Business-Use-Case-Usage", "X-Ad-Account-Usage", "X-FB-Ads-Insights-Throttle"}
    rows = reads["X-Business-Use-Case-Usage"][ACCOUNT[4:]]
    assert {row["type"] for row in rows} == {"ads_management", "ads_insights"}
    assert all(isinstance(row["call_count"], int) for row in rows)
    assert isinstance(reads["X-Ad-Account-Usage"]["acc_id_util_pct"], float)
    assert rows[0]["ads_api_access_tier"] == "standard_access"


def test_the_limited_tier_blocks_after_sixty_points_for_five_minutes() -> None:
    graph = make(tier="development_access")
    campaign = graph.rows(f"{ACCOUNT}/campaigns")[0]["id"]
    writes = 0
    while graph.raw("POST", campaign, name=f"n{writes}").status_code == 200:
        writes += 1
    assert writes == 19  # one read and nineteen writes of three points are 58 of 60
    refused = graph.raw("GET", campaign)
    assert (
        refused.status_code,
        refused.json()["error"]["code"],
        refused.json()["error"]["error_subcode"],
    ) == (400, 17, 2446079)
    assert usage(refused)["X-Business-Use-Case-Usage"][ACCOUNT[4:]][0]["estimated_time_to_regain_access"] >= 5
    assert "Retry-After" not in refused.headers
    graph.sandbox.clock.advance(200)
    assert graph.raw("GET", campaign).status_code == 400  # calling on lengthens the block
    graph.sandbox.clock.advance(451)
    assert graph.raw("GET", campaign).status_code == 200


def test_the_score_decays_over_five_minutes() -> None:
    graph = make(tier="development_access")
    for _ in range(30):
        response = graph.raw("GET", ACCOUNT)
    assert usage(response)["X-Ad-Account-Usage"]["acc_id_util_pct"] == 50.0
    graph.sandbox.clock.advance(100)
    assert usage(graph.raw("GET", ACCOUNT))["X-Ad-Account-Usage"]["acc_id_util_pct"] == pytest.approx(
        18.33, abs=0.01
    )


def test_a_hundred_mutations_in_a_second_are_too_many(graph: Graph) -> None:
    campaign = graph.rows(f"{ACCOUNT}/campaigns")[0]["id"]
    codes = [graph.raw("POST", campaign, name=f"n{n}").status_code for n in range(101)]
    assert codes == [200] * 100 + [400]
    assert graph.error("POST", campaign, name="more") == (613, 5044001)
    graph.sandbox.clock.advance(1)
    assert graph.post(campaign, name="calm") == {"success": True}


def test_a_batch_counts_each_item_and_fills_in_results(graph: Graph) -> None:
    items = [
        {
            "method": "GET",
            "relative_url": f"v26.0/{ACCOUNT}/campaigns?limit=2",
            "name": "all",
            "omit_response_on_success": False,
        },
        {"method": "GET", "relative_url": "{result=all:$.data.0.id}?fields=name"},
        {
            "method": "POST",
            "relative_url": f"/{ACCOUNT}/campaigns",
            "name": "made",
            "body": "name=B&objective=OUTCOME_SALES&special_ad_categories=[]&daily_budget=5000",
        },
        {"method": "POST", "relative_url": "{result=made:$.id}/", "body": "name=Renamed"},
        {"method": "GET", "relative_url": "{result=made:$.id}?fields=name"},
        {"method": "GET", "relative_url": "424242"},
    ]
    answers = graph.post("", batch=json.dumps(items), include_headers="false")
    assert [answer and answer["code"] for answer in answers] == [200, 200, None, 200, 200, 400]
    assert json.loads(answers[4]["body"])["name"] == "Renamed"
    assert json.loads(answers[1]["body"])["name"] == "Teapots - Sales"
    assert "headers" not in answers[0]


def test_more_than_fifty_items_are_refused(graph: Graph) -> None:
    batch = json.dumps([{"method": "GET", "relative_url": "me"}] * 51)
    error = graph.post("", batch=batch)["error"]
    assert (error["code"], error["type"]) == (-3, "GraphBatchException")
    assert len(graph.post("me", batch=json.dumps([{"method": "GET", "relative_url": "me"}] * 50))) == 50


def test_history_tells_requests_and_effects_without_tokens(graph: Graph) -> None:
    campaign = graph.rows(f"{ACCOUNT}/campaigns")[0]["id"]
    graph.post(campaign, daily_budget=12000)
    history = graph.session.get(f"{CONTROL}/history")
    assert graph.token not in history.text
    last = history.json()["requests"][-1]
    assert (last["method"], last["path"], last["status"]) == ("POST", campaign, 200)
    effect = next(entry for entry in history.json()["effects"] if entry["seq"] == last["effects"][0])
    assert (effect["data"]["field"], effect["data"]["old"], effect["data"]["value"]) == (
        "daily_budget",
        10000,
        12000,
    )


def test_a_webhook_comes_signed_over_escaped_bytes(graph: Graph) -> None:
    changes = [{"field": "effective_status", "value": {"name": "Käse"}}]
    made = graph.session.post(f"{CONTROL}/webhook", json={"changes": changes}).json()
    digest = hmac.new(b"sandbox-secret", made["body"].encode(), hashlib.sha256).hexdigest()
    assert made["header"]["X-Hub-Signature-256"] == f"sha256={digest}"
    assert "\\u00e4" in made["body"]
    assert json.loads(made["body"])["entry"][0]["changes"] == changes


def test_truth_state_and_mistakes_of_the_control_surface(graph: Graph) -> None:
    state = graph.session.get(f"{CONTROL}/state").json()
    assert [account["id"] for account in state["ad_accounts"]] == [ACCOUNT]
    truth = graph.session.get(
        f"{CONTROL}/truth", params={"since": "2026-11-11", "until": "2026-11-17", "by": "day"}
    ).json()
    row = graph.get(f"{ACCOUNT}/insights", fields="impressions", date_preset="last_7d")["data"][0]
    assert sum(day["impressions"] for day in truth["days"].values()) == int(row["impressions"])
    assert graph.session.get(f"{CONTROL}/nothing").status_code == 404
    assert graph.session.post(f"{CONTROL}/faults", json={"name": "gremlins"}).status_code == 400
    assert graph.session.post(f"{CONTROL}/edit", json={"object_id": "1"}).status_code == 400
    assert (
        graph.session.post(
            f"{CONTROL}/edit", json={"object_id": ACCOUNT, "field": "status", "value": "SLEEPING"}
        ).status_code
        == 400
    )


def test_faults_are_armed_and_disarmed_over_the_wire(graph: Graph) -> None:
    armed = graph.session.post(
        f"{CONTROL}/faults", json={"name": "throttle", "times": None, "code": 80000}
    ).json()
    assert graph.error("GET", ACCOUNT) == (80000, 2446079)
    assert graph.session.get(f"{CONTROL}/faults").json()["faults"][0]["id"] == armed["id"]
    graph.session.delete(f"{CONTROL}/faults")
    assert graph.raw("GET", ACCOUNT).status_code == 200


def test_tokens_are_minted_with_scopes_and_life(graph: Graph) -> None:
    token = graph.session.post(
        f"{CONTROL}/token", json={"user": "bob", "scopes": ["ads_read"], "expires_in": 60}
    ).json()["access_token"]
    assert [row["permission"] for row in graph.get("me/permissions", access_token=token)["data"]] == [
        "ads_read"
    ]
    graph.sandbox.clock.advance(60)
    assert graph.error("GET", "me", access_token=token) == (190, 463)


def test_the_hourly_quota_of_a_use_case_is_another_limit_than_the_score() -> None:
    graph = make(tier="development_access")
    # 300 + 40 x 5 ads management calls an hour; one call in seven seconds keeps the score low.
    codes = []
    for _ in range(501):
        graph.sandbox.clock.advance(7)
        response = graph.raw("GET", ACCOUNT)
        codes.append(response.status_code)
    assert codes == [200] * 500 + [400]
    assert response.json()["error"]["code"] == 80004
    assert graph.error("GET", f"{ACCOUNT}/insights") == (80004, 2446079)


def test_a_throttle_with_minutes_lasts_and_says_how_long(graph: Graph) -> None:
    graph.sandbox.faults.arm("throttle", code=80000, minutes=7)
    refused = graph.raw("GET", f"{ACCOUNT}/insights")
    row = usage(refused)["X-Business-Use-Case-Usage"][ACCOUNT[4:]][0]
    assert row["estimated_time_to_regain_access"] == 7
    assert graph.error("GET", ACCOUNT) == (80000, 2446079)
    graph.sandbox.clock.advance(7 * 60)
    assert graph.raw("GET", ACCOUNT).status_code == 200
