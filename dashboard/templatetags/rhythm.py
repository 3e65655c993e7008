"""Hours, weekdays and seasons drawn on the server: a heat map of the week, and ratios with their intervals.

What is drawn is `dashboard.pages.patterns.Shown` and its cells; sibling edges do not import each other.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import template
from django.utils.html import strip_tags
from django.utils.safestring import mark_safe

from dashboard.templatetags.charts import HEIGHT, WIDTH, nice
from dashboard.templatetags.show import figure
from insights.metrics import METRICS

register = template.Library()


@register.inclusion_tag("dashboard/parts/heat_map.html")
def heat_map(shown: Any) -> dict[str, Any]:
    """The week as 7 x 24 cells; what differs is marked with a sign too, not with colour alone."""
    return {
        **_about(shown),
        "hours": [f"{hour}" for hour in range(24)],
        "rows": [(day, [(cell, _told(shown, cell)) for cell in cells]) for day, cells in shown.rows],
        "shades": range(shown.shades),
    }


@register.inclusion_tag("dashboard/parts/intervals.html")
def intervals(shown: Any) -> dict[str, Any]:
    """One mark for each group, with its interval, above a scale that begins at 0."""
    highs = [value for cell in shown.cells for value in (cell.high, cell.value) if value is not None]
    top = nice(max(highs, default=Decimal(1)), Decimal("0.0004"))
    width = WIDTH / max(len(shown.cells), 1)
    body = "".join(
        f'<path class="grid" d="M0 {HEIGHT * part / 4:.1f}H{WIDTH:.0f}" vector-effect="non-scaling-stroke"/>'
        for part in range(5)
    )
    for index, cell in enumerate(shown.cells):
        body += _mark(cell, (index + 0.5) * width, width, top)
    return {
        **_about(shown),
        "body": mark_safe(body),  # noqa: S308 - numbers only
        "ticks": [f"{(top * part / 4).normalize():,f}" if part else "0" for part in (4, 3, 2, 1, 0)],
        "cells": [(cell, _told(shown, cell)) for cell in shown.cells],
    }


def _mark(cell: Any, x: float, width: float, top: Decimal) -> str:
    if cell.value is None:
        return ""
    tone, half = cell.verdict or "same", width * 0.28
    y = HEIGHT - float(cell.value / top) * HEIGHT
    markup = _stroke("ratio", tone, f"M{x - half:.1f} {y:.1f}H{x + half:.1f}")
    if cell.low is not None and cell.high is not None:
        low, high = (HEIGHT - float(one / top) * HEIGHT for one in (cell.low, cell.high))
        markup += _stroke("interval", tone, f"M{x:.1f} {low:.1f}V{high:.1f}")
    return markup


def _stroke(kind: str, tone: str, path: str) -> str:
    return f'<path class="{kind} {tone}" d="{path}" vector-effect="non-scaling-stroke"/>'


def _about(shown: Any) -> dict[str, Any]:
    metric, pattern, header = shown.rhythm.metric, shown.rhythm.pattern, shown.rhythm.header
    over = METRICS.get(metric.over or "")
    return {
        "shown": shown,
        "metric": metric,
        "enough": pattern.enough,
        "any": any(cell.value is not None for cell in shown.cells),
        "currency": header.currency,
        "zone": header.zone,
        "over": over.label if over else metric.over,
        "over_unit": over.unit if over else "count",
    }


def _told(shown: Any, cell: Any) -> str:
    """One group in words: what a pointer or the focus on it says."""
    metric, currency = shown.rhythm.metric, shown.rhythm.header.currency
    if cell.value is None:
        return f"{cell.label}: nothing was delivered"

    def words(value: Decimal) -> str:
        return strip_tags(figure(value, metric.unit, currency, metric.decimals))

    text = f"{cell.label}: {words(cell.value)}"
    if cell.low is not None and cell.high is not None:
        text += f" (95 %: {words(cell.low)} to {words(cell.high)})"
    return f"{text}, {cell.verdict or 'no difference seen'}"
