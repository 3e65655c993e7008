"""What was measured, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def page(found: Mapping[str, Any]) -> str:
    return "\n".join(_lines(found))


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"Python {found['python']}, {found['cores']} cores, load {found['load_before']:.1f} before and "
        f"{found['load_after']:.1f} after."
    )
    if "ingest" in found:
        yield from _ingest(found["ingest"])


def _ingest(part: Mapping[str, Any]) -> Iterator[str]:
    yield f"\n### Landing {part['days']} days\n"
    yield "| Who | Database | Latency ms | Rows | Wall s | Rows/s | CPU s | Peak MB | Requests |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for run in part["runs"]:
        yield (
            f"| {run['who']} | {run['database']} | {run['latency_ms']} | {run['rows']:,} | {run['seconds']:.1f} "
            f"| {run['rows_per_second']:,} | {run['cpu_seconds']:.1f} | {run['peak_mb']:.0f} | {run['requests']} |"
        )
    floors = part["floors"]
    if floors:
        yield (
            f"\nFloors, {floors['rows']:,} ad rows: `json.loads` of the pages {floors['parse_s']:.2f} CPU s, "
            f"COPY of seven columns into a table without index {floors['copy_s']:.2f} s."
        )
    yield from _goals(part["goals"])
    if part["not_measured"]:
        yield f"\nNot measured: {'; '.join(part['not_measured'])}."


def _goals(goals: list[Mapping[str, Any]]) -> Iterator[str]:
    yield "\n| Goal | Wanted | Measured | Met |"
    yield "|---|---:|---:|---|"
    for one in goals:
        yield f"| {one['goal']} | {one['wanted']} | {one['measured']:g} | {'yes' if one['met'] else '**no**'} |"
