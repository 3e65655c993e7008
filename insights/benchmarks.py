"""Is this much or little? Against the account's own past, and against the agency's other accounts, anonymously.

    own        the last full days -> as many windows of that length before as were read whole -> percentile, quartiles
    portfolio  the last four full weeks, campaigns of the account's main objective -> other clients' accounts with
               enough volume -> smoothed quartiles, two digits -> or nothing, where the group is too small

Nobody may learn another client's number from the portfolio:
- Accounts of every client that the viewer may read are left out (who reads all clients: those of the viewed client),
  so nothing that a viewer knows or can change is in the group, and it is the same from each of their accounts.
- It has at least `LEAST_ACCOUNTS` accounts of `LEAST_CLIENTS` clients, none of which has more than half of them.
- Period, objective and filters are not the viewer's to choose, so two questions never differ by one account.
- No answer is anybody's value: quartiles weigh all values (`spread`), are cut to two digits, the size of the group
  is told in steps, and profit, own formulas and people reached are not compared at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

import insights.analytics as analytics
import insights.completeness as completeness
import insights.maturity as maturity
import insights.portfolio as portfolio
import insights.spread as spread
import insights.windows as days_of
from accounts.models import AdAccount
from accounts.tenancy import Principal
from campaigns.models import Campaign
from insights.analytics import Header, Result
from insights.metrics import METRICS, RESULTS, Terms, evaluate, measured, with_terms
from insights.portfolio import Member
from insights.windows import DAY, Period

#: What is benchmarked: ratios alone.
NAMES: Final = (
    "ctr", "link_ctr", "cpc", "cpm", "cpa", "roas", "conversion_rate", "engagement_rate", "view_rate", "hold_rate",
)  # fmt: skip
LEAST_WINDOWS: Final = 6
MOST_WINDOWS: Final = 26
LEAST_ACCOUNTS: Final = 5
LEAST_CLIENTS: Final = 3
PORTFOLIO_DAYS: Final = 28
#: An account is in a metric's group from this much of its divisor on.
_VOLUME: Final[Mapping[str, int]] = {
    "impressions": 10_000, "clicks": 100, "conversions": 10, "video_views": 500, "spend": 0,
}  # fmt: skip
_STEPS: Final = (5, 10, 20, 50, 100)
_UNREAD: Final = "Not all days of these weeks were read."
_YOUNG: Final = "Not comparable yet: conversions of these days are still coming in."


@dataclass(frozen=True)
class Own:
    """The metric now among its own earlier windows. `percentile` of them were lower."""

    value: Decimal | None
    low: Decimal | None
    median: Decimal | None
    high: Decimal | None
    percentile: Decimal | None
    windows: int
    why: str


@dataclass(frozen=True)
class Portfolio:
    """Smoothed quartiles of other accounts; `at_least` so many of them. `place` is below, within or above the middle
    half."""

    value: Decimal | None
    low: Decimal | None
    median: Decimal | None
    high: Decimal | None
    place: str
    at_least: int
    why: str


@dataclass(frozen=True)
class Benchmarks:
    header: Header
    days: int
    own: Mapping[str, Own]
    period: Period
    objective: str
    portfolio: Mapping[str, Portfolio]


def benchmarks(
    ad_account: AdAccount,
    *,
    who: Principal,
    days: int = 28,
    metrics: Sequence[str] = NAMES,
    now: datetime,
) -> Benchmarks:
    """Both comparisons of the ad account's ratios (some of `NAMES`); `days` is the length of the own windows."""
    header, own = _own(ad_account, days, metrics, now)
    today = analytics.account_today(ad_account, now)
    sunday = today - DAY * (today.weekday() + 1)
    period = Period(sunday - DAY * (PORTFOLIO_DAYS - 1), sunday)
    objective = _main_objective(ad_account, period, now)
    return Benchmarks(
        header, days, own, period, objective, _portfolio(ad_account, who, period, objective, metrics)
    )


# --- the account's own past


def _own(
    ad_account: AdAccount, days: int, metrics: Sequence[str], now: datetime
) -> tuple[Header, dict[str, Own]]:
    today = analytics.account_today(ad_account, now)
    last = days_of.last(days, today)
    asked = analytics.question(ad_account, metrics)
    columns = sorted(asked.columns - {"reach"})
    series = analytics.series(
        ad_account, level="account", since=last.since - DAY * days * MOST_WINDOWS, until=last.until,
        metrics=columns, now=now,
    )  # fmt: skip
    values = {point.at: point.values for point in series.points if not isinstance(point.at, datetime)}
    found = [
        window
        for window in (
            Period(last.since - DAY * days * k, last.until - DAY * days * k) for k in range(MOST_WINDOWS + 1)
        )
        if all(values.get(day, {}).get("impressions") is not None for day in window)
    ]
    shares: Mapping[str, Sequence[Decimal]] = {}
    if any(METRICS[column].attributed for column in columns):
        shares = {base: curve.shares for base, curve in completeness.curves(ad_account).items()}
    numbers = {window: _window(window, columns, values, today, shares) for window in found}
    header = analytics.totals(
        ad_account, since=last.since, until=last.until, metrics=("spend",), now=now
    ).header
    # One result for all windows: where they have different ones, their ratios are of different things.
    first = last.since - DAY * days * MOST_WINDOWS
    result = analytics.result_of(ad_account, since=first, until=last.until, metrics=metrics, now=now)
    return header, {name: _place(ad_account, name, last, numbers, result) for name in metrics}


