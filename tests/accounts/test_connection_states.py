"""The state of a connection: what ends it, what only casts doubt, what heals."""

from datetime import timedelta

import pytest

from accounts import connections
from accounts.errors import NoConnection
from accounts.models import READABLE, AdAccount, ConnectionState, MetaConnection
from metaads.graph.errors import Answer, Kind, classify, error_for
from tests.conftest import START

LATER = START + timedelta(minutes=1)


def graph_error(code, subcode=None, status=400):
    sub = f',"error_subcode":{subcode}' if subcode else ""
    body = f'{{"error":{{"message":"m","code":{code}{sub}}}}}'.encode()
    return error_for(classify(status=status, content_type="application/json", body=body, headers={}))


@pytest.fixture
def account(agency):
    row = MetaConnection.everything.create(
        client=agency.northwind,
        meta_user_id="1",
        meta_user_name="Ann",
        token="EAAtoken",
        scopes=["ads_read", "ads_management"],
        connected_at=START,
        checked_at=START - timedelta(days=1),
    )
    return AdAccount.everything.create(
        client=agency.northwind,
        meta_id="1",
        name="a",
        currency="USD",
        timezone_name="UTC",
        connection=row,
        enabled_at=START,
    )


def state(account):
    return MetaConnection.everything.get(pk=account.connection_id).state


@pytest.mark.parametrize("subcode", [458, 460, 463, 464, 467])
def test_one_definite_subcode_ends_the_connection(account, subcode):
    connections.auth_failed(ad_account=account, error=graph_error(190, subcode), now=START)
    assert state(account) == ConnectionState.REAUTH_NEEDED
    for use in (lambda: connections.reader(account), lambda: connections.write_token(account)):
        with pytest.raises(NoConnection, match="Reconnect"):
            use()


@pytest.mark.parametrize(
    "error",
    [
        graph_error(1, status=500),
        graph_error(2, status=503),
        graph_error(80004, 2446079),
        graph_error(4),
        graph_error(200),
        error_for(Answer(Kind.TRANSIENT, rule="not_connected", sent=False)),
        error_for(Answer(Kind.UNKNOWN, rule="timed_out")),
    ],
)
def test_whatever_passes_never_touches_a_connection(account, error):
    for minute in range(10):
        connections.auth_failed(ad_account=account, error=error, now=START + timedelta(minutes=minute))
    assert state(account) == ConnectionState.CONNECTED


def test_an_unclear_auth_answer_casts_doubt_and_freezes_writes_but_not_reads(account):
    connections.auth_failed(ad_account=account, error=graph_error(190), now=START)
    assert state(account) == ConnectionState.DEGRADED
    connections.reader(account)
    with pytest.raises(NoConnection):
        connections.write_token(account)


def test_a_second_unclear_answer_later_ends_it(account):
    connections.auth_failed(ad_account=account, error=graph_error(190), now=START)
    connections.auth_failed(ad_account=account, error=graph_error(102), now=LATER)
    assert state(account) == ConnectionState.REAUTH_NEEDED


def test_many_calls_failing_together_are_one_observation(account):
    for second in range(20):
        connections.auth_failed(
            ad_account=account, error=graph_error(190), now=START + timedelta(seconds=second)
        )
    assert state(account) == ConnectionState.DEGRADED


def test_a_good_answer_heals_and_the_count_begins_anew(account):
    connections.auth_failed(ad_account=account, error=graph_error(190), now=START)
    connections.worked(ad_account=account, now=LATER)
    assert state(account) == ConnectionState.CONNECTED
    connections.auth_failed(ad_account=account, error=graph_error(190), now=LATER + timedelta(minutes=1))
    assert state(account) == ConnectionState.DEGRADED


def test_a_good_answer_does_not_revive_what_is_over(account):
    for over in (ConnectionState.REVOKED, ConnectionState.REAUTH_NEEDED, ConnectionState.PAUSED):
        MetaConnection.everything.update(state=over)
        connections.worked(ad_account=account, now=LATER)
        connections.auth_failed(ad_account=account, error=graph_error(190), now=LATER)
        assert state(account) == over


@pytest.mark.parametrize("value", [state for state in ConnectionState if state not in READABLE])
def test_no_token_leaves_in_any_other_state(account, value):
    MetaConnection.everything.update(state=value)
    with pytest.raises(NoConnection):
        connections.reader(account)


def test_a_disconnect_is_felt_by_a_row_that_was_loaded_before(account):
    connections.write_token(account)
    MetaConnection.everything.update(state=ConnectionState.REVOKED, token="")
    with pytest.raises(NoConnection):
        connections.write_token(account)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"scopes": ["ads_read"]}, "read-only"),
        ({"tasks": ["ANALYZE"]}, "may not change ads"),
        ({"enabled_at": None}, "switched off"),
    ],
)
def test_writing_needs_scope_task_and_an_enabled_account(account, change, words):
    assert connections.write_token(account) == "EAAtoken"
    if "scopes" in change:
        MetaConnection.everything.update(scopes=change["scopes"])
    account.user_tasks = change.get("tasks", account.user_tasks)
    account.enabled_at = change.get("enabled_at", account.enabled_at)
    with pytest.raises(NoConnection, match=words):
        connections.write_token(account)
    connections.reader(account)


def test_an_account_without_a_connection_says_so(account):
    account.connection = None
    with pytest.raises(NoConnection, match="no connection"):
        connections.reader(account)
