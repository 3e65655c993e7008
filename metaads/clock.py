"""The product's one `now()`: edges call it and hand the moment down as an argument.

A test, the lab or the simulator replaces the source for a while with `using`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

Source = Callable[[], datetime]


def _machine() -> datetime:
    return datetime.now(UTC)


_source: Source = _machine


def now() -> datetime:
    """This moment, aware, in UTC."""
    return _source()


def monotonic() -> float:
    """Seconds on a clock that never jumps, for deadlines only."""
    return time.monotonic()


@contextlib.contextmanager
def using(source: Source) -> Iterator[None]:
    """Run a block under another source of time (process-wide)."""
    global _source
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before
