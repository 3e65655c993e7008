"""Asynchronous reports: started once, believed only when finished, read in pages."""

from __future__ import annotations

from typing import Any

import pytest

from metaads.graph import errors, report_runs
from metaads.graph.errors import Answer, Kind
from metaads.graph.report_runs import RunState
from tests.metaads.graph.wire import TOKEN, error, scripted

QUESTION: dict[str, Any] = {"level": "ad", "since": "2026-08-01", "until": "2026-10-31", "fields": ("spend",)}


@pytest.mark.parametrize("run_id", ["6023920149050", 6023920149050])
def test_a_report_is_started_with_one_post(run_id: Any) -> None:
    transport, script = scripted([{"report_run_id": run_id}])
    assert report_runs.start(transport, TOKEN, "act_1", **QUESTION) == "6023920149050"
    asked = script.asked[0]
    assert (asked.method, asked.path) == ("POST", "/v26.0/act_1/insights")
    assert asked.form.items() >= {"level": "ad", "fields": "spend", "time_increment": "1"}.items()
    assert asked.form["time_range"] == '{"since":"2026-08-01","until":"2026-10-31"}'


@pytest.mark.parametrize(
    "body", [{}, {"report_run_id": None}, {"report_run_id": True}, {"report_run_id": "x/../y"}, []]
)
def test_a_start_without_a_run_id_is_unknown(body: Any) -> None:
    transport, script = scripted([body])
    with pytest.raises(errors.Unknown):
        report_runs.start(transport, TOKEN, "act_1", **QUESTION)
    assert len(script.asked) == 1


def run(**body: Any) -> Answer:
    return Answer(kind=Kind.OK, status=200, body={"id": "777", **body})


@pytest.mark.fault("F57")
@pytest.mark.parametrize(
    ("words", "percent", "expected"),
    [
        ("Job Not Started", 0, "waiting"),
        ("Job Started", 0, "waiting"),
        ("Job Running", 55, "waiting"),
        ("Job Running", 100, "waiting"),
        ("Job Completed", 99, "waiting"),
        ("Job Completed", None, "waiting"),
        ("Job Completed", 100, "done"),
        ("Job Completed", "100", "done"),
        ("Job Failed", 100, "failed"),
        ("Job Skipped", 0, "skipped"),
        ("Job Something New", 100, "waiting"),
    ],
)
def test_a_run_is_done_only_with_both_words_and_percent(words: str, percent: Any, expected: str) -> None:
    state = report_runs.state_of(run(async_status=words, async_percent_completion=percent), age_seconds=5)
    assert state.status == expected
    assert bool(state.error) == (expected in ("failed", "skipped"))


def test_a_failed_run_says_why() -> None:
    answer = run(async_status="Job Failed", async_percent_completion=40, error_code=-3, error_subcode="1504045",
                 error_message="too large", error_user_msg="Choose fewer days")  # fmt: skip
    assert report_runs.state_of(answer, age_seconds=5) == RunState(
        "failed", 40, "Choose fewer days", -3, 1504045
    )


def test_a_fresh_run_that_meta_does_not_know_yet_is_waiting_and_an_old_one_is_missing() -> None:
    transport, _ = scripted([error(100, 33), error(100, 33)])
    assert report_runs.poll(transport, TOKEN, "777", age_seconds=3) == RunState("waiting", 0)
    with pytest.raises(errors.Refused):
        report_runs.poll(transport, TOKEN, "777", age_seconds=120)


@pytest.mark.parametrize("body", [{}, {"async_status": None}, {"async_status": 5}, []])
def test_a_poll_without_a_status_is_unknown(body: Any) -> None:
    transport, _ = scripted([body])
    with pytest.raises(errors.Unknown):
        report_runs.poll(transport, TOKEN, "777", age_seconds=3)


def test_a_finished_run_is_read_in_pages() -> None:
    transport, script = scripted(
        [
            {"data": [{"spend": "1"}], "paging": {"cursors": {"after": "MAZDZD"}, "next": "https://x"}},
            error(1, status=500, message="Please reduce the amount of data you're asking for"),
            {"data": [{"spend": "2"}]},
        ]
    )
    assert list(report_runs.read(transport, TOKEN, "777")) == [[{"spend": "1"}], [{"spend": "2"}]]
    assert [(asked.query["limit"], asked.query.get("after")) for asked in script.asked] == [
        ("500", None),
        ("500", "MAZDZD"),
        ("250", "MAZDZD"),
    ]


@pytest.mark.parametrize("run_id", ["", "act_1", "7/insights", "me"])
def test_a_run_is_named_by_digits(run_id: str) -> None:
    transport, script = scripted([])
    for call in (
        lambda: report_runs.poll(transport, TOKEN, run_id, age_seconds=0),
        lambda: list(report_runs.read(transport, TOKEN, run_id)),
    ):
        with pytest.raises(ValueError):
            call()
    assert script.asked == []
