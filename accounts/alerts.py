"""Alerts: something needs a person. One open row per (client, key); it knows no metric and no channel."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction

from accounts.models import Alert, Client
from accounts.tenancy import Principal

SEVERITIES = ("info", "warning", "critical")


def open_(*, client: Client | None, key: str, title: str, advice: str, severity: str, now: datetime) -> Alert:
    """Open the alert, or renew the open one (its title, advice and severity follow the latest report).

    `client` None is the installation's own; owners see it.
    """
    if severity not in SEVERITIES:
        raise ValueError(f"severity is one of {', '.join(SEVERITIES)}")
    fields = {"title": title[:300], "advice": advice[:500], "severity": severity, "seen_at": now}
    rows = Alert.objects.of(client).filter(key=key, closed_at__isnull=True)
    if not rows.update(**fields):
        try:
            with transaction.atomic():
                made: Alert = Alert.objects.of(client).create(client=client, key=key, opened_at=now, **fields)
                return made
        except IntegrityError:  # another process opened it in between
            rows.update(**fields)
    alert: Alert = rows.get()
    return alert


def close(*, client: Client | None, key: str, now: datetime) -> bool:
    """The reason has gone; True if there was an open alert."""
    rows = Alert.objects.of(client).filter(key=key, closed_at__isnull=True)
    return bool(rows.update(state="recovered", closed_at=now, seen_at=now))


def open_alerts(principal: Principal, client: Client | None = None) -> list[Alert]:
    """Open alerts that `principal` may see, newest first; the installation's own for owners."""
    rows = Alert.objects.for_(principal).select_related("client").filter(closed_at__isnull=True)
    if client is not None:
        rows = rows.filter(client=client)
    return list(rows.order_by("-opened_at", "-pk"))


def open_keys(*, prefix: str, client: Client | None = None) -> frozenset[str]:
    """Keys of open alerts of one kind, for whoever reconciles them."""
    rows = Alert.objects.of(client).filter(key__startswith=prefix, closed_at__isnull=True)
    return frozenset(rows.values_list("key", flat=True))
