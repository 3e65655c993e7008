"""Conversions that come late, day after day: what was known when, and how complete young days are, against the truth.

The sandbox tells for any past instant what it showed then (`truth`), on a route of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import pytest

from insights.analytics import as_known_at
from insights.completeness import LEAST_DAYS, curves, learn
from insights.fetch import refresh
from insights.windows import DAY, LOOKBACK, starts
from tests.insights.test_against_the_truth import living

pytestmark = pytest.mark.django_db
#: Read once a day, so long after the account's midnight.
AFTER_MIDNIGHT = timedelta(hours=3)
NAMES = ("spend", "impressions", "purchases", "add_to_carts")


@pytest.fixture
def lived(agency):
    """An account that was read each night until fourteen of its days were watched to their end; the instants."""
    with living("USD", agency, start=datetime(2026, 11, 4, 15, 7, tzinfo=UTC)) as world:
        zone, reads = world.account.timezone_name, []
        for night in range(1, LEAST_DAYS + LOOKBACK + 1):
            at = starts(datetime(2026, 11, 4, tzinfo=UTC).date() + DAY * night, zone) + AFTER_MIDNIGHT
            world.clock.advance((at - world.clock.now()).total_seconds())
            assert refresh(ad_account=world.account, now=world.clock.now()).state == "done"
            reads.append(world.clock.now())
        yield world, reads


def shown(world, at, since, until, level="account"):
    """What Meta showed at that instant: object id -> numbers, money in whole units."""
    found = world.sandbox.truth.measures(
        world.account.act_id, since=since, until=until, now=at.timestamp(), level=level
    )
    return {
        key.removeprefix("act_"): {
            "spend": Decimal(one["spend"]) / world.unit,
            "impressions": one["impressions"],
            **{name: one["by_window"]["default"][name] for name in ("purchases", "add_to_carts")},
        }
        for key, one in found.items()
    }


def test_the_past_and_the_curves_are_what_meta_showed_day_by_day(lived):
    world, reads = lived
    first = datetime(2026, 11, 4, tzinfo=UTC).date()
    # What was known at any instant is what the last read before it was shown.
    restated = 0
    for number, read in enumerate(reads[3::7]):
        since, until = first, first + DAY * (3 + 7 * number)
        for level in ("account", "campaign", "ad"):
            truth = shown(world, read, since, until, level)
            for later in (timedelta(0), timedelta(hours=11)):
                past = as_known_at(
                    world.account, at=read + later, level=level, since=since, until=until, metrics=NAMES
                )
                assert past.unread == 0
                got = {row.object_id: dict(row.values) for row in past.rows}
                assert got == {one: numbers for one, numbers in truth.items() if one in got}
                assert not any(any(truth[one].values()) for one in truth.keys() - got.keys())
        restated += shown(world, reads[-1], since, until) != shown(world, read, since, until)
    assert restated >= 4, "late conversions did change these days"

    assert learn(ad_account=world.account, now=world.clock.now()) > 0
    learned = curves(world.account)
    watched = [first + DAY * number for number in range(LEAST_DAYS)]
    for name in NAMES:
        final = sum(shown(world, reads[-1], day, day)[world.account.meta_id][name] for day in watched)
        for k in range(LOOKBACK + 1):
            there = sum(
                shown(world, reads[(day - first).days + k], day, day)[world.account.meta_id][name]
                for day in watched
            )
            share = (Decimal(there) / Decimal(final)).quantize(Decimal("0.0001"), ROUND_HALF_UP)
            assert learned[name].shares[k] == share, (name, k)
        assert (learned[name].days, learned[name].total) == (LEAST_DAYS, final)
    carts = learned["add_to_carts"].shares
    assert carts[0] < carts[7] <= carts[28] == 1
