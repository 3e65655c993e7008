"""Work of this floor that nobody waits for."""

from __future__ import annotations

from celery import shared_task

import accounts.connections as connections
import accounts.sentinel as watch
from accounts.models import MetaConnection
from metaads.clock import now


@shared_task(name="accounts.tasks.sentinel", ignore_result=True)
def sentinel() -> None:
    """One round over connections and alerts; harmless when two run at once."""
    watch.tend(now=now())


@shared_task(name="accounts.tasks.recheck", ignore_result=True)
def recheck(clients: list[int] | None = None) -> None:
    """Ask Meta about connections that nothing was heard of for ten minutes: a process began (all), or somebody
    signed in (`clients`: ids of theirs)."""
    watch.recheck(now=now(), clients=clients)


@shared_task(name="accounts.tasks.check_connection", ignore_result=True)
def check_connection(connection_id: int) -> None:
    """Ask Meta about one connection (our id): its user changed at Facebook what our app may do."""
    connection = MetaConnection.everything.filter(pk=connection_id).first()
    if connection is not None:
        connections.validate(connection=connection, now=now())
