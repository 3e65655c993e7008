"""The sweeper dies: what was sent is not followed up. After ten minutes nothing may spend more, and people are told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError, connection

import campaigns.changes.approvals as approvals
import campaigns.changes.sweeper as sweeper
import campaigns.tasks as tasks
from accounts.models import Alert
from campaigns.errors import NotAllowedBy
from campaigns.states import Field
from insights.watchdog import sweeps

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F19")]


@pytest.fixture
def desk(desk):
    """Its worker runs, and has just swept."""
    sweeper.begin(now=desk.now)
    tasks.sweep()
    return desk


def fall_silent(desk, **span) -> None:
    """Time passes without a sweep; numbers and structure are read on."""
    desk.wait(**(span or {"minutes": 10}))
    desk.sync()


def test_after_ten_minutes_a_raise_is_refused_when_asked_for_and_says_why(desk):
    fall_silent(desk, minutes=9, seconds=59)
    assert desk.file("110").state == "PROPOSED"
    desk.wait(seconds=1)
    refused = desk.file("120")
    assert refused.state == "REJECTED" and "not been followed up since 2026-11-18 15:00" in refused.error_text
    start = desk.file("ACTIVE", field=Field.STATUS, obj=desk.other)
    assert start.state == "REJECTED"


def test_what_waited_is_not_approved_then_and_is_when_the_sweeper_is_back(desk):
    change, alice = desk.file("120"), desk.agency.principals.alice
    fall_silent(desk)
    with pytest.raises(NotAllowedBy) as refusal:
        approvals.approve(change=change, principal=alice, digest=change.digest, now=desk.now)
    assert refusal.value.code == "sweeper_silent" and "/readyz" in refusal.value.advice
    tasks.sweep()
    approvals.approve(change=change, principal=alice, digest=change.digest, now=desk.now)
    desk.until(change, "APPLIED")


def test_what_was_approved_before_is_not_sent_and_goes_by_itself_when_the_sweeper_is_back(desk):
    """Messages carry it on without a sweep, up to the transaction that would commit the request."""
    change = desk.approved("120")
    fall_silent(desk, minutes=11)
    for _ in range(4):
        desk.step(change)
        desk.wait(seconds=4)
    assert (change.state, desk.writes(), desk.attempts(change)) == ("APPROVED", [], [])
    assert "not been followed up" in change.error_text
    desk.wait(minutes=1)
    for _ in range(30):
        tasks.sweep()
        desk.wait(seconds=4)
    change.refresh_from_db()
    assert change.state == "APPLIED" and len(desk.writes()) == 1


@pytest.mark.parametrize("target, field", [("80", Field.DAILY_BUDGET), ("PAUSED", Field.STATUS)])
def test_cuts_and_stops_are_asked_for_approved_and_sent_all_the_same(desk, target, field):
    fall_silent(desk, hours=2)
    desk.until(desk.approved(target, field=field), "APPLIED")
    assert len(desk.writes()) == 1


@pytest.mark.parametrize(
    "states", ["APPROVED", "SENDING"], ids=["what is to be sent", "what is to be settled"]
)
def test_a_sweep_that_fails_leaves_no_sign(desk, states):
    fall_silent(desk)

    def broken(execute, sql, params, many, context):
        if '"campaigns_change"' in sql and states in (params or ()):
            raise OperationalError("database is locked")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(broken), pytest.raises(OperationalError):
        tasks.sweep()
    assert sweeper.silent_since(now=desk.now) is not None
    tasks.sweep()
    assert sweeper.silent_since(now=desk.now) is None


def test_a_worker_that_starts_has_ten_minutes_and_a_start_is_no_sweep(db, clock):
    assert sweeper.last() is None and sweeper.silent_since(now=clock.now()) is None
    sweeper.begin(now=clock.now())
    clock.advance(599)
    assert sweeper.silent_since(now=clock.now()) is None
    clock.advance(1)
    since = sweeper.silent_since(now=clock.now())
    assert since == clock.now() - timedelta(minutes=10)
    sweeper.begin(now=clock.now())
    assert sweeper.silent_since(now=clock.now()) == since


def test_owners_are_told_after_five_minutes_until_it_sweeps_again(desk):
    began = desk.now

    def told(**since):
        sweeps(now=desk.now, since=since.get("since", began))
        return Alert.everything.filter(key="sweeper", closed_at__isnull=True).first()

    desk.wait(minutes=4, seconds=59)
    assert told() is None
    desk.wait(seconds=1)
    assert told(since=desk.now) is None, "the watchdog itself has begun a moment ago"
    alert = told()
    assert (alert.client, alert.severity) == (None, "critical") and "15:00 UTC" in alert.title
    tasks.sweep()
    assert told() is None


def test_every_page_says_that_raises_rest(desk, client):
    client.force_login(desk.agency.users.vera)
    page = f"/a/{desk.account.act_id}/?part=stops"
    assert "Raises and starts rest" not in client.get(page).content.decode()
    fall_silent(desk)
    assert "Raises and starts rest" in client.get(page).content.decode()
    tasks.sweep()
    assert "Raises and starts rest" not in client.get(page).content.decode()
