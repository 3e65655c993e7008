"""When it goes better: hours from the hourly rows, weekdays and seasons from the daily ones.

    hour, hour of the week   `analytics.pattern`; Meta tells no conversions by the hour
    weekday, month, week     the metric's two sides day by day -> `patterns.find`; days whose conversions are still
                             coming in are left out, because a young weekday would look like a bad one

Reads through `analytics` alone.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Final

import insights.analytics as analytics
from accounts.models import AdAccount
from insights.analytics import Rhythm
from insights.errors import UnknownMetric
from insights.metrics import METRICS, Metric, named
from insights.patterns import Family, find
from insights.windows import DAY, Period

HOURLY_FAMILIES: Final = frozenset({"hour", "hour_of_week"})
SEASONS: Final = frozenset({"month", "week"})
#: Meta answers for 37 months.
SEASON_DAYS: Final = 37 * 30


def comparable(metric: Metric, family: Family) -> bool:
    """Whether the metric is a ratio that this family can be told for."""
    if metric.over is None or "reach" in metric.bases:
        return False
    return metric.hourly if family in HOURLY_FAMILIES else True


def find_rhythm(
    ad_account: AdAccount,
    *,
    metric: str,
    family: Family,
    weeks: int,
    level: str = "account",
    object_id: str | None = None,
    now: datetime,
) -> Rhythm:
    """How a ratio differs within a family. A season looks as far back as Meta answers, whatever `weeks` says.

    Raises `UnknownMetric` with the metrics that the family can be told for.
    """
    asked = named(metric)
    if not comparable(asked, family):
        raise UnknownMetric(metric, tuple(one.name for one in METRICS.values() if comparable(one, family)))
    if family in HOURLY_FAMILIES:
        return analytics.pattern(
            ad_account, metric=metric, family=family, weeks=weeks, level=level, object_id=object_id, now=now
        )
    settled = asked.lag_days if asked.attributed else 0
    until = analytics.account_today(ad_account, now) - DAY * (1 + settled)
    days = SEASON_DAYS if family in SEASONS else 7 * weeks
    return _days(ad_account, asked, family, Period(until - DAY * (days - 1), until), level, object_id, now)


def _days(
    ad_account: AdAccount,
    metric: Metric,
    family: Family,
    period: Period,
    level: str,
    object_id: str | None,
    now: datetime,
) -> Rhythm:
    top, over = metric.bases
    series = analytics.series(
        ad_account, level=level, object_id=object_id, since=period.since, until=period.until,
        metrics=(top, over), now=now,
    )  # fmt: skip
    seen: dict[tuple[date, int], tuple[Decimal, Decimal]] = {}
    for point in series.points:
        above, below = point.values[top], point.values[over]
        if above is not None and below is not None and not isinstance(point.at, datetime):
            seen[point.at, 0] = (above, below)
    return Rhythm(series.header, metric, find(seen, family=family, up_is_good=metric.good != "down"))
