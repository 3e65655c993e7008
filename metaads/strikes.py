"""What breaks its worker each time is put aside after the third time, until a person lets it be tried again.

    trial    counted before the work begins, so a kill counts; three that never came to an end -> parked, not begun
             done                                 -> forgotten
             the ground gave way (database, Meta) -> taken back: that is nobody's poison
             any other exception                  -> stays counted; the third parks at once
             killed                               -> stays counted; found at the next trial
    release  a person has looked: three new tries

A parked thing keeps its row where it lives, and so nothing of it is lost; scans leave it out, the watchdog tells of it.
Call it where the work is certainly ours (after its claim): whoever finds it taken has not done it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Final

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import F
from kombu.exceptions import OperationalError as BrokerAway

from metaads.graph.errors import GraphError
from metaads.models import Strike

log = logging.getLogger(__name__)

MOST: Final = 3
_GROUND: Final = (DatabaseError, GraphError, BrokerAway, OSError)


@contextmanager
def trial(name: str, *, now: datetime, but: tuple[type[Exception], ...] = ()) -> Iterator[bool]:
    """Whether the work `name` (`change:…`, `webhook:7`) may begin; do it inside. `but`: what is an answer."""
    if not _begun(name, now):
        yield False
        return
    try:
        yield True
    except (*_GROUND, *but):
        with suppress(DatabaseError):  # if it is away, the strike stays until the first good end
            Strike.objects.filter(name=name, count__gt=0).update(count=F("count") - 1)
        raise
    except Exception as error:
        rows = Strike.objects.filter(name=name)
        rows.update(error=type(error).__name__[:80])
        if rows.filter(count__gte=MOST, parked_at__isnull=True).update(parked_at=now):
            log.critical("%s failed %d times and is put aside", name, MOST)
        raise
    Strike.objects.filter(name=name).delete()


def _begun(name: str, now: datetime) -> bool:
    """Count one more; False when it is parked, or is now, since three were begun and none came to an end."""
    rows = Strike.objects.filter(name=name)
    if rows.filter(parked_at__isnull=True, count__lt=MOST).update(count=F("count") + 1, begun_at=now):
        return True
    if rows.filter(parked_at__isnull=True).update(parked_at=now):
        log.critical("%s was begun %d times, came to no end and is put aside", name, MOST)
    if rows.exists():
        return False
    with suppress(IntegrityError), transaction.atomic():  # two at once: one counts
        Strike.objects.create(name=name, count=1, begun_at=now)
    return True


def parked(prefix: str = "") -> list[Strike]:
    """What is put aside, the oldest first; all of it, or of one kind."""
    return list(
        Strike.objects.filter(parked_at__isnull=False, name__startswith=prefix).order_by("parked_at", "id")
    )


def names(prefix: str) -> list[str]:
    """What follows the prefix in the names of what is put aside, for scans that leave it out."""
    return [strike.name.removeprefix(prefix) for strike in parked(prefix)]


def release(strike: Strike) -> None:
    """Let it be tried again."""
    Strike.objects.filter(pk=strike.pk).delete()
