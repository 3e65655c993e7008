"""Reading objects: fields, expansions, filters, pages, versions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.metaads.sandbox.conftest import ACCOUNT, Graph

HOST = "https://graph.facebook.com"


def test_nested_expansions_with_arguments_and_an_alias(graph: Graph) -> None:
    campaign = graph.rows(f"{ACCOUNT}/campaigns")[0]["id"]
    body = graph.get(
        campaign,
        fields="name,adsets.limit(1){id,name,ads.limit(10){id,creative{thumbnail_url}}},insights.date_preset(last_7d).time_increment(1).as(week){spend}",
    )
    assert len(body["adsets"]["data"]) == 1
    assert "next" in body["adsets"]["paging"]
    assert body["adsets"]["data"][0]["ads"]["data"][0]["creative"]["thumbnail_url"].startswith("https://")
    assert len(body["week"]["data"]) == 7
    rest = graph.session.get(body["adsets"]["paging"]["next"]).json()
    assert [row["name"] for row in rest["data"]] == ["Gift buyers"]


def test_an_expansion_filters_by_status(graph: Graph, tree: dict[str, Any]) -> None:
    ad = tree["ads"][0]
    graph.post(ad["id"], status="PAUSED")
    body = graph.get(ad["adset_id"], fields='ads.effective_status(["PAUSED"]){id}')
    assert [row["id"] for row in body["ads"]["data"]] == [ad["id"]]
    assert "ads" not in graph.get(ad["adset_id"], fields='ads.effective_status(["DISAPPROVED"]){id}')


def test_fields_come_as_csv_or_as_json(graph: Graph) -> None:
    campaign = graph.rows(f"{ACCOUNT}/campaigns")[0]["id"]
    assert graph.get(campaign, fields="name,status") == graph.get(campaign, fields='["name","status"]')
    assert graph.get(campaign) == {"id": campaign}
    assert graph.get(ACCOUNT) == {"account_id": ACCOUNT[4:], "id": ACCOUNT}
    assert graph.error("GET", campaign, fields="name{")[0] == 2500
    assert graph.error("GET", campaign, fields="colour")[0] == 100


def test_pages_go_forward_and_back_and_end_without_next(graph: Graph) -> None:
    first = graph.get(f"{ACCOUNT}/ads", limit=2, fields="name", summary="true")
    assert first["summary"] == {"total_count": 5}
    assert "previous" not in first["paging"]
    second = graph.session.get(first["paging"]["next"]).json()
    assert graph.session.get(second["paging"]["previous"]).json()["data"] == first["data"]
    last = graph.session.get(second["paging"]["next"]).json()
    assert len(last["data"]) == 1
    assert "next" not in last["paging"]
    assert graph.get(f"{ACCOUNT}/ads", effective_status='["DISAPPROVED"]') == {"data": []}
    assert graph.error("GET", f"{ACCOUNT}/ads", after="zzz!")[0] == 100


def test_next_is_absolute_at_the_host_that_was_asked(graph: Graph) -> None:
    from tests.door import session

    box = session(graph.sandbox, base="http://127.0.0.1:8010")
    body = box.get(
        "http://127.0.0.1:8010/v26.0/me/adaccounts", params={"access_token": graph.token, "limit": 1}
    ).json()
    assert body["data"]
    ads = box.get(
        f"http://127.0.0.1:8010/v26.0/{ACCOUNT}/ads", params={"access_token": graph.token, "limit": 1}
    ).json()
    assert ads["paging"]["next"].startswith("http://127.0.0.1:8010/v26.0/")


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ({"field": "name", "operator": "CONTAIN", "value": "cup"}, {"Cup", "Cup v1"}),
        ({"field": "ad.name", "operator": "STARTS_WITH", "value": "blue"}, {"Blue Teapot"}),
        ({"field": "campaign.name", "operator": "EQUAL", "value": "Cups - Traffic"}, {"Cup", "Cup v1"}),
        ({"field": "adset.name", "operator": "IN", "value": ["Gift buyers"]}, {"Gift Teapot"}),
        ({"field": "effective_status", "operator": "NOT_IN", "value": ["ACTIVE"]}, set()),
        (
            {"field": "updated_time", "operator": "GREATER_THAN", "value": 1},
            {"Blue Teapot", "Red Teapot", "Gift Teapot", "Cup", "Cup v1"},
        ),
    ],
)
def test_filtering_on_an_edge(graph: Graph, condition: dict[str, Any], names: set[str]) -> None:
    rows = graph.rows(f"{ACCOUNT}/ads", fields="name", filtering=json.dumps([condition]))
    assert {row["name"] for row in rows} == names


def test_updated_since_and_is_completed(graph: Graph, tree: dict[str, Any]) -> None:
    ad, adset = tree["ads"][2]["id"], next(row for row in tree["adsets"] if "daily_budget" in row)["id"]
    now = int(graph.sandbox.clock.timestamp())
    graph.sandbox.clock.advance(100)
    graph.post(ad, name="Later")
    assert [row["id"] for row in graph.rows(f"{ACCOUNT}/ads", updated_since=now)] == [ad]
    graph.post(adset, end_time=now + 200)
    graph.sandbox.clock.advance(200)
    assert [row["id"] for row in graph.rows(f"{ACCOUNT}/adsets", is_completed="true")] == [adset]


def test_versions_warn_are_retired_and_may_be_left_out(graph: Graph) -> None:
    old = graph.raw("GET", "me", base=f"{HOST}/v18.0")
    assert "X-Ad-Api-Version-Warning" in old.headers
    assert "X-Ad-Api-Version-Warning" not in graph.raw("GET", "me").headers
    assert graph.raw("GET", "me", base=HOST).headers["facebook-api-version"] == "v26.0"
    graph.session.post(f"{HOST}/_sandbox/limits", json={"retired": ["v18.0"]})
    assert graph.raw("GET", "me", base=f"{HOST}/v18.0").json()["error"]["code"] == 2635


def test_what_v26_dropped_is_refused_or_ignored(graph: Graph) -> None:
    assert graph.error("GET", "/", ids="1,2")[0] == 100
    assert graph.error("GET", ACCOUNT, date_format="U")[0] == 100
    plain = graph.raw("GET", ACCOUNT, pretty="1", debug="all", fields="name")
    again = graph.session.get(
        f"{HOST}/v26.0/{ACCOUNT}",
        params={"access_token": graph.token, "fields": "name"},
        headers={"If-None-Match": "x"},
    )
    assert plain.json() == again.json()
    assert again.status_code == 200
    assert "ETag" not in plain.headers


def test_the_crash_reporter_is_thanked_and_unknown_paths_are_not(graph: Graph) -> None:
    assert graph.post("1000000000000001/instruments", bizsdk_crash_report="{}") == {"success": True}
    assert graph.error("GET", f"{ACCOUNT}/nonsense")[0] == 2500
    assert graph.error("GET", "424242") == (100, 33)


def test_subscriptions_need_the_app_and_the_account(graph: Graph) -> None:
    app = f"{graph.sandbox.app_id}|{graph.sandbox.app_secret}"
    params = {
        "object": "ad_account",
        "callback_url": "https://product.example/hook",
        "fields": "with_issues_ad_objects",
        "verify_token": "v",
    }
    assert graph.error("POST", f"{graph.sandbox.app_id}/subscriptions", **params)[0] == 15
    assert graph.post(f"{graph.sandbox.app_id}/subscriptions", access_token=app, **params) == {
        "success": True
    }
    listed = graph.get(f"{graph.sandbox.app_id}/subscriptions", access_token=app)["data"]
    assert listed[0]["fields"] == [{"name": "with_issues_ad_objects", "version": "v26.0"}]
    assert graph.get(f"{ACCOUNT}/subscribed_apps") == {"data": []}
    graph.post(f"{ACCOUNT}/subscribed_apps", app_id=graph.sandbox.app_id)
    assert graph.get(f"{ACCOUNT}/subscribed_apps")["data"][0]["app_id"] == graph.sandbox.app_id
    graph.raw("DELETE", f"{ACCOUNT}/subscribed_apps")
    assert graph.get(f"{ACCOUNT}/subscribed_apps") == {"data": []}
