"""Parts add up to wholes, exactly, in the printed numbers; people do not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.metaads.sandbox.conftest import ACCOUNT, Graph, make

FIELDS = "impressions,clicks,spend,inline_link_clicks,reach,frequency,actions,action_values"
HOURLY = "hourly_stats_aggregated_by_advertiser_time_zone"
SHARED: dict[int, Graph] = {}


def shared(seed: int = 1) -> Graph:
    """One sandbox per seed for read-only properties."""
    if seed not in SHARED:
        SHARED[seed] = make(seed=seed)
    return SHARED[seed]


def number(row: dict[str, Any], name: str) -> Decimal:
    """A scalar, or ``actions:link_click``."""
    field, _, action = name.partition(":")
    value = row.get(field, "0")
    if action:
        value = (
            next((item["value"] for item in value if item["action_type"] == action), "0")
            if value != "0"
            else "0"
        )
    return Decimal(value)


ADDITIVE = (
    "impressions",
    "clicks",
    "spend",
    "inline_link_clicks",
    "actions:link_click",
    "actions:omni_purchase",
    "action_values:omni_purchase",
)


def total(rows: list[dict[str, Any]], name: str) -> Decimal:
    return sum((number(row, name) for row in rows), Decimal(0))


def span(first: int, length: int) -> str:
    """A time range within the world's 45 days, as JSON."""
    import datetime as dt

    since = dt.date(2026, 10, 6) + dt.timedelta(days=first)
    return f'{{"since":"{since}","until":"{since + dt.timedelta(days=length)}"}}'


ranges = st.builds(span, st.integers(0, 30), st.integers(0, 13))


@settings(max_examples=25, deadline=None)
@given(time_range=ranges, seed=st.sampled_from([1, 2]))
def test_ads_add_up_to_ad_sets_campaigns_and_account(time_range: str, seed: int) -> None:
    graph = shared(seed)
    levels = {
        level: graph.rows(f"{ACCOUNT}/insights", level=level, fields=FIELDS, time_range=time_range, limit=500)
        for level in ("account", "campaign", "adset", "ad")
    }
    for name in ADDITIVE:
        totals = {level: total(rows, name) for level, rows in levels.items()}
        assert len(set(totals.values())) == 1, (name, totals)
    for upper, lower in (("account", "campaign"), ("campaign", "adset"), ("adset", "ad")):
        assert total(levels[upper], "reach") <= total(levels[lower], "reach")


@settings(max_examples=25, deadline=None)
@given(time_range=ranges, level=st.sampled_from(["account", "campaign", "adset", "ad"]))
def test_days_add_up_to_the_range_and_people_never_exceed_the_sum(time_range: str, level: str) -> None:
    graph = shared()
    whole = graph.rows(f"{ACCOUNT}/insights", level=level, fields=FIELDS, time_range=time_range, limit=500)
    days = graph.rows(
        f"{ACCOUNT}/insights", level=level, fields=FIELDS, time_range=time_range, time_increment=1, limit=500
    )
    for name in ADDITIVE:
        assert total(whole, name) == total(days, name), name
    assert total(whole, "reach") <= total(days, "reach")
    for row in [*whole, *days]:
        reach, impressions = number(row, "reach"), number(row, "impressions")
        assert 0 < reach <= impressions
        assert abs(number(row, "frequency") - impressions / reach) <= Decimal("0.0000005")


@settings(max_examples=20, deadline=None)
@given(
    time_range=ranges,
    level=st.sampled_from(["account", "campaign", "ad"]),
    breakdowns=st.sampled_from(
        [
            "age",
            "gender",
            "age,gender",
            "country",
            "publisher_platform",
            "publisher_platform,platform_position",
            "publisher_platform,platform_position,impression_device",
            "device_platform",
        ]
    ),
)
def test_breakdowns_add_up_to_the_total(time_range: str, level: str, breakdowns: str) -> None:
    graph = shared()
    whole = graph.rows(f"{ACCOUNT}/insights", level=level, fields=FIELDS, time_range=time_range, limit=500)
    cells = graph.rows(
        f"{ACCOUNT}/insights",
        level=level,
        fields=FIELDS,
        time_range=time_range,
        breakdowns=breakdowns,
        limit=500,
    )
    for name in ADDITIVE:
        assert total(whole, name) == total(cells, name), name
    assert total(whole, "reach") <= total(cells, "reach")
    for row in cells:
        assert number(row, "reach") <= number(row, "impressions")
        assert all(name in row for name in breakdowns.split(","))


@pytest.mark.parametrize("preset", ["today", "yesterday"])
def test_hours_add_up_to_the_day_and_know_no_people(preset: str) -> None:
    graph = shared()
    day = graph.rows(f"{ACCOUNT}/insights", level="ad", fields=FIELDS, date_preset=preset)
    hours = graph.rows(
        f"{ACCOUNT}/insights", level="ad", fields=FIELDS, date_preset=preset, breakdowns=HOURLY, limit=500
    )
    assert day and hours
    for name in ("impressions", "clicks", "spend", "inline_link_clicks", "actions:link_click"):
        assert total(day, name) == total(hours, name), name
    assert {row["reach"] for row in hours} == {"0"}
    assert all(row[HOURLY].endswith(":59:59") for row in hours)


@pytest.mark.parametrize("level", ["account", "campaign", "adset", "ad"])
def test_the_insights_reader_agrees_with_the_truth_summed_by_another_route(level: str) -> None:
    graph = shared()
    sandbox = graph.sandbox
    import datetime as dt

    since, until = dt.date(2026, 11, 1), dt.date(2026, 11, 18)
    truth = sandbox.truth.totals(
        ACCOUNT, since=since, until=until, now=sandbox.clock.timestamp(), level=level
    )
    rows = graph.rows(
        f"{ACCOUNT}/insights",
        level=level,
        limit=500,
        time_range=f'{{"since":"{since}","until":"{until}"}}',
        fields=f"{level}_id,impressions,clicks,spend,actions,action_values",
    )
    assert len(rows) == len([one for one in truth.values() if one["impressions"]])
    for row in rows:
        key = row[f"{level}_id"] if level != "account" else ACCOUNT
        known = truth[key]
        assert int(row["impressions"]) == known["impressions"]
        assert Decimal(row["spend"]) * 100 == known["spend"]
        assert number(row, "actions:omni_purchase") == known["purchases"]
        assert number(row, "action_values:omni_purchase") * 100 == known["purchase_value"]


def test_yen_have_no_decimals_and_still_add_up() -> None:
    graph = make("demo")
    account = "act_1030000000000031"
    whole = graph.rows(f"{account}/insights", fields="spend", date_preset="last_7d")
    ads = graph.rows(f"{account}/insights", fields="spend", level="ad", date_preset="last_7d")
    assert "." not in whole[0]["spend"]
    assert total(whole, "spend") == total(ads, "spend") > 0
