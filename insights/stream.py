"""The socket of a page: `ws/live/?client=<slug>`, signed in by session cookie, from our own origin only.

    connect -> origin, session, membership -> outlet at the hub -> frames {"topic", "id", "sequence"}
    somebody's access changed, a delivery is due, or 15 s have passed: session, person, membership again -> else close
    the database does not answer -> close, too; the page polls and comes back

The looks are made by `insights.looks`, for many sockets at once. While a page is open, the tick hears that somebody is
watching.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import DatabaseError
from django.urls import path

from insights.live import Begun, Outlet, begin, hub
from insights.looks import NO_CLIENT, Asked, Look, guard
from metaads.clock import monotonic

log = logging.getLogger(__name__)

#: Close codes beside those of a look: where the page itself is wrong,
WRONG_ORIGIN: Final = 4403
#: and where nobody could look (RFC 6455's registry: try again later); the page comes back.
UNKNOWN: Final = 1013
RECHECK_SECONDS: Final = 15.0
#: When to look again, in parts of that: before it is due, so that frames need not wait for it, and not all sockets at
#: once, which a restart would make of them.
EARLY: Final = (0.7, 0.9)
SUBSCRIBE_SECONDS: Final = 2.0


class LiveConsumer(AsyncWebsocketConsumer):
    """One open page."""

    def __init__(self, *args: Any, recheck_seconds: float = RECHECK_SECONDS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._recheck = recheck_seconds
        self._asked = Asked(session="")
        self._outlet: Outlet | None = None
        self._client_id = 0
        self._checked = 0.0
        self._pump: asyncio.Task[None] | None = None
        self._next: asyncio.Future[Look] | None = None
        self._begun: Begun | None = None

    async def connect(self) -> None:
        if not _own_origin(self.scope):
            await self.close(WRONG_ORIGIN)
            return
        self._asked = _asked(self.scope)
        look = await guard().look(self._asked)
        if look.refusal:
            await self.close(look.refusal)
            return
        self._client_id, self._checked = look.client_id, look.at
        outlet = self._outlet = Outlet(asyncio.get_running_loop(), push=self._push)
        # Registered before the page hears "open", so nothing falls between its first read and this socket.
        hub.register(client_id=self._client_id, outlet=outlet)
        if not hub.stands():
            # The first socket of a process waits for its subscription; without Redis the page polls anyway.
            await asyncio.to_thread(hub.stands, seconds=SUBSCRIBE_SECONDS)
        await self.accept()
        self._look_later(outlet)
        self._pump = asyncio.create_task(self._run(outlet))

    async def disconnect(self, code: int) -> None:
        if self._outlet is not None:
            hub.unregister(client_id=self._client_id, outlet=self._outlet)
        if self._next is not None:
            self._next.cancel()
        if self._pump is not None and self._pump is not asyncio.current_task():
            self._pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump
        if self._begun is not None:
            self._begun.close()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Pages say nothing here; what they send is not read."""

    async def _run(self, outlet: Outlet) -> None:
        while True:
            texts = await outlet.take()
            if self._begun is not None:
                begun, self._begun = self._begun, None
                await begun
            if outlet.looks() and not await self._still_may(outlet):
                return
            for text in texts:
                # Asked for each: a page that reads slowly may have held up the one before for long.
                if (outlet.looks() or self._overdue()) and not await self._still_may(outlet):
                    return
                await self._say(text)

    def _push(self, text: str) -> bool:
        """Send at once, without waking a task for each frame of each socket. A page that has to be waited for is
        left to its task, and what comes meanwhile to the outlet."""
        if self._overdue():
            return False
        try:
            self._begun = begin(self._say(text))
        except Exception:
            return False  # the task meets it, too, and ends of it; the other sockets do not
        if self._begun is not None and self._outlet is not None:
            self._outlet.wake()
        return True

    async def _say(self, text: str) -> None:
        await self.base_send({"type": "websocket.send", "text": text})

    def _overdue(self) -> bool:
        return monotonic() - self._checked >= self._recheck

    async def _still_may(self, outlet: Outlet) -> bool:
        """Look, and close where the page may not go on."""
        refusal = UNKNOWN
        try:
            look = await guard().look(self._asked)
        except DatabaseError as error:
            # No answer is no leave; and a socket left open would look like a quiet account.
            log.warning("A live socket closes: its rights cannot be read (%s).", type(error).__name__)
        except Exception:
            log.exception("A live socket closes: the look at its rights failed.")
        else:
            if self._passes(look):
                self._look_later(outlet)
                return True
            refusal = look.refusal or NO_CLIENT
        hub.unregister(client_id=self._client_id, outlet=outlet)
        await self.close(refusal)
        return False

    def _passes(self, look: Look) -> bool:
        good = (look.client_id, look.refusal) == (self._client_id, 0)
        if good:
            self._checked = look.at
        return good

    def _look_later(self, outlet: Outlet) -> None:
        if self._next is not None:
            self._next.cancel()
        early = self._recheck * random.uniform(*EARLY)
        self._next = guard().look(self._asked, within=max(early, 0.05))
        self._next.add_done_callback(self._looked)

    def _looked(self, answer: asyncio.Future[Look]) -> None:
        if answer.cancelled():
            return
        assert self._outlet is not None
        if answer.exception() is None and self._passes(answer.result()):
            self._look_later(self._outlet)
        else:
            self._outlet.look()  # refused, or no answer: the pump looks itself, and closes


def _asked(scope: Any) -> Asked:
    session = scope.get("session")
    wanted = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return Asked(
        session=(session.session_key if session is not None else None) or "",
        client=wanted.get("client", [None])[0],
        ad_account=wanted.get("ad_account", [None])[0],
    )


def _own_origin(scope: Any) -> bool:
    headers = dict(scope.get("headers") or ())
    origin = headers.get(b"origin", b"").decode("latin-1")
    host = headers.get(b"host", b"").decode("latin-1")
    where = urlsplit(origin)
    ours = urlsplit(settings.PUBLIC_URL)
    if (where.scheme, where.netloc) == (ours.scheme, ours.netloc):
        return True
    # Reached by another allowed name (a tunnel, 127.0.0.1): the page's own host is the origin then.
    return bool(host) and where.netloc == host and where.scheme in ("http", "https")


websocket_urlpatterns = [path("ws/live/", LiveConsumer.as_asgi())]
