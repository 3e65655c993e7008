"""One campaign on one account-day: how money becomes impressions, clicks and conversions.

    timelines -> who is on when [ads x pieces] -> money by owner of the budget -> by ad -> price -> impressions
    -> clicks -> events

The day is cut into pieces (local hours, and every moment at which something changed); inside a piece nothing
changes, so the day so far at any moment is an interpolation and never depends on what happens later. Whole
numbers come from flooring running sums, so pieces add up to hours and hours to the day exactly. Money is minor units.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
from numpy.typing import NDArray

from metaads.sandbox.delivery.curves import Floats, Ints

# Additive numbers of an ad-day, in this order everywhere.
IMPRESSIONS, CLICKS, LINK_CLICKS, LANDING, VIDEO, REACTIONS, SPEND = range(7)
OUTBOUND, P25, P50, P75, P95, P100, THRUPLAY = range(7, 14)
#: Plays of three seconds or more: a share of the plays that depends on the ad.
VIEWS = 14
COUNTS = 15
#: The rest of a click or a play: counted with the day, so that the rows of ads add up to those of their account.
PARTS = (
    (OUTBOUND, LINK_CLICKS, 0.96),
    (P25, VIDEO, 0.45),
    (P50, VIDEO, 0.28),
    (P75, VIDEO, 0.17),
    (P95, VIDEO, 0.09),
    (P100, VIDEO, 0.07),
    (THRUPLAY, VIDEO, 0.19),
)
# Kinds and attribution buckets of conversions.
PURCHASE, LEAD, CART, CHECKOUT, REGISTRATION = range(5)
KINDS = 5
CLICK_1D, CLICK_7D, CLICK_28D, VIEW_1D = range(4)
BUCKETS = 4
SETTLED = 29 * 86_400


@dataclasses.dataclass(frozen=True, slots=True)
class Events:
    """Conversions of a day, one line each; ``ad`` indexes the day's ads."""

    ad: Ints
    hour: Ints
    clicked: Floats
    reported: Floats
    kind: Ints
    bucket: Ints
    value: Ints
    key: NDArray[np.uint64]


@dataclasses.dataclass(slots=True)
class CampaignDay:
    """A simulated (or given) day of one campaign.

    ``running`` is [COUNTS, ads, pieces + 1] with the running sums plus a phase below 1, so that flooring gives
    whole numbers. ``late`` is how many seconds after it happened that is told: so long after midnight the day settles.
    """

    day: dt.date
    ads: tuple[str, ...]
    edges: Floats
    labels: Ints
    running: Floats
    events: Events
    late: float = 0.0
    final: Ints | None = None
    #: What the day's clicks come to by expectation, reported or not: conversions, and their worth in minor units,
    #: [2, KINDS, ads]; None where days are given, not simulated.
    earned: Floats | None = None
    settled: tuple[Ints, Ints] | None = None

    @property
    def start(self) -> float:
        """First moment of the day, unix seconds."""
        return float(self.edges[0])

    @property
    def end(self) -> float:
        """First moment after the day."""
        return float(self.edges[-1])

    def counts(self, as_of: float) -> Ints:
        """Additive numbers so far: [COUNTS, ads]."""
        as_of -= self.late
        if as_of >= self.end:
            if self.final is None:
                self.final = np.floor(self.running[:, :, -1]).astype(np.int64)
            return self.final
        return np.floor(self._at(as_of)).astype(np.int64)

    def hourly(self, as_of: float) -> Ints:
        """Additive numbers by local hour: [COUNTS, ads, 24]; sums to ``counts``."""
        sums, as_of = self.running, as_of - self.late
        if as_of < self.end:
            piece = int(np.searchsorted(self.edges, as_of, side="right"))
            sums = sums.copy()
            sums[:, :, piece:] = self._at(as_of)[:, :, None]
        pieces = np.diff(np.floor(sums).astype(np.int64), axis=2)
        out = np.zeros((*pieces.shape[:2], 24), dtype=np.int64)
        for index, label in enumerate(self.labels):
            out[:, :, label] += pieces[:, :, index]
        return out

    def seen(self, as_of: float) -> NDArray[np.bool_]:
        """Which events are reported at ``as_of``."""
        mask: NDArray[np.bool_] = self.events.reported <= as_of
        return mask

    def conversions(self, as_of: float) -> tuple[Ints, Ints]:
        """Reported conversions and their value: two arrays [ads, KINDS, BUCKETS]."""
        if self.settled is not None and as_of >= self.end + SETTLED:
            return self.settled
        events = self.events
        mask = self.seen(as_of)
        slot = (events.ad[mask] * KINDS + events.kind[mask]) * BUCKETS + events.bucket[mask]
        size = len(self.ads) * KINDS * BUCKETS
        shape = (len(self.ads), KINDS, BUCKETS)
        number = np.bincount(slot, minlength=size).astype(np.int64).reshape(shape)
        value = np.zeros(size, dtype=np.int64)
        np.add.at(value, slot, events.value[mask])
        result = (number, value.reshape(shape))
        if as_of >= self.end + SETTLED:
            self.settled = result
        return result

    def _at(self, as_of: float) -> Floats:
        if as_of <= self.start:
            return self.running[:, :, 0]
        piece = int(np.searchsorted(self.edges, as_of, side="right")) - 1
        piece = min(piece, len(self.labels) - 1)
        left, right = float(self.edges[piece]), float(self.edges[piece + 1])
        share = min(1.0, max(0.0, (as_of - left) / (right - left)))
        before = self.running[:, :, piece]
        result: Floats = before + share * (self.running[:, :, piece + 1] - before)
        return result


def no_events() -> Events:
    """A day without conversions."""
    ints = np.zeros(0, dtype=np.int64)
    floats = np.zeros(0, dtype=np.float64)
    return Events(ints, ints, floats, floats, ints, ints, ints, np.zeros(0, dtype=np.uint64))
