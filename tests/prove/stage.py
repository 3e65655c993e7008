"""One change of one lane, a real Celery worker, a Redis of their own, and a gate before the sandbox: the ground of the
proofs about brokers, databases and workers in trouble."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import redis
from celery import Celery

from tests.processes import free_port, started
from tests.prove.grid import BUDGET, Lane

#: Attempts that left; on a slow machine the send guard keeps one back now and then, which is tried again.
LEFT = "SELECT count(*) FROM campaigns_attempt WHERE outcome <> 'not_sent'"


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
