"""Fast enough to poll: generous limits, measured on the demo world once its history is computed."""

from __future__ import annotations

import time

from tests.metaads.sandbox.conftest import make


def test_reads_of_the_demo_world_are_quick() -> None:
    graph = make("demo")
    account = graph.sandbox.ad_accounts()[0]
    began = time.perf_counter()
    graph.get(f"{account}/insights", fields="spend", date_preset="maximum")
    assert time.perf_counter() - began < 5
    began = time.perf_counter()
    for _ in range(5):
        graph.get(f"{account}/insights", fields="spend,impressions,reach,actions", date_preset="today")
    assert (time.perf_counter() - began) / 5 < 0.05
    began = time.perf_counter()
    rows = graph.get(
        f"{account}/insights",
        level="ad",
        time_increment=1,
        date_preset="last_28d",
        limit=2000,
        fields="ad_id,spend,impressions,reach,actions",
    )["data"]
    assert time.perf_counter() - began < 1
    assert len(rows) > 28 * 25
    graph.post(graph.rows(f"{account}/campaigns")[0]["id"], daily_budget=40_000)
    began = time.perf_counter()
    graph.get(f"{account}/insights", fields="spend", date_preset="today")
    assert time.perf_counter() - began < 0.05
