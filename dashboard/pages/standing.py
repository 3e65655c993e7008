"""Where an account and its ads stand: best and worst of a level, its own past, and the agency's other accounts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponse

import accounts.access as access
import campaigns.queries as queries
import insights.benchmarks as benchmarks
import insights.metrics as registry
import insights.rankings as rankings
from accounts.errors import Invalid
from accounts.models import AdAccount
from accounts.tenancy import Principal
from dashboard.pages.frame import Context, Part, page, principal, show
from dashboard.pages.tiles import PERIODS, Period, period
from insights.benchmarks import Own, Portfolio
from insights.metrics import METRICS, Metric
from metaads.clock import now

LEVELS = {"campaign": "Campaigns", "adset": "Ad sets", "ad": "Ads"}
SHOWN = 5
#: Those that are left out are counted, and so many of them named.
NAMED = 5
DAYS = ("7", "28")


@dataclass(frozen=True)
class Line:
    """One metric of the benchmarks; `good` and `poor` say which side of the others it stands on."""

    metric: Metric
    label: str
    own: Own
    others: Portfolio
    tone: str


@page
def standing(request: HttpRequest, act_id: str) -> HttpResponse:
    who = principal(request)
    row = access.ad_account(who, act_id)
    moment = now()
    chosen = period(row, request.GET.get("period", "last_28d"), moment)
    metric = _metric(request.GET.get("metric", "ctr"))
    if metric.private:
        access.require(who, "see_costs", row.client)
    level = _one_of("level", request.GET.get("level", "ad"), tuple(LEVELS))
    days = int(_one_of("days", request.GET.get("days", "28"), DAYS))
    parts = {
        "ranking": Part(
            "dashboard/parts/ranking.html", lambda: _ranking(who, row, chosen, metric, level, moment)
        ),
        "benchmarks": Part("dashboard/parts/benchmarks.html", lambda: _benchmarks(who, row, days, moment)),
    }
    may_see_costs = access.may(who, "see_costs", row.client_id)
    context: Context = {
        "title": f"Standing of {row.name}",
        "account": row,
        "periods": PERIODS.items(),
        "chosen": chosen,
        "metric": metric,
        "metrics": [one for one in METRICS.values() if may_see_costs or not one.private],
        "levels": LEVELS.items(),
        "level": level,
        "days": days,
        "result": registry.result_label(row.client.result_action),
    }
    return show(
        request, "dashboard/standing.html", section="overview", client=row.client, account=row, context=context,
        parts=parts,
    )  # fmt: skip


def _metric(name: str) -> Metric:
    if name not in METRICS:
        raise Invalid("There is no such metric.", advice="Choose one of the list.")
    return METRICS[name]


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise Invalid(f"There is no such {name}.", advice=f"Choose one of {', '.join(allowed)}.")
    return value


def _ranking(
    who: Principal, row: AdAccount, chosen: Period, metric: Metric, level: str, moment: datetime
) -> Context:
    best, worst = (
        rankings.rank(
            row, level=level, since=chosen.since, until=chosen.until, metric=metric.name, order=order,
            most=SHOWN, now=moment,
        )
        for order in (rankings.BEST, rankings.WORST)
    )  # fmt: skip
    left = best.left_out[:NAMED]
    ids = [one.object_id for ranking in (best, worst) for one in ranking.entries]
    called = queries.names(
        who, ad_account=row, level=level, meta_ids=[*ids, *(one.object_id for one in left)]
    )
    sides = [("Best" if metric.good else "Highest", best)]
    if best.of > SHOWN:
        sides.append(("Worst" if metric.good else "Lowest", worst))
    return {
        "sides": sides,
        "ranking": best,
        "left_out": left,
        "left_out_more": len(best.left_out) - len(left),
        "called": called,
    }


def _benchmarks(who: Principal, row: AdAccount, days: int, moment: datetime) -> Context:
    found = benchmarks.benchmarks(row, who=who, days=days, now=moment)
    return {
        "benchmark": found,
        "lines": [
            Line(METRICS[name], METRICS[name].label, found.own[name], other, _tone(METRICS[name], other))
            for name, other in found.portfolio.items()
        ],
    }


def _tone(metric: Metric, other: Portfolio) -> str:
    if other.place in ("", "within") or not metric.good:
        return ""
    return "good" if (other.place == "above") == (metric.good == "up") else "poor"
