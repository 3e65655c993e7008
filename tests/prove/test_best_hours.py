"""Best hours over so many worlds that twice the nominal rate of false finds would be seen."""

from __future__ import annotations

import os

import pytest

from insights.patterns import RATE, Family, find
from tests.insights.markets import market, most_by_chance

#: Below 800 worlds twice the rate may pass for the rate.
N = max(800, int(os.environ.get("PROVE_N") or 0))
SEED = int(os.environ.get("PROVE_SEED") or 1)
FAMILIES: tuple[Family, ...] = ("hour", "hour_of_week")


def test_the_bound_tells_twice_the_rate_from_the_rate() -> None:
    assert most_by_chance(N, RATE) < 2 * RATE * N - 2 * (2 * RATE * N) ** 0.5


@pytest.mark.prove
def test_worlds_without_a_pattern_have_a_best_hour_at_most_at_the_nominal_rate() -> None:
    """Clicks by chance, and the whole ones that the sandbox tells: no hour is better, none worse."""
    fooled = {(family, source): 0 for family in FAMILIES for source in ("drawn", "told")}
    for seed in range(SEED * 10_000, SEED * 10_000 + N):
        one = market(seed)
        for source, clicks in (("drawn", one.drawn(seed)), ("told", one.clicks)):
            seen = one.rates(clicks)
            for family in FAMILIES:
                pattern = find(seen, family=family, up_is_good=True)
                assert pattern.enough, (seed, pattern.why)
                fooled[family, source] += bool(pattern.found)
    print(f"\nseed {SEED}, {N} worlds: {fooled}")  # noqa: T201 - what a proof has met
    assert max(fooled.values()) <= most_by_chance(N, RATE), fooled
