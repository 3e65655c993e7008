"""A page that reads slowly: what waited for it while its person lost access is never sent."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator

from accounts.models import Membership
from insights.live import hub
from insights.looks import NO_CLIENT
from tests.insights.test_stream import ORIGIN, application, signed_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]


class SlowPage(WebsocketCommunicator):
    """Its wire takes one frame for each `release` of `gate`."""

    def __init__(self, cookie: bytes) -> None:
        self.gate = asyncio.Semaphore(0)
        page = application(3600.0)

        async def wired(scope: Any, receive: Any, send: Any) -> None:
            async def held(message: Any) -> None:
                if message["type"] == "websocket.send":
                    await self.gate.acquire()
                await send(message)

            await page(scope, receive, held)

        super().__init__(wired, "/ws/live/", headers=[ORIGIN, (b"cookie", cookie)])


async def opened(agency: Any) -> SlowPage:
    _, cookie = await signed_in(agency.users.bob)
    page = SlowPage(cookie)
    assert (await page.connect())[0]
    return page


@pytest.mark.parametrize("heard", ["a", "ab"])
async def test_frames_that_were_held_up_are_not_sent_after_their_reader_was_removed(agency, heard):
    """The page stands at the frame after `heard`: at one that was begun without its task, or at one of several that
    its task has taken."""
    page = await opened(agency)
    for id in "abcde":
        hub.deliver(client_id=agency.northwind.pk, topic="change", id=id)
    for id in heard:
        page.gate.release()
        assert json.loads(await page.receive_from(timeout=5))["id"] == id
    assert await page.receive_nothing(timeout=0.01)
    await database_sync_to_async(Membership.objects.filter(user=agency.users.bob).delete)()
    hub.look_again()
    for _ in "abcde":
        page.gate.release()
    assert json.loads(await page.receive_from(timeout=5))["id"] == "abcde"[len(heard)]
    assert await page.receive_output(timeout=5) == {"type": "websocket.close", "code": NO_CLIENT}
    await page.disconnect()


async def test_a_page_that_leaves_while_a_frame_is_held_up_leaves_nothing_behind(agency):
    before = hub.sockets()
    page = await opened(agency)
    for id in "ab":
        hub.deliver(client_id=agency.northwind.pk, topic="change", id=id)
    assert await page.receive_nothing(timeout=0.01)
    await page.disconnect()
    page.gate.release()
    assert hub.sockets() == before
    assert page.output_queue.empty()
