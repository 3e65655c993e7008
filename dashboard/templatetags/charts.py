"""Charts drawn on the server as SVG: they need no script, print sharp, and every one has a table behind it.

Plots stretch with the page (`preserveAspectRatio="none"`, strokes that do not scale); labels are HTML around them,
so that they stay readable at 390 px. An unknown value is a gap in the line, never a zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

WIDTH, HEIGHT = 1000.0, 240.0


def _runs(
    values: Sequence[Decimal | None], top: Decimal, width: float, height: float
) -> list[list[tuple[float, float]]]:
    """Points of each unbroken stretch of known values."""
    step = width / max(len(values) - 1, 1)
    runs: list[list[tuple[float, float]]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((index * step, height - float(value / top) * height))
    return [run for run in runs if run]


def _line(run: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in run)


def _paths(
    values: Sequence[Decimal | None], top: Decimal, width: float, height: float, kind: str, *, fill: bool
) -> str:
    markup = ""
    for run in _runs(values, top, width, height):
        line = _line(run) if len(run) > 1 else f"{_line(run)}h0.01"
        if fill and len(run) > 1:
            markup += (
                f'<path class="area" d="{line}L{run[-1][0]:.1f} {height:.1f}L{run[0][0]:.1f} {height:.1f}Z"/>'
            )
        markup += f'<path class="line {kind}" d="{line}" vector-effect="non-scaling-stroke"/>'
    return markup


@register.simple_tag
def spark(points: Sequence[Decimal | None]) -> SafeString:
    """A small line without axes. Nothing where there are fewer than two known values."""
    known = [value for value in points if value is not None]
    if len(known) < 2:
        return mark_safe('<span class="spark-none" aria-hidden="true"></span>')
    top = max(known) or Decimal(1)
    body = _paths(points, top * Decimal("1.08"), 120, 32, "now", fill=True)
    return format_html(
        '<svg class="spark" viewBox="0 0 120 32" preserveAspectRatio="none" aria-hidden="true">{}</svg>',
        mark_safe(body),  # noqa: S308 - numbers only
    )


def nice(top: Decimal, least: Decimal = Decimal(1)) -> Decimal:
    """The next number above that four steps divide well: 1, 2, 4, 6, 8 times a power of ten."""
    top = max(top, least)
    power = Decimal(1).scaleb(top.adjusted())
    return next((power * factor for factor in (1, 2, 4, 6, 8) if top <= power * factor), power * 10)


@register.inclusion_tag("dashboard/parts/chart.html")
def chart(plot: Any) -> dict[str, Any]:
    """A `Plot`: line of this period, a fainter one of the period before, axes in HTML, and the table behind."""
    known = [value for value in (*plot.values, *plot.before) if value is not None]
    top = nice(max(known, default=Decimal(0)), Decimal(4) if plot.unit == "count" else Decimal("0.04"))
    grid = "".join(
        f'<path class="grid" d="M0 {HEIGHT * part / 4:.1f}H{WIDTH:.0f}" vector-effect="non-scaling-stroke"/>'
        for part in range(5)
    )
    body = grid
    if plot.before:
        body += _paths(plot.before, top, WIDTH, HEIGHT, "before", fill=False)
    body += _paths(plot.values, top, WIDTH, HEIGHT, "now", fill=True)
    labels = [top * part / 4 for part in (4, 3, 2, 1, 0)]
    return {
        "plot": plot,
        "body": mark_safe(body),  # noqa: S308 - numbers only
        "known": any(value is not None for value in plot.values),
        "ticks": [_tick(value) for value in labels],
        "compared": any(value is not None for value in plot.before),
        "firsts": _spread(plot.labels),
        "rows": list(zip(plot.labels, plot.values, [*plot.before, *[None] * len(plot.values)], strict=False)),
        "viewbox": f"0 0 {WIDTH:.0f} {HEIGHT:.0f}",
    }


def _tick(value: Decimal) -> str:
    if value >= 10_000:
        return f"{(value / 1000).normalize():f}k"
    return f"{value.normalize():,f}" if value else "0"


def _spread(labels: Sequence[str]) -> list[str]:
    """Five labels at most, the first and the last among them."""
    if len(labels) <= 5:
        return list(labels)
    return [labels[round(index * (len(labels) - 1) / 4)] for index in range(5)]
