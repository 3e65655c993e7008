"""Landing rows: `manage.py sync` as shipped, beside the official SDK and the floors, against one sandbox process.

    sandbox --world bench --replay, another process
        -> one sync that is thrown away, so that every page is rendered
        -> per latency and database: sync into an empty installation, sync again, the SDK's loop
        -> floors: parsing alone, COPY alone

Seconds are those of the client; CPU and memory are what the operating system counted for its process.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from config.env import ROOT

ACT = "act_1950000000000001"
#: Peers that live in an environment of their own: the variable names its Python.
PEERS = {
    "tap-facebook + target-postgres": ("BENCH_TAP_PYTHON", "tap_facebook"),
    "facebook-ads-reports": ("BENCH_REPORTS_PYTHON", "facebook_ads_reports"),
    "airbyte source-facebook-marketing": ("BENCH_AIRBYTE_PYTHON", "source_facebook_marketing"),
}


@dataclass(frozen=True)
class Run:
    """One process that landed rows. `seconds` are of the wall, `peak_mb` of its resident set."""

    who: str
    latency_ms: int
    database: str
    rows: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    requests: int

    @property
    def rate(self) -> float:
        return self.rows / self.seconds


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
def installation(graph: Graph, *, postgres: str) -> Iterator[tuple[dict[str, str], str]]:
    """An empty product with the bench account connected: its environment, and its database for the SDK."""
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "VAR_DIR": home,
            "META_GRAPH_URL": graph.url,
            "META_APP_ID": graph.app_id,
            "META_APP_SECRET": graph.app_secret,
        }
        database = str(Path(home) / "sdk.sqlite3")
        if postgres:
            database = stack.enter_context(_fresh(postgres))
            environ["DATABASE_URL"] = database
            environ["REDIS_URL"] = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/3")
        _call(environ, "manage.py", "migrate", "-v", "0")
        _call(environ, "-m", "tests.bench.found")
        enable = ("connect", "--client", "bench", "--token-stdin", "--enable", "all")
        _call(environ, "manage.py", *enable, stdin=f"{graph.token}\n")
        yield environ, database


@contextlib.contextmanager
def _fresh(admin: str) -> Iterator[str]:
    name = f"metaads_bench_{os.getpid()}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{admin.rsplit('/', 1)[0]}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def measure(*, days: int, latencies: list[int], admin: str, say: Any) -> dict[str, Any]:
    """Everything of this section. `admin` is a PostgreSQL address that may create databases; "" leaves it out."""
    until = datetime.now(UTC).date()
    since = until - timedelta(days=days - 1)
    runs: list[Run] = []
    floors: dict[str, Any] = {}
    with sandbox() as graph:
        say("rendering the world (once)")
        with installation(graph, postgres="") as (environ, database):
            _call(environ, *_sync(days))
            _call(environ, *_sdk(graph, since, until, database))
        for latency in latencies:
            for kind in ("PostgreSQL", "SQLite") if admin else ("SQLite",):
                graph.replay(f"latency_ms={latency}")
                with installation(graph, postgres=admin if kind == "PostgreSQL" else "") as (
                    environ,
                    database,
                ):
                    for who in ("product, first sync", "product, again", "SDK, naive loop"):
                        words = _sdk(graph, since, until, database) if "SDK" in who else _sync(days)
                        runs.append(_timed(graph, environ, words, who, latency, kind))
                        say(_words(runs[-1]))
        graph.replay("latency_ms=0")
        if admin:
            words = ("-m", "tests.bench.floors", graph.url, graph.token, ACT, str(since), str(until), admin)
            _call({"PATH": os.environ["PATH"]}, *words)
            floors = json.loads(_call({"PATH": os.environ["PATH"]}, *words))
    return {
        "days": days,
        "runs": [{**asdict(run), "rows_per_second": round(run.rate)} for run in runs],
        "floors": floors,
        "goals": _goals(runs, days),
        "not_measured": not_measured(),
    }


def not_measured() -> list[str]:
    """What is known of the other peers: none of them is driven yet, so a found one is said to be found, no more."""
    missing = []
    for name, (variable, module) in PEERS.items():
        python = os.environ.get(variable, "")
        here = not python and importlib.util.find_spec(module) is not None
        if here or (
            python and subprocess.run([python, "-c", f"import {module}"], check=False).returncode == 0
        ):
            missing.append(f"{name} (is installed, but not driven by this bench)")
        else:
            missing.append(f"{name} (not found; {variable} may name a Python that has {module})")
    return missing


def _sync(days: int) -> tuple[str, ...]:
    return ("manage.py", "sync", "--ad-account", ACT, "--days", str(days), "--json")


def _sdk(graph: Graph, since: object, until: object, database: str) -> tuple[str, ...]:
    return ("-m", "tests.bench.sdk", graph.url, graph.token, ACT, str(since), str(until), database)


def _call(environ: dict[str, str], *words: str, stdin: str = "") -> str:
    done = subprocess.run(
        [sys.executable, *words],
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


def _timed(
    graph: Graph, environ: dict[str, str], words: tuple[str, ...], who: str, latency: int, database: str
) -> Run:
    before, began = graph.replay()["requests"], time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, env=environ, stdout=out, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        out.seek(0)
        said = out.read()
    if process.returncode:
        raise SystemExit(f"{who} failed:\n{said[-2000:]}")
    answer = json.loads(said.strip().splitlines()[-1])
    rows = sum(answer["stored"].values()) if "stored" in answer else answer["rows"]
    return Run(
        who, latency, database, rows, round(seconds, 2), round(used.ru_utime + used.ru_stime, 2),
        round(used.ru_maxrss / 1024), graph.replay()["requests"] - before,
    )  # fmt: skip


def _words(run: Run) -> str:
    return (
        f"{run.who} -> {run.database}, {run.latency_ms} ms: {run.rows:,} rows in {run.seconds} s "
        f"({run.rate:,.0f} rows/s), {run.cpu_seconds} CPU s, {run.peak_mb:.0f} MB, {run.requests} requests"
    )


def _goals(runs: list[Run], days: int) -> list[dict[str, Any]]:
    """Ratios of this run. The product's rows are of four levels and of hours, the SDK's of ads alone."""
    found = []
    by = {(run.who, run.latency_ms, run.database): run for run in runs}
    for (who, latency, database), run in by.items():
        sdk = by.get(("SDK, naive loop", latency, database))
        if who != "product, first sync" or sdk is None:
            continue
        at = f"{database}, {latency} ms"
        found += [
            _goal(f"wall for the {days} days against the SDK's loop, {at}", sdk.seconds / run.seconds, 10, above=True),
            _goal(f"CPU s per 100,000 rows, {at}", run.cpu_seconds * 100_000 / run.rows, 3, above=False),
            _goal(f"CPU per row against the SDK's loop, {at}",
                  (run.cpu_seconds / run.rows) / (sdk.cpu_seconds / sdk.rows), 1 / 3, above=False),
            _goal(f"peak MB, {at}", run.peak_mb, 150, above=False),
        ]  # fmt: skip
    return found


def _goal(name: str, value: float, wanted: float, *, above: bool) -> dict[str, Any]:
    met = value >= wanted if above else value <= wanted
    return {
        "goal": name,
        "measured": round(value, 2),
        "wanted": f"{'>=' if above else '<='} {wanted:.3g}",
        "met": met,
    }
