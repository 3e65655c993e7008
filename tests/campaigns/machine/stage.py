"""One world for one run of the machine: a connected, synced account, and a sandbox whose wire can be cut.

Killed       the process is gone: nothing catches it, and what was not committed is rolled back
Cut          the wire: kills before the k-th call reaches Meta, or after it and before its answer is back
kill_in_sql  kills before the k-th statement that writes, so inside a transaction as well as between two
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

import requests
from django.core.cache import cache
from django.db import connection, transaction

from metaads.clock import using
from metaads.gateway import plugged
from metaads.sandbox.app import Sandbox
from metaads.sandbox.clock import ManualClock
from tests.campaigns.conftest import Desk
from tests.conftest import START, connect_northwind
from tests.door import WSGIAdapter

WRITES = ("INSERT", "UPDATE", "DELETE")


class Killed(BaseException):
    """The process died here. A `BaseException`, so that no handler of ours mistakes it for a failure."""


class Cut(WSGIAdapter):
    """The way to the sandbox, on which the process can die."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self.before: int | None = None
        self.after: int | None = None

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if self.before is not None:
            self.before -= 1
            if self.before < 0:
                self.before = None
                raise Killed
        dies = False
        if self.after is not None:
            self.after -= 1
            dies = self.after < 0
        try:
            return super().send(request, *args, **kwargs)
        finally:
            if dies:
                self.after = None
                raise Killed

    def mend(self) -> None:
        self.before = self.after = None


@contextmanager
def kill_in_sql(count: int) -> Iterator[None]:
    """Die before the `count`-th writing statement of the block (0: before the first)."""
    left = [count]

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().upper().startswith(WRITES):
            left[0] -= 1
            if left[0] < 0:
                left[0] = 1_000_000
                raise Killed
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        yield


class Stage:
    """Set up for one run, taken down without a trace: the database is rolled back."""

    def __init__(self, agency: Any, *, start: datetime = START) -> None:
        self._stack = ExitStack()
        cache.clear()
        self._stack.enter_context(self._rolled_back())
        self.clock = ManualClock(start)
        self._stack.enter_context(using(self.clock.now))
        self.sandbox = Sandbox(world="tiny", seed=7, clock=self.clock)
        self.wire = Cut(self.sandbox)
        self._stack.enter_context(plugged(self.wire))
        self.agency = connect_northwind(agency, self.sandbox, self.clock)
        self.desk = Desk(agency=self.agency, sandbox=self.sandbox, clock=self.clock)
        assert self.desk.sync().state == "complete"

    @staticmethod
    @contextmanager
    def _rolled_back() -> Iterator[None]:
        with transaction.atomic():
            yield
            transaction.set_rollback(True)

    def close(self) -> None:
        self._stack.close()
