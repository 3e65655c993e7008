"""Which token a call carries: capability and health, fail-over, one writer, and never one that is not granted (N21)."""

import contextlib
import random
import threading
from datetime import timedelta

import pytest
from django.db import connection as database

from accounts import claims, connections, tokens
from accounts.ad_accounts import enable
from accounts.errors import NoConnection, Refused
from accounts.models import AdAccount, AuditLine, ConnectionState, GrantedAsset, MetaConnection
from metaads.gateway import plugged
from metaads.graph.errors import AuthFailed, GraphError, NotPermitted, Throttled
from metaads.sandbox.app import Sandbox
from tests.conftest import START, grant
from tests.seen import Wire

S = ConnectionState
MANAGE = ("ANALYZE", "ADVERTISE", "MANAGE")
FIELDS = ("id", "name", "user_tasks")


@pytest.fixture
def sandbox(clock):
    """The world `tiny`; Bob, too, may do everything in its one ad account."""
    box = Sandbox(world="tiny", seed=7, clock=clock)
    box.world.people["bob"].tasks[box.ad_accounts()[0]] = MANAGE
    return box


@pytest.fixture
def wire(sandbox):
    adapter = Wire(sandbox)
    with plugged(adapter):
        yield adapter


@pytest.fixture
def both(agency, sandbox, wire, clock):
    """Northwind with two Meta users, Alice Agency first, and one ad account that both see."""
    for user in ("alice", "bob"):
        connections.connect(
            client=agency.northwind,
            principal=agency.principals.alice,
            token=sandbox.token(user),
            now=clock.now(),
            user=agency.users.alice,
        )
    agency.ad_account = AdAccount.objects.of(agency.northwind).get()
    enable(ad_account=agency.ad_account, principal=agency.principals.alice, now=clock.now())
    agency.ad_account.refresh_from_db()
    wire.seen.clear()
    return agency


def meta(user):
    return MetaConnection.everything.get(meta_user_name__startswith=user)


def turn(user, **fields):
    MetaConnection.everything.filter(pk=meta(user).pk).update(**fields)


def read(account):
    return tokens.reader(account).node(account.act_id, FIELDS)


def writer(account):
    return AdAccount.everything.get(pk=account.pk).connection.meta_user_name


def users(wire):
    return [one.user[-1] for one in wire.of_accounts()]


def kill(sandbox, user, subcode=460):
    """At Meta: every token of that user ends."""
    sandbox.control.handle("POST", "revoke", {"user": user, "subcode": str(subcode)})


# --- choosing


def test_the_writer_reads_first_and_another_one_when_it_is_less_healthy(both, wire):
    account = both.ad_account
    assert writer(account) == "Alice Agency"
    read(account)
    turn("Alice", state=S.EXPIRING)
    read(account)
    turn("Bob", state=S.DEGRADED)
    read(account)
    turn("Alice", state=S.PAUSED)
    read(account)
    assert users(wire) == ["1", "2", "1", "2"]


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": ["public_profile"]},
        {
            "granular_scopes": [
                {"scope": "ads_read", "target_ids": ["1"]},
                {"scope": "ads_management", "target_ids": ["1"]},
            ]
        },
        {"held": True},
        {"state": S.REVOKED},
        {"state": S.PAUSED},
    ],
    ids=["no scope", "scope for another account", "held", "revoked", "paused"],
)
def test_a_connection_that_may_not_read_the_account_is_passed_over(both, wire, change):
    turn("Alice", **change)
    read(both.ad_account)
    assert users(wire) == ["2"]
    turn("Bob", **change)
    with pytest.raises(NoConnection):
        read(both.ad_account)
    assert users(wire) == ["2"]


def test_a_granular_scope_without_targets_means_every_account(agency):
    account = AdAccount.everything.create(
        client=agency.northwind, meta_id="5", name="a", currency="USD", timezone_name="UTC", enabled_at=START
    )
    grant(account, granular_scopes=[{"scope": "ads_management", "target_ids": []}, {"scope": "ads_read"}])
    assert tokens.reader(account) and tokens.write_token(account)


def test_an_account_is_read_with_a_token_that_sees_it_or_not_at_all(both, wire, clock):
    GrantedAsset.everything.filter(connection=meta("Alice")).update(gone_at=clock.now())
    read(both.ad_account)
    assert users(wire) == ["2"]
    GrantedAsset.everything.update(gone_at=clock.now())
    with pytest.raises(NoConnection, match="No connection sees"):
        read(both.ad_account)
    with pytest.raises(NoConnection, match="No connection sees"):
        tokens.write_token(both.ad_account)


