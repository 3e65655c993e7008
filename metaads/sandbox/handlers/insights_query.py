"""Parameters of an insights read: parsed, checked, defaulted (reference 5.1, 5.2, 5.5, 5.6)."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from metaads.sandbox.delivery.cells import family_of
from metaads.sandbox.errors import GraphError, invalid
from metaads.sandbox.handlers import insights_fields
from metaads.sandbox.handlers.call import loose, words
from metaads.sandbox.handlers.filters import conditions_of

LEVELS = ("account", "campaign", "adset", "ad")
HOURLY = "hourly_stats_aggregated_by_advertiser_time_zone"
MONTHS_BACK = 37
DEAD_WINDOWS = frozenset({"7d_view", "28d_view"})
WINDOWS = frozenset(
    {"1d_view", "1d_click", "7d_click", "28d_click", "1d_ev", "default", "dda", "incrementality"}
)
# Valid combinations (reference 5.5); device_platform joins like impression_device and may also stand alone.
VALID = frozenset(
    frozenset(names.split(","))
    for names in (
        "age",
        "gender",
        "age,gender",
        "country",
        "region",
        "publisher_platform",
        "publisher_platform,platform_position",
        "publisher_platform,impression_device",
        "publisher_platform,platform_position,impression_device",
        HOURLY,
        "device_platform",
        "publisher_platform,device_platform",
        "publisher_platform,platform_position,device_platform",
    )
)


@dataclasses.dataclass(frozen=True, slots=True)
class Slice:
    """A row's period: both days inclusive, account time zone."""

    since: dt.date
    until: dt.date


@dataclasses.dataclass(frozen=True, slots=True)
class Query:
    """A checked insights read."""

    level: str
    fields: tuple[str, ...]
    default_fields: bool
    slices: tuple[Slice, ...]
    breakdowns: tuple[str, ...]
    windows: tuple[str, ...]
    filters: tuple[dict[str, Any], ...]
    sort: str
    summary: tuple[str, ...]

    @property
    def family(self) -> str | None:
        """The partition behind the breakdowns; None without or with the hourly one."""
        return family_of(self.breakdowns[0]) if self.breakdowns else None

    @property
    def hourly(self) -> bool:
        """Whether rows are by local hour."""
        return HOURLY in self.breakdowns


def parse(params: dict[str, Any], *, own_level: str, today: dt.date) -> Query:
    """Check the parameters; raises the error that Meta answers."""
    level = str(params.get("level") or own_level)
    if level not in LEVELS:
        raise GraphError(100, f"(#100) level must be one of the following values: {', '.join(LEVELS)}")
    fields = tuple(words(params.get("fields")))
    for name in fields:
        if name not in insights_fields.KNOWN:
            raise GraphError(
                100,
                f"(#100) {name} is not valid for fields param. please check https://developers.facebook.com/docs/"
                "marketing-api/reference/ads-insights/ for all valid values",
            )
    breakdowns = tuple(words(params.get("breakdowns")))
    _check_breakdowns(breakdowns, fields)
    windows = tuple(words(params.get("action_attribution_windows")))
    for window in windows:
        if window not in WINDOWS | DEAD_WINDOWS and not window.startswith("skan"):
            raise invalid(f"Invalid attribution window {window}", field="action_attribution_windows")
    filters = conditions_of(params.get("filtering"))
    sort = (words(params.get("sort")) or [""])[0]
    summary = (
        tuple(words(params.get("summary")))
        if str(params.get("summary", "")).lower() not in ("true", "false")
        else ()
    )
    if not summary and str(params.get("default_summary", "")).lower() in ("true", "1"):
        summary = fields or ("impressions", "spend")
    return Query(
        level=level,
        fields=fields or ("impressions", "spend"),
        default_fields=not fields,
        slices=_slices(params, today=today),
        breakdowns=breakdowns,
        windows=tuple(window for window in windows if window not in DEAD_WINDOWS),
        filters=tuple(filters),
        sort=sort,
        summary=summary,
    )


def _check_breakdowns(breakdowns: tuple[str, ...], fields: tuple[str, ...]) -> None:
    if not breakdowns:
        return
    if frozenset(breakdowns) not in VALID or len(set(breakdowns)) != len(breakdowns):
        raise GraphError(
            2,
            f"(#2) breakdown columns ({', '.join(breakdowns)}) are invalid in combination",
            subcode=1504041,
            status=400,
            title="Invalid breakdown combination",
            user_message="The breakdowns and metrics requested cannot be combined.",
        )
    if HOURLY in breakdowns and any(
        name.startswith(("unique_", "video_", "cost_per_unique")) for name in fields
    ):
        raise GraphError(
            2, "(#2) Unique and video metrics are not available with an hourly breakdown", subcode=1504041
        )


