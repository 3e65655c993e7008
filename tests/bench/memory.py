"""Memory of landing rows: `manage.py sync` of N days, and of ten times as many, each into an empty installation.

Goal: below 150 MB, and flat: what is read is streamed, so ten times the days take no more.
"""

from __future__ import annotations

from typing import Any

from tests.bench.ground import Say, connected, goal, sandbox, sync, timed

TIMES = 10
MOST_MB = 150
#: Ten times the days may take this much more: caches that fill, and what the allocator keeps.
FLAT = 1.1


def measure(*, days: int, admin: str, say: Say) -> dict[str, Any]:
    """`days` is the longer of the two runs."""
    runs: list[dict[str, Any]] = []
    goals: list[dict[str, Any]] = []
    with sandbox() as graph:
        for kind in ("PostgreSQL", "SQLite") if admin else ("SQLite",):
            peaks = []
            for many in (max(1, days // TIMES), max(1, days // TIMES) * TIMES):
                with connected(graph, postgres=admin if kind == "PostgreSQL" else "") as (environ, _):
                    used = timed(environ, sync(many), "sync")
                rows = sum(used.answer["stored"].values())
                peaks.append(used.peak_mb)
                runs.append({"database": kind, "days": many, "rows": rows, "peak_mb": used.peak_mb})
                say(f"{kind}, {many} days: {rows:,} rows, {used.peak_mb:.0f} MB at the most")
            goals += [
                goal(f"peak MB, {runs[-1]['rows']:,} rows, {kind}", peaks[1], MOST_MB, above=False),
                goal(f"peak of ten times the days in parts of the shorter run's, {kind}",
                     peaks[1] / peaks[0], FLAT, above=False),
            ]  # fmt: skip
    return {"runs": runs, "goals": goals}
