"""Several paged reads at once, while one thread alone asks and learns.

    reads, in order -> lanes (threads), each walks one read after the other and waits for Meta
        hooks of the client (token, quota, what an answer teaches)   done by the caller's thread, one at a time
        what they make of their pages                                handed to it, one per lane at most
    a read that fails with TooMuchData                               is told; anything else ends all of them

So nothing but the wait for Meta runs beside something else: quota is asked before each call, no call leaves once one
has failed, and what was already answered is still heard. With one lane there is no thread at all.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Final, NamedTuple

from metaads.graph.errors import TooMuchData

_TURN_SECONDS: Final = 0.0005


class Heard(NamedTuple):
    """What one of the reads gave: a page, or what it made of one; its end (`page` is None); or that it was too much
    for one answer."""

    number: int
    page: Any
    refused: TooMuchData | None = None


class _Stopped(Exception):
    """Another read has failed, or nobody listens any more: this one makes no further call."""


class _Errand(NamedTuple):
    """What a lane wants done by the caller's thread."""

    do: Callable[[], Any]
    back: SimpleQueue[tuple[Any, BaseException | None]]


class _Gone(NamedTuple):
    """A lane has ended, by itself or by an error."""

    error: BaseException | None


#: `ask` has the caller's thread do something before a call, `tell` after one; both give what it gave.
Ask = Callable[[Callable[[], Any]], Any]
#: A read, given how its hooks are to be called.
Read = Callable[[Ask, Ask], Iterator[Any]]


def run(reads: Sequence[Read], *, lanes: int) -> Generator[Heard, None, None]:
    """Give what the reads give, as it comes; of one read in its order. Raises what a read or one of its hooks raises,
    after every lane has come to rest."""
    if min(lanes, len(reads)) <= 1:
        yield from _one_by_one(reads)
        return
    desk = _Desk(reads)
    threads = [
        threading.Thread(target=desk.lane, name=f"graph lane {number}", daemon=True)
        for number in range(min(lanes, len(reads)))
    ]
    for thread in threads:
        thread.start()
    with _quick_turns():
        try:
            yield from desk.serve(len(threads))
        finally:
            desk.stop.set()
            desk.settle()
            for thread in threads:
                thread.join()


@contextmanager
def _quick_turns() -> Iterator[None]:
    """The caller's thread talks to the database in many short turns. By default Python would let a lane that reads
    rows keep it waiting for 5 ms before each of them."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(min(usual, _TURN_SECONDS))
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _one_by_one(reads: Sequence[Read]) -> Iterator[Heard]:
    for number, read in enumerate(reads):
        try:
            for page in read(_at_once, _at_once):
                yield Heard(number, page)
        except TooMuchData as refused:
            yield Heard(number, None, refused)
        else:
            yield Heard(number, None)


def _at_once(do: Callable[[], Any]) -> Any:
    return do()


class _Desk:
    """Where lanes leave what they want done, and the caller's thread does it."""

    def __init__(self, reads: Sequence[Read]) -> None:
        self.stop = threading.Event()
        self._reads = reads
        self._next = itertools.count()
        self._inbox: SimpleQueue[_Errand | _Gone | tuple[Heard, SimpleQueue[None]]] = SimpleQueue()
        self._lanes = 0

    # --- in a lane

    def lane(self) -> None:
        try:
            while not self.stop.is_set() and (number := next(self._next)) < len(self._reads):
                self._walk(number)
        except _Stopped:
            self._inbox.put(_Gone(None))
        except BaseException as error:
            self._inbox.put(_Gone(error))
        else:
            self._inbox.put(_Gone(None))

    def _walk(self, number: int) -> None:
        try:
            for page in self._reads[number](self._ask, self._tell):
                self._hand(Heard(number, page))
        except TooMuchData as refused:
            self._hand(Heard(number, None, refused))
        else:
            self._hand(Heard(number, None))

    def _hand(self, heard: Heard) -> None:
        taken: SimpleQueue[None] = SimpleQueue()
        self._inbox.put((heard, taken))
        taken.get()
        if self.stop.is_set():
            raise _Stopped

    def _ask(self, do: Callable[[], Any]) -> Any:
        if self.stop.is_set():
            raise _Stopped
        return self._tell(do)

    def _tell(self, do: Callable[[], Any]) -> Any:
        back: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._inbox.put(_Errand(do, back))
        found, error = back.get()
        if error is not None:
            raise error
        return found

    # --- in the caller's thread

    def serve(self, lanes: int) -> Generator[Heard, None, None]:
        self._lanes = lanes
        while self._lanes:
            match self._inbox.get():
                case _Errand() as errand:
                    _do(errand)
                case _Gone(error):
                    self._lanes -= 1
                    if error is not None:
                        raise error
                case (heard, taken):
                    try:
                        yield heard
                    except GeneratorExit:
                        self.stop.set()
                        raise
                    finally:  # also when nobody wants the next one
                        taken.put(None)

    def settle(self) -> None:
        """Hear what was already on its way, and let every lane end."""
        while self._lanes:
            match self._inbox.get():
                case _Errand() as errand:
                    _do(errand)
                case _Gone():
                    self._lanes -= 1
                case (_, taken):
                    taken.put(None)


def _do(errand: _Errand) -> None:
    try:
        found = errand.do()
    except BaseException as error:
        errand.back.put((None, error))
    else:
        errand.back.put((found, None))
