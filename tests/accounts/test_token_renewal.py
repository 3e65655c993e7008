"""A token is renewed before its end, once however many ask; a read that met an old one is sent once more, a write
never."""

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts import connections, leases, renewal, sentinel, tokens
from accounts.errors import Conflict, NoConnection, Refused
from accounts.fields import bound
from accounts.models import AdAccount, AuditLine, ConnectionState, MetaConnection
from accounts.renewal import Renewal
from metaads.gateway import plugged
from metaads.graph.errors import AuthFailed, error_for
from metaads.sandbox.app import Sandbox
from tests.conftest import START, connect_northwind
from tests.racing import at_once
from tests.seen import Wire, ran_out

S = ConnectionState
DAY = timedelta(days=1)


@pytest.fixture
def sandbox(clock):
    return Sandbox(world="tiny", seed=7, clock=clock)


@pytest.fixture
def wire(sandbox):
    adapter = Wire(sandbox)
    with plugged(adapter):
        yield adapter


@pytest.fixture
def northwind(agency, sandbox, wire, clock):
    made = connect_northwind(agency, sandbox, clock)
    wire.seen.clear()
    wire.requests.clear()
    return made


def row():
    return MetaConnection.everything.get()


def read(account):
    return tokens.reader(account).node(account.act_id, ("id",))


def refused(sandbox, account, times=1, subcode=463):
    """The next reads of the account are answered as if the token had run out."""
    sandbox.faults.arm("auth", {"object_id": account.act_id}, times=times, subcode=subcode)


# --- a read that met an old token


@pytest.mark.parametrize("subcode", [463, 467])
def test_a_read_whose_token_ran_out_is_sent_once_more_after_one_exchange(northwind, sandbox, wire, subcode):
    before = row().token
    refused(sandbox, northwind.ad_account, subcode=subcode)
    assert read(northwind.ad_account)["id"] == northwind.ad_account.act_id
    first, second = wire.of_accounts()
    assert first.token == before and second.token == row().token != before
    assert wire.exchanges() == 1
    assert (row().state, row().auth_failures) == (S.CONNECTED, 0)


def test_a_read_that_is_refused_again_is_not_sent_a_third_time(northwind, sandbox, wire):
    refused(sandbox, northwind.ad_account, times=None)
    with pytest.raises(AuthFailed):
        read(northwind.ad_account)
    assert len(wire.of_accounts()) == 2 and wire.exchanges() == 1
    assert row().state == S.REAUTH_NEEDED


@pytest.mark.parametrize("subcode", [458, 459, 460, 464])
def test_what_no_exchange_can_mend_is_not_exchanged(northwind, sandbox, wire, subcode):
    refused(sandbox, northwind.ad_account, times=None, subcode=subcode)
    with pytest.raises(AuthFailed):
        read(northwind.ad_account)
    assert len(wire.of_accounts()) == 1 and wire.exchanges() == 0
    assert row().state == S.REAUTH_NEEDED


def test_a_token_that_another_worker_renewed_is_taken_from_the_database(northwind, sandbox, wire):
    """Between the read's way out and its answer somebody else has stored a newer token: no exchange, one replay."""
    fresh = sandbox.token("alice")
    refused(sandbox, northwind.ad_account)

    def meanwhile(one):
        if one.account:
            wire.before = None
            MetaConnection.everything.update(
                token=bound(row(), fresh), refreshed_at=START + timedelta(seconds=1)
            )

    wire.before = meanwhile
    read(northwind.ad_account)
    assert wire.exchanges() == 0
    assert [one.token == fresh for one in wire.of_accounts()] == [False, True]
    assert row().state == S.CONNECTED


def test_a_refusal_of_a_token_that_was_replaced_meanwhile_ends_nothing(northwind, sandbox, wire):
    """Both the read and its replay are refused, and before the second answer somebody has connected again."""
    refused(sandbox, northwind.ad_account, times=2)
    fresh = sandbox.token("alice")

    def meanwhile(one):
        if len(wire.of_accounts()) == 2:
            wire.before = None
            MetaConnection.everything.update(token=bound(row(), fresh), connected_at=START + DAY)

    wire.before = meanwhile
    with pytest.raises(AuthFailed):
        read(northwind.ad_account)
    assert (row().state, row().auth_failures) == (S.CONNECTED, 0)


