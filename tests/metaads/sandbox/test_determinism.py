"""Same world, seed, journal and clock: same bytes, tokens excepted."""

from __future__ import annotations

import datetime as dt
import json
import pathlib

from metaads.sandbox.clock import MachineClock
from tests.metaads.sandbox.conftest import ACCOUNT, START, Graph, make

READS = (
    (f"{ACCOUNT}/campaigns", {"fields": "id,name,status,daily_budget,budget_remaining,updated_time"}),
    (
        f"{ACCOUNT}/insights",
        {
            "level": "ad",
            "time_increment": "1",
            "date_preset": "last_14d",
            "limit": "500",
            "fields": "ad_id,spend,impressions,reach,actions,action_values",
        },
    ),
    (f"{ACCOUNT}/insights", {"breakdowns": "age,gender", "fields": "spend,reach", "date_preset": "last_7d"}),
    (f"{ACCOUNT}/insights", {"fields": "spend", "date_preset": "today"}),
    (f"{ACCOUNT}/activities", {}),
    ("nonsense", {}),
)


def life(graph: Graph) -> None:
    """The same afternoon: writes, an edit, faults, time."""
    clock = graph.sandbox.clock
    campaign = graph.rows(f"{ACCOUNT}/campaigns")[0]["id"]
    graph.post(campaign, daily_budget=13000)
    clock.advance(1234)
    graph.sandbox.faults.arm("lying_success")
    graph.post(campaign, status="PAUSED")
    graph.session.post(
        "https://graph.facebook.com/_sandbox/edit",
        json={"object_id": campaign, "field": "daily_budget", "value": 9000},
    )
    graph.post(f"{campaign}/copies")
    clock.advance(5400)


def read(graph: Graph) -> list[bytes]:
    found = []
    for path, params in READS:
        text = graph.raw("GET", path, **params).content
        found.append(text.replace(graph.token.encode(), b"TOKEN"))
    return found


def test_two_sandboxes_answer_the_same_bytes() -> None:
    one, two = make(), make()
    life(one)
    life(two)
    assert read(one) == read(two)


def test_another_seed_is_another_world() -> None:
    one, two = make(seed=1), make(seed=2)
    assert read(one)[1] != read(two)[1]


def test_the_order_of_reads_does_not_change_numbers() -> None:
    one, two = make(), make()
    two.rows(f"{ACCOUNT}/insights", level="ad", breakdowns="country", date_preset="last_30d")
    two.get(f"{ACCOUNT}/insights", date_preset="today")
    life(one)
    life(two)
    assert [json.loads(text).get("data") for text in read(one)[:4]] == [
        json.loads(text).get("data") for text in read(two)[:4]
    ]


def test_a_restart_replays_the_journal(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "tiny.jsonl"
    one = make(journal_path=path)
    life(one)
    before = read(one)
    two = make(journal_path=path, start=one.sandbox.clock.now())
    two.token = one.token
    assert [json.loads(text) for text in read(two)[:5]] == [json.loads(text) for text in before[:5]]


def test_a_journal_cut_in_its_last_line_loses_that_line_only(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "tiny.jsonl"
    one = make(journal_path=path)
    life(one)
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: len(text) - 20], encoding="utf-8")
    two = make(journal_path=path, start=one.sandbox.clock.now())
    assert len(two.sandbox.journal) == len(one.sandbox.journal) - 1


def test_a_journal_of_another_world_is_refused(tmp_path: pathlib.Path) -> None:
    import pytest

    from metaads.sandbox.journal import JournalMismatch

    path = tmp_path / "tiny.jsonl"
    make(journal_path=path)
    with pytest.raises(JournalMismatch):
        make(journal_path=path, seed=2)


def test_moves_of_the_machines_clock_are_journaled(tmp_path: pathlib.Path) -> None:
    from metaads.sandbox.app import Sandbox

    path = tmp_path / "tiny.jsonl"
    one = Sandbox(world="tiny", clock=MachineClock(), journal_path=path)
    one.control.handle("POST", "clock", {"set": "2027-01-01T00:00:00+00:00", "freeze": True})
    two = Sandbox(world="tiny", clock=MachineClock(), journal_path=path)
    assert two.clock.frozen
    assert abs(two.clock.now() - dt.datetime(2027, 1, 1, tzinfo=dt.UTC)) < dt.timedelta(seconds=5)
    assert START.year == 2026
