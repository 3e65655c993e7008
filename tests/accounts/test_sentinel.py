"""What Meta says of a token decides; a Meta that does not answer changes nothing."""

from datetime import timedelta

import pytest

from accounts import connections, sentinel
from accounts.fields import bound
from accounts.models import ConnectionState, IdempotencyRecord, MetaConnection, PendingGrant
from accounts.tasks import sentinel as task


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
