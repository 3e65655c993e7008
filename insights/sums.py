"""Sums of facts and rollups for `analytics`: accounts and campaigns from their rollups, the rest from ad rows.

Every number is exact: micro-units and whole counts are added in the database and come back as `Decimal`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet, Sum

from accounts.models import AdAccount
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
) -> dict[str, Bases]:
    """Object id -> sums over the period, for objects that have rows."""
    if level == "account":
        total = _within(AccountDay.objects.of(ad_account), period).aggregate(**_sums(bases))
        empty = all(value is None for value in total.values())
        return {} if empty else {str(ad_account.meta_id): _exact(total, bases)}
    rows, owner = _source(ad_account, level)
    rows = _within(rows, period)
    if parent_id is not None and level == "adset":
        rows = rows.filter(campaign_id=parent_id)
    elif parent_id is not None and level == "ad":
        rows = rows.filter(adset_id=parent_id) | rows.filter(campaign_id=parent_id)
    if object_ids is not None:
        rows = rows.filter(**{f"{owner}__in": list(object_ids)})
    found = rows.order_by().values(owner).annotate(**_sums(bases))
    return {str(row[owner]): _exact(row, bases) for row in found}


def by_day(
    *, ad_account: AdAccount, level: str, object_id: str, period: Period, bases: Collection[str]
) -> dict[date, Bases]:
    """Account day -> sums of one object, for days that have rows."""
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
