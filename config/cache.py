"""The cache of the server form: Redis, and this process's own memory while Redis is away, read-only or full.

Nothing in the cache is the truth. Rate limits and kept answers live there, and every request to the API asks for its
limit, so a broken Redis would otherwise take away the stop of all changes together with everything else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis import RedisError

from metaads.clock import monotonic

log = logging.getLogger(__name__)

#: Seconds without a question to a Redis that has failed one, so that a frozen one delays one request and not each.
REST: Final = 5.0


def _or_here(name: str) -> Callable[..., Any]:
    """A method of the cache that asks Redis, and the memory of this process when Redis does not serve."""
    there, here = getattr(RedisCache, name), getattr(LocMemCache, name)

    @wraps(there)
    def ask(self: RedisOrHere, *args: Any, **more: Any) -> Any:
        if monotonic() >= self.rests_until:
            try:
                return there(self, *args, **more)
            except RedisError as error:
                self.rests_until = monotonic() + REST
                log.warning(
                    "Redis fails (%s); the cache is this process's own for now.", type(error).__name__
                )
        return here(self.here, *args, **more)

    return ask


class RedisOrHere(RedisCache):
    """Counts of a limit are this process's alone while Redis fails: stricter than none, and nobody is turned away
    because of the cache."""

    #: Shared by all threads of the process, each of which has a cache object of its own.
    rests: Final[dict[str, float]] = {}

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._server = server
        self.here = LocMemCache("redis-is-away", {**params, "OPTIONS": {"MAX_ENTRIES": 10_000}})

    @property
    def rests_until(self) -> float:
        return self.rests.get(self._server, 0.0)

    @rests_until.setter
    def rests_until(self, moment: float) -> None:
        self.rests[self._server] = moment

    add = _or_here("add")
    get = _or_here("get")
    set = _or_here("set")
    touch = _or_here("touch")
    delete = _or_here("delete")
    get_many = _or_here("get_many")
    has_key = _or_here("has_key")
    incr = _or_here("incr")
    set_many = _or_here("set_many")
    delete_many = _or_here("delete_many")
    clear = _or_here("clear")
