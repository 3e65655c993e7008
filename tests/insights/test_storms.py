"""Meta refuses many accounts at once: only what it named waits, nothing is called meanwhile, nothing piles up."""

from datetime import timedelta

import pytest

from accounts.ad_accounts import enable
from accounts.connections import connect
from accounts.models import AdAccount
from insights.interest import report
from insights.models import FetchRun, PollState
from insights.poll import tick
from metaads.gateway import plugged
from metaads.sandbox.app import Sandbox
from tests.door import WSGIAdapter

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F39")]


@pytest.fixture
def box(clock):
    made = Sandbox(world="zones", seed=3, clock=clock)
    with plugged(WSGIAdapter(made)):
        yield made


@pytest.fixture
def four(agency, box, clock, settings):
    """Four watched accounts of Northwind, their rows read as far as the poll is concerned."""
    settings.LOOKBACK_DAYS = 1
    now, alice = clock.now(), agency.principals.alice
    connect(client=agency.northwind, principal=alice, token=box.token("alice"), now=now)
    accounts = list(AdAccount.objects.of(agency.northwind).order_by("meta_id")[:4])
    for account in accounts:
        enable(ad_account=account, principal=alice, now=now)
        FetchRun.everything.create(
            ad_account_id=account.pk, kind="first", state="done", days=1, started_at=now, seen_at=now
        )
    look(accounts, clock)
    return accounts


def look(accounts, clock):
    clock.advance(31)
    for account in accounts:
        report(ad_account_id=account.pk, reason="w", weight=10, until=clock.now() + timedelta(hours=3))
    return tick(now=clock.now())


def asked(box, account, since):
    return [line for line in box.history[since:] if line["path"].startswith(account.act_id)]


@pytest.mark.parametrize("code", [17, 613, 80000, 80004])
def test_one_account_that_meta_throttles_waits_alone_and_is_not_called(four, box, clock, code):
    first, others = four[0], four[1:]
    box.faults.arm("throttle", {"path": first.act_id}, 1, code=code, minutes=10)
    look(four, clock)
    state = PollState.objects.of(first).get()
    assert state.reason and state.next_check_at - clock.now() >= timedelta(minutes=4)
    since, ticks = len(box.history), 0
    while clock.now() + timedelta(seconds=31) < state.next_check_at:
        look(four, clock)
        ticks += 1
    assert ticks >= 7 and asked(box, first, since) == []
    for other in others:
        probes = [line for line in asked(box, other, since) if line["params"].get("date_preset") == "today"]
        assert len(probes) == ticks
    box.faults.disarm()
    clock.advance(600)
    look(four, clock)
    assert asked(box, first, since) and PollState.objects.of(first).get().reason == ""


def test_the_app_s_limit_stops_every_account_until_it_is_over(four, box, clock):
    box.faults.arm("throttle", {"path": four[0].act_id}, 1, code=4)
    look(four, clock)
    since, runs = len(box.history), FetchRun.everything.count()
    until = PollState.everything.order_by("next_check_at").first().next_check_at
    while clock.now() + timedelta(seconds=31) < until:
        look(four, clock)
        assert box.history[since:] == []
    assert PollState.everything.count() == 4
    assert FetchRun.everything.count() == runs, "nothing piles up for later"
    clock.advance(600)
    assert look(four, clock) == 4 and len(box.history) > since


def test_a_storm_over_all_accounts_is_one_refusal_each(four, box, clock):
    since = len(box.history)
    box.faults.arm("throttle", {"method": "GET"}, None, code=17)
    for _ in range(20):  # ten minutes
        look(four, clock)
    for account in four:
        assert 1 <= len(asked(box, account, since)) <= 3
