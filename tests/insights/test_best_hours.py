"""Best hours over worlds of the sandbox's market, whose click rate knows no hour: false finds within the nominal rate,
through stored hour rows, with clicks by chance and with those that the sandbox tells; and where a pattern is planted,
it is found. The many worlds that tell twice the rate from the rate are in `tests/prove`.
"""

from __future__ import annotations

import pytest

from accounts.models import AdAccount
from insights.patterns import RATE
from insights.rhythms import find_rhythm
from insights.rows import HOUR, read
from insights.store.write import Read, upsert
from metaads.sandbox.delivery.day import IMPRESSIONS, SPEND
from tests.insights.conftest import NOW, wire
from tests.insights.markets import WEEKS, market, most_by_chance

pytestmark = pytest.mark.django_db
WORLDS = 12


def stored(agency, seed: int, lift: dict[int, float] | None = None, *, told: bool = False) -> AdAccount:
    """An ad account with the world's hours in its rows; clicks by chance, or as `told`."""
    account = AdAccount.everything.create(
        client=agency.northwind, meta_id=str(9000 + seed + 1000 * bool(lift) + 2000 * told), name=f"World {seed}",
        currency="USD", timezone_name="America/New_York", enabled_at=NOW,
    )  # fmt: skip
    one = market(seed)
    clicks = one.clicks if told else one.drawn(seed, lift)
    rows = []
    for (day, hour), numbers in one.told.items():
        raw = wire(
            "campaign",
            "10",
            day,
            spend=f"{numbers[SPEND] / 100:.2f}",
            impressions=int(numbers[IMPRESSIONS]),
            clicks=clicks[day, hour],
        )
        rows.append(read({**raw, HOUR: f"{hour:02}:00:00 - {hour:02}:59:59"}, level="campaign"))
    upsert(
        ad_account=account,
        rows=rows,
        slices=[Read("hour", "campaign", day) for day in sorted({day for day, _ in one.told})],
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


@pytest.mark.parametrize("told", [False, True], ids=["by chance", "as told"])
def test_worlds_without_a_pattern_have_a_best_hour_at_most_at_the_nominal_rate(agency, told):
    fooled = {"hour": 0, "hour_of_week": 0}
    for seed in range(WORLDS):
        account = stored(agency, seed, told=told)
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
    seen = finds(stored(agency, 1), "hour", "cpm")
    assert {seen[None, hour] for hour in (18, 19, 20)} == {"worse"}
    assert {seen[None, hour] for hour in (3, 4, 5)} == {"better"}
