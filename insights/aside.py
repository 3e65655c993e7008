"""Storing beside reading: while one group of rows is written, the next is read.

    take a job -> the one before is over -> this one begins, in a thread with a database connection of its own
    look       -> is it over? then what follows it is done, in the caller's thread
    finish     -> wait until it is over

So at most one job runs and none waits: what is read meanwhile is bounded, and an error is raised at the next look, job
or end. SQLite has one writer, and a connection inside a transaction keeps what it wrote to itself: there a job is done
at once, by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context

from django.db import connection, connections

Job = Callable[[], None]


class Aside:
    """One job at a time beside the caller; without a thread, by the caller."""

    def __init__(self, thread: ThreadPoolExecutor | None = None) -> None:
        self._thread = thread
        self._running: tuple[Future[None], Job] | None = None

    def take(self, job: Job, *, then: Job) -> None:
        """Begin a job once the one before is over. `then` is called when it is known to be over; it raises what the
        one before raised."""
        self.finish()
        if self._thread is None:
            job()
            then()
        else:
            self._running = (self._thread.submit(copy_context().run, job), then)

    def look(self) -> None:
        """Do what follows a job that is over by now."""
        if self._running is not None and self._running[0].done():
            self.finish()

    def finish(self) -> None:
        """Wait for the job; raises what it raised."""
        if self._running is None:
            return
        (running, then), self._running = self._running, None
        running.result()
        then()


@contextmanager
def aside() -> Iterator[Aside]:
    """No job is left running after the block; what one raised comes out, unless the block itself has failed."""
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        yield Aside()
        return
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="aside") as thread:
        beside = Aside(thread)
        try:
            yield beside
            beside.finish()
        finally:
            thread.submit(connections.close_all)
