"""One request, one answer: what goes on the wire, what may not, and what every trouble on the way becomes."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import io
import json
import logging
import socket
import threading
from typing import Any

import pytest
import requests
import responses

from metaads.graph.errors import Kind
from metaads.graph.transport import Transport, encode
from tests.metaads.graph.wire import SECRET, TOKEN, Script, http, respond, scripted, session_on, wire

OK = http('{"id": "1"}')
PROOF = hmac.new(SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()


def at(address: str, **options: Any) -> Transport:
    return Transport(address, app_id="1", app_secret=SECRET, **options)


# What goes on the wire


def test_the_token_travels_in_the_header_and_its_proof_beside_it() -> None:
    transport, script = scripted([{"id": "1"}])
    transport.request("GET", "me", token=TOKEN, params={"fields": "id"})
    asked = script.asked[0]
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
    assert asked.query == {"fields": "id", "appsecret_proof": PROOF}
    assert TOKEN not in asked.url
    assert asked.path == "/v26.0/me"


def test_the_proof_of_a_post_travels_in_its_body() -> None:
    transport, script = scripted([{"success": True}])
    transport.request("POST", "20", token=TOKEN, data={"daily_budget": 2500})
    assert script.asked[0].form == {"daily_budget": "2500", "appsecret_proof": PROOF}
    assert script.asked[0].query == {}


def test_without_an_app_secret_there_is_no_proof() -> None:
    transport, script = scripted([{"id": "1"}], app_secret="")
    transport.request("GET", "me", token=TOKEN)
    assert script.asked[0].query == {}


def test_the_version_is_one_argument_and_every_call_follows_it() -> None:
    transport, script = scripted([{"id": "1"}, []], version="v18.0")
    transport.request("GET", "act_1/campaigns", token=TOKEN)
    transport.request("POST", "", token=TOKEN, data={"batch": "[]"})
    assert [asked.path for asked in script.asked] == ["/v18.0/act_1/campaigns", "/v18.0/"]


def test_nothing_that_v26_removed_is_sent() -> None:
    transport, script = scripted([{"id": "1"}])
    transport.request("GET", "1", token=TOKEN)
    assert not {"if-none-match", "if-modified-since"} & {name.lower() for name in script.asked[0].headers}
    assert not {"ids", "date_format", "pretty", "debug", "access_token"} & script.asked[0].query.keys()


def test_parameters_are_written_as_meta_reads_them() -> None:
    assert encode({"a": ["X", "Y"], "b": {"k": 1}, "c": True, "d": 5, "e": "text", "f": None}) == {
        "a": '["X","Y"]',
        "b": '{"k":1}',
        "c": "true",
        "d": "5",
        "e": "text",
    }


def test_a_float_never_reaches_the_wire() -> None:
    with pytest.raises(TypeError):
        encode({"daily_budget": 50.1})


def test_a_netrc_file_never_replaces_the_token(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine graph.facebook.com login x password y\n")
    monkeypatch.setenv("NETRC", str(netrc))
    transport, script = scripted([{"id": "1"}, {"id": "1"}])
    transport.request("GET", "me", token=TOKEN)
    transport.request("GET", "me", token=None)
    assert script.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert "Authorization" not in script.asked[1].headers


def test_a_proxy_of_the_environment_never_sees_a_plain_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with wire(OK) as proxy, wire(OK) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.address)
        monkeypatch.setenv("http_proxy", proxy.address)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert at(server.address).request("GET", "me", token=TOKEN).ok
    assert (proxy.connections, server.connections) == (0, 1)


def test_several_requests_in_flight_do_not_mix() -> None:
    with wire(OK) as server:
        transport = at(server.address)
        refused: list[int] = []

        def guard() -> None:
            raise TooLate

        def write(number: int) -> None:
            try:
                transport.request("POST", str(number), token=TOKEN, data={"a": 1}, guard=guard, fresh=True)
            except TooLate:
                refused.append(number)

        def read(number: int) -> None:
            assert transport.request("GET", str(number), token=TOKEN).ok

        threads = [threading.Thread(target=(write, read)[number % 2], args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=10)
    assert sorted(refused) == list(range(0, 16, 2))
    assert {request.split(b" ")[0] for request in server.requests} == {b"GET"}
    assert len(server.requests) == 8


# What may not


@pytest.mark.fault("F50")
@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example",
        "http://graph.facebook.com",
        "ftp://127.0.0.1",
        "https://graph.facebook.com@evil.example",
        "https://graph.facebook.com/x",
        "//graph.facebook.com",
        "https://user:pw@graph.facebook.com",
        "nothing",
        "https://graph.facebook.com.evil.example",
        "https://graph.facebook.com?x=1",
    ],
)
def test_only_listed_hosts_are_called_and_plain_http_only_on_this_machine(address: str) -> None:
    with pytest.raises(ValueError):
        Transport(address)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8010", "http://localhost:8010", "http://[::1]:8010"])
def test_a_sandbox_on_this_machine_may_be_plain_http(address: str) -> None:
    assert Transport(address).base_url == address


def test_a_sandbox_elsewhere_has_to_be_named() -> None:
    assert (
        Transport("http://sandbox:8010", plain_http_hosts=frozenset({"sandbox"})).base_url
        == "http://sandbox:8010"
    )
    with pytest.raises(ValueError):
        Transport("http://sandbox:8010", allowed_hosts=frozenset({"sandbox"}))


@pytest.mark.parametrize("path", ["../me", "a/../b", "https://evil.example/x", "//evil.example", "me?x=1", "me#x",
    "a b", "a\r\nHost: x", "a//b", "%2e%2e", "a@b", "ä"])  # fmt: skip
def test_a_path_cannot_lead_elsewhere(path: str) -> None:
    transport, script = scripted([{"id": "1"}])
    if path == "//evil.example":  # stripped: it becomes a plain (missing) node of the same host
        transport.request("GET", path, token=TOKEN)
        assert script.asked[0].url.startswith("https://graph.facebook.com/v26.0/evil.example")
        return
    with pytest.raises(ValueError):
        transport.request("GET", path, token=TOKEN)
    assert script.asked == []


@pytest.mark.parametrize("version", ["26", "v26", "v26.0/../x", "", "V26.0"])
def test_a_version_looks_like_one(version: str) -> None:
    with pytest.raises(ValueError):
        Transport("https://graph.facebook.com", version)


@pytest.mark.parametrize("token", ["a b", "abc\r\nX-Evil: 1", "", "tokén", "x" * 5000])
def test_a_malformed_token_is_an_auth_answer_and_nothing_is_sent(token: str) -> None:
    transport, script = scripted([])
    answer = transport.request("GET", "me", token=token)
    assert (answer.kind, answer.sent, answer.definite) == (Kind.AUTH, False, False)
    assert script.asked == []


@pytest.mark.fault("F50")
def test_a_redirect_is_not_followed() -> None:
    with responses.RequestsMock() as mock:
        mock.get(
            "https://graph.facebook.com/v26.0/me", status=302, headers={"Location": "https://evil.example/"}
        )
        answer = Transport("https://graph.facebook.com").request("GET", "me", token=TOKEN)
        assert (answer.kind, answer.rule) == (Kind.UNKNOWN, "redirect")
        assert len(mock.calls) == 1


# What trouble becomes


@pytest.mark.parametrize(
    ("trouble", "sent", "kind"),
    [
        (requests.ConnectTimeout("https://x?access_token=CANARY"), False, Kind.TRANSIENT),
        (requests.ReadTimeout("https://x?access_token=CANARY"), True, Kind.UNKNOWN),
        (requests.ConnectionError("https://x?access_token=CANARY"), True, Kind.UNKNOWN),
        (requests.exceptions.ChunkedEncodingError("CANARY"), True, Kind.UNKNOWN),
        (requests.exceptions.SSLError("CANARY"), True, Kind.UNKNOWN),
        (requests.exceptions.ProxyError("CANARY"), True, Kind.UNKNOWN),
        (requests.exceptions.InvalidHeader("CANARY"), True, Kind.UNKNOWN),
        (OSError("CANARY"), True, Kind.UNKNOWN),
        (TimeoutError("CANARY"), True, Kind.UNKNOWN),
    ],
)
def test_trouble_is_an_answer_without_its_address(trouble: Exception, sent: bool, kind: Kind) -> None:
    transport, _ = scripted([trouble])
    answer = transport.request("GET", "me", token=TOKEN)
    assert (answer.kind, answer.sent, answer.status) == (kind, sent, 0)
    assert "CANARY" not in repr(answer)


def test_a_closed_port_is_known_not_to_have_received_anything() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    answer = at(f"http://127.0.0.1:{port}").request("POST", "20", token=TOKEN, data={"status": "PAUSED"})
    assert (answer.kind, answer.rule, answer.sent) == (Kind.TRANSIENT, "not_connected", False)


def test_a_failed_tls_handshake_is_known_not_to_have_sent_anything() -> None:
    with wire(http("x")) as server:
        # The server speaks plain HTTP; the client hello is all that it ever sees.
        address = server.address.replace("http://", "https://")
        answer = at(address, connect_timeout=0.3).request(
            "POST", "20", token=TOKEN, data={"status": "PAUSED"}
        )
        assert (answer.kind, answer.sent) == (Kind.TRANSIENT, False)
        assert server.requests == []


def test_a_connection_closed_after_the_request_is_unknown() -> None:
    with wire(lambda connection, stop: connection.close()) as server:
        answer = at(server.address).request("POST", "20", token=TOKEN, data={"status": "PAUSED"})
        assert (answer.kind, answer.sent) == (Kind.UNKNOWN, True)
        assert len(server.requests) == 1


@pytest.mark.fault("F35")
@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b'{"id":',
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 999 What\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_broken_answer_is_unknown_and_sent_once(raw: bytes) -> None:
    def script(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(raw)
        connection.close()

    with wire(script) as server:
        answer = at(server.address).request("POST", "20", token=TOKEN, data={"status": "PAUSED"})
        assert (answer.kind, answer.sent) == (Kind.UNKNOWN, True)
        assert len(server.requests) == 1


@pytest.mark.fault("F51")
def test_a_read_that_stalls_times_out() -> None:
    with wire(lambda connection, stop: stop.wait(5) and None) as server:
        answer = at(server.address, read_timeout=0.2).request("GET", "me", token=TOKEN)
        assert (answer.kind, answer.rule) == (Kind.UNKNOWN, "timed_out")


@pytest.mark.fault("F35")
def test_a_body_over_the_cap_is_dropped() -> None:
    transport, _ = scripted([b'{"data": "' + b"x" * 300_000 + b'"}'], max_body=200_000)
    answer = transport.request("GET", "me", token=TOKEN)
    assert (answer.kind, answer.rule) == (Kind.UNKNOWN, "body_too_large")


class Endless(io.RawIOBase):
    """100 MB that are made as they are read."""

    def __init__(self) -> None:
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), 100_000_000 - self.given)
        self.given += size
        buffer[:size] = b" " * size
        return size


@pytest.mark.fault("F35")
def test_of_100_megabytes_no_more_than_the_cap_is_read_or_held() -> None:
    body = Endless()

    class Adapter(Script):
        def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
            return respond(request, body, status=200, headers={})

    answer = Transport("https://graph.facebook.com", session=session_on(Adapter([]))).request(
        "GET", "me", token=TOKEN
    )
    assert (answer.kind, answer.rule) == (Kind.UNKNOWN, "body_too_large")
    assert body.given <= 33 * 1024 * 1024


@pytest.mark.fault("F35")
def test_a_gzip_bomb_is_cut_at_the_cap() -> None:
    bomb = gzip.compress(b" " * 200_000_000)
    transport, _ = scripted([(200, bomb, {"Content-Encoding": "gzip"})], max_body=1_000_000)
    answer = transport.request("GET", "me", token=TOKEN)
    assert answer.rule == "body_too_large"


def test_a_gzipped_answer_is_read() -> None:
    transport, _ = scripted([(200, gzip.compress(b'{"id":"7"}'), {"Content-Encoding": "gzip"})])
    assert transport.request("GET", "me", token=TOKEN).body == {"id": "7"}


# The deadline


class Drip(io.RawIOBase):
    """A body that comes a little at a time, each piece costing a second on the injected clock."""

    def __init__(self, clock: list[float]) -> None:
        self._clock = clock
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._clock[0] += 1.0
        self.given += 1
        buffer[0:4096] = b"x" * len(buffer[0:4096])
        return min(4096, len(buffer))


@pytest.mark.fault("F35", "F51")
def test_a_drip_that_never_pauses_long_enough_to_time_out_ends_at_the_total_deadline() -> None:
    clock = [0.0]
    drip = Drip(clock)

    class Adapter(Script):
        def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
            return respond(request, drip, status=200, headers={})

    transport = Transport(
        "https://graph.facebook.com",
        session=session_on(Adapter([])),
        clock=lambda: clock[0],
        total_deadline=30.0,
    )
    answer = transport.request("GET", "me", token=TOKEN)
    assert (answer.kind, answer.rule, answer.status) == (Kind.UNKNOWN, "deadline_passed", 200)
    assert drip.given < 100


@pytest.mark.fault("F51")
@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_the_watchdog_cuts_a_server_that_drips_headers_or_body(start: bytes) -> None:
    def script(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(start)
        for _ in range(2000):
            connection.sendall(b"x")
            if stop.wait(0.01):
                return

    with wire(script) as server:
        answer = at(server.address, total_deadline=0.3).request("GET", "me", token=TOKEN)
        assert (answer.kind, answer.rule, answer.sent) == (Kind.UNKNOWN, "deadline_passed", True)


# Connections and the guard


def test_reads_share_a_connection_and_writes_do_not() -> None:
    with wire(OK) as server:
        transport = at(server.address)
        for _ in range(3):
            assert transport.request("GET", "me", token=TOKEN).ok
        assert server.connections == 1
        for _ in range(2):
            assert transport.request("POST", "20", token=TOKEN, data={"a": 1}, fresh=True).ok
        assert server.connections == 3
        assert b"Connection: close" in server.requests[-1]


def test_a_transport_without_keep_alive_opens_a_connection_for_each_call() -> None:
    with wire(OK) as server:
        transport = at(server.address, keep_alive=False)
        assert [transport.request("GET", "me", token=TOKEN).ok for _ in range(3)] == [True] * 3
        assert server.connections == 3


class TooLate(OSError):
    """What a guard raises; an OSError on purpose, which urllib3 would take for its own."""


def test_a_guard_that_says_no_after_connecting_keeps_every_byte_back() -> None:
    calls: list[int] = []

    def guard() -> None:
        calls.append(1)
        if len(calls) > 1:
            raise TooLate("the attempt is too old")

    with wire(OK) as server, pytest.raises(TooLate, match="too old"):
        at(server.address).request("POST", "20", token=TOKEN, data={"a": 1}, guard=guard, fresh=True)
    assert server.connections == 1
    assert server.requests == []


def test_a_guard_that_says_no_at_once_opens_no_connection() -> None:
    def guard() -> None:
        raise TooLate("no")

    with wire(OK) as server, pytest.raises(TooLate):
        at(server.address).request("POST", "20", token=TOKEN, data={"a": 1}, guard=guard)
    assert server.connections == 0


def test_a_guard_that_agrees_changes_nothing() -> None:
    with wire(OK) as server:
        assert at(server.address).request("POST", "20", token=TOKEN, data={"a": 1}, guard=lambda: None).ok
        assert len(server.requests) == 1


# Throttles


def test_a_throttle_waits_as_long_as_the_usage_header_says_in_minutes() -> None:
    header = {"1": [{"type": "ads_management", "call_count": 100, "estimated_time_to_regain_access": 17}]}
    envelope = {"error": {"code": 80004, "error_subcode": 2446079, "message": "x"}}
    transport, _ = scripted([(400, envelope, {"X-Business-Use-Case-Usage": json.dumps(header)})])
    answer = transport.request("GET", "me", token=TOKEN)
    assert (answer.kind, answer.retry_after) == (Kind.THROTTLED, 17 * 60.0)


# Nothing leaks


def test_no_log_line_and_no_repr_holds_token_proof_or_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = json.dumps(
        {"error": {"code": 190, "message": f"bad {TOKEN} {PROOF} {SECRET}", "error_user_msg": TOKEN}}
    )
    with wire(http(echo, status="400 Bad Request")) as server:
        transport = at(server.address)
        answer = transport.request(
            "GET",
            "oauth/access_token",
            token=TOKEN,
            secret_params={"client_secret": SECRET, "code": "canary-code"},
        )
        assert b"client_secret=canary" in server.requests[0]
    assert answer.kind is Kind.AUTH
    shown = f"{caplog.text} {answer!r} {transport!r}"
    assert "oauth/access_token" in caplog.text
    for secret in (TOKEN, PROOF, SECRET, "canary-code"):
        assert secret not in shown
