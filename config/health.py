"""Is this process alive, can it serve, what has it counted: /livez, /readyz, /metrics."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg import OperationalError as PoolError

import accounts.outbox as outbox
import accounts.rotation as rotation
import metaads.counters as counters
import metaads.disks as disks
from accounts.models import Lease
from config.celery import QUEUES
from insights.watchdog import LEASE as WATCHDOG
from metaads.clock import now

#: Seconds that `/readyz` waits for a connection to the database.
WAITS = 3.0
#: Whether a server takes writes; a standby answers as well as any other. SQLite tells when it is written to.
_WRITABLE = {"postgresql": "SELECT current_setting('transaction_read_only')"}

LOOPBACK = frozenset({"127.0.0.1", "::1"})


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `text` is a sentence for an operator and holds no secret."""

    name: str
    good: bool
    text: str
    #: Whether a load balancer must take this process out while it is not good.
    needed: bool = True


def findings(*, at: datetime) -> list[Finding]:
    """Look at database, migrations, keys and queues; never raises."""
    database = _database()
    if not database.good:
        return [database, *_disks()]
    migrations = _migrations()
    if not migrations.good:
        return [database, migrations, _keys(), *_disks()]
    return [database, migrations, _keys(), *_disks(), *_queues(at=at), _watchdog(at=at)]


@require_safe
@never_cache
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers; nothing else is asked, so that a sick database does not get web servers restarted."""
    return HttpResponse("alive\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when this process can serve, else 503; `checks` says what was looked at."""
    found = findings(at=now())
    ready = all(one.good for one in found if one.needed)
    body = {
        "status": "ready" if ready else "not ready",
        "degraded": not all(one.good for one in found),
        "checks": {one.name: {"good": one.good, "text": one.text} for one in found},
    }
    return JsonResponse(body, status=200 if ready else 503)


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """For Prometheus: this process's counters and the mails that wait. For staff, and for a scraper on this machine."""
    forwarded = "HTTP_X_FORWARDED_FOR" in request.META  # came through a proxy, so not from this machine
    local = request.META.get("REMOTE_ADDR") in LOOPBACK and not forwarded
    if not (local or (request.user.is_authenticated and request.user.is_staff)):
        return HttpResponse(
            "Only staff and this machine may read the metrics.\n", status=403, content_type="text/plain"
        )
    with contextlib.suppress(DatabaseError):  # the counters of this process are worth having without it
        for state, count in outbox.counts().items():
            counters.outbox.labels(state).set(count)
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def _database() -> Finding:
    try:
        _reach()
        with connection.cursor() as cursor:
            cursor.execute(_WRITABLE.get(connection.vendor, "SELECT 1"))
            [answer] = cursor.fetchone()
    except (DatabaseError, PoolError):
        return Finding(
            "database", False, "The database does not answer; look at DATABASE_URL and the server."
        )
    if answer == "on":
        return Finding(
            "database",
            False,
            "The database takes no writes: it is a standby, or was set so. Promote it, or change DATABASE_URL.",
        )
    return Finding("database", True, "answers")


def _reach() -> None:
    """Raise when no connection is to be had soon: whoever asks after a process does not wait as long as a page does."""
    pool = getattr(connection, "pool", None)
    if pool is not None and connection.connection is None:
        pool.open()  # nothing where it is open already
        pool.putconn(pool.getconn(timeout=WAITS))


def _migrations() -> Finding:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        return Finding("migrations", False, f"{len(missing)} not applied; run: manage.py migrate")
    return Finding("migrations", True, "all applied")


def _keys() -> Finding:
    """Whether FERNET_KEYS can be used, and opens every stored token: with another key nothing may be written."""
    try:
        missing = rotation.missing()
    except ValueError:
        return Finding("keys", False, "FERNET_KEYS cannot be used; each must be a Fernet key.")
    except DatabaseError:  # before the first migration there is nothing to open
        missing = ""
    return Finding("keys", not missing, missing or "usable")


def _disks() -> list[Finding]:
    """Room where this process writes. Nobody is sent elsewhere for it while the database still answers."""
    return [
        Finding(
            f"disk of {disk.name}",
            not disk.low,
            f"{disk.words}; make room, or nothing can be written" if disk.low else "has room",
            needed=False,
        )
        for disk in disks.look()
    ]


def _queues(*, at: datetime) -> list[Finding]:
    """The canaries' signs of life. In the embedded form the worker is this process, so its silence is ours;
    elsewhere a web server still serves pages when a worker is down."""
    if not Lease.objects.filter(name__startswith="canary:").exists():
        return [Finding("queues", False, "no task has run yet", needed=False)]
    alive = set(Lease.objects.filter(name__startswith="canary:", until__gt=at).values_list("name", flat=True))
    return [
        Finding(
            f"queue {queue}",
            f"canary:{queue}" in alive,
            "works"
            if f"canary:{queue}" in alive
            else "no task ran for three minutes; is its worker running, and beat?",
            needed=settings.EMBEDDED,
        )
        for queue in QUEUES
    ]


def _watchdog(*, at: datetime) -> Finding:
    """Whoever tells people that something is silent must not be silent itself."""
    until = Lease.objects.filter(name=WATCHDOG).values_list("until", flat=True).first()
    if until is None:
        return Finding("watchdog", False, "has not run yet; nobody would be told of trouble", needed=False)
    good = until > at
    text = (
        "works"
        if good
        else "does not run: no mail is sent, and nobody is told of trouble; start it (manage.py watchdog)"
    )
    return Finding("watchdog", good, text, needed=settings.EMBEDDED)
