"""Why a number is late: told beside it, and free where nothing is wrong."""

from __future__ import annotations

import pytest

from accounts.ad_accounts import disable
from accounts.models import ConnectionState, MetaConnection
from insights.analytics import account_today, totals
from insights.poll import tick
from strategies.snapshots import build

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
