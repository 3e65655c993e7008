from datetime import timedelta

import pytest

import accounts.leases as leases
from accounts.leases import release, take
from tests.conftest import START

pytestmark = pytest.mark.django_db


def test_one_holder_at_a_time_and_the_fence_tells_holders_apart():
    first = take(name="engine", holder="a", seconds=30, now=START)
    assert first is not None
    assert take(name="engine", holder="b", seconds=30, now=START + timedelta(seconds=29)) is None
    second = take(name="engine", holder="b", seconds=30, now=START + timedelta(seconds=30))
    assert second == first + 1
    assert take(name="engine", holder="a", seconds=30, now=START + timedelta(seconds=31)) is None


def test_renewing_keeps_the_fence_and_moves_the_end():
    fence = take(name="engine", holder="a", seconds=30, now=START)
    assert take(name="engine", holder="a", seconds=30, now=START + timedelta(seconds=20)) == fence
    assert take(name="engine", holder="b", seconds=30, now=START + timedelta(seconds=45)) is None


def test_the_same_holder_after_a_lapse_has_a_new_fence():
    fence = take(name="engine", holder="a", seconds=30, now=START)
    assert take(name="engine", holder="a", seconds=30, now=START + timedelta(seconds=60)) == fence + 1


def test_released_early_is_free_at_once_and_only_by_its_holder():
    take(name="engine", holder="a", seconds=30, now=START)
    release(name="engine", holder="b", now=START)
    assert take(name="engine", holder="b", seconds=30, now=START) is None
    release(name="engine", holder="a", now=START)
    assert take(name="engine", holder="b", seconds=30, now=START) is not None


@pytest.mark.fault("F133")
def test_what_many_ask_for_is_done_at_once_and_once_more_after_the_last_of_them(clock):
    turns = []
    for _ in range(10):
        turns.append(leases.turn(name="read", quiet=60, now=clock.now()))
        clock.advance(5)
    assert turns == [0.0, 60, *[None] * 8]
    clock.advance(11)  # 61 s after the first: its quiet time is over, and somebody asks again
    assert leases.turn(name="read", quiet=60, now=clock.now()) == 0.0
    assert leases.turn(name="another", quiet=60, now=clock.now()) == 0.0


def test_nobody_who_asks_is_left_without_a_later_turn(clock):
    """Whatever the moments: for each asking there is a turn that begins at or after it, within the quiet time."""
    asked, done = [], []
    for step in (0, 1, 58, 2, 0, 30, 61, 1, 1, 200, 5, 59, 1):
        clock.advance(step)
        at = clock.now().timestamp()
        asked.append(at)
        wait = leases.turn(name="read", quiet=60, now=clock.now())
        if wait is not None:
            done.append(at + wait)
    for at in asked:
        assert any(at <= moment <= at + 60 for moment in done), (at, done)
    for at in done:
        assert sum(at <= moment < at + 60 for moment in done) <= 2
