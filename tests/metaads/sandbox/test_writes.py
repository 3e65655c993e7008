"""Writing: what is refused with which code, what a status means below, and what the activities say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.metaads.sandbox.conftest import ACCOUNT, START, Graph, make


def cups(tree: dict[str, Any]) -> dict[str, Any]:
    """The ad set that has its own budget."""
    return next(row for row in tree["adsets"] if "daily_budget" in row)


@pytest.mark.parametrize(
    ("params", "code", "subcode"),
    [
        ({"daily_budget": 1}, 100, 1487901),
        ({"daily_budget": "12.5"}, 100, None),
        ({"status": "SLEEPING"}, 100, None),
        ({"lifetime_budget": 50000}, 100, 1885621),
        ({"end_time": int(START.timestamp()) - 60}, 100, 1487033),
        ({"bid_strategy": "COST_CAP"}, 100, 1815857),
        ({"name": " "}, 100, None),
        ({"targeting": "not json"}, 100, None),
    ],
)
def test_wrong_values_are_refused_and_nothing_changes(
    graph: Graph, tree: dict[str, Any], params: dict[str, Any], code: int, subcode: int | None
) -> None:
    adset = cups(tree)["id"]
    fields = "name,status,daily_budget,bid_strategy,end_time,targeting,updated_time"
    before = graph.get(adset, fields=fields)
    assert graph.error("POST", adset, **params) == (code, subcode)
    assert graph.get(adset, fields=fields) == before


def test_a_budget_lives_on_the_campaign_or_on_its_ad_sets(graph: Graph, tree: dict[str, Any]) -> None:
    owner = next(row for row in tree["campaigns"] if "daily_budget" in row)
    other = next(row for row in tree["campaigns"] if "daily_budget" not in row)
    below = next(row for row in tree["adsets"] if row["campaign_id"] == owner["id"])
    assert graph.error("POST", below["id"], daily_budget=5000) == (100, 1885621)
    assert graph.error("POST", other["id"], daily_budget=5000) == (100, 1885621)


def test_a_campaign_hands_its_budget_down(graph: Graph, tree: dict[str, Any]) -> None:
    owner = next(row for row in tree["campaigns"] if "daily_budget" in row)
    below = [row["id"] for row in tree["adsets"] if row["campaign_id"] == owner["id"]]
    import json

    budgets = json.dumps([{"adset_id": adset, "daily_budget": 1500} for adset in below])
    assert graph.post(owner["id"], adset_budgets=budgets) == {"success": True}
    assert "daily_budget" not in graph.get(owner["id"], fields="daily_budget")
    assert {graph.get(adset, fields="daily_budget")["daily_budget"] for adset in below} == {"1500"}


def test_an_ad_set_takes_four_budget_changes_an_hour(graph: Graph, tree: dict[str, Any]) -> None:
    adset = cups(tree)["id"]
    for amount in (3100, 3200, 3300, 3400):
        assert graph.post(adset, daily_budget=amount) == {"success": True}
    assert graph.error("POST", adset, daily_budget=3500) == (613, 1487632)
    graph.sandbox.clock.advance(3601)
    assert graph.post(adset, daily_budget=3500) == {"success": True}


def test_validate_only_stores_nothing(graph: Graph, tree: dict[str, Any]) -> None:
    adset = cups(tree)
    options = '["validate_only"]'
    assert graph.post(adset["id"], daily_budget=4000, execution_options=options) == {"success": True}
    assert graph.error("POST", adset["id"], daily_budget=1, execution_options=options) == (100, 1487901)
    assert graph.get(adset["id"], fields="daily_budget")["daily_budget"] == adset["daily_budget"]


def test_read_after_write_answers_the_object(graph: Graph, tree: dict[str, Any]) -> None:
    adset = cups(tree)["id"]
    assert graph.post(adset, daily_budget=4000, fields="daily_budget,status") == {
        "daily_budget": "4000",
        "status": "ACTIVE",
        "id": adset,
    }


def test_budget_changes_do_not_move_updated_time_but_names_do(graph: Graph, tree: dict[str, Any]) -> None:
    adset = cups(tree)["id"]
    before = graph.get(adset, fields="updated_time")["updated_time"]
    graph.post(adset, daily_budget=4000)
    assert graph.get(adset, fields="updated_time")["updated_time"] == before
    graph.post(adset, name="Cups for all")
    assert graph.get(adset, fields="updated_time")["updated_time"] == "2026-11-18T15:07:00-0500"


def test_status_goes_down_the_tree_as_effective_status_only(graph: Graph, tree: dict[str, Any]) -> None:
    ad = tree["ads"][0]
    graph.post(ad["adset_id"], status="PAUSED")
    assert graph.get(ad["id"], fields="status,effective_status") == {
        "status": "ACTIVE",
        "effective_status": "ADSET_PAUSED",
        "id": ad["id"],
    }
    graph.post(ad["adset_id"], status="ACTIVE")
    graph.post(ad["campaign_id"], status="PAUSED")
    assert graph.get(ad["id"], fields="effective_status")["effective_status"] == "CAMPAIGN_PAUSED"
    assert graph.get(ad["adset_id"], fields="effective_status")["effective_status"] == "CAMPAIGN_PAUSED"
    graph.post(ad["id"], status="PAUSED")
    assert graph.get(ad["id"], fields="effective_status")["effective_status"] == "PAUSED"


def test_archived_and_deleted_objects_leave_the_edges_but_not_the_world(
    graph: Graph, tree: dict[str, Any]
) -> None:
    ad, other = tree["ads"][0]["id"], tree["ads"][1]["id"]
    graph.post(ad, status="ARCHIVED")
    graph.raw("DELETE", other)
    visible = {row["id"] for row in graph.rows(f"{ACCOUNT}/ads")}
    assert not {ad, other} & visible
    assert [row["id"] for row in graph.rows(f"{ACCOUNT}/ads", effective_status='["ARCHIVED"]')] == [ad]
    assert graph.error("GET", f"{ACCOUNT}/ads", effective_status='["DELETED"]')[0] == 100
    assert graph.get(other, fields="effective_status")["effective_status"] == "DELETED"
    assert graph.error("POST", ad, status="ACTIVE") == (100, 1885088)
    assert graph.post(ad, name="In memory of") == {"success": True}


def test_deleted_children_stay_in_totals_and_leave_the_rows(graph: Graph, tree: dict[str, Any]) -> None:
    ad = tree["ads"][0]["id"]
    before = graph.get(f"{ACCOUNT}/insights", fields="spend", date_preset="last_7d")["data"][0]["spend"]
    graph.raw("DELETE", ad)
    assert (
        graph.get(f"{ACCOUNT}/insights", fields="spend", date_preset="last_7d")["data"][0]["spend"] == before
    )
    rows = graph.rows(f"{ACCOUNT}/insights", level="ad", fields="ad_id", date_preset="last_7d")
    assert ad not in {row["ad_id"] for row in rows}
    named = graph.rows(
        f"{ACCOUNT}/insights",
        level="ad",
        fields="ad_id",
        date_preset="last_7d",
        filtering='[{"field":"ad.effective_status","operator":"IN","value":["DELETED"]}]',
    )
    assert [row["ad_id"] for row in named] == [ad]
    assert graph.get(f"{ad}/insights", date_preset="last_7d")["data"]


def test_only_people_with_the_task_and_the_scope_may_write(graph: Graph, tree: dict[str, Any]) -> None:
    campaign = tree["campaigns"][0]["id"]
    bob = graph.sandbox.token("bob")
    assert graph.error("POST", campaign, access_token=bob, status="PAUSED") == (10, None)
    assert graph.get(campaign, access_token=bob, fields="name")["name"]
    reader = graph.sandbox.token("alice", scopes=("ads_read",))
    assert graph.error("POST", campaign, access_token=reader, status="PAUSED") == (200, None)
    assert graph.error("GET", campaign, access_token=graph.sandbox.token("charlie")) == (100, 33)


def test_a_created_tree_reviews_then_delivers(graph: Graph) -> None:
    campaign = graph.post(
        f"{ACCOUNT}/campaigns",
        name="New",
        objective="OUTCOME_SALES",
        special_ad_categories="[]",
        is_adset_budget_sharing_enabled="false",
    )["id"]
    adset = graph.post(
        f"{ACCOUNT}/adsets",
        name="New set",
        campaign_id=campaign,
        billing_event="IMPRESSIONS",
        optimization_goal="LINK_CLICKS",
        targeting='{"geo_locations":{"countries":["US"]}}',
        daily_budget=5000,
    )["id"]
    creative = graph.rows(f"{ACCOUNT}/adcreatives")[0]["id"]
    ad = graph.post(
        f"{ACCOUNT}/ads", name="New ad", adset_id=adset, creative=f'{{"creative_id":"{creative}"}}'
    )["id"]
    assert graph.get(ad, fields="effective_status")["effective_status"] == "PENDING_REVIEW"
    graph.sandbox.clock.advance(7200)
    assert graph.get(ad, fields="effective_status")["effective_status"] == "ACTIVE"
    assert int(graph.get(f"{ad}/insights", date_preset="today")["data"][0]["impressions"]) > 0


def test_a_campaign_without_budget_must_say_whether_ad_sets_share(graph: Graph) -> None:
    params = {"name": "New", "objective": "OUTCOME_SALES", "special_ad_categories": "[]"}
    assert graph.error("POST", f"{ACCOUNT}/campaigns", **params) == (100, 4834011)
    assert graph.error("POST", f"{ACCOUNT}/campaigns", name="New", objective="OUTCOME_SALES")[0] == 100


def test_activities_tell_ours_from_a_persons_edit_and_filter_by_time(
    graph: Graph, tree: dict[str, Any]
) -> None:
    campaign = tree["campaigns"][0]["id"]
    graph.post(campaign, daily_budget=11000)
    graph.sandbox.clock.advance(600)
    graph.session.post(
        "https://graph.facebook.com/_sandbox/edit",
        json={"object_id": campaign, "field": "daily_budget", "value": 9000, "actor": "Hanna Human"},
    )
    rows = graph.rows(
        f"{ACCOUNT}/activities", fields="event_type,actor_name,application_id,object_id,event_time"
    )
    assert [row.get("application_id") for row in rows] == [None, graph.sandbox.app_id]
    assert rows[0]["actor_name"] == "Hanna Human"
    late = graph.rows(f"{ACCOUNT}/activities", fields="event_time", since=int(START.timestamp()) + 300)
    assert [row["event_time"] for row in late] == ["2026-11-18T20:17:00+0000"]


def test_copies_stop_at_three_ads_when_synchronous() -> None:
    graph = make("demo")
    account = graph.sandbox.ad_accounts()[0]
    campaign = graph.rows(f"{account}/campaigns")[0]["id"]
    assert graph.error("POST", f"{campaign}/copies", deep_copy="true")[0] == 100
    shallow = graph.post(f"{campaign}/copies", rename_options='{"rename_suffix":" 2"}')
    assert graph.get(shallow["copied_campaign_id"], fields="name,status")["name"].endswith(" 2")
    assert [row["ad_object_type"] for row in shallow["ad_object_ids"]] == ["campaign"]


def test_a_disabled_account_delivers_nothing_and_takes_no_changes(graph: Graph, tree: dict[str, Any]) -> None:
    campaign = tree["campaigns"][0]["id"]
    graph.sandbox.clock.advance(900)
    graph.session.post(
        "https://graph.facebook.com/_sandbox/edit",
        json={"object_id": ACCOUNT, "field": "account_status", "value": 2},
    )
    assert graph.get(ACCOUNT, fields="account_status")["account_status"] == 2
    assert graph.error("POST", campaign, status="PAUSED") == (100, 1404163)
    graph.sandbox.clock.advance(900)
    spent = graph.get(f"{ACCOUNT}/insights", fields="spend", date_preset="today")["data"]
    graph.sandbox.clock.advance(3600)
    assert graph.get(f"{ACCOUNT}/insights", fields="spend", date_preset="today")["data"] == spent
