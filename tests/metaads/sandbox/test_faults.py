"""Every fault, by name: what the caller sees, and what really happened."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from metaads.sandbox.faults import NAMES, UnknownFault
from tests.metaads.sandbox.conftest import ACCOUNT, Graph, make


@pytest.fixture
def campaign(graph: Graph) -> str:
    """The campaign that owns its budget (10000 minor units a day)."""
    return str(graph.rows(f"{ACCOUNT}/campaigns")[0]["id"])


def budget(graph: Graph, campaign: str) -> str:
    return str(graph.get(campaign, fields="daily_budget")["daily_budget"])


def really(graph: Graph, campaign: str) -> Any:
    return graph.sandbox.truth.state(campaign, now=graph.sandbox.clock.timestamp())["fields"]["daily_budget"]


def test_applied_timeout_changes_the_object_and_never_answers(graph: Graph, campaign: str) -> None:
    graph.sandbox.faults.arm("applied_timeout")
    with pytest.raises(requests.ReadTimeout):
        graph.post(campaign, daily_budget=12000)
    assert budget(graph, campaign) == "12000"


def test_dropped_never_answers_and_changes_nothing(graph: Graph, campaign: str) -> None:
    graph.sandbox.faults.arm("dropped", match={"method": "POST"})
    with pytest.raises(requests.ReadTimeout):
        graph.post(campaign, daily_budget=12000)
    assert budget(graph, campaign) == "10000"


def test_late_lands_when_its_time_has_come(graph: Graph, campaign: str) -> None:
    graph.sandbox.faults.arm("late", seconds=40)
    with pytest.raises(requests.ReadTimeout):
        graph.post(campaign, daily_budget=12000)
    graph.sandbox.clock.advance(39)
    assert budget(graph, campaign) == "10000"
    graph.sandbox.clock.advance(1)
    assert budget(graph, campaign) == "12000"


def test_a_late_write_can_overwrite_one_that_was_sent_after_it(graph: Graph, campaign: str) -> None:
    graph.sandbox.faults.arm("late", seconds=40, answer="success")
    assert graph.post(campaign, daily_budget=12000) == {"success": True}
    graph.sandbox.clock.advance(10)
    graph.post(campaign, daily_budget=13000)
    assert budget(graph, campaign) == "13000"
    graph.sandbox.clock.advance(30)
    assert budget(graph, campaign) == "12000"


def test_applied_500_changes_the_object_and_reports_a_failure(graph: Graph, campaign: str) -> None:
    graph.sandbox.faults.arm("applied_500")
    response = graph.raw("POST", campaign, daily_budget=12000)
    assert (response.status_code, response.json()["error"]["code"]) == (500, 1)
    assert budget(graph, campaign) == "12000"


def test_lying_success_changes_nothing(graph: Graph, campaign: str) -> None:
    graph.sandbox.faults.arm("lying_success")
    assert graph.post(campaign, daily_budget=12000) == {"success": True}
    assert budget(graph, campaign) == "10000"


def test_a_refused_write_does_not_use_up_the_fault(graph: Graph, campaign: str) -> None:
    graph.sandbox.faults.arm("applied_timeout")
    assert graph.error("POST", campaign, daily_budget=1) == (100, 2238055)
    with pytest.raises(requests.ReadTimeout):
        graph.post(campaign, daily_budget=12000)


def test_stale_read_answers_from_the_past(graph: Graph, campaign: str) -> None:
    graph.post(campaign, daily_budget=12000)
    graph.sandbox.clock.advance(20)
    graph.sandbox.faults.arm("stale_read", seconds=30)
    assert budget(graph, campaign) == "10000"
    assert budget(graph, campaign) == "12000"
    assert really(graph, campaign) == 12000


def test_human_edit_between_lands_after_ours(graph: Graph, campaign: str) -> None:
    graph.sandbox.faults.arm("human_edit_between", field="daily_budget", value=7700)
    assert graph.post(campaign, daily_budget=12000) == {"success": True}
    assert budget(graph, campaign) == "7700"
    rows = graph.rows(f"{ACCOUNT}/activities", fields="application_id,actor_name,extra_data")
    assert "application_id" not in rows[0]
    assert rows[1]["application_id"] == graph.sandbox.app_id


def test_cbo_switch_moves_the_budget_before_our_write_arrives(graph: Graph, tree: dict[str, Any]) -> None:
    cups = next(row for row in tree["adsets"] if "daily_budget" in row)
    graph.sandbox.faults.arm("cbo_switch")
    assert graph.error("POST", cups["id"], daily_budget=5000) == (100, 1885621)
    assert "daily_budget" not in graph.get(cups["id"], fields="daily_budget")
    assert graph.get(cups["campaign_id"], fields="daily_budget")["daily_budget"] == "5000"


@pytest.mark.parametrize(
    ("name", "options", "status", "code", "subcode"),
    [
        ("throttle", {}, 400, 17, 2446079),
        ("throttle", {"code": 80004}, 400, 80004, 2446079),
        ("throttle", {"code": 4}, 400, 4, 1504022),
        ("throttle", {"code": 613, "subcode": 5044001}, 400, 613, 5044001),
        ("auth", {}, 400, 190, 463),
        ("auth", {"subcode": 460}, 400, 190, 460),
        ("auth", {"subcode": 0}, 400, 190, None),
        ("permission", {}, 403, 200, None),
        ("transient", {}, 500, 2, None),
        ("transient", {"code": 1, "subcode": 99}, 500, 1, 99),
        ("gone33", {}, 400, 100, 33),
        ("version_retired", {}, 400, 2635, None),
    ],
)
def test_refusals_on_demand(
    graph: Graph,
    campaign: str,
    name: str,
    options: dict[str, int],
    status: int,
    code: int,
    subcode: int | None,
) -> None:
    graph.sandbox.faults.arm(name, **options)
    response = graph.raw("GET", campaign, fields="name")
    error = response.json()["error"]
    assert (response.status_code, error["code"], error.get("error_subcode")) == (status, code, subcode)
    assert graph.raw("GET", campaign, fields="name").status_code == 200


def test_html_empty_and_odd_bodies_are_no_graph_answers(graph: Graph, campaign: str) -> None:
    graph.sandbox.faults.arm("html", status=200)
    page = graph.raw("GET", campaign)
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.text.startswith("<!DOCTYPE html>")
    graph.sandbox.faults.arm("empty")
    assert graph.raw("GET", campaign).content == b""
    graph.sandbox.faults.arm("odd_body", body={"error": None})
    assert graph.get(campaign) == {"error": None}


def test_a_truncated_answer_is_cut_json_after_the_effect(graph: Graph, campaign: str) -> None:
    graph.sandbox.faults.arm("truncated", match={"method": "POST"})
    text = graph.raw("POST", campaign, daily_budget=12000).text
    with pytest.raises(ValueError):
        json.loads(text)
    assert budget(graph, campaign) == "12000"


def test_reduce_holds_until_the_page_is_small_enough(graph: Graph) -> None:
    graph.sandbox.faults.arm("reduce", match={"edge": "insights"}, times=None, limit=2)
    wide = graph.raw("GET", f"{ACCOUNT}/insights", level="ad", limit=100)
    assert (wide.status_code, wide.json()["error"]["code"]) == (500, 1)
    assert "reduce the amount of data" in wide.json()["error"]["message"]
    assert len(graph.get(f"{ACCOUNT}/insights", level="ad", limit=2)["data"]) == 2


def test_pages_repeat_empty_out_or_lose_their_cursor(graph: Graph) -> None:
    graph.sandbox.faults.arm("dup_page")
    ids = [row["id"] for row in graph.rows(f"{ACCOUNT}/ads", limit=2)]
    assert len(ids) == 7
    assert ids[:2] == ids[2:4]
    assert len(set(ids)) == 5
    graph.sandbox.faults.arm("empty_page")
    empty = graph.get(f"{ACCOUNT}/ads", limit=2)
    assert empty["data"] == []
    assert "next" in empty["paging"]
    graph.sandbox.faults.arm("cursor_expired")
    first = graph.get(f"{ACCOUNT}/ads", limit=2)
    assert len(first["data"]) == 2
    assert graph.error("GET", f"{ACCOUNT}/ads", limit=2, after=first["paging"]["cursors"]["after"])[0] == 100


def test_answers_change_their_shape(graph: Graph, campaign: str) -> None:
    graph.sandbox.faults.arm("enum_new")
    assert graph.get(campaign, fields="effective_status")["effective_status"] == "BRAND_NEW_STATE"
    graph.sandbox.faults.arm("string_numbers")
    assert graph.get(ACCOUNT, fields="account_status")["account_status"] == "1"
    graph.sandbox.faults.arm("missing_fields", names=["name"])
    assert "name" not in graph.get(campaign, fields="name,status")
    graph.sandbox.faults.arm("odd_value", names=["daily_budget"], value="1e9")
    assert budget(graph, campaign) == "1e9"
    graph.sandbox.faults.arm("extra_fields")
    more = graph.get(campaign, fields="daily_budget")
    assert (more["daily_budget"], more["new_in_v99"]) == ("10000", {"a": [1, None, {}]})


def test_runs_fail_and_batches_lose_items(graph: Graph, campaign: str) -> None:
    graph.sandbox.faults.arm("run_failed")
    run = graph.post(f"{ACCOUNT}/insights", level="ad")["report_run_id"]
    graph.sandbox.clock.advance(60)
    assert graph.get(run)["async_status"] == "Job Failed"
    batch = json.dumps([{"method": "GET", "relative_url": campaign}] * 2)
    graph.sandbox.faults.arm("null_batch")
    assert graph.post("", batch=batch)[1] is None
    graph.sandbox.faults.arm("partial_batch")
    assert [item["code"] for item in graph.post("", batch=batch)] == [200, 500]


def test_a_match_narrows_and_times_count_down(graph: Graph, tree: dict[str, Any]) -> None:
    one, two = (row["id"] for row in tree["campaigns"])
    graph.sandbox.faults.arm("transient", match={"object_id": two}, times=2)
    assert graph.raw("GET", one).status_code == 200
    assert [graph.raw("GET", two).status_code for _ in range(3)] == [500, 500, 200]


def test_slow_drip_announces_no_length(graph: Graph, campaign: str) -> None:
    graph.sandbox.faults.arm("slow_drip")
    assert "Content-Length" not in graph.raw("GET", campaign).headers


def test_unknown_names_are_refused_and_armed_faults_survive_a_restart(tmp_path: Any) -> None:
    path = tmp_path / "world.jsonl"
    graph = make(journal_path=path)
    with pytest.raises(UnknownFault):
        graph.sandbox.faults.arm("gremlins")
    graph.sandbox.faults.arm("transient", times=2)
    assert graph.raw("GET", ACCOUNT).status_code == 500
    again = make(journal_path=path)
    assert [again.raw("GET", ACCOUNT).status_code for _ in range(2)] == [500, 200]


def test_every_fault_has_a_test_in_this_file() -> None:
    import pathlib

    text = pathlib.Path(__file__).read_text(encoding="utf-8")
    assert [name for name in NAMES if f'"{name}"' not in text] == []