@pytest.mark.fault("N21")
def test_a_grant_of_another_client_is_never_used(both, wire):
    """Whatever a row says: the connection has to be of the account's own client."""
    other = MetaConnection.everything.create(
        client=both.southwind,
        meta_user_id="77",
        token="EAAforeign",
        scopes=["ads_read", "ads_management"],
        connected_at=START,
    )
    for client in (both.southwind, both.northwind):
        GrantedAsset.everything.filter(connection=other).delete()
        GrantedAsset.everything.create(
            client=client, connection=other, ad_account=both.ad_account, tasks=["MANAGE"], seen_at=START
        )
        AdAccount.everything.update(connection=other)
        MetaConnection.everything.exclude(pk=other.pk).update(state=S.REVOKED)
        for use in (tokens.reader, tokens.write_token):
            with pytest.raises(NoConnection):
                use(both.ad_account)
    assert wire.of_accounts() == []


# --- failing over


@pytest.mark.parametrize("subcode", [458, 460, 463, 464, 467])
def test_a_definite_end_of_one_token_moves_the_read_to_the_other_once(both, wire, sandbox, subcode):
    kill(sandbox, "alice", subcode)
    assert read(both.ad_account)["id"] == both.ad_account.act_id
    assert users(wire) == ["1", "2"]
    assert (meta("Alice").state, meta("Bob").state) == (S.REAUTH_NEEDED, S.CONNECTED)
    read(both.ad_account)
    assert users(wire) == ["1", "2", "2"]


def test_when_both_have_ended_the_read_fails_after_one_try_each(both, wire, sandbox):
    for user in ("alice", "bob"):
        kill(sandbox, user)
    with pytest.raises(AuthFailed):
        read(both.ad_account)
    assert users(wire) == ["1", "2"]
    assert {row.state for row in MetaConnection.everything.all()} == {S.REAUTH_NEEDED}


def test_an_unclear_answer_does_not_move_the_read_but_the_next_one(both, wire, sandbox):
    sandbox.faults.arm("auth", {"object_id": both.ad_account.act_id}, times=1, subcode=0)
    with pytest.raises(AuthFailed):
        read(both.ad_account)
    assert meta("Alice").state == S.DEGRADED
    read(both.ad_account)
    assert users(wire) == ["1", "2"]


@pytest.mark.parametrize("fault, raised", [("permission", NotPermitted), ("throttle", Throttled)])
def test_a_missing_permission_or_a_throttle_asks_nobody_else_and_ends_nothing(
    both, wire, sandbox, fault, raised
):
    sandbox.faults.arm(fault, {"object_id": both.ad_account.act_id}, times=None)
    with pytest.raises(raised) as refusal:
        read(both.ad_account)
    assert users(wire) == ["1"]
    assert {row.state for row in MetaConnection.everything.all()} == {S.CONNECTED}
    assert "e-authori" not in str(refusal.value)


def test_a_stream_of_pages_goes_on_with_the_other_token_where_the_first_one_ended(both, wire, sandbox):
    account = both.ad_account
    whole = [
        row["id"] for row in tokens.reader(account).edge(account.act_id, "ads", fields=("id",), limit=500)
    ]
    wire.seen.clear()
    pages = tokens.reader(account).edge_pages(account.act_id, "ads", fields=("id",), limit=2)
    got = [row["id"] for row in next(pages)]
    kill(sandbox, "alice")
    got += [row["id"] for page in pages for row in page]
    assert got == whole and len(whole) > 4
    assert users(wire)[:3] == ["1", "1", "2"] and set(users(wire)[2:]) == {"2"}


def test_a_stream_of_pages_ends_when_its_connection_is_disconnected_in_between(both, wire):
    account = both.ad_account
    turn("Bob", state=S.PAUSED)
    pages = tokens.reader(account).edge_pages(account.act_id, "ads", fields=("id",), limit=2)
    next(pages)
    turn("Alice", state=S.REVOKED, token="")
    with pytest.raises(NoConnection, match="revoked"):
        next(pages)
    assert users(wire) == ["1"]


def test_no_token_is_kept_in_what_a_reader_gives(both):
    token = meta("Alice").token
    reader = tokens.reader(both.ad_account)
    reader.node(both.ad_account.act_id, FIELDS)
    source = reader._token.__self__
    assert token not in repr([vars(reader), vars(source), repr(reader)])
    assert token not in repr([value for value in vars(source).values() if hasattr(value, "__dict__")])


