"""The one reader: pages, the API, rules, alerts and reports ask here and nowhere else.

    period -> what is known of it (`trust`) -> sums of ad rows or their rollups -> the client's result
           -> `metrics.evaluate`: sum first, divide last -> values under a header that says how far to trust them

The caller got the ad account from `accounts.access`. Over days that were read to the end, an object without
rows has 0; a period of which nothing was read is None throughout, and one that was read in part is the sum of
what was read, marked partial. Reach is what Meta answered for that object and period, else None.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final, Literal

import insights.answers as answers
import insights.asked as asking
import insights.history as history
import insights.windows as days_of
from accounts.models import AdAccount
from insights.asked import Question, question
from insights.attribution import ATTRIBUTED, DEFAULT
from insights.errors import UnknownMetric
from insights.metrics import ADDITIVE, HOURLY, METRICS, Metric, named
from insights.models import DataVersion, WindowSum
from insights.patterns import Family, Pattern, find
from insights.progress import Progress, progress
from insights.results import Result
from insights.trust import Header, Known, Seen, Trust, known, look, mark
from insights.windows import Period

Values = Mapping[str, Decimal | None]
ENGINE_DAYS: Final = 7
__all__ = [
    "DaysTable", "EvidenceParts", "Header", "PastTable", "Point", "Progress", "Question", "Result", "Rhythm", "Seen",
    "Series", "Table", "TableRow", "Totals", "Trust", "WindowTable", "account_today", "against_yesterday",
    "as_known_at", "days", "days_known_at", "evidence", "first_read", "last_hours", "look", "pattern", "preset",
    "progress", "question", "read_since", "result_of", "series", "table", "totals", "windows",
]  # fmt: skip


@dataclass(frozen=True)
class Totals:
    """`result`: what counts as a conversion here, or why nothing does; None where it was not asked for."""

    header: Header
    values: Values
    result: Result | None = None


@dataclass(frozen=True)
class TableRow:
    object_id: str
    values: Values
    result: Result | None = None


@dataclass(frozen=True)
class Table:
    header: Header
    rows: tuple[TableRow, ...]


@dataclass(frozen=True)
class Point:
    """`at` is an account day, or the UTC instant at which an hour of it begins."""

    at: date | datetime
    values: Values


@dataclass(frozen=True)
class Series:
    header: Header
    points: tuple[Point, ...]
    result: Result | None = None


@dataclass(frozen=True)
class PastTable:
    """A table as it was known at an instant. `answers_for` is `at`, or for a period with the day that was running
    then the end of what was kept of that hour; `unread` days of the period had not been read to the end by then."""

    currency: str
    zone: str
    since: date
    until: date
    at: datetime
    answers_for: datetime
    unread: int
    rows: tuple[TableRow, ...]

    @property
    def exact(self) -> bool:
        return self.answers_for == self.at


@dataclass(frozen=True)
class Rhythm:
    """A ratio by hour or weekday of the account's zone, and which of them differ by more than chance.

    The pattern's ratios are plain top / over, without the metric's factor (`metric.times`)."""

    header: Header
    metric: Metric
    pattern: Pattern


@dataclass(frozen=True)
class DaysTable:
    """`values[object][day]`; a day of `read` without rows delivered nothing."""

    header: Header
    read: frozenset[date]
    values: Mapping[str, Mapping[date, Values]]


@dataclass(frozen=True)
class WindowTable:
    """Metric -> object -> value over the last `days` full days, for every metric of the registry."""

    header: Header
    object_ids: tuple[str, ...]
    days: int
    columns: Mapping[str, Mapping[str, Decimal | None]]
    results: Mapping[str, Result]


@dataclass(frozen=True)
class EvidenceParts:
    """What a decision rests on: the data version, when its numbers last moved, and a digest of the window sums."""

    data_version: int
    as_of: datetime | None
    checksum: str


def account_today(ad_account: AdAccount, now: datetime) -> date:
    """The account's day, in its own zone."""
    return days_of.today(now, ad_account.timezone_name)


def preset(name: str, ad_account: AdAccount, now: datetime) -> tuple[date, date]:
    """First and last day of a named period (last_7d, today ...); raises `errors.UnknownPeriod`."""
    period = days_of.preset(name, today=account_today(ad_account, now))
    return period.since, period.until


