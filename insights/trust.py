"""How far a number can be trusted, in one word and with its reasons; it travels with every answer.

unavailable   nothing of the period was read, or the account cannot be read at all
partial       some days are missing, or parts do not add up to the whole
stale         read to the end, but too long ago for what it claims
empty         read to the end, and nothing was delivered: empty is not zero
ready         none of these
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple

from django.conf import settings

import accounts.tokens as tokens
import insights.statements as statements
import insights.windows as days_of
from accounts.models import AdAccount
from insights.attribution import DEFAULT
from insights.models import DataVersion, Odd, PollState, Slice
from insights.windows import DAY, Period

State = Literal["ready", "partial", "stale", "unavailable", "empty"]
#: Meta refreshes about every 15 minutes; a running day that nobody could check for longer is stale, and so is one that
#: ended as long ago and was not read since.
RUNNING_STALE: Final = timedelta(minutes=15)
#: How long after the account's midnight the re-read of its closed days (`windows.promised`) may take.
REREAD_SLACK: Final = timedelta(hours=2)
#: How old a closed day's read may become until it is late.
_CLOSED_STALE: Final = DAY + REREAD_SLACK
STOPPED_ALL: Final = "No ad account is looked at by itself here while POLLING is false."
STOPPED: Final = "Somebody stopped the looks at this ad account; they are started again on its page."


@dataclass(frozen=True)
class Trust:
    state: State
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Header:
    """What every answer says of itself. Days are the account's; `data_as_of` is when the numbers of this period last
    moved.

    `checked_at` is how old the oldest part of the number is: the last look at the running day, the last read of a
    closed one that may still move. What has frozen and was read since does not age; where all has, it is the last look
    at the account. `stale_after` is how many seconds old it may become (0: it does not age).
    """

    currency: str
    zone: str
    since: date
    until: date
    data_version: int
    checked_at: datetime | None
    data_as_of: datetime | None
    trust: Trust
    #: The window in which conversions are credited; "default": each ad set's own setting.
    attribution: str = DEFAULT
    stale_after: int = 0


@dataclass(frozen=True)
class Known:
    """The header, and which days of the period were read to the end at the level that is added up (`days`) and at
    the level asked for (`own_days`, for reach). `mark` changes whenever the account's data does ("": there is none).
    """

    header: Header
    days: frozenset[date]
    own_days: frozenset[date]
    whole: bool
    mark: str = ""


class _Read(NamedTuple):
    """A slice: what was read of one level and day."""

    level: str
    day: date
    complete: bool
    fetched_at: datetime
    as_of: datetime
    rows: int
    agrees: bool
    odd: str


class _Data(NamedTuple):
    """Which data there is: the account's row of versions."""

    id: int
    version: int
    changed_at: datetime | None


class _Poll(NamedTuple):
    """Where the tick stands."""

    checked_at: datetime | None
    pending: bool
    stopped: bool
    reason: str


@dataclass(frozen=True)
class _Ages:
    """How old the parts of a period are: the last look at the running day (None: it is not in it, or nobody looked),
    and when each closed day was last read, at every level that is wanted of it."""

    running: datetime | None
    closed: Mapping[date, datetime]


@dataclass(frozen=True)
class Seen:
    """What is kept of an account's reads over a span of days: read once, for every answer about days inside it."""

    level: str
    kind: str
    breakdown: str
    span: Period
    reads: tuple[_Read, ...]
    data: _Data | None
    poll: _Poll | None

    @property
    def added(self) -> str:
        """The level whose rows are added up. Cells of a breakdown are read by level, and nothing is added up of others'
        rows."""
        return _added(self.level, self.kind, self.breakdown)


def _added(level: str, kind: str, breakdown: str) -> str:
    return level if breakdown else "ad" if kind == "day" else "campaign"


