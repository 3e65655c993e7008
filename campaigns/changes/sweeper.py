"""Does the sweeper run? The sign that it leaves, and what its silence means.

    begin          a worker starts: ten minutes for the first sweep
    swept          everything that was due to be settled has been looked at
    silent_since   None, or since when nothing has been, once that is ten minutes: raises and starts rest

Messages carry a change on from step to step without it, but what they leave behind (an answer that never came, a
worker that died) is found by the sweep alone. Who sends raises without it piles up requests whose fate nobody learns.
Where no worker was ever started, nothing is sent by itself, and nothing is said.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import accounts.leases as leases
from accounts.models import Lease

SIGN: Final = "sweeper"
REST: Final = timedelta(minutes=10)


def begin(*, now: datetime) -> None:
    """Somebody who is to sweep starts. A sign that stands already stays: a start is no sweep."""
    Lease.objects.get_or_create(name=SIGN, defaults={"holder": SIGN, "until": now + REST})


def swept(*, now: datetime) -> None:
    """A sweep has come to its end."""
    leases.take(name=SIGN, holder=SIGN, seconds=REST.total_seconds(), now=now)


def last() -> datetime | None:
    """When it ran last, or was to begin; None where it never was."""
    until: datetime | None = Lease.objects.filter(name=SIGN).values_list("until", flat=True).first()
    return None if until is None else until - REST


def silent_since(*, now: datetime) -> datetime | None:
    """Since when it has not run, if raises rest for that."""
    ran = last()
    return ran if ran is not None and now - ran >= REST else None
