"""The dashboard's questions over many ad-days, through the product's code, beside the wide table without rollups.

    empty installation -> `fill` -> `manage.py checksum` of a small and of the biggest account -> `ask`

Goals B: p95 below 15 ms for every question; the sums from rollups nine times (top 50) and a hundred times (series)
faster than from the rows; keeping the rollups takes less than a quarter of the merge.
"""

from __future__ import annotations

import json
from typing import Any

from tests.bench.ground import Say, call, goal, installation

TIMES = 60


def measure(*, rows: int, admin: str, say: Say) -> dict[str, Any]:
    """PostgreSQL with all `rows` where there is a server, SQLite with a tenth of them."""
    wanted = {"PostgreSQL": rows} if admin else {}
    runs = [_run(kind, many, admin, say) for kind, many in {**wanted, "SQLite": rows // 10}.items()]
    return {"runs": runs, "goals": [one for run in runs for one in _goals(run)]}


def _run(kind: str, rows: int, admin: str, say: Say) -> dict[str, Any]:
    with installation(postgres=admin if kind == "PostgreSQL" else "") as environ:
        say(f"filling {kind} with {rows:,} ad-days")
        filled = json.loads(call(environ, "-m", "tests.bench.fill", str(rows)))
        say(f"{filled['ad_rows']:,} ad rows and {filled['hour_rows']:,} hour rows in {filled['facts_s']} s, "
            f"their sums in {filled['sums_s']} s; comparing sums with rows")  # fmt: skip
        for act in (filled["accounts"][0], filled["accounts"][-1]):
            call(environ, "manage.py", "checksum", "--ad-account", act)
        say("asking")
        asked = json.loads(call(environ, "-m", "tests.bench.ask", str(TIMES)))
    return {"database": kind, **filled, **asked}


def _goals(run: dict[str, Any]) -> list[dict[str, Any]]:
    at = f"{run['database']}, {run['ad_rows']:,} ad rows"
    questions = {one["question"]: one for one in run["questions"]}
    slowest = max(run["questions"], key=lambda one: float(one["whole_p95_ms"]))
    found = [
        goal(
            f"p95 ms of the slowest question ({slowest['question']}), {at}",
            slowest["whole_p95_ms"], 15, above=False,
        )
    ]  # fmt: skip
    for name, wanted in (("account by day, 90 d", 100), ("top 50 campaigns by ROAS, 90 d", 9)):
        one = questions[name]
        ratio = one["wide_p95_ms"] / max(one["sums_p95_ms"], 0.01)
        found.append(goal(f"wide table against rollups, p95 of {name}, {at}", ratio, wanted, above=True))
    share = run["refresh"]["rollups_s"] / max(run["refresh"]["merge_s"], 0.01)
    found.append(goal(f"refresh of rollups in parts of the merge, {at}", share, 0.25, above=False))
    return found
