"""Named rights that end by themselves: one holder at a time, decided by a guarded UPDATE."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from accounts.models import Lease


def take(*, name: str, holder: str, seconds: float, now: datetime) -> int | None:
    """Take or renew the lease; its fence number, or None when somebody else holds it.

    A renewal keeps the fence, a new holder raises it, so an old holder's late work can be told.
    """
    until = now + timedelta(seconds=seconds)
    rows = Lease.objects.filter(name=name)
    if rows.filter(holder=holder, until__gt=now).update(until=until) or rows.filter(
        ~Q(holder=holder) & Q(until__lte=now) | Q(holder=holder, until__lte=now)
    ).update(holder=holder, until=until, fence=F("fence") + 1):
        return int(Lease.objects.values_list("fence", flat=True).get(name=name))
    try:
        with transaction.atomic():
            return Lease.objects.create(name=name, holder=holder, until=until).fence
    except IntegrityError:
        return None


def turn(*, name: str, quiet: float, now: datetime) -> float | None:
    """When to do what many messages ask for: 0.0 now, `quiet` seconds from now, or None: somebody will, after this.

    However many ask, it is done at most twice in `quiet` seconds, and always once more after the last of them.
    """
    for which, wait in (("now", 0.0), ("then", quiet)):
        if take(name=f"{which}:{name}", holder=uuid.uuid4().hex, seconds=quiet, now=now) is not None:
            return wait
    return None


def running(*, prefix: str, now: datetime) -> set[str]:
    """The names that somebody holds now."""
    rows = Lease.objects.filter(name__startswith=prefix, until__gt=now)
    return set(rows.values_list("name", flat=True))


def release(*, name: str, holder: str, now: datetime) -> None:
    """Give the lease back early; nothing happens when it is not held any more."""
    Lease.objects.filter(name=name, holder=holder).update(until=now)
