"""Landing rows: `manage.py sync` as shipped, beside the official SDK and the floors, against one sandbox process.

    sandbox --world bench --replay, another process
        -> one sync that is thrown away, so that every page is rendered
        -> per latency and database: sync into an empty installation, sync again, the SDK's loop
        -> per latency: facebook-ads-reports into a CSV file, where BENCH_REPORTS_PYTHON names a Python that has it
        -> floors: parsing alone, COPY alone

Seconds are those of the client; CPU and memory are what the operating system counted for its process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.bench.ground import ACT, Graph, Say, call, connected, goal, sandbox, sync, timed

REPORTS = "facebook-ads-reports"
#: Peers that live in an environment of their own: the variable names its Python.
PEERS = {
    "tap-facebook + target-postgres": ("BENCH_TAP_PYTHON", "tap_facebook"),
    REPORTS: ("BENCH_REPORTS_PYTHON", "facebook_ads_reports"),
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


def measure(*, days: int, latencies: list[int], admin: str, say: Say) -> dict[str, Any]:
    """Everything of this section. `admin` is a PostgreSQL address that may create databases; "" leaves it out."""
    until = datetime.now(UTC).date()
    since = until - timedelta(days=days - 1)
    runs: list[Run] = []
    floors: dict[str, Any] = {}
    with sandbox() as graph:
        say("rendering the world (once)")
        with connected(graph, postgres="") as (environ, database):
            call(environ, *sync(days))
            call(environ, *_sdk(graph, since, until, database))
        for latency in latencies:
            for kind in ("PostgreSQL", "SQLite") if admin else ("SQLite",):
                graph.replay(f"latency_ms={latency}")
                with connected(graph, postgres=admin if kind == "PostgreSQL" else "") as (
                    environ,
                    database,
                ):
                    for who in ("product, first sync", "product, again", "SDK, naive loop"):
                        words = _sdk(graph, since, until, database) if "SDK" in who else sync(days)
                        runs.append(_timed(graph, environ, words, who, latency, kind))
                        say(_words(runs[-1]))
            if python := _python_of(REPORTS):
                words = _reports(graph, since, until)
                peer = {"PATH": os.environ["PATH"]}
                runs.append(
                    _timed(graph, peer, words, f"{REPORTS}, page 500", latency, "CSV file", python=python)
                )
                say(_words(runs[-1]))
        graph.replay("latency_ms=0")
        if admin:
            words = ("-m", "tests.bench.floors", graph.url, graph.token, ACT, str(since), str(until), admin)
            call({"PATH": os.environ["PATH"]}, *words)
            floors = json.loads(call({"PATH": os.environ["PATH"]}, *words))
    return {
        "days": days,
        "runs": [{**asdict(run), "rows_per_second": round(run.rate)} for run in runs],
        "floors": floors,
        "goals": _goals(runs, days),
        "not_measured": not_measured(),
    }


def not_measured() -> list[str]:
    """What is known of the peers that were not run: a found one that nobody drives yet is said to be found."""
    missing = []
    for name, (variable, module) in PEERS.items():
        if not _python_of(name):
            missing.append(f"{name} (not found; {variable} may name a Python that has {module})")
        elif name != REPORTS:
            missing.append(f"{name} (is installed, but not driven by this bench)")
    return missing


def _python_of(peer: str) -> str:
    """The Python that has the peer; "" where none is known."""
    variable, module = PEERS[peer]
    python = os.environ.get(variable, "") or sys.executable
    found = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
    return python if found.returncode == 0 else ""


def _reports(graph: Graph, since: object, until: object) -> tuple[str, ...]:
    return ("-m", "tests.bench.reports_peer", graph.url, graph.token, ACT, str(since), str(until))


def _sdk(graph: Graph, since: object, until: object, database: str) -> tuple[str, ...]:
    return ("-m", "tests.bench.sdk", graph.url, graph.token, ACT, str(since), str(until), database)


def _timed(
    graph: Graph,
    environ: dict[str, str],
    words: tuple[str, ...],
    who: str,
    latency: int,
    database: str,
    *,
    python: str = sys.executable,
) -> Run:
    before = graph.replay()["requests"]
    used = timed(environ, words, who, python=python)
    stored = used.answer.get("stored")
    rows = sum(stored.values()) if stored else used.answer["rows"]
    return Run(
        who, latency, database, rows, used.seconds, used.cpu_seconds, used.peak_mb,
        graph.replay()["requests"] - before,
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
            goal(f"wall for the {days} days against the SDK's loop, {at}", sdk.seconds / run.seconds, 10, above=True),
            goal(f"CPU s per 100,000 rows, {at}", run.cpu_seconds * 100_000 / run.rows, 3, above=False),
            goal(f"CPU per row against the SDK's loop, {at}",
                  (run.cpu_seconds / run.rows) / (sdk.cpu_seconds / sdk.rows), 1 / 3, above=False),
            goal(f"peak MB, {at}", run.peak_mb, 150, above=False),
        ]  # fmt: skip
    return found
