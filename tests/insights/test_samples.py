"""Each look is kept, finely while it is young, and thinner with age."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import AdAccount
from insights.models import Sample
from insights.poll import tick
from insights.samples import keep, since, spent, surplus, thin
from tests.insights.conftest import NOW, TODAY

FINE = {"spend": "12.50", "impressions": "900", "clicks": "9"}


def kept(ad_account):
    return list(Sample.objects.of(ad_account).order_by("at").values_list("at", flat=True))


def looks(ad_account, *, day, count=2880):
    start = NOW.replace(hour=5, minute=0) + (day - TODAY)  # the day begins at midnight in New York
    rows = [
        Sample(
            ad_account_id=ad_account.pk,
            day=day,
            at=start + timedelta(seconds=30 * n),
            spend=Decimal(n),
            impressions=n,
            clicks=0,
        )
        for n in range(count)
    ]
    Sample.everything.bulk_create(rows, batch_size=500)


@pytest.mark.django_db
def test_a_look_is_one_sample_and_a_second_one_of_the_same_moment_replaces_it(ad_account):
    keep(ad_account=ad_account, day=TODAY, totals=FINE, now=NOW)
    keep(ad_account=ad_account, day=TODAY, totals={**FINE, "spend": "13"}, now=NOW)
    keep(ad_account=ad_account, day=TODAY, totals={"spend": "many"}, now=NOW + timedelta(seconds=30))
    (one,) = since(ad_account, start=NOW)
    assert (one.at, one.spend, one.impressions, one.clicks) == (NOW, Decimal(13), 900, 9)


@pytest.mark.django_db
def test_the_tick_keeps_what_it_saw(synced, sandbox, clock):
    tick(now=clock.now())
    (one,) = since(synced.ad_account, start=clock.now())
    truth = sandbox.truth.totals(
        synced.ad_account.act_id, since=one.at.date(), until=one.at.date(), now=clock.timestamp()
    )[synced.ad_account.act_id]
    assert (one.spend * 100, one.impressions, one.clicks) == (
        truth["spend"],
        truth["impressions"],
        truth["clicks"],
    )


@pytest.mark.django_db
def test_after_a_week_a_quarter_of_an_hour_and_after_ninety_days_a_day_keeps_its_last_look(ad_account):
    for age in (1, 8, 95):
        looks(ad_account, day=TODAY - timedelta(days=age))
    thin(now=NOW)
    by_day = {
        age: Sample.objects.of(ad_account).filter(day=TODAY - timedelta(days=age)) for age in (1, 8, 95)
    }
    assert {age: rows.count() for age, rows in by_day.items()} == {1: 2880, 8: 96, 95: 1}
    assert by_day[95].get().impressions == 2879
    assert {row.at.minute % 15 for row in by_day[8]} == {14}
    assert thin(now=NOW) == 0


def looks_at(ad_account, *moments):
    """A sample at each moment, of the account's day in New York."""
    for at in moments:
        day = at.astimezone(ZoneInfo(ad_account.timezone_name)).date()
        keep(ad_account=ad_account, day=day, totals=FINE, now=at)


@pytest.mark.django_db
def test_a_look_of_seven_days_to_the_second_is_kept_and_one_a_moment_older_only_if_it_is_its_quarter_s_last(
    ad_account,
):
    edge, second = NOW - timedelta(days=7), timedelta(seconds=1)
    looks_at(ad_account, edge - 60 * second, edge - 30 * second, edge, edge + 30 * second)
    assert thin(now=NOW) == 1
    assert kept(ad_account) == [edge - 30 * second, edge, edge + 30 * second]
    # A moment later the look at the edge is older than seven days, and alone in its quarter so far.
    assert thin(now=NOW + timedelta(microseconds=1)) == 0
    assert thin(now=NOW + 30 * second) == 0
    assert thin(now=NOW + 31 * second) == 1
    assert kept(ad_account) == [edge - 30 * second, edge + 30 * second]


