"""A frame for very many sockets is handed out in parts: the loop has its turn between, no frame overtakes another."""

from __future__ import annotations

import asyncio
import json

import pytest

from insights.live import SLICE, Hub, Outlet

pytestmark = pytest.mark.asyncio


def crowd(hub, many, push=None):
    loop = asyncio.get_running_loop()
    outlets = [Outlet(loop, push=push) for _ in range(many)]
    for outlet in outlets:
        hub.register(client_id=7, outlet=outlet)
    return outlets


@pytest.mark.parametrize("many", [1, SLICE - 1, SLICE, SLICE + 1, 3 * SLICE])
async def test_every_socket_gets_every_frame_in_the_order_in_which_they_were_published(settings, many):
    settings.REDIS_URL = ""
    hub, wrong = Hub(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, trouble: wrong.append(trouble))
    outlets = crowd(hub, many)
    for id in ("first", "second", "third"):
        hub.deliver(client_id=7, topic="change", id=id)
    for _ in range(10 + 3 * many // SLICE):
        await asyncio.sleep(0)
    for outlet in outlets:
        heard = [json.loads(text) for text in await outlet.take()]
        assert [(frame["id"], frame["sequence"]) for frame in heard] == [
            ("first", 1),
            ("second", 2),
            ("third", 3),
        ]
    assert wrong == []


async def test_the_loop_has_its_turn_before_the_last_of_very_many_sockets_is_served(settings):
    settings.REDIS_URL = ""
    hub, seen = Hub(), []
    outlets = crowd(hub, 2 * SLICE, push=lambda text: seen.append(text) or True)
    resting = [asyncio.create_task(outlet.take()) for outlet in outlets]
    await asyncio.sleep(0)
    hub.deliver(client_id=7, topic="change", id="once")
    turns = []
    while len(seen) < 2 * SLICE:
        await asyncio.sleep(0)
        turns.append(len(seen))
    assert SLICE in turns
    for task in resting:
        task.cancel()


async def test_a_socket_that_cannot_be_served_keeps_nothing_from_the_others(settings):
    settings.REDIS_URL = ""
    hub = Hub()

    def broken(text):
        raise RuntimeError("gone")

    outlets = crowd(hub, SLICE) + crowd(hub, 1, push=broken)
    resting = asyncio.create_task(outlets[-1].take())
    await asyncio.sleep(0)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    for id in ("first", "second"):
        hub.deliver(client_id=7, topic="change", id=id)
    for _ in range(10):
        await asyncio.sleep(0)
    for outlet in outlets[:-1]:
        assert len(await outlet.take()) == 2
    resting.cancel()
