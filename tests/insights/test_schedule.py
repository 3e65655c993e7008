"""Pure: who is looked at first, and when again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights.schedule import Look, learned, next_check, order, rank

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
    velocity=st.integers(0, 10**7),
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
        assert slowed >= usual
        assert slowed >= min(3600, slower * max(30, look.poll_seconds))
        assert slowed <= max(3600, usual)


@pytest.mark.parametrize(("slower", "seconds"), [(1, 30), (2, 60), (4, 120), (10, 300)])
def test_an_account_that_is_awaited_is_looked_at_half_a_quarter_a_tenth_as_often(slower, seconds):
    for look in (Look(1, 1, 30, slower=slower), Look(1, 1, 30, slower=slower, weight=1)):
        assert next_check(look, now=NOW) == NOW + timedelta(seconds=seconds)
    quiet = Look(1, 1, 30, slower=slower, quiet=40)
    assert 9.5 * seconds <= (next_check(quiet, now=NOW) - NOW).total_seconds() <= 10 * seconds


@given(looks)
def test_a_watched_account_waits_no_longer_than_its_poll_seconds(look):
    if look.weight >= 10 and not look.failures:
        assert (next_check(look, now=NOW) - NOW).total_seconds() == max(30, look.poll_seconds)


@pytest.mark.fault("F43")
@given(st.lists(looks, max_size=30, unique_by=lambda look: look.ad_account_id))
def test_no_client_waits_for_all_accounts_of_another(given_looks):
    found = order(given_looks, now=NOW)
    assert sorted(found, key=lambda look: look.ad_account_id) == sorted(
        given_looks, key=lambda look: look.ad_account_id
    )
    assert [rank(look) for look in found] == sorted(rank(look) for look in found)
    for group in range(4):
        mine = [look for look in found if rank(look) == group]
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


def slept(**more):
    look = Look(1, 1, 30, data_as_of=NOW, period_seconds=900, **more)
    return (next_check(look, now=NOW) - NOW).total_seconds()


def test_the_closer_an_account_is_to_a_decision_the_sooner_it_is_looked_at_again():
    rest, armed, close, watched = (slept(weight=weight) for weight in (0, 1, 5, 10))
    assert 0.95 * 828 <= rest <= 828 and armed == rest
    assert 0.95 * 765 <= close <= 765
    assert watched == 30


def test_an_account_that_is_close_to_a_threshold_does_not_rest_when_it_is_quiet():
    quiet, close = Look(1, 1, 30, quiet=40), Look(1, 1, 30, quiet=40, weight=5)
    assert (next_check(quiet, now=NOW) - NOW).total_seconds() > 270
    assert next_check(close, now=NOW) == NOW + timedelta(seconds=30)


def test_accounts_that_began_together_do_not_all_fall_due_in_one_second_and_each_keeps_its_place():
    for more in ({"data_as_of": NOW, "period_seconds": 900}, {"quiet": 40}, {"failures": 5}):
        due = [next_check(Look(number, 1, 30, **more), now=NOW) for number in range(1, 201)]
        assert due == [next_check(Look(number, 1, 30, **more), now=NOW) for number in range(1, 201)]
        span = (max(due) - min(due)).total_seconds()
        assert 10 <= span <= 45
        assert max(due.count(one) for one in set(due)) <= 2 * 200 / span


def ids(*given_looks):
    return [look.ad_account_id for look in order(given_looks, now=NOW)]


def waited(number, seconds=60, *, client=1, **more):
    return Look(number, client, 30, checked_at=NOW - timedelta(seconds=seconds), **more)


def test_watched_before_close_before_armed_before_the_rest_however_long_these_have_waited():
    assert ids(
        waited(1, 900, velocity=10**6),
        waited(2, 600, weight=1),
        waited(3, 90, weight=5),
        waited(4, weight=10),
    ) == [4, 3, 2, 1]


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.sampled_from([0, 1, 5, 10]))
def test_of_two_that_waited_as_long_the_faster_spending_one_goes_first(one, other, weight):
    found = ids(waited(1, velocity=one, weight=weight), waited(2, velocity=other, weight=weight))
    assert found == ([1, 2] if one >= other else [2, 1])


def test_a_slow_one_is_not_passed_over_for_good_by_fast_ones():
    """A tick that has room for one look: ten fast accounts, one that spends nothing."""
    checked, turns = dict.fromkeys(range(11), NOW), []
    for tick in range(1, 200):
        now = NOW + timedelta(seconds=30 * tick)
        all_due = [
            Look(number, 1, 30, checked_at=at, velocity=0 if number == 10 else 10**6)
            for number, at in checked.items()
        ]
        first = order(all_due, now=now)[0].ad_account_id
        checked[first] = now
        turns.append(first)
    assert turns.count(10) >= 2
    assert all(turns.count(number) > turns.count(10) for number in range(10))


def test_a_client_with_one_slow_account_comes_second_beside_one_with_many_fast_ones():
    many = [waited(number, client=1, velocity=10**6) for number in range(1, 9)]
    assert ids(*many, waited(50, client=2)).index(50) == 1
