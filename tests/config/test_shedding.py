"""A database that is too slow, or gives no connection: pages and the API say 503; the engine has its own way to it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import OperationalError, connection
from django.test import Client

from config.env import ROOT
from config.shedding import STATEMENT_SECONDS, limit
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault("F98")]

SAID = "canceling statement due to statement timeout: SELECT secret FROM somewhere"


@pytest.fixture
def web(agency: Any) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(agency.users.alice)
    return client


@contextmanager
def slow(table: str) -> Iterator[None]:
    """Whatever asks this table waits longer than it may."""

    def wait(execute: Any, sql: str, *more: Any) -> Any:
        if f'"{table}"' in sql:
            raise OperationalError(SAID)
        return execute(sql, *more)

    with connection.execute_wrapper(wait):
        yield


def is_plain_page(answer: Any) -> None:
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.headers["Content-Type"].startswith("text/html")
    text = answer.content.decode()
    assert "Try again in 5 seconds" in text and "secret" not in text and "timeout" not in text


def is_problem(answer: Any, path: str) -> None:
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert (body["code"], body["status"], body["instance"]) == ("busy", 503, path)
    assert body["request_id"] and body["advice"].startswith("Try again") and "secret" not in str(body)


@pytest.mark.parametrize("table", ["accounts_alert", "django_session", "accounts_membership"])
def test_a_page_whose_statement_takes_too_long_gives_way_and_is_there_again_after_it(
    web: Client, table: str
) -> None:
    """Whether the view asks, or what stands before it: the session, the person's rights."""
    with slow(table):
        is_plain_page(web.get("/alerts/"))
    assert web.get("/alerts/").status_code == 200


@pytest.mark.parametrize("table", ["accounts_adaccount", "django_session"])
def test_the_api_answers_the_same_as_a_problem(web: Client, table: str) -> None:
    with slow(table):
        is_problem(web.get("/api/meta/ad-accounts"), "/api/meta/ad-accounts")
    assert web.get("/api/meta/ad-accounts").status_code == 200


def test_paths_of_other_libraries_and_webhooks_answer_programs(web: Client) -> None:
    with slow("django_session"):
        is_problem(web.get("/_allauth/browser/v1/auth/session"), "/_allauth/browser/v1/auth/session")


def test_the_log_has_what_the_answer_does_not_say(web: Client, caplog: pytest.LogCaptureFixture) -> None:
    with slow("accounts_adaccount"):
        web.get("/api/meta/ad-accounts")
    with slow("accounts_alert"):
        web.get("/alerts/")
    assert "did not answer in time on /api/meta/ad-accounts" in caplog.text and caplog.text.count(SAID) >= 2


def test_a_session_that_was_deleted_meanwhile_is_not_called_busy(web: Client) -> None:
    def deleted(execute: Any, sql: str, *more: Any) -> Any:
        if sql.startswith('UPDATE "django_session"'):
            Session.objects.all()._raw_delete("default")
        return execute(sql, *more)

    with connection.execute_wrapper(deleted):
        assert web.get("/alerts/").status_code == 400


def test_an_error_that_is_no_time_out_stays_one(web: Client) -> None:
    def wrong(execute: Any, sql: str, *more: Any) -> Any:
        return execute(sql.replace("accounts_alert", "accounts_no_such_table"), *more)

    with connection.execute_wrapper(wrong):
        answer = web.get("/alerts/")
    assert answer.status_code == 500 and "no_such_table" not in answer.content.decode()


@pytest.mark.embedded
def test_a_page_that_waits_for_sqlite_s_one_writer_gives_way(web: Client) -> None:
    path = connection.settings_dict["NAME"]
    other = sqlite3.connect(path, isolation_level=None)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 20")
    try:
        other.execute("BEGIN IMMEDIATE")
        form = {"login": "alice@example.com", "password": PASSWORD}
        is_plain_page(Client(raise_request_exception=False).post("/accounts/login/", form))
        is_plain_page(web.get("/alerts/"))  # the idle time of its session is what it writes
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert web.get("/alerts/").status_code == 200
    connection.close()


