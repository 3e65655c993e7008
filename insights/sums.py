"""Sums of facts and rollups for `analytics`: accounts and campaigns from their rollups, the rest from ad rows.

Every number is exact: micro-units and whole counts are added in the database and come back as `Decimal`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db.models import F, Max, QuerySet, Sum

import campaigns.queries as queries
import insights.statements as statements
from accounts.fields import MICRO
from accounts.models import AdAccount
from insights.attribution import ATTRIBUTED, DEFAULT, credited
from insights.metrics import ADDITIVE, RANKINGS, rank
from insights.models import (
    AccountDay,
    AccountHour,
    AdSetMonth,
    CampaignDay,
    CampaignWeek,
    DayRow,
    HourRow,
    PeriodReach,
    WindowSum,
)
from insights.windows import DAY, Period, months

Bases = dict[str, Decimal | None]
#: Column -> what it may hold.
Among = Mapping[str, Collection[str | date]]
_OWNER: Final = {"adset": "adset_id", "ad": "object_id"}
_ADS: Final[Among] = {"level": ("ad",), "breakdown": ("",)}
_CAMPAIGN_HOURS: Final[Among] = {"level": ("campaign",), "breakdown": ("",)}


def by_object(
    *,
    ad_account: AdAccount,
    level: str,
    period: Period,
    bases: Collection[str],
    parent_id: str | None = None,
    object_ids: Collection[str] | None = None,
    window: str = DEFAULT,
) -> dict[str, Bases]:
    """Object id -> sums over the period, for objects that have rows; what is attributed, in `window`."""
    among = _inside(ad_account, level, parent_id, object_ids)
    if window != DEFAULT and not ATTRIBUTED.isdisjoint(bases):
        found = by_object(
            ad_account=ad_account, level=level, period=period, bases=bases, parent_id=parent_id, object_ids=object_ids
        )  # fmt: skip
        rows, owner = _ads(ad_account, level)
        rows = _within(rows, period).filter(**{f"{name}__in": list(ids) for name, ids in among.items()})
        return _in_window(found, rows, owner, ad_account, set(bases) & ATTRIBUTED, window)
    names = sorted(bases)
    if level == "account":
        one = statements.read(AccountDay, names, ad_account=ad_account, period=period, by=("ad_account_id",))
        return {str(ad_account.meta_id): _numbers(names, values) for _, *values in one}
    if level == "campaign":
        return _campaigns(ad_account, names, period, among)
    ads = statements.read(
        DayRow, names, ad_account=ad_account, period=period, among={**_ADS, **among}, by=(_OWNER[level],)
    )
    return {str(key): _numbers(names, values) for key, *values in ads}


def _campaigns(ad_account: AdAccount, names: Sequence[str], period: Period, among: Among) -> dict[str, Bases]:
    """Whole weeks from their rollup, the days before and after them from theirs."""
    weeks = tuple(day for day in period if day.weekday() == 0 and day + 6 * DAY <= period.until)
    inside = range(weeks[0].toordinal(), weeks[-1].toordinal() + 7) if weeks else range(0)
    days = tuple(day for day in period if day.toordinal() not in inside)
    found: dict[str, list[Any]] = {}
    for model, held in ((CampaignDay, {"day": days}), (CampaignWeek, {"week": weeks})):
        rows = statements.read(
            model, names, ad_account=ad_account, among={**among, **held}, by=("campaign_id",)
        )
        for key, *values in rows:
            before = found.get(key)
            found[key] = (
                values if before is None else [one + two for one, two in zip(before, values, strict=True)]
            )
    return {key: _numbers(names, values) for key, values in found.items()}


def by_day(
    *,
    ad_account: AdAccount,
    level: str,
    object_id: str,
    period: Period,
    bases: Collection[str],
    window: str = DEFAULT,
) -> dict[date, Bases]:
    """Account day -> sums of one object, for days that have rows; what is attributed, in `window`."""
    if window != DEFAULT and not ATTRIBUTED.isdisjoint(bases):
        by_default = by_day(
            ad_account=ad_account, level=level, object_id=object_id, period=period, bases=bases
        )
        ads, owner = _ads(ad_account, level)
        ads = _within(ads.filter(**{owner: object_id}) if owner else ads, period)
        return _in_window(by_default, ads, "day", ad_account, set(bases) & ATTRIBUTED, window)
    names = sorted(bases)
    model: type[AccountDay | CampaignDay | DayRow] = AccountDay
    among: Among = {}
    if level == "campaign":
        model, among = CampaignDay, {"campaign_id": (object_id,)}
    elif level != "account":
        model, among = DayRow, {**_ADS, **_inside(ad_account, level, None, (object_id,))}
    # Several ads make an ad set's day; every other has a row of its own.
    columns, by = (names, ("day",)) if level == "adset" else (["day", *names], ())
    found = statements.read(model, columns, ad_account=ad_account, period=period, among=among, by=by)
    return {statements.as_day(day): _numbers(names, values) for day, *values in found}


def by_object_day(
    *, ad_account: AdAccount, level: str, period: Period, bases: Collection[str], object_ids: Collection[str]
) -> dict[str, dict[date, Bases]]:
    """Object id -> account day -> sums, for campaigns, ad sets or ads and days that have rows."""
    names = sorted(bases)
    among = _inside(ad_account, level, None, object_ids)
    if level == "campaign":
        rows = statements.read(
            CampaignDay, ["campaign_id", "day", *names], ad_account=ad_account, period=period, among=among
        )
    else:
        rows = statements.read(
            DayRow, names, ad_account=ad_account, period=period, among={**_ADS, **among}, by=(_OWNER[level], "day")
        )  # fmt: skip
    found: dict[str, dict[date, Bases]] = {}
    for one, day, *values in rows:
        found.setdefault(str(one), {})[statements.as_day(day)] = _numbers(names, values)
    return found


def by_hour(
    *, ad_account: AdAccount, level: str, object_id: str, period: Period, bases: Collection[str]
) -> dict[tuple[date, int], Bases] | None:
    """(day, hour label) -> sums; None for levels whose hours are not kept."""
    if level not in ("account", "campaign"):
        return None
    names = sorted(bases)
    model: type[AccountHour | HourRow] = AccountHour if level == "account" else HourRow
    among: Among = {} if level == "account" else {**_CAMPAIGN_HOURS, "object_id": (object_id,)}
    found = statements.read(model, ("day", "hour", *names), ad_account=ad_account, period=period, among=among)
    return {(statements.as_day(day), hour): _numbers(names, values) for day, hour, *values in found}


def by_hours(
    *, ad_account: AdAccount, level: str, labels: Collection[tuple[date, int]], bases: Collection[str]
) -> dict[str, Bases]:
    """Object id -> sums over these hours (day, label) of every object that has rows; accounts and campaigns only."""
    names = sorted(bases)
    days = {day for day, _ in labels}
    model: type[AccountHour | HourRow] = AccountHour if level == "account" else HourRow
    among: Among = {"day": days} if level == "account" else {**_CAMPAIGN_HOURS, "day": days}
    by = ("day", "hour") if level == "account" else ("object_id", "day", "hour")
    found: dict[str, list[Any]] = {}
    for *keys, day, hour, values in (
        (*row[: len(by)], row[len(by) :])
        for row in statements.read(model, names, ad_account=ad_account, among=among, by=by)
    ):
        if (statements.as_day(day), hour) in labels:
            key = str(keys[0]) if keys else str(ad_account.meta_id)
            before = found.get(key)
            found[key] = (
                list(values)
                if before is None
                else [one + two for one, two in zip(before, values, strict=True)]
            )
    return {key: _numbers(names, values) for key, values in found.items()}


def by_cell(
    *,
    ad_account: AdAccount,
    level: str,
    object_id: str,
    days: Collection[date],
    breakdowns: Sequence[str],
    bases: Collection[str],
) -> dict[str, Bases]:
    """Cell (age=25-34|gender=female) -> one object's sums over these days. `reach` is what Meta answered for the cell
    on a single day; over more it is None."""
    rows: QuerySet[Any] = DayRow.objects.of(ad_account).filter(
        level=level, object_id=object_id, day__in=days, breakdown__startswith=f"{breakdowns[0]}="
    )
    sums = {f"sum_{name}": Sum(name) for name in bases}
    found: dict[str, Bases] = {}
    for row in rows.order_by().values("breakdown").annotate(people=Max("reach"), **sums):
        cell = row["breakdown"]
        if [part.split("=", 1)[0] for part in cell.split("|")] != [*breakdowns]:
            continue  # a longer one that begins with the same name
        people = row["people"] if len(days) == 1 else None
        reached = None if people is None else Decimal(people)
        found[cell] = {**{name: Decimal(row[f"sum_{name}"]) for name in bases}, "reach": reached}
    return found


def by_window(*, ad_account: AdAccount, level: str, days: int, until: date) -> dict[str, Bases]:
    """Object id -> every column over the last `days` full days up to `until`; empty while these are not summed yet."""
    rows = WindowSum.objects.of(ad_account).filter(level=level, days=days, until=until)
    return {
        str(ad_account.meta_id) if level == "account" else row.object_id: {
            name: Decimal(getattr(row, name)) for name in ADDITIVE
        }
        for row in rows
    }


def reach(
    *, ad_account: AdAccount, level: str, period: Period, object_ids: Collection[str]
) -> Mapping[str, int]:
    """Object id -> people reached, as Meta answered for exactly this period; never added up."""
    if period.days == 1:
        rows: QuerySet[Any] = DayRow.objects.of(ad_account).filter(
            level=level, breakdown="", day=period.since, object_id__in=list(object_ids), reach__isnull=False
        )
    else:
        rows = PeriodReach.objects.of(ad_account).filter(
            level=level, since=period.since, until=period.until, object_id__in=list(object_ids)
        )
    return {object_id: int(people) for object_id, people in rows.values_list("object_id", "reach")}


def reach_by_day(*, ad_account: AdAccount, level: str, object_id: str, period: Period) -> Mapping[date, int]:
    """Account day -> people reached on it."""
    rows = _within(
        DayRow.objects.of(ad_account).filter(level=level, breakdown="", object_id=object_id), period
    )
    return {day: int(people) for day, people in rows.values_list("day", "reach") if people is not None}


def rankings(
    *, ad_account: AdAccount, period: Period, object_ids: Collection[str] | None = None
) -> dict[str, Bases]:
    """Ad id -> Meta's classes on the last day of the period that has any, as places in their order."""
    rows = _within(DayRow.objects.of(ad_account).filter(level="ad", breakdown=""), period)
    rows = rows.filter(actions__has_key="rankings")
    if object_ids is not None:
        rows = rows.filter(object_id__in=list(object_ids))
    found = rows.order_by("day").values_list("object_id", "actions__rankings")
    return {object_id: {name: rank(words.get(name, "")) for name in RANKINGS} for object_id, words in found}


