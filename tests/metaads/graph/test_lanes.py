"""Several reads at once: they wait for Meta side by side, and everything else happens in one thread, in turn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from metaads.graph import lanes
from metaads.graph.errors import Answer, AuthFailed, Kind, TooMuchData

PATIENCE = 30.0  # of a test that would hang for ever otherwise


def pages(*found: int) -> lanes.Read:
    def read(ask: lanes.Ask, tell: lanes.Ask) -> Iterator[int]:
        yield from found

    return read


def refusal(kind: type[Exception], why: Kind) -> Exception:
    return kind(Answer(kind=why, rule="made_up"))


def everything(reads: list[lanes.Read], count: int) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for number, page, refused in lanes.run(reads, lanes=count):
        found.setdefault(number, []).append(refused or page)
    return found


@pytest.mark.parametrize("count", [1, 2, 3, 50])
def test_each_read_gives_its_pages_in_order_and_then_its_end(count: int) -> None:
    reads = [pages(*range(number)) for number in range(20)]
    assert everything(reads, count) == {number: [*range(number), None] for number in range(20)}


def test_no_read_gives_nothing() -> None:
    assert everything([], 4) == {}


def test_reads_wait_for_meta_side_by_side() -> None:
    together = threading.Barrier(3)

    def read(ask: lanes.Ask, tell: lanes.Ask) -> Iterator[int]:
        together.wait(PATIENCE)  # passes only when three wait at the same time
        yield 1

    assert everything([read] * 3, 3) == {number: [1, None] for number in range(3)}


def test_no_more_reads_than_lanes_are_under_way() -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def read(ask: lanes.Ask, tell: lanes.Ask) -> Iterator[int]:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        yield 1
        with lock:
            now[0] -= 1

    everything([read] * 40, 4)
    assert 1 <= most[0] <= 4


def test_hooks_run_in_the_thread_that_walks_and_give_what_they_give() -> None:
    here = threading.get_ident()

    def read(ask: lanes.Ask, tell: lanes.Ask) -> Iterator[tuple[bool, bool, bool]]:
        yield (
            ask(threading.get_ident) == here,
            tell(threading.get_ident) == here,
            threading.get_ident() == here,
        )

    found = everything([read] * 6, 3)
    assert all(each == [(True, True, False), None] for each in found.values())


def test_too_much_data_ends_that_read_alone() -> None:
    refused = refusal(TooMuchData, Kind.REFUSED)

    def read(ask: lanes.Ask, tell: lanes.Ask) -> Iterator[int]:
        yield 1
        raise refused

    for count in (1, 3):
        found = everything([pages(7), read, pages(8)], count)
        assert found == {0: [7, None], 1: [1, refused], 2: [8, None]}


@pytest.mark.parametrize("count", [1, 4])
def test_any_other_error_comes_out_and_no_further_call_is_asked_for(count: int) -> None:
    asked: list[int] = []

    def failing(ask: lanes.Ask, tell: lanes.Ask) -> Iterator[int]:
        raise refusal(AuthFailed, Kind.AUTH)
        yield 0

    def long(ask: lanes.Ask, tell: lanes.Ask) -> Iterator[int]:
        for _ in range(10_000):
            ask(lambda: asked.append(1))
            yield 1

    with pytest.raises(AuthFailed):
        everything([failing, long, long, long], count)
    assert len(asked) < 30_000
    assert threading.active_count() == len(
        [one for one in threading.enumerate() if "graph lane" not in one.name]
    )


def test_what_a_hook_raises_comes_out() -> None:
    def no() -> None:
        raise PermissionError("no quota")

    def read(ask: lanes.Ask, tell: lanes.Ask) -> Iterator[int]:
        yield ask(no)

    for count in (1, 3):
        with pytest.raises(PermissionError, match="no quota"):
            everything([read, read, read], count)


def test_whoever_stops_listening_stops_the_reads_and_what_was_answered_is_still_heard() -> None:
    heard: list[int] = []
    on_its_way, stopped = threading.Event(), threading.Event()

    def first(ask: lanes.Ask, tell: lanes.Ask) -> Iterator[int]:
        assert on_its_way.wait(PATIENCE)
        yield 1

    def slow(ask: lanes.Ask, tell: lanes.Ask) -> Iterator[int]:
        on_its_way.set()  # the call has left
        assert stopped.wait(PATIENCE)
        tell(lambda: heard.append(1))  # and is answered after nobody listens any more
        ask(lambda: heard.append(2))  # but nothing else leaves
        yield 1

    walk = lanes.run([first, slow], lanes=2)
    assert next(walk).page == 1
    threading.Timer(0, stopped.set).start()
    walk.close()
    assert heard == [1]


def test_a_lane_does_not_run_ahead_of_whoever_listens() -> None:
    made: list[int] = []

    def read(ask: lanes.Ask, tell: lanes.Ask) -> Iterator[int]:
        for number in range(5):
            made.append(number)
            yield number

    walk = lanes.run([read, pages()], lanes=2)
    first = next(one for one in walk if one.page is not None)
    assert first.page == 0 and made == [0]
    walk.close()
    assert made == [0]
