"""Push: say *what* changed, never the numbers. The page asks the API; a missed push costs nothing, a gap is seen.

    publish(client, topic, id)
        no REDIS_URL -> this process's hub            REDIS_URL -> one Redis channel -> each process's hub
    hub: next sequence of (client, topic), serialised once
        -> each socket's outlet -> sent at once, where nothing waits there and the socket takes it without a wait
                                -> else kept (bounded: a slow reader keeps the latest of each thing)
                                   -> the socket's own task (`insights.stream`)

    look_again()    the sockets ask at once whether they may go on; nothing is sent to the pages

`publish` never raises: losing Redis costs freshness, not correctness.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from accounts.models import Client

log = logging.getLogger(__name__)

CHANNEL: Final = "metaads:live"
TOPICS: Final = frozenset({"insights", "change", "proposal", "alert", "connection", "progress", "strategy"})
#: Different things that one slow socket may have waiting; beyond it the oldest is dropped, and seen as a gap.
OUTLET_LIMIT: Final = 64
#: Sockets that are served before the loop does what else is there; it writes out what was sent only then.
SLICE: Final = 100
_RETRY_SECONDS: Final = 1.0
#: What the processes tell each other besides frames.
_LOOK: Final = {"look": "again"}


class Outlet:
    """One socket's waiting frames. `offer` and `take` run on the socket's own loop.

    `push` sends a frame without waiting, if it may: it answers whether it took the frame. It is asked only while the
    socket's task rests in `take` with nothing to do, so no frame overtakes another.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limit: int = OUTLET_LIMIT,
        push: Callable[[str], bool] | None = None,
    ) -> None:
        self.loop = loop
        self.dropped = 0
        self._limit = limit
        self._push = push
        self._waiting: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._ready = asyncio.Event()
        self._resting = False
        self._look = False

    def offer(self, key: tuple[str, str], text: str) -> None:
        """Send a frame at once, or queue it; a newer frame of the same thing replaces the waiting one."""
        if self._push is not None and self._resting and not self._ready.is_set() and self._push(text):
            return
        if self._waiting.pop(key, None) is not None:
            self.dropped += 1
        self._waiting[key] = text
        if len(self._waiting) > self._limit:
            self._waiting.popitem(last=False)
            self.dropped += 1
        self._ready.set()

    def look(self) -> None:
        """Wake the socket, so that it asks again whether it may go on."""
        self._look = True
        self._ready.set()

    def looks(self) -> bool:
        """Whether it was woken for that; once."""
        look, self._look = self._look, False
        return look

    def wake(self) -> None:
        """Wake the socket without anything to send or to ask."""
        self._ready.set()

    async def take(self) -> list[str]:
        """All waiting frames, oldest first; waits for the first, or for `look` or `wake`."""
        self._resting = True
        try:
            await self._ready.wait()
        finally:
            self._resting = False
        self._ready.clear()
        texts = list(self._waiting.values())
        self._waiting.clear()
        return texts


class Begun:
    """A coroutine that was run up to where it has to wait: `await` it in a task for the rest of it."""

    def __init__(self, work: Coroutine[Any, Any, None], waits_for: Any) -> None:
        self._work = work
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, None, None]:
        try:
            yield self._waits_for
            yield from self._work.__await__()
        finally:
            self.close()

    def close(self) -> None:
        """Leave it undone."""
        self._work.close()


def begin(work: Coroutine[Any, Any, None]) -> Begun | None:
    """Run a coroutine up to where it has to wait, without a task: None, when it never had to. Raises what it raises."""
    try:
        return Begun(work, work.send(None))
    except StopIteration:
        return None


#: A frame on its way: the outlets that it has not reached yet, its thing, its text.
_Going = tuple[Iterator[Outlet], tuple[str, str], str]


