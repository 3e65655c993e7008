"""Two hundred sockets of two clients, twenty of which read slowly: these fall behind, and nobody waits for them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator

from insights.live import OUTLET_LIMIT, hub, publish
from tests.insights.test_stream import ORIGIN, application, signed_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]
EACH, SLOW = 100, 10
#: More things than one socket may have waiting.
THINGS = OUTLET_LIMIT + 8
NEVER = 3600.0


class Reader(WebsocketCommunicator):
    """A page. A slow one takes nothing more from the wire until `opened` is set, as a full send buffer does."""

    def __init__(self, cookie: bytes, *, slow: bool) -> None:
        self.opened = asyncio.Event()
        self.slow = slow
        page = application(NEVER)

        async def wired(scope: Any, receive: Any, send: Any) -> None:
            async def held(message: Any) -> None:
                if message["type"] == "websocket.send" and self.slow:
                    await self.opened.wait()
                await send(message)

            await page(scope, receive, held)

        super().__init__(wired, "/ws/live/", headers=[ORIGIN, (b"cookie", cookie)])

    def seen(self) -> list[dict[str, Any]]:
        """What has arrived so far."""
        return [json.loads(message["text"]) for message in list(self.output_queue._queue)]


async def arrived(readers: list[Reader], count: int) -> None:
    """Let the loop turn until each of them has so many frames; a lost one fails here, without any waiting."""
    for _ in range(20_000):
        if all(reader.output_queue.qsize() >= count for reader in readers):
            return
        await asyncio.sleep(0)
    short = [reader.output_queue.qsize() for reader in readers if reader.output_queue.qsize() < count]
    raise AssertionError(f"{len(short)} readers have {min(short)} of {count} frames")


async def test_slow_readers_fall_behind_alone_and_nobody_sees_another_client_s_frame(agency):
    crowds: dict[str, list[Reader]] = {}
    for name, who in (("northwind", agency.users.bob), ("southwind", agency.users.charlie)):
        _, cookie = await signed_in(who)
        crowds[name] = [Reader(cookie, slow=number < SLOW) for number in range(EACH)]
        for reader in crowds[name]:
            assert (await reader.connect(timeout=30))[0]
    clients = {name: getattr(agency, name).pk for name in crowds}
    sent: dict[str, list[tuple[str, str]]] = {name: [] for name in crowds}
    quick = {name: readers[SLOW:] for name, readers in crowds.items()}

    for turn in range(THINGS):
        for name, client_id in clients.items():
            # One thing that changes all the time, and many that change once.
            for topic, id in (("insights", f"act_{name}"), ("change", f"{name}-{turn}")):
                publish(client_id=client_id, topic=topic, id=id)
                sent[name].append((topic, id))
                await arrived(quick[name], len(sent[name]))

    for name, readers in crowds.items():
        for reader in quick[name]:
            frames = reader.seen()
            assert [(frame["topic"], frame["id"]) for frame in frames] == sent[name]
            for topic in ("insights", "change"):
                numbers = [frame["sequence"] for frame in frames if frame["topic"] == topic]
                assert numbers == list(range(numbers[0], numbers[0] + THINGS)), "no gap"
        waiting = [len(outlet._waiting) for outlet in hub._outlets[clients[name]]]
        assert sorted(waiting) == [0] * (EACH - SLOW) + [OUTLET_LIMIT] * SLOW
        for reader in readers[:SLOW]:
            assert reader.seen() == []
            reader.opened.set()

    for name, readers in crowds.items():
        newest = quick[name][0].seen()
        await arrived(readers[:SLOW], 1 + OUTLET_LIMIT)
        for reader in readers[:SLOW]:
            first, *late = reader.seen()
            # What was on the wire already, and then of each thing that still waited only the newest.
            assert first == newest[0]
            assert len(late) == OUTLET_LIMIT
            assert len({(frame["topic"], frame["id"]) for frame in late}) == OUTLET_LIMIT
            assert late[-1] == newest[-1]
            assert [frame for frame in late if frame["topic"] == "insights"] == [newest[-2]]
        for reader in readers:
            assert all(name in frame["id"] for frame in reader.seen())
            await reader.disconnect()
    assert not any(hub._outlets[client_id] for client_id in clients.values())
