"""The sandbox's time.

A sandbox never reads the machine's time except through a ``Clock`` handed to it. In process one
``ManualClock`` is shared by product and sandbox; out of process ``MachineClock`` follows the machine plus an
offset that only ``/_sandbox/clock`` sets.
"""

from __future__ import annotations

import abc
import datetime as dt
import time

UTC = dt.UTC


class Clock(abc.ABC):
    """Anything that tells an aware UTC time and can be moved by the control surface."""

    @abc.abstractmethod
    def now(self) -> dt.datetime:
        """The current time, aware, in UTC."""

    def timestamp(self) -> float:
        """The current time as unix seconds."""
        return self.now().timestamp()

    def advance(self, seconds: float) -> None:
        """Move forward by ``seconds`` (backwards when negative)."""
        self.set(self.now() + dt.timedelta(seconds=seconds))

    @abc.abstractmethod
    def set(self, moment: dt.datetime) -> None:
        """Jump to ``moment`` (aware)."""

    @abc.abstractmethod
    def freeze(self) -> None:
        """Stop: ``now`` answers the same moment until ``resume``."""

    @abc.abstractmethod
    def resume(self) -> None:
        """Run again from the frozen moment."""

    @property
    @abc.abstractmethod
    def frozen(self) -> bool:
        """Whether time stands still."""


class ManualClock(Clock):
    """A clock that moves only when told to; for tests, the lab and the simulator."""

    def __init__(self, start: dt.datetime) -> None:
        self._now = _aware(start)

    def now(self) -> dt.datetime:
        return self._now

    def set(self, moment: dt.datetime) -> None:
        self._now = _aware(moment)

    def freeze(self) -> None:
        """Already still."""

    def resume(self) -> None:
        """Stays still: only ``advance`` and ``set`` move it."""

    @property
    def frozen(self) -> bool:
        return True


class MachineClock(Clock):
    """The machine's time plus an offset; may be frozen."""

    def __init__(self, *, offset: float = 0.0, frozen_at: dt.datetime | None = None) -> None:
        self._offset = offset
        self._frozen_at = frozen_at

    def now(self) -> dt.datetime:
        if self._frozen_at is not None:
            return self._frozen_at
        return dt.datetime.fromtimestamp(time.time() + self._offset, tz=UTC)

    def set(self, moment: dt.datetime) -> None:
        moment = _aware(moment)
        self._offset = moment.timestamp() - time.time()
        if self._frozen_at is not None:
            self._frozen_at = moment

    def freeze(self) -> None:
        self._frozen_at = self.now()

    def resume(self) -> None:
        if self._frozen_at is not None:
            self._offset = self._frozen_at.timestamp() - time.time()
            self._frozen_at = None

    @property
    def frozen(self) -> bool:
        return self._frozen_at is not None

    @property
    def offset(self) -> float:
        """Seconds ahead of the machine's time."""
        return self._offset


def _aware(moment: dt.datetime) -> dt.datetime:
    if moment.tzinfo is None:
        raise ValueError("a clock takes aware datetimes only")
    return moment.astimezone(UTC)
