"""Looks at many sockets in one: as few statements as for one, one round for all that ask, and nobody's answer is
another's."""

from __future__ import annotations

import asyncio

import pytest
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.test.utils import CaptureQueriesContext

import accounts.sessions as sessions
from accounts.models import AdAccount, Client, Membership, Role, User
from insights.looks import NO_CLIENT, NOT_SIGNED_IN, Asked, answers, guard
from insights.models import Interest
from tests.conftest import START


def session_of(user, **more):
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    sessions.begin(session=session, now=START)
    session.update(more)
    session.save()
    return session.session_key


def statements(asked):
    """How many a look at these takes, and what it says. The second of two, when what is written has been written."""
    answers(asked, now=START)
    with CaptureQueriesContext(connection) as ran:
        found = answers(asked, now=START)
    return len(ran), found


@pytest.fixture
def crowd(agency):
    """Fifty people: of Northwind, of Southwind, and owners; each has a session. Both clients have an ad account."""
    for number, client in enumerate((agency.northwind, agency.southwind), start=1):
        AdAccount.everything.create(
            client=client,
            meta_id=str(number),
            name="A",
            currency="USD",
            timezone_name="UTC",
            enabled_at=START,
        )
    users = User.objects.bulk_create([User(email=f"p{n}@example.com", password="!") for n in range(50)])
    seats = ((agency.northwind, Role.VIEWER), (agency.southwind, Role.MANAGER), (None, Role.OWNER))
    Membership.objects.bulk_create(
        Membership(user=user, client=seats[n % 3][0], role=seats[n % 3][1]) for n, user in enumerate(users)
    )
    return [session_of(user) for user in users]


@pytest.mark.django_db
def test_fifty_sessions_of_one_person_take_as_many_statements_as_one(agency):
    keys = [session_of(agency.users.vic) for _ in range(50)]
    few, _ = statements([Asked(keys[0])])
    many, found = statements([Asked(key) for key in keys])
    assert found == [(agency.northwind.pk, 0)] * 50
    assert many == few <= 8


@pytest.mark.django_db
def test_neither_more_people_nor_more_clients_take_more_statements(agency, crowd):
    few, _ = statements([Asked(key, "northwind") for key in crowd[:3]])
    many, found = statements(
        [Asked(key, client) for key in crowd for client in ("northwind", "southwind", None)]
    )
    here, there = (agency.northwind.pk, 0), (agency.southwind.pk, 0)
    no = (0, NO_CLIENT)
    assert found[:9] == [here, no, here, no, there, there, here, there, no]
    assert found == (found[:9] * 17)[:150]
    assert many == few <= 8


@pytest.mark.django_db
def test_watching_is_written_once_for_an_account_and_again_only_when_it_has_aged(agency, crowd):
    asked = [Asked(key, "northwind") for key in crowd]
    with CaptureQueriesContext(connection) as first:
        answers(asked, now=START)
    assert Interest.everything.get().ad_account_id == AdAccount.objects.of(agency.northwind).get().pk
    again, _ = statements(asked)
    assert sum("insights_interest" in one["sql"] and "INSERT" in one["sql"] for one in first) == 1
    assert again == len(first) - 1


@pytest.mark.django_db
def test_who_looks_at_one_ad_account_is_not_counted_for_its_neighbours(agency, crowd):
    second = AdAccount.everything.create(
        client=agency.northwind, meta_id="7", name="B", currency="USD", timezone_name="UTC", enabled_at=START
    )
    off = AdAccount.everything.create(
        client=agency.northwind, meta_id="8", name="C", currency="USD", timezone_name="UTC"
    )
    answers([Asked(crowd[0], "northwind", "act_7"), Asked(crowd[1], "southwind", "9")], now=START)
    assert [row.ad_account_id for row in Interest.everything.all()] == [second.pk]
    answers([Asked(crowd[0], "northwind", "8"), Asked(crowd[1], "southwind")], now=START)
    watched = {row.ad_account_id for row in Interest.everything.all()}
    assert watched == {second.pk, AdAccount.objects.of(agency.southwind).get().pk} and off.pk not in watched


@pytest.mark.django_db
def test_a_cookie_that_no_database_takes_is_nobodys_and_spoils_no_other_answer(agency):
    good = session_of(agency.users.vic)
    asked = [Asked(f"{good}\0"), Asked(good), Asked(""), Asked("é" * 32)]
    refused = (0, NOT_SIGNED_IN)
    assert answers(asked, now=START) == [refused, (agency.northwind.pk, 0), refused, refused]


@pytest.mark.django_db
def test_an_archived_client_and_one_that_is_gone_are_no_clients(agency, crowd):
    Client.objects.filter(pk=agency.northwind.pk).update(archived_at=START)
    found = answers([Asked(crowd[0]), Asked(crowd[2], "northwind"), Asked(crowd[2])], now=START)
    assert found == [(0, NO_CLIENT), (0, NO_CLIENT), (agency.southwind.pk, 0)]


# --- rounds


@pytest.mark.django_db(transaction=True)
@pytest.mark.asyncio
async def test_all_who_ask_in_one_turn_share_a_round_and_so_do_those_that_are_due_within_a_second(
    agency, clock
):
    key = await database_sync_to_async(session_of)(agency.users.vic)
    at_once = await asyncio.gather(*(guard().look(Asked(key)) for _ in range(20)))
    assert len({look.at for look in at_once}) == 1
    never = guard().look(Asked(key), within=3600)
    along = await asyncio.gather(*(guard().look(Asked(key), within=within) for within in (0.9, 0.01, 0.5)))
    assert len({look.at for look in along}) == 1
    assert not never.done()
    never.cancel()


@pytest.mark.django_db(transaction=True)
@pytest.mark.asyncio
async def test_what_is_asked_while_a_round_runs_is_answered_by_the_next_one(agency, clock):
    key = await database_sync_to_async(session_of)(agency.users.vic)
    first = guard().look(Asked(key))
    await asyncio.sleep(0)  # the round begins
    second, third = guard().look(Asked(key)), guard().look(Asked(key))
    assert (await first).at < (await second).at == (await third).at


@pytest.mark.django_db(transaction=True)
@pytest.mark.asyncio
async def test_one_odd_session_closes_no_other_page(agency, clock):
    vic = agency.users.vic
    good = await database_sync_to_async(session_of)(vic)
    odd = await database_sync_to_async(session_of)(vic, acting={"user": vic.pk})
    mine, theirs = await asyncio.gather(
        guard().look(Asked(good)), guard().look(Asked(odd)), return_exceptions=True
    )
    assert (mine.client_id, mine.refusal) == (agency.northwind.pk, 0)
    assert isinstance(theirs, KeyError)


@pytest.mark.django_db(transaction=True)
@pytest.mark.asyncio
async def test_a_look_that_nobody_waits_for_any_more_is_not_made(agency, clock):
    key = await database_sync_to_async(session_of)(agency.users.vic)
    left = guard().look(Asked(key))
    left.cancel()
    assert (await guard().look(Asked(key))).client_id == agency.northwind.pk
    assert left.cancelled()
