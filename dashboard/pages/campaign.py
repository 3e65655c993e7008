"""One campaign: its figures day by day, its ad sets and ads, what may be changed, and what was changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache

from django.http import HttpRequest, HttpResponse

import accounts.access as access
import campaigns.changes.ledger as ledger
import campaigns.queries as queries
import insights.analytics as analytics
import insights.metrics as registry
import strategies.decisions as decisions
from accounts.errors import NotFound
from accounts.models import AdAccount
from accounts.tenancy import Principal
from campaigns.changes.consequences import SIGNIFICANT_PERCENT
from campaigns.changes.review import Action
from campaigns.models import Ad, AdSet, Campaign, LedgerLine
from campaigns.states import TERMINAL
from dashboard.pages.changes import names_of
from dashboard.pages.frame import Context, Part, page, principal, show
from dashboard.pages.plots import plot
from dashboard.pages.stories import who_did
from dashboard.pages.tiles import HEADLINE, PERIODS, Period, Values, compared, period, tiles
from insights.comparisons import AGAINST, Comparison
from metaads.clock import now

CHILD_COLUMNS = ("spend", "conversions", "cpa", "ctr", "cpc")
_HISTORY = 12
_JUDGED = 6


@dataclass(frozen=True)
class Child:
    """An ad set or ad with its figures; `depth` 0 is an ad set, 1 an ad below it."""

    obj: object
    depth: int
    values: Values


@page
def campaign(request: HttpRequest, act_id: str, meta_id: str) -> HttpResponse:
    who = principal(request)
    account = access.ad_account(who, act_id)
    row = queries.campaign(who, meta_id)
    if row.ad_account_id != account.pk:
        raise NotFound("There is no such campaign.")
    moment = now()
    chosen = period(
        account, request.GET.get("period", "last_14d"), moment, request.GET.get("compare", "previous")
    )

    @cache
    def figures() -> Comparison:
        return compared(
            account,
            chosen=chosen,
            names=HEADLINE,
            level="campaign",
            object_id=row.meta_id,
            drawn=0,
            now=moment,
        )

    parts = {
        "kpis": Part("dashboard/parts/kpis.html", lambda: _kpis(account, figures())),
        "days": Part("dashboard/parts/days.html", lambda: _days(account, figures())),
        "control": Part("dashboard/parts/control.html", lambda: _control(who, row)),
        "children": Part(
            "dashboard/parts/children.html", lambda: _children(who, account, row, chosen, moment)
        ),
        "strategies": Part("dashboard/parts/campaign_strategies.html", lambda: _judged(who, account, row)),
        "history": Part("dashboard/parts/history.html", lambda: _history(who, row)),
    }
    context: Context = {
        "title": row.name,
        "account": account,
        "campaign": row,
        "periods": PERIODS.items(),
        "againsts": AGAINST.items(),
        "chosen": chosen,
        "result": registry.result_label(account.client.result_action),
        "may_request": access.may(who, "request_change", row.client_id),
    }
    return show(
        request,
        "dashboard/campaign.html",
        section="overview",
        client=account.client,
        account=account,
        context=context,
        parts=parts,
    )


def _kpis(account: AdAccount, found: Comparison) -> Context:
    return {
        "header": found.totals.header,
        "tiles": tiles(
            ad_account=account,
            names=HEADLINE,
            found=found,
            result=registry.result_label(account.client.result_action),
        ),
        "comparison": found,
    }


def _days(account: AdAccount, found: Comparison) -> Context:
    header = found.totals.header
    now_, before = (analytics.Series(header, points) for points in (found.points, found.earlier))
    words = AGAINST[found.against]
    result = registry.result_label(account.client.result_action)
    return {
        "plots": [
            plot(name="spend", title="Spend by day", now=now_, before=before, before_words=words),
            plot(name="conversions", title=f"{result} by day", now=now_, before=before, before_words=words),
        ]
    }


def _control(who: Principal, row: Campaign) -> Context:
    """What may be changed, and the change that is on its way for it (at most one per field)."""
    row.refresh_from_db()
    mine = ledger.changes(who).filter(object_id=row.meta_id)
    on_the_way = list(mine.exclude(state__in=TERMINAL)[:4])
    owns = row.daily_budget is not None or row.lifetime_budget is not None
    return {
        "campaign": row,
        "on_the_way": on_the_way,
        "owns_budget": owns,
        "budget_field": "daily_budget" if row.daily_budget is not None else "lifetime_budget",
        "budget": row.daily_budget if row.daily_budget is not None else row.lifetime_budget,
        "latest": mine.first(),
        "significant": SIGNIFICANT_PERCENT,
    }


def _children(who: Principal, account: AdAccount, row: Campaign, chosen: Period, moment: datetime) -> Context:
    tables = {
        level: analytics.table(
            account,
            level=level,
            since=chosen.since,
            until=chosen.until,
            parent_id=row.meta_id,
            metrics=CHILD_COLUMNS,
            now=moment,
        )
        for level in ("adset", "ad")
    }
    figures = {level: {one.object_id: one.values for one in table.rows} for level, table in tables.items()}
    zero: Values = {one: Decimal(0) if registry.named(one).over is None else None for one in CHILD_COLUMNS}
    sets: list[AdSet] = list(queries.ad_sets(who, campaign=row))
    below: dict[int, list[object]] = {}
    for ad in Ad.objects.for_(who).filter(campaign=row, removed_at__isnull=True).order_by("name", "meta_id"):
        below.setdefault(ad.ad_set_id, []).append(ad)
    rows: list[Child] = []
    for one in sets:
        rows.append(Child(one, 0, figures["adset"].get(one.meta_id, zero)))
        rows.extend(Child(ad, 1, figures["ad"].get(ad.meta_id, zero)) for ad in below.get(one.pk, []))  # type: ignore[attr-defined]
    return {
        "children": rows,
        "actions": list(Action),
        "child_header": tables["adset"].header,
        "child_columns": [registry.named(one) for one in CHILD_COLUMNS],
    }


def _judged(who: Principal, account: AdAccount, row: Campaign) -> Context:
    """The latest answers of every strategy about the campaign and what is in it; what asked or was held comes first."""
    ids = [row.meta_id]
    for model in (AdSet, Ad):
        ids += model.objects.for_(who).filter(campaign=row).values_list("meta_id", flat=True)
    found = list(decisions.about(who, ad_account=account, object_ids=ids))
    order = {"fired": 0, "held": 1, "not_met": 2, "unknown": 2}
    found.sort(key=lambda one: (order.get(one.verdict, 3), one.object_id != row.meta_id))
    return {"judged": found[:_JUDGED], "judged_more": max(len(found) - _JUDGED, 0)}


def _history(who: Principal, row: Campaign) -> Context:
    lines: list[LedgerLine] = list(
        ledger.lines(who).filter(object_id=row.meta_id).order_by("-at", "-seq")[:_HISTORY]
    )
    return {"lines": lines, "did": who_did(lines, names_of(lines))}
