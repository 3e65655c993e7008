"""Which accounts are worth a call now, and when to look again. PURE: values in, moments out.

watched              every POLL_SECONDS, while quota allows
close to a threshold sleep to 85 % of the account's own refresh period, then every POLL_SECONDS
otherwise            sleep to 92 % of it, then every POLL_SECONDS, after 40 looks that found nothing every 300 s
no answer            twice as long each time, up to 15 minutes
Meta's limits full   unwatched ones `slower` times as slow, so that those at the screen and the writes still fit
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

#: An interest of this weight or more means that a person is looking; that an armed strategy stands close to one of its
#: thresholds; that a strategy is armed.
WATCHED: Final = 10
CLOSE: Final = 5
ARMED: Final = 1
MINIMUM_SECONDS: Final = 30
_QUIET_LOOKS: Final = 40
_QUIET_SECONDS: Final = 300
_LONGEST_BACKOFF: Final = 900
_SLOWEST: Final = 3600
#: Meta's 15 minutes come a minute early or late; every look before them is a call for nothing.
_SHARE_OF_PERIOD: Final = 0.92
_SHARE_WHEN_CLOSE: Final = 0.85
#: A long wait ends up to this part of it earlier, by account: what began together does not fall due together.
_SPREAD: Final = 0.05
_SPREAD_FROM: Final = 120
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
    velocity: int = 0  # spent in the last hour, in the smallest unit of the currency
    slower: int = 1  # how full Meta's limits are, as `metaads.quota.paces` says it


def next_check(look: Look, *, now: datetime) -> datetime:
    """When to look at the account again, after a look at `now`."""
    base = max(MINIMUM_SECONDS, look.poll_seconds)
    if look.failures:
        wait = min(_LONGEST_BACKOFF, base << min(look.failures, 6))
        return now + timedelta(seconds=max(base, _apart(look, wait)))
    if look.weight >= WATCHED:
        return now + timedelta(seconds=base)
    close = look.weight >= CLOSE
    soonest = max(base, min(_SLOWEST, base * look.slower))
    if look.quiet >= _QUIET_LOOKS and not close:
        wait = max(base, min(_SLOWEST, _QUIET_SECONDS * look.slower))
    elif look.data_as_of is None or look.period_seconds is None:
        wait = soonest
    else:
        share = _SHARE_WHEN_CLOSE if close else _SHARE_OF_PERIOD
        expected = look.data_as_of + timedelta(seconds=look.period_seconds * share)
        wait = min(_LONGEST_BACKOFF, max(0, round((expected - now).total_seconds())))
    return now + timedelta(seconds=max(soonest, _apart(look, wait)))


def _apart(look: Look, seconds: int) -> int:
    """A long wait, shortened by the account's own part of `_SPREAD`."""
    return round(seconds * (1 - _SPREAD * _phase(look.ad_account_id))) if seconds >= _SPREAD_FROM else seconds


def _phase(ad_account_id: int) -> float:
    """A place in [0, 1) that is the account's own, and far from its neighbours'."""
    return (ad_account_id * 2_654_435_761 % 2**32) / 2**32


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


def order(looks: Iterable[Look], *, now: datetime) -> list[Look]:
    """Watched accounts first, then those close to a threshold, those with armed strategies, the rest.

    Within each fairly: one account of each client in turn. Of a client the one whose wait costs most goes first: how
    long it was not looked at, times how fast it spends. So a fast one overtakes, and none is passed over for good.
    """
    queues: dict[tuple[int, int], list[tuple[float, int, Look]]] = defaultdict(list)
    for look in looks:
        queues[rank(look), look.client_id].append((-_cost(look, now), look.ad_account_id, look))
    ranked = [
        ((of_all, turn, *key), look)
        for (of_all, _client), mine in queues.items()
        for turn, (*key, look) in enumerate(sorted(mine, key=lambda one: one[:2]))
    ]
    return [look for _, look in sorted(ranked, key=lambda pair: pair[0])]


def rank(look: Look) -> int:
    """0: watched, 1: close to a threshold, 2: with an armed strategy, 3: the rest."""
    return sum(look.weight < least for least in (WATCHED, CLOSE, ARMED))


def _cost(look: Look, now: datetime) -> float:
    waited = (now - look.checked_at).total_seconds() if look.checked_at else now.timestamp()
    # By orders of magnitude: currencies are not converted here, and a hundredfold spender is not a hundred times first.
    return max(1.0, waited) * (1 + math.log10(1 + max(0, look.velocity)))
