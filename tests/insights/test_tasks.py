"""Edges of the queue: a new account is synced whole, a lost message is made up for, open pages hear of it."""

from datetime import timedelta

import pytest
from celery import current_app

from campaigns.models import Campaign
from insights.models import FetchRun, Interest
from insights.poll import tick
from insights.progress import progress
from insights.tasks import first_sync_account, scan

pytestmark = pytest.mark.django_db


@pytest.fixture
def eager():
    before, current_app.conf.task_always_eager = current_app.conf.task_always_eager, True
    yield
    current_app.conf.task_always_eager = before


def test_a_new_account_gets_its_structure_and_then_its_rows(connected):
    first_sync_account(connected.ad_account.pk)
    assert Campaign.everything.filter(ad_account=connected.ad_account).exists()
    found = progress(connected.ad_account)
    assert (found.state, found.done, found.total) == ("done", 29, 29)


def test_an_account_that_is_gone_or_off_is_left_alone(connected, clock):
    from accounts.ad_accounts import disable

    disable(ad_account=connected.ad_account, principal=connected.principals.alice, now=clock.now())
    first_sync_account(connected.ad_account.pk)
    first_sync_account(10**9)
    assert not FetchRun.everything.exists()


def test_enabling_starts_the_first_sync(connected, eager, clock, django_capture_on_commit_callbacks):
    from accounts.ad_accounts import disable, enable

    alice = connected.principals.alice
    disable(ad_account=connected.ad_account, principal=alice, now=clock.now())
    with django_capture_on_commit_callbacks(execute=True):
        enable(ad_account=connected.ad_account, principal=alice, now=clock.now())
    assert progress(connected.ad_account).state == "done"


def test_the_scan_makes_up_for_a_message_that_was_lost(connected, eager):
    scan()
    assert progress(connected.ad_account).state == "done"


def test_the_scan_takes_up_a_sync_that_waits_when_its_time_has_come(connected, sandbox, eager, clock):
    sandbox.faults.arm("throttle", match={"edge": "insights"}, times=1, at=0.0)
    scan()
    assert progress(connected.ad_account).state == "waiting"
    scan()
    assert progress(connected.ad_account).state == "waiting"
    clock.advance(1800)
    scan()
    assert progress(connected.ad_account).state == "done"


def test_a_tick_that_comes_a_moment_early_still_looks(synced, clock):
    tick(now=clock.now())
    Interest.everything.create(
        ad_account_id=synced.ad_account.pk,
        reason="watching",
        weight=10,
        until=clock.now() + timedelta(hours=1),
    )
    clock.advance(29.6)
    assert tick(now=clock.now()) == 1
