"""Parameters of insights reads: presets, increments, windows, filters, refusals; and the life of a report run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.metaads.sandbox.conftest import ACCOUNT, Graph

EDGE = f"{ACCOUNT}/insights"


def days(graph: Graph, **params: Any) -> list[tuple[str, str]]:
    return [
        (row["date_start"], row["date_stop"]) for row in graph.rows(EDGE, fields="spend", limit=500, **params)
    ]


@pytest.mark.parametrize(
    ("preset", "span"),
    [
        ("today", ("2026-11-18", "2026-11-18")),
        ("yesterday", ("2026-11-17", "2026-11-17")),
        ("last_7d", ("2026-11-11", "2026-11-17")),
        ("last_30d", ("2026-10-19", "2026-11-17")),
        ("this_month", ("2026-11-01", "2026-11-18")),
        ("last_month", ("2026-10-01", "2026-10-31")),
        ("this_week_mon_today", ("2026-11-16", "2026-11-18")),
        ("this_week_sun_today", ("2026-11-15", "2026-11-18")),
        ("last_week_mon_sun", ("2026-11-09", "2026-11-15")),
        ("last_week_sun_sat", ("2026-11-08", "2026-11-14")),
        ("this_quarter", ("2026-10-01", "2026-11-18")),
        ("this_year", ("2026-01-01", "2026-11-18")),
    ],
)
def test_presets_are_days_of_the_account(graph: Graph, preset: str, span: tuple[str, str]) -> None:
    assert days(graph, date_preset=preset) == [span]


def test_the_default_is_the_last_thirty_days(graph: Graph) -> None:
    row = graph.get(EDGE)["data"][0]
    assert (row["date_start"], row["date_stop"]) == ("2026-10-19", "2026-11-17")
    assert set(row) == {"account_id", "impressions", "spend", "date_start", "date_stop"}


def test_increments_cut_the_range(graph: Graph) -> None:
    span = '{"since":"2026-10-20","until":"2026-11-10"}'
    assert days(graph, time_range=span, time_increment=10) == [
        ("2026-10-20", "2026-10-29"),
        ("2026-10-30", "2026-11-08"),
        ("2026-11-09", "2026-11-10"),
    ]
    assert days(graph, time_range=span, time_increment="monthly") == [
        ("2026-10-20", "2026-10-31"),
        ("2026-11-01", "2026-11-10"),
    ]
    two = json.dumps([json.loads(span), {"since": "2026-11-01", "until": "2026-11-02"}])
    assert days(graph, time_ranges=two, time_increment=1) == [
        ("2026-10-20", "2026-11-10"),
        ("2026-11-01", "2026-11-02"),
    ]


@pytest.mark.parametrize(
    ("params", "code", "subcode"),
    [
        ({"fields": "colour"}, 100, None),
        ({"level": "galaxy"}, 100, None),
        ({"breakdowns": "impression_device"}, 2, 1504041),
        ({"breakdowns": "age,country"}, 2, 1504041),
        ({"breakdowns": "dma"}, 2, 1504041),
        ({"date_preset": "lifetime"}, 100, None),
        ({"time_range": '{"since":"2023-01-01","until":"2023-02-01"}'}, 3018, None),
        ({"time_increment": "91"}, 100, None),
        ({"time_range": '{"since":"2026-11-02","until":"2026-11-01"}'}, 100, None),
        ({"time_range": '{"since":"yesterday"}'}, 100, None),
        (
            {"breakdowns": "hourly_stats_aggregated_by_advertiser_time_zone", "fields": "unique_clicks"},
            2,
            1504041,
        ),
        ({"action_attribution_windows": '["3d_click"]'}, 100, None),
        ({"date_format": "U"}, 100, None),
    ],
)
def test_what_cannot_be_read_is_refused(
    graph: Graph, params: dict[str, str], code: int, subcode: int | None
) -> None:
    assert graph.error("GET", EDGE, **params) == (code, subcode)


def test_a_level_above_the_object_is_an_error(graph: Graph) -> None:
    ad = graph.rows(f"{ACCOUNT}/ads")[0]["id"]
    assert graph.error("GET", f"{ad}/insights", level="campaign") == (1, 99)


def test_windows_come_only_when_asked_for_and_dead_ones_stay_empty(graph: Graph) -> None:
    def purchase(**params: str) -> dict[str, str]:
        actions = graph.get(EDGE, fields="actions", date_preset="last_30d", **params)["data"][0]["actions"]
        return next(item for item in actions if item["action_type"] == "omni_purchase")

    assert set(purchase()) == {"action_type", "value"}
    asked = purchase(action_attribution_windows='["1d_click","7d_click","28d_click","1d_view","7d_view"]')
    assert set(asked) == {"action_type", "value", "1d_click", "7d_click", "28d_click", "1d_view"}
    assert int(asked["1d_click"]) <= int(asked["7d_click"]) <= int(asked["28d_click"])
    assert int(asked["value"]) == int(asked["7d_click"]) + int(asked["1d_view"])


def test_metrics_without_data_are_left_out_and_never_null(graph: Graph) -> None:
    rows = graph.rows(
        EDGE,
        level="ad",
        fields="ad_id,video_play_actions,estimated_ad_recallers,mobile_app_purchase_roas,spend,results",
    )
    assert all("estimated_ad_recallers" not in row and "video_play_actions" not in row for row in rows)
    assert "null" not in json.dumps(rows)


def test_no_row_without_delivery(graph: Graph, tree: dict[str, Any]) -> None:
    span = '{"since":"2026-01-01","until":"2026-01-31"}'
    assert graph.get(EDGE, time_range=span) == {"data": []}


def test_sorting_and_filtering_by_metric(graph: Graph) -> None:
    rows = graph.rows(
        EDGE, level="ad", fields="ad_id,spend", sort='["spend_descending"]', date_preset="last_7d"
    )
    spends = [float(row["spend"]) for row in rows]
    assert spends == sorted(spends, reverse=True)
    floor = spends[2]
    some = graph.rows(
        EDGE,
        level="ad",
        fields="ad_id,spend",
        date_preset="last_7d",
        filtering=json.dumps([{"field": "ad.spend", "operator": "GREATER_THAN_OR_EQUAL", "value": floor}]),
    )
    assert len(some) == 3
    by_link = graph.rows(
        EDGE,
        level="ad",
        fields="ad_id,actions",
        sort='["actions:link_click_ascending"]',
        date_preset="last_7d",
    )
    counts = [
        next((int(a["value"]) for a in row["actions"] if a["action_type"] == "link_click"), 0)
        for row in by_link
    ]
    assert counts == sorted(counts)


def test_a_filter_by_campaign_keeps_its_ads_only(graph: Graph, tree: dict[str, Any]) -> None:
    campaign = tree["campaigns"][1]["id"]
    rows = graph.rows(
        EDGE,
        level="ad",
        fields="campaign_id",
        filtering=json.dumps([{"field": "campaign.id", "operator": "IN", "value": [campaign]}]),
    )
    assert {row["campaign_id"] for row in rows} == {campaign}


def test_a_summary_is_the_sum_over_everything(graph: Graph) -> None:
    body = graph.get(
        EDGE,
        level="ad",
        fields="spend,impressions",
        summary='["impressions","reach"]',
        date_preset="last_7d",
        limit=1,
    )
    assert int(body["summary"]["impressions"]) > int(body["data"][0]["impressions"])
    assert int(body["summary"]["reach"]) <= int(body["summary"]["impressions"])


def test_ids_and_names_of_the_level_and_above_only(graph: Graph) -> None:
    names = "account_id,account_name,account_currency,campaign_id,campaign_name,objective,"
    names += "adset_id,adset_name,attribution_setting,ad_id,ad_name"
    keys = {
        level: set(graph.get(EDGE, level=level, fields=names)["data"][0]) - {"date_start", "date_stop"}
        for level in ("account", "campaign", "ad")
    }
    assert keys["account"] == {"account_id", "account_name", "account_currency"}
    assert keys["campaign"] == keys["account"] | {"campaign_id", "campaign_name", "objective"}
    assert keys["ad"] == set(names.split(","))


def test_a_run_is_not_there_yet_then_runs_then_pages(graph: Graph) -> None:
    run = graph.post(EDGE, level="ad", fields='["ad_id","spend"]', date_preset="last_7d")["report_run_id"]
    assert graph.error("GET", run) == (100, 33)
    seen = []
    for _ in range(8):
        body = graph.get(run)
        seen.append((body["async_status"], body["async_percent_completion"]))
        if body["async_status"] == "Job Completed":
            break
    # The clock stands still: looking is what moves a run on, so that nobody waits for ever.
    assert seen[-1] == ("Job Completed", 100)
    assert all(percent < 100 for _status, percent in seen[:-1])
    sync = graph.rows(EDGE, level="ad", fields="ad_id,spend", date_preset="last_7d")
    assert graph.rows(f"{run}/insights", limit=2) == sync


def test_results_of_an_unfinished_run_are_refused_and_old_runs_are_skipped(graph: Graph) -> None:
    run = graph.post(EDGE, level="ad")["report_run_id"]
    assert graph.error("GET", f"{run}/insights")[0] == 2601
    graph.sandbox.clock.advance(31 * 86_400)
    assert graph.get(run)["async_status"] == "Job Skipped"
    assert graph.error("POST", EDGE, breakdowns="age,country") == (2, 1504041)
