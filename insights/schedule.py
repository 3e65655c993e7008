"""Which accounts are worth a call now, and when to look again. PURE: values in, moments out.

watched              every POLL_SECONDS, while quota allows
otherwise            sleep to 92 % of the account's own refresh period, then every POLL_SECONDS,
                     after 40 looks that found nothing every 300 s
no answer            twice as long each time, up to 15 minutes
Meta's limits full   unwatched ones `slower` times as slow, so that those at the screen and the writes still fit
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

#: An interest of this weight or more means that a person is looking.
WATCHED: Final = 10
MINIMUM_SECONDS: Final = 30
_QUIET_LOOKS: Final = 40
_QUIET_SECONDS: Final = 300
_LONGEST_BACKOFF: Final = 900
_SLOWEST: Final = 3600
#: Meta's 15 minutes come a minute early or late; every look before them is a call for nothing.
_SHARE_OF_PERIOD: Final = 0.92
_PERIODS: Final = (20.0, 7200.0)


@dataclass(frozen=True)
class Look:
    """One account as the tick sees it. `weight` is the strongest interest in it (0: none)."""

    ad_account_id: int
    client_id: int
    poll_seconds: int
    weight: int = 0
    quiet: int = 0
    failures: int = 0
    checked_at: datetime | None = None
    data_as_of: datetime | None = None  # when the numbers were last seen to move
    period_seconds: int | None = None
    slower: int = 1  # how full Meta's limits are, as `metaads.quota.paces` says it


def next_check(look: Look, *, now: datetime) -> datetime:
    """When to look at the account again, after a look at `now`."""
    base = max(MINIMUM_SECONDS, look.poll_seconds)
    if look.failures:
        return now + timedelta(seconds=min(_LONGEST_BACKOFF, base * 2 ** min(look.failures, 6)))
    if look.weight >= WATCHED:
        return now + timedelta(seconds=base)
    pace = max(base, _QUIET_SECONDS) if look.quiet >= _QUIET_LOOKS else base
    soonest = now + timedelta(seconds=max(pace, min(_SLOWEST, pace * look.slower)))
    if look.quiet >= _QUIET_LOOKS:
        return soonest
    if look.data_as_of is None or look.period_seconds is None:
        return soonest
    expected = look.data_as_of + timedelta(seconds=look.period_seconds * _SHARE_OF_PERIOD)
    return max(soonest, min(expected, now + timedelta(seconds=_LONGEST_BACKOFF)))


def learned(period: int | None, *, interval: float) -> int | None:
    """The refresh period after the data moved `interval` seconds after it last moved.

    Both have to be moves that were seen happening. Intervals that span sleep or a night say next to nothing: they
    lengthen the period a little, so that one that was learned too short does not stay so for good, and never so far
    that a whole period is slept over.
    """
    if not _PERIODS[0] <= interval <= _PERIODS[1]:
        return period
    if period is None:
        return round(interval)
    if (
        interval > 2.5 * period
    ):  # a move was missed, nothing was delivered for a while, or the period is too short
        return round(1.05 * period)
    return round(0.7 * period + 0.3 * interval)


def order(looks: Iterable[Look]) -> list[Look]:
    """Watched accounts first, then fairly: one account of each client in turn, the longest unchecked first."""
    queues: dict[tuple[bool, int], list[Look]] = defaultdict(list)
    for look in looks:
        queues[look.weight >= WATCHED, look.client_id].append(look)
    ranked: list[tuple[tuple[bool, int, float, int], Look]] = []
    for (watched, _client), mine in queues.items():
        mine.sort(key=_age)
        ranked += [((not watched, turn, *_age(look)), look) for turn, look in enumerate(mine)]
    return [look for _, look in sorted(ranked, key=lambda pair: pair[0])]


def _age(look: Look) -> tuple[float, int]:
    return (look.checked_at.timestamp() if look.checked_at else 0.0, look.ad_account_id)
