"""/livez, /readyz, /metrics: what they look at, and who may look."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

import accounts.outbox as outbox
from accounts.models import Lease, OutboxMessage
from config.celery import QUEUES, canary
from config.health import findings
from insights.watchdog import Watchdog

pytestmark = pytest.mark.django_db


def test_a_living_process_answers_without_looking_at_the_database(
    client: Client, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        answer = client.get("/livez")
    assert (answer.status_code, answer.content) == (200, b"alive\n")
    assert "no-store" in answer.headers["Cache-Control"]


def test_before_the_first_task_ran_the_process_serves_and_says_so(client: Client, clock: Any) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["degraded"]) == ("ready", True)
    assert body["checks"]["queues"] == {"good": False, "text": "no task has run yet"}


def test_with_every_queue_alive_nothing_is_degraded(client: Client, clock: Any) -> None:
    for queue in QUEUES:
        canary(queue)
    Watchdog(holder="here", now=clock.now(), duties=()).round(now=clock.now())
    body = client.get("/readyz").json()
    assert (body["status"], body["degraded"]) == ("ready", False)
    assert {name for name in body["checks"] if not name.startswith("disk of ")} == {
        "database",
        "migrations",
        "keys",
        *(f"queue {queue}" for queue in QUEUES),
        "watchdog",
    }


@pytest.mark.fault("F96")
@pytest.mark.parametrize(("embedded", "status"), [(True, 503), (False, 200)])
def test_a_dead_queue_takes_out_the_embedded_process_and_only_degrades_a_web_server(
    client: Client, clock: Any, settings: Any, embedded: bool, status: int
) -> None:
    settings.EMBEDDED = embedded
    for queue in QUEUES:
        canary(queue)
    Lease.objects.filter(name="canary:write").update(until=clock.now() - timedelta(seconds=1))
    answer = client.get("/readyz")
    assert answer.status_code == status
    assert answer.json()["degraded"] is True
    assert "worker" in answer.json()["checks"]["queue write"]["text"]


@pytest.mark.parametrize(("embedded", "status"), [(True, 503), (False, 200)])
def test_a_missing_watchdog_is_named_with_the_command(
    client: Client, clock: Any, settings: Any, embedded: bool, status: int
) -> None:
    settings.EMBEDDED = embedded
    for queue in QUEUES:
        canary(queue)
    assert client.get("/readyz").json()["checks"]["watchdog"]["text"].startswith("has not run yet")
    Watchdog(holder="here", now=clock.now(), duties=()).round(now=clock.now())
    Lease.objects.filter(name="watchdog").update(until=clock.now())
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["degraded"]) == (status, True)
    assert "manage.py watchdog" in answer.json()["checks"]["watchdog"]["text"]


@pytest.mark.fault("F97")
def test_a_database_that_is_away_is_one_finding_with_advice(
    monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    class Away:
        def cursor(self) -> Any:
            raise OperationalError("connection refused for user secret-user")

    monkeypatch.setattr("config.health.connection", Away())
    finding, *others = findings(at=clock.now())
    assert all(one.name.startswith("disk of ") for one in others)
    assert not finding.good and finding.needed
    assert "DATABASE_URL" in finding.text and "secret-user" not in finding.text


@pytest.mark.fault("F97")
@pytest.mark.postgres
def test_a_database_that_takes_no_writes_is_not_ready_and_says_so(clock: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
    database = findings(at=clock.now())[0]
    assert database.name == "database" and database.needed
    assert not database.good and "standby" in database.text


def test_a_missing_migration_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch, clock: Any) -> None:
    from django.db.migrations.recorder import MigrationRecorder

    applied = MigrationRecorder.applied_migrations
    monkeypatch.setattr(
        MigrationRecorder,
        "applied_migrations",
        lambda self: {key: row for key, row in applied(self).items() if key[0] != "metaads"},
    )
    found = {one.name: one for one in findings(at=clock.now())}
    assert not found["migrations"].good and "manage.py migrate" in found["migrations"].text


def test_a_key_that_cannot_be_used_is_found(settings: Any, clock: Any) -> None:
    settings.FERNET_KEYS = ["not a fernet key"]
    found = {one.name: one for one in findings(at=clock.now())}
    assert not found["keys"].good and "not a fernet key" not in found["keys"].text


@pytest.mark.fault("F99")
def test_a_disk_that_fills_up_is_named_while_everything_still_works(
    client: Client, clock: Any, small_disk: Any
) -> None:
    small_disk(free=300)
    answer = client.get("/readyz")
    said = [one["text"] for name, one in answer.json()["checks"].items() if name.startswith("disk of ")]
    assert (answer.status_code, answer.json()["degraded"]) == (200, True)
    assert any("300 MiB of 100000 MiB left; make room" in text for text in said)


@pytest.mark.fault("F99")
def test_it_is_named_as_well_when_the_database_has_fallen_silent_over_it(
    monkeypatch: pytest.MonkeyPatch, clock: Any, small_disk: Any
) -> None:
    class Full:
        def cursor(self) -> Any:
            raise OperationalError("database or disk is full")

    monkeypatch.setattr("config.health.connection", Full())
    small_disk(free=0)
    found = {one.name: one for one in findings(at=clock.now())}
    assert not found["database"].good and any("0 MiB of" in one.text for one in found.values())


def test_metrics_are_for_a_scraper_on_this_machine(client: Client) -> None:
    answer = client.get("/metrics")
    assert answer.status_code == 200 and b"metaads_graph_calls_total" in answer.content


def test_metrics_say_how_many_mails_wait_in_the_database_of_all_processes(client: Client, clock: Any) -> None:
    for key in "ab":
        outbox.send(key=key, address="bob@example.com", subject="s", body="b", now=clock.now())
    OutboxMessage.everything.filter(key="a").update(given_up_at=clock.now())
    text = client.get("/metrics").content.decode()
    assert 'metaads_outbox{state="waiting"} 1.0' in text
    assert 'metaads_outbox{state="given_up"} 1.0' in text
    outbox.deliver(now=clock.now())
    assert 'metaads_mails_total{outcome="sent"}' in client.get("/metrics").content.decode()


@pytest.mark.parametrize("extra", [{"REMOTE_ADDR": "203.0.113.9"}, {"HTTP_X_FORWARDED_FOR": "203.0.113.9"}])
def test_metrics_are_not_for_strangers_nor_for_what_came_through_a_proxy(
    client: Client, extra: dict[str, str]
) -> None:
    assert client.get("/metrics", **extra).status_code == 403


def test_metrics_are_for_staff_and_not_for_other_people(client: Client, agency: Any) -> None:
    client.force_login(agency.users.alice)
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 200
    client.force_login(agency.users.vera)
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 403


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_health_is_read_only(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405