@pytest.mark.django_db
def test_a_look_of_ninety_days_to_the_second_is_kept_and_then_its_day_keeps_the_last_of_the_older_ones(
    ad_account,
):
    edge, quarter = NOW - timedelta(days=90), timedelta(minutes=15)
    looks_at(ad_account, edge - 2 * quarter, edge - quarter, edge, edge + quarter)
    assert thin(now=NOW) == 1
    assert kept(ad_account) == [edge - quarter, edge, edge + quarter]
    assert thin(now=NOW + timedelta(microseconds=1)) == 1
    assert kept(ad_account) == [edge, edge + quarter]
    assert thin(now=NOW + timedelta(days=1)) == 1
    assert kept(ad_account) == [edge + quarter]


@pytest.mark.django_db
def test_a_day_of_few_looks_close_together_is_thinned_too_and_two_accounts_apart_are_left(ad_account, agency):
    other = AdAccount.everything.create(
        client=agency.northwind, meta_id="2", name="Other", currency="USD", timezone_name="Asia/Kolkata",
        enabled_at=NOW,
    )  # fmt: skip
    start = NOW - timedelta(days=8)
    looks_at(ad_account, *(start + timedelta(minutes=n) for n in range(20)))
    looks_at(other, start)
    assert thin(now=NOW) == 18
    assert kept(ad_account) == [start + timedelta(minutes=14), start + timedelta(minutes=19)]
    assert kept(other) == [start]


@pytest.mark.django_db
def test_a_run_that_is_cut_short_is_finished_by_the_next_one(ad_account, monkeypatch):
    monkeypatch.setattr("insights.samples._MOST_DAYS_AT_ONCE", 1)
    for age in (8, 9, 10):
        looks(ad_account, day=TODAY - timedelta(days=age), count=200)
    while thin(now=NOW):
        pass
    assert len(kept(ad_account)) == 3 * 7


@given(
    seconds=st.lists(st.integers(0, 90_000), unique=True, max_size=60),
    apart=st.sampled_from([None, timedelta(minutes=15)]),
)
def test_what_stays_is_the_last_of_each_stretch_and_thinning_twice_is_thinning_once(seconds, apart):
    rows = [(n, NOW + timedelta(seconds=one)) for n, one in enumerate(seconds)]
    gone = set(surplus(rows, apart=apart))
    left = [row for row in rows if row[0] not in gone]
    assert surplus(left, apart=apart) == []
    if rows:
        assert max(rows, key=lambda row: row[1]) in left


@pytest.mark.django_db
def test_the_day_look_by_look_is_answered_to_whoever_may_see_the_account(synced, agency, clock):
    tick(now=clock.now())
    clock.advance(31)
    tick(now=clock.now())
    path = f"/api/meta/realtime/{synced.ad_account.act_id}"
    bob, charlie = Client(), Client()
    bob.force_login(agency.users.bob)
    charlie.force_login(agency.users.charlie)
    answer = bob.get(path, {"samples": 10}).json()["samples"]
    assert len(answer) == 2 and answer[0]["at"] < answer[1]["at"] and answer[1]["spend"] > 0
    assert "samples" not in bob.get(path).json()
    assert charlie.get(path, {"samples": 10}).status_code == 404
    for odd in ("0", "-1", "1441", "an hour", "9" * 40):
        assert bob.get(path, {"samples": odd}).status_code == 400


def test_what_an_account_spent_lately_is_what_its_looks_saw_also_over_midnight(ad_account):
    def look(minutes, spend, day=TODAY):
        keep(ad_account=ad_account, day=day, totals={"spend": spend}, now=NOW + timedelta(minutes=minutes))

    hour = {"ad_account_ids": [ad_account.pk], "since": NOW}
    look(-1, "1.00")
    assert spent(**hour) == {}
    look(5, "20.00", TODAY - timedelta(days=1))
    look(20, "26.50", TODAY - timedelta(days=1))
    look(35, "0.25")
    look(50, "4.00")
    assert spent(**hour) == {ad_account.pk: Decimal("10.25")}
    assert spent(ad_account_ids=[ad_account.pk + 1], since=NOW) == {}
