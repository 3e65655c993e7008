"""A ground for proofs that go on for hours: a file of SQLite that is put back for every run, and where a process that
dies is one that is killed.

    parent   the test: the clock, the sandbox, people
    child    forked for one sweep; its calls come to the parent's sandbox through a pipe. It sends SIGKILL to itself
             before a call, after it or before a statement that writes: what it committed and what it asked Meta for
             stays, everything else of it is gone
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from metaads.sandbox.errors import NoAnswer
from tests.campaigns.machine.stage import Cut, Ground, armed


class FileGround(Ground):
    """Everything is really committed; each run begins on a copy of the founded file."""

    def __init__(self, agency: Any) -> None:
        from django.db import connection

        super().__init__(agency)
        connection.close()
        self._file = Path(connection.settings_dict["NAME"])
        self._template = self._file.with_suffix(".founded")
        shutil.copyfile(self._file, self._template)

    @contextmanager
    def fresh(self) -> Iterator[None]:
        from django.db import connection

        connection.close()
        for rest in ("-wal", "-shm"):
            Path(f"{self._file}{rest}").unlink(missing_ok=True)
        shutil.copyfile(self._template, self._file)
        try:
            yield
        finally:
            connection.close()

    def lives(self, wire: Cut, how: str, count: int, work: Callable[[], None]) -> bool:
        """Do it in a child that dies on the way. Raises AssertionError when the child ends in any other way."""
        from django.db import connection

        connection.close()  # no connection crosses a fork
        ours, theirs = Pipe()
        child = os.fork()
        if child == 0:
            ours.close()
            _end_as_told(wire, theirs, how, count, work)
        theirs.close()
        _answer(wire.sandbox, ours)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        assert killed or status == 0, f"a child ended with {status}"
        return not killed


def _end_as_told(wire: Cut, parent: Connection, how: str, count: int, work: Callable[[], None]) -> None:
    try:
        wire.sandbox = _Beyond(parent)  # type: ignore[assignment]
        with armed(wire, how, count, die=lambda: os.kill(os.getpid(), signal.SIGKILL)):
            work()
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        sys.stdout.flush()
        os._exit(3)
    os._exit(0)


class _Beyond:
    """The parent's sandbox, called through the pipe."""

    def __init__(self, parent: Connection) -> None:
        self._parent = parent

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        body = environ["wsgi.input"].read()
        self._parent.send(({**environ, "wsgi.input": None}, body))
        answer = self._parent.recv()
        if isinstance(answer, bool):
            raise NoAnswer(applied=answer)
        status, headers, parts = answer
        start_response(status, headers)
        return list(parts)


def _answer(sandbox: Any, child: Connection) -> None:
    """Answer the child's calls until it is gone."""
    said: list[Any] = []
    while True:
        try:
            environ, body = child.recv()
        except (EOFError, ConnectionResetError):
            return
        try:
            parts = list(sandbox({**environ, "wsgi.input": BytesIO(body)}, lambda *head: said.append(head)))
            answer: Any = (*said.pop()[:2], parts)
        except NoAnswer as silence:
            answer = silence.applied
        child.send(answer)
