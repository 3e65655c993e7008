"""Best hours over many worlds of the sandbox's market, whose click rate knows no hour: false finds within the nominal
rate, through stored hour rows; and where a pattern is planted, it is found.

The market's own numbers before rounding are taken, and clicks drawn from them: the sandbox cuts running sums to whole
clicks, and at night the first cut of a day is a true (and very small) pattern, which the product does find.
"""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest

from accounts.models import AdAccount
from insights.patterns import RATE
from insights.rhythms import find_rhythm
from insights.rows import HOUR, read
from insights.store.write import Read, upsert
from metaads.sandbox.app import Sandbox
from metaads.sandbox.clock import ManualClock
from metaads.sandbox.delivery.day import CLICKS, IMPRESSIONS, SPEND
from tests.insights.conftest import NOW, TODAY, wire

pytestmark = pytest.mark.django_db
WORLDS = 80
WEEKS = 6


def most_by_chance(trials: int, rate: float, once_in: float = 1000) -> int:
    """The least k with P(more than k of the trials) below 1 / once_in, at this rate each."""
    left = 1.0
    for k in range(trials + 1):
        left -= math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k)
        if left < 1 / once_in:
            return k
    return trials


def market(seed: int) -> dict[tuple[dt.date, int], np.ndarray]:
    """(day, hour) -> the additive numbers of one ad account of a seeded world, before they are cut to whole ones."""
    box = Sandbox(world="tiny", seed=seed, clock=ManualClock(NOW))
    account = next(node for node in box.world.nodes.values() if node.kind == "account")
    last = TODAY - dt.timedelta(days=1)
    hours: dict[tuple[dt.date, int], np.ndarray] = {}
    for campaign in box.engine.campaigns(account.id, NOW.timestamp()):
        for day in box.engine.days(campaign, last - dt.timedelta(days=7 * WEEKS - 1), last, NOW.timestamp()):
            pieces = np.diff(day.running, axis=2).sum(axis=1)
            for index, hour in enumerate(day.labels):
                key = (day.day, int(hour))
                hours[key] = hours.get(key, 0) + pieces[:, index]
    return hours


def stored(agency, seed: int, lift: dict[int, float]) -> AdAccount:
    """An ad account with the world's hours in its rows."""
    account = AdAccount.everything.create(
        client=agency.northwind, meta_id=str(9000 + seed + 1000 * bool(lift)), name=f"World {seed}",
        currency="USD", timezone_name="America/New_York", enabled_at=NOW,
    )  # fmt: skip
    draw = np.random.default_rng(seed)
    rows, days = [], set()
    for (day, hour), numbers in market(seed).items():
        days.add(day)
        raw = wire(
            "campaign",
            "10",
            day,
            spend=f"{numbers[SPEND] / 100:.2f}",
            impressions=int(numbers[IMPRESSIONS]),
            clicks=int(draw.poisson(numbers[CLICKS] * lift.get(hour, 1.0))),
        )
        rows.append(read({**raw, HOUR: f"{hour:02}:00:00 - {hour:02}:59:59"}, level="campaign"))
    upsert(
        ad_account=account,
        rows=rows,
        slices=[Read("hour", "campaign", day) for day in sorted(days)],
        now=NOW,
    )
    return account


def finds(account: AdAccount, family: str, metric: str = "ctr") -> dict[tuple[int | None, int | None], str]:
    pattern = find_rhythm(account, metric=metric, family=family, weeks=WEEKS, now=NOW).pattern
    assert pattern.enough, pattern.why
    return {(one.weekday, one.hour): one.verdict for one in pattern.found}


def test_the_bound_is_the_binomial_one():
    assert most_by_chance(80, 0.05) == 11
    assert most_by_chance(10, 0.0) == 0


def test_worlds_without_a_pattern_have_a_best_hour_at_most_at_the_nominal_rate(agency):
    fooled = {"hour": 0, "hour_of_week": 0}
    for seed in range(WORLDS):
        account = stored(agency, seed, {})
        for family in fooled:
            fooled[family] += bool(finds(account, family))
    assert max(fooled.values()) <= most_by_chance(WORLDS, RATE), fooled


def test_a_planted_pattern_is_found_in_nearly_every_world_and_little_else(agency):
    worlds, found, others, said = 20, 0, 0, 0
    for seed in range(worlds):
        seen = finds(stored(agency, seed, {20: 1.4, 13: 0.6}), "hour")
        found += (seen.get((None, 20)), seen.get((None, 13))) == ("better", "worse")
        others += len(seen.keys() - {(None, 20), (None, 13)})
        said += len(seen)
    assert found >= 0.8 * worlds
    assert others <= 2 * RATE * said + 3


def test_the_market_s_own_pattern_of_prices_is_found(agency):
    """Impressions are dear in the evening: a pattern that nobody planted for this test."""
    seen = finds(stored(agency, 1, {}), "hour", "cpm")
    assert {seen[None, hour] for hour in (18, 19, 20)} == {"worse"}
    assert {seen[None, hour] for hour in (3, 4, 5)} == {"better"}
