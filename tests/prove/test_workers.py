"""A real Celery worker with PostgreSQL and a Redis of its own, in the middle of a request, and what befalls it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.prove.grid import Lane
from tests.prove.stage import LEFT, staged

pytestmark = [pytest.mark.prove, pytest.mark.postgres, pytest.mark.redis]


def children(pid: int) -> list[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, check=True, text=True
    )
    return [int(line) for line in found.stdout.split()]


@pytest.mark.fault("F101")
def test_a_worker_that_is_told_to_end_finishes_its_request_and_takes_no_other(
    lane: Lane, tmp_path: Path
) -> None:
    with staged(lane, tmp_path) as (stage, worker):
        stage.in_the_middle()
        worker.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert worker.poll() is None, "it waits for Meta's answer"
        waiting = stage.waiting
        stage.send("campaigns.tasks.sweep")
        stage.gate.open.set()
        assert worker.wait(40) == 0
        assert stage.state == "ACKED" and stage.gate.writes == 1
        assert stage.ask(LEFT) == (1,) and stage.ask(
            "SELECT outcome FROM campaigns_attempt ORDER BY n DESC"
        ) == ("ok",)
        assert stage.waiting > waiting, "left for the worker that comes next"


@pytest.mark.fault("F100")
def test_a_child_that_the_kernel_kills_is_found_and_its_request_is_not_sent_again(
    lane: Lane, tmp_path: Path
) -> None:
    with staged(lane, tmp_path) as (stage, worker):
        stage.in_the_middle()
        for child in children(worker.pid):
            os.kill(child, signal.SIGKILL)
        stage.gate.open.set()
        stage.swept("UNKNOWN", every=20)
        stage.swept("APPLIED", every=20)
        assert worker.poll() is None and stage.gate.writes == 1
        assert stage.ask(LEFT) == (1,)


@pytest.mark.fault("F102")
def test_messages_of_another_version_harm_no_worker_and_no_message_behind_them(
    lane: Lane, tmp_path: Path
) -> None:
    with staged(lane, tmp_path) as (stage, worker):
        stage.send("campaigns.tasks.no_longer_there", 7)
        stage.send("campaigns.tasks.advance", "an id", "and more", "than it takes")
        stage.send("campaigns.tasks.advance", kwargs={"change": {"an": "older schema"}})
        stage.in_the_middle()
        stage.gate.open.set()
        stage.swept("APPLIED", every=4)
        assert worker.poll() is None and stage.gate.writes == 1
        worker.send_signal(signal.SIGTERM)
        said = worker.communicate(timeout=40)[0]
        assert "no_longer_there" in said, "and it is told"
