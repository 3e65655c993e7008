"""The kill switch is thrown at a random instant while a worker is busy sending; how long until the last request."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from config.env import ROOT
from tests.prove.grid import Lane
from tests.prove.stage import LEFT, Stage, staged, until

pytestmark = [pytest.mark.prove, pytest.mark.postgres, pytest.mark.redis]

SEED = int(os.environ.get("PROVE_SEED") or 5)
#: `make prove` has 200 by default: then a trial of each kind. From 1,000 on a tenth of it.
N = int(os.environ.get("PROVE_N") or 200)
TRIALS = N // 10 if N >= 1000 else 3
#: What is promised: seconds from the commit of the stop until the last request, and then none any more.
PROMISED = 5.0
#: Kind of a trial -> seconds that Meta takes for an answer, so that a stream of ten names outlasts the throw: the
#: command is a process that has to start first.
KINDS = {"command": 3.0, "page": 0.5, "Redis is dead": 0.5}


class Meta:
    """The sandbox, slow, with the moment at which each write arrived."""

    def __init__(self, lane: Lane, slow: float) -> None:
        self.box, self.slow, self.arrived = lane.box, slow, list[float]()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"].rsplit("/", 1)[1].isdigit():
            self.arrived.append(time.monotonic())
            time.sleep(self.slow)
        return self.box(environ, start_response)


@contextmanager
def running(lane: Lane) -> Iterator[None]:
    """The lane's clock goes as fast as any other."""
    ended = threading.Event()

    def tick() -> None:
        last = time.monotonic()
        while not ended.wait(0.02):
            now = time.monotonic()
            lane.clock.advance(now - last)
            last = now

    ticking = threading.Thread(target=tick)
    ticking.start()
    try:
        yield
    finally:
        ended.set()
        ticking.join()


def thrown(stage: Stage, kind: str) -> float:
    """Throw the switch; the moment at which it stood in the database for everybody."""
    with psycopg.connect(stage.lane.postgres, autocommit=True) as database:
        if kind == "command":
            process = subprocess.Popen(
                [sys.executable, "manage.py", "stop", "--reason", "a trial"],
                cwd=ROOT, env={**stage.lane.environ, "REDIS_URL": stage.url}, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        else:
            name = stage.lane.postgres.rsplit("/", 1)[1]
            threading.Thread(target=lambda: stage.lane._order(do="throw", database=name)).start()
        end = time.monotonic() + 60
        while database.execute("SELECT 1 FROM campaigns_switch WHERE released_at IS NULL").fetchone() is None:
            assert time.monotonic() < end, "the switch is not thrown"
            time.sleep(0.002)
        moment = time.monotonic()
    if kind == "command":
        assert process.wait(60) == 0
    return moment


def trial(lane: Lane, folder: Path, kind: str, chance: random.Random) -> float:
    """Seconds from the commit to the last request (0 when none came after it)."""
    folder.mkdir()
    with staged(lane, folder) as (stage, worker), running(lane):
        meta = Meta(lane, KINDS[kind])
        lane.box = meta  # type: ignore[assignment]
        lane._order(do="stream", name=kind, database=lane.postgres.rsplit("/", 1)[1])
        waiting = stage.ask("SELECT count(*) FROM campaigns_change WHERE state = 'APPROVED'")[0]
        begun = 1 if kind == "command" else chance.randrange(1, waiting // 2)
        end = time.monotonic() + 60
        while len(meta.arrived) < begun:
            assert time.monotonic() < end, f"only {len(meta.arrived)} of {waiting} were sent"
            stage.send("campaigns.tasks.sweep")
            time.sleep(0.3)
        if kind == "Redis is dead":
            stage.redis.kill()
            stage.redis.wait(10)
        time.sleep(chance.random() * meta.slow)
        moment = thrown(stage, kind)
        until(lambda: time.monotonic() > moment + PROMISED + 1, "time goes on")
        last = meta.arrived[-1] - moment
        sent = len(meta.arrived)
        assert sent < waiting, f"{kind}: all {sent} had been sent before the switch was thrown"
        assert last <= PROMISED, f"{kind}: a request left {last:.2f} s after the stop; PROVE_SEED={SEED}"
        assert stage.ask(LEFT) == (sent,), f"{kind}: {sent} requests arrived"
        if kind != "Redis is dead":
            stage.send("campaigns.tasks.sweep")
            until(lambda: not stage.waiting, "the worker takes no message")
            time.sleep(1)
            assert len(meta.arrived) == sent, f"{kind}: a later sweep sent something"
    return max(last, 0.0)


def test_a_stop_at_any_moment_holds_within_five_seconds_for_a_worker_that_is_busy(
    lane: Lane, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    kinds = [list(KINDS)[number % len(KINDS)] for number in range(TRIALS)]
    took = [(kind, trial(lane, tmp_path / str(number), kind, chance)) for number, kind in enumerate(kinds)]
    seconds = sorted(one for _, one in took)
    figures = ", ".join(f"{kind} {one:.2f}" for kind, one in took)
    print(f"\n{TRIALS} stops: at most {seconds[-1]:.2f} s from the commit to the last request; {figures}")  # noqa: T201