class Hub:
    """The sockets of this process by client. Any thread may deliver."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outlets: dict[int, set[Outlet]] = defaultdict(set)
        self._sequences: dict[tuple[int, str], int] = defaultdict(int)
        self._going: dict[asyncio.AbstractEventLoop, deque[_Going]] = {}
        self._listener: threading.Thread | None = None
        self._subscribed = threading.Event()

    def stands(self, *, seconds: float = 0.0) -> bool:
        """Whether this process hears what the others publish; waits up to `seconds` for it (not on a loop)."""
        return not settings.REDIS_URL or self._subscribed.wait(seconds)

    def register(self, *, client_id: int, outlet: Outlet) -> None:
        with self._lock:
            self._outlets[client_id].add(outlet)
            if settings.REDIS_URL and self._listener is None:
                self._listener = threading.Thread(target=self._listen, name="live", daemon=True)
                self._listener.start()

    def unregister(self, *, client_id: int, outlet: Outlet) -> None:
        with self._lock:
            self._outlets[client_id].discard(outlet)

    def sockets(self) -> int:
        """How many sockets this process serves."""
        with self._lock:
            return sum(len(found) for found in self._outlets.values())

    def deliver(self, *, client_id: int, topic: str, id: str, sequence: int | None = None) -> None:
        """Hand one frame to every socket of the client; without `sequence` this process counts."""
        with self._lock:
            if sequence is None:
                self._sequences[client_id, topic] += 1
                sequence = self._sequences[client_id, topic]
            outlets = list(self._outlets.get(client_id, ()))
        if not outlets:
            return
        text = json.dumps({"topic": topic, "id": id, "sequence": sequence}, separators=(",", ":"))
        by_loop: dict[asyncio.AbstractEventLoop, list[Outlet]] = defaultdict(list)
        for outlet in outlets:
            by_loop[outlet.loop].append(outlet)
        for loop, mine in by_loop.items():
            try:
                loop.call_soon_threadsafe(self._offer, loop, (iter(mine), (topic, id), text))
            except RuntimeError:  # the loop has ended, and its sockets with it
                log.debug("A live loop has ended with %s sockets.", len(mine))

    def _offer(self, loop: asyncio.AbstractEventLoop, frame: _Going) -> None:
        """On the loop: begin with a frame, or let it wait for those before it, so that none overtakes another."""
        going = self._going.setdefault(loop, deque())
        going.append(frame)
        if len(going) == 1:
            self._go_on(loop)

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        going, left = self._going[loop], SLICE
        try:
            while going and left:
                outlets, key, text = going[0]
                for outlet in islice(outlets, left):
                    left -= 1
                    outlet.offer(key, text)
                if left:
                    going.popleft()
        finally:
            if going:
                loop.call_soon(self._go_on, loop)
            else:
                del self._going[loop]

    def look_again(self) -> None:
        """Let every socket of this process ask whether it may go on."""
        with self._lock:
            outlets = [outlet for found in self._outlets.values() for outlet in found]
        for outlet in outlets:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and its sockets with it
                outlet.loop.call_soon_threadsafe(outlet.look)

    def _listen(self) -> None:
        """One subscription per process; a broken one is renewed, and what was missed shows as a gap."""
        pause, client = threading.Event(), _redis(socket_timeout=None, health_check_interval=15)
        while True:
            try:
                with client.pubsub() as heard:
                    heard.subscribe(_channel())
                    for message in heard.listen():
                        if message["type"] == "subscribe":
                            self._subscribed.set()
                        elif message["type"] == "message":
                            self._hear(message)
            except redis.RedisError as error:
                self._subscribed.clear()
                log.warning("Live push has lost Redis (%s); trying again.", type(error).__name__)
                pause.wait(_RETRY_SECONDS)

    def _hear(self, message: Any) -> None:
        try:
            frame = json.loads(message["data"])
            if frame == _LOOK:
                self.look_again()
                return
            self.deliver(
                client_id=int(frame["client"]),
                topic=str(frame["topic"]),
                id=str(frame["id"]),
                sequence=int(frame["sequence"]),
            )
        except (KeyError, TypeError, ValueError):
            log.warning("A live message could not be read and was left out.")


hub = Hub()


def publish(*, client_id: int | None, topic: str, id: str) -> None:
    """Tell every open page of the client that this thing changed (None: of every client)."""
    if topic not in TOPICS:
        raise ValueError(f"a topic is one of {', '.join(sorted(TOPICS))}")
    targets = [client_id] if client_id is not None else list(Client.objects.values_list("pk", flat=True))
    for target in targets:
        if settings.REDIS_URL:
            _send(target, topic, id)
        else:
            hub.deliver(client_id=target, topic=topic, id=id)


def look_again() -> None:
    """Let every open page of the installation ask at once whether it may go on: what somebody may do has changed."""
    if not settings.REDIS_URL:
        hub.look_again()
        return
    try:
        _publisher().publish(_channel(), json.dumps(_LOOK))
    except redis.RedisError as error:  # the sockets look by themselves within seconds
        log.warning("A live message was not sent (%s).", type(error).__name__)


_connection: Any = None


def _publisher() -> Any:
    global _connection
    if _connection is None:
        # Tried once: whoever says it has something else to do, and the sockets look by themselves.
        _connection = _redis(socket_timeout=2, retry=Retry(NoBackoff(), 0))
    return _connection


def _send(client_id: int, topic: str, id: str) -> None:
    try:
        connection = _publisher()
        sequence = connection.incr(f"{CHANNEL}:{client_id}:{topic}")
        frame = {"client": client_id, "topic": topic, "id": id, "sequence": int(sequence)}
        connection.publish(_channel(), json.dumps(frame))
    except redis.RedisError as error:
        log.warning("A live message was not sent (%s).", type(error).__name__)


def _channel() -> str:
    """Redis' channels know no databases, so the number is in the name: installations may share one server."""
    return f"{CHANNEL}:{urlsplit(settings.REDIS_URL).path.strip('/') or '0'}"


def _redis(**more: Any) -> Any:
    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, **more)
