"""After a backup came back: the database is older than the world, and says so before anything leaves.

    beat       each minute: a row of the database, and after its commit the same moment in VAR_DIR/lifeline
    is_older   the file is ahead of the row -> this database was put back since (or is another one)
    hold       every connection is held: no token leaves until Meta has answered for it;
               sessions and one-time links end, since those that were used or taken back are alive again
    ask        Meta about every held connection; its answer ends the hold, a bad one means reconnecting

A file that is missing (a new machine, a container without a volume) tells nothing: then a person says it, with
`manage.py after_restore`.
"""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import transaction

import accounts.audit as audit
import accounts.connections as connections
import accounts.leases as leases
import accounts.outbox as outbox
from accounts.models import (
    ApiKey,
    ConnectionState,
    ConnectLink,
    Invitation,
    Lease,
    MetaConnection,
    PendingGrant,
)
from accounts.tenancy import Principal

log = logging.getLogger(__name__)

LIFELINE: Final = "lifeline"
#: A database that lost its last moments in a power cut, or machines whose clocks differ, are no restored backup.
TOLERANCE: Final = timedelta(minutes=10)
_ENDED: Final = (ConnectionState.REVOKED, ConnectionState.DELETING)


@dataclass(frozen=True)
class Held:
    """How many of each were held or ended; `api_keys` are good again if they were revoked since: a person looks."""

    connections: int
    sessions: int
    links: int
    api_keys: tuple[str, ...]


def beat(*, folder: Path, now: datetime) -> None:
    """Leave the moment in the database, then in the folder: the file is never ahead of its own database."""
    if leases.take(name=LIFELINE, holder=LIFELINE, seconds=1, now=now) is None:
        return
    draft = folder / f"{LIFELINE}.{os.getpid()}"
    try:
        draft.write_text(now.isoformat())
        draft.replace(folder / LIFELINE)
    except OSError as error:  # a full disk must not stop what else a task or a start has to do
        log.warning("%s cannot be written: %s", folder / LIFELINE, error.strerror)


def is_older(*, folder: Path) -> timedelta | None:
    """By how much the database lags behind what this folder has seen of it; None when it does not."""
    with contextlib.suppress(OSError, ValueError):
        seen = datetime.fromisoformat((folder / LIFELINE).read_text().strip())
        known = Lease.objects.filter(name=LIFELINE).values_list("until", flat=True).first()
        if known is None:
            return None  # a database that never ran here: there is nothing in it to hold
        behind = seen - known
        return behind if behind > TOLERANCE else None
    return None


def hold(*, principal: Principal, reason: str, now: datetime) -> Held:
    """Hold and end what a backup may have brought back to life. Safe to do twice."""
    with transaction.atomic():
        rows = MetaConnection.everything.exclude(state__in=_ENDED)
        held = rows.update(held=True, checked_at=None)
        ended = Session.objects.all().delete()[0]
        UserSession.objects.all().delete()
        links = PendingGrant.everything.filter(used_at=None).delete()[0]
        links += ConnectLink.everything.filter(used_at=None, withdrawn_at=None).update(withdrawn_at=now)
        open_ = Invitation.everything.filter(accepted_at=None, withdrawn_at=None)
        links += open_.update(withdrawn_at=now)
        for prefix in ("invitation:", "connect-link:"):
            outbox.withdraw(prefix=prefix)
        keys = ApiKey.objects.filter(revoked_at=None).select_related("user").order_by("pk")
        made = Held(held, ended, links, tuple(f"{key} of {key.user}" for key in keys))
        audit.record(
            principal=principal,
            client=None,
            verb="hold_after_restore",
            subject=reason,
            now=now,
            connections=held,
            sessions=ended,
            links=links,
        )
    return made


def ask(*, now: datetime) -> list[MetaConnection]:
    """Validate every held connection; all of them as they are then. A Meta that does not answer leaves the hold, and
    the sentinel goes on asking."""
    rows = MetaConnection.everything.filter(held=True).select_related("client").order_by("pk")
    return [connections.validate(connection=row, now=now) for row in list(rows)]
