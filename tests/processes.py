"""Real processes for the legs that need them: their environment, ports, start, readiness and end."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from config.env import ROOT
from tests.conftest import need
from tests.servers import own_redis

LONG = 90.0
#: The file of a database that has its tables and nothing else.
_migrated: list[bytes] = []


def environment(tmp_path: Path, **variables: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "VAR_DIR": str(tmp_path / "var"), **variables}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def migrate(environ: dict[str, str], *more: str) -> None:
    """Migrate; a SQLite file that is not there yet is a copy of the first one that this process has migrated."""
    own = Path(environ["VAR_DIR"], "metaads.sqlite3")
    fresh = not more and not environ.get("DATABASE_URL") and not own.exists()
    if fresh and _migrated:
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_bytes(_migrated[0])
        return
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "-v", "0", *more], cwd=ROOT, env=environ, check=True
    )
    if fresh:
        with sqlite3.connect(own) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        _migrated.append(own.read_bytes())


@contextmanager
def started(environ: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended with the block, whatever happens in it."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environ,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def counted(commands: Sequence[tuple[str, ...]]) -> dict[str, int]:
    """Run proofs (a module and its arguments) side by side; the sums of the counts in their last lines, `name=number`.
    Raises AssertionError with everything they said when one has failed."""
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for command in commands
    ]
    with ThreadPoolExecutor(len(runs)) as readers:
        said = list(readers.map(lambda run: run.communicate()[0], runs))
    assert [run.returncode for run in runs] == [0] * len(runs), "\n".join(said)
    counts = [dict(pair.split("=") for pair in text.splitlines()[-1].split()) for text in said]
    return {name: sum(int(one[name]) for one in counts) for name in counts[0]}


def web(port: int) -> tuple[str, ...]:
    return (
        "-m",
        "uvicorn",
        "config.asgi:application",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--log-level",
        "warning",
    )


def ask(port: int, path: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as answer:
        return answer.code, json.loads(answer.read())
    except OSError:
        return 0, {}


def wait_ready(port: int, process: subprocess.Popen[str]) -> dict[str, Any]:
    """/readyz once every queue has shown a sign of life."""
    until = time.monotonic() + LONG
    while time.monotonic() < until:
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        status, body = ask(port, "/readyz")
        if status == 200 and not body["degraded"]:
            return dict(body)
        time.sleep(0.2)
    raise AssertionError(f"not ready after {LONG:.0f} s: {ask(port, '/readyz')}")


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A throw-away PostgreSQL database and Redis."""
    redis_url = own_redis(os.environ.get("SERVER_REDIS_URL", "redis://127.0.0.1:6379/7"))
    admin = os.environ.get("SERVER_ADMIN_URL", "postgres://postgres@127.0.0.1:5432/postgres")
    name = f"metaads_processes_{os.getpid()}"
    try:
        connection = psycopg.connect(admin, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        need("postgres", False, "no PostgreSQL answers at 127.0.0.1:5432 (SERVER_ADMIN_URL)")
        raise
    try:
        import redis

        redis.Redis.from_url(redis_url, socket_timeout=3).ping()
    except redis.RedisError:
        need("redis", False, "no Redis answers (SERVER_REDIS_URL)")
        raise
    connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    connection.execute(f"CREATE DATABASE {name}")
    yield environment(tmp_path, DATABASE_URL=admin.rsplit("/", 1)[0] + f"/{name}", REDIS_URL=redis_url)
    connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    connection.close()
