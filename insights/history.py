"""What we knew when: the ad rows as they read at an instant, from the facts and the revisions that they left behind.

A state of a row holds from `known_from` until it was overwritten. Closed days file every state, so they are exact.
The running day files the last state of each clock hour, so within an hour only its end can be answered for:
`answerable` says which instant that is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from django.db.models import Max, QuerySet, Sum

import insights.windows as days_of
from accounts.models import AdAccount
from insights.metrics import ADDITIVE
from insights.models import DayRow, Revision, Slice
from insights.windows import HOUR, Period

Bases = dict[str, Decimal | None]
_MICRO: Final = Decimal(1_000_000)
#: Level -> which column of an ad row names its object there ("" is the account itself).
_OWNER: Final = {"account": "", "campaign": "campaign_id", "adset": "adset_id", "ad": "object_id"}


def read_by(*, ad_account: AdAccount, period: Period, at: datetime) -> frozenset[date]:
    """The days of the period that had been read to the end by `at` (aware)."""
    read = Slice.objects.of(ad_account).filter(
        kind="day", level="ad", breakdown="", day__range=(period.since, period.until), whole_from__lte=at
    )
    return frozenset(read.values_list("day", flat=True))


def first_read(*, ad_account: AdAccount) -> dict[date, datetime]:
    """Account day -> when it had first been read to the end."""
    rows = Slice.objects.of(ad_account).filter(kind="day", level="ad", breakdown="", whole_from__isnull=False)
    found = rows.values_list("day", "whole_from")
    return {day: moment for day, moment in found if moment is not None}


def known_at(
    *,
    ad_account: AdAccount,
    level: str,
    period: Period,
    at: datetime,
    bases: Collection[str],
    object_ids: Collection[str] | None = None,
) -> tuple[datetime, dict[str, Bases]]:
    """The instant that is answered for (`answerable`), and the sums of the period by object as they were known then."""
    moment = answerable(ad_account=ad_account, period=period, at=at)
    found: dict[str, Bases] = {}
    for owner, values in (
        *_standing(ad_account, level, period, moment, bases),
        *_overwritten(ad_account, level, period, moment, bases),
    ):
        mine = found.setdefault(owner, dict.fromkeys(bases, Decimal(0)))
        for name in bases:
            mine[name] = (mine[name] or Decimal(0)) + values[name]
    if object_ids is not None:
        found = {one: found[one] for one in object_ids if one in found}
    return moment, found


def days_at(
    *,
    ad_account: AdAccount,
    level: str,
    period: Period,
    at: datetime,
    bases: Collection[str],
    object_ids: Collection[str],
) -> tuple[datetime, dict[str, dict[date, Bases]]]:
    """`known_at` of each day of the period by itself, for campaigns, ad sets or ads."""
    moment = answerable(ad_account=ad_account, period=period, at=at)
    owner, wanted = _OWNER[level], frozenset(object_ids)
    within = {"level": "ad", "breakdown": "", "day__range": (period.since, period.until)}
    found: dict[str, dict[date, Bases]] = {}

    def add(one: str, day: date, values: Mapping[str, Decimal]) -> None:
        if one in wanted:
            mine = found.setdefault(one, {}).setdefault(day, dict.fromkeys(bases, Decimal(0)))
            for name in bases:
                mine[name] = (mine[name] or Decimal(0)) + values[name]

    standing: QuerySet[Any] = DayRow.objects.of(ad_account).filter(**within, known_from__lte=moment)
    sums = {f"sum_{name}": Sum(name) for name in bases}
    for row in standing.order_by().values(owner, "day").annotate(**sums):
        add(row[owner], row["day"], {name: Decimal(row[f"sum_{name}"]) for name in bases})
    old = Revision.objects.of(ad_account).filter(
        grain="day", **within, known_from__lte=moment, known_to__gt=moment
    )
    for object_id, day, values in old.values_list("object_id", "day", "values").iterator(chunk_size=2000):
        one = object_id if owner == "object_id" else values[owner]
        add(one, day, {name: stored(name, values[name]) for name in bases})
    return moment, found


def answerable(*, ad_account: AdAccount, period: Period, at: datetime) -> datetime:
    """`at` itself, or the later instant of its clock hour that can be answered for, where `period` holds the day that
    was running at `at`: states that were overwritten within their hour were not kept."""
    running = days_of.today(at, ad_account.timezone_name)
    if not period.since <= running <= period.until:
        return at
    end = at.replace(minute=0, second=0, microsecond=0) + HOUR
    later = {"level": "ad", "breakdown": "", "day": running, "known_from__gt": at, "known_from__lt": end}
    last = [
        rows.filter(**later).aggregate(last=Max("known_from"))["last"]
        for rows in (DayRow.objects.of(ad_account), Revision.objects.of(ad_account).filter(grain="day"))
    ]
    return max((one for one in last if one is not None), default=at)


def _standing(
    ad_account: AdAccount, level: str, period: Period, at: datetime, bases: Collection[str]
) -> list[tuple[str, dict[str, Decimal]]]:
    """Rows that read at `at` as they read today."""
    rows: QuerySet[Any] = DayRow.objects.of(ad_account).filter(
        level="ad", breakdown="", day__range=(period.since, period.until), known_from__lte=at
    )
    sums = {f"sum_{name}": Sum(name) for name in bases}
    owner = _OWNER[level]
    found = rows.order_by().values(owner or "ad_account_id").annotate(**sums)
    return [
        (
            str(row[owner]) if owner else str(ad_account.meta_id),
            {name: Decimal(row[f"sum_{name}"]) for name in bases},
        )
        for row in found
    ]


def _overwritten(
    ad_account: AdAccount, level: str, period: Period, at: datetime, bases: Collection[str]
) -> list[tuple[str, dict[str, Decimal]]]:
    """Rows that read otherwise at `at`: at most one state each."""
    rows = Revision.objects.of(ad_account).filter(
        grain="day",
        level="ad",
        breakdown="",
        day__range=(period.since, period.until),
        known_from__lte=at,
        known_to__gt=at,
    )
    owner = _OWNER[level]
    found = []
    for object_id, values in rows.values_list("object_id", "values").iterator(chunk_size=2000):
        key = str(ad_account.meta_id) if not owner else object_id if owner == "object_id" else values[owner]
        found.append((key, {name: stored(name, values[name]) for name in bases}))
    return found


def stored(name: str, value: int) -> Decimal:
    """A column's value as a revision holds it (micro-units for money and actions), in its own unit."""
    return Decimal(value) if ADDITIVE[name] == "whole" else Decimal(value) / _MICRO
