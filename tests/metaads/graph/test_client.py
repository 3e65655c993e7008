"""Reads: tried again when that is safe and sensible, never while throttled, and in as few requests as possible."""

from __future__ import annotations

import json
import random
from datetime import date
from typing import Any

import pytest

from metaads.graph import errors
from metaads.graph.batch import Read
from metaads.graph.client import GraphClient
from metaads.graph.errors import Answer, Kind
from tests.metaads.graph.wire import SECRET, TOKEN, Asked, Script, error, scripted


def reader(replies: Any, **options: Any) -> tuple[GraphClient, Script, list[float]]:
    pauses: list[float] = []
    transport, script = scripted(replies)
    client = GraphClient(transport, TOKEN, sleep=pauses.append, random=random.Random(1), **options)
    return client, script, pauses


def test_a_node_is_read_with_the_fields_that_were_asked_for() -> None:
    client, script, _ = reader([{"id": "10", "name": "Spring"}])
    assert client.node("10", ("id", "name"), locale="en_US") == {"id": "10", "name": "Spring"}
    assert script.asked[0].query.items() >= {"fields": "id,name", "locale": "en_US"}.items()


@pytest.mark.parametrize(
    "passing", [error(2, status=500), error(1, status=500), (502, b"<html>"), (200, b'{"id'), OSError("x")]
)
def test_a_passing_problem_is_tried_again(passing: Any) -> None:
    client, script, pauses = reader([passing, passing, {"id": "10"}])
    assert client.node("10", ("id",)) == {"id": "10"}
    assert len(script.asked) == 3
    assert len(pauses) == 2
    assert 0 <= pauses[0] <= 1.0 and 0 <= pauses[1] <= 2.0


def test_a_problem_that_stays_is_raised_after_four_tries() -> None:
    client, script, pauses = reader(lambda asked: error(2, status=500))
    with pytest.raises(errors.Transient):
        client.node("10", ("id",))
    assert (len(script.asked), len(pauses)) == (4, 3)


@pytest.mark.fault("F39")
@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (error(17, 2446079), errors.Throttled),
        (error(80004, 2446079), errors.Throttled),
        (error(190, 463, status=401), errors.AuthFailed),
        (error(10, status=403), errors.NotPermitted),
        (error(100, 33), errors.Refused),
        (
            error(1, status=500, message="Please reduce the amount of data you're asking for"),
            errors.TooMuchData,
        ),
    ],
)
def test_everything_else_is_raised_at_once(reply: Any, expected: type[errors.GraphError]) -> None:
    client, script, pauses = reader(lambda asked: reply)
    with pytest.raises(expected):
        client.node("10", ("id",))
    assert (len(script.asked), pauses) == (1, [])


def test_every_attempt_is_announced_before_and_after() -> None:
    before: list[int] = []
    after: list[Kind] = []
    client, _, _ = reader(
        [error(2, status=500), {"id": "10"}],
        before_call=lambda: before.append(1),
        on_answer=lambda answer: after.append(answer.kind),
    )
    client.node("10", ("id",))
    assert len(before) == 2
    assert after == [Kind.TRANSIENT, Kind.OK]


def test_a_quota_that_is_used_up_stops_the_call_before_it_is_made() -> None:
    def full() -> None:
        raise errors.Throttled(Answer(kind=Kind.THROTTLED, retry_after=60.0))

    client, script, _ = reader([{"id": "10"}], before_call=full)
    with pytest.raises(errors.Throttled):
        client.node("10", ("id",))
    assert script.asked == []


def pages(total: int) -> Any:
    def reply(asked: Asked) -> Any:
        start, limit = int(asked.query.get("after") or 0), int(asked.query["limit"])
        end = min(total, start + limit)
        body: dict[str, Any] = {"data": [{"id": str(number)} for number in range(start, end)]}
        if end < total:
            body["paging"] = {
                "cursors": {"after": str(end)},
                "next": f"https://evil.example/?access_token={TOKEN}",
            }
        return body

    return reply


