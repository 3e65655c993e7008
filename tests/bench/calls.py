"""Calls an account costs in an hour, beside a loop that reads campaigns and ads in full at a fixed period.

The product's whole schedule runs in simulated time (`tests.bench.day`). The loop is arithmetic on what one round of it
costs at the sandbox: a round every 30 seconds, and a round at the period at which it would see things as soon as the
product does. A loop sees a change half its period later on average, and 95 % of its period later in one case of
twenty.

Goals E: one call for a poll that finds nothing; an efficiency of 0.30 (versions seen, times the calls that a version
needs, in parts of all insights calls); nine times fewer calls than the loop of 30 seconds with 95 % of all versions in
our tables within 30 seconds; never above 50 of the 60 points of the limited tier.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.bench.ground import Say, call, goal, installation

ROUND_S = 30
#: Days that Meta may restate are read again a few times a day: some calls a day, but minutes of the sandbox's time.
VARIABLES = {"META_APP_ID": "1000000000000001", "META_APP_SECRET": "sandbox-secret", "LOOKBACK_DAYS": "2"}


def measure(*, hours: float, say: Say) -> dict[str, Any]:
    with installation(postgres="", **VARIABLES) as environ:
        say(f"{hours:g} simulated hours unwatched and as many watched")
        found = json.loads(call(environ, "-m", "tests.bench.day", str(hours)))
    spans = [_with_loop(span, hours, found["fixed_round_calls"]) for span in found["spans"]]
    for span in spans:
        say(
            f"{span['who']}: {span['insights_per_hour']} insights calls an hour, p95 {span['staleness_p95_s']} s"
        )
    return {**found, "spans": spans, "goals": [one for span in spans for one in _goals(span)]}


def _with_loop(span: Mapping[str, Any], hours: float, round_calls: int) -> dict[str, Any]:
    """Beside the span, the loop of 30 seconds, and the one that is as late as the product."""
    calls = max(1, span["insights_calls"])
    late = span["overspend_mean_s"] or span["staleness_mean_s"]
    return {
        **span,
        "calls_per_hour": round(span["calls"] / hours, 1),
        "insights_per_hour": round(calls / hours, 1),
        "efficiency": round(round_calls * span["versions"] / calls, 3),
        "share_with_news": round(span["calls_with_news"] / calls, 3),
        "loop_per_hour": round(round_calls * 3600 / ROUND_S),
        "equal_loop_per_hour": round(round_calls * 3600 / (2 * late), 1),
    }


def _goals(span: Mapping[str, Any]) -> list[dict[str, Any]]:
    who = span["who"]
    found = [
        goal(f"points of 60 on the limited tier, {who}", span["highest_score"], 50, above=False),
        goal(f"calls that Meta refused, {who}", span["refused"], 0, above=False),
        goal(f"seconds until 95 % of the versions stood in our tables, {who}",
             span["staleness_p95_s"], 30, above=False),
    ]  # fmt: skip
    if span["calls_per_quiet_poll"] is not None:
        name = f"calls of a poll that finds nothing, {who}"
        found.insert(0, goal(name, span["calls_per_quiet_poll"], 1, above=False))
    if "nobody" in who:
        fewer = span["loop_per_hour"] / span["insights_per_hour"]
        found += [
            goal(f"efficiency, {who}", span["efficiency"], 0.3, above=True),
            goal(f"calls of the 30-second loop against the product's, {who}", fewer, 9, above=True),
        ]
    return found
