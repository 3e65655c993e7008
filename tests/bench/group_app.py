"""The usual way with Channels: each socket joins a group of channels_redis, and `group_send` reaches it.

BENCH_REDIS_URL=... python -m uvicorn tests.bench.group_app:application     needs channels and channels_redis, no more
"""

from __future__ import annotations

import os
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter
from django.conf import settings

GROUP = "bench"


def configure() -> None:
    if not settings.configured:
        settings.configure(
            CHANNEL_LAYERS={
                "default": {
                    "BACKEND": "channels_redis.core.RedisChannelLayer",
                    # Its five-second BRPOP ends in a time-out of redis-py 8, whose own default is as long.
                    "CONFIG": {"hosts": [{"address": os.environ["BENCH_REDIS_URL"], "socket_timeout": 30}]},
                }
            }
        )


class Page(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        await self.channel_layer.group_add(GROUP, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(GROUP, self.channel_name)

    async def say(self, event: dict[str, Any]) -> None:
        await self.send(text_data=event["text"])


configure()
application = ProtocolTypeRouter({"websocket": Page.as_asgi()})