def _slices(params: dict[str, Any], *, today: dt.date) -> tuple[Slice, ...]:
    ranges = loose(params.get("time_ranges"))
    if ranges:
        if not isinstance(ranges, list):
            raise invalid("Param time_ranges must be an array", field="time_ranges")
        return tuple(_range(item, today) for item in ranges)
    single = loose(params.get("time_range"))
    if single:
        whole = _range(single, today)
    else:
        whole = preset(str(params.get("date_preset") or "last_30d"), today)
    return tuple(_cut(whole, str(params.get("time_increment") or "all_days")))


def _range(raw: Any, today: dt.date) -> Slice:
    if not isinstance(raw, dict):
        raise invalid("time_range must be an object with since and until", field="time_range")
    try:
        since, until = (dt.date.fromisoformat(str(raw[key])) for key in ("since", "until"))
    except (KeyError, ValueError):
        raise invalid("Must be a date representation in the format YYYY-MM-DD", field="time_range") from None
    if since > until:
        raise invalid("The start date must be before the end date", field="time_range")
    if since < earliest(today):
        raise GraphError(
            3018, "(#3018) The start date of the time range cannot be beyond 37 months from the current date"
        )
    return Slice(since, until)


def earliest(today: dt.date) -> dt.date:
    """The first day that insights still answer for."""
    month = today.year * 12 + today.month - 1 - MONTHS_BACK
    first = dt.date(month // 12, month % 12 + 1, 1)
    return first + dt.timedelta(days=min(today.day, 28) - 1)


def _cut(whole: Slice, increment: str) -> list[Slice]:
    if increment == "all_days":
        return [whole]
    if increment == "monthly":
        found, since = [], whole.since
        while since <= whole.until:
            following = (since.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
            found.append(Slice(since, min(whole.until, following - dt.timedelta(days=1))))
            since = following
        return found
    if not increment.isdigit() or not 1 <= int(increment) <= 90:
        raise invalid(
            "time_increment must be an integer between 1 and 90, monthly or all_days", field="time_increment"
        )
    step = dt.timedelta(days=int(increment))
    found, since = [], whole.since
    while since <= whole.until:
        found.append(Slice(since, min(whole.until, since + step - dt.timedelta(days=1))))
        since += step
    return found


def preset(name: str, today: dt.date) -> Slice:
    """A ``date_preset`` as days; ``last_Nd`` excludes today."""
    one = dt.timedelta(days=1)
    yesterday = today - one
    if name.startswith("last_") and name.endswith("d") and name[5:-1] in ("3", "7", "14", "28", "30", "90"):
        return Slice(today - dt.timedelta(days=int(name[5:-1])), yesterday)
    first = today.replace(day=1)
    quarter = today.replace(month=3 * ((today.month - 1) // 3) + 1, day=1)
    monday = today - dt.timedelta(days=today.weekday())
    sunday = today - dt.timedelta(days=today.isoweekday() % 7)
    before_quarter = quarter - one
    table = {
        "today": Slice(today, today),
        "yesterday": Slice(yesterday, yesterday),
        "this_month": Slice(first, today),
        "last_month": Slice((first - one).replace(day=1), first - one),
        "this_quarter": Slice(quarter, today),
        "last_quarter": Slice(before_quarter.replace(month=before_quarter.month - 2, day=1), before_quarter),
        "this_year": Slice(today.replace(month=1, day=1), today),
        "last_year": Slice(dt.date(today.year - 1, 1, 1), dt.date(today.year - 1, 12, 31)),
        "this_week_mon_today": Slice(monday, today),
        "this_week_sun_today": Slice(sunday, today),
        "last_week_mon_sun": Slice(monday - 7 * one, monday - one),
        "last_week_sun_sat": Slice(sunday - 7 * one, sunday - one),
        "maximum": Slice(earliest(today), today),
        "data_maximum": Slice(earliest(today), today),
    }
    if name not in table:
        raise invalid(
            f"date_preset must be one of the following values: {', '.join(sorted(table))}, last_3d, last_7d, "
            "last_14d, last_28d, last_30d, last_90d",
            field="date_preset",
        )
    return table[name]
