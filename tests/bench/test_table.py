"""The printed page: every section that was measured is there, with its goals, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bench.ground import goal, percentile
from tests.bench.table import page

HEAD = {"python": "3.11.7", "cores": 2, "load_before": 0.5, "load_after": 1.25}
GOALS = [goal("fast enough", 12.345, 15, above=False), goal("often enough", 7.2, 9, above=True)]
PUSH = {
    "publishes": 30,
    "runs": [
        {
            "who": "product", "sockets": 1000, "p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0, "last_ms": 4.0,
            "delivered": 29_999, "wanted": 30_000, "cpu_us": 21.4, "net_cpu_us": 18.6, "idle_cpu_percent": 1.5,
            "opened_s": 2.5, "rss_mb": 90,
        }
    ],
    "goals": GOALS,
    "not_measured": ["group_send (no channels_redis here)"],
}  # fmt: skip
RUN = {
    "who": "tap", "database": "PostgreSQL", "latency_ms": 150, "rows": 12_345, "seconds": 60.04, "cpu_seconds": 31.2,
    "peak_mb": 215.0, "requests": 99, "rows_per_second": 206,
}  # fmt: skip
INGEST = {
    "days": 8, "runs": [RUN, {**RUN, "who": "source, did not finish in 60 s"}], "peers": {"tap": "1.2", "source": "3"},
    "floors": {"rows": 8000, "parse_s": 0.123, "copy_s": 0.456}, "goals": GOALS, "not_measured": [],
}  # fmt: skip
QUESTION = {
    "question": "one ad by day", "whole_p50_ms": 1.0, "whole_p95_ms": 2.0, "sums_p50_ms": 0.1, "sums_p95_ms": 0.2,
    "wide_p50_ms": None, "wide_p95_ms": None,
}  # fmt: skip
QUERIES = {
    "runs": [
        {
            "database": "SQLite", "ad_rows": 1000, "hour_rows": 240, "facts_s": 1.0, "sums_s": 0.5,
            "sizes_mb": {"all": 12},
            "questions": [QUESTION, {**QUESTION, "question": "top 50", "wide_p50_ms": 9.0, "wide_p95_ms": 8.0}],
            "refresh": {"rows": 50, "upsert_s": 1.0, "rollups_s": 0.1, "windows_s": 0.2, "merge_s": 0.7},
        }
    ],
    "goals": GOALS,
}  # fmt: skip


def lines(**sections: Any) -> list[str]:
    return page({**HEAD, **sections}).splitlines()


def test_a_goal_that_was_missed_says_so():
    found = lines(push=PUSH)
    assert "| fast enough | <= 15 | 12.3 | yes |" in found
    assert "| often enough | >= 9 | 7.2 | **no** |" in found


def test_a_peer_stands_beside_the_product_with_what_it_had_landed_when_its_time_was_over():
    found = lines(ingest=INGEST)
    assert "| tap | PostgreSQL | 150 | 12,345 | 60.0 | 206 | 31.2 | 215 | 99 |" in found
    assert any(
        line.startswith("| source, did not finish in 60 s | PostgreSQL | 150 | 12,345 |") for line in found
    )


def test_landing_names_the_versions_of_the_peers_and_the_floors():
    found = lines(ingest=INGEST)
    assert "Peers: tap 1.2, source 3." in found
    assert any(line.startswith("Floors, 8,000 ad rows:") and "0.12 CPU s" in line for line in found)
    assert not any(line.startswith("Peers:") for line in lines(ingest={**INGEST, "peers": {}}))


def test_frames_that_did_not_arrive_are_seen():
    assert any("| 29,999 of 30,000 | 21 | 19 | 1.5 |" in line for line in lines(push=PUSH))


def test_what_was_not_measured_is_said_with_its_reason():
    assert "Not measured: group_send (no channels_redis here)." in lines(push=PUSH)


def test_a_question_without_a_rollup_has_no_ratio_and_one_with_it_has():
    found = lines(queries=QUERIES)
    assert "| one ad by day | 1.0 / 2.0 | 0.1 / 0.2 |  |  |" in found
    assert "| top 50 | 1.0 / 2.0 | 0.1 / 0.2 | 9.0 / 8.0 | 40 |" in found


def test_a_section_that_was_not_run_is_not_there():
    assert not any("Live push" in line for line in lines(queries=QUERIES))


@pytest.mark.parametrize("share, value", [(0.5, 51), (0.95, 96), (0.99, 100), (1.0, 100)])
def test_percentiles_are_values_that_were_measured(share, value):
    assert percentile(list(range(100, 0, -1)), share) == value
