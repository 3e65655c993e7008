"""The product's one `now()`: edges call it and hand the moment down as an argument.

A test, the lab or the simulator replaces the source for a while with `using`. How far it is from Meta's clock is
known from each answer's `Date`: a machine whose clock has jumped does not notice by itself.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

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


_apart: timedelta | None = None


def parsed(date: str) -> datetime | None:
    """The moment that a `Date` header says, to the second; None for what is no date."""
    try:
        found = parsedate_to_datetime(date)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def heard(date: str) -> None:
    """Keep how far this process's clock is from the one that wrote the `Date` header; "" says nothing."""
    global _apart
    theirs = parsed(date)
    if theirs is not None:
        _apart = now() - theirs


def apart() -> timedelta | None:
    """How far ahead of Meta's clock ours was at the last answer (negative: behind), its way of some seconds included;
    None before the first."""
    return _apart


@contextlib.contextmanager
def using(source: Source) -> Iterator[None]:
    """Run a block under another source of time (process-wide)."""
    global _source
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before
