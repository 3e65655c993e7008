"""How far a number can be trusted, in one word and with its reasons; it travels with every answer.

unavailable   nothing of the period was read, or the account cannot be read at all
partial       some days are missing, or parts do not add up to the whole
stale         read to the end, but too long ago for what it claims
empty         read to the end, and nothing was delivered: empty is not zero
ready         none of these
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal

from django.conf import settings

import accounts.tokens as tokens
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


def known(
    *,
    ad_account: AdAccount,
    period: Period,
    level: str,
    now: datetime,
    kind: str = "day",
    breakdown: str = "",
) -> Known:
    """What is known of a period of an account now. Days after the account's today are nobody's.

    Cells of a `breakdown` are read by level, and nothing is added up of others' rows."""
    today = days_of.today(now, ad_account.timezone_name)
    added = level if breakdown else "ad" if kind == "day" else "campaign"
    rows = list(
        Slice.objects.of(ad_account).filter(
            kind=kind, breakdown=breakdown, level__in={added, level}, day__range=(period.since, period.until)
        )
    )
    wanted = {day for day in period if day <= today}
    full = {row.day: row for row in rows if row.level == added and row.complete}
    own = frozenset(row.day for row in rows if row.level == level and row.complete)
    data = DataVersion.objects.of(ad_account).first()
    poll = PollState.objects.of(ad_account).first()
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


def _mark(data: DataVersion | None) -> str:
    # The time beside the number: after a restore the number may come back with other rows.
    if data is None or data.changed_at is None:
        return ""
    return f"{data.pk}.{data.version}.{data.changed_at.timestamp():.6f}"


def _hindered(
    ad_account: AdAccount, poll: PollState | None, every: timedelta, now: datetime
) -> tuple[str, ...]:
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
    full: dict[date, Slice],
    rows: list[Slice],
    *,
    wanted: set[date],
    today: date,
    checked: datetime | None,
    every: timedelta,
    poll: PollState | None,
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
    full: dict[date, Slice],
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
