"""The market behaves: pacing, saturation, fatigue, learning, delay, and what an edit does from its moment on."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from metaads.sandbox.app import Sandbox
from metaads.sandbox.clock import ManualClock
from metaads.sandbox.delivery import curves
from tests.metaads.sandbox.conftest import ACCOUNT, START, Graph, make


def daily(
    graph: Graph, object_id: str, *, since: str, until: str, fields: str = "spend"
) -> dict[str, dict[str, Any]]:
    rows = graph.rows(
        f"{object_id}/insights",
        fields=fields,
        time_increment=1,
        limit=500,
        time_range=f'{{"since":"{since}","until":"{until}"}}',
    )
    return {row["date_start"]: row for row in rows}


def test_a_day_may_run_over_its_budget_but_a_week_may_not(graph: Graph, tree: dict[str, Any]) -> None:
    cups = next(row for row in tree["adsets"] if "daily_budget" in row)
    budget = Decimal(cups["daily_budget"]) / 100
    days = daily(graph, cups["id"], since="2026-10-11", until="2026-11-14")
    spends = {dt.date.fromisoformat(day): Decimal(row["spend"]) for day, row in days.items()}
    assert max(spends.values()) <= budget * Decimal("1.25")
    assert any(spend > budget for spend in spends.values())
    for start in (dt.date(2026, 10, 11) + dt.timedelta(days=7 * week) for week in range(5)):
        week = sum(spends.get(start + dt.timedelta(days=n), Decimal(0)) for n in range(7))
        assert budget * 4 < week <= budget * 7


def test_a_paused_campaign_spends_nothing_more_and_a_resumed_one_goes_on(
    graph: Graph, tree: dict[str, Any]
) -> None:
    campaign = tree["campaigns"][0]["id"]
    clock = graph.sandbox.clock

    def spent() -> Decimal:
        return Decimal(
            graph.get(f"{campaign}/insights", fields="spend", date_preset="today")["data"][0]["spend"]
        )

    clock.advance(900)
    graph.post(campaign, status="PAUSED")
    clock.advance(900)
    at_pause = spent()
    clock.advance(3600)
    assert spent() == at_pause > 0
    graph.post(campaign, status="ACTIVE")
    clock.advance(3600)
    assert spent() > at_pause


def test_todays_numbers_only_grow_and_only_at_the_refresh(graph: Graph) -> None:
    seen: list[tuple[Decimal, int]] = []
    for _ in range(24):
        row = graph.get(f"{ACCOUNT}/insights", fields="spend,impressions", date_preset="today")["data"][0]
        seen.append((Decimal(row["spend"]), int(row["impressions"])))
        graph.sandbox.clock.advance(300)
    assert seen == sorted(seen)
    assert len(set(seen)) == 9  # two hours hold eight refreshes of fifteen minutes


def test_speed_divides_the_refresh_period_and_nothing_else() -> None:
    slow, fast = make(), make(speed=30)
    clock = fast.sandbox.clock
    first = fast.get(f"{ACCOUNT}/insights", fields="spend", date_preset="today")["data"][0]["spend"]
    clock.advance(30)
    assert fast.get(f"{ACCOUNT}/insights", fields="spend", date_preset="today")["data"][0]["spend"] != first
    past = {"fields": "spend,actions", "date_preset": "last_14d"}
    slow.sandbox.clock.set(clock.now())
    assert (
        slow.get(f"{ACCOUNT}/insights", **past)["data"][0]["spend"]
        == fast.get(f"{ACCOUNT}/insights", **past)["data"][0]["spend"]
    )


def test_conversions_of_a_day_are_restated_for_28_days_and_then_stand_still() -> None:
    graph = make("demo")

    def purchases(window: str) -> int:
        rows = graph.get(
            f"{graph.sandbox.ad_accounts()[0]}/insights",
            fields="actions",
            action_attribution_windows=f'["{window}"]',
            time_range='{"since":"2026-11-17","until":"2026-11-17"}',
        )["data"][0]["actions"]
        return int(next(item[window] for item in rows if item["action_type"] == "omni_purchase"))

    wide, narrow = [purchases("28d_click")], [purchases("1d_click")]
    for days in (1, 2, 4, 8, 14, 30):
        graph.sandbox.clock.advance(days * 86_400)
        wide.append(purchases("28d_click"))
        narrow.append(purchases("1d_click"))
    assert wide == sorted(wide)
    assert wide[0] < wide[3] < wide[5]
    assert wide[5] == wide[6]
    assert narrow[1] == narrow[6] < wide[6]


def test_spend_and_impressions_of_a_past_day_never_change(graph: Graph, tree: dict[str, Any]) -> None:
    before = daily(graph, ACCOUNT, since="2026-11-01", until="2026-11-17", fields="spend,impressions,clicks")
    graph.post(tree["campaigns"][0]["id"], daily_budget=15000)
    graph.post(tree["ads"][0]["id"], status="PAUSED")
    graph.sandbox.clock.advance(5 * 86_400)
    assert (
        daily(graph, ACCOUNT, since="2026-11-01", until="2026-11-17", fields="spend,impressions,clicks")
        == before
    )


def test_more_budget_in_the_same_audience_costs_more_per_impression() -> None:
    cheap, dear = make(), make()
    campaign = cheap.rows(f"{ACCOUNT}/campaigns")[0]["id"]
    dear.post(campaign, daily_budget=60_000)
    rates = []
    for graph in (cheap, dear):
        graph.sandbox.clock.advance(4 * 86_400)
        row = daily(graph, campaign, since="2026-11-20", until="2026-11-20", fields="cpm,spend")["2026-11-20"]
        rates.append((Decimal(row["cpm"]), Decimal(row["spend"])))
    assert rates[1][1] > rates[0][1] * 3
    assert rates[1][0] > rates[0][0] * Decimal("1.1")


def test_the_more_often_people_see_an_ad_the_less_they_click() -> None:
    import numpy as np

    kept = curves.fatigue(np.array([0.5, 1.5, 3.0, 6.0]))
    assert kept[0] == 1.0
    assert all(later < earlier for earlier, later in itertools.pairwise(kept))


def test_a_large_budget_change_starts_the_learning_phase_again(graph: Graph, tree: dict[str, Any]) -> None:
    cups = next(row for row in tree["adsets"] if "daily_budget" in row)
    before = graph.get(cups["id"], fields="learning_stage_info")["learning_stage_info"]
    graph.post(cups["id"], daily_budget=int(cups["daily_budget"]) + 100)
    assert graph.get(cups["id"], fields="learning_stage_info")["learning_stage_info"] == before
    graph.post(cups["id"], daily_budget=int(cups["daily_budget"]) * 2)
    after = graph.get(cups["id"], fields="learning_stage_info")["learning_stage_info"]
    assert after["status"] == "LEARNING"
    assert after["conversions"] == 0
    assert after["last_sig_edit_ts"] == int(START.timestamp())


def test_days_of_23_and_25_hours_come_out_whole() -> None:
    for zone, day, hours in (
        ("America/New_York", dt.date(2026, 3, 8), 23),
        ("America/New_York", dt.date(2026, 11, 1), 25),
        ("Australia/Lord_Howe", dt.date(2026, 4, 5), 24.5),
        ("Asia/Kathmandu", dt.date(2026, 6, 1), 24),
        ("Europe/Berlin", dt.date(2026, 3, 29), 23),
    ):
        edges, labels = curves.hours_of(day, zone)
        assert edges[-1] - edges[0] == hours * 3600, zone
        assert len(labels) == len(edges) - 1
        assert all(later > earlier for earlier, later in itertools.pairwise(edges))


def test_accounts_in_odd_zones_have_their_own_today() -> None:
    sandbox = Sandbox(world="zones", clock=ManualClock(dt.datetime(2026, 4, 5, 11, 30, tzinfo=dt.UTC)))
    now = sandbox.clock.timestamp()
    days = {
        sandbox.engine.zone(account): sandbox.engine.today(account, now) for account in sandbox.ad_accounts()
    }
    assert days["Pacific/Kiritimati"] == dt.date(2026, 4, 6)
    assert days["America/Los_Angeles"] == dt.date(2026, 4, 5)


def test_a_lost_pixel_stops_purchases_and_not_clicks() -> None:
    lost, sound = make("tracking_break"), make()
    rows = {}
    for name, graph in (("lost", lost), ("sound", sound)):
        graph.sandbox.clock.advance(5 * 86_400)
        rows[name] = daily(
            graph, ACCOUNT, since="2026-11-10", until="2026-11-22", fields="spend,clicks,actions"
        )
    for day, row in rows["lost"].items():
        kinds = {item["action_type"] for item in row["actions"]}
        assert (row["spend"], row["clicks"]) == (rows["sound"][day]["spend"], rows["sound"][day]["clicks"])
        if day > "2026-11-16":
            assert "omni_purchase" not in kinds
    assert any(
        "omni_purchase" in {a["action_type"] for a in row["actions"]}
        for day, row in rows["lost"].items()
        if day < "2026-11-16"
    )


def test_a_runaway_budget_spends_like_one() -> None:
    graph = make("runaway")
    graph.sandbox.clock.advance(6 * 3600)
    row = graph.get(f"{ACCOUNT}/insights", fields="spend", date_preset="today")["data"][0]
    assert Decimal(row["spend"]) > 1000


def test_the_demo_world_has_a_past_that_people_made() -> None:
    graph = make("demo")
    account = graph.sandbox.ad_accounts()[0]
    rows = graph.rows(f"{account}/activities", fields="event_type,actor_name,application_id,object_name")
    assert {row["actor_name"] for row in rows} == {"Hanna Human"}
    assert all("application_id" not in row for row in rows)
    ads = graph.rows(f"{account}/ads", fields="effective_status", limit=100)
    assert {"ACTIVE", "PAUSED", "CAMPAIGN_PAUSED", "DISAPPROVED"} <= {row["effective_status"] for row in ads}


@settings(max_examples=12, deadline=None)
@given(
    edits=st.lists(
        st.tuples(st.integers(600, 40_000), st.sampled_from(["daily_budget", "status"]), st.integers(10, 90)),
        max_size=12,
    )
)
def test_whatever_is_edited_no_day_runs_a_quarter_over_its_largest_budget(
    edits: list[tuple[int, str, int]],
) -> None:
    graph = make()
    adset = next(
        row["id"] for row in graph.rows(f"{ACCOUNT}/adsets", fields="daily_budget") if "daily_budget" in row
    )
    largest: dict[str, int] = {}
    budget = 3000

    def note() -> None:
        today = str(graph.sandbox.engine.today(ACCOUNT, graph.sandbox.clock.timestamp()))
        largest[today] = max(largest.get(today, 0), budget)

    note()
    for wait, field, value in edits:
        for _ in range(0, wait, 3600):
            graph.sandbox.clock.advance(min(wait, 3600))
            note()
        if field == "status":
            graph.post(adset, status="PAUSED" if value % 2 else "ACTIVE")
        elif "success" in graph.post(adset, daily_budget=value * 100):
            budget = value * 100
            note()
    now = graph.sandbox.clock.now().date().isoformat()
    for day, row in daily(graph, adset, since="2026-11-18", until=max(now, "2026-11-18")).items():
        assert Decimal(row["spend"]) * 100 <= Decimal(largest[day]) * Decimal("1.25")


def test_a_lifetime_budget_is_spent_by_its_end_and_never_exceeded(graph: Graph) -> None:
    campaign = graph.rows(f"{ACCOUNT}/campaigns", fields="daily_budget")[1]["id"]
    end = int(graph.sandbox.clock.timestamp()) + 10 * 86_400
    adset = graph.post(
        f"{ACCOUNT}/adsets",
        name="Ten days",
        campaign_id=campaign,
        billing_event="IMPRESSIONS",
        optimization_goal="LINK_CLICKS",
        targeting='{"geo_locations":{"countries":["US"]}}',
        lifetime_budget=50_000,
        end_time=end,
    )["id"]
    creative = graph.rows(f"{ACCOUNT}/adcreatives")[0]["id"]
    graph.post(f"{ACCOUNT}/ads", name="Ad", adset_id=adset, creative=f'{{"creative_id":"{creative}"}}')
    graph.sandbox.clock.advance(12 * 86_400)
    spent = Decimal(graph.get(f"{adset}/insights", fields="spend", date_preset="maximum")["data"][0]["spend"])
    assert 400 < spent <= 500
    assert graph.get(adset, fields="budget_remaining")["budget_remaining"] == str(50_000 - int(spent * 100))
