"""The socket of a page: `ws/live/?client=<slug>`, signed in by session cookie, from our own origin only.

    connect -> origin, session, membership -> outlet at the hub -> frames {"topic", "id", "sequence"}
    somebody's access changed, a delivery is due, or 15 s have passed: session, person, membership again -> else close
    the database does not answer -> close, too; the page polls and comes back

While it is open, the tick hears that somebody is watching.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.auth import get_user
from django.db import DatabaseError
from django.urls import path

import accounts.access as access
import accounts.acting as acting
import accounts.policies as policies
import accounts.sessions as sessions
from accounts.errors import Refused
from insights.interest import report
from insights.live import Outlet, hub
from metaads.clock import monotonic, now

log = logging.getLogger(__name__)

#: Close codes of ours: the page stops trying at 4401 and 4404.
NOT_SIGNED_IN: Final = 4401
WRONG_ORIGIN: Final = 4403
NO_CLIENT: Final = 4404
#: Nobody could look (RFC 6455's registry: try again later); the page comes back.
UNKNOWN: Final = 1013
RECHECK_SECONDS: Final = 15.0
#: When to look again, in parts of that.
EARLY: Final = (0.7, 0.9)
WATCHING: Final = timedelta(seconds=60)
SUBSCRIBE_SECONDS: Final = 2.0


class LiveConsumer(AsyncWebsocketConsumer):
    """One open page."""

    def __init__(self, *args: Any, recheck_seconds: float = RECHECK_SECONDS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._recheck = recheck_seconds
        self._outlet: Outlet | None = None
        self._client_id = 0
        self._checked = 0.0
        self._pump: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._aside: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        if not _own_origin(self.scope):
            await self.close(WRONG_ORIGIN)
            return
        client_id, refusal = await self._look()
        if refusal:
            await self.close(refusal)
            return
        self._client_id = client_id
        self._outlet = Outlet(asyncio.get_running_loop())
        # Registered before the page hears "open", so nothing falls between its first read and this socket.
        hub.register(client_id=client_id, outlet=self._outlet)
        if not hub.stands():
            # The first socket of a process waits for its subscription; without Redis the page polls anyway.
            await asyncio.to_thread(hub.stands, seconds=SUBSCRIBE_SECONDS)
        await self.accept()
        self._look_later(self._outlet)
        self._pump = asyncio.create_task(self._run(self._outlet))

    async def disconnect(self, code: int) -> None:
        if self._outlet is not None:
            hub.unregister(client_id=self._client_id, outlet=self._outlet)
        if self._alarm is not None:
            self._alarm.cancel()
        if self._aside is not None:
            self._aside.cancel()
        if self._pump is not None and self._pump is not asyncio.current_task():
            self._pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Pages say nothing here; what they send is not read."""

    async def _run(self, outlet: Outlet) -> None:
        while True:
            texts = await outlet.take()
            if outlet.looks() or monotonic() - self._checked >= self._recheck:
                try:
                    client_id, refusal = await self._look()
                except DatabaseError as error:
                    # No answer is no leave; and a socket left open would look like a quiet account.
                    log.warning("A live socket closes: its rights cannot be read (%s).", type(error).__name__)
                    client_id, refusal = 0, UNKNOWN
                if refusal or client_id != self._client_id:
                    hub.unregister(client_id=self._client_id, outlet=outlet)
                    await self.close(refusal or NO_CLIENT)
                    return
                self._look_later(outlet)
            for text in texts:
                await self.send(text_data=text)

    def _look_later(self, outlet: Outlet) -> None:
        """Look aside before the next look is due, so that frames need not wait for it; not all sockets at once, which
        a restart would make of them. One timer for each look: a time-out around each frame costs more than a frame."""
        if self._alarm is not None:
            self._alarm.cancel()
        early = self._recheck * random.uniform(*EARLY)
        self._alarm = outlet.loop.call_later(max(early, 0.05), self._look_aside, outlet)

    def _look_aside(self, outlet: Outlet) -> None:
        self._aside = asyncio.create_task(self._renew(outlet))

    async def _renew(self, outlet: Outlet) -> None:
        good = False
        try:
            with contextlib.suppress(DatabaseError):
                good = await self._look() == (self._client_id, 0)
        finally:
            if good:
                self._look_later(outlet)
            else:
                outlet.look()  # refused, or no answer: the pump looks itself, and closes

    async def _look(self) -> tuple[int, int]:
        """The client's id, or 0 and the close code."""
        found: tuple[int, int] = await database_sync_to_async(_may_see)(self.scope)
        self._checked = monotonic()
        return found


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


def _may_see(scope: Any) -> tuple[int, int]:
    session = scope.get("session")
    if session is None or not session.session_key:
        return 0, NOT_SIGNED_IN
    # A fresh look at the session: the scope's own copy knows no logout. One that is gone has nobody in it.
    holder = type("Holder", (), {"session": type(session._wrapped)(session.session_key)})()
    user = get_user(holder)
    principal = acting.principal(session=holder.session, user=user, now=now())
    if principal.kind == "nobody" or policies.refusal(user) is not None:
        return 0, NOT_SIGNED_IN
    # No request may come any more that would end it: a socket is no activity, and does not outlive its session.
    if sessions.left(session=holder.session, user=user, now=now()).over:
        return 0, NOT_SIGNED_IN
    wanted = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    try:
        client = access.client(principal, wanted.get("client", [None])[0])
    except Refused:
        return 0, NO_CLIENT
    for account in access.ad_accounts(principal, client=client, enabled=True):
        if wanted.get("ad_account", [account.act_id])[0] in (account.act_id, account.meta_id):
            report(ad_account_id=account.pk, reason="watching", weight=10, until=now() + WATCHING)
    return client.pk, 0


websocket_urlpatterns = [path("ws/live/", LiveConsumer.as_asgi())]
