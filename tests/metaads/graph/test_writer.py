"""A write is one POST on a connection of its own, whatever comes back."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
import requests
import responses

from metaads.graph.errors import Kind
from metaads.graph.transport import Transport
from metaads.graph.writer import GraphWriter
from tests.metaads.graph.error_corpus import CASES, Case
from tests.metaads.graph.wire import SECRET, TOKEN, Script, error, http, scripted, wire


def writer(replies: Any) -> tuple[GraphWriter, Script]:
    transport, script = scripted(replies)
    return GraphWriter(transport, TOKEN), script


def test_a_change_is_one_form_post_of_absolute_minor_units() -> None:
    change, script = writer([{"success": True}])
    answer = change.update("20", {"daily_budget": 2500, "status": "ACTIVE"})
    assert answer.ok
    asked = script.asked[0]
    assert (asked.method, asked.path) == ("POST", "/v26.0/20")
    assert asked.form.items() >= {"daily_budget": "2500", "status": "ACTIVE"}.items()
    assert asked.headers["Connection"] == "close"


@pytest.mark.fault("F6")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_whatever_meta_answers_there_is_exactly_one_post(case: Case) -> None:
    change, script = writer([(case.status, case.body)])
    answer = change.update("20", {"status": "PAUSED"})
    assert answer.kind is case.kind
    assert answer.sent
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    "reply",
    [
        (502, b"<html>"),
        (500, {}),
        (200, b""),
        (200, b"<html>"),
        (200, b'{"success": tr'),
        (200, {"success": False}),
        (200, []),
        (200, {}),
        (200, {"id": "99"}),
        (200, {"data": []}),
        (200, {"error": None}),
        (302, {}),
        requests.ReadTimeout("x"),
        requests.ConnectionError("x"),
        OSError("x"),
    ],
)
def test_without_an_acknowledgement_the_fate_is_unknown_and_nothing_is_repeated(reply: Any) -> None:
    change, script = writer([reply])
    answer = change.update("20", {"status": "PAUSED"})
    assert (answer.kind, answer.sent) == (Kind.UNKNOWN, True)
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    "reply", [{"success": True}, {"success": "true"}, {"id": "20", "daily_budget": "2500"}, True]
)
def test_an_acknowledgement_is_success_or_the_objects_own_id(reply: Any) -> None:
    change, _ = writer([reply])
    assert change.update("20", {"daily_budget": 2500}).kind is Kind.OK


def test_a_connection_that_was_never_made_is_told_apart() -> None:
    change, script = writer([requests.ConnectTimeout("x")])
    answer = change.update("20", {"status": "PAUSED"})
    assert (answer.kind, answer.sent) == (Kind.TRANSIENT, False)
    assert len(script.asked) == 1


def test_on_a_real_socket_a_reset_after_the_request_is_one_request() -> None:
    def reset(connection: socket.socket, stop: threading.Event) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.close()

    with wire(reset) as server:
        answer = GraphWriter(Transport(server.address), TOKEN).update("20", {"status": "PAUSED"})
        assert (answer.kind, answer.sent) == (Kind.UNKNOWN, True)
    assert (len(server.requests), server.connections) == (1, 1)


def test_two_writes_use_two_connections_even_if_reads_keep_theirs() -> None:
    with wire(http('{"success": true}')) as server:
        transport = Transport(server.address)
        transport.request("GET", "me", token=TOKEN)
        for _ in range(2):
            assert GraphWriter(transport, TOKEN).update("20", {"status": "PAUSED"}).ok
    assert server.connections == 3


def test_a_responses_mock_sees_one_call_after_a_500() -> None:
    with responses.RequestsMock() as mock:
        mock.post(
            "https://graph.facebook.com/v26.0/20", status=500, json={"error": {"code": 2, "message": "x"}}
        )
        answer = GraphWriter(Transport("https://graph.facebook.com"), TOKEN).update(
            "20", {"status": "PAUSED"}
        )
        assert answer.kind is Kind.TRANSIENT
        assert len(mock.calls) == 1


def test_a_guards_exception_comes_out_and_nothing_is_sent() -> None:
    class TooOld(Exception):
        pass

    def guard() -> None:
        raise TooOld

    change, script = writer([{"success": True}])
    with pytest.raises(TooOld):
        change.update("20", {"status": "PAUSED"}, guard=guard)
    assert script.asked == []


@pytest.mark.parametrize("object_id", ["", "act_", "20/copies", "me", "20?x", "../20", "20 "])
def test_only_an_object_id_can_be_written_to(object_id: str) -> None:
    change, script = writer([])
    with pytest.raises(ValueError):
        change.update(object_id, {"status": "PAUSED"})
    assert script.asked == []


@pytest.mark.parametrize("value", [25.0, None, True, ["ACTIVE"], {"a": 1}])
def test_only_text_and_whole_minor_units_are_written(value: Any) -> None:
    change, script = writer([])
    with pytest.raises(TypeError):
        change.update("20", {"daily_budget": value})
    assert script.asked == []


def test_a_change_without_a_field_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        writer([])[0].update("20", {})


def test_a_budget_below_the_minimum_names_the_field_and_what_to_do() -> None:
    status, envelope = error(100, 1885272)
    envelope["error"]["error_data"] = '{"blame_field_specs":[["daily_budget"]]}'
    answer = writer([(status, envelope)])[0].update("20", {"daily_budget": 1})
    assert (answer.kind, answer.blame) == (Kind.REFUSED, ("daily_budget",))
    assert "higher budget" in answer.advice


def test_a_writer_shows_no_secret() -> None:
    change, _ = writer([])
    assert TOKEN not in repr(change)
    assert SECRET not in repr(change)
