"""Who saw it and where: an object's numbers parted by age, gender, country or placement, read when somebody asks.

    cells    -> what was read of these days, summed by cell, each metric divided last
    wanting  -> days that were never read, or may have moved since -> a run that reads them (`fetch.go_on`)

Cells are kept apart from totals: no sum holds both. A cell's reach is what Meta answered for it on a single day; over
more days it is unknown. The parts make up the total in spend and impressions, and where they do not, it is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction

import insights.analytics as analytics
import insights.answers as answers
import insights.trust as trust
import insights.windows as days_of
from accounts.models import AdAccount
from insights.analytics import Header, Values
from insights.errors import TooFarBack, UnknownBreakdown
from insights.metrics import ADDITIVE
from insights.models import FetchRun, Slice
from insights.progress import Progress, of
from insights.windows import Period

#: What Meta parts numbers by, alone or together (docs/meta.md, section 5.5).
COMBINATIONS: Final = (
    ("age",),
    ("gender",),
    ("age", "gender"),
    ("country",),
    ("publisher_platform",),
    ("publisher_platform", "platform_position"),
    ("publisher_platform", "impression_device"),
    ("publisher_platform", "platform_position", "impression_device"),
    ("device_platform",),
)
#: The longest period that is read: each day of it has a row for each object and cell.
MOST_DAYS: Final = 92
#: Meta's figures move about every 15 minutes; a running day read since then is as good as new.
_FRESH: Final = timedelta(minutes=15)
_REST: Final = timedelta(minutes=10)
_ADDS_UP: Final = ("spend", "impressions")


@dataclass(frozen=True)
class Cell:
    """One part: breakdown -> Meta's value of it, and the part's numbers."""

    names: Mapping[str, str]
    values: Values


@dataclass(frozen=True)
class Cells:
    """The parts of one object over a period; under a header of their own, since they are read by themselves."""

    header: Header
    breakdowns: tuple[str, ...]
    cells: tuple[Cell, ...]


def combination(names: Sequence[str]) -> tuple[str, ...]:
    """The breakdowns in their order; raises `UnknownBreakdown` for what Meta does not put together."""
    for one in COMBINATIONS:
        if sorted(one) == sorted(names):
            return one
    raise UnknownBreakdown(",".join(names), tuple(",".join(one) for one in COMBINATIONS))


def reachable(period: Period, *, today: date) -> None:
    """Raises `TooFarBack` for days whose parts, with the people they reached, Meta does not keep any more."""
    first = days_of.earliest(today, months=days_of.MONTHS_DETAILED)
    if period.since < first:
        raise TooFarBack(first, days_of.MONTHS_DETAILED, "numbers by breakdown")


def cells(
    ad_account: AdAccount,
    *,
    level: str,
    object_id: str,
    period: Period,
    breakdowns: tuple[str, ...],
    metrics: Sequence[str],
    now: datetime,
) -> Cells:
    """The parts as they were read; the most impressions first. Raises `UnknownMetric`."""
    name = ",".join(breakdowns)
    state = trust.known(ad_account=ad_account, period=period, level=level, now=now, breakdown=name)
    asked = analytics.question(ad_account, metrics)
    found = answers.by_cell(
        ad_account=ad_account,
        mark=state.mark,
        level=level,
        object_id=object_id,
        days=state.days,
        breakdowns=breakdowns,
        bases={*(asked.columns & ADDITIVE.keys()), *_ADDS_UP},
    )
    if period.days > 1:  # people of the one day that was read are not the period's
        found = {cell: {**one, "reach": None} for cell, one in found.items()}
    parts = tuple(
        Cell(dict(part.split("=", 1) for part in cell.split("|")), asked.values(found[cell]))
        for cell in sorted(found, key=lambda one: (-(found[one]["impressions"] or 0), one))
    )
    header = state.header
    if header.trust.state in ("ready", "stale"):
        sums = {
            name: sum((one[name] or Decimal(0) for one in found.values()), Decimal(0)) for name in _ADDS_UP
        }
        header = _adding_up(ad_account, header, level, object_id, sums, now)
    return Cells(header, breakdowns, parts)


def wanting(
    ad_account: AdAccount, *, level: str, period: Period, breakdowns: tuple[str, ...], now: datetime
) -> frozenset[date]:
    """Days of the period that were never read by this breakdown, or that may have moved since they were."""
    today = days_of.today(now, ad_account.timezone_name)
    read = Slice.objects.of(ad_account).filter(
        kind="day", level=level, breakdown=",".join(breakdowns), complete=True,
        day__range=(period.since, period.until),
    )  # fmt: skip
    fetched = dict(read.values_list("day", "fetched_at"))
    due = days_of.due(
        today=today,
        days=max(0, (today - period.since).days + 1),
        now=now,
        zone_name=ad_account.timezone_name,
        fetched=fetched,
        lookback=settings.LOOKBACK_DAYS,
        always_today=today in fetched and fetched[today] < now - _FRESH,
    )
    return frozenset(day for day in due if day <= period.until)


def begin(
    ad_account: AdAccount, *, level: str, period: Period, breakdowns: tuple[str, ...], now: datetime
) -> FetchRun:
    """The run that reads these days by this breakdown: the one under way, else a new one. What failed rests for ten
    minutes."""
    today = days_of.today(now, ad_account.timezone_name)
    until = min(period.until, today)
    same = {
        "kind": "parts",
        "level": level,
        "breakdown": ",".join(breakdowns),
        "since": period.since,
        "until": until,
    }
    rows = FetchRun.objects.of(ad_account).filter(**same)
    current = rows.filter(state__in=["running", "waiting"]).first()
    current = current or rows.filter(state="failed", finished_at__gt=now - _REST).order_by("-id").first()
    if current is not None:
        return current
    days = (until - period.since).days + 1
    try:
        with transaction.atomic():
            rows.filter(finished_at__lt=now - days_of.DAY).delete()
            made: FetchRun = FetchRun.everything.create(
                ad_account_id=ad_account.pk, state="waiting", days=days, total=days, started_at=now, seen_at=now,
                sentence=f"0 of {days} days read.", **same,
            )  # fmt: skip
            return made
    except IntegrityError:  # somebody asked for the same at the same moment
        return rows.get(state__in=["running", "waiting"])


def standing(run: FetchRun) -> Progress:
    """Where a reading stands."""
    return of(run)


def _adding_up(
    ad_account: AdAccount,
    header: Header,
    level: str,
    object_id: str,
    sums: Values,
    now: datetime,
) -> Header:
    """Say it where parts that were read to the end are not the total: it moved since, or Meta keeps back a part."""
    period = Period(header.since, header.until)
    whole = analytics.totals(
        ad_account, level=level, object_id=object_id, since=period.since, until=period.until, metrics=_ADDS_UP,
        now=now,
    )  # fmt: skip
    if whole.header.trust.state not in ("ready", "stale"):
        return header
    if all(sums[name] == (whole.values[name] or 0) for name in _ADDS_UP):
        return header
    reason = "The parts do not add up to the total: it moved since they were read, or Meta tells some of it to no part."
    return replace(header, trust=trust.Trust("partial", (reason, *header.trust.reasons)))
