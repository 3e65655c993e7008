"""A period against another one, compared only where that is fair, and with the reason where it is not.

    period, and what it is held against -> pairs of days (the 1st with the 1st ...) -> pairs that were both read
        -> the running day only up to its last full hour, against the same hours of its partner
        -> columns summed over the pairs -> young conversions brought to what they will be (`maturity`), or
           "not comparable yet" -> each metric divided last -> change in percent

Reads through `analytics` alone. A side that is unknown gives no change, and so does a base of 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Literal

import insights.analytics as analytics
import insights.completeness as completeness
import insights.maturity as maturity
import insights.windows as days_of
from accounts.models import AdAccount
from insights.analytics import Point, Question, Result, Seen, Totals
from insights.metrics import HOURLY, METRICS
from insights.windows import DAY, Period

Against = Literal["previous", "week", "year"]
Column = Mapping[date, Decimal | None]
#: What a period can be held against, in a reader's words.
AGAINST: Final[Mapping[Against, str]] = {
    "previous": "the period before",
    "week": "the same weekdays before",
    "year": "the same days a year before",
}
_NO_HOURS: Final = "Meta tells this by the day only, so a running day cannot be compared."
_NOT_YET: Final = "Not comparable yet: conversions of these days are still coming in."
_NO_PAIRS: Final = "No day of the two periods was read on both sides."


@dataclass(frozen=True)
class Compared:
    """One metric on both sides, as reported, over the compared days alone. `change` is in percent of `before`.

    `basis` is "expected" where the change is of what both sides will be in the end. `why` says what is missing.
    """

    value: Decimal | None
    before: Decimal | None
    change: Decimal | None
    basis: Literal["reported", "expected", ""]
    why: str


@dataclass(frozen=True)
class Comparison:
    """`totals` is the whole period's answer. `pairs` of the period's `days` were read on both sides; the running day
    is among them up to `until_hour` (its label in the account's zone). `points` and `earlier` are the days drawn."""

    totals: Totals
    against: Against
    before: Period
    days: int
    pairs: int
    until_hour: int | None
    metrics: Mapping[str, Compared]
    points: tuple[Point, ...]
    earlier: tuple[Point, ...]

    @property
    def note(self) -> str:
        """What the comparison left out, in words; empty where it is of whole periods."""
        said = []
        if self.until_hour is not None:
            said.append(f"Today is compared up to {self.until_hour:02}:00, with the same hours.")
        if self.pairs < self.days:
            said.append(f"{self.pairs} of {self.days} days were read on both sides and are compared.")
        return " ".join(said)


def partner(period: Period, against: Against) -> Period:
    """The equally long period that it is held against. For `week` the weekdays match, for `year` the dates."""
    if against == "year":
        first = period.since
        leap = first.month == 2 and first.day == 29
        since = first.replace(year=first.year - 1, day=28 if leap else first.day)
        return Period(since, since + DAY * (period.days - 1))
    shift = period.days if against == "previous" else -(-period.days // 7) * 7
    return Period(period.since - DAY * shift, period.until - DAY * shift)


def compare(
    ad_account: AdAccount,
    *,
    since: date,
    until: date,
    against: Against,
    level: str = "account",
    object_id: str | None = None,
    metrics: Sequence[str],
    drawn: int = 0,
    drawn_to: date | None = None,
    now: datetime,
) -> Comparison:
    """One object's metrics of a period and how they moved.

    `drawn` asks for the points of at least so many days, the last of them `drawn_to` (without it: `until`)."""
    last = drawn_to or until
    shown = Period(last - DAY * (max(drawn, (until - since).days + 1) - 1), last)
    both = _Both(ad_account, Period(since, until), against, shown, level, object_id, now)
    found = analytics.totals(
        ad_account, since=since, until=until, level=level, object_id=object_id, metrics=metrics, now=now,
        seen=both.seen(Period(since, until)),
    )  # fmt: skip
    asked = analytics.question(ad_account, metrics)
    # One result for all that is held side by side: where the two periods have different ones, there is none.
    beside = Period(both.before.since, until)
    both.result = analytics.result_of(
        ad_account, since=beside.since, until=until, level=level, object_id=object_id, metrics=metrics, now=now,
        seen=both.seen(beside),
    )  # fmt: skip
    both.read_days(asked)
    alone = {name: analytics.question(ad_account, (name,)) for name in metrics}
    if both.running is not None and any(alone[name].hourly(name) for name in metrics):
        both.read_hours()
    compared = {name: both.compared(name, alone[name]) for name in metrics}
    return Comparison(
        totals=found,
        against=against,
        before=both.before,
        days=both.period.days,
        pairs=len(both.pairs) + bool(both.hours),
        until_hour=both.hour if both.hours else None,
        metrics=compared,
        points=both.drawn(asked, shown),
        earlier=both.drawn(asked, both.before),
    )


class _Both:
    """Both sides of one comparison: the pairs of days that may be added up, and the running day's hours."""

    def __init__(
        self,
        ad_account: AdAccount,
        period: Period,
        against: Against,
        shown: Period,
        level: str,
        object_id: str | None,
        now: datetime,
    ) -> None:
        self.ad_account, self.level, self.object_id, self.now = ad_account, level, object_id, now
        self.period, self.before, self.shown = period, partner(period, against), shown
        #: Days that are read together, each with one look at what is known of them.
        self.spans = {
            span: analytics.look(ad_account=ad_account, span=span, level=level) for span in self._spans()
        }
        self.today = analytics.account_today(ad_account, now)
        self.hour = now.astimezone(days_of.zone(ad_account.timezone_name)).hour
        self.running = self.before.since + (self.today - period.since) if self.today in period else None
        self.result: Result | None = None
        self.values: dict[date, Mapping[str, Decimal | None]] = {}
        self.pairs: tuple[tuple[date, date], ...] = ()
        #: Columns known by the hour -> (today so far, its partner's same hours).
        self.hours: dict[str, tuple[Decimal, Decimal]] = {}
        self._shares: dict[str, Sequence[Decimal]] | None = None
        self._sums: dict[tuple[str, int], maturity.Sum] = {}

    def _spans(self) -> list[Period]:
        """Both periods' days and those to be drawn: in one read where they lie side by side."""
        first, last = min(self.period.since, self.shown.since), max(self.period.until, self.shown.until)
        near = (self.period.until - self.before.since).days < 2 * self.period.days + 7
        return [Period(min(first, self.before.since), last)] if near else [Period(first, last), self.before]

    def seen(self, period: Period) -> Seen | None:
        """A look that was taken at these days."""
        inside = (
            seen
            for span, seen in self.spans.items()
            if span.since <= period.since and period.until <= span.until
        )
        return next(inside, None)

    def read_days(self, asked: Question) -> None:
        columns = sorted(asked.columns - {"reach"})
        for span, seen in self.spans.items():
            series = analytics.series(
                self.ad_account, level=self.level, object_id=self.object_id, since=span.since, until=span.until,
                metrics=columns, now=self.now, seen=seen,
            )  # fmt: skip
            self.values.update(
                (point.at, point.values) for point in series.points if not isinstance(point.at, datetime)
            )
        both = zip(self.period, self.before, strict=True)
        self.pairs = tuple(
            (day, other) for day, other in both if day < self.today and self._read(day) and self._read(other)
        )

    def _read(self, day: date) -> bool:
        return self.values.get(day, {}).get("impressions") is not None

    def read_hours(self) -> None:
        """The running day's full hours and its partner's, as far as all of both were read."""
        assert self.running is not None
        if self.level not in ("account", "campaign") or not self.hour:
            return
        zone = days_of.zone(self.ad_account.timezone_name)
        days = (self.today, self.running)
        spans = [Period(min(days), max(days))] if abs((days[0] - days[1]).days) <= 1 else [
            Period(day, day) for day in days
        ]  # fmt: skip
        sides: dict[date, dict[int, Mapping[str, Decimal | None]]] = {day: {} for day in days}
        for span in spans:
            series = analytics.series(
                self.ad_account, level=self.level, object_id=self.object_id, since=span.since, until=span.until,
                metrics=sorted(HOURLY), by="hour", now=self.now,
            )  # fmt: skip
            for point in series.points:
                assert isinstance(point.at, datetime)
                at = point.at.astimezone(zone)
                if at.date() in sides and at.hour < self.hour:
                    sides[at.date()][at.hour] = point.values
        mine, theirs = (sides[day] for day in days)
        same = sorted(mine.keys() & theirs.keys())  # an hour that a clock change skips is on neither side
        read = [hour for hour in same if None not in (*mine[hour].values(), *theirs[hour].values())]
        if not same or read != same:
            return
        self.hours = {
            name: tuple(sum((side[hour][name] or Decimal(0) for hour in same), Decimal(0)) for side in (mine, theirs))  # type: ignore[misc]
            for name in HOURLY
        }  # fmt: skip

    def compared(self, name: str, asked: Question) -> Compared:
        """One metric over the pairs."""
        if "reach" in asked.columns:
            return self._people(name)
        if asked.of_result and self.result is not None and self.result.reason:
            return Compared(None, None, None, "", self.result.reason)
        if asked.ranked:
            return Compared(None, None, None, "", "Classes have an order and no percent.")
        hours = self.hours if asked.hourly(name) else {}
        if not self.pairs and not hours:
            why = _NO_PAIRS
            if self.running is not None and self.period.days == 1 and not asked.hourly(name):
                why = _NO_HOURS
            return Compared(None, None, None, "", why)
        sums = [{column: self._sum(column, side) for column in asked.columns} for side in (0, 1)]
        reported, final = (
            [
                {
                    column: self._with(hours, column, side, getattr(one, which))
                    for column, one in sums[side].items()
                }
                for side in (0, 1)
            ]
            for which in ("reported", "expected")
        )
        value, before = (asked.values(one, self.result)[name] for one in reported)
        young = any(one.young for side in sums for one in side.values())
        if not young:
            return _moved(value, before, value, before, "reported")
        finals = [asked.values(one, self.result)[name] for one in final]
        unknown = any(one.young and one.expected is None for side in sums for one in side.values())
        if unknown:
            return Compared(value, before, None, "", _NOT_YET)
        return _moved(value, before, finals[0], finals[1], "expected")

    def _sum(self, column: str, side: int) -> maturity.Sum:
        """The column over one side of the pairs; several metrics rest on one."""
        if not self.pairs:
            return maturity.Sum(Decimal(0), Decimal(0), False)
        if (column, side) not in self._sums:
            days = {pair[side]: self.values[pair[side]][column] for pair in self.pairs}
            self._sums[column, side] = maturity.grown(
                column, days, today=self.today, shares=self._curves(column)
            )
        return self._sums[column, side]

    def _curves(self, column: str) -> Mapping[str, Sequence[Decimal]]:
        if not METRICS[column].attributed:
            return {}
        if self._shares is None:
            self._shares = {
                base: curve.shares for base, curve in completeness.curves(self.ad_account).items()
            }
        return self._shares

    @staticmethod
    def _with(
        hours: Mapping[str, tuple[Decimal, Decimal]], column: str, side: int, value: Decimal | None
    ) -> Decimal | None:
        return value if value is None or column not in hours else value + hours[column][side]

    def _people(self, name: str) -> Compared:
        """Reach is never added up, so it is compared for whole periods that Meta answered for."""
        if self.running is not None or len(self.pairs) < self.period.days:
            return Compared(
                None, None, None, "", "People reached are not added up: only whole periods compare."
            )
        value, before = (
            analytics.totals(
                self.ad_account, since=one.since, until=one.until, level=self.level, object_id=self.object_id,
                metrics=(name,), now=self.now, seen=self.seen(one),
            ).values[name]
            for one in (self.period, self.before)
        )  # fmt: skip
        return _moved(value, before, value, before, "reported")

    def drawn(self, asked: Question, period: Period) -> tuple[Point, ...]:
        """The metrics day by day, as reported; a ratio over people is not known from days."""
        found = []
        for day in period:
            if day <= self.today:
                values = {**self.values.get(day, {}), "reach": None}
                found.append(Point(day, asked.values(values, self.result)))
        return tuple(found)


def _moved(
    value: Decimal | None,
    before: Decimal | None,
    final: Decimal | None,
    final_before: Decimal | None,
    basis: Literal["reported", "expected"],
) -> Compared:
    if final is None or final_before is None:
        return Compared(value, before, None, "", "One of the two sides is not known.")
    if final_before == 0:
        return Compared(value, before, None, "", "It was 0 before, so there is no change in percent.")
    return Compared(value, before, (final - final_before) / abs(final_before) * 100, basis, "")
