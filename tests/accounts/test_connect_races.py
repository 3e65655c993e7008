"""Two at once: clicks, guests, clients and reloads. One connection, one claim, one use of a link, a clear refusal."""

import pytest
from django.test import Client as Browser

from accounts import connections, grants, links
from accounts.errors import Refused
from accounts.models import AdAccount, AuditLine, ConnectLink, MetaConnection, PendingGrant
from tests.accounts.test_connect import Dance
from tests.racing import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def waiting(agency, sandbox, clock, *, user="alice", link=None):
    """A grant that waits for its confirmation."""
    return PendingGrant.everything.create(
        client=agency.northwind,
        user=None if link else agency.users.alice,
        link=link,
        session_key=f"session-{user}",
        meta_user_id=sandbox.world.people[user].id,
        token=sandbox.token(user),
        expires_at=clock.now() + grants.LIFE,
    )


@pytest.mark.fault("F84")
def test_two_clicks_at_once_make_one_connection(agency, sandbox, clock):
    grant, now = waiting(agency, sandbox, clock), clock.now()

    def click():
        mine = PendingGrant.everything.select_related("client", "user").get(pk=grant.pk)
        return grants.confirm(grant=mine, principal=agency.principals.alice, enable=[], now=now)

    results = at_once(*[click] * 4)
    refused = [one.code for one in results if isinstance(one, Refused)]
    assert refused == ["connect_used"] * 3
    assert MetaConnection.everything.count() == 1
    assert AuditLine.everything.filter(verb="connect").count() == 1


def test_two_guests_with_one_link_make_one_connection(agency, sandbox, clock):
    now = clock.now()
    link = links.invite(
        client=agency.northwind,
        principal=agency.principals.alice,
        user=agency.users.alice,
        email="carol@example.com",
        now=now,
    )
    made = [waiting(agency, sandbox, clock, user=user, link=link) for user in ("alice", "bob")]

    def click(pk):
        mine = PendingGrant.everything.select_related("client", "link__client", "link__made_by").get(pk=pk)
        who = grants.acting(grant=mine, principal=agency.principals.vic, now=now)
        return grants.confirm(grant=mine, principal=who, enable=[], now=now)

    results = at_once(*[lambda pk=grant.pk: click(pk) for grant in made])
    assert [one.code for one in results if isinstance(one, Refused)] == ["link_spent"]
    assert MetaConnection.everything.count() == 1
    assert ConnectLink.everything.get().used_at == now


@pytest.mark.fault("F86")
def test_two_clients_that_connect_the_same_accounts_at_once_get_one_of_them(agency, sandbox, clock):
    now, token = clock.now(), sandbox.token("alice")
    who = ((agency.northwind, agency.principals.alice), (agency.southwind, agency.principals.charlie))
    results = at_once(
        *[
            lambda client=client, principal=principal: connections.establish(
                client=client, principal=principal, token=token, now=now
            )
            for client, principal in who
        ]
    )
    refused = [one.code for one in results if isinstance(one, Refused)]
    assert len(refused) == 1 and refused[0] in ("ad_account_claimed", "connect_at_once")
    account = AdAccount.everything.get()
    assert account.connection.client == account.client
    assert MetaConnection.everything.get() == account.connection


@pytest.mark.fault("F84")
def test_one_answer_of_meta_that_arrives_twice_at_once_makes_one_grant(agency, sandbox):
    dance = Dance(sandbox, agency.users.alice)
    dance.start()
    dance.decide()

    def arrive():
        web = Browser()
        web.cookies = dance.web.cookies
        return dance.land(web=web)

    answers = at_once(*[arrive] * 2)
    assert {answer.status_code for answer in answers} <= {302, 400, 403}
    assert PendingGrant.everything.count() == 1
    assert not MetaConnection.everything.exists()