@pytest.mark.fault("F50", "F63")
def test_an_edge_streams_every_row_and_never_calls_the_next_address() -> None:
    client, script, _ = reader(pages(1201))
    found = [
        row["id"]
        for row in client.edge("act_1", "ads", fields=("id",), params={"effective_status": ["ACTIVE"]})
    ]
    assert found == [str(number) for number in range(1201)]
    assert [asked.query["limit"] for asked in script.asked] == ["500", "500", "500"]
    assert {asked.path for asked in script.asked} == {"/v26.0/act_1/ads"}
    assert all(asked.url.startswith("https://graph.facebook.com/") for asked in script.asked)
    assert script.asked[0].query["effective_status"] == '["ACTIVE"]'
    assert "after" not in script.asked[0].query


def test_a_page_that_is_too_much_is_asked_for_in_halves_by_the_client() -> None:
    serve = pages(600)

    def reply(asked: Asked) -> Any:
        if int(asked.query["limit"]) > 250:
            return error(1, status=500, message="Please reduce the amount of data you're asking for")
        return serve(asked)

    client, script, pauses = reader(reply)
    assert len(list(client.edge("act_1", "ads", fields=("id",)))) == 600
    assert [asked.query["limit"] for asked in script.asked] == ["500", "250", "250", "250"]
    assert pauses == []


def test_insights_are_asked_for_in_account_days_with_explicit_windows() -> None:
    client, script, _ = reader([{"data": []}])
    stream = client.insights(
        "act_1",
        level="ad",
        since=date(2026, 11, 1),
        until=date(2026, 11, 7),
        fields=("spend", "actions"),
        breakdowns=("age", "gender"),
        windows=("7d_click", "1d_view"),
        filtering=({"field": "ad.impressions", "operator": "GREATER_THAN", "value": 0},),
    )
    assert list(stream) == [[]]
    asked = script.asked[0]
    assert asked.path == "/v26.0/act_1/insights"
    assert json.loads(asked.query["time_range"]) == {"since": "2026-11-01", "until": "2026-11-07"}
    assert json.loads(asked.query["breakdowns"]) == ["age", "gender"]
    assert json.loads(asked.query["action_attribution_windows"]) == ["7d_click", "1d_view"]
    assert json.loads(asked.query["filtering"])[0]["operator"] == "GREATER_THAN"
    assert (
        asked.query.items()
        >= {
            "level": "ad",
            "fields": "spend,actions",
            "time_increment": "1",
            "limit": "500",
            "use_unified_attribution_setting": "true",
        }.items()
    )


@pytest.mark.parametrize("node", ["", "../me", "act_", "act_1/ads", "10?x=1", "abc", "10 "])
def test_a_node_is_an_id_and_nothing_else(node: str) -> None:
    client, script, _ = reader([])
    for call in (lambda: client.node(node, ("id",)), lambda: list(client.edge(node, "ads", fields=()))):
        with pytest.raises(ValueError):
            call()
    assert script.asked == []


# Batches


def item(body: Any, *, code: int = 200, headers: Any = ()) -> dict[str, Any]:
    return {
        "code": code,
        "headers": list(headers),
        "body": body if isinstance(body, str) else json.dumps(body),
    }


def test_a_batch_reads_in_fifties_and_answers_in_order() -> None:
    def reply(asked: Asked) -> Any:
        assert asked.method == "POST"
        return [item({"id": read["relative_url"].split("?")[0]}) for read in json.loads(asked.form["batch"])]

    client, script, _ = reader(reply)
    answers = client.batch([Read(str(number), {"fields": "id"}) for number in range(120)])
    assert [answer.body["id"] for answer in answers] == [str(number) for number in range(120)]
    sizes = [len(json.loads(asked.form["batch"])) for asked in script.asked]
    assert sizes == [50, 50, 20]
    first = json.loads(script.asked[0].form["batch"])[0]
    assert first == {"method": "GET", "relative_url": "0?fields=id"}


def test_items_without_an_answer_are_read_again() -> None:
    rounds = [[None, item({"id": "1"}), None], [item({"id": "0"}), None], [item({"id": "2"})]]
    client, script, _ = reader(list(rounds))
    answers = client.batch([Read(str(number)) for number in range(3)])
    assert [answer.body["id"] for answer in answers] == ["0", "1", "2"]
    assert [len(json.loads(asked.form["batch"])) for asked in script.asked] == [3, 2, 1]


