"""Webhooks: store raw, answer, then announce.

    POST -> verify (no I/O) -> store raw, same bytes once -> 200
    task -> parse -> events, each change once -> announce after commit (`metaads.signals.webhook_received`)

Meta delivers at least once, in any order, and repeats for 36 hours; what it says is a reason to read, never
a fact (docs/meta.md, section 9).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import F

import metaads.strikes as strikes
from metaads.counters import webhooks
from metaads.graph.webhooks import BadNotice, Event, parse, verify
from metaads.models import WebhookDelivery, WebhookEvent
from metaads.signals import webhook_received

log = logging.getLogger(__name__)

#: Meta repeats for 36 hours (another page says 7 days); older deliveries are not needed to know a repeat.
KEEP = timedelta(days=8)


def secrets() -> tuple[str, ...]:
    """App secrets whose signatures count: the present one and, during a rotation, the one before."""
    return tuple(filter(None, (settings.META["app_secret"], settings.META["app_secret_previous"])))


def store(*, body: bytes, signature: str, now: datetime) -> bool:
    """Keep one delivery. False when the signature (`X-Hub-Signature-256`) is not ours; nothing is kept then."""
    if not verify(body, signature, secrets()):
        webhooks.labels(outcome="refused").inc()
        return False
    digest = hashlib.sha256(body).hexdigest()
    _, new = WebhookDelivery.objects.get_or_create(digest=digest, defaults={"body": body, "received_at": now})
    if not new:
        WebhookDelivery.objects.filter(digest=digest).update(repeats=F("repeats") + 1)
    webhooks.labels(outcome="stored" if new else "repeated").inc()
    return True


def process(*, now: datetime, limit: int = 200) -> int:
    """Announce waiting deliveries, oldest first; how many were taken. Safe to run twice and side by side."""
    waiting = WebhookDelivery.objects.filter(processed_at__isnull=True).order_by("received_at", "id")
    waiting = waiting.exclude(pk__in=[int(pk) for pk in strikes.names("webhook:")])
    ids = list(waiting.values_list("pk", flat=True)[:limit])
    return sum(_taken(delivery_id, now) for delivery_id in ids)


def _taken(delivery_id: int, now: datetime) -> bool:
    """One that breaks must not keep the others waiting; one that breaks each time is put aside."""
    try:
        with strikes.trial(f"webhook:{delivery_id}", now=now) as may:
            return may and _announce(delivery_id=delivery_id, now=now)
    except DatabaseError:
        raise
    except Exception:
        log.exception("webhook delivery %d could not be announced", delivery_id)
        return False


def events(delivery_id: int) -> list[Event]:
    """What a delivery says, for a receiver that wants more than the ids."""
    return parse(bytes(WebhookDelivery.objects.get(pk=delivery_id).body))


def ad_accounts(*, delivery_id: int, kind: str, fields: Sequence[str], entries: Sequence[str]) -> set[str]:
    """Meta's numbers of the ad accounts that an announcement is about; none for other kinds.

    A notice about our app names the account in its value (`object=application`, field `ad_account`).
    """
    if kind == "ad_account":
        return set(entries)
    if kind != "application" or "ad_account" not in fields:
        return set()
    values = [event.value for event in events(delivery_id) if event.field == "ad_account"]
    found = {str(value.get("id", "")) for value in values if isinstance(value, dict)}
    return {text.removeprefix("act_") for text in found if text}


def forget(*, now: datetime) -> int:
    """Delete processed deliveries that Meta will not repeat any more; how many."""
    old = WebhookDelivery.objects.filter(processed_at__lt=now - KEEP)
    return old.delete()[1].get("metaads.WebhookDelivery", 0)


def _announce(*, delivery_id: int, now: datetime) -> bool:
    with transaction.atomic():
        # The guarded update is the claim: of two tasks one gets the row.
        if not WebhookDelivery.objects.filter(pk=delivery_id, processed_at__isnull=True).update(
            processed_at=now
        ):
            return False
        try:
            found = events(delivery_id)
            _speakable(found)
        except BadNotice:
            log.warning("webhook delivery %s is not Meta's envelope", delivery_id)
            WebhookDelivery.objects.filter(pk=delivery_id).update(outcome="unreadable")
            return True
        fresh = _new(found, delivery_id=delivery_id)
        WebhookDelivery.objects.filter(pk=delivery_id).update(outcome="announced" if fresh else "repeated")
        for kind in sorted({event.object for event in fresh}):
            _after_commit(
                delivery_id=delivery_id, kind=kind, found=[one for one in fresh if one.object == kind]
            )
    return True


def _speakable(found: list[Event]) -> None:
    """Raise `BadNotice` for a name with a NUL: PostgreSQL takes none, and one notice must not hold up all others."""
    if any("\x00" in text for one in found for text in (one.key, one.object, one.entry_id, one.field)):
        raise BadNotice("A name in the notice holds a NUL.")


def _new(found: list[Event], *, delivery_id: int) -> list[Event]:
    """Events that no earlier delivery held; they are filed as seen."""
    by_key = {event.key: event for event in found}
    known: set[str] = set()
    keys = list(by_key)
    for start in range(0, len(keys), 500):  # SQLite takes a limited number of parameters
        some = keys[start : start + 500]
        known.update(WebhookEvent.objects.filter(key__in=some).values_list("key", flat=True))
    fresh = [event for key, event in by_key.items() if key not in known]
    WebhookEvent.objects.bulk_create(
        [
            WebhookEvent(
                key=one.key,
                delivery_id=delivery_id,
                object=one.object[:40],
                entry_id=one.entry_id[:40],
                field=one.field[:100],
            )
            for one in fresh
        ],
        ignore_conflicts=True,
        batch_size=200,
    )
    return fresh


def _after_commit(*, delivery_id: int, kind: str, found: list[Event]) -> None:
    fields = tuple(sorted({event.field for event in found}))
    entries = tuple(sorted({event.entry_id for event in found}))
    transaction.on_commit(
        lambda: webhook_received.send_robust(
            sender=WebhookDelivery, delivery_id=delivery_id, object=kind, fields=fields, entries=entries
        )
    )
