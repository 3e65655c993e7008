"""Benchmarks: `make bench`, or some of them: `make bench B="queries push" ROWS=1000000`. Writes var/bench.json.

Not tests: nothing fails for being slow. Ratios of one run can be compared, seconds of two machines cannot.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from typing import Any

from config.env import ROOT
from tests.bench import calls, ingest, memory, push, queries
from tests.bench.table import page

SECTIONS = ("ingest", "queries", "push", "calls", "memory")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"{', '.join(SECTIONS)}; all without a name")
    parser.add_argument("--days", type=int, default=90, help="of rows to land (ingest, memory)")
    parser.add_argument("--rows", type=int, default=10_000_000, help="ad-days to ask about (queries)")
    parser.add_argument(
        "--latency", type=int, nargs="*", default=[0, 150], help="milliseconds for each answer"
    )
    parser.add_argument("--peer-seconds", type=float, default=400, help="bound of each peer's run (ingest)")
    parser.add_argument("--sockets", type=int, nargs="*", default=[200, 1000], help="open pages (push)")
    parser.add_argument("--publishes", type=int, default=50, help="frames to each page (push)")
    parser.add_argument("--hours", type=float, default=2, help="of simulated time (calls)")
    parser.add_argument(
        "--postgres", default=os.environ.get("BENCH_POSTGRES_URL", ""), help="may create databases"
    )
    asked = parser.parse_args()
    sections = asked.sections or SECTIONS
    if unknown := set(sections) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}; there are: {', '.join(SECTIONS)}")
    found: dict[str, Any] = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }
    if "ingest" in sections:
        found["ingest"] = ingest.measure(
            days=asked.days,
            latencies=asked.latency,
            admin=asked.postgres,
            peer_seconds=asked.peer_seconds,
            say=_say,
        )
    if "queries" in sections:
        found["queries"] = queries.measure(rows=asked.rows, admin=asked.postgres, say=_say)
    if "push" in sections:
        found["push"] = push.measure(
            sockets=asked.sockets, publishes=asked.publishes, admin=asked.postgres, say=_say
        )
    if "calls" in sections:
        found["calls"] = calls.measure(hours=asked.hours, say=_say)
    if "memory" in sections:
        found["memory"] = memory.measure(days=asked.days, admin=asked.postgres, say=_say)
    found["load_after"] = os.getloadavg()[0]
    target = ROOT / "var" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(found, indent=1) + "\n")
    print(page(found))


def _say(words: str) -> None:
    print(f"  {words}", flush=True)


if __name__ == "__main__":
    main()
