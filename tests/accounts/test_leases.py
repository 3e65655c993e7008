from datetime import timedelta

import pytest

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
