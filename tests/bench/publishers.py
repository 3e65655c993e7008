"""Who publishes to the sockets of each kind of server. Each is made with what it needs to know, and takes an id."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from typing import Any

Publish = Callable[[str], None]


def product(to: dict[str, Any]) -> Publish:
    """`insights.live.publish`, in a process of the installation."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    import insights.live as live

    def publish(id: str) -> None:
        live.publish(client_id=to["client_id"], topic="insights", id=id)

    return publish


def group(to: dict[str, Any]) -> Publish:
    """Channels' `group_send`."""
    from asgiref.sync import async_to_sync
    from channels.layers import get_channel_layer

    from tests.bench.group_app import GROUP, configure

    configure()
    send = async_to_sync(get_channel_layer().group_send)

    def publish(id: str) -> None:
        send(GROUP, {"type": "say", "text": frame(id)})

    return publish


def raw(to: dict[str, Any]) -> Publish:
    """A line to the server's other port; it broadcasts each."""
    line = socket.create_connection(("127.0.0.1", to["port"]))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def publish(id: str) -> None:
        line.sendall(frame(id).encode() + b"\n")

    return publish


def frame(id: str) -> str:
    """The product's form, so that all servers send the same bytes."""
    return json.dumps({"topic": "insights", "id": id, "sequence": 1}, separators=(",", ":"))


PUBLISHERS: dict[str, Callable[[dict[str, Any]], Publish]] = {
    "product": product,
    "group": group,
    "raw": raw,
}
