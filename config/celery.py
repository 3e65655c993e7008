"""The one Celery app, and the only schedule, on one screen.

The database is the truth and the queue is a hint: the scanners below find due work, a message only wakes it
sooner. Times of single strategies are rows, not entries here. Every entry is harmless when it runs twice.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from types import ModuleType
from typing import Any

from celery import Celery, bootsteps
from celery.beat import Scheduler
from celery.signals import setup_logging, worker_init
from django.conf import settings
from django.db import DatabaseError, close_old_connections
from kombu import Queue

from metaads.clock import monotonic, now

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

log = logging.getLogger(__name__)

#: What each queue is for. control: stop and settle; write: POSTs to Meta; live: what a person is waiting to
#: see; sync: structure, connections, judging; reports: the long reads. A worker that serves one never blocks another.
QUEUES = ("control", "write", "live", "sync", "reports")

MINUTE = 60.0

#: name -> (task, seconds, queue). A task that waits longer than its own period is dropped, not piled up.
SCHEDULE: dict[str, tuple[str, float, str]] = {
    "scan: changes to send and to settle": ("campaigns.tasks.sweep", 5.0, "control"),
    "scan: alerts, connections, due fetches": ("insights.tasks.scan", 5.0, "live"),
    "scan: webhook deliveries": ("metaads.tasks.process_webhooks", 5.0, "live"),
    "poll: insights": ("insights.tasks.poll_tick", float(max(30, settings.POLL_SECONDS)), "live"),
    "sync: structure": ("campaigns.tasks.sync_due", 15 * MINUTE, "sync"),
    "learn: how complete young numbers are": ("insights.tasks.learn_completeness", 60 * MINUTE, "reports"),
    "thin: looks that are long past": ("insights.tasks.thin_samples", 60 * MINUTE, "reports"),
    "judge: strategies": ("strategies.tasks.evaluate_due", MINUTE, "sync"),
    "judge: back-tests that wait": ("strategies.tasks.backtests_due", MINUTE, "reports"),
    "watch: connections and tokens": ("accounts.tasks.sentinel", 5 * MINUTE, "sync"),
    "erase: record of changes": ("campaigns.tasks.erase", MINUTE, "sync"),
    "erase: beside the figures": ("insights.tasks.erase", MINUTE, "sync"),
    "erase: beside proposals": ("strategies.tasks.erase", MINUTE, "sync"),
    **{f"canary: {queue}": ("config.celery.canary", MINUTE, queue) for queue in QUEUES},
}

#: Tasks that are started by name of their function; what is not here goes to `task_default_queue` (sync).
ROUTES: dict[str, str] = {
    "campaigns.tasks.advance": "write",
    "campaigns.tasks.send_due": "write",
    "campaigns.tasks.settle_due": "control",
    "insights.tasks.first_sync_account": "reports",
    "insights.tasks.go_on_fetching": "reports",
    "insights.tasks.advance_reports": "reports",
    "strategies.tasks.run_backtest": "reports",
}

#: Hard limits in seconds where 120 is too short; all below the broker's visibility time-out of 600.
LONGER: dict[str, int] = {
    "insights.tasks.first_sync_account": 540,
    "insights.tasks.go_on_fetching": 540,
    "insights.tasks.advance_reports": 540,
    "campaigns.tasks.sync_due": 540,
    "strategies.tasks.run_backtest": 540,
    "strategies.tasks.backtests_due": 540,
}

#: How long a canary's sign of life is good, in seconds: three missed rounds are a dead worker or beat.
CANARY_SECONDS = 3 * MINUTE


def _entry(task: str, seconds: float, queue: str) -> dict[str, Any]:
    args = (queue,) if task == "config.celery.canary" else ()
    return {
        "task": task,
        "schedule": seconds,
        "args": args,
        "options": {"queue": queue, "expires": max(seconds, 10.0)},
    }


def _leases() -> ModuleType:
    """`celery -A config.celery` imports this module before Django is set up, so what has models comes in later."""
    import accounts.leases as leases

    return leases


class OnlyBeat(Scheduler):
    """A beat that is silent while another one holds the lease, so that a second beat is a spare, not a double."""

    SECONDS = 30.0
    RENEW = 10.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._asked = float("-inf")
        self._held = False
        self._holder = f"{socket.gethostname()[:80]}:{os.getpid()}"
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Everything is due at the start: nobody knows how long we were away, and scanners find nothing to do."""
        super().setup_schedule()
        for entry in self.schedule.values():
            entry.last_run_at -= entry.schedule.run_every

    def tick(self, *args: Any, **kwargs: Any) -> float:
        if monotonic() - self._asked >= self.RENEW:
            self._held = self._renew()
            self._asked = monotonic()
        return float(super().tick(*args, **kwargs)) if self._held else 1.0

    def _renew(self) -> bool:
        try:
            return (
                _leases().take(name="beat", holder=self._holder, seconds=self.SECONDS, now=now()) is not None
            )
        except DatabaseError:  # away for a while: nothing could be done with a task anyway
            close_old_connections()
            return False

    def close(self) -> None:
        super().close()
        with contextlib.suppress(DatabaseError):  # the lease ends by itself
            _leases().release(name="beat", holder=self._holder, now=now())