def test_an_item_that_never_comes_is_unknown_and_the_others_stand() -> None:
    client, script, _ = reader(
        lambda asked: [item({"id": "0"}), None][-len(json.loads(asked.form["batch"])) :]
    )
    answers = client.batch([Read("0"), Read("1")])
    assert [answer.kind for answer in answers] == [Kind.OK, Kind.UNKNOWN]
    assert len(script.asked) == 3


def test_each_item_is_judged_by_itself_with_its_own_headers() -> None:
    usage = {"name": "X-Business-Use-Case-Usage", "value": '{"1":[{"type":"ads_management","call_count":2}]}'}
    client, _, _ = reader(
        [
            [
                item({"id": "1"}, headers=[usage, None, {"name": 1}]),
                item({"error": {"code": 190, "error_subcode": 463, "message": "x"}}, code=401),
                item("<html>", code=502),
                item({"id": "1"}, code=500),
                "garbage",
                {"code": "200", "body": "{}"},
                {"code": 200, "body": None},
            ]
        ]
    )
    answers = client.batch([Read(str(number)) for number in range(7)])
    assert [answer.kind for answer in answers] == [Kind.OK, Kind.AUTH] + [Kind.UNKNOWN] * 5
    assert "x-business-use-case-usage" in answers[0].headers


@pytest.mark.parametrize("method", ["POST", "DELETE", "get", ""])
def test_a_batch_that_would_write_is_refused_before_anything_is_sent(method: str) -> None:
    client, script, _ = reader([])
    with pytest.raises(ValueError, match="only reads"):
        client.batch([Read("10"), Read("20", {"daily_budget": 1}, method=method)])
    assert script.asked == []


@pytest.mark.parametrize(
    "path", ["", "10?method=delete", "a&b", "../x", "https://evil.example", "a b", "{result=x:$.id}"]
)
def test_a_batch_item_is_a_plain_path(path: str) -> None:
    client, script, _ = reader([])
    with pytest.raises(ValueError):
        client.batch([Read(path)])
    assert script.asked == []


@pytest.mark.parametrize("body", [{"id": "1"}, [], [None, None], "x"])
def test_a_batch_answer_of_the_wrong_shape_is_unknown(body: Any) -> None:
    client, _, _ = reader(lambda asked: body)
    with pytest.raises(errors.Unknown):
        client.batch([Read("10")])


def test_a_throttled_batch_is_raised_as_such() -> None:
    client, script, _ = reader(lambda asked: error(17, 2446079))
    with pytest.raises(errors.Throttled):
        client.batch([Read("10")])
    assert len(script.asked) == 1


def test_a_throttled_item_stops_the_batches_that_would_follow() -> None:
    def reply(asked: Asked) -> Any:
        reads = json.loads(asked.form["batch"])
        return [
            item({"error": {"code": 17, "error_subcode": 2446079, "message": "x"}}, code=400) for _ in reads
        ]

    client, script, _ = reader(reply)
    answers = client.batch([Read(str(number)) for number in range(60)])
    assert len(script.asked) == 1
    assert {answer.kind for answer in answers} == {Kind.THROTTLED}
    assert [answer.sent for answer in answers] == [True] * 50 + [False] * 10


def test_every_item_of_a_batch_counts_as_a_call() -> None:
    before: list[int] = []
    after: list[Kind] = []
    client, _, _ = reader(
        [[item({"id": "1"}), item({"error": {"code": 10, "message": "x"}}, code=403)]],
        before_call=lambda: before.append(1),
        on_answer=lambda answer: after.append(answer.kind),
    )
    client.batch([Read("1"), Read("2")])
    assert len(before) == 2
    assert after == [Kind.OK, Kind.NOT_PERMITTED]


def test_nothing_to_read_sends_nothing() -> None:
    client, script, _ = reader([])
    assert client.batch([]) == []
    assert script.asked == []


def test_a_client_shows_no_secret() -> None:
    client, _, _ = reader([])
    assert TOKEN not in repr(client)
    assert SECRET not in repr(client)
