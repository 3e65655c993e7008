"""Days of an ad account: its today, its 23- and 25-hour days, named periods, and which days are due to be read.

A day is a date in the account's zone. Meta restates a day for 28 days; a day that was read after it froze is
never read again. PURE: no Django, no clock, no I/O of its own (the zone database is the interpreter's).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from insights.errors import TooFarBack, UnknownPeriod, UnknownZone

DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)
LOOKBACK: Final = 28
#: Hours are read again for as many days; then they are left as they are.
HOUR_LOOKBACK: Final = 1
#: How far back Meta answers (docs/meta.md, section 5.6): totals; hours, and reach by breakdown.
MONTHS: Final = 37
MONTHS_DETAILED: Final = 13
#: Sums kept per object, in full days that end yesterday.
WINDOWS: Final = (1, 3, 7, 14, 28)
#: Periods whose de-duplicated reach is read, in full days that end yesterday (a day's own is in its row).
REACH_PERIODS: Final = (7, 28)


@dataclass(frozen=True)
class Period:
    """Account days, both ends inside."""

    since: date
    until: date

    @property
    def days(self) -> int:
        return (self.until - self.since).days + 1

    def __iter__(self) -> Iterator[date]:
        return (self.since + DAY * index for index in range(self.days))


def zone(name: str) -> ZoneInfo:
    """The zone of that name; raises `UnknownZone`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownZone(f"The time zone {name!r} is not known here.") from None


def day(text: str) -> date:
    """The day that an ISO date names; raises `ValueError`."""
    return date.fromisoformat(text)


