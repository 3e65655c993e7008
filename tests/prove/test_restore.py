"""A backup is put back for real: SQLite's own copy, the product as a process, and Meta that has moved on."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from accounts.restored import LIFELINE
from config.env import ROOT
from tests.processes import environment, free_port, migrate, started, wait_ready, web
from tests.prove.test_secrecy import APP_ID, APP_SECRET, PASSWORD, PEOPLE, sandbox_on_a_port, wait
from tests.walks.canaries import Canaries

pytestmark = [pytest.mark.prove, pytest.mark.fault("F92")]


def manage(environ: dict[str, str], *arguments: str, says: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environ,
        input=says,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ask(file: Path, statement: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(file, timeout=30)
    try:
        return database.execute(statement).fetchall()
    finally:
        database.close()


def one_run(environ: dict[str, str], folder: Path) -> None:
    """Start, until the moment was written down anew; and stop."""
    port, file = free_port(), folder / LIFELINE
    before = file.read_text() if file.exists() else ""
    with started(environ, *web(port)) as process:
        wait_ready(port, process)
        wait(lambda: file.exists() and file.read_text() != before, "no sign of life was left")


def test_the_recipe_of_the_handbook_and_a_start_that_forgot_it(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    database, backup = folder / "metaads.sqlite3", tmp_path / "backup.sqlite3"
    with sandbox_on_a_port(Canaries()) as (box, graph):
        environ = environment(
            tmp_path,
            META_APP_ID=APP_ID,
            META_APP_SECRET=APP_SECRET,
            META_GRAPH_URL=f"http://127.0.0.1:{graph}",
            META_DIALOG_URL=f"http://127.0.0.1:{graph}",
        )
        migrate(environ)
        people = [sys.executable, "-c", PEOPLE.format(password=PASSWORD)]
        settings = {**environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
        subprocess.run(people, cwd=ROOT, env=settings, check=True, capture_output=True)
        manage(environ, "connect", "--client", "northwind", "--token-stdin", says=box.token("alice"))
        one_run(environ, folder)
        assert ask(database, "SELECT held, state FROM accounts_metaconnection") == [(0, "connected")]
        assert ask(database, "SELECT count(*) FROM campaigns_switch") == [(0,)]
        database_copy = sqlite3.connect(database)
        database_copy.execute("VACUUM INTO ?", [str(backup)])
        database_copy.close()

        # The product went on for an hour after the backup, and the person took the app away at Facebook.
        seen = datetime.fromisoformat((folder / LIFELINE).read_text())
        (folder / LIFELINE).write_text((seen + timedelta(hours=1)).isoformat())
        box.control.handle("POST", "revoke", {"user": "alice", "subcode": 458})
        _put_back(backup, database)

        one_run(environ, folder)  # somebody forgot the recipe
        [(reason,)] = ask(database, "SELECT reason FROM campaigns_switch WHERE released_at IS NULL")
        assert "restored from a backup" in str(reason)
        [(state,)] = ask(database, "SELECT state FROM accounts_metaconnection")
        assert state in ("connected", "reauth_needed"), "held, or asked about by the sentinel already"

        _put_back(backup, database)
        said = manage(environ, "after_restore")
        assert "Held: 1 connections" in said and "reconnect needed" in said
        assert ask(database, "SELECT held, state FROM accounts_metaconnection") == [(0, "reauth_needed")]
        one_run(environ, folder)
        manage(environ, "stop", "--release", "--reason", "looked through")
        assert ask(database, "SELECT count(*) FROM campaigns_switch WHERE released_at IS NULL") == [(0,)]


def _put_back(backup: Path, database: Path) -> None:
    for name in (f"{database.name}-wal", f"{database.name}-shm"):
        (database.parent / name).unlink(missing_ok=True)
    shutil.copy(backup, database)
