"""Landing rows: `manage.py sync` as shipped, beside the official SDK, the peers and the floors, against one sandbox.

    sandbox --world bench --replay, another process
        -> one sync, one SDK's loop and one run of each peer that are thrown away, so that every page is rendered
        -> per latency and database: sync into an empty installation, sync again, the SDK's loop
        -> per latency: each peer that `make bench-peers` has installed, bounded in time
        -> floors: parsing alone, COPY alone

Seconds are those of the client; CPU and memory are what the operating system counted for its processes.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.bench.ground import (
    ACT,
    Graph,
    Say,
    Spent,
    call,
    connected,
    fresh,
    goal,
    sandbox,
    spent,
    sync,
    timed,
)
from tests.bench.peers import ENVIRON, PEERS, Peer, Work


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


def measure(*, days: int, latencies: list[int], admin: str, peer_seconds: float, say: Say) -> dict[str, Any]:
    """Everything of this section. `admin` is a PostgreSQL address that may create databases; "" leaves it out. A peer
    is ended after `peer_seconds`; its row then has what it had landed."""
    until = datetime.now(UTC).date()
    since = until - timedelta(days=days - 1)
    runs: list[Run] = []
    floors: dict[str, Any] = {}
    peers, missing = runnable(admin)
    with sandbox() as graph:
        say("rendering the world (once)")
        with connected(graph, postgres="") as (environ, database):
            call(environ, *sync(days))
            call(environ, *_sdk(graph, since, until, database))
        for peer in list(peers):
            say(f"rendering what {peer.name} asks for (once)")
            with _work(graph, since, until, admin) as work:
                cost, _ = _spent(peer, work, peer_seconds, rendering=True)
            if cost.failed:
                peers.remove(peer)
                missing.append(f"{peer.name} (failed: {last_line(cost.failed)})")
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
            for peer in peers:
                with _work(graph, since, until, admin) as work:
                    cost, requests = _spent(peer, work, peer_seconds)
                    rows = peer.rows(work)
                if cost.failed:
                    missing.append(f"{peer.name} at {latency} ms (failed: {last_line(cost.failed)})")
                    continue
                who = peer.name if cost.finished else f"{peer.name}, did not finish in {peer_seconds:g} s"
                runs.append(
                    Run(
                        who, latency, peer.database, rows, cost.seconds, cost.cpu_seconds, cost.peak_mb, requests
                    )
                )  # fmt: skip
                say(_words(runs[-1]))
        graph.replay("latency_ms=0")
        if admin:
            words = ("-m", "tests.bench.floors", graph.url, graph.token, ACT, str(since), str(until), admin)
            call({"PATH": os.environ["PATH"]}, *words)
            floors = json.loads(call({"PATH": os.environ["PATH"]}, *words))
        else:
            missing.append("the floors (COPY needs a PostgreSQL: BENCH_POSTGRES_URL)")
    return {
        "days": days,
        "runs": [{**asdict(run), "rows_per_second": round(run.rate)} for run in runs],
        "floors": floors,
        "peers": {home: version for peer in peers for home, version in peer.versions().items()},
        "goals": _goals(runs, days),
        "not_measured": missing,
    }


def runnable(admin: str) -> tuple[list[Peer], list[str]]:
    """The peers that can run here, and why the others cannot."""
    found, missing = [], []
    for peer in PEERS:
        if absent := peer.missing():
            missing.append(
                f"{peer.name} (not installed: {', '.join(absent)}; `make bench-peers` installs it)"
            )
        elif peer.database == "PostgreSQL" and not admin:
            missing.append(f"{peer.name} (needs a PostgreSQL: BENCH_POSTGRES_URL)")
        else:
            found.append(peer)
    return found, missing


@contextlib.contextmanager
def _work(graph: Graph, since: date, until: date, admin: str) -> Iterator[Work]:
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = stack.enter_context(fresh(admin)) if admin else ""
        yield Work(graph, since, until, home, postgres)


def _spent(peer: Peer, work: Work, limit: float, *, rendering: bool = False) -> tuple[Spent, int]:
    """One run of a peer, and its requests. To render what it asks for, the first process of its pipe is enough."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(work.home), **ENVIRON}
    try:
        commands = peer.commands(work)
    except subprocess.CalledProcessError as error:
        return Spent(0, 0, 0, finished=True, failed=error.stderr), 0
    before = work.graph.replay()["requests"]
    cost = spent(commands[:1] if rendering else commands, environ, work.out, limit=limit)
    return cost, work.graph.replay()["requests"] - before


def last_line(text: str) -> str:
    """The last line that says something, short enough for a table."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")[:300]


def _sdk(graph: Graph, since: object, until: object, database: str) -> tuple[str, ...]:
    return ("-m", "tests.bench.sdk", graph.url, graph.token, ACT, str(since), str(until), database)


def _timed(
    graph: Graph,
    environ: dict[str, str],
    words: tuple[str, ...],
    who: str,
    latency: int,
    database: str,
) -> Run:
    before = graph.replay()["requests"]
    used = timed(environ, words, who)
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