def rankings_by_day(*, ad_account: AdAccount, period: Period, object_id: str) -> dict[date, Bases]:
    """Account day -> Meta's classes of one ad on it."""
    rows = _within(
        DayRow.objects.of(ad_account).filter(level="ad", breakdown="", object_id=object_id), period
    )
    found = rows.filter(actions__has_key="rankings").values_list("day", "actions__rankings")
    return {day: {name: rank(words.get(name, "")) for name in RANKINGS} for day, words in found}


def ad_sets(
    *, ad_account: AdAccount, level: str, period: Period, object_ids: Collection[str] | None = None
) -> dict[str, frozenset[str]]:
    """Object id -> ids of the ad sets that its rows of the period belong to."""
    owner_of = _OWNER.get(level, "campaign_id")
    among: Among = {} if object_ids is None or level == "account" else {owner_of: tuple(object_ids)}
    if level == "ad":
        by = ("adset_id", "object_id")
        pairs = statements.read(
            DayRow, (), ad_account=ad_account, period=period, among={**_ADS, **among}, by=by
        )
    else:
        pairs = _ran(ad_account, period, among, "campaign_id" if level == "campaign" else "adset_id")
    found: dict[str, set[str]] = {}
    for adset, owner in pairs:
        found.setdefault(str(ad_account.meta_id) if level == "account" else owner, set()).add(adset)
    return {one: frozenset(ids) for one, ids in found.items()}


