"""The days behind a judgement: of each object whose rate looks as a rule needs it, since a start that stands still.

    the start   the latest of: the first day of the month before this one; the object's first day, and its first with
                any spend; the day it was last set active, by us or by anybody else (who starts again what was stopped
                wants it judged anew)
    the end     the account's day of the newest figures; of a running day only the part that they cover is over
    the ground  per rate, over the objects that spend most: the learned completeness of what is seen, the size of single
                orders, how much days differ beyond chance

The promise of `engine.evidence` holds per start: of objects that are on target at most the tolerated share is ever
called worse between two of them, so a new month begins a new promise. A start that moved along with each day would
begin one a day. Days that were not read to the end are left out: as if nothing had been spent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

import insights.analytics as analytics
import insights.windows as days_of
from accounts.models import AdAccount
from campaigns.queries import started
from insights.analytics import DaysTable
from insights.completeness import Curve, curves
from insights.metrics import RESULTS, UNATTRIBUTED, VALUES
from strategies.engine.evaluate import unsure
from strategies.engine.evidence import day_variation, event_scale
from strategies.engine.guard import key
from strategies.engine.judge import covered, excluded
from strategies.engine.rules import Document
from strategies.engine.types import Ground, Past, Snapshot, Subject

#: The variation of days where an account has shown too few: days that differ by a third beyond chance.
UNLEARNED: Final = Decimal("0.1")
#: Whose days teach: so many objects of a level, those that spend most.
TEACHERS: Final = 50
#: After so many days what is credited late is there, where no curve says so sooner.
_LATE: Final = 7
_SETTLED: Final = Decimal("0.97")
_AT_ONCE: Final = (Decimal(1),)
#: Money seen -> the events that it comes in.
_EVENTS: Final[Mapping[str, str]] = {
    **{value: base for base, value in VALUES.items()},
    "conversion_value": "conversions",
}
Rate = tuple[str, str]


@dataclass(frozen=True)
class Sources:
    """Where days, learned curves and starts come from: as they are known now, or as they were."""

    days: Callable[..., DaysTable]
    curves: Callable[[AdAccount], Mapping[str, Curve]]
    started: Callable[..., Mapping[str, datetime]]


def live(now: datetime) -> Sources:
    """As it is known now."""
    return Sources(partial(analytics.days, now=now), curves, started)


def attach(
    snapshot: Snapshot,
    *,
    ad_account: AdAccount,
    document: Document,
    now: datetime,
    sources: Sources | None = None,
) -> Snapshot:
    """The snapshot with the days that its rules' rates have to be weighed on. One question per level, whatever the
    number of objects; none where no rate looks as a rule needs it."""
    asked: dict[str, dict[str, frozenset[Rate]]] = {}
    for one in covered(document, snapshot):
        if excluded(document, one, snapshot, now=now):
            continue
        rates = frozenset[Rate]().union(*(unsure(case.when, one, snapshot) for case in document.cases))
        if rates:
            asked.setdefault(one.level, {})[one.object_id] = rates
    tolerated = ad_account.client.wrong_calls_percent
    if not asked:
        return replace(snapshot, tolerated=tolerated)
    sources = sources or live(now)
    learned = sources.curves(ad_account)
    pasts: dict[str, Past] = {}
    grounds: dict[str, Ground] = {}
    for level, whose in sorted(asked.items()):
        rates = frozenset[Rate]().union(*whose.values())
        table = _days(ad_account, snapshot, level, whose.keys(), rates, now, sources)
        for rate in sorted(rates):
            grounds[key(level, *rate)] = _ground(ad_account, rate, table, learned)
        pasts |= _pasts(ad_account, snapshot, whose, table, sources)
    return replace(
        snapshot,
        grounds=grounds,
        tolerated=tolerated,
        subjects=tuple(
            replace(one, past=pasts[one.object_id]) if one.object_id in pasts else one
            for one in snapshot.subjects
        ),
    )


def opened(today: date) -> date:
    """The first day of the month before this one: nothing older is weighed."""
    return (today.replace(day=1) - timedelta(days=1)).replace(day=1)


def _days(
    ad_account: AdAccount,
    snapshot: Snapshot,
    level: str,
    object_ids: Collection[str],
    rates: Iterable[Rate],
    now: datetime,
    sources: Sources,
) -> DaysTable:
    names = {"spend"} | {name for rate in rates for name in rate}
    names |= {_EVENTS[name] for name in names & _EVENTS.keys()}
    today = analytics.account_today(ad_account, now)
    return sources.days(
        ad_account,
        level=level,
        object_ids={*object_ids, *_teachers(snapshot, level)},
        since=opened(today),
        until=today,
        metrics=tuple(sorted(names)),
    )


def _teachers(snapshot: Snapshot, level: str) -> list[str]:
    def spend(one: Subject) -> Decimal:
        return max((values.get("spend") or Decimal(0) for values in one.values.values()), default=Decimal(0))

    mine = [one for one in snapshot.subjects if one.level == level]
    return [one.object_id for one in sorted(mine, key=lambda one: (-spend(one), one.object_id))[:TEACHERS]]


# --- what the account teaches


def _ground(ad_account: AdAccount, rate: Rate, table: DaysTable, learned: Mapping[str, Curve]) -> Ground:
    seen, per = rate
    curve = _curve(ad_account, seen, learned)
    shares = curve.shares if curve else _AT_ONCE if seen in UNATTRIBUTED else None
    settled = curve.settled(_SETTLED) if curve else 0 if seen in UNATTRIBUTED else None
    until = table.header.until - timedelta(days=1 + (_LATE if settled is None else settled))
    days = sorted(day for day in table.read if day <= until)
    scale: Decimal | None = Decimal(1)
    if seen in _EVENTS:
        rows = [
            values for mine in table.values.values() for day, values in sorted(mine.items()) if day <= until
        ]
        found = event_scale([_float(row[seen]) for row in rows], [_float(row[_EVENTS[seen]]) for row in rows])
        scale = None if found is None else Decimal(str(round(found, 4)))
    if scale is None:
        return Ground(shares, None, UNLEARNED)
    lines = [_line(table, one, days, (per, seen)) for one in sorted(table.values)]
    variation = day_variation([(base, count) for base, count in lines], scale=float(scale))
    return Ground(shares, scale, UNLEARNED if variation is None else Decimal(str(round(variation, 4))))


def _curve(ad_account: AdAccount, seen: str, learned: Mapping[str, Curve]) -> Curve | None:
    base = RESULTS.get(ad_account.client.result_action, "")
    column = {"conversions": base, "conversion_value": VALUES.get(base, "")}.get(seen, seen)
    return learned.get(column)


def _line(table: DaysTable, one: str, days: Sequence[date], names: Sequence[str]) -> list[list[float]]:
    mine = table.values.get(one, {})
    return [[_float(mine[day].get(name)) if day in mine else 0.0 for day in days] for name in names]


def _float(number: Decimal | None) -> float:
    return max(0.0, float(number or 0))


# --- the objects' days


def _pasts(
    ad_account: AdAccount,
    snapshot: Snapshot,
    whose: Mapping[str, frozenset[Rate]],
    table: DaysTable,
    sources: Sources,
) -> dict[str, Past]:
    """Object id -> its days. None for one whose result is not known on a day: nothing can be weighed on that."""
    zone = ad_account.timezone_name
    last, gone = _end(table, zone)
    starts = sources.started(ad_account=ad_account, object_ids=whose.keys())
    created = {one.object_id: one.created for one in snapshot.subjects}
    found = {}
    for one, rates in whose.items():
        mine = table.values.get(one, {})
        delivered = (day for day, values in mine.items() if values.get("spend"))
        moments = [moment for moment in (created[one], starts.get(one)) if moment is not None]
        begun = max([table.header.since, *(days_of.today(moment, zone) for moment in moments)])
        since = max(begun, min(delivered, default=begun))
        names = sorted({"spend"} | {name for rate in rates for name in rate})
        days = [since + timedelta(days=n) for n in range((last - since).days + 1)]
        columns = {
            name: [mine[day].get(name) if day in mine else Decimal(0) for day in days] for name in names
        }
        if days and not any(value is None or value < 0 for column in columns.values() for value in column):
            found[one] = Past(
                since, gone, {name: tuple(value or Decimal(0) for value in columns[name]) for name in names}
            )
    return found


def _end(table: DaysTable, zone: str) -> tuple[date, Decimal]:
    """The last day that figures are about, and how much of it they cover."""
    until = table.header.until
    as_of = max(filter(None, (table.header.checked_at, table.header.data_as_of)), default=None)
    if as_of is None:
        return until - timedelta(days=1), Decimal(1)
    day = days_of.today(as_of, zone)
    if day > until:
        return until, Decimal(1)
    start, end = days_of.starts(day, zone), days_of.starts(day + timedelta(days=1), zone)
    gone = Decimal((as_of - start).total_seconds()) / Decimal((end - start).total_seconds())
    return (day, max(Decimal("0.001"), gone.quantize(Decimal("0.001"))))
