"""Whatever is asked, the answer is a Graph answer: JSON, with ``error`` whenever the status is not 200."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.metaads.sandbox.conftest import ACCOUNT, Graph, make

GRAPH = make()
IDS = [ACCOUNT, "me", "0", "act_", "1000000000000001", "debug_token", "oauth"]
IDS += [
    row["id"]
    for edge in ("campaigns", "adsets", "ads", "adcreatives")
    for row in GRAPH.rows(f"{ACCOUNT}/{edge}")[:1]
]
EDGES = [
    "",
    "insights",
    "campaigns",
    "adsets",
    "ads",
    "adcreatives",
    "copies",
    "activities",
    "delivery_estimate",
    "reachestimate",
    "minimum_budgets",
    "ads_volume",
    "subscribed_apps",
    "subscriptions",
    "permissions",
    "adaccounts",
    "access_token",
    "nope",
]
NAMES = [
    "fields",
    "limit",
    "after",
    "before",
    "filtering",
    "effective_status",
    "level",
    "time_range",
    "time_ranges",
    "date_preset",
    "time_increment",
    "breakdowns",
    "sort",
    "summary",
    "action_attribution_windows",
    "updated_since",
    "is_completed",
    "status",
    "name",
    "daily_budget",
    "lifetime_budget",
    "end_time",
    "start_time",
    "targeting",
    "targeting_spec",
    "adset_budgets",
    "adset_bid_amounts",
    "bid_strategy",
    "bid_amount",
    "rename_options",
    "deep_copy",
    "creative",
    "campaign_id",
    "adset_id",
    "since",
    "until",
    "category",
    "input_token",
    "permission",
    "execution_options",
    "special_ad_categories",
    "objective",
    "batch",
    "optimization_goal",
]
VALUES = st.one_of(
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        [
            "[]",
            "{}",
            "null",
            "true",
            "[null]",
            "[1]",
            '{"a":1}',
            '[{"field":"spend"}]',
            '[{"field":"id","operator":"IN"}]',
            '[{"field":"spend","operator":"GREATER_THAN","value":"x"}]',
            '[{"field":"name","operator":"WHAT","value":1}]',
            '[{"field":"updated_time","operator":"IN_RANGE","value":[1]}]',
            '{"since":1,"until":[]}',
            '{"since":"2026-11-01"}',
            "id,name{",
            "insights{spend}",
            "insights.limit(x){spend}",
            "ads.limit(-1){id}",
            "ads.after(zz){id}",
            "campaigns.filtering(x){id}",
            "adsets{ads{insights.date_preset(no){spend}}}",
            "name.as(x)",
            "spend_descending",
            "actions:link_click_ascending",
            "-5",
            "0",
            "99999999999999999999",
            "1e9",
            "2026-11-18T10:00:00",
            '{"geo_locations":[]}',
            '{"geo_locations":{"countries":1},"age_min":"x"}',
        ]
    ),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    first=st.sampled_from(IDS),
    edge=st.sampled_from(EDGES),
    params=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4),
)
def test_every_answer_is_json_and_says_error_when_it_is_one(
    method: str, first: str, edge: str, params: dict[str, Any]
) -> None:
    graph: Graph = GRAPH
    graph.sandbox.clock.advance(1)
    if method == "DELETE" and (first == "me" or not edge):
        method = "GET"
    response = graph.raw(method, f"{first}/{edge}" if edge else first, **params)
    body = response.json()
    assert (response.status_code == 200) == ("error" not in body or not isinstance(body, dict)), (
        response.status_code,
        body,
    )
    if response.status_code != 200:
        assert isinstance(body["error"]["code"], int)
        assert body["error"]["message"]
        assert body["error"]["fbtrace_id"]


NASTY = [
    "[]",
    "{}",
    "null",
    "true",
    "[null]",
    "[1]",
    "-5",
    "x",
    '"x"',
    '[["a"]]',
    '{"a":1}',
    '[{"field":"spend"}]',
    '[{"field":"spend","operator":"GREATER_THAN","value":"x"}]',
    '[{"field":"name","operator":"WHAT","value":1}]',
    '[{"field":"updated_time","operator":"IN_RANGE","value":[1]}]',
    '[{"adset_id":1,"daily_budget":5}]',
    '{"20":150}',
    '{"geo_locations":{"countries":1},"age_min":"x"}',
    "ads.limit(x){id}",
    "insights.limit(x){spend}",
]
PLACES = [
    ("GET", f"{ACCOUNT}/insights", "filtering"),
    ("GET", f"{ACCOUNT}/campaigns", "filtering"),
    ("GET", f"{ACCOUNT}/ads", "updated_since"),
    ("GET", f"{ACCOUNT}/reachestimate", "targeting_spec"),
    ("GET", IDS[7], "fields"),
    ("POST", f"{IDS[7]}/copies", "rename_options"),
    ("POST", IDS[7], "adset_budgets"),
    ("POST", IDS[7], "adset_bid_amounts"),
    ("POST", IDS[8], "targeting"),
    ("POST", "", "batch"),
]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_nasty_values_in_every_structured_parameter(place: tuple[str, str, str]) -> None:
    method, path, name = place
    for value in NASTY:
        GRAPH.sandbox.clock.advance(60)
        body = GRAPH.raw(method, path, **{name: value}).json()
        assert isinstance(body, list) or "error" not in body or isinstance(body["error"]["code"], int)