def _ran(ad_account: AdAccount, period: Period, among: Among, owner: str) -> list[tuple[str, str]]:
    """(ad set, what `owner` names of it) of the ad sets that had rows in the period."""
    wanted = months(period)
    rows = statements.read(
        AdSetMonth,
        ("adset_id", owner, "month", "days"),
        ad_account=ad_account,
        among={**among, "month": tuple(wanted)},
    )
    return [(adset, one) for adset, one, month, days in rows if days & wanted[statements.as_day(month)]]


def _in_window(
    found: Mapping[Any, Bases],
    rows: QuerySet[Any],
    owner: str,
    ad_account: AdAccount,
    bases: Collection[str],
    window: str,
) -> dict[Any, Bases]:
    """`found` with the attributed bases as Meta credits them in `window`: exact sums of what the rows list."""
    wanted = {key: {**mine, **dict.fromkeys(bases, Decimal(0))} for key, mine in found.items()}
    keys = F(owner) if owner else F("ad_account_id")
    for key, actions in rows.exclude(actions={}).values_list(keys, "actions").iterator(chunk_size=2000):
        mine = wanted[key if owner else str(ad_account.meta_id)]
        for base, number in credited(actions, window=window).items():
            if base in bases:
                mine[base] = (mine[base] or Decimal(0)) + number
    return wanted


