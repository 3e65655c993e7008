"""What happens at a moment changes nothing before it: not a cent, not a click, not a conversion, not by the hour."""

from __future__ import annotations

from typing import Any

import pytest

from tests.metaads.sandbox.conftest import ACCOUNT, Graph, make

HOURLY = "hourly_stats_aggregated_by_advertiser_time_zone"


def morning(graph: Graph, *, until: int) -> list[dict[str, Any]]:
    """Every ad's hours of the current day before the local hour ``until``."""
    rows = graph.rows(
        f"{ACCOUNT}/insights",
        level="ad",
        breakdowns=HOURLY,
        date_preset="today",
        limit=500,
        fields="ad_id,spend,impressions,clicks,inline_link_clicks",
    )
    return [row for row in rows if int(row[HOURLY][:2]) < until]


def conversions(graph: Graph, until: float) -> list[tuple[Any, ...]]:
    """The model's events clicked before a moment: identity, time, delay, worth."""
    engine = graph.sandbox.engine
    found = []
    now = graph.sandbox.clock.timestamp()
    for campaign in engine.campaigns(ACCOUNT, now):
        today = engine.today(ACCOUNT, now)
        for day in engine.days(campaign, today, today, now):
            events = day.events
            for row in range(len(events.ad)):
                if events.clicked[row] < until:
                    kind = (day.ads[events.ad[row]], int(events.kind[row]))
                    found.append(
                        (
                            *kind,
                            round(events.clicked[row], 3),
                            round(events.reported[row], 3),
                            int(events.value[row]),
                        )
                    )
    return sorted(found)


def raise_budget(graph: Graph, tree: dict[str, Any]) -> None:
    graph.post(next(row for row in tree["campaigns"] if "daily_budget" in row)["id"], daily_budget=90_000)


def pause_an_ad(graph: Graph, tree: dict[str, Any]) -> None:
    graph.post(tree["ads"][0]["id"], status="PAUSED")


def pause_everything(graph: Graph, tree: dict[str, Any]) -> None:
    for campaign in tree["campaigns"]:
        graph.post(campaign["id"], status="PAUSED")


def copy_an_ad(graph: Graph, tree: dict[str, Any]) -> None:
    graph.post(f"{tree['ads'][0]['id']}/copies", status_option="ACTIVE")


def switch_to_campaign_budget(graph: Graph, tree: dict[str, Any]) -> None:
    graph.sandbox.faults.arm("cbo_switch")
    graph.post(next(row for row in tree["adsets"] if "daily_budget" in row)["id"], name="x")


def switch_to_ad_set_budgets(graph: Graph, tree: dict[str, Any]) -> None:
    owner = next(row for row in tree["campaigns"] if "daily_budget" in row)["id"]
    below = [row["id"] for row in tree["adsets"] if row["campaign_id"] == owner]
    parts = ",".join(f'{{"adset_id":"{adset}","daily_budget":4000}}' for adset in below)
    graph.post(owner, adset_budgets=f"[{parts}]")


def end_an_ad_set(graph: Graph, tree: dict[str, Any]) -> None:
    graph.post(tree["adsets"][0]["id"], end_time=int(graph.sandbox.clock.timestamp()) + 1800)


EDITS = [
    raise_budget,
    pause_an_ad,
    pause_everything,
    copy_an_ad,
    switch_to_campaign_budget,
    switch_to_ad_set_budgets,
    end_an_ad_set,
]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_an_edit_leaves_the_hours_before_it_alone_and_changes_those_after(edit: Any) -> None:
    touched, left = make(), make()
    tree = {
        "campaigns": touched.rows(f"{ACCOUNT}/campaigns", fields="id,daily_budget"),
        "adsets": touched.rows(f"{ACCOUNT}/adsets", fields="id,campaign_id,daily_budget"),
        "ads": touched.rows(f"{ACCOUNT}/ads", fields="id"),
    }
    at = touched.sandbox.clock.timestamp()
    edit(touched, tree)
    for graph in (touched, left):
        graph.sandbox.clock.advance(5 * 3600)
    assert morning(touched, until=15) == morning(left, until=15) != []
    assert morning(touched, until=24) != morning(left, until=24)
    assert conversions(touched, at) == conversions(left, at)


def test_after_a_switch_the_money_goes_on_from_its_new_owner() -> None:
    for switch in (switch_to_campaign_budget, switch_to_ad_set_budgets):
        graph = make()
        tree = {
            "campaigns": graph.rows(f"{ACCOUNT}/campaigns", fields="id,daily_budget"),
            "adsets": graph.rows(f"{ACCOUNT}/adsets", fields="id,campaign_id,daily_budget"),
        }
        wanted = switch is switch_to_ad_set_budgets
        campaign = next(row["id"] for row in tree["campaigns"] if ("daily_budget" in row) == wanted)
        switch(graph, tree)
        before = float(
            graph.get(f"{campaign}/insights", fields="spend", date_preset="today")["data"][0]["spend"]
        )
        graph.sandbox.clock.advance(3 * 3600)
        after = float(
            graph.get(f"{campaign}/insights", fields="spend", date_preset="today")["data"][0]["spend"]
        )
        assert after > before * 1.1
