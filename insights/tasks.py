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
import insights.detectors as detectors
import insights.erasure as erasure
import insights.fetch as fetch
import insights.poll as poll
import insights.report_runs as report_runs
import insights.samples as samples
from accounts.errors import Refused
from accounts.models import AdAccount, Alert, MetaConnection
from insights.live import publish
from insights.models import Completeness, FetchRun
from insights.progress import Progress
from metaads.clock import now

#: Fetches that go on beside live work.
BESIDE: Final = ("more", "parts")
_SILENT: Final = timedelta(seconds=75)
_ODD_EVERY: Final = 300
_RETRY_FAILED: Final = timedelta(minutes=10)


@shared_task
def poll_tick() -> None:
    """Look at every account that is due; and now and then, at what was odd about the numbers."""
    at = now()
    poll.tick(now=at)
    if _once("odd-numbers", _ODD_EVERY, at):
        detectors.odd_numbers(now=at)


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
    fetch.first_sync(ad_account=account, days=settings.FIRST_SYNC_DAYS, now=now(), progress=tell)


@shared_task
def go_on_fetching(fetch_run_id: int) -> None:
    """Take up a fetch of history or of a breakdown; what was cut short goes on where it stopped."""
    run = FetchRun.everything.filter(
        pk=fetch_run_id, kind__in=BESIDE, state__in=["running", "waiting"]
    ).first()
    account = _enabled(run.ad_account_id) if run is not None else None
    if run is None or account is None:
        return
    topic = "progress" if run.kind == "more" else "insights"

    def tell(_: Progress) -> None:
        publish(client_id=account.client_id, topic=topic, id=account.act_id)

    fetch.go_on(ad_account=account, run=run, now=now(), progress=tell)


@shared_task
def advance_reports(ad_account_id: int) -> None:
    """Start, look at and read the reports that Meta prepares of one account."""
    account = _enabled(ad_account_id)
    if account is not None:
        report_runs.advance(ad_account=account, now=now())


def _enabled(ad_account_id: int) -> AdAccount | None:
    rows = AdAccount.everything.filter(pk=ad_account_id, enabled_at__isnull=False, archived_at__isnull=True)
    return rows.select_related("client").first()


@shared_task
def scan() -> None:
    """Every 5 s: fetches and reports that wait, and what open pages should hear about alerts and connections."""
    at = now()
    for account_id in _waiting(at):
        if _once(f"first:{account_id}", 60, at):
            first_sync_account.delay(account_id)
    for run_id in _left_over(at):
        if _once(f"beside:{run_id}", 60, at):
            go_on_fetching.delay(run_id)
    for account_id in report_runs.due(now=at):
        if _once(f"look:{account_id}", 10, at):
            advance_reports.delay(account_id)
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


def _once(name: str, seconds: int, at: datetime) -> bool:
    """A holder of its own each time: while the message may still be on its way, no second one is sent."""
    return leases.take(name=name, holder=uuid.uuid4().hex, seconds=seconds, now=at) is not None


def _left_over(at: datetime) -> list[int]:
    """Fetches of history and of breakdowns whose time has come."""
    rows = FetchRun.everything.filter(kind__in=BESIDE, state__in=["running", "waiting"])
    return [run.pk for run in rows.order_by("id") if _due(run, at)]


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


@shared_task
def thin_samples() -> None:
    """Keep fewer of the looks that are long past."""
    samples.thin(now=now())