def look(*, ad_account: AdAccount, span: Period, level: str, kind: str = "day", breakdown: str = "") -> Seen:
    """What is kept of the reads of these days at `level`, and at the level that is added up for it."""
    among = {"kind": (kind,), "breakdown": (breakdown,)}
    levels: Collection[str] = {_added(level, kind, breakdown), level}
    reads = statements.read(
        Slice, _Read._fields, ad_account=ad_account, period=span, among={**among, "level": levels}
    )
    data = statements.read(DataVersion, _Data._fields, ad_account=ad_account)
    poll = statements.read(PollState, _Poll._fields, ad_account=ad_account)
    moment, optional = statements.as_moment, statements.as_moment_if_any
    return Seen(
        level=level,
        kind=kind,
        breakdown=breakdown,
        span=span,
        reads=tuple(
            _Read(one, statements.as_day(day), complete, moment(fetched), moment(moved), rows, agrees, odd)
            for one, day, complete, fetched, moved, rows, agrees, odd in reads
        ),
        data=next((_Data(pk, version, optional(changed)) for pk, version, changed in data), None),
        poll=next(
            (
                _Poll(optional(checked), bool(pending), bool(stopped), reason)
                for checked, pending, stopped, reason in poll
            ),
            None,
        ),
    )


def known(
    *,
    ad_account: AdAccount,
    period: Period,
    level: str,
    now: datetime,
    kind: str = "day",
    breakdown: str = "",
    seen: Seen | None = None,
) -> Known:
    """What is known of a period of an account now. Days after the account's today are nobody's.

    `seen` is a look at more days that was taken before, for the same level, kind and breakdown."""
    today = days_of.today(now, ad_account.timezone_name)
    if seen is None:
        seen = look(ad_account=ad_account, span=period, level=level, kind=kind, breakdown=breakdown)
    assert (seen.level, seen.kind, seen.breakdown) == (level, kind, breakdown)
    assert seen.span.since <= period.since
    assert period.until <= seen.span.until
    rows = [row for row in seen.reads if period.since <= row.day <= period.until]
    wanted = {day for day in period if day <= today}
    full = {row.day: row for row in rows if row.level == seen.added and row.complete}
    own = frozenset(row.day for row in rows if row.level == level and row.complete)
    data, poll = seen.data, seen.poll
    ages = _ages(rows, today, poll, breakdown)
    aging = [*_moving(ages.closed, today, ad_account.timezone_name), *filter(None, [ages.running])]
    looked = poll.checked_at if poll and not breakdown else None
    looks = [*(row.fetched_at for row in rows), *filter(None, [looked])]
    checked = min(aging, default=max(looks, default=None))
    patient = RUNNING_STALE if checked == ages.running else _CLOSED_STALE
    every = timedelta(seconds=ad_account.poll_seconds or settings.POLL_SECONDS)
    late = _late(full, ages, ad_account=ad_account, kind=kind, today=today, every=every, poll=poll, now=now)
    trust = _trust(full, rows, wanted=wanted, late=late)
    if trust.state in ("stale", "partial", "unavailable"):
        trust = Trust(trust.state, (*trust.reasons, *_hindered(ad_account, poll, every, now)))
    header = Header(
        currency=ad_account.currency,
        zone=ad_account.timezone_name,
        since=period.since,
        until=period.until,
        data_version=data.version if data else 0,
        checked_at=checked,
        data_as_of=max((row.as_of for row in rows), default=None),
        trust=trust,
        stale_after=round(patient.total_seconds()) if aging else 0,
    )
    return Known(header, frozenset(full), own, whole=wanted <= full.keys(), mark=_mark(data))


def _ages(rows: Sequence[_Read], today: date, poll: _Poll | None, breakdown: str) -> _Ages:
    closed: dict[date, datetime] = {}
    for row in rows:
        if row.complete:
            closed[row.day] = min(row.fetched_at, closed.get(row.day, row.fetched_at))
    read = closed.pop(today, None)
    # The tick looks at totals: parts are as old as their own read, and so is what moved and could not be fetched.
    looked = poll.checked_at if poll and not breakdown and not poll.pending else None
    return _Ages(max(filter(None, (read, looked)), default=None) if read else None, closed)


def _schedule(kind: str) -> dict[str, int]:
    """By which days are read again: hours once after their day has settled, all else for the whole look-back."""
    if kind == "hour":
        return {"lookback": days_of.HOUR_LOOKBACK, "frozen": days_of.HOUR_LOOKBACK}
    return {"lookback": settings.LOOKBACK_DAYS}


def _moving(closed: Mapping[date, datetime], today: date, zone_name: str) -> list[datetime]:
    """When the closed days were read that Meta may have restated since, whether or not they are due."""
    restated = max(days_of.LOOKBACK, settings.LOOKBACK_DAYS)
    return [
        seen
        for day, seen in closed.items()
        if (today - day).days <= restated or seen < days_of.starts(day + DAY * (restated + 1), zone_name)
    ]


