"""What was to be expected by now at a given rate, beside what was seen: by account day, and by how late results come.

    expected of a day = rate x base x share of the final number that is reported at the day's age

The share comes from the account's completeness curve (known k days after a day's end); between its points, and on the
running day, it is known within bounds, and each question takes the careful one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

import numpy as np

from strategies.engine.eprocess import Floats, excess, excess_by_day, shortage

#: "Better than the target" is not said before so many events were to be expected: small denominators are unknown.
LEAST_EXPECTED: Final = 3.0
#: How far ahead it is looked for what is still needed, in days.
HORIZON: Final = 60
#: The spend per day that is expected to go on: the mean of so many closed days.
PACE_DAYS: Final = 7
#: Shares reported k days after a day's end where an account's curve is not learned yet: late, so that what is still to
#: come is not held against an object.
CAREFUL: Final = tuple(min(1.0, 0.4 + 0.6 * k / 14) for k in range(15))


@dataclass(frozen=True)
class History:
    """One object's account days, oldest first, each array as long as there are days.

    `spend` in the account's currency; `base` what the rate is per (the spend again, impressions, clicks); `seen` what
    is reported by now for each day. Of the last day `day_gone` is over (1: all of it).
    """

    spend: Sequence[float]
    base: Sequence[float]
    seen: Sequence[float]
    day_gone: float = 1.0

    def __post_init__(self) -> None:
        if not len(self.spend) == len(self.base) == len(self.seen) >= 1:
            raise ValueError("spend, base and seen need one number per day")
        if not all(isfinite(one) and one >= 0 for part in (self.spend, self.base, self.seen) for one in part):
            raise ValueError("spend, base and seen are finite and not negative")
        if not 0 < self.day_gone <= 1:
            raise ValueError("of the last day more than nothing and at most all is over")


class Expectation:
    """A history beside what was to be expected at one rate, per day: surely reported, at most reported, in the end."""

    def __init__(self, rate: float, history: History, shares: Sequence[float] | None) -> None:
        self.history = history
        self.seen: Floats = np.asarray(history.seen, float)
        self.whole: Floats = np.asarray(history.base, float) * rate
        # While no curve is learned, all may be there already, or come late.
        self.shares_low: Floats = np.asarray(shares if shares is not None else CAREFUL, float)
        self.shares_high: Floats = np.asarray(shares if shares is not None else (1.0,), float)
        self.ages: Floats = np.arange(len(self.seen) - 2, -2, -1) + history.day_gone
        self.low = self.whole * self.reported(self.ages, low=True)
        self.high = self.whole * self.reported(self.ages, low=False)

    def reported(self, ages: Floats, *, low: bool) -> Floats:
        """The share that is reported at these ages, in days after a day's end (below 0: the day is running).

        Delays get rarer with their length, so the share rises ever more slowly: a straight line between two known
        points lies below it, the next known point above it.
        """
        curve = self.shares_low if low else self.shares_high
        # A share that falls later was never sure; one that has been higher may be so again.
        curve = np.minimum.accumulate(curve[::-1])[::-1] if low else np.maximum.accumulate(curve)
        if not low:
            return np.asarray(curve[np.clip(np.ceil(ages), 0, len(curve) - 1).astype(int)])
        known = np.concatenate(([0.0], curve))
        return np.asarray(np.interp(ages + 1, np.arange(len(known)), known))

    def lumps(self, scale: float, variation: float) -> float:
        """Variance over mean of a day whose own factor varies: `scale` + `variation` x what a day brings in the end."""
        return scale + variation * float(self.whole.mean())

    def short(self, scale: float) -> float:
        """log e against "at least this rate"."""
        return float(shortage(self.seen, self.low, scale=scale))

    def better(self, scale: float) -> float:
        """log e against "at most this rate"; of values and lumps only closed days count."""
        days = len(self.seen) if scale == 1 or self.history.day_gone == 1 else len(self.seen) - 1
        if not days:
            return 0.0
        seen, high, whole = self.seen[:days], self.high[:days], self.whole[:days]
        return float(excess(seen, high) if scale == 1 else excess_by_day(seen, high, whole, scale=scale))

    def enough(self, scale: float) -> bool:
        """Whether "better" may be said at all."""
        return bool(self.high.sum() >= LEAST_EXPECTED * scale)


def too_early(at: Expectation, below: bool, scale: float, need: float) -> bool:
    if below:
        return float(shortage(np.zeros_like(at.low), at.low, scale=scale)) < need
    return not at.enough(scale)


def still_needed(
    at: Expectation, below: bool, scale: float, need: float
) -> tuple[float | None, float | None]:
    """(spend, days) from now until the evidence reaches `need`; see `Evidence`. (None, None) beyond the horizon."""
    spend, base = np.asarray(at.history.spend, float), np.asarray(at.history.base, float)
    closed = spend if at.history.day_gone == 1 or len(spend) == 1 else spend[:-1]
    pace = float(closed[-PACE_DAYS:].mean())
    if len(spend) == 1:
        pace /= at.history.day_gone
    rate = float(at.whole.sum() / base.sum()) if base.sum() else 0.0
    to_come = np.full(HORIZON, pace * rate * (float(base.sum() / spend.sum()) if spend.sum() else 0.0))
    ratio = 0.0 if below else float(at.seen.sum() / at.high.sum()) if at.high.sum() else 0.0
    if not below and ratio <= 1:
        return None, None
    before = at.short(scale) if below else at.better(scale) if at.enough(scale) else 0.0
    there, least = float(at.high.sum()), 0.0 if below else LEAST_EXPECTED * scale
    for day in range(1, HORIZON + 1):
        ages = np.concatenate((at.ages + day, np.arange(day - 1, -1, -1)))
        whole = np.concatenate((at.whole, to_come[:day]))
        reported = whole * at.reported(ages, low=below)
        seen = np.concatenate((at.seen, np.zeros(day)))
        if below:
            now = float(shortage(seen, reported, scale=scale))
        else:
            seen = np.maximum(seen, ratio * reported)
            found = (
                excess(seen, reported) if scale == 1 else excess_by_day(seen, reported, whole, scale=scale)
            )
            now = float(found) if reported.sum() >= least else 0.0
        if now >= need:
            part = max((need - before) / (now - before), (least - there) / (float(reported.sum()) - there))
            return pace * (day - 1 + part), day - 1 + part
        before, there = now, float(reported.sum())
    return None, None
