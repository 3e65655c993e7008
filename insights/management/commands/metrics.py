"""Print every metric with its formula and its limits: `manage.py metrics > docs/metrics.md`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand

from insights.metrics import ADDITIVE, ALIASES, FAMILIES, METRICS, RESULTS, Metric

_UNITS = {"money": "account currency", "count": "count", "ratio": "ratio", "percent": "percent"}


class Command(BaseCommand):
    help = "Print every metric with its formula and its limits, as Markdown (docs/metrics.md is this)."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write("".join(_page()), ending="")


_HEAD = """\
# Metrics

Made from the registry by `python manage.py metrics > docs/metrics.md`; pages, API, rules and exports read the
same table.

Sum first, divide last: a ratio over a period or over several objects is the ratio of the sums. Over 0, or over a
number that is not known, a ratio is unknown (`null`), never 0. *Reach* is read for one period and never added, so
what rests on it is known for single days and for the last 7 and 28 full days. By the hour only what Meta answers by
the hour is known.

| Metric | Name | Formula | Unit | Adds up | By the hour | Restated for | Attributed | Result |
|---|---|---|---|---|---|---|---|---|
"""
_NOTES = """
*Attributed*: credited by Meta to an ad within the ad account's attribution window (seven days after a click, one after
a view), so the window is a part of the number. *Result*: depends on what the client calls a result; sums of different
results are never made. *Private*: only for roles that may see costs.

## What they mean

"""
_RESULTS = """
## Results

Meta lists one conversion under several action types. Per row the first that it has is taken; they are never added.

| Column | Action types, first wins |
|---|---|
"""
_ALIASES = """
## Other names

Names of the API's first description and of Meta, understood wherever a metric is named.

| Other name | Metric |
|---|---|
"""


def _page() -> Iterator[str]:
    yield _HEAD
    yield from (_line(one) for one in METRICS.values())
    yield _NOTES
    yield from (f"- **{one.label}**: {one.description}\n" for one in METRICS.values() if one.description)
    yield _RESULTS
    yield from (
        f"| {base} | {', '.join(f'`{kind}`' for kind in kinds)} |\n" for base, kinds in FAMILIES.items()
    )
    yield f"\nA client's result is one of: {', '.join(f'`{name}`' for name in RESULTS)}.\n"
    yield _ALIASES
    yield from (f"| `{alias}` | `{name}` |\n" for alias, name in sorted(ALIASES.items()))
    yield f"\nKept per row and day: {', '.join(ADDITIVE)}, reach, and every action type with every window.\n"


def _line(one: Metric) -> str:
    label = f"{one.label} (private)" if one.private else one.label
    cells = (
        label,
        f"`{one.name}`",
        one.formula.replace(" * ", " × "),
        _UNITS[one.unit],
        _mark(one.summable),
        _mark(one.hourly),
        f"{one.lag_days} days",
        _mark(one.attributed),
        _mark(one.of_result),
    )
    return f"| {' | '.join(cells)} |\n"


def _mark(yes: bool) -> str:
    return "yes" if yes else "–"