def totals(
    ad_account: AdAccount,
    *,
    since: date,
    until: date,
    level: str = "account",
    object_id: str | None = None,
    metrics: Sequence[str],
    now: datetime,
    attribution: str = DEFAULT,
    seen: Seen | None = None,
) -> Totals:
    """One object's metrics over a period; the account's without `object_id`.

    `attribution` is a window of `insights.attribution.CHOICES`; raises `UnknownAttribution` for others. Who asks
    several things about days inside one span hands over one look at it (`look`).
    """
    found = table(
        ad_account,
        level=level,
        since=since,
        until=until,
        object_ids=[_object(ad_account, level, object_id)],
        metrics=metrics,
        now=now,
        attribution=attribution,
        seen=seen,
    )
    return Totals(found.header, found.rows[0].values, found.rows[0].result)


def table(
    ad_account: AdAccount,
    *,
    level: str,
    since: date,
    until: date,
    parent_id: str | None = None,
    object_ids: Collection[str] | None = None,
    metrics: Sequence[str],
    now: datetime,
    attribution: str = DEFAULT,
    seen: Seen | None = None,
) -> Table:
    """Metrics of every object of a level that had rows, by id; of exactly `object_ids` where they are given.

    `parent_id` narrows ad sets to a campaign, and ads to an ad set or campaign. Each row says what its result is.
    """
    period = Period(since, until)
    asked = question(ad_account, metrics, attribution)
    state = asking.known_in(ad_account, period, level, now, asked, seen=seen)
    bases = asked.columns
    ask = functools.partial(
        answers.by_object, ad_account=ad_account, mark=state.mark, level=level, period=period,
        parent_id=parent_id, object_ids=object_ids, window=asked.window,
    )  # fmt: skip
    # What is inside a parent is known from its rows; everywhere else the results say which columns are wanted.
    if parent_id is None:
        result = asking.results(ad_account, state.mark, level, period, asked, object_ids)
        additive = asked.additive_for(result)
        found = ask(bases=additive)
        ids = sorted(found) if object_ids is None else list(dict.fromkeys(object_ids))
    else:
        additive = asked.additive
        found = ask(bases=additive)
        ids = sorted(found) if object_ids is None else list(dict.fromkeys(object_ids))
        result = asking.results(ad_account, state.mark, level, period, asked, ids)
    people: Mapping[str, int] = {}
    if "reach" in bases:
        people = answers.reach(
            ad_account=ad_account, mark=state.mark, level=level, period=period, object_ids=ids
        )
    ranks = asking.ranks(ad_account, state, level, period, asked, object_ids if parent_id is None else ids)
    rows = []
    for one in ids:
        mine: dict[str, Decimal | None] = dict(found.get(one) or _absent(additive, state))
        mine["reach"] = _reach(people.get(one), mine, state, single=period.days == 1)
        mine |= ranks.get(one, {})
        rows.append(TableRow(one, asked.values(mine, result(one)), result(one)))
    return Table(state.header, tuple(rows))


def as_known_at(
    ad_account: AdAccount,
    *,
    at: datetime,
    level: str,
    since: date,
    until: date,
    object_ids: Collection[str] | None = None,
    metrics: Sequence[str],
) -> PastTable:
    """What `table` said at `at` (aware, not in the future): the rows of then, before later restatements.

    Reach and rankings are None: Meta's answers for periods are kept as they are, not as they were. So are the parents
    of an object, the client's result and what an ad set is optimised for: today's are used.
    """
    period = Period(since, until)
    asked = question(ad_account, metrics)
    bases = asked.additive
    data = mark(ad_account)
    moment, found = answers.known_at(
        ad_account=ad_account,
        mark=data,
        level=level,
        period=period,
        at=at,
        bases=bases,
        object_ids=object_ids,
    )
    # Not kept with the sums: a day that is read to the end and has no rows is no new data.
    read = history.read_by(ad_account=ad_account, period=period, at=moment)
    ids = sorted(found) if object_ids is None else list(dict.fromkeys(object_ids))
    empty = dict.fromkeys(bases, Decimal(0) if read else None)
    wanted = {day for day in period if day <= days_of.today(at, ad_account.timezone_name)}
    result = asking.results(ad_account, data, level, period, asked, object_ids)
    return PastTable(
        currency=ad_account.currency,
        zone=ad_account.timezone_name,
        since=since,
        until=until,
        at=at,
        answers_for=moment,
        unread=len(wanted - read),
        rows=tuple(
            TableRow(one, asked.values(found.get(one, empty), result(one)), result(one)) for one in ids
        ),
    )


def first_read(ad_account: AdAccount) -> dict[date, datetime]:
    """Account day -> when it had first been read to the end: from then on its figures are known as they were."""
    return history.first_read(ad_account=ad_account)


