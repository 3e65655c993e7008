"""What Meta warns of (a version about to end, ...), kept until somebody closes it; read by the sentinel above.

That the version in use is retired is such a warning as well, and while it stands nothing is written: a refused read
renews it, so it goes by itself an hour after the last one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import F

from metaads.models import Notice

VERSION = "version"
RETIRED = "retired"
STANDS: Final = timedelta(hours=1)


@dataclass(frozen=True)
class OpenNotice:
    """One warning that still stands. `times` counts how often it was heard between `opened_at` and `seen_at`."""

    id: int
    kind: str
    text: str
    opened_at: datetime
    seen_at: datetime
    times: int


def report(*, kind: str, text: str, now: datetime) -> None:
    """File a warning; the same one again only moves `seen_at`."""
    text = text[:500]
    if _again(kind=kind, text=text, now=now):
        return
    try:
        with transaction.atomic():
            Notice.objects.create(kind=kind, text=text, opened_at=now, seen_at=now)
    except IntegrityError:  # another process heard it in the same moment
        _again(kind=kind, text=text, now=now)


def retired(*, version: str, now: datetime) -> bool:
    """Whether Meta has refused this version of its API as retired within the last hour."""
    rows = Notice.objects.filter(kind=RETIRED, text=retirement(version), closed_at__isnull=True)
    return rows.filter(seen_at__gt=now - STANDS).exists()


def retirement(version: str) -> str:
    """The warning's text."""
    return f"Version {version} of the Graph API is retired, and refused."


def forget_retired(*, now: datetime) -> None:
    """Close what no refusal has confirmed for an hour."""
    rows = Notice.objects.filter(kind=RETIRED, closed_at__isnull=True, seen_at__lte=now - STANDS)
    rows.update(closed_at=now)


def close(*, kind: str, now: datetime) -> int:
    """Close every open warning of a kind (its cause is gone); how many there were."""
    return Notice.objects.filter(kind=kind, closed_at__isnull=True).update(closed_at=now)


def open_notices() -> list[OpenNotice]:
    """Warnings that still stand, oldest first."""
    rows = Notice.objects.filter(closed_at__isnull=True).order_by("opened_at", "id")
    return [
        OpenNotice(
            id=row.pk,
            kind=row.kind,
            text=row.text,
            opened_at=row.opened_at,
            seen_at=row.seen_at,
            times=row.times,
        )
        for row in rows
    ]


def _again(*, kind: str, text: str, now: datetime) -> bool:
    open_ = Notice.objects.filter(kind=kind, text=text, closed_at__isnull=True)
    return bool(open_.update(seen_at=now, times=F("times") + 1))
