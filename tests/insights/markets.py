"""Hours of the sandbox's market, whose click rate knows no hour: what it expected, and what it told."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from metaads.sandbox.app import Sandbox
from metaads.sandbox.clock import ManualClock
from metaads.sandbox.delivery.day import CLICKS, IMPRESSIONS
from tests.insights.conftest import NOW, TODAY

WEEKS = 6
Hours = dict[tuple[dt.date, int], np.ndarray]


@dataclass
class Market:
    """(day, hour) -> the additive numbers of one ad account of a seeded world: before they were cut to whole ones, and
    as the sandbox tells them."""

    expected: Hours = field(default_factory=dict)
    told: Hours = field(default_factory=dict)

    def drawn(self, seed: int, lift: dict[int, float] | None = None) -> dict[tuple[dt.date, int], int]:
        """Clicks by chance, as people click; `lift`: hour -> how much more often they do."""
        draw = np.random.default_rng(seed)
        return {
            (day, hour): int(draw.poisson(numbers[CLICKS] * (lift or {}).get(hour, 1.0)))
            for (day, hour), numbers in self.expected.items()
        }

    def rates(
        self, clicks: dict[tuple[dt.date, int], int]
    ) -> dict[tuple[dt.date, int], tuple[Decimal, Decimal]]:
        """Clicks over impressions, for `patterns.find`."""
        return {key: (Decimal(clicks[key]), Decimal(int(self.told[key][IMPRESSIONS]))) for key in clicks}

    @property
    def clicks(self) -> dict[tuple[dt.date, int], int]:
        """As the sandbox tells them."""
        return {key: int(numbers[CLICKS]) for key, numbers in self.told.items()}


def market(seed: int) -> Market:
    """The last weeks of a world's first ad account."""
    box = Sandbox(world="tiny", seed=seed, clock=ManualClock(NOW))
    account = next(node for node in box.world.nodes.values() if node.kind == "account")
    now, last, found = NOW.timestamp(), TODAY - dt.timedelta(days=1), Market()
    for campaign in box.engine.campaigns(account.id, now):
        for day in box.engine.days(campaign, last - dt.timedelta(days=7 * WEEKS - 1), last, now):
            pieces, whole = np.diff(day.running, axis=2).sum(axis=1), day.hourly(now).sum(axis=1)
            for index, label in enumerate(day.labels):
                key = (day.day, int(label))
                found.expected[key] = found.expected.get(key, 0) + pieces[:, index]
            for hour in sorted({int(label) for label in day.labels}):
                key = (day.day, hour)
                found.told[key] = found.told.get(key, 0) + whole[:, hour]
    return found


def most_by_chance(trials: int, rate: float, once_in: float = 1000) -> int:
    """The least k with P(more than k of the trials) below 1 / once_in, at this rate each."""
    left = 1.0
    for k in range(trials + 1):
        left -= math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k)
        if left < 1 / once_in:
            return k
    return trials
