"""The third strike: counted before the work, forgotten after a good end, put aside after three without one."""

from __future__ import annotations

from contextlib import suppress

import pytest
from django.db import OperationalError

import metaads.strikes as strikes
from metaads.models import Strike
from tests.conftest import START

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F103")]


class Killed(BaseException):
    """The process is gone: no handler runs that is not run at a kill."""


def attempt(error: BaseException | None = None, name: str = "thing:1", **more) -> bool:
    """Whether it was begun."""
    begun = False
    with suppress(Exception, Killed), strikes.trial(name, now=START, **more) as may:
        begun = may
        if may and error is not None:
            raise error
    return begun


@pytest.mark.parametrize("error", [Killed(), ValueError("no")], ids=["killed", "raised"])
def test_after_three_tries_without_an_end_it_is_not_begun_any_more(error):
    assert [attempt(error) for _ in range(5)] == [True, True, True, False, False]
    assert strikes.names("thing:") == ["1"]
    assert attempt(error, name="thing:2"), "another one is"
    assert Strike.objects.get(name="thing:1").count == 3


def test_a_good_end_forgets_what_was_before():
    for _ in range(4):
        assert [attempt(Killed()), attempt(Killed()), attempt()] == [True, True, True]
    assert not Strike.objects.exists()


def test_the_strike_stands_before_the_work_begins():
    with strikes.trial("thing:1", now=START) as may:
        assert may and Strike.objects.get().count == 1


def test_what_the_ground_does_is_taken_back_and_what_is_an_answer_too():
    for _ in range(6):
        assert attempt(OperationalError("locked")) and attempt(LookupError(), but=(LookupError,))
    assert strikes.parked() == [] and Strike.objects.get().count == 0


def test_once_released_it_has_three_new_tries():
    for _ in range(4):
        attempt(Killed())
    strikes.release(strikes.parked()[0])
    assert [attempt(Killed()) for _ in range(4)] == [True, True, True, False]
