"""What Meta says when access is lost: a state where it is the token's, a hold either way, and one notice."""

import pytest

from accounts import connections, sentinel, tokens
from accounts.ad_accounts import enable
from accounts.errors import NoConnection
from accounts.models import AdAccount, Alert, ConnectionState, MetaConnection, OutboxMessage
from insights.models import FetchRun, PollState
from insights.poll import tick
from metaads.gateway import plugged
from metaads.sandbox.app import Sandbox
from tests.door import WSGIAdapter

pytestmark = pytest.mark.django_db


def hours(clock, number):
    """What the schedule does in that time, a little coarser."""
    for _ in range(number * 4):
        clock.advance(900)
        tick(now=clock.now())
        sentinel.tend(now=clock.now())


@pytest.mark.fault("F44", "N25")
@pytest.mark.parametrize("subcode", [463, 460, 458, 464, 467])
def test_a_token_that_ended_is_a_state_a_hold_and_one_notice(synced, sandbox, clock, subcode):
    tick(now=clock.now())
    sandbox.control.handle("POST", "revoke", {"user": "alice", "subcode": str(subcode)})
    hours(clock, 9)
    connection = MetaConnection.everything.get()
    assert connection.state == ConnectionState.REAUTH_NEEDED and connection.reason
    assert tokens.why_frozen(synced.ad_account)
    for automated in (True, False):
        with pytest.raises(NoConnection, match="econnect"):
            tokens.write_token(synced.ad_account, automated=automated)
    assert Alert.everything.filter(key=f"connection:{connection.uuid}").count() == 1
    mails = OutboxMessage.everything.values_list("address", "subject")
    assert len(mails) == len(set(mails)) and any("reconnected" in subject for _, subject in mails)


BODIES = {
    "200": (403, {"message": "(#200) Permissions error", "type": "OAuthException", "code": 200}),
    "10": (403, {"message": "(#10) Application does not have permission", "type": "OAuthException", "code": 10}),
    "100/33": (
        400,
        {"message": "Unsupported get request. Object does not exist, or missing permissions",
         "type": "GraphMethodException", "code": 100, "error_subcode": 33},
    ),
}  # fmt: skip


@pytest.mark.fault("F44", "N25")
@pytest.mark.parametrize("code", BODIES)
def test_a_permission_that_is_missing_ends_no_connection_holds_automation_and_is_told_once(
    synced, sandbox, clock, code
):
    status, error = BODIES[code]
    tick(now=clock.now())
    sandbox.faults.arm(
        "odd_body", {"path": synced.ad_account.act_id}, None, status=status, body={"error": error}
    )
    hours(clock, 9)
    assert MetaConnection.everything.get().state == ConnectionState.CONNECTED
    assert "Nothing was heard" in tokens.why_frozen(synced.ad_account)
    with pytest.raises(NoConnection):
        tokens.write_token(synced.ad_account, automated=True)
    assert PollState.objects.of(synced.ad_account).get().failures > 3
    assert Alert.everything.filter(key=f"silence:{synced.ad_account.act_id}").count() == 1
    mails = OutboxMessage.everything.values_list("address", "subject")
    assert 1 <= len(mails) == len(set(mails)) <= 3


@pytest.mark.fault("F45")
def test_an_account_that_was_taken_out_of_the_grant_is_held_and_the_others_go_on(agency, clock, settings):
    settings.LOOKBACK_DAYS = 1
    box, alice = Sandbox(world="zones", seed=3, clock=clock), agency.principals.alice
    with plugged(WSGIAdapter(box)):
        now = clock.now()
        connections.connect(client=agency.northwind, principal=alice, token=box.token("alice"), now=now)
        lost, kept = list(AdAccount.objects.of(agency.northwind).order_by("meta_id")[:2])
        for account in (lost, kept):
            enable(ad_account=account, principal=alice, now=now)
            FetchRun.everything.create(
                ad_account_id=account.pk, kind="first", state="done", days=1, started_at=now, seen_at=now
            )
        tick(now=now)
        del box.world.people["alice"].tasks[lost.act_id]
        connections.validate(connection=MetaConnection.everything.get(), now=now)
        for moment in ("by its scopes alone", "and by the list of accounts"):
            assert MetaConnection.everything.get().state == ConnectionState.CONNECTED, moment
            assert lost.act_id in tokens.why_frozen(lost)
            with pytest.raises(NoConnection):
                tokens.write_token(lost)
            with pytest.raises(NoConnection):
                tokens.reader(lost)
            assert tokens.why_frozen(kept) == "" and tokens.write_token(kept, automated=True)
            since = len(box.history)
            clock.advance(900)
            tick(now=clock.now())
            paths = {line["path"].split("/")[0] for line in box.history[since:]}
            assert kept.act_id in paths and lost.act_id not in paths
            connections.rediscover(connection=MetaConnection.everything.get(), now=clock.now())
        assert AdAccount.everything.get(pk=lost.pk).enabled
