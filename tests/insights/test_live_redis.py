"""With Redis, what one process publishes reaches the sockets of another, and losing Redis loses nothing else."""

import asyncio
import json
import os
import socket
from urllib.parse import urlsplit

import pytest

import insights.live as live
from insights.live import Hub, Outlet, publish
from tests.conftest import need

pytestmark = [pytest.mark.redis, pytest.mark.asyncio]
URL = os.environ.get("TEST_REDIS_URL") or "redis://127.0.0.1:6379/9"


def answers():
    where = urlsplit(URL)
    try:
        socket.create_connection((where.hostname, where.port or 6379), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def with_redis(settings):
    need("redis", answers(), f"no server at {URL.split('@')[-1]}")
    before, live._connection = live._connection, None
    settings.REDIS_URL = URL
    yield settings
    live._connection = before


async def test_every_process_hears_through_one_subscription(with_redis):
    outlets = []
    for _ in range(2):  # two hubs stand for two processes
        hub, outlet = Hub(), Outlet(asyncio.get_running_loop())
        hub.register(client_id=41, outlet=outlet)
        outlets.append(outlet)
        assert await asyncio.to_thread(hub.stands, seconds=10)
    # Both are subscribed: one publish, one and the same frame at both.
    await asyncio.to_thread(publish, client_id=41, topic="change", id="once")
    both = [await _until(outlet, "change") for outlet in outlets]
    assert both[0] == both[1]
    assert both[0]["id"] == "once"


async def _until(outlet, topic):
    while True:
        for text in await asyncio.wait_for(outlet.take(), timeout=5):
            if json.loads(text)["topic"] == topic:
                return json.loads(text)


async def test_publishing_while_redis_is_away_is_no_error(with_redis):
    with_redis.REDIS_URL = "redis://127.0.0.1:1/0"
    await asyncio.to_thread(publish, client_id=41, topic="insights", id="act_1")


async def test_two_installations_on_one_server_do_not_hear_each_other(with_redis):
    where = urlsplit(URL)
    number = int(where.path.strip("/") or 0)
    hub, outlet = Hub(), Outlet(asyncio.get_running_loop())
    hub.register(client_id=43, outlet=outlet)
    assert await asyncio.to_thread(hub.stands, seconds=10)
    live._connection = None
    with_redis.REDIS_URL = where._replace(path=f"/{(number + 1) % 16}").geturl()
    await asyncio.to_thread(publish, client_id=43, topic="change", id="theirs")
    live._connection = None
    with_redis.REDIS_URL = URL
    await asyncio.to_thread(publish, client_id=43, topic="change", id="ours")
    assert (await _until(outlet, "change"))["id"] == "ours"


async def test_every_process_lets_its_sockets_look_again(with_redis):
    outlets = []
    for _ in range(2):  # two hubs stand for two processes
        hub, outlet = Hub(), Outlet(asyncio.get_running_loop())
        hub.register(client_id=44, outlet=outlet)
        outlets.append(outlet)
        assert await asyncio.to_thread(hub.stands, seconds=10)
    await asyncio.to_thread(live.look_again)
    for outlet in outlets:
        assert await asyncio.wait_for(outlet.take(), timeout=5) == []
        assert outlet.looks() and not outlet.looks()
