"""Walk C: rows arrive once, superseded values are filed, and a cut read is never called complete."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest

from accounts.errors import Refused
from insights.analytics import account_today, totals
from insights.fetch import first_sync, refresh
from insights.models import DataVersion, DayRow, Revision
from metaads.graph.errors import GraphError
from tests.walks.desk import control

DAY = 86_400


def truth(sandbox, account, since, until):
    return control(
        sandbox,
        "GET",
        "truth",
        account=account.act_id,
        since=since.isoformat(),
        until=until.isoformat(),
        level="account",
    )["totals"]


def version(account):
    return DataVersion.objects.of(account).values_list("version", flat=True).first() or 0


def test_the_same_read_twice_changes_nothing(synced, clock):
    account = synced.ad_account
    before, rows = version(account), DayRow.objects.of(account).count()
    assert rows > 0
    first_sync(ad_account=account, days=28, now=clock.now())
    assert (version(account), DayRow.objects.of(account).count()) == (before, rows)


@pytest.mark.fault("F55")
def test_a_restated_day_keeps_what_it_used_to_say(synced, sandbox, clock):
    account = synced.ad_account
    day = account_today(account, clock.now())
    clock.advance(3 * DAY)
    first_sync(ad_account=account, days=28, now=clock.now())
    assert Revision.objects.of(account).exists()
    got = totals(account, since=day, until=day, metrics=["impressions"], now=clock.now())
    assert got.values["impressions"] == truth(sandbox, account, day, day)[account.act_id]["impressions"] > 0


@pytest.mark.fault("F56")
def test_a_cut_read_is_not_called_complete_and_the_next_run_resumes(connected, sandbox, clock):
    from campaigns.sync import run

    account = connected.ad_account
    run(ad_account=account, now=clock.now())
    today = account_today(account, clock.now())
    sandbox.faults.arm("html", match={"path": "insights"}, times=200)
    with contextlib.suppress(Refused, GraphError):
        first_sync(ad_account=account, days=28, now=clock.now())
    got = totals(account, since=today.replace(day=1), until=today, metrics=["spend"], now=clock.now())
    assert got.header.trust.state in ("partial", "unavailable", "empty")
    sandbox.faults.disarm()
    clock.advance(600)
    first_sync(ad_account=account, days=28, now=clock.now())
    refresh(ad_account=account, now=clock.now())
    got = totals(account, since=today.replace(day=1), until=today, metrics=["spend"], now=clock.now())
    assert got.header.trust.state == "ready" and got.values["spend"] > Decimal(0)