class Breath(bootsteps.StartStopStep):
    """Lets a worker wait a moment before it takes a broker up again that it has only just taken up.

    A Redis that is read-only or full answers and refuses, so each attempt fails at once: Celery alone would try and
    complain six times a second. The wait is short, since it is part of the time until the next message is taken.
    """

    SOON = 10.0
    SECONDS = 2.0

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._begun = float("-inf")

    def start(self, parent: Any) -> None:
        from celery.worker import state  # not in processes that only send

        again = monotonic() - self._begun < self.SOON
        until = monotonic() + self.SECONDS if again else 0.0
        while monotonic() < until:
            state.maybe_shutdown()
            time.sleep(0.1)
        self._begun = monotonic()


app = Celery("metaads")
app.conf.update(settings.CELERY)
app.conf.task_queues = tuple(Queue(name) for name in QUEUES)
app.conf.task_routes = {
    **{task: {"queue": queue} for task, _, queue in SCHEDULE.values() if task != "config.celery.canary"},
    **{task: {"queue": queue} for task, queue in ROUTES.items()},
}
app.conf.beat_schedule = {name: _entry(*entry) for name, entry in SCHEDULE.items()}
app.conf.beat_scheduler = "config.celery:OnlyBeat"
app.conf.beat_max_loop_interval = 1
if settings.CELERY["task_time_limit"]:
    app.conf.task_annotations = {task: {"time_limit": seconds} for task, seconds in LONGER.items()}
app.steps["consumer"].add(Breath)
app.set_default()
app.autodiscover_tasks()


@app.task(name="config.celery.canary")
def canary(queue: str) -> None:
    """Leave a sign of life of one queue: beat ran, the broker delivered, a worker took it. Read by `/readyz`."""
    _leases().take(name=f"canary:{queue}", holder="canary", seconds=CANARY_SECONDS, now=now())
    if queue == "control":
        import accounts.restored as restored

        restored.beat(folder=settings.VAR_DIR, now=now())


@setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Celery sets up no logging where somebody listens here: its own handlers have no filter for secrets."""


@worker_init.connect
def guard(**_: Any) -> None:
    """A worker of the server form starts: if the database was restored from a backup, it is held before any task
    runs. A worker that cannot tell does not start."""
    import campaigns.changes.sweeper as sweeper
    import campaigns.restored as restored

    try:
        restored.guard(folder=settings.VAR_DIR, now=now())
        sweeper.begin(now=now())
    except Exception:
        log.exception(
            "the worker cannot tell whether the database is the one that it left; it does not start"
        )
        raise SystemExit(1) from None
