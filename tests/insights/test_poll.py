"""The tick: one call while nothing moves, a fetch when it does, nothing while blocked, never twice."""

import json
from datetime import timedelta
from itertools import pairwise

import pytest

from accounts.errors import Forbidden, NotFound
from accounts.models import AuditLine
from insights.analytics import account_today, totals
from insights.interest import report
from insights.models import DataVersion, PollState
from insights.poll import start, stop, tick
from metaads.models import QuotaScope
from metaads.sandbox.limits import FULL, LIMITED

pytestmark = pytest.mark.django_db


def calls(account):
    return QuotaScope.objects.get(pk=account.act_id).calls


@pytest.fixture
def polled(synced, clock):
    """Looked at until a look found nothing new."""
    tick(now=clock.now())
    clock.advance(31)
    tick(now=clock.now())
    return synced.ad_account


def test_a_quiet_look_costs_one_call_and_writes_no_row(polled, clock):
    before, version = calls(polled), DataVersion.objects.of(polled).get().version
    clock.advance(31)
    assert tick(now=clock.now()) == 1
    assert calls(polled) - before == 1
    assert DataVersion.objects.of(polled).get().version == version
    state = PollState.objects.of(polled).get()
    assert (state.checked_at, state.quiet) == (clock.now(), 2)


def test_when_the_data_moves_the_number_follows_within_one_look(polled, sandbox, clock):
    today = account_today(polled, clock.now())
    old = totals(polled, since=today, until=today, metrics=["spend"], now=clock.now())
    report(ad_account_id=polled.pk, reason="watching", weight=10, until=clock.now() + timedelta(hours=2))
    for _ in range(40):
        clock.advance(30)
        tick(now=clock.now())
    new = totals(polled, since=today, until=today, metrics=["spend"], now=clock.now())
    truth = sandbox.truth.totals(polled.act_id, since=today, until=today, now=clock.now().timestamp())
    assert new.values["spend"] * 100 == truth[polled.act_id]["spend"] > old.values["spend"] * 100
    assert new.header.data_version > old.header.data_version
    assert new.header.checked_at == clock.now()
    assert new.header.trust.state == "ready"


@pytest.mark.parametrize("tier", [LIMITED, FULL])
def test_a_watched_account_is_read_every_30_seconds_for_an_hour_on_either_tier(polled, sandbox, clock, tier):
    """120 probes at Meta, none further apart than 30 s, none refused: with whatever the moves in between cost."""
    sandbox.limits.use_tier(tier)
    clock.advance(600)  # what the first sync has spent is regained
    before, times = len(sandbox.history), []
    for _ in range(120):
        clock.advance(30)
        report(
            ad_account_id=polled.pk, reason="watching", weight=10, until=clock.now() + timedelta(seconds=60)
        )
        seen = len(sandbox.history)
        tick(now=clock.now())
        probes = [line for line in sandbox.history[seen:] if line["params"].get("date_preset") == "today"]
        times += [clock.now()] * len(probes)
        assert sandbox.limits.score(polled.meta_id, clock.timestamp()) <= 50
    assert len(times) == 120
    assert {(b - a).total_seconds() for a, b in pairwise(times)} == {30.0}
    assert {line["status"] for line in sandbox.history[before:]} == {200}


def test_an_unwatched_account_sleeps_towards_its_next_refresh(polled, clock):
    PollState.objects.of(polled).update(period_seconds=900, data_as_of=clock.now())
    clock.advance(31)
    tick(now=clock.now())
    before = calls(polled)
    for _ in range(10):  # five minutes
        clock.advance(30)
        tick(now=clock.now())
    assert calls(polled) == before
    # Somebody opens the page: looked at at once.
    report(ad_account_id=polled.pk, reason="watching", weight=10, until=clock.now() + timedelta(seconds=60))
    assert tick(now=clock.now()) == 1


