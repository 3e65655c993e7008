"""The embedded worker and beat: they run tasks, exclude each other, and stop when told."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from accounts.leases import take
from accounts.models import Lease
from config.celery import QUEUES, app
from config.engine import LEASE, Engine, EngineBusy, running
from metaads.clock import now

pytestmark = [pytest.mark.embedded, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def empty_queues() -> None:
    """What earlier tests of this process left in the memory broker is not ours to run."""
    app.control.purge()


def wait(condition: Any, *, seconds: float = 20) -> bool:
    """Whether the condition came true; these are real threads on a real clock."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("engine-")}


def test_a_task_of_every_queue_runs_and_all_threads_end_with_the_engine(tmp_path: Path) -> None:
    with running(folder=tmp_path):
        assert threads() == {
            "engine-keeper",
            "engine-worker-quick",
            "engine-worker-long",
            "engine-beat",
            "engine-watchdog",
        }
        assert wait(lambda: Lease.objects.filter(name__startswith="canary:").count() == len(QUEUES))
        assert Lease.objects.get(name=LEASE).until > now()
        began = time.monotonic()
    assert time.monotonic() - began < 10, "stopping takes seconds"
    assert threads() == set()
    assert Lease.objects.get(name=LEASE).until <= now(), "the lease is given back"


@pytest.mark.fault("F104")
def test_a_second_engine_on_the_same_folder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    first = Engine(folder=tmp_path)
    first.start()
    try:
        with pytest.raises(
            EngineBusy, match=r"runs already \(process \d+ holds .*engine\.lock\)\. Stop that process"
        ):
            Engine(folder=tmp_path).start()
        assert len(threads()) == 5, "the refused one left nothing behind and stopped nothing"
    finally:
        first.stop()


@pytest.mark.fault("F104")
def test_an_engine_of_another_machine_holds_the_lease_and_this_one_is_refused(tmp_path: Path) -> None:
    assert take(name=LEASE, holder="another-machine:/srv/var", seconds=45, now=now())
    with pytest.raises(EngineBusy, match="Another machine"):
        Engine(folder=tmp_path).start()
    assert threads() == set()
    Lease.objects.update(until=now() - timedelta(seconds=1))
    with running(folder=tmp_path):  # neither lock nor thread was left behind by the refusal
        assert Lease.objects.get(name=LEASE).fence == 2


def test_after_a_kill_the_same_machine_goes_on_at_once(tmp_path: Path) -> None:
    """A killed process leaves its lease; the lock, which the kernel took back, is proof that it is gone."""
    killed = Engine(folder=tmp_path)
    assert take(name=LEASE, holder=killed._holder, seconds=45, now=now())
    with running(folder=tmp_path):
        assert "engine-beat" in threads()


def test_an_engine_can_be_started_again_after_a_stop(tmp_path: Path) -> None:
    for _ in range(2):
        with running(folder=tmp_path):
            pass
    assert threads() == set()


def test_losing_the_lease_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.engine.RENEW_SECONDS", 0.05)
    told = threading.Event()
    engine = Engine(folder=tmp_path, lost=told.set)
    engine.start()
    try:
        Lease.objects.filter(name=LEASE).update(holder="another-machine", until=now() + timedelta(hours=1))
        assert told.wait(10)
    finally:
        engine.stop()
    assert Lease.objects.get(name=LEASE).holder == "another-machine", "it is not ours to give back"
