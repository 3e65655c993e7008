"""How old a number is and why it is late: told beside it, and free where nothing is wrong."""

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts.ad_accounts import disable
from accounts.models import ConnectionState, MetaConnection
from insights.analytics import account_today, totals
from insights.models import DataVersion, PollState, Slice
from insights.poll import tick
from insights.trust import known
from insights.windows import DAY, Period, last, starts
from strategies.snapshots import build
from tests.insights.conftest import NOW, TODAY

pytestmark = pytest.mark.django_db


def trust(account, clock):
    account.refresh_from_db()
    today = account_today(account, clock.now())
    return totals(account, since=today, until=today, metrics=["spend"], now=clock.now()).header.trust


@pytest.mark.fault("F44")
def test_a_connection_that_ended_is_the_reason_and_says_what_to_do(synced, clock):
    tick(now=clock.now())
    assert trust(synced.ad_account, clock).state == "ready"
    MetaConnection.everything.update(state=ConnectionState.REAUTH_NEEDED)
    clock.advance(1200)
    assert tick(now=clock.now()) == 0
    found = trust(synced.ad_account, clock)
    assert found.state == "stale"
    assert found.reasons[0].startswith("Today was last checked at 15:00") and "econnect" in found.reasons[1]


@pytest.mark.fault("F39")
def test_a_throttled_account_says_until_when_it_waits(synced, sandbox, clock):
    tick(now=clock.now())
    clock.advance(960)  # its numbers have not been looked at for a quarter of an hour, and now Meta refuses
    sandbox.faults.arm("throttle", times=9, at=0.0)
    tick(now=clock.now())
    found = trust(synced.ad_account, clock)
    assert found.state == "stale" and "Waiting:" in found.reasons[-1]


def test_a_switched_off_account_says_so(synced, clock):
    tick(now=clock.now())
    disable(ad_account=synced.ad_account, principal=synced.principals.alice, now=clock.now())
    clock.advance(1200)
    found = trust(synced.ad_account, clock)
    assert found.state == "stale" and "switched off" in found.reasons[-1]


def test_where_nothing_is_wrong_no_reason_is_looked_for(synced, clock, django_assert_max_num_queries):
    tick(now=clock.now())
    trust(synced.ad_account, clock)
    with django_assert_max_num_queries(6):
        assert trust(synced.ad_account, clock).state == "ready"


def test_what_late_numbers_say_reaches_the_rules(synced, clock):
    tick(now=clock.now())
    MetaConnection.everything.update(state=ConnectionState.REAUTH_NEEDED)
    clock.advance(2 * 86_400)
    synced.ad_account.refresh_from_db()
    snapshot = build(ad_account=synced.ad_account, now=clock.now())
    assert snapshot.trust.value in ("stale", "partial")
    assert any("econnect" in reason for reason in snapshot.trust_reasons)


# Slices by hand: an account in New York, whose 18 November is ten hours old (`NOW`).


def read(account, day, at, *, kind="day", levels=("ad", "account")):
    """The day was read to the end at `at`, and delivered something."""
    for level in levels:
        Slice.everything.update_or_create(
            ad_account_id=account.pk, kind=kind, level=level, day=day,
            defaults={"complete": True, "fetched_at": at, "as_of": at, "zone": account.timezone_name, "rows": 1},
        )  # fmt: skip


def header(account, period, *, now=NOW, kind="day", level="account"):
    return known(ad_account=account, period=period, level=level, now=now, kind=kind).header


def local(account, day, hours):
    """So many hours into the account's day."""
    return starts(day, account.timezone_name) + timedelta(hours=hours)


def test_seven_days_are_as_old_as_the_one_that_was_read_longest_ago(ad_account):
    for day in last(7, TODAY):
        read(ad_account, day, NOW - timedelta(minutes=5))
    oldest = local(ad_account, TODAY, 1)
    read(ad_account, TODAY - 5 * DAY, oldest)
    found = header(ad_account, last(7, TODAY))
    assert (found.trust.state, found.checked_at) == ("ready", oldest)
    assert found.data_as_of == NOW - timedelta(minutes=5)
    assert found.stale_after == 26 * 3600


def test_today_is_as_old_as_the_last_look_and_a_period_with_it_as_its_oldest_day(ad_account):
    read(ad_account, TODAY, NOW - timedelta(hours=2))
    read(ad_account, TODAY - DAY, NOW - timedelta(hours=1))
    looked = NOW - timedelta(seconds=30)
    PollState.everything.create(ad_account_id=ad_account.pk, checked_at=looked, next_check_at=NOW)
    today = header(ad_account, Period(TODAY, TODAY))
    assert (today.trust.state, today.checked_at, today.stale_after) == ("ready", looked, 900)
    both = header(ad_account, Period(TODAY - DAY, TODAY))
    assert (both.trust.state, both.checked_at) == ("ready", NOW - timedelta(hours=1))
    # What moved and could not be fetched was seen, not read.
    PollState.objects.of(ad_account).update(pending=True)
    today = header(ad_account, Period(TODAY, TODAY))
    assert (today.trust.state, today.checked_at) == ("stale", NOW - timedelta(hours=2))


