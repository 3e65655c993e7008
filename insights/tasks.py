"""Edges of the queue: ids in, load, call, tell open pages. Each is harmless when it runs twice."""

from __future__ import annotations

import contextlib
import uuid
from datetime import datetime, timedelta
from typing import Final

from celery import shared_task
from django.conf import settings
from django.core.cache import cache
from django.db.models import Count, Max

import accounts.claims as claims
import accounts.leases as leases
import campaigns.sync as structure
import insights.completeness as completeness
import insights.erasure as erasure
import insights.fetch as fetch
import insights.poll as poll
from accounts.errors import Refused
from accounts.models import AdAccount, Alert, MetaConnection
from insights.live import publish
from insights.models import Completeness, FetchRun
from insights.progress import Progress
from metaads.clock import now

#: Today and the whole look-back, so that the first page can show 28 full days.
FIRST_DAYS: Final = settings.LOOKBACK_DAYS + 1
_SILENT: Final = timedelta(seconds=75)
_RETRY_FAILED: Final = timedelta(minutes=10)


@shared_task
def poll_tick() -> None:
    """Look at every account that is due."""
    poll.tick(now=now())


@shared_task
def first_sync_account(ad_account_id: int) -> None:
    """Structure, then rows, of an account that was switched on; goes on where it was cut short."""
    account = AdAccount.everything.filter(pk=ad_account_id).select_related("client").first()
    if account is None or not account.enabled:
        return

    def tell(_: Progress) -> None:
        publish(client_id=account.client_id, topic="progress", id=account.act_id)

    # Without a readable connection the fetch below says so on its run, which a person sees.
    with contextlib.suppress(Refused):
        structure.run(ad_account=account, now=now())
    account.refresh_from_db()
    fetch.first_sync(ad_account=account, days=FIRST_DAYS, now=now(), progress=tell)


@shared_task
def scan() -> None:
    """Every 5 s: syncs that wait, and what open pages should hear about alerts and connections."""
    at = now()
    for account_id in _waiting(at):
        # A holder of its own each time: while the message may still be on its way, no second one is sent.
        if leases.take(name=f"first:{account_id}", holder=uuid.uuid4().hex, seconds=60, now=at) is not None:
            first_sync_account.delay(account_id)
    _push("alert", Alert)
    _push("connection", MetaConnection)


@shared_task
def learn_completeness() -> None:
    """Once a day for each account that is read: how complete its young numbers are."""
    at = now()
    fresh = Completeness.everything.filter(learned_at__gt=at - completeness.LEARN_EVERY).values(
        "ad_account_id"
    )
    for account in AdAccount.everything.filter(enabled_at__isnull=False, archived_at__isnull=True).exclude(
        pk__in=fresh
    ):
        completeness.learn(ad_account=account, now=at)


def _waiting(at: datetime) -> list[int]:
    """Accounts whose first sync is due: never begun, waiting no longer, fallen silent, or failed a while ago."""
    accounts = AdAccount.everything.filter(
        claims.readable(), enabled_at__isnull=False, archived_at__isnull=True
    )
    last: dict[int, FetchRun] = {}
    for run in FetchRun.everything.filter(kind="first", ad_account_id__in=accounts.values("pk")).order_by(
        "id"
    ):
        last[run.ad_account_id] = run
    return [pk for pk in accounts.values_list("pk", flat=True) if _due(last.get(pk), at)]


def _due(run: FetchRun | None, at: datetime) -> bool:
    if run is None:
        return True
    if run.state == "waiting":
        return run.not_before is None or run.not_before <= at
    if run.state == "running":
        return run.seen_at < at - _SILENT
    return run.state == "failed" and run.seen_at < at - _RETRY_FAILED


def _push(topic: str, model: type[Alert] | type[MetaConnection]) -> None:
    """Tell pages of a client when its alerts or connection states differ from the last scan's."""
    for client_id, mark in _marks(model).items():
        key = f"live:{topic}:{client_id}"
        before = cache.get(key)
        if before != mark:
            cache.set(key, mark, timeout=None)
            if before is not None:
                publish(client_id=client_id, topic=topic, id=str(client_id))


def _marks(model: type[Alert] | type[MetaConnection]) -> dict[int | None, str]:
    if model is Alert:
        rows = Alert.everything.values("client_id").annotate(
            n=Count("id"), a=Max("opened_at"), b=Max("closed_at")
        )
        return {row["client_id"]: f"{row['n']} {row['a']} {row['b']}" for row in rows.order_by()}
    found: dict[int | None, str] = {}
    for client_id, pk, state in MetaConnection.everything.order_by("pk").values_list(
        "client_id", "pk", "state"
    ):
        found[client_id] = f"{found.get(client_id, '')} {pk}:{state}"
    return found


@shared_task
def erase() -> None:
    """Do this floor's part of what Meta users asked to have deleted."""
    erasure.sweep(now=now())
