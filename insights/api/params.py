"""What the paths of this floor take: periods, levels, metrics. A wrong value is a 400 that lists the right ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Final

from drf_spectacular.utils import OpenApiParameter

import accounts.access as access
import insights.analytics as analytics
import insights.breakdowns as breakdowns
import insights.formulas as formulas
from accounts.errors import Invalid
from accounts.models import AdAccount, Client
from accounts.tenancy import Principal
from insights.attribution import CHOICES, DEFAULT, chosen
from insights.errors import TooFarBack, UnknownAttribution, UnknownBreakdown, UnknownMetric, UnknownPeriod
from insights.metrics import METRICS, named
from insights.windows import PRESETS, Period

#: The brief's fields of an insight, and what an agency looks at next.
BRIEF: Final = ("spend", "impressions", "clicks", "ctr", "cpc", "cpm", "reach", "frequency")
USUAL: Final = (*BRIEF, "link_clicks", "conversions", "conversion_value", "cpa", "roas")
DEFAULT_PRESET: Final = "last_7d"
#: Meta answers for 37 months.
MOST_DAYS: Final = 1130
#: Day by day, for every object of a level, is a wide answer.
MOST_DAYS_BY_DAY: Final = 92

PERIOD: Final = [
    OpenApiParameter(
        "date_preset", str, enum=list(PRESETS), description=f"Default {DEFAULT_PRESET}; without today."
    ),
    OpenApiParameter("since", date, description="First day in the ad account's time zone; with `until`."),
    OpenApiParameter("until", date, description="Last day, inside."),
]
BREAKDOWNS: Final = OpenApiParameter(
    "breakdowns",
    str,
    enum=[",".join(one) for one in breakdowns.COMBINATIONS],
    description=f"Parts instead of totals, of the object itself, over at most {breakdowns.MOST_DAYS} days.",
)
MOST_SAMPLE_MINUTES: Final = 24 * 60
SAMPLES: Final = OpenApiParameter(
    "samples",
    int,
    description=f"Also what each look of the last so many minutes saw of its day, 1 to {MOST_SAMPLE_MINUTES}.",
)
METRIC_NAMES: Final = OpenApiParameter(
    "metrics", str, description=f"Names from /api/metrics, comma separated. Default: {', '.join(USUAL)}."
)

ATTRIBUTION: Final = OpenApiParameter(
    "attribution",
    str,
    enum=list(CHOICES),
    description="The window in which conversions are credited. Default: each ad set's own setting.",
)


def attribution(query: Mapping[str, str]) -> str:
    """The asked attribution window under its one name."""
    try:
        return chosen(query.get("attribution") or DEFAULT)
    except UnknownAttribution as unknown:
        raise _invalid("attribution", str(unknown), f"One of: {', '.join(unknown.allowed)}.") from None


def period(
    query: Mapping[str, str],
    ad_account: AdAccount,
    *,
    now: datetime,
    default: str = DEFAULT_PRESET,
    most: int = MOST_DAYS,
) -> Period:
    """The asked period, at most `most` days; since and until win over date_preset, as at Meta."""
    since, until = query.get("since"), query.get("until")
    if since or until:
        if not (since and until):
            raise _invalid("since", "Give both since and until.", "Dates look like 2026-11-18.")
        found = Period(_day("since", since), _day("until", until))
        if found.days < 1:
            raise _invalid("since", "since lies after until.", "Swap them.")
        return _not_longer(found, "since", most)
    name = query.get("date_preset") or default
    try:
        found = Period(*analytics.preset(name, ad_account, now))
    except UnknownPeriod as unknown:
        raise _invalid("date_preset", str(unknown), f"One of: {', '.join(unknown.allowed)}.") from None
    return _not_longer(found, "date_preset", most)


def samples(query: Mapping[str, str]) -> int:
    """How many minutes of looks are asked for; 0: none."""
    text = query.get("samples", "")
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= MOST_SAMPLE_MINUTES:
        raise _invalid(
            "samples", f"{text[:20]!r} is no number of minutes.", f"From 1 to {MOST_SAMPLE_MINUTES}."
        )
    return int(text)


def _not_longer(period: Period, field: str, most: int) -> Period:
    if period.days <= most:
        return period
    if most == MOST_DAYS:
        raise _invalid(field, f"A period has at most {most} days.", "Meta keeps 37 months.")
    raise _invalid(field, f"Day by day, a period has at most {most} days.", "Ask in parts, or for all_days.")


def metrics(query: Mapping[str, str], *, who: Principal, client: Client) -> tuple[str, ...]:
    """The asked metrics under the registry's names, aliases understood; profit for those who may see costs."""
    text = query.get("metrics")
    if not text:
        return USUAL
    words = [word.strip() for word in text.split(",") if word.strip()]
    try:
        own = formulas.named(client, words)
        names = tuple(dict.fromkeys(word if word in own else named(word).name for word in words))
    except UnknownMetric as unknown:
        allowed = ", ".join(unknown.allowed) or "none yet; write one at /api/metrics/own"
        raise _invalid("metrics", str(unknown), f"One of: {allowed}.") from None
    if any(own[name].private if name in own else METRICS[name].private for name in names):
        access.require(who, "see_costs", client)
    return names


def parts(query: Mapping[str, str], period: Period, *, today: date) -> tuple[str, ...]:
    """The asked breakdowns in their order; () without any."""
    text = query.get("breakdowns")
    if not text:
        return ()
    try:
        found = breakdowns.combination([word.strip() for word in text.split(",") if word.strip()])
        breakdowns.reachable(period, today=today)
    except UnknownBreakdown as unknown:
        raise _invalid("breakdowns", str(unknown), f"One of: {'; '.join(unknown.allowed)}.") from None
    except TooFarBack as gone:
        raise _invalid("since", str(gone), f"Begin on {gone.first.isoformat()} or later.") from None
    return found


def one_of(query: Mapping[str, str], name: str, allowed: Iterable[str], default: str) -> str:
    value = query.get(name) or default
    if value not in tuple(allowed):
        raise _invalid(name, f"{name} cannot be {value!r} here.", f"One of: {', '.join(allowed)}.")
    return value


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _invalid(name, f"{name} is not a date.", "Dates look like 2026-11-18.") from None


def _invalid(field: str, message: str, advice: str) -> Invalid:
    return Invalid(message, advice=advice, errors=[(field, f"{message} {advice}")])
