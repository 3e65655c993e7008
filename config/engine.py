"""The embedded form's worker and beat: threads of the web process, at most one set on a machine's database.

    start   var/engine.lock (flock)   a second process on this machine is refused at once
              -> lease row            and so is one on another machine that shares the database
              -> guard                a database that was restored from a backup is held first
              -> worker "quick"       control, write, live      a stop never waits behind a long read
              -> worker "long"        sync, reports
              -> beat                 the schedule of config.celery, in memory
              -> watchdog             mails and alerts, whatever becomes of workers and beat
              -> keeper               renews the lease; when it is lost, the engine stops
    stop    beat -> workers finish what they run -> lease -> lock

Losing the queue (it is in memory) costs seconds: the scanners find the same work again in the database.
"""

from __future__ import annotations

import fcntl
import functools
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from celery import Celery
from celery.beat import Service
from celery.worker import WorkController
from celery.worker import state as worker_state
from django.conf import settings
from django.db import connection
from kombu.exceptions import OperationalError

import campaigns.changes.sweeper as sweeper
from accounts.leases import release, take
from accounts.tasks import recheck
from campaigns.restored import guard
from config.celery import app
from insights.watchdog import Watchdog
from metaads.clock import now

log = logging.getLogger("metaads.engine")

#: worker -> (its queues, its threads)
WORKERS: dict[str, tuple[tuple[str, ...], int]] = {
    "quick": (("control", "write", "live"), 4),
    "long": (("sync", "reports"), 3),
}
LEASE = "engine"
LEASE_SECONDS = 45.0
RENEW_SECONDS = 10.0
START_SECONDS = 20
#: A POST to Meta takes 30 s at most; a task that needs longer is cut off and found again at the next start.
FINISH_SECONDS = 30.0


class EngineBusy(Exception):
    """Another process runs the engine for this installation; the text says what to do."""


class _Worker(WorkController):
    """A Celery worker that tells when it has begun to consume."""

    def __init__(self, **kwargs: Any) -> None:
        self.ready = threading.Event()
        super().__init__(**kwargs)

    def on_consumer_ready(self, consumer: Any) -> None:
        self.ready.set()


class Engine:
    """One start and one stop; both from one thread. `lost` is called when the lease went to somebody else."""

    def __init__(self, *, folder: Path | None = None, lost: Callable[[], None] | None = None) -> None:
        self._folder = folder or Path(settings.VAR_DIR)
        self._lost = lost
        # Not the process id: a process that was killed leaves its lease behind, and whoever holds the lock on the
        # same machine and folder may go on with it at once.
        self._holder = f"{socket.gethostname()[:40]}:{str(self._folder)[-59:]}"
        self._lock: IO[str] | None = None
        self._threads: list[threading.Thread] = []
        self._beat: Service | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        """Take lock and lease, then start the threads. Raises `EngineBusy`; nothing is left behind then."""
        self._lock = _locked(self._folder / "engine.lock")
        if take(name=LEASE, holder=self._holder, seconds=LEASE_SECONDS, now=now()) is None:
            self._unlock()
            raise EngineBusy(
                "Another machine runs this installation's worker (its lease is still good). "
                "Stop it, wait a minute, and start again; several machines need PostgreSQL and Redis (make server)."
            )
        try:
            guard(folder=self._folder, now=now())
            sweeper.begin(now=now())
            self._start_threads()
        except BaseException:
            self.stop()
            raise
        log.info("engine started: %s", ", ".join(thread.name for thread in self._threads))

    def _start_threads(self) -> None:
        worker_state.should_stop = None
        self._thread("keeper", self._keep)
        for name, (queues, threads) in WORKERS.items():
            worker = _worker(app, name=name, queues=queues, threads=threads)
            self._thread(f"worker-{name}", worker.start)
            if not worker.ready.wait(START_SECONDS):
                raise EngineBusy(
                    f"The worker '{name}' did not start within {START_SECONDS} s; see the log above."
                )
        self._beat = Service(app, scheduler_cls=app.conf.beat_scheduler)
        self._thread("beat", functools.partial(self._beat.start, embedded_process=True))
        watchdog = Watchdog(holder=self._holder, now=now())
        self._thread("watchdog", functools.partial(watchdog.run, self._stopping))

    def stop(self) -> bool:
        """Stop claiming work, let running tasks finish; whether all did within `FINISH_SECONDS`."""
        self._stopping.set()
        if self._beat is not None:
            self._beat.stop()
        worker_state.should_stop = 0
        finished = True
        for thread in reversed(self._threads):
            if thread is not threading.current_thread():
                thread.join(FINISH_SECONDS)
                finished = finished and not thread.is_alive()
        if finished:
            worker_state.should_stop = None
            release(name=LEASE, holder=self._holder, now=now())
            self._unlock()
            log.info("engine stopped")
        else:
            log.warning("engine cut off: a task is still running; it is found again at the next start")
        return finished

    def _thread(self, name: str, target: Callable[[], object]) -> None:
        thread = threading.Thread(target=target, name=f"engine-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _keep(self) -> None:
        while not self._stopping.wait(RENEW_SECONDS):
            try:
                held = take(name=LEASE, holder=self._holder, seconds=LEASE_SECONDS, now=now()) is not None
            except Exception:  # a busy database is no reason to stop; a lease that ran out meanwhile is
                log.exception("the engine's lease could not be renewed")
                continue
            if not held:
                log.critical("the engine's lease went to another process; this one stops")
                if self._lost is not None:
                    self._lost()
                return
        connection.close()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()  # closing gives the flock back
            self._lock = None


def doubt_connections() -> None:
    """A process begins: whatever was not heard of for ten minutes is asked about, by a worker, as soon as one is free.

    Never in the way of the start: without a queue the sentinel's own round does it.
    """
    try:
        recheck.apply_async(retry=False)
    except OperationalError as error:
        log.warning("connections are not checked at the start (%s); the next round does it", error)


@contextmanager
def running(*, folder: Path | None = None) -> Iterator[Engine]:
    """An engine for the length of a block (a command, a test)."""
    engine = Engine(folder=folder)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


def _worker(celery: Celery, *, name: str, queues: tuple[str, ...], threads: int) -> _Worker:
    # The selection of queues belongs to the app, not to the worker: workers start one after the other, and
    # each consumes its own before the next one selects.
    return _Worker(
        app=celery,
        hostname=f"{name}@embedded",
        pool="threads",
        concurrency=threads,
        queues=list(queues),
        without_heartbeat=True,
        without_mingle=True,
        without_gossip=True,
        loglevel=settings.LOGGING["root"]["level"],
    )


def _locked(path: Path) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = path.open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.seek(0)
        other = handle.read().strip() or "another process"
        handle.close()
        raise EngineBusy(
            f"The worker of this installation runs already ({other} holds {path}). "
            "Stop that process first, or give this one another VAR_DIR."
        ) from None
    handle.seek(0)
    handle.truncate()
    handle.write(f"process {os.getpid()}\n")
    handle.flush()
    return handle
