"""Pure: who is looked at first, and when again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights.schedule import Look, learned, next_check, order

NOW = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
looks = st.builds(
    Look,
    ad_account_id=st.integers(1, 50),
    client_id=st.integers(1, 4),
    poll_seconds=st.integers(1, 600),
    weight=st.integers(0, 20),
    quiet=st.integers(0, 90),
    failures=st.integers(0, 99),
    data_as_of=st.one_of(st.none(), st.integers(0, 5000).map(lambda age: NOW - timedelta(seconds=age))),
    period_seconds=st.one_of(st.none(), st.integers(20, 7200)),
)


@given(looks)
def test_never_sooner_than_30_seconds_and_never_later_than_15_minutes(look):
    wait = (next_check(look, now=NOW) - NOW).total_seconds()
    assert 30 <= wait <= 900


@given(looks, st.sampled_from([1, 2, 4, 10]))
def test_full_limits_slow_what_nobody_watches_by_as_much_and_leave_the_watched_alone(look, slower):
    slowed = (next_check(replace(look, slower=slower), now=NOW) - NOW).total_seconds()
    usual = (next_check(look, now=NOW) - NOW).total_seconds()
    if look.weight >= 10 or look.failures:
        assert slowed == usual
    else:
        assert slowed >= max(usual, min(3600, slower * max(30, look.poll_seconds)))
        assert slowed <= max(3600, usual)


@pytest.mark.parametrize(("slower", "seconds"), [(1, 30), (2, 60), (4, 120), (10, 300)])
def test_an_account_that_is_awaited_is_looked_at_half_a_quarter_a_tenth_as_often(slower, seconds):
    for look in (Look(1, 1, 30, slower=slower), Look(1, 1, 30, slower=slower, weight=1)):
        assert next_check(look, now=NOW) == NOW + timedelta(seconds=seconds)
    quiet = Look(1, 1, 30, slower=slower, quiet=40)
    assert next_check(quiet, now=NOW) == NOW + timedelta(seconds=10 * seconds)


@given(looks)
def test_a_watched_account_waits_no_longer_than_its_poll_seconds(look):
    if look.weight >= 10 and not look.failures:
        assert (next_check(look, now=NOW) - NOW).total_seconds() == max(30, look.poll_seconds)


@pytest.mark.fault("F43")
@given(st.lists(looks, max_size=30, unique_by=lambda look: look.ad_account_id))
def test_no_client_waits_for_all_accounts_of_another(given_looks):
    found = order(given_looks)
    assert sorted(found, key=lambda look: look.ad_account_id) == sorted(
        given_looks, key=lambda look: look.ad_account_id
    )
    for group in (True, False):
        mine = [look for look in found if (look.weight >= 10) is group]
        for client in {look.client_id for look in mine}:
            first = next(index for index, look in enumerate(mine) if look.client_id == client)
            assert len([look for look in mine[:first] if look.client_id != client]) < len(
                {look.client_id for look in mine}
            )


def test_the_period_is_learned_and_a_night_does_not_spoil_it():
    assert learned(None, interval=900) == 900
    assert learned(900, interval=960) == 918
    assert learned(900, interval=30_000) == 900
    assert learned(900, interval=3_000) == 945
    assert learned(None, interval=5) is None


def test_a_period_that_was_learned_too_short_grows_to_what_it_is():
    period = 300
    for _ in range(40):
        period = learned(period, interval=900)
    assert 870 <= period <= 900


def test_a_night_never_makes_it_sleep_over_a_whole_period():
    period = 900
    for _ in range(30):
        period = learned(period, interval=6_000)
        assert period * 0.92 < 900
        for _ in range(8):
            period = learned(period, interval=900)


def test_an_unwatched_account_sleeps_to_92_percent_of_its_period():
    look = Look(1, 1, 30, data_as_of=NOW, period_seconds=900)
    assert next_check(look, now=NOW) == NOW + timedelta(seconds=828)
    assert next_check(
        Look(1, 1, 30, data_as_of=NOW, period_seconds=900, weight=10), now=NOW
    ) == NOW + timedelta(seconds=30)