@pytest.mark.fault("F39")
def test_while_meta_asks_to_wait_no_call_is_made_and_the_page_says_why(polled, sandbox, clock):
    report(ad_account_id=polled.pk, reason="watching", weight=10, until=clock.now() + timedelta(hours=1))
    sandbox.faults.arm("throttle", times=1, at=0.0)
    clock.advance(31)
    tick(now=clock.now())
    state = PollState.objects.of(polled).get()
    assert state.next_check_at > clock.now()
    assert state.reason
    before = calls(polled)
    while clock.now() + timedelta(seconds=30) < state.next_check_at:
        clock.advance(30)
        tick(now=clock.now())
    assert calls(polled) == before
    clock.advance(60)
    assert tick(now=clock.now()) == 1
    assert PollState.objects.of(polled).get().reason == ""


@pytest.mark.fault("F39")
def test_no_answer_backs_off_and_a_good_one_comes_back(polled, sandbox, clock):
    sandbox.faults.arm("html", times=4, at=0.0)
    clock.advance(31)
    tick(now=clock.now())
    state = PollState.objects.of(polled).get()
    assert (state.failures, state.next_check_at) == (1, clock.now() + timedelta(seconds=60))
    clock.advance(61)
    tick(now=clock.now())
    assert PollState.objects.of(polled).get().failures == 0


def test_the_account_s_new_day_is_fetched_even_when_nothing_was_spent_yet(polled, clock):
    from insights.models import WindowSum

    clock.advance(14 * 3600)  # past midnight in New York
    tick(now=clock.now())
    today = account_today(polled, clock.now())
    assert WindowSum.objects.of(polled).filter(days=7, until=today - timedelta(days=1)).exists()


def test_a_stopped_account_is_left_alone_until_it_is_started(polled, sandbox, agency, clock):
    alice = agency.principals.alice
    stop(ad_account=polled, principal=alice, now=clock.now())
    asked = len(sandbox.history)
    for _ in range(60):
        clock.advance(60)
        report(
            ad_account_id=polled.pk, reason="watching", weight=10, until=clock.now() + timedelta(seconds=60)
        )
        assert tick(now=clock.now()) == 0
    assert len(sandbox.history) == asked
    start(ad_account=polled, principal=alice, now=clock.now())
    start(ad_account=polled, principal=alice, now=clock.now())
    assert tick(now=clock.now()) == 1
    lines = AuditLine.objects.of(agency.northwind).filter(verb__endswith="_looks").order_by("pk")
    assert [line.verb for line in lines] == ["stop_looks", "start_looks"]


@pytest.mark.parametrize("who", ["bob", "vera", "vic", "ivan"])
def test_only_who_may_connect_stops_or_starts(polled, agency, clock, who):
    for change in (stop, start):
        with pytest.raises(Forbidden):
            change(ad_account=polled, principal=getattr(agency.principals, who), now=clock.now())
    with pytest.raises(NotFound):
        stop(ad_account=polled, principal=agency.principals.charlie, now=clock.now())
    assert not PollState.objects.of(polled).get().stopped


def test_an_account_that_was_never_synced_or_is_switched_off_is_not_looked_at(connected, clock):
    from accounts.ad_accounts import disable

    assert tick(now=clock.now()) == 0
    disable(ad_account=connected.ad_account, principal=connected.principals.alice, now=clock.now())
    assert tick(now=clock.now()) == 0


@pytest.mark.fault("F40")
@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize(("percent", "looks"), [(40, 20), (60, 10), (80, 5), (92, 2)])
def test_while_meta_s_limits_fill_only_what_is_watched_keeps_its_pace(
    polled, sandbox, clock, monkeypatch, percent, looks, watched
):
    """Ten minutes of ticks while other programs of the app keep its quota that full, as every answer's header says."""
    usual, said = sandbox.limits.headers, json.dumps({"call_count": percent})
    monkeypatch.setattr(
        sandbox.limits, "headers", lambda *who, **what: [*usual(*who, **what), ("X-App-Usage", said)]
    )
    made = 0
    for second in range(0, 900, 30):
        clock.advance(30)
        if watched:
            until = clock.now() + timedelta(seconds=60)
            report(ad_account_id=polled.pk, reason="watching", weight=10, until=until)
        # Not beside the 15 minutes of Meta's, after which an account sleeps: it is awaited all the time.
        PollState.objects.of(polled).update(data_as_of=None, quiet=0)
        looked = tick(now=clock.now())
        made += looked if second >= 300 else 0
    assert made == (20 if watched else looks)
    assert {line["status"] for line in sandbox.history[-made:]} == {200}
