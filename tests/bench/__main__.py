"""Benchmarks: `make bench`, or one section of them: `make bench B=ingest DAYS=90`. Writes var/bench.json.

Not tests: nothing fails for being slow. Ratios of one run can be compared, seconds of two machines cannot.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from typing import Any

from config.env import ROOT
from tests.bench import ingest
from tests.bench.table import page

SECTIONS = ("ingest",)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"{', '.join(SECTIONS)}; all without a name")
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument(
        "--latency", type=int, nargs="*", default=[0, 150], help="milliseconds for each answer"
    )
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
            days=asked.days, latencies=asked.latency, admin=asked.postgres, say=_say
        )
    found["load_after"] = os.getloadavg()[0]
    target = ROOT / "var" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(found, indent=1) + "\n")
    print(page(found))


def _say(words: str) -> None:
    print(f"  {words}", flush=True)


if __name__ == "__main__":
    main()
