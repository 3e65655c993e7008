"""A real Celery worker with PostgreSQL and a Redis of its own, in the middle of a request, and what befalls it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from celery import Celery

from tests.processes import free_port, started
from tests.prove.grid import BUDGET, Lane, opened

pytestmark = [pytest.mark.prove, pytest.mark.postgres, pytest.mark.redis]


#: Attempts that left; on a slow machine the send guard keeps one back now and then, which is tried again.
LEFT = "SELECT count(*) FROM campaigns_attempt WHERE outcome <> 'not_sent'"


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    with opened("postgres", tmp_path_factory.mktemp("workers"), count=1) as made:
        yield made[0]


class Gate:
    """The sandbox, which keeps each write waiting until it is let through."""

    def __init__(self, lane: Lane) -> None:
        self.box, self.path = lane.box, f"/{lane.object}"
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"].endswith(self.path):
            self.entered.set()
            self.open.wait(30)
        return self.box(environ, start_response)

    @property
    def writes(self) -> int:
        return sum(line["method"] == "POST" and line["path"] == self.path[1:] for line in self.box.history)


class Stage:
    """One change of one lane, its worker, its Redis, and what a test does with them."""

    def __init__(self, lane: Lane, folder: Path) -> None:
        self.lane, self.folder, self.port = lane, folder, free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        # Not the current app: tasks of the product would be sent to this broker, also after it has gone.
        self.broker = Celery(broker=self.url, set_as_current=False)
        self.broker.conf.broker_connection_retry_on_startup = True
        self.gate = Gate(lane)
        self.redis = self.start_redis()

    def start_redis(self) -> subprocess.Popen[bytes]:
        command = ["redis-server", "--port", str(self.port), "--save", "", "--dir", str(self.folder)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(lambda: answers(self.url), "Redis does not start")
        return process

    def send(self, task: str, *args: Any, **more: Any) -> None:
        self.broker.send_task(task, args=args, queue="control", **more)

    def ask(self, statement: str) -> Any:
        with psycopg.connect(self.lane.postgres) as database:
            return database.execute(statement.encode()).fetchone()

    @property
    def state(self) -> str:
        return str(self.ask("SELECT state FROM campaigns_change")[0])

    def swept(self, goal: str, *, every: float) -> None:
        """What beat does: a message now and then, until the change is there. Time goes on when the worker is done."""
        for _ in range(40):
            self.send("campaigns.tasks.sweep")
            end = time.monotonic() + 3
            while self.waiting and time.monotonic() < end and self.state != goal:
                time.sleep(0.05)
            for _ in range(5):
                if self.state == goal:
                    return
                time.sleep(0.1)
            self.lane.clock.advance(every)
        raise AssertionError(f"it is still {self.state}, and not {goal}")

    @property
    def waiting(self) -> int:
        return int(redis.Redis.from_url(self.url).llen("control"))  # type: ignore[arg-type]

    def in_the_middle(self) -> None:
        """The request has left and Meta has not answered."""
        plan = {"do": "live", "object": self.lane.object, "field": BUDGET, "target": "120", "rounds": 0}
        self.lane._order(**plan, database=self.lane.postgres.rsplit("/", 1)[1])
        self.swept("SENDING", every=4)
        assert self.gate.entered.wait(20) and self.gate.writes == 0


def until(what: Callable[[], Any], why: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, why
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        return bool(redis.Redis.from_url(url, socket_timeout=2).ping())
    except redis.RedisError:
        return False


@contextmanager
def staged(lane: Lane, folder: Path) -> Iterator[tuple[Stage, subprocess.Popen[str]]]:
    lane._anew()
    stage = Stage(lane, folder)
    lane.box = stage.gate  # type: ignore[assignment]
    environ = {**lane.environ, "REDIS_URL": stage.url}
    try:
        with (
            lane._database(),
            started(environ, "-m", "tests.prove.worker", str(lane.folder / "clock")) as worker,
        ):
            yield stage, worker
            stage.gate.open.set()
    finally:
        stage.gate.open.set()
        stage.redis.kill()
        stage.redis.wait(10)


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


TROUBLES: dict[str, tuple[Callable[[Stage], object], Callable[[Stage], object]]] = {
    "flushed": (lambda stage: redis.Redis.from_url(stage.url).flushall(), lambda stage: None),
    "killed": (lambda stage: (stage.redis.kill(), stage.redis.wait(10)), lambda stage: None),
}


@pytest.mark.fault("F95", "F96")
@pytest.mark.parametrize("trouble", TROUBLES)
def test_redis_in_trouble_loses_and_doubles_nothing_and_the_worker_goes_on_with_it(
    lane: Lane, tmp_path: Path, trouble: str
) -> None:
    begin, mend = TROUBLES[trouble]
    with staged(lane, tmp_path) as (stage, worker):
        stage.in_the_middle()
        begin(stage)
        stage.gate.open.set()
        until(lambda: stage.state == "ACKED", "the answer is written down without Redis")
        mend(stage)
        if trouble == "killed":
            stage.redis = stage.start_redis()
        stage.swept("APPLIED", every=4)
        assert worker.poll() is None and stage.gate.writes == 1