def earliest(today: date, *, months: int = MONTHS) -> date:
    """The first day of which Meta still answers: `months` months back, and a day of slack, because the account's
    today and Meta's may differ. Total rows go back 37 months; unique counts with a breakdown, and hours, 13."""
    month = today.year * 12 + today.month - 1 - months
    first = date(month // 12, month % 12 + 1, 1)
    return first + DAY * min(today.day, 28)


def reachable(*, days: int, today: date) -> None:
    """Raises `TooFarBack` if the last `days` days, today among them, begin before Meta's figures do."""
    first = earliest(today)
    if days > (today - first).days + 1:
        raise TooFarBack(first, MONTHS, "figures")


def today(moment: datetime, zone_name: str) -> date:
    """The account's day at `moment` (aware)."""
    return moment.astimezone(zone(zone_name)).date()


def starts(day: date, zone_name: str) -> datetime:
    """The first instant of the account's `day`, in UTC.

    Where the clock jumps over midnight (some zones do), the day begins at the jump.
    """
    local = datetime.combine(day, time(), tzinfo=zone(zone_name))
    return local.astimezone(UTC)


def hours(day: date, zone_name: str) -> tuple[datetime, ...]:
    """The day's hours as UTC instants: 23, 24 or 25 of them."""
    first, end = starts(day, zone_name), starts(day + DAY, zone_name)
    count = -(-(end - first) // HOUR)
    return tuple(first + HOUR * index for index in range(count))


def fraction(moment: datetime, zone_name: str) -> float:
    """How much of the account's running day is over, 0..1, by real hours."""
    day = today(moment, zone_name)
    first, end = starts(day, zone_name), starts(day + DAY, zone_name)
    return (moment - first) / (end - first)


def last(days: int, today: date) -> Period:
    """The last `days` full days: yesterday is the last, today is not inside (as Meta's last_Nd)."""
    return Period(today - DAY * days, today - DAY)


def _week(today: date) -> date:
    return today - DAY * today.weekday()


def _month(today: date) -> date:
    return today.replace(day=1)


PRESETS: Final[Mapping[str, Callable[[date], Period]]] = {
    "today": lambda today: Period(today, today),
    "yesterday": lambda today: last(1, today),
    "last_3d": lambda today: last(3, today),
    "last_7d": lambda today: last(7, today),
    "last_14d": lambda today: last(14, today),
    "last_28d": lambda today: last(28, today),
    "last_30d": lambda today: last(30, today),
    "last_90d": lambda today: last(90, today),
    "this_week_mon_today": lambda today: Period(_week(today), today),
    "last_week_mon_sun": lambda today: Period(_week(today) - DAY * 7, _week(today) - DAY),
    "this_month": lambda today: Period(_month(today), today),
    "last_month": lambda today: Period(_month(_month(today) - DAY), _month(today) - DAY),
}


def preset(name: str, *, today: date) -> Period:
    """A named period around the account's `today`; raises `UnknownPeriod` with the names there are."""
    try:
        return PRESETS[name](today)
    except KeyError:
        raise UnknownPeriod(name, tuple(PRESETS)) from None


def due(
    *,
    today: date,
    days: int,
    now: datetime,
    zone_name: str,
    fetched: Mapping[date, datetime],
    lookback: int = LOOKBACK,
    frozen: int = LOOKBACK,
    always_today: bool = True,
) -> tuple[date, ...]:
    """Which of the last `days` days (today among them) are to be read, newest first.

    `fetched` holds the days that were read completely, and when. Today is always due (the caller's probe
    decides whether it is worth it); yesterday once an hour, because late conversions land there first; a day
    within the look-back once per account day; an older one once after it froze (`promised`).
    """
    wanted = []
    for age in range(days):
        day = today - DAY * age
        seen = fetched.get(day)
        if seen is None:
            wanted.append(day)
        elif age == 0:
            if always_today:
                wanted.append(day)
        else:
            least = promised(day, today=today, zone_name=zone_name, lookback=lookback, frozen=frozen)
            if seen < (max(least, now - HOUR) if age == 1 else least):
                wanted.append(day)
    return tuple(wanted)


def promised(
    day: date, *, today: date, zone_name: str, lookback: int = LOOKBACK, frozen: int = LOOKBACK
) -> datetime:
    """The instant since which a closed `day` has to have been read, on the account's day `today`.

    Within the look-back that is today's midnight; once nothing moves any more, the midnight on which the day froze. A
    look-back that is shorter than what Meta restates (`frozen` days) makes the days between wait for that last read,
    after the one that was due on their last day in the look-back; it loses no final number. That yesterday is read
    every hour is no promise: it is read along with today, when today moves.
    """
    age = (today - day).days
    final = max(lookback, frozen)
    if age <= lookback:
        return starts(today, zone_name)
    return starts(day + DAY * (lookback if age <= final else final + 1), zone_name)


def reaching_back(
    *, today: date, zone_name: str, fetched: Mapping[date, datetime], lookback: int = LOOKBACK
) -> int:
    """How many days a refresh has to look at, today among them: the look-back, and whatever was last read before it
    froze and has left the look-back since, because nobody looked for a while."""
    final = max(lookback, LOOKBACK)
    young = [day for day, seen in fetched.items() if seen < starts(day + DAY * (final + 1), zone_name)]
    return max(lookback, (today - min(young, default=today)).days) + 1


def runs(days: Iterable[date], *, longest: int) -> tuple[Period, ...]:
    """Days joined into contiguous periods of at most `longest` days, newest first."""
    found: list[Period] = []
    for day in sorted(set(days), reverse=True):
        if found and found[-1].since - DAY == day and found[-1].days < longest:
            found[-1] = Period(day, found[-1].until)
        else:
            found.append(Period(day, day))
    return tuple(found)


def months(period: Period) -> dict[date, int]:
    """First day of a month -> which of its days are in the period: bit 0 is that first day."""
    found: dict[date, int] = {}
    for day in period:
        found[day.replace(day=1)] = found.get(day.replace(day=1), 0) | 1 << day.day - 1
    return found


def halves(period: Period) -> tuple[Period, Period]:
    """The period cut in two, newer half first; at least two days are needed."""
    middle = period.since + DAY * (period.days // 2)
    return Period(middle, period.until), Period(period.since, middle - DAY)


def sliding(until: date, sizes: Iterable[int] = WINDOWS) -> tuple[Period, ...]:
    """The windows whose sums are kept, all ending at `until`."""
    return tuple(Period(until - DAY * (size - 1), until) for size in sizes)