@pytest.mark.fault("F90")
def test_a_stored_token_that_cannot_be_read_leaves_the_read_to_the_other_connection(both, wire):
    raw = dict(MetaConnection.everything.values_list("meta_user_name", "token"))
    turn("Alice", token=raw["Bob Buyer"])
    read(both.ad_account)
    assert users(wire) == ["2"]
    assert meta_state("Alice") == S.REAUTH_NEEDED
    turn("Bob", token=raw["Bob Buyer"].__class__(b"12345678" + raw["Bob Buyer"].raw[8:]))
    with pytest.raises(NoConnection):
        read(both.ad_account)
    assert users(wire) == ["2"]


def meta_state(user):
    return MetaConnection.everything.values_list("state", flat=True).get(meta_user_name__startswith=user)


# --- the one writer


@pytest.mark.parametrize("state", [S.REAUTH_NEEDED, S.REVOKED, S.DELETING])
def test_when_the_writer_has_ended_another_one_writes_and_it_is_written_down(both, state, clock):
    turn("Alice", state=state)
    assert tokens.write_token(both.ad_account) == meta("Bob").token
    assert writer(both.ad_account) == "Bob Buyer"
    line = AuditLine.everything.get(verb=claims.HANDED_OVER)
    assert (line.subject, line.actor_kind, line.client) == (both.ad_account.act_id, "system", both.northwind)
    assert line.detail == {"before": str(meta("Alice").uuid), "after": str(meta("Bob").uuid)}


@pytest.mark.parametrize("state", [S.DEGRADED, S.PAUSED])
def test_a_doubt_or_a_pause_hands_nothing_over(both, state):
    turn("Alice", state=state)
    with pytest.raises(NoConnection):
        tokens.write_token(both.ad_account)
    assert writer(both.ad_account) == "Alice Agency"


@pytest.mark.django_db(transaction=True)
def test_four_workers_that_find_the_writer_ended_at_once_hand_over_once(both):
    turn("Alice", state=S.REVOKED)
    gate, got = threading.Barrier(4), []

    def work():
        gate.wait()
        try:
            got.append(tokens.write_token(both.ad_account))
        finally:
            database.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert got == [meta("Bob").token] * 4
    assert AuditLine.everything.filter(verb=claims.HANDED_OVER).count() == 1


@pytest.mark.fault("F45")
@pytest.mark.parametrize("lost", ["scope", "task", "asset"])
def test_a_writer_that_lost_its_scope_task_or_asset_is_replaced(both, lost, clock):
    assets = GrantedAsset.everything.filter(connection=meta("Alice"))
    if lost == "scope":
        turn("Alice", scopes=["ads_read"])
    elif lost == "task":
        assets.update(tasks=["ANALYZE"])
    else:
        assets.update(gone_at=clock.now())
    assert tokens.write_token(both.ad_account) == meta("Bob").token


def test_a_writer_that_cannot_be_replaced_stays_and_says_what_it_lacks(both):
    turn("Alice", scopes=["ads_read"])
    turn("Bob", scopes=["ads_read"])
    with pytest.raises(NoConnection, match="read-only"):
        tokens.write_token(both.ad_account)
    assert writer(both.ad_account) == "Alice Agency"


def test_one_that_can_only_read_takes_the_place_of_one_that_ended(both):
    turn("Bob", scopes=["ads_read"])
    turn("Alice", state=S.REVOKED)
    with pytest.raises(NoConnection, match="read-only"):
        tokens.write_token(both.ad_account)
    assert writer(both.ad_account) == "Bob Buyer"


def test_an_end_that_a_call_an_endpoint_or_a_person_found_hands_over_at_once(both, sandbox, clock):
    kill(sandbox, "alice")
    read(both.ad_account)
    assert writer(both.ad_account) == "Bob Buyer"
    clock.advance(5)
    connections.connect(
        client=both.northwind, principal=both.principals.alice, token=sandbox.token("alice"), now=clock.now()
    )
    assert writer(both.ad_account) == "Bob Buyer", "a writer that may write keeps the account"
    connections.disconnect(connection=meta("Bob"), principal=both.principals.alice, now=clock.now())
    assert writer(both.ad_account) == "Alice Agency"
    clock.advance(5)
    connections.connect(
        client=both.northwind, principal=both.principals.alice, token=sandbox.token("bob"), now=clock.now()
    )
    connections.ended_at_meta(meta_user_id=meta("Alice").meta_user_id, deleting=False, now=clock.now())
    assert writer(both.ad_account) == "Bob Buyer"
    clock.advance(1)
    kill(sandbox, "bob")
    connections.connect(
        client=both.northwind, principal=both.principals.alice, token=sandbox.token("alice"), now=clock.now()
    )
    connections.validate(connection=meta("Bob"), now=clock.now())
    assert (meta("Bob").state, writer(both.ad_account)) == (S.REAUTH_NEEDED, "Alice Agency")


