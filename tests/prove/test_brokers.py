"""Redis is killed, emptied, frozen, read-only and full in the middle of a request: the worker goes on with it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from tests.prove.grid import Lane
from tests.prove.stage import LEFT, Stage, staged, until

pytestmark = [pytest.mark.prove, pytest.mark.postgres, pytest.mark.redis]

#: Seconds from the end of the trouble until the worker takes messages; it takes two or three on a quiet machine.
TAKEN = 15.0
#: Seconds that the trouble goes on after Meta's answer: long enough for the worker to meet it, and to try again.
MEETS = 3.0


def tell(stage: Stage, *words: str | int) -> None:
    redis.Redis.from_url(stage.url).execute_command(*words)


def kill(stage: Stage) -> None:
    stage.redis.kill()
    stage.redis.wait(10)


def start(stage: Stage) -> None:
    stage.redis = stage.start_redis()


@dataclass(frozen=True)
class Trouble:
    begin: Callable[[Stage], object]
    mend: Callable[[Stage], object] = lambda stage: None
    #: What Redis says to a message that is sent meanwhile.
    refuses: str = ""


TROUBLES = {
    "flushed": Trouble(lambda stage: tell(stage, "FLUSHALL")),
    "killed": Trouble(kill, start),
    "frozen": Trouble(
        lambda stage: os.kill(stage.redis.pid, signal.SIGSTOP),
        lambda stage: os.kill(stage.redis.pid, signal.SIGCONT),
    ),
    "read-only": Trouble(
        lambda stage: tell(stage, "REPLICAOF", "127.0.0.1", "1"),
        lambda stage: tell(stage, "REPLICAOF", "NO", "ONE"),
        refuses="read only replica",
    ),
    "full": Trouble(
        lambda stage: tell(stage, "CONFIG", "SET", "maxmemory", 1),
        lambda stage: tell(stage, "CONFIG", "SET", "maxmemory", 0),
        refuses="maxmemory",
    ),
}


@pytest.mark.fault("F95", "F96")
@pytest.mark.parametrize("name", TROUBLES)
def test_redis_in_trouble_loses_and_doubles_nothing_and_the_worker_goes_on_with_it(
    lane: Lane, tmp_path: Path, name: str
) -> None:
    trouble = TROUBLES[name]
    with staged(lane, tmp_path) as (stage, worker):
        stage.in_the_middle()
        trouble.begin(stage)
        stage.gate.open.set()
        until(lambda: stage.state == "ACKED", "the answer is written down without Redis")
        if trouble.refuses:
            with pytest.raises(Exception, match=trouble.refuses):
                stage.send("campaigns.tasks.sweep")
        time.sleep(MEETS)
        trouble.mend(stage)
        mended = time.monotonic()
        stage.send("campaigns.tasks.sweep")
        until(lambda: not stage.waiting, f"after {name} no message is taken ({worker.poll()=})", TAKEN)
        print(f"\nRedis {name}: messages are taken {time.monotonic() - mended:.1f} s after its end")  # noqa: T201
        stage.swept("APPLIED", every=4)
        assert worker.poll() is None and stage.gate.writes == 1
        assert stage.ask(LEFT) == (1,)
