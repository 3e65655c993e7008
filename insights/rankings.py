"""Who leads and who trails by a metric, among those with enough volume for it to mean something.

    the level's rows of the period -> known values, enough of what they are divided by -> best or worst first
        -> equal values share a rank (1, 2, 2, 4); the larger spend stands first, then the smaller id

One click on ten impressions is a CTR of 10 % and no news: a ratio needs a least divisor. Whoever is left out is named,
with what is short. A sum of 0 is a value and is ranked; an object without rows in the period is not there.
Reads through `analytics` alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Literal

import insights.analytics as analytics
from accounts.models import AdAccount
from insights.analytics import Header, Result, TableRow
from insights.metrics import METRICS

Order = Literal["best", "worst"]
#: A ratio is ranked from this much of its divisor on.
LEAST: Final[Mapping[str, int]] = {
    "impressions": 1000,
    "reach": 500,
    "clicks": 30,
    "link_clicks": 30,
    "video_views": 100,
    "thruplays": 30,
    "landing_page_views": 30,
    "conversions": 5,
}
#: Where it is divided by money, from this share of all spend of the level on (amounts differ by currency).
LEAST_SPEND_PERCENT: Final = Decimal(1)
BEST: Final[Order] = "best"
WORST: Final[Order] = "worst"
MOST: Final = 50
_OTHERS: Final = "impressions"


@dataclass(frozen=True)
class Entry:
    """`share` is the object's part of the level's spend in percent; None where nothing was spent."""

    rank: int
    object_id: str
    value: Decimal
    spend: Decimal | None
    share: Decimal | None
    tied: bool


@dataclass(frozen=True)
class LeftOut:
    object_id: str
    value: Decimal | None
    spend: Decimal | None
    why: str


@dataclass(frozen=True)
class Ranking:
    """`of` objects could be ranked; `beyond` more have the value of the last entry. `least` of `least_of` is needed."""

    header: Header
    metric: str
    order: Order
    entries: tuple[Entry, ...]
    of: int
    beyond: int
    least: Decimal | None
    least_of: str
    left_out: tuple[LeftOut, ...]


def rank(
    ad_account: AdAccount,
    *,
    level: str,
    since: date,
    until: date,
    metric: str,
    order: Order = "best",
    most: int = 10,
    parent_id: str | None = None,
    now: datetime,
) -> Ranking:
    """The first `most` objects of a level by a metric. `best` is what is welcome: a low CPA, a high CTR.

    Of a metric without a welcome direction (spend, frequency) the highest come first.
    """
    divisor = _divisor(metric)
    names = dict.fromkeys((metric, "spend", *((divisor,) if divisor else ())))
    table = analytics.table(
        ad_account, level=level, since=since, until=until, parent_id=parent_id, metrics=tuple(names), now=now
    )
    least = _least(divisor, table.rows)
    main = _main_result(table.rows)
    in_, out = [], []
    for row in table.rows:
        why = _short(row, metric, divisor, least) or _other(row, main)
        if why:
            out.append(LeftOut(row.object_id, row.values[metric], row.values["spend"], why))
        else:
            in_.append(row)
    down = METRICS[metric].good == "down" if metric in METRICS else False
    entries = _entries(in_, metric, lowest_first=down == (order == "best"), whole=_sum(table.rows, "spend"))
    shown = entries[: min(most, MOST)]
    beyond = sum(1 for one in entries[len(shown) :] if one.value == shown[-1].value)
    out.sort(key=lambda one: (-(one.spend or Decimal(0)), one.object_id))
    return Ranking(table.header, metric, order, shown, len(entries), beyond, least, divisor or "", tuple(out))


def _divisor(metric: str) -> str | None:
    """What says whether there is enough: the metric's own divisor; None for sums."""
    known = METRICS.get(metric)
    if known is None:  # a client's own formula: its divisors may be anything
        return _OTHERS
    if known.over is None:
        return None
    return known.over if known.over in LEAST or known.over == "spend" else _OTHERS


def _least(divisor: str | None, rows: Sequence[TableRow]) -> Decimal | None:
    if divisor is None:
        return None
    if divisor == "spend":
        return _sum(rows, "spend") * LEAST_SPEND_PERCENT / 100
    return Decimal(LEAST[divisor])


def _short(row: TableRow, metric: str, divisor: str | None, least: Decimal | None) -> str:
    value = row.values[metric]
    if divisor is not None and least is not None:
        there = row.values[divisor]
        if there is None:
            return f"{_words(divisor)} are not known." if divisor != "spend" else "Spend is not known."
        if there < least:
            few = "Too little spend" if divisor == "spend" else f"Too few {_words(divisor).lower()}"
            return f"{few} to rank: {_plain(there)} of at least {_plain(least)}."
    return "Its value is not known." if value is None else ""


def _main_result(rows: Sequence[TableRow]) -> Result | None:
    """The result of most of the money, where the metric rests on one: a cost per click is no low cost per purchase."""
    spent: Counter[Result] = Counter()
    for row in rows:
        if row.result is not None and not row.result.reason:
            spent[row.result] += row.values["spend"] or Decimal(0)  # type: ignore[assignment]
    return max(spent, key=lambda one: (spent[one], one.action), default=None)


def _other(row: TableRow, main: Result | None) -> str:
    if row.result is None or main is None or row.result == main:
        return ""
    return row.result.reason or f"Its result is {row.result.label}; ranked are those with {main.label}."


def _entries(
    rows: Sequence[TableRow], metric: str, *, lowest_first: bool, whole: Decimal
) -> tuple[Entry, ...]:
    def place(row: TableRow) -> tuple[Decimal, Decimal, str]:
        value = row.values[metric] or Decimal(0)
        return (value if lowest_first else -value, -(row.values["spend"] or Decimal(0)), row.object_id)

    ordered = sorted(rows, key=place)
    values = [row.values[metric] or Decimal(0) for row in ordered]
    many = Counter(values)
    first: dict[Decimal, int] = {}
    found: list[Entry] = []
    for index, row in enumerate(ordered):
        spend = row.values["spend"]
        found.append(
            Entry(
                rank=first.setdefault(values[index], index + 1),
                object_id=row.object_id,
                value=values[index],
                spend=spend,
                share=None if spend is None or not whole else spend * 100 / whole,
                tied=many[values[index]] > 1,
            )
        )
    return tuple(found)


def _sum(rows: Sequence[TableRow], name: str) -> Decimal:
    return sum((row.values[name] or Decimal(0) for row in rows), Decimal(0))


def _words(base: str) -> str:
    return METRICS[base].label if base in METRICS else base


def _plain(value: Decimal) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".")
