"""Meta is asked to tell us what changes in the ad accounts that are switched on; once a day it is made sure."""

from datetime import timedelta

import pytest

import accounts.subscriptions as subscriptions
from accounts.ad_accounts import disable
from accounts.models import MetaConnection
from accounts.sentinel import tend

pytestmark = pytest.mark.django_db
DAY = 24 * 3600


def subscribed(sandbox):
    return {key for key, value in sandbox.world.subscriptions.items() if key.startswith("account:") and value}


def calls(sandbox):
    return sum("subscribed_apps" in call["path"] for call in sandbox.history)


def forget(sandbox, clock, account):
    sandbox.world.record(
        at=clock.now().timestamp(), kind="subscription", key=f"account:{account.act_id}", value=None
    )


def test_an_account_that_is_switched_on_is_subscribed_by_the_next_round(connected, sandbox, clock):
    tend(now=clock.now())
    assert subscribed(sandbox) == {f"account:{connected.ad_account.act_id}"}


def test_it_is_asked_once_a_day_and_mended_when_somebody_took_it_away(connected, sandbox, clock):
    assert subscriptions.tend(now=clock.now()) == 1
    forget(sandbox, clock, connected.ad_account)
    clock.advance(3600)
    before = calls(sandbox)
    assert subscriptions.tend(now=clock.now()) == 0
    assert calls(sandbox) == before
    clock.advance(DAY)
    assert subscriptions.tend(now=clock.now()) == 1
    assert subscribed(sandbox)
    clock.advance(DAY + 1)
    assert subscriptions.tend(now=clock.now()) == 0  # still there: looked, not asked again


def test_an_account_that_is_off_or_read_only_is_not_subscribed(connected, sandbox, clock):
    MetaConnection.objects.of(connected.northwind).update(scopes=["ads_read"])
    assert subscriptions.tend(now=clock.now()) == 0
    MetaConnection.objects.of(connected.northwind).update(scopes=["ads_read", "ads_management"])
    disable(ad_account=connected.ad_account, principal=connected.principals.alice, now=clock.now())
    clock.advance(3601)
    assert subscriptions.tend(now=clock.now()) == 0
    assert not subscribed(sandbox)


def test_a_meta_that_is_away_is_asked_again_after_an_hour(connected, sandbox, clock):
    sandbox.faults.arm("dropped", {"path": "subscribed_apps"}, times=None)
    assert subscriptions.tend(now=clock.now()) == 0
    sandbox.faults.disarm()
    assert subscriptions.tend(now=clock.now() + timedelta(minutes=5)) == 0
    assert subscriptions.tend(now=clock.now() + timedelta(hours=1, seconds=1)) == 1


def test_without_webhooks_nothing_is_asked(connected, sandbox, clock, settings):
    settings.META = {**settings.META, "verify_token": ""}
    assert subscriptions.tend(now=clock.now()) == 0
    assert calls(sandbox) == 0
