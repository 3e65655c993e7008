"""What the rule language knows of a metric: its unit and kind, where and over which windows it can be known.

Two figures are compared only where they are of one kind: money with money, counts with counts, a share with a share;
of the ratios only those of the same two things (a ROAS is no frequency).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from insights.metrics import METRICS, VALUES, Metric
from strategies.engine.spans import Kind, Span

#: Reach is read for single days and for these many full days; over any other window nobody knows it.
REACH_DAYS: Final = frozenset({1, 7, 28})
RANKS_TO: Final = 5
_RETURNS: Final = frozenset({*VALUES.values(), "conversion_value"})


@dataclass(frozen=True)
class Figure:
    """`kind` is what it may be compared with. `people`: it rests on reach; `signed`: it may be below 0."""

    name: str
    label: str
    unit: str
    kind: str
    hourly: bool = False
    people: bool = False
    ads_only: bool = False
    signed: bool = False
    summable: bool = False

    def trouble(self, span: Span, *, hours_known: bool) -> str:
        """Why it can never be known over this window, in words; empty when it can."""
        if span.kind is Kind.HOURS and not hours_known:
            return "hours are only known of campaigns and accounts: take today, or the figure of its campaign"
        if span.kind is Kind.HOURS and not self.hourly:
            return f"{self.name} is not known by the hour: take today"
        single = span.kind is Kind.TODAY or (span.kind is Kind.DAYS and span.count in REACH_DAYS)
        if self.people and not single:
            return (
                f"{self.name} rests on reach, which is only known of today, yesterday, last_7d and last_28d"
            )
        return ""


def figure(metric: Metric) -> Figure:
    """What the language knows of a metric of the registry."""
    return Figure(
        name=metric.name,
        label=metric.label,
        unit=metric.unit,
        kind=_kind(metric),
        hourly=metric.hourly,
        people="reach" in metric.bases,
        ads_only="campaign" not in metric.levels,
        signed="profit" in metric.bases,
        summable=metric.summable,
    )


def _kind(metric: Metric) -> str:
    if metric.unit != "ratio":
        return str(metric.unit)
    return "return" if metric.top in _RETURNS and metric.over == "spend" else metric.name


FIGURES: Final[Mapping[str, Figure]] = {name: figure(metric) for name, metric in METRICS.items()}
_WORDS: Final = {
    "money": "an amount of money",
    "count": "a count",
    "percent": "a percentage",
    "rank": "a class of Meta's ranking",
    "return": "a return on spend",
}


def money(amount: Decimal, currency: str, minor_unit: Decimal | None, *, finer: int = 0) -> str:
    """ "USD 1,048.20", "JPY 1,200": to the currency's smallest unit, or finer where that would show 0."""
    unit = (minor_unit or Decimal("0.01")).scaleb(-finer)
    shown = amount.quantize(unit, ROUND_HALF_EVEN)
    if shown == 0 and amount != 0:
        shown = amount.quantize(Decimal("0.0001"), ROUND_HALF_EVEN)
    return f"{currency} {shown:,f}"


def words(kind: str) -> str:
    """The kind in a sentence."""
    return _WORDS.get(kind, f"a ratio ({kind})")


def like(one: Figure, figures: Iterable[Figure]) -> str:
    """Some metrics that may be compared with it, the most alike first: "cpc, cpm or cpp"."""
    names = [other.name for other in figures if other.kind == one.kind and other.name != one.name]
    near = difflib.get_close_matches(one.name, names, n=3, cutoff=0.0)
    return " or ".join(filter(None, [", ".join(near[:-1]), near[-1]])) if near else ""