def test_a_refused_write_is_not_sent_with_the_other_token(both, sandbox, wire, clock):
    """What the answer says of the first token counts at once; the change itself waits and is read back first."""
    token = tokens.write_token(both.ad_account)
    from metaads.gateway import writer as graph_writer
    from metaads.graph.errors import error_for

    kill(sandbox, "alice")
    campaign = next(node for node in sandbox.world.nodes.values() if node.kind == "campaign")
    wire.seen.clear()
    answer = graph_writer(token=token, ad_account=both.ad_account.meta_id).update(
        campaign.id, {"status": "PAUSED"}
    )
    tokens.auth_failed(ad_account=both.ad_account, token=token, error=error_for(answer), now=clock.now())
    assert [one.method for one in wire.seen] == ["POST"]
    assert (meta("Alice").state, meta("Bob").state) == (S.REAUTH_NEEDED, S.CONNECTED)
    assert writer(both.ad_account) == "Bob Buyer"


# --- what a connection sees


def test_each_connection_has_its_own_tasks_in_the_same_account(agency, sandbox, wire, clock):
    account = sandbox.ad_accounts()[0]
    sandbox.world.people["bob"].tasks[account] = ("ANALYZE",)
    for user in ("alice", "bob"):
        connections.connect(
            client=agency.northwind,
            principal=agency.principals.alice,
            token=sandbox.token(user),
            now=clock.now(),
        )
    found = {
        row.connection.meta_user_name: row.tasks
        for row in GrantedAsset.everything.select_related("connection")
    }
    assert found["Bob Buyer"] == ["ANALYZE"] and "MANAGE" in found["Alice Agency"]
    assert GrantedAsset.everything.filter(client=agency.northwind, seen_at=clock.now()).count() == 2


def test_what_meta_lists_no_more_is_gone_and_comes_back_when_it_lists_it_again(both, sandbox, clock):
    account = sandbox.ad_accounts()[0]
    alice = sandbox.world.people["alice"]
    had, alice.tasks = alice.tasks, {}
    clock.advance(60)
    connections.rediscover(connection=meta("Alice"), now=clock.now())
    row = GrantedAsset.everything.get(connection=meta("Alice"))
    assert row.gone_at == clock.now()
    assert writer(both.ad_account) == "Bob Buyer"
    alice.tasks = had
    clock.advance(60)
    connections.rediscover(connection=meta("Alice"), now=clock.now())
    row.refresh_from_db()
    assert (row.gone_at, row.seen_at) == (None, clock.now())
    assert AdAccount.everything.filter(meta_id=account.removeprefix("act_")).count() == 1


def test_one_empty_list_is_not_believed(both, sandbox, clock):
    sandbox.faults.arm("empty_page", {"path": "adaccounts"}, times=1)
    connections.rediscover(connection=meta("Alice"), now=clock.now())
    assert not GrantedAsset.everything.filter(gone_at__isnull=False).exists()


def test_reading_the_account_tells_what_its_reader_may_do_there(both, sandbox):
    account = sandbox.ad_accounts()[0]
    sandbox.world.people["alice"].tasks[account] = ("ANALYZE",)
    read(both.ad_account)
    assert GrantedAsset.everything.get(connection=meta("Alice")).tasks == ["ANALYZE"]
    assert "MANAGE" in GrantedAsset.everything.get(connection=meta("Bob")).tasks
    assert tokens.write_token(both.ad_account) == meta("Bob").token


@pytest.mark.fault("F86")
def test_a_foreign_clients_claim_takes_nothing(both, sandbox, clock):
    from accounts.errors import Conflict

    with pytest.raises(Conflict, match="Another client holds"):
        connections.connect(
            client=both.southwind,
            principal=both.principals.charlie,
            token=sandbox.token("bob"),
            now=clock.now(),
        )
    assert not GrantedAsset.everything.filter(client=both.southwind).exists()
    assert writer(both.ad_account) == "Alice Agency"