def _ads(ad_account: AdAccount, level: str) -> tuple[QuerySet[Any], str]:
    """The rows that everything is a sum of, and which of their columns names the object ("": the account)."""
    rows = DayRow.objects.of(ad_account).filter(level="ad", breakdown="")
    return rows, "" if level == "account" else "campaign_id" if level == "campaign" else _OWNER[level]


def _inside(
    ad_account: AdAccount, level: str, parent_id: str | None, object_ids: Collection[str] | None
) -> Among:
    """What the columns of the rows hold: those of some objects, or ad sets of a campaign, or ads of a campaign or an ad
    set. By the campaign wherever it is known: rows have an index for it, and none for ad sets."""
    found: dict[str, Collection[str]] = {}
    if level == "adset" and object_ids is not None and len(object_ids) == 1:
        for column, held in queries.inside(ad_account=ad_account, meta_id=next(iter(object_ids))).items():
            found[column] = (held,)
    if object_ids is not None and level != "account":
        found[_OWNER.get(level, "campaign_id")] = tuple(object_ids)
    if parent_id is not None and level == "adset":
        found["campaign_id"] = (parent_id,)
    elif parent_id is not None and level == "ad":
        known = queries.inside(ad_account=ad_account, meta_id=parent_id)
        found |= {column: (held,) for column, held in (known or _held(ad_account, parent_id)).items()}
    return found


def _held(ad_account: AdAccount, parent_id: str) -> dict[str, str]:
    """The same of an object whose structure was not read yet: an id is a campaign's or an ad set's, never both."""
    rows = DayRow.objects.of(ad_account).filter(campaign_id=parent_id)
    return {"campaign_id" if rows.exists() else "adset_id": parent_id}


def _within(rows: QuerySet[Any], period: Period) -> QuerySet[Any]:
    return rows.filter(day__range=(period.since, period.until))


def _numbers(names: Sequence[str], values: Sequence[Any]) -> Bases:
    """What the columns hold, in major units: micro-units of what is money or a count of actions."""
    return {
        name: None if value is None else Decimal(value) if ADDITIVE[name] == "whole" else Decimal(value) / MICRO
        for name, value in zip(names, values, strict=True)
    }  # fmt: skip
