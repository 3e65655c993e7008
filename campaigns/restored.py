"""A backup came back: stop first, then hold, then ask; a person lets changes pass again.

    hold    the kill switch, everywhere (approved changes that were not sent expire: a stop is final)
            -> accounts.restored.hold
    guard   at the start of whatever sends: the database is older than this machine has seen it -> hold

What stood as *sending* is read back, not sent again; what people and other apps did since is found by the next
structure read and written into the ledger.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import accounts.restored as restored
from accounts.restored import Held
from accounts.tenancy import Principal
from campaigns.changes.switch import Scope, pull

log = logging.getLogger(__name__)

#: Whoever puts a backup back has the database as well.
OPERATOR: Final = Principal(kind="system", user_id=None, name="operator", roles=((None, "owner"),))


def hold(*, reason: str, now: datetime) -> Held:
    """Nothing is sent any more, and no token leaves before Meta has answered for it. Safe to do twice."""
    pull(scope=Scope(), principal=OPERATOR, reason=reason, now=now)
    return restored.hold(principal=OPERATOR, reason=reason, now=now)


def guard(*, folder: Path, now: datetime) -> timedelta | None:
    """Hold when the database is older than the installation; by how much, or None. The next start finds it held
    already and does nothing, since the moment is written anew."""
    behind = restored.is_older(folder=folder)
    if behind is not None:
        hold(
            reason=f"The database was {_words(behind)} behind at the start: restored from a backup.", now=now
        )
        log.critical(
            "the database is %s older than this installation: restored from a backup? Everything is stopped and every "
            "connection held; look at docs/operations.md, Back up and restore",
            _words(behind),
        )
    restored.beat(folder=folder, now=now)
    return behind


def _words(span: timedelta) -> str:
    hours, minutes = divmod(int(span.total_seconds()) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
