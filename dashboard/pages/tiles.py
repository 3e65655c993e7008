"""Figures as pages show them: a value with its unit, the comparison, a spark line, and what may be believed of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import insights.analytics as analytics
import insights.metrics as registry
from accounts.errors import Invalid
from accounts.models import AdAccount

Values = Mapping[str, Decimal | None]

#: Periods that a page offers: key -> words. They end at the account's today or yesterday, in its own zone.
PERIODS: Mapping[str, str] = {
    "today": "Today",
    "yesterday": "Yesterday",
    "last_7d": "7 days",
    "last_14d": "14 days",
    "last_28d": "28 days",
}
HEADLINE = ("spend", "conversions", "cpa", "roas", "impressions", "clicks", "ctr", "cpc", "cpm")


@dataclass(frozen=True)
class Tile:
    """One figure. `state` is ready, stale, partial, unavailable or empty; `good` tells which way is welcome."""

    name: str
    label: str
    unit: str
    decimals: int
    value: Decimal | None
    currency: str
    change: Decimal | None
    tone: str
    before: Decimal | None
    state: str
    why: str
    points: tuple[Decimal | None, ...]
    description: str


@dataclass(frozen=True)
class Period:
    key: str
    words: str
    since: date
    until: date
    before_since: date
    before_until: date


def period(ad_account: AdAccount, key: str, now: datetime) -> Period:
    """A named period and the equally long one right before it."""
    if key not in PERIODS:
        raise Invalid("There is no such period.", advice=f"Choose one of {', '.join(PERIODS)}.")
    since, until = analytics.preset(key, ad_account, now)
    days = (until - since).days + 1
    return Period(key, PERIODS[key], since, until, since - timedelta(days=days), since - timedelta(days=1))


def tiles(
    *,
    ad_account: AdAccount,
    names: Sequence[str],
    header: analytics.Header,
    values: Values,
    before: Values,
    points: Sequence[analytics.Point] = (),
    result: str,
) -> tuple[Tile, ...]:
    """One tile per metric. A comparison is made only where both sides are known."""
    return tuple(
        _tile(ad_account, name, header, values.get(name), before.get(name), points, result) for name in names
    )


def _tile(
    ad_account: AdAccount,
    name: str,
    header: analytics.Header,
    value: Decimal | None,
    before: Decimal | None,
    points: Sequence[analytics.Point],
    result: str,
) -> Tile:
    metric = registry.named(name)
    change = None
    if value is not None and before:
        change = (value - before) / abs(before) * 100
    state, why = header.trust.state, " ".join(header.trust.reasons)
    if value is None and state in ("ready", "stale"):
        state, why = (
            "empty",
            f"No {result.lower()} yet." if name in ("cpa", "roas") else "Nothing to divide by yet.",
        )
    return Tile(
        name=name,
        label=result if name == "conversions" else metric.label,
        unit=metric.unit,
        decimals=metric.decimals,
        value=value,
        currency=ad_account.currency,
        change=change,
        tone=_tone(metric.good, change),
        before=before,
        state=state,
        why=why,
        points=tuple(point.values.get(name) for point in points),
        description=metric.description,
    )


def _tone(good: str, change: Decimal | None) -> str:
    if change is None or not good or abs(change) < Decimal("0.5"):
        return ""
    return "good" if (change > 0) == (good == "up") else "poor"
