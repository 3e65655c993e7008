"""Two people's ad accounts in one worker: the real tasks, one process, and each request with its own token (N21)."""

from __future__ import annotations

import random
import threading
from types import SimpleNamespace

import pytest
from django.db import connection as database

from accounts import claims, connections, tokens
from accounts.ad_accounts import enable
from accounts.models import AdAccount, MetaConnection
from campaigns.changes import approvals, request
from campaigns.models import Attempt, Campaign
from campaigns.states import Field, Level, Source
from campaigns.tasks import sweep, sync_structure
from insights.models import PollState
from insights.tasks import first_sync_account, poll_tick
from metaads.gateway import plugged
from metaads.sandbox.app import Sandbox
from metaads.sandbox.world.people import Person
from tests.seen import Wire

MANAGE = ("ANALYZE", "ADVERTISE", "MANAGE")

pytestmark = pytest.mark.fault("N21")


@pytest.fixture
def two(agency, clock):
    """Northwind through Ann's Meta account, Southwind through Ben's: each sees one ad account, and not the other's."""
    box = Sandbox(world="zones", seed=7, clock=clock)
    own = dict(zip(("ann", "ben"), box.ad_accounts(), strict=False))
    for number, (key, act) in enumerate(own.items(), start=21):
        box.world.people[key] = Person(
            key=key,
            id=f"102000000000000{number}",
            name=key.title(),
            email=f"{key}@example.com",
            tasks={act: MANAGE},
        )
    wire = Wire(box)
    with plugged(wire):
        world = SimpleNamespace(box=box, wire=wire, clock=clock, agency=agency, accounts={})
        for key, client in (("ann", agency.northwind), ("ben", agency.southwind)):
            alice = agency.principals.alice
            connections.connect(client=client, principal=alice, token=box.token(key), now=clock.now())
            account = AdAccount.objects.of(client).get()
            world.accounts[client.name] = enable(ad_account=account, principal=alice, now=clock.now())
        wire.seen.clear()
        yield world


def own_token_everywhere(world):
    """Each request for an ad account carries the token of its own client, whose Meta user was granted it."""
    owner = {account.act_id: name for name, account in world.accounts.items()}
    seen = world.wire.of_accounts()
    assert {one.account for one in seen} == set(owner), "both accounts were asked for"
    for one in seen:
        assert one.granted and one.asked_for == owner[one.account], one
    tokens_used = {
        one.account: {other.token for other in seen if other.account == one.account} for one in seen
    }
    first, second = tokens_used.values()
    assert not first & second
    return seen


def change(world, account, status):
    """A person's approved change of the account's first campaign."""
    campaign = Campaign.objects.of(account.client_id).filter(ad_account=account).order_by("meta_id").first()
    alice, now = world.agency.principals.alice, world.clock.now()
    filed = request.file(
        principal=alice, ad_account=account, level=Level(campaign.level), object_id=campaign.meta_id,
        field=Field.STATUS, target=status, now=now, source=Source.PERSON, key=f"{account.pk}-{status}",
        evidence=None, reason="a test",
    )  # fmt: skip
    return approvals.approve(change=filed, principal=alice, digest=filed.digest, now=now)


def test_one_worker_reads_and_writes_for_both_each_with_its_own_token(two):
    for account in two.accounts.values():
        sync_structure(account.pk)
        first_sync_account(account.pk)
    PollState.everything.all().delete()
    poll_tick()
    changes = [change(two, account, "PAUSED") for account in two.accounts.values()]
    for _ in range(20):
        sweep()
        two.clock.advance(4)
    for one in changes:
        one.refresh_from_db()
    assert [one.state for one in changes] == ["APPLIED", "APPLIED"]
    seen = own_token_everywhere(two)
    writes = [one for one in seen if one.method == "POST"]
    assert len(writes) == Attempt.everything.count() == 2
    assert {one.user for one in writes} == {two.box.world.people[key].id for key in ("ann", "ben")}


@pytest.mark.django_db(transaction=True)
def test_interleaved_in_threads_each_request_still_carries_its_own_token(two):
    """Four threads of one process, the accounts mixed at random, all through the same pooled transport."""
    for account in two.accounts.values():
        sync_structure(account.pk)
    two.wire.seen.clear()
    accounts, troubles = list(two.accounts.values()), []
    gate = threading.Barrier(4)

    def work(number):
        mixed = random.Random(number).sample(accounts * 4, 8)
        try:
            gate.wait()
            pages = {account.pk: _ads(account) for account in accounts}
            for account in mixed:  # one page of this one, one of that one, in the same thread
                next(pages[account.pk], None)
                tokens.reader(account, use="verify").node(account.act_id, ("id",))
        except Exception as trouble:
            troubles.append(trouble)
        finally:
            database.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert troubles == []
    assert len(own_token_everywhere(two)) >= 4 * 8


def _ads(account):
    return tokens.reader(account).edge_pages(account.act_id, "ads", fields=("id",), limit=1)


def test_when_one_persons_token_ends_the_other_persons_account_goes_on(two):
    for account in two.accounts.values():
        sync_structure(account.pk)
    two.box.control.handle("POST", "revoke", {"user": "ann", "subcode": "460"})
    two.clock.advance(60)
    two.wire.seen.clear()
    for account in two.accounts.values():
        sync_structure(account.pk)
    states = dict(MetaConnection.everything.values_list("client__name", "state"))
    assert states == {"Northwind": "reauth_needed", "Southwind": "connected"}
    seen = own_token_everywhere(two)
    north = [one for one in seen if one.asked_for == "Northwind"]
    assert len(north) == 1, "and nobody else's token was tried for it"


def test_a_task_is_given_an_id_and_no_token(two):
    """What waits in the queue is our number of an ad account; the token is found when the task runs."""
    from config.celery import app

    for task in (sync_structure, first_sync_account):
        assert app.tasks[task.name] is not None
        message = repr(task.signature((two.accounts["Northwind"].pk,)))
        assert all(row.token not in message for row in MetaConnection.everything.all())


def test_the_same_meta_user_at_two_clients_is_two_grants(two):
    """One person may work for both; then each client's token reads what that client holds and nothing else."""
    north, south = two.accounts["Northwind"], two.accounts["Southwind"]
    two.box.world.people["ann"].tasks[south.act_id] = MANAGE
    connections.rediscover(
        connection=MetaConnection.everything.get(client=two.agency.northwind), now=two.clock.now()
    )
    assert [asset.connection.client.name for asset in claims.granted(south)] == ["Southwind"]
    two.wire.seen.clear()
    for account in (north, south):
        sync_structure(account.pk)
    own_token_everywhere(two)