def test_a_day_that_was_not_read_again_when_it_was_due_is_named_and_the_rules_hear_of_it(ad_account):
    for day in last(7, TODAY):
        read(ad_account, day, local(ad_account, TODAY, 0.1), levels=("ad", "account", "campaign", "adset"))
    missed = local(ad_account, TODAY - DAY, 12)
    read(ad_account, TODAY - 3 * DAY, missed)
    late = "15 Nov was last read on 17 Nov at 17:00 UTC and should have been read again since."
    DataVersion.everything.create(ad_account_id=ad_account.pk)
    just, over = (local(ad_account, TODAY, hours) for hours in (1.99, 2.01))
    assert header(ad_account, last(7, TODAY), now=just).trust.state == "ready"
    found = header(ad_account, last(7, TODAY), now=over)
    assert (found.trust.state, found.trust.reasons[0], found.checked_at) == ("stale", late, missed)
    snapshot = build(ad_account=ad_account, now=over)
    assert snapshot.trust.value == "stale" and late in snapshot.trust_reasons
    read(ad_account, TODAY - 2 * DAY, missed + timedelta(hours=1))
    more = header(ad_account, last(7, TODAY), now=over).trust.reasons[0]
    assert more.startswith("15 Nov ") and more.endswith(", and so should 1 day more.")


def test_a_day_that_was_not_read_since_it_ended_is_late_after_a_quarter_of_an_hour(ad_account):
    yesterday = Period(TODAY - DAY, TODAY - DAY)
    read(ad_account, TODAY - DAY, local(ad_account, TODAY - DAY, 23.9))
    assert header(ad_account, yesterday, now=local(ad_account, TODAY, 0.2)).trust.state == "ready"
    found = header(ad_account, yesterday, now=local(ad_account, TODAY, 0.3))
    assert found.trust.state == "stale" and found.trust.reasons[0].startswith(
        "17 Nov was last read on 18 Nov"
    )


def test_a_day_past_the_look_back_does_not_age_once_it_was_read_in_its_final_form(ad_account):
    old, young = TODAY - 29 * DAY, TODAY - 28 * DAY
    frozen = local(ad_account, TODAY, 0)
    read(ad_account, young, NOW - timedelta(hours=1))
    read(ad_account, old, frozen)
    both = Period(old, young)
    found = header(ad_account, both)
    assert (found.trust.state, found.checked_at) == ("ready", NOW - timedelta(hours=1))
    alone = header(ad_account, Period(old, old), now=NOW + 40 * DAY)
    assert (alone.trust.state, alone.checked_at, alone.stale_after) == ("ready", frozen, 0)
    PollState.everything.create(ad_account_id=ad_account.pk, checked_at=NOW, next_check_at=NOW)
    assert header(ad_account, Period(old, old)).checked_at == NOW
    before = frozen - timedelta(seconds=1)
    read(ad_account, old, before)
    found = header(ad_account, both)
    assert (found.trust.state, found.checked_at) == ("stale", before)
    assert found.trust.reasons[0].startswith("20 Oct was last read")


def test_hours_are_held_to_the_one_read_after_their_day_and_say_how_old_it_is(ad_account):
    day = TODAY - 10 * DAY
    at = local(ad_account, TODAY - 8 * DAY, 0.5)
    read(ad_account, day, at, kind="hour", levels=("campaign",))
    found = header(ad_account, Period(day, day), kind="hour", level="campaign")
    assert (found.trust.state, found.checked_at) == ("ready", at)
    read(ad_account, day, at - timedelta(hours=1), kind="hour", levels=("campaign",))
    assert header(ad_account, Period(day, day), kind="hour", level="campaign").trust.state == "stale"


@pytest.mark.parametrize(
    ("age", "state"), [(6, "stale"), (7, "stale"), (8, "ready"), (28, "ready"), (29, "stale")]
)
def test_a_short_look_back_lets_the_days_behind_it_rest_until_they_froze(ad_account, settings, age, state):
    settings.LOOKBACK_DAYS = 7
    day = TODAY - age * DAY
    read(ad_account, day, local(ad_account, day + min(age - 1, 7) * DAY, 1))
    assert header(ad_account, Period(day, day)).trust.state == state
