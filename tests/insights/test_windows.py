"""Days belong to the account's zone; a day may have 23, 24 or 25 hours; what is due follows Meta's 28 days."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights.errors import UnknownPeriod, UnknownZone
from insights.windows import (
    DAY,
    PRESETS,
    Period,
    due,
    fraction,
    halves,
    hours,
    last,
    preset,
    reaching_back,
    runs,
    starts,
    today,
    zone,
)

ZONES = (
    "America/New_York",
    "Europe/Berlin",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "UTC",
)
days = st.dates(date(2016, 1, 1), date(2030, 12, 31))


@given(day=days, name=st.sampled_from(ZONES))
def test_a_day_s_hours_tile_it_without_gap_or_overlap(day, name):
    found = hours(day, name)
    assert len(found) in (23, 24, 25)
    assert found[0] == starts(day, name)
    assert found[-1] < starts(day + DAY, name) <= found[-1] + timedelta(hours=1)
    assert today(found[0], name) == day
    assert today(starts(day + DAY, name) - timedelta(microseconds=1), name) == day


def test_the_days_of_the_clock_change_have_23_and_25_hours():
    assert len(hours(date(2026, 3, 8), "America/New_York")) == 23
    assert len(hours(date(2026, 11, 1), "America/New_York")) == 25
    assert len(hours(date(2026, 3, 29), "Europe/Berlin")) == 23
    assert len(hours(date(2026, 10, 25), "Europe/Berlin")) == 25


@given(moment=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), name=st.sampled_from(ZONES))
def test_the_share_of_the_day_that_is_over_is_between_none_and_all(moment, name):
    assert 0 <= fraction(moment.replace(tzinfo=UTC), name) < 1


@pytest.mark.fault("F62")
def test_an_account_ahead_of_utc_is_already_in_tomorrow():
    moment = datetime(2026, 11, 18, 16, 0, tzinfo=UTC)
    assert today(moment, "Asia/Tokyo") == date(2026, 11, 19)
    assert today(moment, "America/New_York") == date(2026, 11, 18)


def test_last_7_days_leave_today_out_and_presets_are_known_by_meta_s_names():
    assert preset("last_7d", today=date(2026, 11, 18)) == Period(date(2026, 11, 11), date(2026, 11, 17))
    assert preset("last_week_mon_sun", today=date(2026, 11, 18)) == Period(
        date(2026, 11, 9), date(2026, 11, 15)
    )
    assert preset("last_month", today=date(2026, 3, 31)) == Period(date(2026, 2, 1), date(2026, 2, 28))
    with pytest.raises(UnknownPeriod) as caught:
        preset("lifetime", today=date(2026, 11, 18))
    assert caught.value.allowed == tuple(PRESETS)


def test_an_unknown_zone_is_said():
    with pytest.raises(UnknownZone):
        zone("Mars/Olympus")


NOW = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
TODAY = date(2026, 11, 18)


def _due(fetched, days=35, **more):
    return due(today=TODAY, days=days, now=NOW, zone_name="America/New_York", fetched=fetched, **more)


def test_at_first_every_day_is_due_newest_first():
    assert _due({}, days=3) == (TODAY, TODAY - DAY, TODAY - 2 * DAY)


def test_after_a_whole_read_only_today_is_due_until_an_hour_or_a_day_has_gone():
    fetched = {TODAY - index * DAY: NOW - timedelta(minutes=5) for index in range(35)}
    assert _due(fetched) == (TODAY,)
    assert _due(fetched, always_today=False) == ()
    fetched[TODAY - DAY] = NOW - timedelta(hours=2)
    assert _due(fetched) == (TODAY, TODAY - DAY)


def test_each_account_day_reads_28_days_back_once_and_frozen_days_never_again():
    fetched = {TODAY - index * DAY: NOW - timedelta(hours=20) for index in range(35)}
    found = _due(fetched)
    assert found[:29] == tuple(TODAY - index * DAY for index in range(29))
    # Day 29 back froze at this midnight and was last read before that: once more. Older ones are done.
    assert found[29:] == (TODAY - 29 * DAY,)


def test_a_short_look_back_reads_the_days_behind_it_once_more_if_their_last_turn_was_missed():
    fetched = {TODAY - index * DAY: starts(TODAY - index * DAY, "America/New_York") for index in range(1, 35)}
    asked = {"lookback": 7, "always_today": False}
    assert _due({TODAY: NOW, **fetched}, **asked) == tuple(TODAY - index * DAY for index in range(1, 35))
    turn = {day: starts(day + 7 * DAY, "America/New_York") for day in fetched}
    in_time = {TODAY: NOW, **{day: min(NOW, at) for day, at in turn.items()}}
    assert _due(in_time, **asked) == tuple(TODAY - index * DAY for index in range(29, 35))


def test_a_refresh_looks_back_to_the_oldest_day_that_moved_unseen():
    today, zone = date(2026, 11, 18), "Asia/Tokyo"
    asleep = datetime(2026, 10, 9, 12, tzinfo=UTC)
    days = [today - DAY * age for age in range(90)]
    now = dict.fromkeys(days, datetime(2026, 11, 18, 3, tzinfo=UTC))
    then = {day: asleep for day in days if day <= asleep.date()}
    assert reaching_back(today=today, zone_name=zone, fetched={}) == 29
    assert reaching_back(today=today, zone_name=zone, fetched={day: now[day] for day in days[:29]}) == 29
    # On 9 October, 10 September had its 28 days behind it and stood; the 11th could still move.
    assert reaching_back(today=today, zone_name=zone, fetched=then) == (today - date(2026, 9, 11)).days + 1


@given(st.sets(st.integers(0, 90), min_size=1), st.integers(1, 31))
def test_runs_cover_exactly_the_days_newest_first(ages, longest):
    wanted = {TODAY - age * DAY for age in ages}
    found = runs(wanted, longest=longest)
    assert [day for period in found for day in period] == [day for period in found for day in sorted(period)]
    assert {day for period in found for day in period} == wanted
    assert all(period.days <= longest for period in found)
    assert list(found) == sorted(found, key=lambda period: period.until, reverse=True)


@given(st.integers(2, 60))
def test_halves_lose_no_day(size):
    period = last(size, TODAY)
    new, old = halves(period)
    assert (old.since, new.until, new.since) == (period.since, period.until, old.until + DAY)