def test_one_page_of_many_is_replayed_and_no_other(northwind, sandbox, wire):
    account = northwind.ad_account
    whole = [one["id"] for one in tokens.reader(account).edge(account.act_id, "ads", fields=("id",))]
    wire.seen.clear()
    pages = tokens.reader(account).edge_pages(account.act_id, "ads", fields=("id",), limit=2)
    got = [one["id"] for one in next(pages)]
    refused(sandbox, account)
    got += [one["id"] for page in pages for one in page]
    assert got == whole
    pages_asked = -(-len(whole) // 2)
    assert len(wire.of_accounts()) in (pages_asked + 1, pages_asked + 2)  # the last page may be an empty one
    assert wire.exchanges() == 1


def test_while_another_worker_is_at_the_exchange_nothing_is_concluded(northwind, sandbox, wire, clock):
    refused(sandbox, northwind.ad_account)
    leases.take(name=f"refresh:{row().uuid}", holder="another", seconds=60, now=clock.now())
    with pytest.raises(AuthFailed):
        read(northwind.ad_account)
    assert wire.exchanges() == 0 and row().state == S.CONNECTED
    read(northwind.ad_account)


def test_an_exchange_that_fails_ends_the_connection_that_meta_called_expired(northwind, sandbox, wire):
    refused(sandbox, northwind.ad_account, times=None)
    sandbox.faults.arm("transient", {"path": "oauth/access_token"}, times=None)
    with pytest.raises(AuthFailed):
        read(northwind.ad_account)
    assert len(wire.of_accounts()) == 1
    assert row().state == S.REAUTH_NEEDED


@pytest.mark.parametrize("subcode", [463, 467])
def test_a_write_is_never_sent_again(northwind, sandbox, wire, clock, subcode):
    from metaads.gateway import writer

    campaign = next(node for node in sandbox.world.nodes.values() if node.kind == "campaign")
    sandbox.faults.arm("auth", {"method": "POST"}, times=1, subcode=subcode)
    token = tokens.write_token(northwind.ad_account)
    answer = writer(token=token, ad_account=northwind.ad_account.meta_id).update(
        campaign.id, {"status": "PAUSED"}
    )
    tokens.auth_failed(ad_account=northwind.ad_account, token=token, error=error_for(answer), now=clock.now())
    assert [one.method for one in wire.of_accounts()] == ["POST"]
    assert wire.exchanges() == 0 and row().state == S.REAUTH_NEEDED


# --- before the end


def left(days):
    return row().expires_at - timedelta(days=days)


def test_in_the_last_third_of_its_life_the_sentinel_renews_a_token_once_a_day(northwind, wire, clock):
    before = row().token
    clock.set(left(21))
    sentinel.check_due(now=clock.now())
    assert wire.exchanges() == 0
    clock.set(left(19.9))
    for _ in range(3):
        sentinel.check_due(now=clock.now())
    assert wire.exchanges() == 1
    assert row().token != before and (row().expires_at - clock.now()).days >= 59
    assert (row().state, row().refreshed_at) == (S.CONNECTED, clock.now())


def test_a_token_without_an_end_and_one_that_rests_are_not_renewed(northwind, wire, clock):
    MetaConnection.everything.update(expires_at=None)
    assert not renewal.renewal_due(row(), now=clock.now() + 80 * DAY)
    MetaConnection.everything.update(expires_at=clock.now() + DAY)
    assert renewal.renewal_due(row(), now=clock.now())
    for fields in ({"state": S.PAUSED}, {"state": S.REAUTH_NEEDED}, {"state": S.CONNECTED, "held": True}):
        MetaConnection.everything.update(**fields)
        sentinel.check_due(now=clock.now())
    assert wire.exchanges() == 0


def test_a_meta_that_is_down_for_two_weeks_ends_nothing_and_the_end_is_told(northwind, sandbox, wire, clock):
    """Its token end point fails for days: tried each hour, *expiring* three days before the end, then renewed."""
    for fault in ("transient", "dropped", "html", "throttle"):
        sandbox.faults.arm(fault, {"path": "oauth/access_token"}, times=None)
    clock.set(left(14))
    while row().expires_at - clock.now() > 2 * DAY:
        sentinel.check_due(now=clock.now())
        assert row().state in (S.CONNECTED, S.EXPIRING)
        clock.advance(12 * 3600)
    assert row().state == S.EXPIRING and "could not be renewed" in row().reason
    assert tokens.write_token(northwind.ad_account)
    with pytest.raises(NoConnection):
        tokens.write_token(northwind.ad_account, automated=True)
    tried = wire.exchanges()
    assert tried > 10
    for fault in sandbox.faults.armed():
        sandbox.faults.disarm(fault.id)
    clock.advance(3601)
    sentinel.check_due(now=clock.now())
    assert (row().state, row().reason, wire.exchanges()) == (S.CONNECTED, "", tried + 1)


def test_expiring_begins_three_days_before_either_end_and_not_before(northwind, clock):
    for column in ("expires_at", "data_access_expires_at"):
        MetaConnection.everything.update(
            state=S.CONNECTED, reason="", expires_at=None, data_access_expires_at=None, refreshed_at=START
        )
        MetaConnection.everything.update(**{column: clock.now() + 3 * DAY})
        connections.note_end(connection=row(), now=clock.now())
        assert row().state == S.CONNECTED
        connections.note_end(connection=row(), now=clock.now() + timedelta(seconds=1))
        assert row().state == S.EXPIRING and "21 Nov 2026" in row().reason


def test_access_to_data_is_not_extended_by_an_exchange_and_the_reason_says_what_does(
    agency, sandbox, wire, clock
):
    sandbox.world.authorised_at[sandbox.world.people["alice"].id] = clock.timestamp()
    connect_northwind(agency, sandbox, clock)
    access_ends = row().data_access_expires_at
    clock.set(left(10))
    sentinel.check_due(now=clock.now())
    clock.set(access_ends - 2 * DAY)
    sentinel.check_due(now=clock.now())
    assert row().data_access_expires_at == access_ends < row().expires_at
    assert row().state == S.EXPIRING and "only connecting again extends it" in row().reason
    assert wire.exchanges() == 2, "one when it was connected, one in the last third of its token"


# --- what an exchange may come to


def test_an_exchange_that_changes_neither_token_nor_end_is_noticed(northwind, wire, clock, caplog):
    """Meta answers 200 with the token that it was given (complaint 38)."""
    clock.set(left(2.5))
    unmoved(wire, row(), expires_in=5_183_999)
    connections.note_end(connection=row(), now=clock.now())
    sentinel.check_due(now=clock.now())
    assert wire.exchanges() == 1
    assert row().state == S.EXPIRING and "could not be renewed" in row().reason
    assert "the end has not moved" in caplog.text
    with pytest.raises(Conflict, match="not last any longer") as refusal:
        connections.refresh(connection=row(), principal=northwind.principals.alice, now=clock.now())
    assert refusal.value.code == "refresh_unchanged" and "Reconnect" in refusal.value.advice
    line = AuditLine.everything.get(verb="refresh_connection")
    assert line.detail["outcome"] == "unchanged"
    clock.advance(3600)
    sentinel.check_due(now=clock.now())
    assert wire.exchanges() == 2, "not again today"


def unmoved(wire, connection, **more):
    """From now on the exchange answers with the token that it was given."""
    body = {"access_token": connection.token, "token_type": "bearer", **more}
    wire.instead = lambda one: (200, body) if one.path == "oauth/access_token" else None


def test_expires_in_is_neither_needed_nor_believed(northwind, sandbox, wire, clock):
    """It is absent for some tokens that have an end (complaint 39): the ends are what `debug_token` says."""
    clock.set(left(10))
    for more in ({}, {"expires_in": 999_999_999}):
        fresh, ends = sandbox.token("alice"), clock.now() + 60 * DAY
        wire.instead = lambda one, body={"access_token": fresh, **more}: (
            (200, body) if one.path == "oauth/access_token" else None
        )
        assert renewal.renew(connection=row(), now=clock.now()) is Renewal.RENEWED
        assert row().token == fresh and abs(row().expires_at - ends) < timedelta(seconds=2)
        clock.advance(86_400)


def test_a_token_that_meta_names_no_end_for_still_has_the_end_of_its_access_to_data():
    assert renewal.state_at(None, None, now=START) == S.CONNECTED
    assert renewal.state_at(None, START + 90 * DAY, now=START) == S.CONNECTED
    assert renewal.state_at(None, START + 90 * DAY, now=START + 88 * DAY) == S.EXPIRING
    assert renewal.state_at(None, START + 90 * DAY, now=START + 90 * DAY) == S.REAUTH_NEEDED


def test_a_person_who_reconnects_while_meta_is_asked_keeps_the_new_token(northwind, sandbox, wire, clock):
    """The exchange began with the old row; what it brings is dropped."""
    fresh = sandbox.token("alice")

    def meanwhile(one):
        if one.path == "oauth/access_token":
            wire.before = None
            MetaConnection.everything.update(token=bound(row(), fresh), connected_at=clock.now() + DAY)

    wire.before = meanwhile
    assert renewal.renew(connection=row(), now=clock.now()) is Renewal.BY_ANOTHER
    assert row().token == fresh


def test_a_disconnect_while_meta_is_asked_stays_a_disconnect(northwind, wire, clock):
    def meanwhile(one):
        if one.path == "oauth/access_token":
            wire.before = None
            MetaConnection.everything.update(state=S.REVOKED, token="")

    wire.before = meanwhile
    assert renewal.renew(connection=row(), now=clock.now()) is Renewal.BY_ANOTHER
    assert (row().state, row().token) == (S.REVOKED, "")


def test_a_system_users_token_with_an_end_is_exchanged_for_one_with_an_end(agency, clock):
    box = Sandbox(world="demo", seed=7, clock=clock)
    adapter = Wire(box)
    with plugged(adapter):
        connections.connect(
            client=agency.northwind,
            principal=agency.principals.alice,
            token=box.token("system"),
            now=clock.now(),
        )
        assert (row().kind, row().expires_at) == ("SYSTEM_USER", None)
        assert connections.refresh(connection=row(), principal=agency.principals.alice, now=clock.now())
        assert adapter.exchanges() == 0
        MetaConnection.everything.update(expires_at=clock.now() + 5 * DAY)
        adapter.requests.clear()
        assert renewal.renew(connection=row(), now=clock.now()) is Renewal.RENEWED
        assert (row().expires_at - clock.now()).days >= 59
    exchange = next(one for one in adapter.requests if "fb_exchange_token" in f"{one.url}{one.body}")
    assert "set_token_expires_in_60_days=true" in f"{exchange.url}{exchange.body}"


# --- two at once


@pytest.mark.fault("F88")
def test_one_who_comes_a_moment_later_finds_the_new_token_stored(northwind, wire, clock):
    first, second = row(), row()
    clock.advance(1)
    assert renewal.renew(connection=first, now=clock.now()) is Renewal.RENEWED
    clock.advance(1)
    assert renewal.renew(connection=second, now=clock.now()) is Renewal.BY_ANOTHER
    assert renewal.renew(connection=row(), now=clock.now(), instead_of="an older one") is Renewal.BY_ANOTHER
    assert wire.exchanges() == 1


@pytest.mark.fault("F88")
@pytest.mark.django_db(transaction=True)
def test_four_workers_that_refresh_at_once_make_one_exchange(northwind, wire, clock):
    stale = [row() for _ in range(4)]
    jobs = [lambda one=one: renewal.renew(connection=one, now=clock.now()) for one in stale]
    came = at_once(*jobs, refusals=(Refused, AuthFailed))
    assert wire.exchanges() == 1
    assert sorted(came) == sorted([Renewal.RENEWED, *[one for one in came if one is not Renewal.RENEWED]])
    assert (
        set(came) <= {Renewal.RENEWED, Renewal.RUNNING, Renewal.BY_ANOTHER}
        and came.count(Renewal.RENEWED) == 1
    )
    assert renewal.decrypted(row()) and row().state == S.CONNECTED


@pytest.mark.fault("F88")
@pytest.mark.django_db(transaction=True)
def test_four_reads_that_meet_the_old_token_at_once_make_one_exchange_and_end_nothing(
    northwind, sandbox, wire, clock
):
    old = row().token
    wire.instead = lambda one: ran_out() if one.account and one.token == old else None
    account = AdAccount.everything.get(pk=northwind.ad_account.pk)
    came = at_once(*[lambda: read(account) for _ in range(4)], refusals=(Refused, AuthFailed))
    assert wire.exchanges() == 1
    assert row().state == S.CONNECTED and row().token != old
    assert any(isinstance(one, dict) for one in came)
    assert all(isinstance(one, dict | AuthFailed) for one in came)
    read(account)


# --- asking again


def test_recheck_asks_about_what_nothing_was_heard_of_for_ten_minutes(northwind, sandbox, wire, clock):
    def asked():
        return sum(one.path == "debug_token" for one in wire.seen)

    clock.advance(600)
    assert (sentinel.recheck(now=clock.now()), asked()) == (0, 0)
    clock.advance(1)
    assert sentinel.recheck(now=clock.now(), clients=[northwind.southwind.pk]) == 0
    assert sentinel.recheck(now=clock.now(), clients=[northwind.northwind.pk]) == 1
    assert (asked(), row().checked_at) == (1, clock.now())
    assert sentinel.recheck(now=clock.now()) == 0
    clock.advance(601)
    sandbox.control.handle("POST", "revoke", {"user": "alice", "subcode": "460"})
    from accounts.tasks import recheck

    recheck()
    assert row().state == S.REAUTH_NEEDED


def test_recheck_leaves_paused_and_ended_connections_alone(northwind, wire, clock):
    clock.advance(3600)
    for state in (S.PAUSED, S.REVOKED, S.DELETING):
        MetaConnection.everything.update(state=state)
        assert sentinel.recheck(now=clock.now()) == 0
    assert wire.seen == []


def test_a_check_that_meta_answers_with_passing_trouble_of_its_own_ends_nothing(northwind, clock):
    """`debug_token` may say `is_valid: false` with an error that is not about the token."""
    from metaads.graph.errors import passing

    assert [passing(code) for code in (1, 2, 4, 17, 341, 190, 102, 100, None, 9999)] == [
        True, True, True, True, True, False, False, False, False, False,
    ]  # fmt: skip
