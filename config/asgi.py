"""One port for everything: HTTP through WSGI threads, WebSockets through Channels, the engine in the lifespan.

http        -> a2wsgi -> Django (WSGI)     two to five times faster than Django's own ASGI handler
websocket   -> Origin -> session cookie -> insights.stream
lifespan    -> checks -> engine (embedded form only)
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from a2wsgi import WSGIMiddleware
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from channels.sessions import SessionMiddlewareStack
from django.conf import settings
from django.core.checks import ERROR, run_checks

import config.wsgi  # first of ours: it sets Django up, which the modules below need
from config.engine import Engine, EngineBusy, doubt_connections
from config.health import findings
from insights.stream import websocket_urlpatterns
from metaads.clock import now

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

WEB_THREADS = 8
log = logging.getLogger("metaads.start")


class NotReady(Exception):
    """This installation cannot start as it is; each line of the text says why and what to do."""


def look() -> None:
    """Refuse to start with wrong settings, a database that is away or missing migrations."""
    wrong = [
        f"{one.msg} {one.hint or ''}".strip()
        for one in run_checks(include_deployment_checks=False)
        if one.level >= ERROR
    ]
    wrong += [
        one.text for one in findings(at=now()) if one.name in ("database", "migrations") and not one.good
    ]
    if wrong:
        raise NotReady("\n".join(wrong))


class Lifespan:
    """Starts and stops the embedded engine with the web server; in the server form it only looks."""

    def __init__(self) -> None:
        self.engine: Engine | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await asyncio.to_thread(self._start)
                except (NotReady, EngineBusy) as no:
                    await send({"type": "lifespan.startup.failed", "message": str(no)})
                    return
                except Exception as trouble:
                    # uvicorn takes an exception for "has no lifespan" and would serve pages without a worker.
                    log.exception("the start failed")
                    await send(
                        {"type": "lifespan.startup.failed", "message": f"The start failed: {trouble!r}"}
                    )
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                finished = await asyncio.to_thread(self._stop)
                await send({"type": "lifespan.shutdown.complete"})
                if not finished:
                    # Python would wait for the pool's threads without end; the database holds all they would lose.
                    logging.shutdown()
                    os._exit(0)
                return

    def _start(self) -> None:
        look()
        if settings.EMBEDDED:
            self.engine = Engine(lost=lambda: os.kill(os.getpid(), signal.SIGTERM))
            self.engine.start()
        doubt_connections()

    def _stop(self) -> bool:
        return self.engine.stop() if self.engine is not None else True


application = ProtocolTypeRouter(
    {
        "http": WSGIMiddleware(config.wsgi.application, workers=WEB_THREADS),
        "websocket": AllowedHostsOriginValidator(SessionMiddlewareStack(URLRouter(websocket_urlpatterns))),
        "lifespan": Lifespan(),
    }
)
