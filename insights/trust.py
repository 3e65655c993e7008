"""How far a number can be trusted, in one word and with its reasons; it travels with every answer.

unavailable   nothing of the period was read, or the account cannot be read at all
partial       some days are missing, or parts do not add up to the whole
stale         read to the end, but too long ago for what it claims
empty         read to the end, and nothing was delivered: empty is not zero
ready         none of these
"""

from __future__ import annotations

from collections.abc import Collection
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
#: Meta refreshes about every 15 minutes; a running day that nobody could check for longer is stale.
RUNNING_STALE: Final = timedelta(minutes=15)
#: A day that is still restated is read once per account day.
CLOSED_STALE: Final = timedelta(hours=26)
STOPPED: Final = "Somebody stopped the looks at this ad account; they are started again on its page."


@dataclass(frozen=True)
class Trust:
    state: State
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Header:
    """What every answer says of itself. Days are the account's; `checked_at` is the last look at Meta,
    `data_as_of` when the numbers of this period last moved."""

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
    stopped: bool
    reason: str


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
            (_Poll(optional(checked), bool(stopped), reason) for checked, stopped, reason in poll), None
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
    # The tick looks at totals: parts are as old as their own read.
    looked = poll.checked_at if poll and not breakdown else None
    reads = [row.fetched_at for row in rows] + ([looked] if looked else [])
    checked = max(reads, default=None)
    every = timedelta(seconds=ad_account.poll_seconds or settings.POLL_SECONDS)
    trust = _trust(full, rows, wanted=wanted, today=today, checked=checked, every=every, poll=poll, now=now)
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
    )
    return Known(header, frozenset(full), own, whole=wanted <= full.keys(), mark=_mark(data))


def _mark(data: _Data | None) -> str:
    # The time beside the number: after a restore the number may come back with other rows.
    if data is None or data.changed_at is None:
        return ""
    return f"{data.id}.{data.version}.{data.changed_at.timestamp():.6f}"


def _hindered(ad_account: AdAccount, poll: _Poll | None, every: timedelta, now: datetime) -> tuple[str, ...]:
    """Why it does not get better by itself, or not yet. Asked only where something is wrong."""
    if not ad_account.enabled:
        return ("The ad account is switched off, so nothing is read.",)
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
    today: date,
    checked: datetime | None,
    every: timedelta,
    poll: _Poll | None,
    now: datetime,
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
        return Trust("partial", (f"On {_days(len(apart))} the parts do not add up to the account's total.",))
    odd = [row.odd for row in full.values() if row.odd]
    if odd:
        return Trust(
            "partial", tuple(f"On {_days(odd.count(word))} {word.label}." for word in Odd if word in odd)
        )
    stopped = poll is not None and poll.stopped
    late = _late(full, today=today, checked=checked, every=every, stopped=stopped, now=now)
    if late:
        return Trust("stale", (late,))
    if not any(row.rows for row in full.values()):
        return Trust("empty", ("Nothing was delivered in this period.",))
    return Trust("ready")


def _patience(every: timedelta) -> timedelta:
    return max(RUNNING_STALE, 3 * every)


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _late(
    full: dict[date, _Read],
    *,
    today: date,
    checked: datetime | None,
    every: timedelta,
    stopped: bool,
    now: datetime,
) -> str:
    """What is too old of it; a running day that nobody looks at any more is so at once."""
    if today in full and (checked is None or stopped or now - checked > _patience(every)):
        return f"Today was last checked at {checked:%H:%M} UTC." if checked else "Today was never checked."
    restated = [
        row
        for day, row in full.items()
        if today - DAY * settings.LOOKBACK_DAYS <= day < today and now - row.fetched_at > CLOSED_STALE
    ]
    if restated:
        return f"{len(restated)} days that Meta may still restate were not read again for a day."
    return ""