def days_known_at(
    ad_account: AdAccount,
    *,
    at: datetime,
    level: str,
    object_ids: Collection[str],
    since: date,
    until: date,
    read: frozenset[date],
    metrics: Sequence[str],
) -> DaysTable:
    """What `days` said at `at`, as `as_known_at` knows it; `read` are the days that count as read to the end."""
    period = Period(since, until)
    asked = question(ad_account, metrics)
    moment, found = history.days_at(
        ad_account=ad_account, level=level, period=period, at=at, bases=asked.additive, object_ids=object_ids
    )
    result = asking.results(ad_account, mark(ad_account), level, period, asked, tuple(sorted(object_ids)))
    header = Header(
        currency=ad_account.currency, zone=ad_account.timezone_name, since=since, until=until, data_version=0,
        checked_at=moment, data_as_of=moment, trust=Trust("ready"),
    )  # fmt: skip
    values = {
        one: {day: asked.values(sums, result(one)) for day, sums in mine.items() if day in read}
        for one, mine in found.items()
    }
    return DaysTable(header, read, values)


def series(
    ad_account: AdAccount,
    *,
    level: str,
    object_id: str | None = None,
    since: date,
    until: date,
    metrics: Sequence[str],
    by: Literal["day", "hour"] = "day",
    now: datetime,
    attribution: str = DEFAULT,
    seen: Seen | None = None,
) -> Series:
    """Metrics day by day, or hour by hour (accounts and campaigns; others are unknown by the hour).

    A day that was not read to the end is None; future days and hours are left out. The result is one for the whole
    series, so that its points can be compared.
    """
    one = _object(ad_account, level, object_id)
    today = account_today(ad_account, now)
    if by == "hour":
        return _hours(ad_account, level, one, Period(since, until), metrics, now, attribution)
    period = Period(since, until)
    asked = question(ad_account, metrics, attribution)
    state = asking.known_in(ad_account, period, level, now, asked, seen=seen)
    bases = asked.columns
    found = answers.by_day(
        ad_account=ad_account,
        mark=state.mark,
        level=level,
        object_id=one,
        period=period,
        bases=asked.additive,
        window=asked.window,
    )
    people = (
        answers.reach_by_day(
            ad_account=ad_account, mark=state.mark, level=level, object_id=one, period=period
        )
        if "reach" in bases
        else {}
    )
    result = asking.results(ad_account, state.mark, level, period, asked, [one])(one)
    ranks = asking.ranks_by_day(ad_account, state, level, period, asked, one)
    points = []
    for day in period:
        if day > today:
            break
        mine: dict[str, Decimal | None] = dict.fromkeys(bases)
        if day in state.days:
            mine = dict(found.get(day) or dict.fromkeys(asked.additive, Decimal(0)))
        if day in state.own_days:
            mine["reach"] = Decimal(people.get(day, 0))
        mine |= ranks.get(day, {})
        points.append(Point(day, asked.values(mine, result)))
    return Series(state.header, tuple(points), result)


def days(
    ad_account: AdAccount,
    *,
    level: str,
    object_ids: Collection[str],
    since: date,
    until: date,
    metrics: Sequence[str],
    now: datetime,
) -> DaysTable:
    """Metrics day by day of many campaigns, ad sets or ads at once, for days with rows that were read to the end."""
    period = Period(since, until)
    asked = question(ad_account, metrics)
    ids = tuple(sorted(object_ids))
    state = asking.known_in(ad_account, period, level, now, asked)
    found = answers.by_object_day(
        ad_account=ad_account,
        mark=state.mark,
        level=level,
        period=period,
        bases=asked.additive,
        object_ids=ids,
    )
    result = asking.results(ad_account, state.mark, level, period, asked, ids)
    return DaysTable(
        state.header,
        state.days,
        {
            one: {day: asked.values(sums, result(one)) for day, sums in mine.items() if day in state.days}
            for one, mine in found.items()
        },
    )


