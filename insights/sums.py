"""Sums of facts and rollups for `analytics`: accounts and campaigns from their rollups, the rest from ad rows.

Every number is exact: micro-units and whole counts are added in the database and come back as `Decimal`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import F, QuerySet, Sum

import campaigns.queries as queries
from accounts.models import AdAccount
from insights.attribution import ATTRIBUTED, DEFAULT, credited
from insights.metrics import RANKINGS, rank
from insights.models import AccountDay, AccountHour, CampaignDay, DayRow, HourRow, PeriodReach
from insights.windows import Period

Bases = dict[str, Decimal | None]
_OWNER = {"adset": "adset_id", "ad": "object_id"}


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
    if window != DEFAULT and not ATTRIBUTED.isdisjoint(bases):
        only = {"ad_account": ad_account, "level": level, "period": period}
        narrow = {"parent_id": parent_id, "object_ids": object_ids}
        found = by_object(bases=bases, **only, **narrow)  # type: ignore[arg-type]
        rows, owner = _ads(ad_account, level)
        rows = _inside(_within(rows, period), ad_account, level, parent_id)
        rows = _among(rows, owner, object_ids)
        return _in_window(found, rows, owner, ad_account, set(bases) & ATTRIBUTED, window)
    if level == "account":
        total = _within(AccountDay.objects.of(ad_account), period).aggregate(**_sums(bases))
        empty = all(value is None for value in total.values())
        return {} if empty else {str(ad_account.meta_id): _exact(total, bases)}
    rows, owner = _source(ad_account, level)
    rows = _among(_inside(_within(rows, period), ad_account, level, parent_id), owner, object_ids)
    found = rows.order_by().values(owner).annotate(**_sums(bases))
    return {str(row[owner]): _exact(row, bases) for row in found}


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
    if level == "account":
        rows: QuerySet[Any] = AccountDay.objects.of(ad_account)
    else:
        source, owner = _source(ad_account, level)
        rows = source.filter(**{owner: object_id})
    found = _within(rows, period).order_by().values("day").annotate(**_sums(bases))
    return {row["day"]: _exact(row, bases) for row in found}


def by_hour(
    *, ad_account: AdAccount, level: str, object_id: str, period: Period, bases: Collection[str]
) -> dict[tuple[date, int], Bases] | None:
    """(day, hour label) -> sums; None for levels whose hours are not kept."""
    if level == "account":
        rows: QuerySet[Any] = AccountHour.objects.of(ad_account)
    elif level == "campaign":
        rows = HourRow.objects.of(ad_account).filter(level="campaign", breakdown="", object_id=object_id)
    else:
        return None
    found = _within(rows, period).order_by().values("day", "hour").annotate(**_sums(bases))
    return {(row["day"], row["hour"]): _exact(row, bases) for row in found}


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
    rows, owner = _ads(ad_account, level)
    rows = _among(_within(rows, period), owner, object_ids)
    found: dict[str, set[str]] = {}
    for row in rows.order_by().values("adset_id", *([owner] if owner else [])).distinct():
        found.setdefault(row[owner] if owner else str(ad_account.meta_id), set()).add(row["adset_id"])
    return {one: frozenset(ids) for one, ids in found.items()}


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


def _inside(rows: QuerySet[Any], ad_account: AdAccount, level: str, parent_id: str | None) -> QuerySet[Any]:
    """Ad sets of a campaign; ads of a campaign or an ad set. By the campaign wherever it is known: rows have an index
    for it, and *the one or the other* would use none."""
    if parent_id is None or level not in ("adset", "ad"):
        return rows
    if level == "adset":
        return rows.filter(campaign_id=parent_id)
    known = queries.inside(ad_account=ad_account, meta_id=parent_id)
    if known:
        return rows.filter(**known)
    return rows.filter(adset_id=parent_id) | rows.filter(campaign_id=parent_id)


def _among(rows: QuerySet[Any], owner: str, object_ids: Collection[str] | None) -> QuerySet[Any]:
    return rows.filter(**{f"{owner}__in": list(object_ids)}) if object_ids is not None and owner else rows


def _source(ad_account: AdAccount, level: str) -> tuple[QuerySet[Any], str]:
    if level == "campaign":
        return CampaignDay.objects.of(ad_account), "campaign_id"
    return DayRow.objects.of(ad_account).filter(level="ad", breakdown=""), _OWNER[level]


def _within(rows: QuerySet[Any], period: Period) -> QuerySet[Any]:
    return rows.filter(day__range=(period.since, period.until))


def _sums(bases: Collection[str]) -> dict[str, Sum]:
    # Named apart from the columns, which may not be used twice in one query.
    return {f"sum_{name}": Sum(name) for name in sorted(bases)}


def _exact(row: Mapping[str, Any], bases: Collection[str]) -> Bases:
    return {name: None if row[f"sum_{name}"] is None else Decimal(row[f"sum_{name}"]) for name in bases}