def _window(
    window: Period,
    columns: Sequence[str],
    values: Mapping[date, Mapping[str, Decimal | None]],
    today: date,
    shares: Mapping[str, Sequence[Decimal]],
) -> dict[str, maturity.Sum]:
    return {
        column: maturity.grown(
            column, {day: values[day][column] for day in window}, today=today, shares=shares
        )
        for column in columns
    }


def _place(
    ad_account: AdAccount,
    name: str,
    last: Period,
    numbers: Mapping[Period, Mapping[str, maturity.Sum]],
    result: Result | None,
) -> Own:
    asked = analytics.question(ad_account, (name,))
    if asked.of_result and result is not None and result.reason:
        return Own(None, None, None, None, None, 0, result.reason)
    needs = asked.columns

    def value(sums: Mapping[str, maturity.Sum], which: str) -> Decimal | None:
        return asked.values({column: getattr(sums[column], which) for column in needs}, result)[name]

    past = [
        found
        for window, sums in numbers.items()
        if window != last and (found := value(sums, "expected")) is not None
    ]
    if last not in numbers:
        return Own(None, None, None, None, None, len(past), "These days were not all read.")
    mine = numbers[last]
    reported, expected = value(mine, "reported"), value(mine, "expected")
    if any(mine[column].young and mine[column].expected is None for column in needs):
        return Own(reported, None, None, None, None, len(past), _YOUNG)
    if len(past) < LEAST_WINDOWS:
        there = "1 earlier window" if len(past) == 1 else f"{len(past)} earlier windows"
        why = f"{there} of {last.days} days with a value; {LEAST_WINDOWS} are needed."
        return Own(reported, None, None, None, None, len(past), why)
    low, median, high = spread.quartiles(past)
    if expected is None:
        return Own(None, low, median, high, None, len(past), "Nothing to divide by in these days.")
    return Own(expected, low, median, high, spread.standing(expected, past), len(past), "")


# --- the agency's other accounts


def _main_objective(ad_account: AdAccount, period: Period, now: datetime) -> str:
    """The objective that the account spends most on in the period; "" where it spends nothing."""
    table = analytics.table(
        ad_account, level="campaign", since=period.since, until=period.until, metrics=("spend",), now=now
    )
    spent = {row.object_id: row.values["spend"] or Decimal(0) for row in table.rows}
    rows = Campaign.objects.of(ad_account.client_id).filter(ad_account=ad_account, meta_id__in=spent)
    by_objective: dict[str, Decimal] = {}
    for meta_id, objective in rows.values_list("meta_id", "objective"):
        by_objective[objective] = by_objective.get(objective, Decimal(0)) + spent[meta_id]
    best = max(by_objective, key=lambda one: (by_objective[one], one), default="")
    return best if best and by_objective[best] > 0 else ""


def _portfolio(
    ad_account: AdAccount, who: Principal, period: Period, objective: str, metrics: Sequence[str]
) -> dict[str, Portfolio]:
    if not objective:
        return {
            name: _no("The account spent nothing in these weeks, so it has no objective.") for name in metrics
        }
    bases = {base for name in metrics for base in METRICS[name].bases}
    columns = {column for result in RESULTS for column in measured(bases, Terms(result))}
    rows = portfolio.members(objective=objective, period=period, columns=columns)
    mine = next((row for row in rows if row.ad_account_id == ad_account.pk), None)
    return {name: _against(name, ad_account, mine, rows, who) for name in metrics}


def _against(
    name: str, ad_account: AdAccount, mine: Member | None, rows: Sequence[Member], who: Principal
) -> Portfolio:
    metric = METRICS[name]
    result = Result(ad_account.client.result_action) if mine is None else mine.result
    if metric.of_result and not result.action:
        return _no(result.reason or _UNREAD)
    group: list[tuple[Member, Decimal]] = []
    for row in rows:
        if row.client_id == ad_account.client_id or row.client_id in who.client_ids:
            continue
        if metric.unit == "money" and row.currency != ad_account.currency:
            continue
        if metric.of_result and RESULTS.get(row.result.action) != RESULTS.get(result.action):
            continue
        value = _value(name, row)
        if value is not None:
            group.append((row, value))
    value = None if mine is None else _value(name, mine)
    if not _hides([row for row, _ in group]):
        return Portfolio(value, None, None, None, "", 0, _few(metric.unit == "money"))
    low, median, high = (spread.blurred(one) for one in spread.quartiles([found for _, found in group]))
    place = ""
    if value is not None:
        place = "below" if value < low else "above" if value > high else "within"
    at_least = max(step for step in _STEPS if step <= len(group))
    return Portfolio(value, low, median, high, place, at_least, "")


def _value(name: str, row: Member) -> Decimal | None:
    # Costs stay out: profit is never compared across clients.
    bases = with_terms(row.sums, Terms(row.result.action))
    over = METRICS[name].over
    enough = bases.get(over) if over else None
    if over is None or enough is None or enough < _VOLUME.get(over, 0):
        return None
    return evaluate(name, bases)


def _hides(group: Sequence[Member]) -> bool:
    """Whether the group hides each of its members."""
    held = Counter(row.client_id for row in group)
    return (
        len(group) >= LEAST_ACCOUNTS
        and len(held) >= LEAST_CLIENTS
        and 2 * max(held.values(), default=0) <= len(group)
    )


def _few(money: bool) -> str:
    alike = "objective and currency" if money else "objective"
    return (
        f"Shown from {LEAST_ACCOUNTS} accounts of {LEAST_CLIENTS} clients whom you do not see, with the same {alike},"
        " none of which has more than half: a smaller group would give somebody's numbers away."
    )


def _no(why: str) -> Portfolio:
    return Portfolio(None, None, None, None, "", 0, why)