def mark(ad_account: AdAccount) -> str:
    """`Known.mark` alone, for who asks what was known at other instants than now."""
    data = statements.read(DataVersion, _Data._fields, ad_account=ad_account)
    optional = statements.as_moment_if_any
    return _mark(next((_Data(pk, version, optional(changed)) for pk, version, changed in data), None))


def _mark(data: _Data | None) -> str:
    # The time beside the number: after a restore the number may come back with other rows.
    if data is None or data.changed_at is None:
        return ""
    return f"{data.id}.{data.version}.{data.changed_at.timestamp():.6f}"


def _hindered(ad_account: AdAccount, poll: _Poll | None, every: timedelta, now: datetime) -> tuple[str, ...]:
    """Why it does not get better by itself, or not yet. Asked only where something is wrong."""
    if not ad_account.enabled:
        return ("The ad account is switched off, so nothing is read.",)
    if not settings.POLLING:
        return (STOPPED_ALL,)
    if poll is not None and poll.stopped:
        return (STOPPED,)
    heard = ad_account.last_contact_at  # whom Meta answered for lately can be read
    if heard is None or now - heard > _patience(every):
        ended = tokens.why_unread(ad_account)
        if ended:
            return (ended,)
    return (poll.reason,) if poll is not None and poll.reason else ()


def _trust(
    full: dict[date, _Read],
    rows: list[_Read],
    *,
    wanted: set[date],
    late: tuple[str, ...],
) -> Trust:
    if not wanted:
        return Trust("unavailable", ("The period lies in the future.",))
    if not full:
        return Trust("unavailable", ("Nothing of this period has been read yet.",))
    missing = wanted - full.keys()
    if missing:
        words = f"{len(missing)} of {len(wanted)} days {'is' if len(missing) == 1 else 'are'} not read yet."
        return Trust("partial", (words,))
    apart = {row.day for row in rows if not row.agrees}
    if apart:
        which = "spend, impressions, clicks or conversions"
        words = f"On {_days(len(apart))} the parts do not add up to the account's total in {which}."
        return Trust("partial", (words,))
    odd = [row.odd for row in full.values() if row.odd]
    if odd:
        return Trust(
            "partial", tuple(f"On {_days(odd.count(word))} {word.label}." for word in Odd if word in odd)
        )
    if late:
        return Trust("stale", late)
    if not any(row.rows for row in full.values()):
        return Trust("empty", ("Nothing was delivered in this period.",))
    return Trust("ready")


def _patience(every: timedelta) -> timedelta:
    return max(RUNNING_STALE, 3 * every)


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _late(
    full: Mapping[date, _Read],
    ages: _Ages,
    *,
    ad_account: AdAccount,
    kind: str,
    today: date,
    every: timedelta,
    poll: _Poll | None,
    now: datetime,
) -> tuple[str, ...]:
    """What is too old of it, in words; a running day that nobody looks at any more is so at once."""
    found = []
    stopped = not settings.POLLING or (poll is not None and poll.stopped)
    if today in full and (ages.running is None or stopped or now - ages.running > _patience(every)):
        found.append(
            f"Today was last checked at {ages.running:%H:%M} UTC."
            if ages.running
            else "Today was never checked."
        )
    zone = ad_account.timezone_name
    just_now = days_of.today(now - _patience(every), zone)
    promised_for = days_of.today(now - REREAD_SLACK, zone)
    behind = {}
    for day, seen in ages.closed.items():
        ended = day < just_now and seen < days_of.starts(day + DAY, zone)
        if ended or (
            day < promised_for
            and seen < days_of.promised(day, today=promised_for, zone_name=zone, **_schedule(kind))
        ):
            behind[day] = seen
    if behind:
        found.append(_behind(behind))
    return tuple(found)


def _behind(days: Mapping[date, datetime]) -> str:
    day = min(days, key=lambda one: (days[one], one))
    others = f", and so should {_days(len(days) - 1)} more" if len(days) > 1 else ""
    seen = f"on {days[day]:%d %b} at {days[day]:%H:%M} UTC"
    return f"{day:%d %b} was last read {seen} and should have been read again since{others}."
