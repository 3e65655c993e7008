"""A database and a cache of the lab's own, in memory: those of the installation are never opened.

A run writes clients, tokens and thousands of rows that never were, and empties the cache between two policies; none of
it may come near real ones.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections

_CACHE = "default"


@contextlib.contextmanager
def database() -> Iterator[bytes]:
    """An empty, migrated database and an empty cache instead of the installation's, in this thread and block. Gives the
    database's image, from which other processes make theirs (`use`) without migrating."""
    rows, kept, redis = connections[DEFAULT_DB_ALIAS], caches[_CACHE], settings.REDIS_URL
    of_rows, of_kept = connections.settings[DEFAULT_DB_ALIAS], caches.settings[_CACHE]
    _swap()
    try:
        call_command("migrate", verbosity=0)
        yield _raw().serialize()
        connections[DEFAULT_DB_ALIAS].close()
    finally:
        connections.settings[DEFAULT_DB_ALIAS], caches.settings[_CACHE] = of_rows, of_kept
        connections[DEFAULT_DB_ALIAS], caches[_CACHE] = rows, kept
        settings.REDIS_URL = redis


def use(image: bytes) -> None:
    """Work on a copy of that database, and with an empty cache, from now on, until the process ends."""
    _swap()
    _raw().deserialize(image)


def _swap() -> None:
    """To make the objects of the installation's opens nothing; from here on there are others in their place."""
    _ = connections[DEFAULT_DB_ALIAS], caches[_CACHE]
    del connections[DEFAULT_DB_ALIAS], caches[_CACHE]
    own = {
        **connections.settings[DEFAULT_DB_ALIAS],
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
    }
    connections.settings[DEFAULT_DB_ALIAS] = {**own, "OPTIONS": {}, "CONN_HEALTH_CHECKS": False}
    caches.settings[_CACHE] = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "lab"}
    settings.REDIS_URL = ""
    connections[DEFAULT_DB_ALIAS].ensure_connection()


def _raw() -> Any:
    return connections[DEFAULT_DB_ALIAS].connection
