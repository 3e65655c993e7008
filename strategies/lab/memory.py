"""A database of the lab's own, in memory: whatever the installation's database is, the lab never opens it.

A run writes clients, tokens and thousands of rows that never were; none of them may come near real ones.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections


@contextlib.contextmanager
def database() -> Iterator[bytes]:
    """An empty, migrated database instead of the installation's one, in this thread and block. Gives its image, from
    which other processes make theirs (`use`) without migrating."""
    before, wrapper = connections.settings[DEFAULT_DB_ALIAS], connections[DEFAULT_DB_ALIAS]
    _swap()
    try:
        call_command("migrate", verbosity=0)
        yield _raw().serialize()
        connections[DEFAULT_DB_ALIAS].close()
    finally:
        connections.settings[DEFAULT_DB_ALIAS] = before
        connections[DEFAULT_DB_ALIAS] = wrapper


def use(image: bytes) -> None:
    """Work on a copy of that database from now on, until the process ends."""
    _swap()
    _raw().deserialize(image)


def _swap() -> None:
    before = connections.settings[DEFAULT_DB_ALIAS]
    own = {**before, "ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "OPTIONS": {}}
    connections.settings[DEFAULT_DB_ALIAS] = {**own, "CONN_HEALTH_CHECKS": False}
    del connections[DEFAULT_DB_ALIAS]
    connections[DEFAULT_DB_ALIAS].ensure_connection()


def _raw() -> Any:
    return connections[DEFAULT_DB_ALIAS].connection
