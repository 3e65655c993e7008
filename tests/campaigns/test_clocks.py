"""The machine's clock jumps, or two machines disagree: what counts by time is believed no more until it is right."""

from __future__ import annotations

from datetime import timedelta

import pytest

import metaads.clock as clock
from campaigns.tasks import sweep

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F29")]


def swept(desk, jump: timedelta, *, times: int = 4) -> None:
    """This worker's clock is off by `jump`; Meta's goes on as it should."""
    for _ in range(times):
        with clock.using(lambda: desk.now + jump):
            sweep()
        desk.wait(seconds=4)


def jumped(jump: timedelta):
    return pytest.param(jump, id=f"{jump.total_seconds():+.0f} s")


@pytest.mark.parametrize("jump", [jumped(timedelta(minutes=2)), jumped(timedelta(seconds=45))])
def test_after_a_jump_nothing_rises_and_it_goes_on_by_itself_when_the_clock_is_right(desk, jump):
    change = desk.approved("120")
    swept(desk, jump)
    change.refresh_from_db()
    assert (change.state, desk.writes()) == ("APPROVED", []) and "clock" in change.error_text
    assert clock.apart() == jump
    desk.wait(minutes=4)
    desk.until(change, "APPLIED")
    assert len(desk.writes()) == 1


def test_a_clock_that_went_back_sends_no_raise_either(desk):
    desk.wait(minutes=20)
    desk.sync()
    change = desk.approved("120")
    desk.step(change)
    # Two workers: the other one's clock is ten minutes behind, so what was just done lies ahead of it.
    change.__class__.everything.update(not_before=None)
    swept(desk, timedelta(minutes=-10))
    change.refresh_from_db()
    assert desk.writes() == [] and (change.state, "clock" in change.error_text) == ("APPROVED", True)
    desk.wait(minutes=2)
    sweep()
    desk.until(change, "APPLIED")


def test_a_day_ahead_is_no_second_day_of_raises(desk):
    """The 24 hours of what was added would be over, the numbers read anew on that clock: all fences but this one."""
    desk.until(desk.approved("150"), "APPLIED")
    desk.wait(minutes=1)
    with clock.using(lambda: desk.sandbox.clock.now() + timedelta(days=1, minutes=5)):
        ahead = desk.sandbox.clock.now() + timedelta(days=1, minutes=5)
        desk.clock, real = _Ahead(desk.clock), desk.clock
        assert desk.now == ahead
        desk.sync()
        again = desk.approved("210")
        for _ in range(3):
            sweep()
            real.advance(4)
    again.refresh_from_db()
    assert len(desk.writes()) == 1 and "clock" in again.error_text


class _Ahead:
    """The desk's clock as the machine shows it."""

    def __init__(self, clock) -> None:
        self._clock = clock

    def now(self):
        return self._clock.now() + timedelta(days=1, minutes=5)


def test_what_stops_and_what_cuts_does_not_wait_for_the_clock(desk):
    pause = desk.approved("80")
    swept(desk, timedelta(minutes=2))
    pause.refresh_from_db()
    assert pause.state in ("ACKED", "VERIFYING", "APPLIED") and len(desk.writes()) == 1


@pytest.mark.parametrize("text", ["", "yesterday", "Wed, 18 Nov 2026 15:00:00"])
def test_a_date_that_says_nothing_changes_nothing(text):
    before = clock.apart()
    clock.heard(text)
    assert clock.apart() == before
