"""One world for one run of the machine: a connected, synced account, and a sandbox whose wire can be cut.

Ground       the account as every run finds it; Stage is one run on it
Killed       the process is gone: nothing catches it, and what was not committed is rolled back
Cut          the wire: kills before the k-th call reaches Meta, or after it and before its answer is back
kill_in_sql  kills before the k-th statement that writes, so inside a transaction as well as between two
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import datetime
from typing import Any

import requests
from django.core.cache import cache
from django.db import connection, transaction

from metaads.clock import using
from metaads.gateway import plugged
from metaads.sandbox.app import Sandbox
from metaads.sandbox.clock import ManualClock
from tests import kept
from tests.campaigns.conftest import Desk
from tests.conftest import START, connect_northwind
from tests.door import WSGIAdapter

WRITES = ("INSERT", "UPDATE", "DELETE")


class Killed(BaseException):
    """The process died here. A `BaseException`, so that no handler of ours mistakes it for a failure."""


def die() -> None:
    raise Killed


class Cut(WSGIAdapter):
    """The way to the sandbox, on which the process can die."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self.before: int | None = None
        self.after: int | None = None
        self.die: Callable[[], object] = die

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if self.before is not None:
            self.before -= 1
            if self.before < 0:
                self.before = None
                self.die()
        dies = False
        if self.after is not None:
            self.after -= 1
            dies = self.after < 0
        try:
            return super().send(request, *args, **kwargs)
        finally:
            if dies:
                self.after = None
                self.die()

    def mend(self) -> None:
        self.before = self.after = None
        self.die = die


@contextmanager
def kill_in_sql(count: int, die: Callable[[], object]) -> Iterator[None]:
    """Die before the `count`-th writing statement of the block (0: before the first)."""
    left = [count]

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().upper().startswith(WRITES):
            left[0] -= 1
            if left[0] < 0:
                left[0] = 1_000_000
                die()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        yield


@contextmanager
def armed(wire: Cut, how: str, count: int, *, die: Callable[[], object] = die) -> Iterator[None]:
    """Die in the block: "before_call" or "after_call", by `count`, or "in_sql"; "" lives."""
    wire.die = die
    if how == "before_call":
        wire.before = count % 3
    elif how == "after_call":
        wire.after = count % 3
    try:
        with kill_in_sql(count, die) if how == "in_sql" else nullcontext():
            yield
    finally:
        wire.mend()


class Ground:
    """A connected, synced account before anything has happened: built once, and the same at the beginning of every run.
    Here a run is a transaction that is rolled back, inside one of the caller's, and a death an exception that nothing
    catches; `tests.prove.ground` has files and SIGKILL."""

    def __init__(self, agency: Any, *, start: datetime = START) -> None:
        self.start = start
        cache.clear()
        clock = ManualClock(start)
        sandbox = Sandbox(world="tiny", seed=7, clock=clock)
        with using(clock.now), plugged(WSGIAdapter(sandbox)):
            self.agency = connect_northwind(agency, sandbox, clock)
            assert Desk(agency=self.agency, sandbox=sandbox, clock=clock).sync().state == "complete"
        self._state = kept.packed(sandbox.__dict__, box=sandbox, clock=clock)

    def sandbox(self, clock: ManualClock) -> Sandbox:
        """Meta, as it was then."""
        made = Sandbox(world="tiny", seed=7, clock=clock)
        made.__dict__.update(kept.unpacked(self._state, box=made, clock=clock))
        return made

    @contextmanager
    def fresh(self) -> Iterator[None]:
        """The database as it was then, for the block."""
        with transaction.atomic():
            yield
            transaction.set_rollback(True)

    def lives(self, wire: Cut, how: str, count: int, work: Callable[[], None]) -> bool:
        """Do it in a process that may die on the way (see `armed`); whether it has lived."""
        try:
            with armed(wire, how, count):
                work()
        except Killed:
            # Django's delete is a transaction and here no savepoint: cut short, it would break the whole run.
            transaction.set_rollback(False)
            return False
        return True


class Stage:
    """Set up for one run, taken down without a trace: the database goes back to the ground."""

    def __init__(self, ground: Ground) -> None:
        self._stack = ExitStack()
        cache.clear()
        self._stack.enter_context(ground.fresh())
        self.clock = ManualClock(ground.start)
        self._stack.enter_context(using(self.clock.now))
        self.sandbox = ground.sandbox(self.clock)
        self.wire = Cut(self.sandbox)
        self._stack.enter_context(plugged(self.wire))
        self.desk = Desk(agency=ground.agency, sandbox=self.sandbox, clock=self.clock)

    def close(self) -> None:
        self._stack.close()
