"""The product as processes: one port, one engine, an end within seconds, a start after a kill."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from config.env import ROOT
from tests.conftest import need

pytestmark = pytest.mark.prove

LONG = 90.0


def environment(tmp_path: Path, **variables: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "VAR_DIR": str(tmp_path / "var"), **variables}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def migrate(environ: dict[str, str]) -> None:
    subprocess.run([sys.executable, "manage.py", "migrate", "-v", "0"], cwd=ROOT, env=environ, check=True)


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


def test_the_embedded_form_works_in_one_process_and_ends_within_seconds(tmp_path: Path) -> None:
    environ, port = environment(tmp_path), free_port()
    migrate(environ)
    with started(environ, *web(port)) as process:
        body = wait_ready(port, process)
        assert body["status"] == "ready"
        with started(environ, *web(free_port())) as second:
            out, _ = second.communicate(timeout=60)
            assert second.returncode != 0
            assert "runs already" in out and "Traceback" not in out
        assert ask(port, "/readyz")[0] == 200, "the first one did not notice"
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM)
        assert time.monotonic() - began < 15


def test_after_a_kill_the_next_start_goes_on_at_once(tmp_path: Path) -> None:
    environ, port = environment(tmp_path), free_port()
    migrate(environ)
    with started(environ, *web(port)) as process:
        wait_ready(port, process)
        process.kill()
        process.wait(10)
    with started(environ, *web(port)) as again:
        wait_ready(port, again)


def test_a_start_without_migrations_says_which_command_to_run(tmp_path: Path) -> None:
    with started(environment(tmp_path), *web(free_port())) as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode != 0 and "manage.py migrate" in out and "Traceback" not in out


def test_the_server_form_without_its_servers_names_the_variables(tmp_path: Path) -> None:
    with started(environment(tmp_path), "-m", "config.server") as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "DATABASE_URL and REDIS_URL" in out and "make run" in out and "Traceback" not in out


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A throw-away PostgreSQL database and Redis."""
    redis_url = os.environ.get("SERVER_REDIS_URL", "redis://127.0.0.1:6379/7")
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


@pytest.mark.postgres
@pytest.mark.redis
def test_the_server_form_serves_every_queue_and_ends_all_its_processes(servers: dict[str, str]) -> None:
    port = free_port()
    migrate(servers)
    with started(servers, "-m", "config.server", "--port", str(port)) as group:
        body = wait_ready(port, group)
        assert {name for name in body["checks"] if name.startswith("queue")} == {
            f"queue {queue}" for queue in ("control", "write", "live", "sync", "reports")
        }
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(group.pid)], capture_output=True, text=True, check=True
        ).stdout.split()
        assert len(children) == 5
        began = time.monotonic()
        group.send_signal(signal.SIGINT)
        assert group.wait(90) == 0
        assert time.monotonic() - began < 60
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []


@pytest.mark.postgres
@pytest.mark.redis
def test_when_one_process_of_the_server_form_ends_all_do(servers: dict[str, str]) -> None:
    port = free_port()
    migrate(servers)
    with started(servers, "-m", "config.server", "--port", str(port)) as group:
        wait_ready(port, group)
        children = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(group.pid)], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        [beat] = [line.split()[0] for line in children if " beat " in line]
        os.kill(int(beat), signal.SIGKILL)
        assert group.wait(90) == 1
        assert "beat ended" in (group.stdout.read() if group.stdout else "")
