"""One ad account: live figures of a period against the one before, today hour by hour, and its campaigns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse

import accounts.access as access
import accounts.ad_accounts as ad_accounts
import campaigns.queries as queries
import insights.analytics as analytics
import insights.metrics as registry
from accounts.errors import Invalid
from accounts.models import AdAccount
from accounts.tenancy import Principal
from campaigns.changes.review import Action
from campaigns.models import Campaign
from dashboard.pages.frame import Context, Part, page, principal, show
from dashboard.pages.plots import plot
from dashboard.pages.tiles import HEADLINE, PERIODS, Period, Values, compared, period, tiles
from insights.comparisons import AGAINST
from insights.progress import standing
from metaads.clock import now

#: Columns of the campaigns table besides name, status and budget.
COLUMNS = ("spend", "conversions", "cpa", "roas", "ctr", "cpc", "impressions")


@dataclass(frozen=True)
class Row:
    """One campaign with its figures of the period; `share` of the account's spend in percent."""

    campaign: Campaign
    values: Values


@dataclass(frozen=True)
class Column:
    name: str
    label: str
    unit: str
    decimals: int
    href: str
    sorted: str


@page
def account(request: HttpRequest, act_id: str) -> HttpResponse:
    who = principal(request)
    row = access.ad_account(who, act_id)
    moment = now()
    chosen = period(row, request.GET.get("period", "last_7d"), moment, request.GET.get("compare", "previous"))
    sort = request.GET.get("sort", "-spend")
    parts = {
        "kpis": Part("dashboard/parts/kpis.html", lambda: _kpis(row, chosen, moment)),
        "today": Part("dashboard/parts/today.html", lambda: _today(row, moment)),
        "campaigns": Part(
            "dashboard/parts/campaigns.html", lambda: _campaigns(who, row, chosen, sort, moment)
        ),
        "about": Part("dashboard/parts/account_about.html", lambda: _about(who, row)),
    }
    context: Context = {
        "title": row.name,
        "account": row,
        "periods": PERIODS.items(),
        "againsts": AGAINST.items(),
        "chosen": chosen,
        "sort": sort,
        "result": registry.result_label(row.client.result_action),
    }
    return show(
        request,
        "dashboard/account.html",
        section="overview",
        client=row.client,
        context=context,
        parts=parts,
        account=row,
    )


def _about(who: Principal, row: AdAccount) -> Context:
    change = ad_accounts.last_change(row)
    return {
        "status_change": change,
        "status_before": ad_accounts.standing(*change.before).lower() if change else "",
        "may_connect": access.may(who, "connect", row.client_id),
        "polling": standing(row),
        "every": row.poll_seconds or settings.POLL_SECONDS,
    }


def _kpis(row: AdAccount, chosen: Period, moment: datetime) -> Context:
    found = compared(row, chosen=chosen, names=HEADLINE, now=moment)
    header = found.totals.header
    return {
        "header": header,
        "tiles": tiles(
            ad_account=row,
            names=HEADLINE,
            found=found,
            points=found.points,
            result=registry.result_label(row.client.result_action),
        ),
        "comparison": found,
        "progress": analytics.progress(row)
        if row.enabled and header.trust.state in ("unavailable", "partial")
        else None,
    }


def _today(row: AdAccount, moment: datetime) -> Context:
    today = analytics.account_today(row, moment)
    yesterday = today - timedelta(days=1)
    found = analytics.series(
        row, level="account", since=yesterday, until=today, metrics=("spend",), by="hour", now=moment
    )
    zone = ZoneInfo(row.timezone_name)
    both = [
        analytics.Series(
            found.header,
            tuple(
                point
                for point in found.points
                if isinstance(point.at, datetime) and point.at.astimezone(zone).date() == day
            ),
        )
        for day in (today, yesterday)
    ]
    hours = [_running([point.values["spend"] for point in one.points]) for one in both]
    summed = [
        analytics.Series(
            one.header,
            tuple(
                analytics.Point(point.at, {"spend": value})
                for point, value in zip(one.points, values, strict=True)
            ),
        )
        for one, values in zip(both, hours, strict=True)
    ]
    # The day's own row, not the sum of its hours: that is what every other page shows for today.
    total = analytics.totals(row, since=today, until=today, metrics=("spend", "conversions"), now=moment)
    return {
        "today": today,
        "today_header": total.header,
        "today_values": total.values,
        "today_plot": plot(
            name="spend",
            title="Spend today, adding up by the hour",
            now=summed[0],
            before=summed[1],
            before_words="yesterday",
        ),
    }


def _running(values: list[Decimal | None]) -> list[Decimal | None]:
    """The running sum; unknown from the first unknown hour on."""
    total: Decimal | None = Decimal(0)
    sums: list[Decimal | None] = []
    for value in values:
        total = None if total is None or value is None else total + value
        sums.append(total)
    return sums


def _campaigns(who: Principal, row: AdAccount, chosen: Period, sort: str, moment: datetime) -> Context:
    name = sort.removeprefix("-")
    if name not in ("name", "status", *COLUMNS):
        raise Invalid(
            "The table cannot be sorted by that.", advice=f"Choose one of name, status, {', '.join(COLUMNS)}."
        )
    table = analytics.table(
        row, level="campaign", since=chosen.since, until=chosen.until, metrics=COLUMNS, now=moment
    )
    figures = {one.object_id: one.values for one in table.rows}
    absent: Values = dict.fromkeys(COLUMNS)
    if table.header.trust.state in (
        "ready",
        "empty",
        "stale",
    ):  # the whole period was read: no row means none
        absent = {one: Decimal(0) if registry.named(one).over is None else None for one in COLUMNS}
    rows = [Row(one, figures.get(one.meta_id, absent)) for one in queries.campaigns(who, ad_account=row)]
    return {
        "table_header": table.header,
        "columns": [_column(one, sort, chosen, row) for one in COLUMNS],
        "name_column": {
            "href": _href("name" if sort != "name" else "-name", chosen),
            "sorted": _aria("name", sort),
        },
        "rows": sorted_rows(rows, sort),
        "may_request": access.may(who, "request_change", row.client_id) and not row.archived_at,
        "actions": list(Action),
    }


def sorted_rows(rows: list[Row], sort: str) -> list[Row]:
    """By name, status or a figure; "-" turns it round. Unknown figures come last either way."""
    name, down = sort.removeprefix("-"), sort.startswith("-")
    if name == "name":
        return sorted(rows, key=lambda row: row.campaign.name.casefold(), reverse=down)
    if name == "status":
        return sorted(rows, key=lambda row: row.campaign.effective_status, reverse=down)
    known = [row for row in rows if row.values.get(name) is not None]
    unknown = [row for row in rows if row.values.get(name) is None]
    return sorted(known, key=lambda row: row.values[name] or Decimal(0), reverse=down) + unknown


def _column(name: str, sort: str, chosen: Period, row: AdAccount) -> Column:
    metric = registry.named(name)
    label = registry.result_label(row.client.result_action) if name == "conversions" else metric.label
    turn = name if sort == f"-{name}" else f"-{name}"
    return Column(name, label, metric.unit, metric.decimals, _href(turn, chosen), _aria(name, sort))


def _href(sort: str, chosen: Period) -> str:
    return f"?period={chosen.key}&compare={chosen.against}&sort={sort}#campaigns"


def _aria(name: str, sort: str) -> str:
    if sort.removeprefix("-") != name:
        return "none"
    return "descending" if sort.startswith("-") else "ascending"