def pattern(
    ad_account: AdAccount,
    *,
    metric: str,
    family: Family,
    weeks: int,
    level: str = "account",
    object_id: str | None = None,
    now: datetime,
) -> Rhythm:
    """How a ratio differs by hour, weekday or hour of the week, over the full weeks of days up to yesterday.

    Only ratios that Meta answers by the hour; raises `UnknownMetric` for others. Hours that were not read are left
    out; hours that were read and delivered nothing have nothing to compare.
    """
    asked = named(metric)
    if asked.over is None or not asked.hourly:
        raise UnknownMetric(metric, tuple(one.name for one in METRICS.values() if one.over and one.hourly))
    one = _object(ad_account, level, object_id)
    period = days_of.last(7 * weeks, account_today(ad_account, now))
    state = known(ad_account=ad_account, period=period, level="campaign", now=now, kind="hour")
    found = answers.by_hour(
        ad_account=ad_account, mark=state.mark, level=level, object_id=one, period=period, bases=asked.bases
    )
    seen = {
        (day, hour): (values[asked.top] or Decimal(0), values[asked.over] or Decimal(0))
        for (day, hour), values in (found or {}).items()
        if day in state.days
    }
    return Rhythm(state.header, asked, find(seen, family=family, up_is_good=asked.good != "down"))


def windows(
    ad_account: AdAccount,
    *,
    level: str,
    now: datetime,
    days: int = ENGINE_DAYS,
    metrics: Collection[str] | None = None,
    attribution: str = DEFAULT,
    seen: Seen | None = None,
) -> WindowTable:
    """Metrics (every one, unless said) of every object of a level over the last full days: what rules are judged on."""
    today = account_today(ad_account, now)
    period = days_of.last(days, today)
    names = tuple(METRICS) if metrics is None else tuple(sorted(metrics))
    asked = question(ad_account, names, attribution)
    state = asking.known_in(ad_account, period, level, now, asked, seen=seen)
    found = answers.by_window(
        ad_account=ad_account, mark=state.mark, level=level, days=days, until=period.until
    )
    if not found and state.days:  # the account's day has turned and no upsert has come by yet
        found = answers.by_object(
            ad_account=ad_account, mark=state.mark, level=level, period=period, bases=ADDITIVE.keys()
        )
    if asked.window != DEFAULT:
        inside = answers.by_object(
            ad_account=ad_account,
            mark=state.mark,
            level=level,
            period=period,
            bases=ATTRIBUTED,
            window=asked.window,
        )
        found = {one: {**mine, **inside[one]} for one, mine in found.items()}
    ids = tuple(sorted(found))
    people: Mapping[str, int] = {}
    if "reach" in asked.columns:
        people = answers.reach(
            ad_account=ad_account, mark=state.mark, level=level, period=period, object_ids=ids
        )
    ranks = asking.ranks(ad_account, state, level, period, asked, None)
    result = asking.results(ad_account, state.mark, level, period, asked, None)
    columns: dict[str, dict[str, Decimal | None]] = {name: {} for name in names}
    for one in ids:
        mine: dict[str, Decimal | None] = dict(found[one])
        mine["reach"] = _reach(people.get(one), mine, state, single=days == 1)
        mine |= ranks.get(one, {})
        for name, value in asked.values(mine, result(one)).items():
            columns[name][one] = value
    return WindowTable(state.header, ids, days, columns, {one: result(one) or Result("") for one in ids})


def last_hours(
    ad_account: AdAccount, *, level: str, hours: int, metrics: Sequence[str], now: datetime
) -> Table:
    """Metrics of every object of a level that had rows over the last full hours of the account's clock, the running
    one left out. Accounts and campaigns only; what Meta does not answer by the hour is None."""
    zone = days_of.zone(ad_account.timezone_name)
    # The account's hours need not begin with UTC's: some zones are half an hour off.
    end = now.astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    labels = {
        (at.date(), at.hour)
        for at in ((end - days_of.HOUR * back).astimezone(zone) for back in range(1, hours + 1))
    }
    period = Period(min(day for day, _ in labels), max(day for day, _ in labels))
    asked = question(ad_account, metrics)
    state = asking.known_in(ad_account, period, "campaign", now, asked, kind="hour")
    found = answers.by_hours(
        ad_account=ad_account, mark=state.mark, level=level, labels=frozenset(labels), bases=asked.additive
    )
    return Table(
        state.header,
        tuple(
            TableRow(
                one,
                {
                    name: value if asked.hourly(name) else None
                    for name, value in asked.values(mine, None).items()
                },
            )
            for one, mine in sorted(found.items())
        ),
    )


def read_since(ad_account: AdAccount, *, now: datetime) -> date | None:
    """The first day since which every day up to yesterday was read to the end; None while yesterday was not."""
    yesterday = account_today(ad_account, now) - days_of.DAY
    first = days_of.earliest(yesterday)
    seen = look(ad_account=ad_account, span=Period(first, yesterday), level="ad")
    read = {row.day for row in seen.reads if row.complete}
    since: date | None = None
    while (day := (since or yesterday + days_of.DAY) - days_of.DAY) in read:
        since = day
    return since


