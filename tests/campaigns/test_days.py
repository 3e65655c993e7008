"""The account's day: every moment lies in exactly one, whatever its clock does, and a new zone is a new day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from campaigns.changes.headroom import today_of
from insights.windows import fraction, hours, starts, today
from tests.campaigns.test_headroom import day_of

#: Jumps of an hour, of half an hour and at midnight; quarter hours; the first and the last zone to see a day.
ZONES = (
    "Africa/Cairo", "America/Asuncion", "America/Havana", "America/Los_Angeles", "America/New_York", "America/Santiago",
    "America/St_Johns", "Asia/Beirut", "Asia/Kathmandu", "Asia/Tehran", "Atlantic/Azores", "Australia/Adelaide",
    "Australia/Lord_Howe", "Europe/Berlin", "Europe/London", "Pacific/Chatham", "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
)  # fmt: skip
DAY = timedelta(days=1)


def jumps(name: str) -> list[datetime]:
    """The hours of two years in which the zone's distance from UTC changes."""
    moment, end, found = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC), []
    while moment < end:
        then = moment + timedelta(hours=1)
        if moment.astimezone(ZoneInfo(name)).utcoffset() != then.astimezone(ZoneInfo(name)).utcoffset():
            found.append(moment)
        moment = then
    return found


@pytest.mark.fault("F27", "F28")
@pytest.mark.parametrize("name", ZONES)
def test_around_every_jump_of_the_clock_no_moment_is_in_two_days_or_in_none(name):
    """Ticks of a quarter of an hour, as strategies are judged: each is in one day, and each day has all of its own."""
    account = SimpleNamespace(timezone_name=name)
    for jump in jumps(name) or [datetime(2026, 3, 29, tzinfo=UTC)]:
        ticks = [jump - 2 * DAY + timedelta(minutes=15) * n for n in range(4 * 24 * 4)]
        days: dict[object, list[datetime]] = {}
        for tick in ticks:
            days.setdefault(today_of(account, tick), []).append(tick)
        assert list(days) == [min(days) + DAY * n for n in range(len(days))], "in order, and none left out"
        for day, own in list(days.items())[1:-1]:
            first, end = starts(day, name), starts(day + DAY, name)
            assert own == [tick for tick in ticks if first <= tick < end]
            assert timedelta(hours=23) <= end - first <= timedelta(hours=25)
            assert hours(day, name)[0] == first and {today(tick, name) for tick in own} == {day}
            shares = [fraction(tick, name) for tick in own]
            assert shares == sorted(set(shares)) and shares[0] >= 0 and shares[-1] < 1


def test_zones_that_jump_are_among_them():
    counts = {name: len(jumps(name)) for name in ("Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu")}
    assert counts == {"Australia/Lord_Howe": 4, "Africa/Cairo": 4, "Asia/Kathmandu": 0}


@pytest.mark.django_db
@pytest.mark.fault("F28", "F30")
def test_a_new_time_zone_is_a_new_day_for_the_limits_and_no_second_helping(desk):
    """Half of the budget more today, and the account moves to where it is tomorrow: the 24 hours roll on."""
    desk.until(desk.approved("150"), "APPLIED")
    old = today_of(desk.account, desk.now)
    desk.edit(SimpleNamespace(meta_id=desk.account.act_id), "timezone_name", "Pacific/Kiritimati")
    desk.wait(seconds=60)
    assert desk.sync().state == "complete"
    assert desk.account.timezone_name == "Pacific/Kiritimati", "read again with every look at the structure"
    assert today_of(desk.account, desk.now) == old + DAY
    desk.spent("400")
    assert day_of(desk).worst >= 400, "the limit of a day counts what was reported of the new one"
    desk.spent("0")
    again = desk.file("210")
    assert again.state == "REJECTED" and "Together with the last 24 hours" in again.error_text
    desk.wait(hours=24)
    desk.sync()
    assert desk.file("210").state == "PROPOSED"
