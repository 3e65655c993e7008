"""A socket does not outlive its session, whoever or whatever ends it, and never keeps it alive."""

from __future__ import annotations

import pytest
from channels.db import database_sync_to_async

import accounts.sessions as sessions
from insights.looks import NOT_SIGNED_IN
from tests.insights.test_stream import signed_in, socket

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]
CLOSED = {"type": "websocket.close", "code": NOT_SIGNED_IN}


@database_sync_to_async
def ask(browser, method="get", path="/api/session", **more):
    return getattr(browser, method)(path, **more)


async def opened(agency, name="bob"):
    browser, cookie = await signed_in(getattr(agency.users, name))
    assert (await ask(browser)).status_code == 200
    one = socket(cookie, recheck=0.0)
    assert (await one.connect())[0]
    return browser, one


async def test_signing_out_closes_it(agency, clock):
    browser, one = await opened(agency)
    assert (await ask(browser, "post", "/accounts/logout/")).status_code == 302
    assert await one.receive_output(timeout=5) == CLOSED
    await one.disconnect()


async def test_the_idle_limit_closes_it_although_no_request_comes_any_more(agency, clock):
    _, one = await opened(agency)
    clock.advance(30 * 60)
    assert await one.receive_nothing(timeout=0.3)
    clock.advance(1)
    assert await one.receive_output(timeout=5) == CLOSED
    await one.disconnect()


async def test_the_absolute_limit_closes_it(agency, clock):
    browser, one = await opened(agency)
    for _ in range(24):
        clock.advance(29 * 60)
        assert (await ask(browser)).status_code == 200
    clock.advance(24 * 60 + 1)
    assert await one.receive_output(timeout=5) == CLOSED
    await one.disconnect()


async def test_an_open_socket_is_no_activity(agency, clock):
    browser, one = await opened(agency)
    clock.advance(20 * 60)
    assert await one.receive_nothing(timeout=0.3)
    answer = await ask(browser, headers={"X-Poll": "1"})
    assert answer.json()["idle_seconds"] == 10 * 60
    await one.disconnect()


async def test_ending_all_sessions_of_a_person_closes_theirs_and_nobody_else_s(agency, clock):
    _, bobs = await opened(agency)
    _, veras = await opened(agency, "vera")
    assert await database_sync_to_async(sessions.end_all)(user=agency.users.bob) == 1
    assert await bobs.receive_output(timeout=5) == CLOSED
    assert await veras.receive_nothing(timeout=0.3)
    await bobs.disconnect()
    await veras.disconnect()


async def test_a_socket_of_a_session_that_is_over_is_not_opened(agency, clock):
    browser, cookie = await signed_in(agency.users.bob)
    assert (await ask(browser)).status_code == 200
    clock.advance(30 * 60 + 1)
    assert await socket(cookie).connect() == (False, NOT_SIGNED_IN)
