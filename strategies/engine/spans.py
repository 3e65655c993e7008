"""The windows that rules look at, by a small grammar with one canonical text for each set of days.

    today  yesterday  lifetime
    last_7d               7 full account days that end yesterday (1 to 90; last_1d is written `yesterday`)
    last_7d_and_today     the same days and the running one
    last_14d_mature_90    of the last 14 full days those of whose final results at least 90 % are expected to be
                          reported by now (50 to 99; without a share it is 90)
    last_6h               6 full hours of the account's clock before the running one (1 to 72)

Which days a window holds depends on the account's today and on its learned completeness: see `days`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Final

MOST_DAYS: Final = 90
MOST_HOURS: Final = 72
SHARES: Final = range(50, 100)
USUAL_SHARE: Final = 90
_DAY: Final = timedelta(days=1)


class Kind(StrEnum):
    TODAY = "today"
    DAYS = "days"  # full days that end yesterday
    DAYS_AND_TODAY = "days_and_today"
    MATURE = "mature"
    HOURS = "hours"
    LIFETIME = "lifetime"


@dataclass(frozen=True)
class Span:
    kind: Kind
    count: int = 0
    share: int = 0

    @property
    def text(self) -> str:
        """The canonical text: `parse(span.text) == span`."""
        if self.kind in (Kind.TODAY, Kind.LIFETIME):
            return self.kind.value
        if self.kind is Kind.HOURS:
            return f"last_{self.count}h"
        if self.kind is Kind.DAYS:
            return "yesterday" if self.count == 1 else f"last_{self.count}d"
        tail = "and_today" if self.kind is Kind.DAYS_AND_TODAY else f"mature_{self.share}"
        return f"last_{self.count}d_{tail}"

    @property
    def with_today(self) -> bool:
        return self.kind in (Kind.TODAY, Kind.DAYS_AND_TODAY, Kind.LIFETIME)

    @property
    def words(self) -> str:
        """As a sentence says it: "the last 7 full days"."""
        days = "the last full day" if self.count == 1 else f"the last {self.count} full days"
        match self.kind:
            case Kind.TODAY:
                return "today"
            case Kind.LIFETIME:
                return "its whole life"
            case Kind.HOURS:
                return "the last full hour" if self.count == 1 else f"the last {self.count} full hours"
            case Kind.DAYS:
                return "yesterday" if self.count == 1 else days
            case Kind.DAYS_AND_TODAY:
                return f"{days} and today"
            case Kind.MATURE:
                return f"those of {days} that are at least {self.share} % reported"


_NUMBER: Final = r"([1-9]|[1-8][0-9]|90)"
#: What a window's text looks like, for the published schema; the pattern admits exactly what `parse` reads.
PATTERN: Final = (
    rf"^(today|yesterday|lifetime|last_{_NUMBER}d(_and_today|_mature(_[5-9][0-9])?)?"
    r"|last_([1-9]|[1-6][0-9]|7[0-2])h)$"
)
_DAYS: Final = re.compile(r"last_([1-9][0-9]?)d(_and_today|_mature(?:_([0-9]{2}))?)?", re.ASCII)
_HOURS: Final = re.compile(r"last_([1-9][0-9]?)h", re.ASCII)
ADVICE: Final = (
    "must be a window: today, yesterday, last_7d (1 to 90 days), last_7d_and_today, last_14d_mature_90,"
    " last_6h (1 to 72 hours) or lifetime"
)


@lru_cache(maxsize=1024)
def parse(text: str) -> Span | None:
    """The window of that text, `None` for anything else."""
    if text == "yesterday":
        return Span(Kind.DAYS, 1)
    if text in (Kind.TODAY, Kind.LIFETIME):
        return Span(Kind(text))
    hours = _HOURS.fullmatch(text)
    if hours:
        count = int(hours[1])
        return Span(Kind.HOURS, count) if count <= MOST_HOURS else None
    found = _DAYS.fullmatch(text)
    if found is None or int(found[1]) > MOST_DAYS:
        return None
    count, tail, share = int(found[1]), found[2] or "", int(found[3] or USUAL_SHARE)
    if tail.startswith("_mature"):
        return Span(Kind.MATURE, count, share) if share in SHARES else None
    return Span(Kind.DAYS_AND_TODAY if tail else Kind.DAYS, count)


def words(text: str) -> str:
    """The window in words; the text itself where it is none."""
    found = parse(text)
    return found.words if found else text


def days(span: Span, *, today: date, settled: int | None) -> tuple[date, date] | None:
    """First and last account day of a window of days; `None` when it holds none.

    `settled`: after how many days (0: at its end) a day's results reach the window's share for good, by the account's
    learned curve; `None` while that is not learned, and then no day counts as mature. Not for hours and lifetime.
    """
    if span.kind is Kind.TODAY:
        return today, today
    first = today - _DAY * span.count
    if span.kind is Kind.DAYS_AND_TODAY:
        return first, today
    if span.kind is Kind.DAYS:
        return first, today - _DAY
    if span.kind is Kind.MATURE and settled is not None and settled < span.count:
        return first, today - _DAY * (1 + settled)
    return None


def settled_after(shares: Sequence[Decimal], share: int) -> int | None:
    """After how many days at least `share` percent is there for good; `None` when the curve never says so."""
    least = Decimal(share) / 100
    late = [age for age, one in enumerate(shares) if one < least]
    after = late[-1] + 1 if late else 0
    return after if after < len(shares) else None