def test_the_daily_round_looks_which_accounts_each_connection_sees(both, sandbox, clock):
    from accounts import sentinel

    sandbox.world.people["bob"].tasks = {}
    for _ in range(24 * 12):  # calls go well all day long, so nothing looks unchecked
        clock.advance(300)
        for row in MetaConnection.everything.all():
            tokens.worked(connection=row, now=clock.now())
    clock.advance(300)
    assert sentinel.check_due(now=clock.now()) == 2
    assert GrantedAsset.everything.get(connection=meta("Bob")).gone_at == clock.now()
    clock.advance(300)
    assert sentinel.check_due(now=clock.now()) == 0


# --- N21


@pytest.mark.fault("N21")
def test_every_call_for_an_account_carries_a_token_that_was_granted_it_by_the_same_client(both, wire, clock):
    """Structure, rows and a change, with fail-over in between: each request is looked at on the wire."""
    from campaigns.sync import run
    from insights.fetch import first_sync

    run(ad_account=both.ad_account, now=clock.now())
    turn("Alice", state=S.DEGRADED)
    first_sync(ad_account=both.ad_account, days=3, now=clock.now())
    seen = wire.of_accounts()
    assert {one.user[-1] for one in seen} == {"1", "2"} and len(seen) > 8
    assert all(one.granted and one.asked_for == "Northwind" for one in seen)


def test_a_page_that_a_person_opens_cannot_widen_what_a_token_sees(both, wire, clock):
    """A row that was loaded before a grant ended does not bring the token back."""
    stale = AdAccount.everything.select_related("connection").get(pk=both.ad_account.pk)
    GrantedAsset.everything.filter(connection=meta("Alice")).update(
        gone_at=clock.now() - timedelta(minutes=1)
    )
    read(stale)
    assert users(wire) == ["2"]


def _happenings(both, sandbox, clock):
    """What may befall two connections, at Meta and here; each does nothing where it does not apply."""
    people, act = sandbox.world.people, sandbox.ad_accounts()[0]
    alice = both.principals.alice

    def connect(user):
        clock.advance(2)
        connections.connect(
            client=both.northwind, principal=alice, token=sandbox.token(user), now=clock.now()
        )

    def rediscover(name):
        if meta(name).state in (S.CONNECTED, S.DEGRADED, S.EXPIRING):
            connections.rediscover(connection=meta(name), now=clock.now())

    def on(name, act_on):
        if meta(name).state in (S.CONNECTED, S.DEGRADED, S.EXPIRING, S.PAUSED):
            act_on(connection=meta(name), principal=alice, now=clock.now())

    def tasks(user, granted):
        people[user].tasks = {act: granted} if granted else {}

    both_users = (("alice", "Alice"), ("bob", "Bob"))
    return [
        *[lambda u=user: kill(sandbox, u) for user, _ in both_users],
        *[lambda u=user: connect(u) for user, _ in both_users if people[user].tasks] * 4,
        *[lambda n=name: rediscover(n) for _, name in both_users],
        *[lambda n=name: on(n, connections.disconnect) for _, name in both_users],
        *[lambda n=name: turn(n, held=True) for _, name in both_users],
        *[lambda n=name: connections.validate(connection=meta(n), now=clock.now()) for _, name in both_users],
        *[
            lambda u=user, g=granted: tasks(u, g)
            for user, _ in both_users
            for granted in (MANAGE, ("ANALYZE",), ())
        ],
        lambda: sandbox.faults.arm("auth", {"object_id": act}, times=1, subcode=463),
        lambda: sandbox.faults.arm("auth", {"object_id": act}, times=1, subcode=0),
        lambda: clock.advance(61),
    ]


@pytest.mark.fault("N21")
@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_to_two_connections_no_call_carries_a_token_without_a_grant(
    both, wire, sandbox, clock, seed
):
    """Also: one writer, of the account's own client, and never a token out of a state that gives none."""
    chance = random.Random(seed)
    states = {}
    wire.before = lambda one: states.setdefault(
        len(wire.seen), [row.state for row in MetaConnection.everything.all() if row.token == one.token]
    )
    for _ in range(40):
        with contextlib.suppress(Refused):
            chance.choice(_happenings(both, sandbox, clock))()
        clock.advance(1)
        for use in (read, tokens.write_token):
            try:
                use(both.ad_account)
            except (Refused, GraphError):
                continue
        account = AdAccount.everything.select_related("connection").get()
        assert account.connection.client_id == account.client_id == both.northwind.pk
    seen = wire.of_accounts()
    assert len(seen) > 10 and all(one.granted and one.asked_for == "Northwind" for one in seen)
    used = {state for number, found in states.items() if wire.seen[number - 1].account for state in found}
    assert used <= {S.CONNECTED, S.DEGRADED, S.EXPIRING}