def evidence(ad_account: AdAccount, now: datetime) -> EvidenceParts:
    """Data version, age and digest of what `windows` answers now. Equal numbers give an equal digest."""
    period = days_of.last(ENGINE_DAYS, account_today(ad_account, now))
    state = known(ad_account=ad_account, period=period, level="campaign", now=now)
    version = DataVersion.objects.of(ad_account).values_list("version", flat=True).first() or 0
    rows = WindowSum.objects.of(ad_account).filter(days=ENGINE_DAYS, until=period.until)
    lines = [
        [str(value) for value in row]
        for row in rows.order_by("level", "object_id").values_list("level", "object_id", *ADDITIVE)
    ]
    text = json.dumps([ad_account.act_id, str(period.since), str(period.until), lines])
    return EvidenceParts(version, state.header.data_as_of, hashlib.sha256(text.encode()).hexdigest())


def against_yesterday(ad_account: AdAccount, *, now: datetime) -> dict[str, Decimal | None]:
    """Today's full hours less yesterday's same hours, for what Meta answers by the hour; None where one is not read."""
    zone = days_of.zone(ad_account.timezone_name)
    today, hour = account_today(ad_account, now), now.astimezone(zone).hour
    names = sorted(HOURLY)
    sides = []
    for day in (today, today - days_of.DAY):
        points = series(
            ad_account, level="account", since=day, until=day, metrics=names, by="hour", now=now
        ).points
        full = [
            point
            for point in points
            if isinstance(point.at, datetime) and point.at.astimezone(zone).hour < hour
        ]
        sides.append({name: _added([point.values[name] for point in full]) for name in names})
    return {
        name: None if sides[0][name] is None or sides[1][name] is None else sides[0][name] - sides[1][name]  # type: ignore[operator]
        for name in names
    }


def _added(values: Sequence[Decimal | None]) -> Decimal | None:
    known_values = [value for value in values if value is not None]
    return sum(known_values, Decimal(0)) if len(known_values) == len(values) else None


def _hours(
    ad_account: AdAccount,
    level: str,
    object_id: str,
    period: Period,
    metrics: Sequence[str],
    now: datetime,
    attribution: str,
) -> Series:
    asked = question(ad_account, metrics, attribution)
    state = asking.known_in(ad_account, period, "campaign", now, asked, kind="hour")
    zone = days_of.zone(ad_account.timezone_name)
    bases = asked.additive
    found = answers.by_hour(
        ad_account=ad_account, mark=state.mark, level=level, object_id=object_id, period=period, bases=bases
    )
    zero = dict.fromkeys(bases, Decimal(0))
    points = []
    for day in period:
        seen = set()
        for at in days_of.hours(day, ad_account.timezone_name):
            label = at.astimezone(zone).hour
            if at > now or label in seen:  # the repeated hour of a 25-hour day is one row at Meta
                continue
            seen.add(label)
            mine: dict[str, Decimal | None] = {}
            if day in state.days and found is not None:
                mine = dict(found.get((day, label), zero))
            values = asked.values(mine, None)
            points.append(
                Point(at, {name: value if asked.hourly(name) else None for name, value in values.items()})
            )
    return Series(state.header, tuple(points))


def _object(ad_account: AdAccount, level: str, object_id: str | None) -> str:
    if level == "account" or object_id is None:
        return str(ad_account.meta_id)
    return object_id


def result_of(
    ad_account: AdAccount,
    *,
    since: date,
    until: date,
    level: str = "account",
    object_id: str | None = None,
    metrics: Sequence[str],
    now: datetime,
    seen: Seen | None = None,
) -> Result | None:
    """What counts as a conversion of one object over a period; None where the metrics do not rest on it."""
    asked, period = question(ad_account, metrics), Period(since, until)
    one = _object(ad_account, level, object_id)
    mark = ""
    if asked.each_its_own:
        mark = asking.known_in(ad_account, period, level, now, asked, seen=seen).mark
    return asking.results(ad_account, mark, level, period, asked, [one])(one)


def _absent(bases: Collection[str], state: Known) -> dict[str, Decimal | None]:
    return dict.fromkeys(bases, Decimal(0) if state.days else None)


def _reach(people: int | None, mine: Values, state: Known, *, single: bool) -> Decimal | None:
    if people is not None:
        return Decimal(people)
    return Decimal(0) if state.whole and mine.get("impressions") == 0 else None
