"""Figures as pages show them: a value with its unit, the comparison, a spark line, and what may be believed of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import insights.analytics as analytics
import insights.comparisons as comparisons
import insights.metrics as registry
from accounts.errors import Invalid
from accounts.models import AdAccount
from insights.comparisons import AGAINST, Against, Compared, Comparison

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
    against: str
    why_no_change: str
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
    against: Against = "previous"

    @property
    def against_words(self) -> str:
        return AGAINST[self.against]


def period(ad_account: AdAccount, key: str, now: datetime, against: str = "previous") -> Period:
    """A named period, and what it is held against."""
    if key not in PERIODS:
        raise Invalid("There is no such period.", advice=f"Choose one of {', '.join(PERIODS)}.")
    found = next((one for one in AGAINST if one == against), None)
    if found is None:
        raise Invalid("There is no such comparison.", advice=f"Choose one of {', '.join(AGAINST)}.")
    since, until = analytics.preset(key, ad_account, now)
    return Period(key, PERIODS[key], since, until, found)


def compared(
    ad_account: AdAccount,
    *,
    chosen: Period,
    names: Sequence[str],
    level: str = "account",
    object_id: str | None = None,
    drawn: int = 7,
    drawn_to: date | None = None,
    now: datetime,
) -> Comparison:
    """The page's period against the one it is held against, with the days of its lines."""
    return comparisons.compare(
        ad_account, since=chosen.since, until=chosen.until, against=chosen.against, level=level,
        object_id=object_id, metrics=names, drawn=drawn, drawn_to=drawn_to, now=now,
    )  # fmt: skip


def tiles(
    *,
    ad_account: AdAccount,
    names: Sequence[str],
    found: Comparison,
    points: Sequence[analytics.Point] = (),
    result: str,
) -> tuple[Tile, ...]:
    """One tile per metric, with what the comparison says of it."""
    return tuple(_tile(ad_account, name, found, points, result) for name in names)


def _tile(
    ad_account: AdAccount, name: str, found: Comparison, points: Sequence[analytics.Point], result: str
) -> Tile:
    metric = registry.named(name)
    header, value, moved = found.totals.header, found.totals.values.get(name), found.metrics[name]
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
        change=moved.change,
        tone=_tone(metric.good, moved.change),
        before=moved.before,
        against=_against(found, moved),
        why_no_change=moved.why,
        state=state,
        why=why,
        points=tuple(point.values.get(name) for point in points),
        description=metric.description,
    )


def _against(found: Comparison, moved: Compared) -> str:
    words = AGAINST[found.against]
    return f"{words}, as expected in the end" if moved.basis == "expected" else words


def _tone(good: str, change: Decimal | None) -> str:
    if change is None or not good or abs(change) < Decimal("0.5"):
        return ""
    return "good" if (change > 0) == (good == "up") else "poor"
