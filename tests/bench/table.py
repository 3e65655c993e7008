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
    for name, lines in (("queries", _queries), ("push", _push), ("calls", _calls), ("memory", _memory)):
        if name in found:
            yield from lines(found[name])


def _ingest(part: Mapping[str, Any]) -> Iterator[str]:
    yield f"\n### Landing {part['days']} days\n"
    yield "| Who | Database | Latency ms | Rows | Wall s | Rows/s | CPU s | Peak MB | Requests |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for run in part["runs"]:
        yield (
            f"| {run['who']} | {run['database']} | {run['latency_ms']} | {run['rows']:,} | {run['seconds']:.1f} "
            f"| {run['rows_per_second']:,} | {run['cpu_seconds']:.1f} | {run['peak_mb']:.0f} | {run['requests']} |"
        )
    if part["peers"]:
        yield f"\nPeers: {', '.join(f'{package} {version}' for package, version in part['peers'].items())}."
    floors = part["floors"]
    if floors:
        yield (
            f"\nFloors, {floors['rows']:,} ad rows: `json.loads` of the pages {floors['parse_s']:.2f} CPU s, "
            f"COPY of seven columns into a table without index {floors['copy_s']:.2f} s."
        )
    yield from _goals(part["goals"])
    if part["not_measured"]:
        yield f"\nNot measured: {'; '.join(part['not_measured'])}."


def _queries(part: Mapping[str, Any]) -> Iterator[str]:
    for run in part["runs"]:
        yield f"\n### Questions over {run['ad_rows']:,} ad-days, {run['database']}\n"
        yield "| Question | Product p50 / p95 ms | Its sums alone | The same sums of the rows | Ratio of p95 |"
        yield "|---|---:|---:|---:|---:|"
        for one in run["questions"]:
            ratio = one["wide_p95_ms"] / max(one["sums_p95_ms"], 0.01) if one["wide_p95_ms"] else None
            yield (
                f"| {one['question']} | {_pair(one, 'whole')} | {_pair(one, 'sums')} | {_pair(one, 'wide')} "
                f"| {'' if ratio is None else f'{ratio:.0f}'} |"
            )
        sizes = ", ".join(f"{name} {size:,}" for name, size in run["sizes_mb"].items())
        yield (
            f"\n{run['ad_rows']:,} ad rows and {run['hour_rows']:,} hour rows were filled in {run['facts_s']:.0f} s, "
            f"their sums in {run['sums_s']:.0f} s. MB with indexes: {sizes}."
        )
        new = run["refresh"]
        yield (
            f"All {new['rows']:,} ad rows of the biggest account's 28 days restated: {new['upsert_s']:.1f} s, of which "
            f"rollups {new['rollups_s']:.2f} s, window sums {new['windows_s']:.2f} s, merge and revisions "
            f"{new['merge_s']:.1f} s."
        )
    yield from _goals(part["goals"])


def _pair(one: Mapping[str, Any], what: str) -> str:
    low, high = one[f"{what}_p50_ms"], one[f"{what}_p95_ms"]
    return "" if low is None else f"{low:.1f} / {high:.1f}"


def _push(part: Mapping[str, Any]) -> Iterator[str]:
    yield f"\n### Live push, {part['publishes']} frames to each socket\n"
    yield (
        "| Server | Sockets | p50 / p95 / p99 ms | Slowest ms | Arrived | CPU us a delivery "
        "| Less what open sockets cost | Open sockets: CPU % | Opened in s | MB |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for run in part["runs"]:
        yield (
            f"| {run['who']} | {run['sockets']:,} | {run['p50_ms']} / {run['p95_ms']} / {run['p99_ms']} "
            f"| {run['last_ms']} | {run['delivered']:,} of {run['wanted']:,} | {run['cpu_us']:.0f} "
            f"| {run['net_cpu_us']:.0f} | {run['idle_cpu_percent']} | {run['opened_s']} | {run['rss_mb']} |"
        )
    yield from _goals(part["goals"])
    if part["not_measured"]:
        yield f"\nNot measured: {'; '.join(part['not_measured'])}."


def _calls(part: Mapping[str, Any]) -> Iterator[str]:
    yield f"\n### Calls of one account with 50 campaigns and 1,000 ads, {part['hours']:g} h each\n"
    yield "| | " + " | ".join(span["who"] for span in part["spans"]) + " |"
    yield "|---|" + "---:|" * len(part["spans"])
    for words, key in (
        ("Insights calls an hour", "insights_per_hour"),
        ("A full loop of 30 seconds, calls an hour", "loop_per_hour"),
        ("A full loop that sees an overspend as soon, calls an hour", "equal_loop_per_hour"),
        ("All calls an hour (structure, tokens)", "calls_per_hour"),
        ("Calls of a poll that finds nothing", "calls_per_quiet_poll"),
        ("Share of insights calls that brought news", "share_with_news"),
        ("Efficiency", "efficiency"),
        ("Versions of the numbers seen", "versions"),
        ("From Meta's refresh to our tables, p50 s", "staleness_p50_s"),
        ("... p95 s", "staleness_p95_s"),
        ("Overspends at Meta", "overspends"),
        ("... seen in our tables", "overspends_seen"),
        ("... seconds later, on average", "overspend_mean_s"),
        ("Highest score of 60", "highest_score"),
        ("Calls refused", "refused"),
    ):
        yield (
            f"| {words} | "
            + " | ".join("" if span[key] is None else str(span[key]) for span in part["spans"])
            + " |"
        )
    yield from _goals(part["goals"])


def _memory(part: Mapping[str, Any]) -> Iterator[str]:
    yield "\n### Memory of landing rows\n"
    yield "| Database | Days | Rows | Peak MB |"
    yield "|---|---:|---:|---:|"
    for run in part["runs"]:
        yield f"| {run['database']} | {run['days']} | {run['rows']:,} | {run['peak_mb']:.0f} |"
    yield from _goals(part["goals"])


def _goals(goals: list[Mapping[str, Any]]) -> Iterator[str]:
    yield "\n| Goal | Wanted | Measured | Met |"
    yield "|---|---:|---:|---|"
    for one in goals:
        yield f"| {one['goal']} | {one['wanted']} | {one['measured']:g} | {'yes' if one['met'] else '**no**'} |"
