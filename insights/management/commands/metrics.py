"""Print every metric with its formula and its limits: `manage.py metrics > docs/metrics.md`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand

from insights.attribution import CHOICES, DEFAULT
from insights.metrics import ADDITIVE, ALIASES, FAMILIES, METRICS, RANKS, RESULTS, Metric, result_label
from insights.results import EVENTS, GOALS, OBJECTIVES

_UNITS = {
    "money": "account currency",
    "count": "count",
    "ratio": "ratio",
    "percent": "percent",
    "rank": "class",
}


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

| Metric | Name | Formula | Unit | Shown | Levels | Adds up | By the hour | Restated for | Window | Result |
|---|---|---|---|---|---|---|---|---|---|---|
"""
_NOTES = """
*Adds up*: whether values of days or objects may be added; where not, why. *Window*: credited by Meta to an ad within an
attribution window, so the window is a part of the number. *Result*: depends on what counts as a conversion; different
results are never added. *Private*: only for roles that may see costs.

## What they mean

"""
_WINDOWS = """
## Attribution windows

Asked for with `attribution=`; every answer names its window. A longer click window contains the shorter one, so the two
are never added. Windows that are not read, and those that Meta retired, are refused.

| Window | What it adds |
|---|---|
"""
_RANKS = """
## Rankings

Meta's class of an ad against those that competed for the same people, on the last day of the period on which it gave
one. Answers carry Meta's word; rules and sorting use the place.

| Place | Meta's word | Shown |
|---|---|---|
"""
_GOALS = """
What counts as a conversion is the client's choice, for all of its objects. Without one, each ad set has what it is
optimised for; a campaign or an account has a result if all of its ad sets with rows in the period have the same, and
otherwise *conversions* and what rests on them are unknown, with the reason.

| Optimised for | Result |
|---|---|
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
    yield _GOALS
    yield from (f"| `{goal}` | {result_label(action)} |\n" for goal, action in GOALS.items())
    yield from (
        f"| `OFFSITE_CONVERSIONS` on `{event}` | {result_label(action)} |\n"
        for event, action in EVENTS.items()
    )
    yield from (
        f"| `OFFSITE_CONVERSIONS` in a campaign for `{objective}` | {result_label(action)} |\n"
        for objective, action in OBJECTIVES.items()
    )
    yield "| anything else | none that is counted |\n"
    yield _WINDOWS
    yield from (f"| `{name}` | {_added(name)} |\n" for name in CHOICES)
    yield _RANKS
    yield from (f"| {place} | `{word}` | {shown} |\n" for place, (word, shown) in enumerate(RANKS.items(), 1))
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
        _shown(one),
        "ads" if one.levels == ("ad",) else "all",
        f"no: {one.not_added}" if one.not_added else "yes",
        _mark(one.hourly),
        f"{one.lag_days} days",
        _mark(one.attributed),
        _mark(one.of_result),
    )
    return f"| {' | '.join(cells)} |\n"


def _shown(one: Metric) -> str:
    if one.unit == "rank":
        return "in words"
    return f"{one.decimals} decimals" if one.decimals else "whole"


def _added(name: str) -> str:
    if name == DEFAULT:
        return "each ad set's own setting; Meta's default is `7d_click` + `1d_view`"
    return " + ".join(f"`{part}`" for part in CHOICES[name])


def _mark(yes: bool) -> str:
    return "yes" if yes else "–"
