"""Open sockets when what a person may do changes: no socket here looks by itself, so each one was told."""

from __future__ import annotations

import json

import pytest
from channels.db import database_sync_to_async

import accounts.acting as acting
import accounts.people as people
import accounts.policies as policies
import accounts.sessions as sessions
from accounts.models import Role
from insights.live import publish
from insights.looks import NO_CLIENT, NOT_SIGNED_IN
from tests.conftest import START
from tests.insights.test_stream import signed_in, socket

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]
NEVER = 3600.0


async def opened(user, query="", recheck=NEVER):
    browser, cookie = await signed_in(user)
    one = socket(cookie, query, recheck=recheck)
    assert (await one.connect())[0]
    return browser, one


def closed(code):
    return {"type": "websocket.close", "code": code}


@pytest.mark.fault("F114")
async def test_a_removed_persons_socket_closes_at_once_and_nobody_elses(agency, clock):
    _, bobs = await opened(agency.users.bob)
    _, veras = await opened(agency.users.vera)
    await database_sync_to_async(people.remove)(
        user=agency.users.bob, client=agency.northwind, principal=agency.principals.alice, now=START
    )
    assert await bobs.receive_output(timeout=5) == closed(NOT_SIGNED_IN)
    publish(client_id=agency.northwind.pk, topic="change", id="next")
    assert json.loads(await veras.receive_from(timeout=5))["id"] == "next"
    await bobs.disconnect()
    await veras.disconnect()


@pytest.mark.parametrize("how", ["signs out", "ends it from elsewhere"])
async def test_a_session_that_ends_takes_its_socket_along_at_once_and_no_other(agency, clock, how):
    browser, one = await opened(agency.users.bob)
    other, two = await opened(agency.users.bob)
    if how == "signs out":
        await database_sync_to_async(browser.post)("/accounts/logout/")
    else:
        key = other.session.session_key if hasattr(other, "session") else ""
        await database_sync_to_async(sessions.end_all)(user=agency.users.bob, but=key)
    assert await one.receive_output(timeout=5) == closed(NOT_SIGNED_IN)
    publish(client_id=agency.northwind.pk, topic="change", id="next")
    assert json.loads(await two.receive_from(timeout=5))["id"] == "next"
    await one.disconnect()
    await two.disconnect()


async def test_a_closed_accounts_socket_closes_at_once(agency, clock):
    _, one = await opened(agency.users.bob)
    await database_sync_to_async(people.deactivate)(
        user=agency.users.bob, principal=agency.principals.alice, now=START
    )
    assert await one.receive_output(timeout=5) == closed(NOT_SIGNED_IN)
    await one.disconnect()


async def test_another_role_that_may_still_see_keeps_the_socket_open(agency, clock):
    _, one = await opened(agency.users.bob)
    await database_sync_to_async(people.change_role)(
        user=agency.users.bob, client=agency.northwind, role=Role.VIEWER,
        principal=agency.principals.alice, now=START,
    )  # fmt: skip
    publish(client_id=agency.northwind.pk, topic="change", id="still")
    assert json.loads(await one.receive_from(timeout=5))["id"] == "still"
    await one.disconnect()


async def test_a_removal_that_is_rolled_back_closes_nothing(agency, clock):
    from django.db import transaction

    def half():
        with transaction.atomic():
            people.remove(
                user=agency.users.bob, client=agency.northwind, principal=agency.principals.alice, now=START
            )
            transaction.set_rollback(True)

    _, one = await opened(agency.users.bob)
    await database_sync_to_async(half)()
    assert await one.receive_nothing(timeout=0.2)
    await one.disconnect()


async def test_a_socket_of_whoever_views_as_a_client_sees_that_client_only(agency, clock):
    browser, cookie = await signed_in(agency.users.alice)

    def begin():
        session = browser.session
        acting.start(
            session=session, client=agency.northwind, principal=agency.principals.alice, now=clock.now()
        )
        session.save()
        return session.session_key

    key = await database_sync_to_async(begin)()
    name = cookie.partition(b"=")[0]
    now_as = b"=".join((name, key.encode()))
    assert await socket(now_as, "?client=southwind").connect() == (False, NO_CLIENT)
    one = socket(now_as, "?client=northwind", recheck=0.0)
    assert (await one.connect())[0]
    assert (await socket(cookie, "?client=northwind").connect())[0] is False, "the old key still opens one"
    clock.advance(3600)  # the hour is over: she is herself again, and Northwind is still hers
    publish(client_id=agency.northwind.pk, topic="change", id="on")
    assert json.loads(await one.receive_from(timeout=5))["id"] == "on"
    await one.disconnect()


async def test_without_the_required_second_factor_no_socket_opens(agency, clock):
    _, cookie = await signed_in(agency.users.bob)
    await database_sync_to_async(policies.require_mfa)(
        role=Role.BUYER, required=True, principal=agency.principals.alice, now=START
    )
    assert await socket(cookie).connect() == (False, NOT_SIGNED_IN)
