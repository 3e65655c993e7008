"""Hours over a change of the clock: 23 and 25 hours, against the sandbox's own hours, in the account's zone."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from insights.analytics import account_today, series, totals
from insights.fetch import first_sync
from insights.models import HourRow
from insights.windows import DAY, hours, zone

pytestmark = pytest.mark.django_db


def northwind(agency, clock, zone_name):
    """The account of that zone in the zones' world, read on both sides of the door."""
    from accounts.ad_accounts import enable
    from accounts.connections import connect
    from accounts.models import AdAccount
    from metaads.sandbox.app import Sandbox

    box = Sandbox(world="zones", seed=3, clock=clock)
    from metaads.gateway import plugged
    from tests.door import WSGIAdapter

    with plugged(WSGIAdapter(box)):
        connect(
            client=agency.northwind,
            principal=agency.principals.alice,
            token=box.token("alice"),
            now=clock.now(),
        )
        found = {one.timezone_name: one for one in AdAccount.objects.of(agency.northwind)}
        assert zone_name in found, sorted(found)
        account = enable(ad_account=found[zone_name], principal=agency.principals.alice, now=clock.now())
        assert first_sync(ad_account=account, days=3, now=clock.now()).state == "done"
    return box, account


@pytest.fixture
def shifted():
    """A clock that stands where the test says, for product and sandbox."""
    from metaads.clock import using
    from metaads.sandbox.clock import ManualClock

    stack = []

    def at(moment):
        manual = ManualClock(moment)
        context = using(manual.now)
        context.__enter__()
        stack.append(context)
        return manual

    yield at
    for context in stack:
        context.__exit__(None, None, None)


SWITCHES = [
    ("America/Los_Angeles", datetime(2026, 11, 2, 15, 0, tzinfo=UTC), 25),
    ("Europe/London", datetime(2027, 3, 29, 12, 0, tzinfo=UTC), 23),
]


@pytest.mark.parametrize("zone_name, now, length", SWITCHES)
def test_a_day_of_23_or_25_hours_has_its_hours_and_its_sum(agency, shifted, zone_name, now, length):
    clock = shifted(now)
    box, account = northwind(agency, clock, zone_name)
    day = account_today(account, clock.now()) - DAY
    assert len(hours(day, zone_name)) == length
    points = series(
        account, level="account", since=day, until=day, metrics=["spend", "impressions"], by="hour",
        now=clock.now(),
    ).points  # fmt: skip
    labels = [point.at.astimezone(zone(zone_name)).hour for point in points]
    # Meta labels hours by the wall: the repeated one has one row, the skipped one none.
    skipped = 1 if zone_name == "Europe/London" else 2
    expected = sorted(set(range(24)) - ({skipped} if length == 23 else set()))
    assert labels == expected
    assert [point.at for point in points] == sorted({point.at for point in points})
    whole = totals(account, since=day, until=day, metrics=["spend", "impressions"], now=clock.now()).values
    for name in ("spend", "impressions"):
        assert sum(point.values[name] for point in points) == whole[name] > 0
    truth = box.truth.totals(account.act_id, since=day, until=day, now=clock.now().timestamp())
    assert whole["spend"] * 100 == D(truth[account.act_id]["spend"])
    assert not HourRow.objects.of(account).filter(day=day, hour=skipped).exists() or length == 25


def test_the_repeated_hour_holds_both_passes(agency, shifted):
    clock = shifted(datetime(2026, 11, 2, 15, 0, tzinfo=UTC))
    box, account = northwind(agency, clock, "America/Los_Angeles")
    day = account_today(account, clock.now()) - DAY
    first = hours(day, account.timezone_name)
    passes = [at for at in first if at.astimezone(zone(account.timezone_name)).hour == 1]
    assert passes[1] - passes[0] == timedelta(hours=1)
    rows = HourRow.objects.of(account).filter(day=day, level="campaign", breakdown="", hour=1)
    assert rows.count() == len(set(rows.values_list("object_id", flat=True)))
    points = series(
        account, level="account", since=day, until=day, metrics=["impressions"], by="hour", now=clock.now()
    ).points
    twice = next(point for point in points if point.at == passes[0])
    assert twice.values["impressions"] == sum(row.impressions for row in rows)
    assert not any(point.at == passes[1] for point in points)