@pytest.mark.postgres
def test_a_real_statement_time_out_is_the_same_answer(web: Client) -> None:
    """Somebody rebuilds a table, and holds it for longer than a page may wait."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 100")
    try:
        with closing(connection.copy()) as other, other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE accounts_alert, accounts_adaccount IN ACCESS EXCLUSIVE MODE")
            is_plain_page(web.get("/alerts/"))
            is_problem(web.get("/api/meta/ad-accounts"), "/api/meta/ad-accounts")
            cursor.execute("ROLLBACK")
        assert web.get("/alerts/").status_code == 200
    finally:
        connection.close()


# --- which process is limited


def test_only_postgresql_is_limited_and_what_was_given_stays() -> None:
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": {"timeout": 20}}
    limit(sqlite)
    assert sqlite["OPTIONS"] == {"timeout": 20}
    served: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "OPTIONS": {"options": "-c search_path=ads", "pool": {"max_size": 12, "timeout": 20}},
    }
    limit(served)
    assert (
        served["OPTIONS"]["options"] == f"-c search_path=ads -c statement_timeout={STATEMENT_SECONDS * 1000}"
    )
    assert served["OPTIONS"]["pool"] == {"max_size": 12, "timeout": 5.0, "max_waiting": 24}


def in_a_process(tmp_path: Path, code: str) -> list[str]:
    """What a fresh process of the server form prints, over the database of this test."""
    name, given = connection.settings_dict["NAME"], os.environ["TEST_DATABASE_URL"]
    variables = {
        "PATH": os.environ["PATH"],
        "VAR_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": f"{given.rpartition('/')[0]}/{name}",
        "REDIS_URL": "redis://127.0.0.1:6379/0",  # named, not asked
        "ALLOWED_HOSTS": "testserver",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split("\n")[:-1]


_ASK = """
from django.db import connection
with connection.cursor() as cursor:
    pool = connection.settings_dict["OPTIONS"]["pool"]
    print(cursor.execute("SHOW statement_timeout").fetchone()[0], pool["timeout"])
"""


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("start", "found"),
    [
        ("import config.asgi", "15s 5.0"),
        ("import config.celery, django; django.setup()", "0 20"),
        ("import django; django.setup()", "0 20"),
    ],
    ids=["web", "worker and beat", "watchdog and commands"],
)
def test_web_processes_are_limited_and_those_of_the_engine_are_not(
    agency: Any, tmp_path: Path, start: str, found: str
) -> None:
    assert in_a_process(tmp_path, start + _ASK) == [found]


@pytest.mark.postgres
def test_a_request_that_gets_no_connection_gives_way_while_another_process_has_its_own(
    agency: Any, tmp_path: Path
) -> None:
    code = """
import threading
from django.conf import settings
import config.wsgi
pool = settings.DATABASES["default"]["OPTIONS"]["pool"]
pool.update(max_size=1, timeout=0.2)
from django.db import connection
from django.test import Client
held, free = threading.Event(), threading.Event()
def hold():
    connection.ensure_connection()
    held.set()
    free.wait(60)
    connection.close()
other = threading.Thread(target=hold)
other.start()
held.wait(30)
def ask():
    answer = Client(raise_request_exception=False).get("/api/meta/ad-accounts", headers={"X-API-Key": "mak_x.y"})
    print(answer.status_code, answer.json().get("code"), answer.headers.get("Retry-After"))
ask()
free.set()
other.join()
ask()
connection.close()
connection.close_pool()
"""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")  # an engine's own connection, all the while
    busy, after = in_a_process(tmp_path, code)
    assert busy == "503 busy 5" and after.split()[0] == "401"
    assert settings.DATABASES["default"]["ENGINE"].endswith("postgresql")
