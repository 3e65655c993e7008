"""Alerts: something needs a person. One open row per (client, key); it knows no metric.

    open_    new, or at a new stage, or worse  -> the row, and a mail to each whom it concerns
             as before                         -> the row renewed, nobody told again
             back within the hour, not critical -> the same row again, nobody told again
    close    the row; who was told of a critical one is told that it is solved

Row and mails are one transaction. Mails that still wait when the alert moves on are withdrawn: only the latest
arrives. It concerns the client's managers and buyers and every owner; the client's own people are never told.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Q

import accounts.outbox as outbox
from accounts.models import Alert, Client, Role, User
from accounts.tenancy import Principal

SEVERITIES: Final = ("info", "warning", "critical")
#: Severities that are worth a mail.
_MAILED: Final = frozenset({"warning", "critical"})
#: What is back so soon is the same trouble. Not so for critical ones: people were told that it is solved.
_FLAPS: Final = timedelta(hours=1)
#: Where a kind of alert (its key up to the colon) is put right; the others are only looked at.
_PAGES: Final = {"connection": "/connections/", "deletion": "/connections/", "silence": "/connections/"}


def open_(
    *,
    client: Client | None,
    key: str,
    title: str,
    advice: str,
    severity: str,
    now: datetime,
    stage: str = "",
) -> Alert:
    """Open the alert, or renew the open one (its title, advice, severity and stage follow the latest report).

    `client` None is the installation's own; owners see it. People are told once per alert and stage; an alert
    without stages tells again when its severity rises.
    """
    if severity not in SEVERITIES:
        raise ValueError(f"severity is one of {', '.join(SEVERITIES)}")
    fields = {
        "title": title[:300],
        "advice": advice[:500],
        "severity": severity,
        "stage": stage,
        "seen_at": now,
    }
    rows = Alert.objects.of(client).filter(key=key, closed_at__isnull=True)
    milder = SEVERITIES[: SEVERITIES.index(severity)]
    with transaction.atomic():
        news = bool(rows.filter(~Q(stage=stage) | Q(severity__in=milder)).update(**fields))
        if not news and not rows.update(**fields):
            news = _begin(client, key, fields, now)
        alert: Alert = rows.get()
        if news and severity in _MAILED:
            _mail(alert, now)
    return alert


def close(*, client: Client | None, key: str, now: datetime) -> bool:
    """The reason has gone; True if there was an open alert."""
    rows = Alert.objects.of(client).filter(key=key, closed_at__isnull=True)
    if (
        not rows.exists()
    ):  # nearly always: whoever reconciles asks for every object, and needs no lock for that
        return False
    with transaction.atomic():
        alert = rows.first()
        if alert is None or not rows.update(state="recovered", closed_at=now, seen_at=now):
            return False
        told = _told(alert)
        outbox.withdraw(prefix=_prefix(alert))
        if alert.severity == "critical":
            alert.closed_at = now
            for person in whom(client):
                if person.pk in told:
                    _write(alert, person, "solved", now)
    return True


def whom(client: Client | None) -> list[User]:
    """The people whom an alert concerns: owners, and the client's managers and buyers; switched-off ones never."""
    theirs = Q(memberships__role=Role.OWNER, memberships__client__isnull=True)
    if client is not None:
        if client.archived_at is not None:
            return []
        theirs |= Q(memberships__role__in=(Role.MANAGER, Role.BUYER), memberships__client=client)
    return list(User.objects.filter(theirs, is_active=True).distinct().order_by("pk"))


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


def closed_keys(*, prefix: str, client: Client | None, since: datetime) -> frozenset[str]:
    """Keys of alerts of one kind that closed after a moment."""
    rows = Alert.objects.of(client).filter(key__startswith=prefix, closed_at__gt=since)
    return frozenset(rows.values_list("key", flat=True))


def standing() -> dict[tuple[int | None, str], str]:
    """(client id, key) of every open alert, with its stage: for whoever reconciles many objects, most of which have
    none and are not asked about one by one."""
    rows = Alert.everything.filter(closed_at__isnull=True).values_list("client_id", "key", "stage")
    return {(client_id, key): stage for client_id, key, stage in rows}


def _begin(client: Client | None, key: str, fields: dict[str, Any], now: datetime) -> bool:
    """Make the row; False when it was there: a flap's, or another process opened it in between."""
    same = {"key": key, "severity": fields["severity"], "stage": fields["stage"]}
    gone = Alert.objects.of(client).filter(**same, closed_at__gt=now - _FLAPS).exclude(severity="critical")
    try:
        with transaction.atomic():
            last = gone.order_by("-closed_at", "-pk").first()
            if last is not None and gone.filter(pk=last.pk).update(closed_at=None, state="firing", **fields):
                return False
            Alert.objects.of(client).create(client=client, key=key, opened_at=now, **fields)
            return True
    except IntegrityError:
        Alert.objects.of(client).filter(key=key, closed_at__isnull=True).update(**fields)
        return False


# --- mails


def _prefix(alert: Alert) -> str:
    return f"alert:{alert.uuid}:"


def _told(alert: Alert) -> frozenset[int]:
    """Ids of the people to whom a mail about the alert has left, or may have."""
    return frozenset(int(key.rpartition(":")[2]) for key in outbox.tried(prefix=_prefix(alert)))


def _mail(alert: Alert, now: datetime) -> None:
    outbox.withdraw(prefix=_prefix(alert))
    for person in whom(alert.client):
        _write(alert, person, "alert", now)


def _write(alert: Alert, person: User, template: str, now: datetime) -> None:
    client = alert.client
    page = _PAGES.get(alert.key.partition(":")[0], "/alerts/")
    subject, body = outbox.render(
        template,
        alert=alert,
        person=person,
        where=client.name if client is not None else "metaads",
        client=client,
        path=page if client is None else f"{page}?client={client.slug}",
    )
    said = "solved" if template == "solved" else alert.stage or alert.severity
    outbox.send(
        key=f"{_prefix(alert)}{said}:{person.pk}",
        address=person.email,
        subject=subject,
        body=body,
        now=now,
        client=client,
    )
