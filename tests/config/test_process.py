"""The product as processes: one port, one engine, an end within seconds, a start after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.processes import ask, environment, free_port, migrate, servers, started, wait_ready, web

__all__ = ["servers"]
pytestmark = pytest.mark.prove


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
        assert len(children) == 6
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
