"""What a chart draws: one metric over days or hours, the period before beside it, labelled in the account's zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import insights.analytics as analytics
import insights.metrics as registry


@dataclass(frozen=True)
class Plot:
    """Equally many `labels`, `values` and (or none) `before`; None is a gap."""

    name: str
    title: str
    unit: str
    currency: str
    zone: str
    labels: tuple[str, ...]
    values: tuple[Decimal | None, ...]
    before: tuple[Decimal | None, ...]
    before_words: str
    header: analytics.Header


def plot(
    *,
    name: str,
    title: str,
    now: analytics.Series,
    before: analytics.Series | None = None,
    before_words: str = "",
) -> Plot:
    """The plot of one metric of a series; `before` is laid over it from its first point."""
    header = now.header
    values = tuple(point.values.get(name) for point in now.points)
    earlier = tuple(point.values.get(name) for point in before.points) if before is not None else ()
    labels = tuple(_label(point.at, header.zone) for point in now.points)
    if len(earlier) > len(values):  # the running day: its hours to come have a past to be measured by
        assert before is not None
        labels = tuple(_label(point.at, header.zone) for point in before.points)
        values += (None,) * (len(earlier) - len(values))
    return Plot(
        name=name,
        title=title,
        unit=registry.named(name).unit,
        currency=header.currency,
        zone=header.zone,
        labels=labels,
        values=values,
        before=earlier,
        before_words=before_words,
        header=header,
    )


def _label(at: date | datetime, zone: str) -> str:
    if isinstance(at, datetime):
        return f"{at.astimezone(ZoneInfo(zone)):%H:00}"
    return f"{at:%d %b}"
