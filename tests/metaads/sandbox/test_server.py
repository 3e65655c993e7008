"""The sandbox on a real port: as a server in a thread, and as ``manage.py graph_sandbox`` in a process of its own."""

from __future__ import annotations

import json
import pathlib
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from metaads.sandbox.app import serve
from tests.metaads.sandbox.conftest import ACCOUNT, Graph, make

ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture
def served() -> Iterator[tuple[Graph, str]]:
    """A tiny world on a free port; an unanswered call closes after a fifth of a second."""
    graph = make()
    server = serve(graph.sandbox, port=0, silence=0.2)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield graph, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_reads_and_pages_over_a_socket(served: tuple[Graph, str]) -> None:
    graph, base = served
    first = requests.get(
        f"{base}/v26.0/{ACCOUNT}/ads", params={"access_token": graph.token, "limit": 3}, timeout=5
    ).json()
    second = requests.get(first["paging"]["next"], timeout=5).json()
    assert len(first["data"] + second["data"]) == 5


def test_silence_holds_the_socket_and_then_closes_it_without_an_answer(served: tuple[Graph, str]) -> None:
    graph, base = served
    campaign = graph.rows(f"{ACCOUNT}/campaigns")[0]["id"]
    graph.sandbox.faults.arm("applied_timeout", times=2)
    params = {"access_token": graph.token, "daily_budget": 12000}
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{base}/v26.0/{campaign}", data=params, timeout=0.05)
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{base}/v26.0/{campaign}", data=params, timeout=5)
    assert graph.get(campaign, fields="daily_budget")["daily_budget"] == "12000"


def test_many_readers_at_once_get_the_same_answer(served: tuple[Graph, str]) -> None:
    graph, base = served
    answers: list[str] = []

    def read() -> None:
        answers.append(
            requests.get(
                f"{base}/v26.0/{ACCOUNT}/insights",
                params={"access_token": graph.token, "level": "ad"},
                timeout=20,
            ).text
        )

    threads = [threading.Thread(target=read) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == 12
    assert len(set(answers)) == 1


def start(*args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "graph_sandbox", *args],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def line_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    text = process.stdout.readline()
    assert text, process.communicate(timeout=20)[1]
    return dict(json.loads(text))


def test_the_command_prints_one_line_answers_and_ends_on_a_signal(tmp_path: pathlib.Path) -> None:
    args = ("--port", "0", "--world", "tiny", "--journal", str(tmp_path))
    process = start(*args)
    try:
        line = line_of(process)
        assert set(line) == {"port", "version", "access_token", "ad_accounts", "app_id", "app_secret"}
        base = f"http://127.0.0.1:{line['port']}"
        params = {"access_token": line["access_token"]}
        campaign = requests.get(f"{base}/v26.0/{ACCOUNT}/campaigns", params=params, timeout=10).json()[
            "data"
        ][0]["id"]
        requests.post(f"{base}/v26.0/{campaign}", data=params | {"name": "Kept"}, timeout=10)
        busy = start("--port", str(line["port"]), "--world", "tiny")
        _out, why = busy.communicate(timeout=30)
        assert busy.returncode == 1
        assert str(line["port"]) in why
        assert "Traceback" not in why
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")
    again = start(*args)
    try:
        line = line_of(again)
        base = f"http://127.0.0.1:{line['port']}"
        read = requests.get(f"{base}/v26.0/{campaign}", params=params | {"fields": "name"}, timeout=10).json()
        assert read["name"] == "Kept"
    finally:
        again.send_signal(signal.SIGINT)
        again.communicate(timeout=20)
    assert again.returncode == 0


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("--world", "atlantis"), "demo, many, runaway, tiny"),
        (("--world", "csv:/no/such.csv"), "/no/such.csv"),
        (("--speed", "0"), "speed"),
    ],
)
def test_wrong_arguments_end_with_a_sentence_and_code_one(args: tuple[str, ...], what: str) -> None:
    process = start("--port", "0", *args)
    _out, why = process.communicate(timeout=30)
    assert process.returncode == 1
    assert what in why
    assert "Traceback" not in why


def test_a_port_is_free_again_after_the_end() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = serve(make().sandbox, port=port)
    with pytest.raises(OSError):
        serve(make().sandbox, port=port)
    server.server_close()
    serve(make().sandbox, port=port).server_close()
