"""Sockets: only our own pages, only one's own client, what changed and never the numbers, closed at logout."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from channels.sessions import CookieMiddleware, SessionMiddleware
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client as Browser
from django.urls import path

from insights.live import OUTLET_LIMIT, Outlet, hub, publish
from insights.looks import NO_CLIENT, NOT_SIGNED_IN
from insights.models import Interest
from insights.stream import WRONG_ORIGIN, LiveConsumer
from metaads.clock import using

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]
ORIGIN = (b"origin", settings.PUBLIC_URL.encode())


def application(recheck=15.0):
    consumer = LiveConsumer.as_asgi(recheck_seconds=recheck)
    return CookieMiddleware(SessionMiddleware(URLRouter([path("ws/live/", consumer)])))


@database_sync_to_async
def signed_in(user):
    browser = Browser()
    browser.force_login(user)
    return (
        browser,
        f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}".encode(),
    )


def socket(cookie=b"", query="", headers=(ORIGIN,), recheck=15.0):
    return WebsocketCommunicator(
        application(recheck),
        f"/ws/live/{query}",
        headers=[*headers, (b"cookie", cookie), (b"host", b"localhost:3000")],
    )


async def heard(one):
    return json.loads(await one.receive_from(timeout=5))


async def test_a_page_hears_what_changed_with_a_sequence_and_no_numbers(agency):
    _, cookie = await signed_in(agency.users.bob)
    one = socket(cookie)
    assert (await one.connect())[0]
    publish(client_id=agency.northwind.pk, topic="insights", id="act_1")
    first = await heard(one)
    publish(client_id=agency.northwind.pk, topic="insights", id="act_1")
    second = await heard(one)
    assert set(first) == {"topic", "id", "sequence"}
    assert (first["topic"], first["id"]) == ("insights", "act_1")
    assert second["sequence"] == first["sequence"] + 1
    await one.disconnect()


async def test_another_client_s_page_hears_nothing(agency):
    _, cookie = await signed_in(agency.users.charlie)
    charlie = socket(cookie)
    assert (await charlie.connect())[0]
    publish(client_id=agency.northwind.pk, topic="change", id="secret")
    publish(client_id=agency.southwind.pk, topic="change", id="own")
    assert (await heard(charlie))["id"] == "own"
    assert await charlie.receive_nothing(timeout=0.05)
    await charlie.disconnect()


async def test_the_owner_chooses_a_client_and_nobody_may_choose_another_s(agency):
    _, alice = await signed_in(agency.users.alice)
    assert await socket(alice).connect() == (False, NO_CLIENT)
    one = socket(alice, "?client=southwind")
    assert (await one.connect())[0]
    publish(client_id=agency.southwind.pk, topic="alert", id="7")
    assert (await heard(one))["id"] == "7"
    await one.disconnect()
    _, bob = await signed_in(agency.users.bob)
    assert await socket(bob, "?client=southwind").connect() == (False, NO_CLIENT)


@pytest.mark.parametrize("headers", [(), ((b"origin", b"https://evil.example"),), ((b"origin", b"null"),)])
async def test_another_site_s_page_is_refused(agency, headers):
    _, cookie = await signed_in(agency.users.bob)
    assert await socket(cookie, headers=headers).connect() == (False, WRONG_ORIGIN)


async def test_without_a_session_there_is_no_socket(agency):
    assert await socket().connect() == (False, NOT_SIGNED_IN)
    assert await socket(b"session=made-up").connect() == (False, NOT_SIGNED_IN)


async def test_after_logout_nothing_more_is_delivered_and_the_socket_closes(agency):
    browser, cookie = await signed_in(agency.users.bob)
    one = socket(cookie, recheck=0.0)
    assert (await one.connect())[0]
    await database_sync_to_async(browser.logout)()
    publish(client_id=agency.northwind.pk, topic="insights", id="act_1")
    assert await one.receive_output(timeout=5) == {"type": "websocket.close", "code": NOT_SIGNED_IN}
    await one.disconnect()


async def test_a_membership_that_ends_closes_the_socket_without_any_push(agency):
    from accounts.models import Membership

    _, cookie = await signed_in(agency.users.bob)
    one = socket(cookie, recheck=0.0)
    assert (await one.connect())[0]
    await database_sync_to_async(Membership.objects.filter(user=agency.users.bob).delete)()
    assert await one.receive_output(timeout=5) == {"type": "websocket.close", "code": NO_CLIENT}
    await one.disconnect()


async def test_a_closed_page_leaves_the_hub(agency):
    before = hub.sockets()
    _, cookie = await signed_in(agency.users.bob)
    one = socket(cookie)
    assert (await one.connect())[0]
    assert hub.sockets() == before + 1
    await one.disconnect()
    assert hub.sockets() == before


async def test_a_slow_reader_keeps_the_latest_of_each_thing_and_never_grows():
    outlet = Outlet(asyncio.get_running_loop())
    for turn in range(500):
        outlet.offer(("insights", "act_1"), f"a{turn}")
    for turn in range(3 * OUTLET_LIMIT):
        outlet.offer(("change", str(turn)), f"c{turn}")
    texts = await outlet.take()
    assert len(texts) == OUTLET_LIMIT
    assert texts[-1] == f"c{3 * OUTLET_LIMIT - 1}"
    outlet.offer(("insights", "act_1"), "old")
    outlet.offer(("insights", "act_1"), "new")
    assert await outlet.take() == ["new"]


async def test_publishing_from_another_thread_reaches_the_page(agency):
    _, cookie = await signed_in(agency.users.bob)
    one = socket(cookie)
    assert (await one.connect())[0]
    await asyncio.to_thread(publish, client_id=agency.northwind.pk, topic="progress", id="act_1")
    assert (await heard(one))["topic"] == "progress"
    await one.disconnect()


async def test_while_a_page_is_open_the_tick_hears_that_somebody_is_watching(agency):
    from accounts.models import AdAccount

    moment = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
    account = await database_sync_to_async(AdAccount.everything.create)(
        client=agency.northwind, meta_id="1", name="A", currency="USD", timezone_name="UTC", enabled_at=moment
    )
    _, cookie = await signed_in(agency.users.vic)
    with using(lambda: moment):
        one = socket(cookie)
        assert (await one.connect())[0]
        await one.disconnect()
    seen = await database_sync_to_async(Interest.objects.of(account).get)()
    assert (seen.reason, seen.weight) == ("watching", 10)


async def test_an_unknown_topic_is_a_mistake_of_ours():
    with pytest.raises(ValueError):
        publish(client_id=1, topic="gossip", id="1")
