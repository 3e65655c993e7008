"""Fast enough to poll: processor time on the demo world, once its history is computed; the best of a few tries."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.metaads.sandbox.conftest import make


def seconds(work: Callable[[], Any], *, tries: int = 3) -> float:
    """The shortest processor time of a few tries: what the work costs, whoever else is busy."""
    best = float("inf")
    for _ in range(tries):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def test_reads_of_the_demo_world_are_quick() -> None:
    graph = make("demo")
    account = graph.sandbox.ad_accounts()[0]
    fields = "ad_id,spend,impressions,reach,actions"

    def today() -> Any:
        return graph.get(f"{account}/insights", fields="spend,impressions,reach,actions", date_preset="today")

    def four_weeks() -> Any:
        return graph.rows(
            f"{account}/insights",
            level="ad",
            time_increment=1,
            date_preset="last_28d",
            limit=2000,
            fields=fields,
        )

    assert seconds(lambda: graph.get(f"{account}/insights", date_preset="maximum"), tries=1) < 5
    assert seconds(today) < 0.05
    assert seconds(four_weeks) < 1
    assert len(four_weeks()) > 28 * 25
    campaign = graph.rows(f"{account}/campaigns")[0]["id"]

    def edit_and_read() -> None:
        graph.post(campaign, daily_budget=40_000)
        today()

    assert seconds(edit_and_read) < 0.08
