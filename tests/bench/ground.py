"""What every section stands on: the sandbox's process, an empty installation, timed processes, goals."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psycopg

from config.env import ROOT

ACT = "act_1950000000000001"
Say = Callable[[str], None]


class Graph:
    """The sandbox process."""

    def __init__(self, ready: Mapping[str, Any]) -> None:
        self.url = f"http://127.0.0.1:{ready['port']}"
        self.token = str(ready["access_token"])
        self.app_id, self.app_secret = str(ready["app_id"]), str(ready["app_secret"])

    def replay(self, query: str = "") -> dict[str, int]:
        with urllib.request.urlopen(f"{self.url}/_sandbox/replay?{query}", timeout=10) as answer:
            return dict(json.loads(answer.read()))


@contextlib.contextmanager
def sandbox() -> Iterator[Graph]:
    words = ("manage.py", "graph_sandbox", "--port", "0", "--world", "bench", "--replay")
    with tempfile.TemporaryDirectory() as home:
        environ = {"PATH": os.environ["PATH"], "HOME": home, "VAR_DIR": home}
        process = subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, env=environ, text=True, stdout=subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            yield Graph(json.loads(process.stdout.readline()))
        finally:
            process.terminate()
            process.wait(30)


@contextlib.contextmanager
def installation(*, postgres: str, **variables: str) -> Iterator[dict[str, str]]:
    """The environment of an empty product with one owner and one client: SQLite, or a database of its own on the
    server that `postgres` names (and Redis beside it)."""
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        environ = {"PATH": os.environ["PATH"], "HOME": home, "VAR_DIR": home, **variables}
        if postgres:
            environ["DATABASE_URL"] = stack.enter_context(fresh(postgres))
            environ["REDIS_URL"] = redis_url()
        call(environ, "manage.py", "migrate", "-v", "0")
        call(environ, "-m", "tests.bench.found")
        yield environ


@contextlib.contextmanager
def connected(graph: Graph, *, postgres: str) -> Iterator[tuple[dict[str, str], str]]:
    """An installation with the sandbox's account connected, and a database that a peer may use."""
    more = {"META_GRAPH_URL": graph.url, "META_APP_ID": graph.app_id, "META_APP_SECRET": graph.app_secret}
    with installation(postgres=postgres, **more) as environ:
        enable = ("connect", "--client", "bench", "--token-stdin", "--enable", "all")
        call(environ, "manage.py", *enable, stdin=f"{graph.token}\n")
        yield environ, environ.get("DATABASE_URL") or str(Path(environ["VAR_DIR"]) / "peer.sqlite3")


def redis_url() -> str:
    return os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/3")


@contextlib.contextmanager
def fresh(admin: str) -> Iterator[str]:
    """The address of an empty database on the server that `admin` names."""
    name = f"metaads_bench_{os.getpid()}_{secrets.token_hex(4)}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{admin.rsplit('/', 1)[0]}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def call(environ: Mapping[str, str], *words: str, stdin: str = "", python: str = sys.executable) -> str:
    """What a Python process printed; ends the bench with its last words if it failed."""
    done = subprocess.run(
        [python, *words],
        cwd=ROOT,
        env=environ,
        input=stdin,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words[:3])} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


@dataclass(frozen=True)
class Spent:
    """What the processes of a pipe cost together, as the operating system counted them and their children.

    `peak_mb` adds the peaks of those side by side. `failed` is "", or the last words of one that ended badly."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    finished: bool
    failed: str


@dataclass(frozen=True)
class Used:
    """What one process cost; `answer` is the last line it printed."""

    answer: dict[str, Any]
    seconds: float
    cpu_seconds: float
    peak_mb: float


def spent(
    commands: Sequence[Sequence[str]], environ: Mapping[str, str], out: Path, *, limit: float | None = None
) -> Spent:
    """Runs a pipe; the last process writes into `out`. Those that are still there after `limit` seconds are ended."""
    began = time.perf_counter()
    running: set[int] = set()
    ended = threading.Event()

    def end() -> None:
        ended.set()
        for pid in list(running):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    with tempfile.TemporaryFile("w+", errors="replace") as errors, out.open("w") as target:
        processes: list[subprocess.Popen[str]] = []
        source: IO[str] | None = None
        for number, words in enumerate(commands, start=1):
            process = subprocess.Popen(
                words, cwd=ROOT, env=environ, text=True, stderr=errors,
                stdin=source or subprocess.DEVNULL,
                stdout=target if number == len(commands) else subprocess.PIPE,
            )  # fmt: skip
            if source is not None:
                source.close()
            source = process.stdout
            processes.append(process)
            running.add(process.pid)
        clock = threading.Timer(limit, end) if limit else None
        if clock:
            clock.start()
        cpu, peak, codes = 0.0, 0.0, []
        for process in processes:
            _, status, used = os.wait4(process.pid, 0)
            running.discard(process.pid)
            process.returncode = os.waitstatus_to_exitcode(status)
            codes.append(process.returncode)
            cpu += used.ru_utime + used.ru_stime
            peak += used.ru_maxrss / 1024
        seconds = time.perf_counter() - began
        if clock:
            clock.cancel()
        errors.seek(0)
        failed = errors.read()[-2000:] or out.read_text(errors="replace")[-2000:] or "it said nothing"
    finished = not ended.is_set()
    return Spent(
        round(seconds, 2), round(cpu, 2), round(peak), finished, failed if finished and any(codes) else ""
    )


def timed(environ: Mapping[str, str], words: Sequence[str], who: str) -> Used:
    """One Python process of this repository; ends the bench with its last words if it failed."""
    with tempfile.TemporaryDirectory() as home:
        out = Path(home) / "out"
        cost = spent([[sys.executable, *words]], environ, out)
        said = out.read_text()
    if cost.failed:
        raise SystemExit(f"{who} failed:\n{said[-2000:]}{cost.failed}")
    return Used(json.loads(said.strip().splitlines()[-1]), cost.seconds, cost.cpu_seconds, cost.peak_mb)


def sync(days: int) -> tuple[str, ...]:
    return ("manage.py", "sync", "--ad-account", ACT, "--days", str(days), "--json")


def goal(name: str, value: float, wanted: float, *, above: bool) -> dict[str, Any]:
    """A goal and what was measured of it, in this run."""
    return {
        "goal": name,
        "measured": float(f"{value:.3g}"),
        "wanted": f"{'>=' if above else '<='} {wanted:.3g}",
        "met": value >= wanted if above else value <= wanted,
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
