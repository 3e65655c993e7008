"""Walk G: a change of data or state reaches whoever may see it, as a name and a number, and nobody else."""

from __future__ import annotations

import asyncio
import json

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.test import Client as Browser

from insights.live import publish
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.django_db(transaction=True)]


def cookie_of(email):
    browser = Browser()
    assert browser.login(email=email, password=PASSWORD)
    return "; ".join(f"{name}={morsel.value}" for name, morsel in browser.cookies.items())


async def socket(email, client, origin="http://localhost:3000"):
    from config.asgi import application

    cookie = await database_sync_to_async(cookie_of)(email)
    headers = [(b"cookie", cookie.encode()), (b"origin", origin.encode()), (b"host", b"localhost:3000")]
    return WebsocketCommunicator(application, f"/ws/live/?client={client}", headers=headers)


@pytest.mark.asyncio
async def test_bob_hears_northwind_and_charlie_does_not(agency):
    bob = await socket("bob@example.com", "northwind")
    assert (await bob.connect())[0]
    charlie = await socket("charlie@example.com", "northwind")
    assert not (await charlie.connect())[0]
    southwind = await socket("charlie@example.com", "southwind")
    assert (await southwind.connect())[0]
    await asyncio.to_thread(publish, client_id=agency.northwind.pk, topic="insights", id="act_1")
    await asyncio.to_thread(publish, client_id=agency.northwind.pk, topic="insights", id="act_1")
    first, second = (
        json.loads(await bob.receive_from(timeout=3)),
        json.loads(await bob.receive_from(timeout=3)),
    )
    frames = [frame for frame in (first, second) if frame["topic"] == "insights"]
    assert frames and all(frame["id"] == "act_1" for frame in frames)
    assert await southwind.receive_nothing(timeout=0.2)
    await bob.disconnect()
    await southwind.disconnect()


@pytest.mark.asyncio
async def test_a_socket_from_another_origin_or_without_a_session_is_refused(agency):
    foreign = await socket("bob@example.com", "northwind", origin="https://evil.example")
    assert not (await foreign.connect())[0]
    from config.asgi import application

    nobody = WebsocketCommunicator(
        application,
        "/ws/live/?client=northwind",
        headers=[(b"origin", b"http://localhost:3000"), (b"host", b"localhost:3000")],
    )
    assert not (await nobody.connect())[0]
