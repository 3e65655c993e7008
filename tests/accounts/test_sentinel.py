"""What Meta says of a token decides; a Meta that does not answer changes nothing."""

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client as Browser

from accounts import connections, sentinel
from accounts.fields import bound
from accounts.models import AdAccount, Alert, ConnectionState, IdempotencyRecord, MetaConnection, PendingGrant
from accounts.tasks import sentinel as task
from tests.conftest import PASSWORD


@pytest.fixture
def row(connected):
    return MetaConnection.everything.get()


def revoke(sandbox, row, clock):
    from metaads import gateway
    from metaads.graph import oauth

    oauth.revoke(gateway.transport(), row.token)
    clock.advance(1)


def test_a_token_that_was_revoked_at_meta_is_found_on_the_daily_round(row, sandbox, clock):
    revoke(sandbox, row, clock)
    assert sentinel.tend(now=clock.now()) == 0
    clock.advance(86_401)
    assert sentinel.tend(now=clock.now()) == 1
    row.refresh_from_db()
    assert row.state == ConnectionState.REAUTH_NEEDED
    assert row.reason


def test_a_doubtful_one_is_checked_after_ten_minutes_and_healed(row, clock):
    MetaConnection.everything.update(state=ConnectionState.DEGRADED, auth_failures=1)
    clock.advance(599)
    assert sentinel.check_due(now=clock.now()) == 0
    clock.advance(2)
    assert sentinel.check_due(now=clock.now()) == 1
    row.refresh_from_db()
    assert (row.state, row.auth_failures, row.checked_at) == (ConnectionState.CONNECTED, 0, clock.now())


@pytest.mark.parametrize("fault", ["dropped", "html", "throttle", "transient", "empty", "truncated"])
def test_a_passing_trouble_never_ends_a_connection(row, sandbox, clock, fault):
    sandbox.faults.arm(fault, {"path": "debug_token"}, times=None)
    for _ in range(5):
        clock.advance(86_401)
        sentinel.tend(now=clock.now())
    row.refresh_from_db()
    assert row.state == ConnectionState.CONNECTED


def test_a_grant_that_nears_its_end_is_expiring_and_then_over(row, clock):
    clock.set(row.expires_at - timedelta(days=3))
    connections.validate(connection=row, now=clock.now())
    assert row.state == ConnectionState.CONNECTED
    clock.advance(1)
    connections.validate(connection=row, now=clock.now())
    assert row.state == ConnectionState.EXPIRING
    clock.set(row.expires_at + timedelta(seconds=1))
    connections.validate(connection=row, now=clock.now())
    assert row.state == ConnectionState.REAUTH_NEEDED


def test_what_was_disconnected_or_paused_stays_so(row, clock):
    for state in (ConnectionState.REVOKED, ConnectionState.PAUSED, ConnectionState.DELETING):
        MetaConnection.everything.update(state=state)
        row.refresh_from_db()
        connections.validate(connection=row, now=clock.now())
        row.refresh_from_db()
        assert row.state == state


def test_a_check_that_was_overtaken_by_a_reconnect_changes_nothing(row, sandbox, clock):
    stale = MetaConnection.everything.get()
    revoke(sandbox, row, clock)
    MetaConnection.everything.update(connected_at=clock.now(), token=bound(row, sandbox.token("alice")))
    connections.validate(connection=stale, now=clock.now())
    row.refresh_from_db()
    assert row.state == ConnectionState.CONNECTED


def test_what_nobody_confirmed_or_needs_any_more_is_deleted(row, connected, clock):
    PendingGrant.everything.create(
        client=connected.northwind,
        user=connected.users.alice,
        session_key="s",
        meta_user_id="1",
        token="t",
        expires_at=clock.now(),
    )
    IdempotencyRecord.objects.create(
        user=connected.users.alice, route="r", key="k", request_hash="h", created_at=clock.now()
    )
    clock.advance(601)
    task()
    assert not PendingGrant.everything.exists()
    assert IdempotencyRecord.objects.exists()
    clock.advance(86_400)
    task()
    assert not IdempotencyRecord.objects.exists()


def test_an_installation_that_lost_its_app_still_forgets_and_warns(connected, clock, settings):
    """Nothing can be asked of Meta then, and that is no reason to keep what is over or to say nothing."""
    grant = {"client": connected.northwind, "user": connected.users.alice, "session_key": "s"}
    PendingGrant.everything.create(**grant, meta_user_id="1", token="t", expires_at=clock.now())
    settings.META = {**settings.META, "app_id": "", "app_secret": ""}
    clock.advance(86_401)
    task()
    assert not PendingGrant.everything.exists()
    assert Alert.everything.filter(key__startswith="silence").exists()


def test_one_answer_that_cannot_be_stored_keeps_no_other_connection_from_its_look(connected, sandbox, clock):
    change = {"object_id": connected.ad_account.act_id, "field": "account_status", "value": 10**30}
    sandbox.control.handle("POST", "edit", change)
    MetaConnection.everything.create(
        client=connected.southwind,
        meta_user_id="9",
        token="unknown to Meta",
        connected_at=clock.now(),
        checked_at=clock.now() + timedelta(seconds=1),
    )
    clock.advance(86_410)
    assert sentinel.check_due(now=clock.now()) == 2
    assert MetaConnection.everything.get(meta_user_id="9").state == ConnectionState.REAUTH_NEEDED
    assert AdAccount.everything.get(pk=connected.ad_account.pk).account_status == 1


def test_sessions_that_ended_in_browsers_that_never_came_back_are_deleted(agency, clock):
    for name in ("alice", "bob"):
        Browser().post("/accounts/login/", {"login": f"{name}@example.com", "password": PASSWORD})
    gone = UserSession.objects.get(user=agency.users.bob)
    long_ago = gone.created_at - timedelta(days=1)
    Session.objects.filter(session_key=gone.session_key).update(expire_date=long_ago)
    UserSession.objects.filter(pk=gone.pk).update(created_at=clock.now() - timedelta(days=1))
    task()
    assert not Session.objects.filter(session_key=gone.session_key).exists()
    assert list(UserSession.objects.values_list("user__name", flat=True)) == ["Alice"]
    assert Session.objects.filter(session_key=UserSession.objects.get().session_key).exists()
