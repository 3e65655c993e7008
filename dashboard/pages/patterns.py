"""When an account's ads go better: hours, weekdays and seasons, each with its interval, or what is missing to tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.http import HttpRequest, HttpResponse

import accounts.access as access
import insights.rhythms as rhythms
from accounts.errors import Invalid
from accounts.models import AdAccount
from dashboard.pages.frame import Context, Part, page, principal, show
from insights.analytics import Rhythm
from insights.metrics import METRICS, Metric
from insights.patterns import Family, Group
from metaads.clock import now

WEEKS = (4, 8, 13, 26)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
#: Colours of the heat map: from the lowest ratio to the highest.
SHADES = 7


@dataclass(frozen=True)
class Cell:
    """One hour, weekday, month or week as it is shown; values in the metric's unit, `shade` 0..6 or None."""

    label: str
    short: str
    value: Decimal | None
    low: Decimal | None
    high: Decimal | None
    over: Decimal
    verdict: str
    shade: int | None


@dataclass(frozen=True)
class Shown:
    """One family for its template. `sentence` says what was found, in words."""

    rhythm: Rhythm
    title: str
    cells: tuple[Cell, ...]
    sentence: str

    @property
    def shades(self) -> int:
        return SHADES

    @property
    def rows(self) -> tuple[tuple[str, tuple[Cell, ...]], ...]:
        """The week as seven rows of 24 hours."""
        return tuple((WEEKDAYS[day][:3], self.cells[24 * day : 24 * day + 24]) for day in range(7))


@page
def patterns(request: HttpRequest, act_id: str) -> HttpResponse:
    who = principal(request)
    row = access.ad_account(who, act_id)
    moment = now()
    metric = _metric(request.GET.get("metric", "ctr"))
    if metric.private:
        access.require(who, "see_costs", row.client)
    weeks = _weeks(request.GET.get("weeks", "8"))
    parts = {
        "hours": Part("dashboard/parts/hours.html", lambda: _hours(row, metric, weeks, moment)),
        "weekdays": Part("dashboard/parts/weekdays.html", lambda: _weekdays(row, metric, weeks, moment)),
        "seasons": Part("dashboard/parts/seasons.html", lambda: _seasons(row, metric, weeks, moment)),
    }
    may_see_costs = access.may(who, "see_costs", row.client_id)
    context: Context = {
        "title": f"Patterns of {row.name}",
        "account": row,
        "metric": metric,
        "metrics": [
            one
            for one in METRICS.values()
            if rhythms.comparable(one, "weekday") and (may_see_costs or not one.private)
        ],
        "weeks": weeks,
        "weeks_choices": WEEKS,
    }
    return show(
        request, "dashboard/patterns.html", section="overview", client=row.client, account=row, context=context,
        parts=parts,
    )  # fmt: skip


def _metric(name: str) -> Metric:
    found = METRICS.get(name)
    if found is None or not rhythms.comparable(found, "weekday"):
        raise Invalid("There is no pattern of that.", advice="Choose a ratio such as ctr, cpc or roas.")
    return found


def _weeks(text: str) -> int:
    if text not in {str(one) for one in WEEKS}:
        raise Invalid(
            "There is no such number of weeks.", advice=f"Choose one of {', '.join(map(str, WEEKS))}."
        )
    return int(text)


def _hours(row: AdAccount, metric: Metric, weeks: int, moment: datetime) -> Context:
    if not metric.hourly:
        return {"by_hour": None, "heat": None}
    return {
        "heat": _shown(row, metric, "hour_of_week", weeks, moment, "Hours of the week"),
        "by_hour": _shown(row, metric, "hour", weeks, moment, "Hours of the day"),
    }


def _weekdays(row: AdAccount, metric: Metric, weeks: int, moment: datetime) -> Context:
    return {
        "by_weekday": _shown(row, metric, "weekday", weeks, moment, "Weekdays"),
        "settled": metric.lag_days if metric.attributed else 0,
    }


def _seasons(row: AdAccount, metric: Metric, weeks: int, moment: datetime) -> Context:
    return {
        "by_month": _shown(row, metric, "month", weeks, moment, "Months of the year"),
        "by_week": _shown(row, metric, "week", weeks, moment, "Weeks of the year"),
    }


def _shown(row: AdAccount, metric: Metric, family: Family, weeks: int, moment: datetime, title: str) -> Shown:
    rhythm = rhythms.find_rhythm(row, metric=metric.name, family=family, weeks=weeks, now=moment)
    ratios = [one.ratio for one in rhythm.pattern.groups if one.ratio is not None]
    span = (min(ratios), max(ratios)) if ratios else (0.0, 0.0)
    cells = tuple(_cell(one, family, metric, span) for one in rhythm.pattern.groups)
    return Shown(rhythm, title, cells, _sentence(rhythm, cells))


def _cell(one: Group, family: Family, metric: Metric, span: tuple[float, float]) -> Cell:
    label, short = _label(one, family)
    shade = None
    if one.ratio is not None:
        width = span[1] - span[0]
        shade = min(int((one.ratio - span[0]) / width * SHADES), SHADES - 1) if width else SHADES // 2
    return Cell(
        label=label,
        short=short,
        value=one.top * metric.times / one.over if one.over else None,
        low=None if one.low is None else Decimal(one.low) * metric.times,
        high=None if one.high is None else Decimal(one.high) * metric.times,
        over=one.over,
        verdict=one.verdict,
        shade=shade,
    )


def _label(one: Group, family: Family) -> tuple[str, str]:
    hour = "" if one.hour is None else f"{one.hour:02}:00"
    if one.weekday is not None:
        day = WEEKDAYS[one.weekday]
        return (f"{day} {hour}".strip(), day[:3])
    if one.hour is not None:
        return (hour, f"{one.hour:02}")
    assert one.season is not None
    return (MONTHS[one.season - 1], MONTHS[one.season - 1][:3]) if family == "month" else (
        f"Week {one.season}", str(one.season)
    )  # fmt: skip


def _sentence(rhythm: Rhythm, cells: tuple[Cell, ...]) -> str:
    if not rhythm.pattern.enough:
        return f"Not enough to tell yet. {rhythm.pattern.why}"
    said = []
    for verdict in ("better", "worse"):
        names = [one.label for one in cells if one.verdict == verdict]
        if names:
            more = f" and {len(names) - 6} more" if len(names) > 6 else ""
            said.append(f"{verdict.capitalize()} than the rest: {', '.join(names[:6])}{more}.")
    return " ".join(said) or "No difference seen: what varies here is what chance alone would show."
