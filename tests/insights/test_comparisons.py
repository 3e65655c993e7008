"""Periods compared: the same number of read days, today up to the hour, young conversions as they will be."""

import json
from datetime import date, timedelta
from decimal import Decimal as D

import pytest

from insights.comparisons import AGAINST, compare, partner
from insights.maturity import grown
from insights.models import Completeness
from insights.rows import HOUR, read
from insights.store.write import Read, upsert
from insights.windows import DAY, Period
from tests.insights.conftest import NOW, TODAY, row, wire

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(hours=2)  # 12:00 in New York: twelve full hours of the running day


def day_of(account, day, *, bought=0, read_it=True, **numbers):
    bits = {"impressions": 1000, "spend": "10.00", "clicks": 20, **numbers}
    if bought:
        bits["actions"] = [{"action_type": "omni_purchase", "value": str(bought)}]
    upsert(
        ad_account=account,
        rows=[row(day=day, **bits)] if read_it else [],
        slices=[Read("day", level, day) for level in ("ad", "campaign", "account")] if read_it else [],
        now=NOW,
    )


def hours_of(account, day, *, spend, hours=24):
    rows = [
        read(
            {
                **wire("campaign", "10", day, spend=spend, impressions=100, clicks=2),
                HOUR: f"{hour:02}:00:00 - {hour:02}:59:59",
            },
            level="campaign",
        )
        for hour in range(hours)
    ]
    upsert(ad_account=account, rows=rows, slices=[Read("hour", "campaign", day)], now=NOW)


def ask(account, since, until, against="previous", metrics=("spend", "cpc", "conversions", "cpa"), **more):
    return compare(
        account, since=since, until=until, against=against, metrics=metrics, now=more.pop("now", LATER), **more
    )  # fmt: skip


def test_each_way_of_comparing_names_an_equally_long_period():
    week = Period(date(2026, 11, 11), date(2026, 11, 17))
    assert partner(week, "previous") == Period(date(2026, 11, 4), date(2026, 11, 10))
    assert partner(week, "week") == Period(date(2026, 11, 4), date(2026, 11, 10))
    assert partner(Period(TODAY, TODAY), "week") == Period(TODAY - 7 * DAY, TODAY - 7 * DAY)
    ten = partner(Period(TODAY - 9 * DAY, TODAY), "week")
    assert (ten.days, ten.until.weekday(), (TODAY - ten.until).days) == (10, TODAY.weekday(), 14)
    leap = partner(Period(date(2028, 2, 27), date(2028, 3, 2)), "year")
    assert leap == Period(date(2027, 2, 27), date(2027, 3, 3))
    assert partner(Period(date(2028, 2, 29), date(2028, 2, 29)), "year").since == date(2027, 2, 28)


def test_read_days_are_paired_and_a_day_that_one_side_lacks_is_left_out(ad_account):
    for age in range(1, 7):
        day_of(ad_account, TODAY - age * DAY, spend=str(10 * age), read_it=age != 5)
    found = ask(ad_account, TODAY - 3 * DAY, TODAY - DAY)
    # 1 with 4, 2 with 5 (not read), 3 with 6
    spend = found.metrics["spend"]
    assert (spend.value, spend.before, spend.change) == (D(40), D(100), D(-60))
    assert (found.pairs, found.days) == (2, 3)
    assert found.note == "2 of 3 days were read on both sides and are compared."
    assert found.totals.values["spend"] == 60  # the whole period is still the whole period


def test_ratios_are_divided_after_the_days_were_added_up(ad_account):
    for age, spend, clicks in ((1, "9", 1), (2, "1", 9), (3, "10", 5), (4, "10", 5)):
        day_of(ad_account, TODAY - age * DAY, spend=spend, clicks=clicks)
    cpc = ask(ad_account, TODAY - 2 * DAY, TODAY - DAY).metrics["cpc"]
    assert (cpc.value, cpc.before, cpc.change, cpc.basis) == (D(1), D(2), D(-50), "reported")


def test_nothing_before_and_nothing_read_are_told_apart_and_neither_is_a_change(ad_account):
    day_of(ad_account, TODAY - DAY, spend="5.00")
    nothing = ask(ad_account, TODAY - DAY, TODAY - DAY).metrics["spend"]
    assert (nothing.value, nothing.change) == (None, None) and "read on both sides" in nothing.why
    day_of(ad_account, TODAY - 2 * DAY, spend="0", impressions=0, clicks=0)
    zero = ask(ad_account, TODAY - DAY, TODAY - DAY).metrics
    assert (zero["spend"].before, zero["spend"].change) == (D(0), None)
    assert "0 before" in zero["spend"].why and "not known" in zero["cpc"].why


def test_young_conversions_are_not_comparable_until_their_curve_is_learned(ad_account):
    day_of(ad_account, TODAY - DAY, bought=5)
    day_of(ad_account, TODAY - 2 * DAY, bought=8)
    young = ask(ad_account, TODAY - DAY, TODAY - DAY).metrics
    assert (young["conversions"].value, young["conversions"].change) == (D(5), None)
    assert young["conversions"].why.startswith("Not comparable yet")
    assert young["cpa"].change is None and young["spend"].change == 0
    Completeness.everything.create(
        ad_account_id=ad_account.pk, base="purchases", shares=["0.5", "0.8", *["1"] * 27], days=30,
        total=D(300), learned_at=NOW,
    )  # fmt: skip
    grown_up = ask(ad_account, TODAY - DAY, TODAY - DAY).metrics
    # 5 reported at half: 10 expected; 8 reported at four fifths: 10 expected
    assert (grown_up["conversions"].change, grown_up["conversions"].basis) == (D(0), "expected")
    assert grown_up["conversions"].value == 5
    assert grown_up["cpa"].change == 0


def test_conversions_older_than_their_lag_are_compared_as_they_are(ad_account):
    day_of(ad_account, TODAY - 30 * DAY, bought=5)
    day_of(ad_account, TODAY - 31 * DAY, bought=4)
    old = ask(ad_account, TODAY - 30 * DAY, TODAY - 30 * DAY).metrics["conversions"]
    assert (old.change, old.basis) == (D(25), "reported")


def test_too_small_a_share_gives_no_expectation():
    day = TODAY - DAY
    tiny = grown("purchases", {day: D(1)}, today=TODAY, shares={"purchases": [D("0.01")]})
    assert (tiny.reported, tiny.expected, tiny.young) == (D(1), None, True)
    seen = grown("spend", {day: D(1)}, today=TODAY, shares={})
    assert (seen.expected, seen.young) == (D(1), False)
    assert grown("spend", {day: None}, today=TODAY, shares={}).reported is None


def test_the_running_day_is_held_against_the_same_hours(ad_account):
    for age in (0, 1):
        day_of(ad_account, TODAY - age * DAY)
    hours_of(ad_account, TODAY - DAY, spend="1.00")
    hours_of(ad_account, TODAY, spend="1.50", hours=12)
    found = ask(ad_account, TODAY, TODAY)
    assert found.until_hour == 12 and "up to 12:00" in found.note
    spend = found.metrics["spend"]
    assert (spend.value, spend.before, spend.change) == (D(18), D(12), D(50))
    assert found.metrics["conversions"].change is None
    assert "by the day only" in found.metrics["conversions"].why


def test_a_running_day_whose_hours_were_not_read_is_left_out(ad_account):
    for age in range(4):
        day_of(ad_account, TODAY - age * DAY, spend=str(10 + age))
    hours_of(ad_account, TODAY, spend="1.50", hours=12)
    found = ask(ad_account, TODAY - DAY, TODAY)
    assert (found.until_hour, found.pairs) == (None, 1)
    assert (found.metrics["spend"].value, found.metrics["spend"].before) == (D(11), D(13))


def test_the_same_hours_of_last_week_are_compared_too(ad_account):
    for age in (0, 7):
        day_of(ad_account, TODAY - age * DAY)
        hours_of(ad_account, TODAY - age * DAY, spend="2.00")
    found = ask(ad_account, TODAY, TODAY, against="week")
    assert (found.until_hour, found.metrics["spend"].change) == (12, D(0))


def test_people_are_compared_for_whole_periods_only(ad_account):
    for age in (1, 2, 3, 4):
        day_of(ad_account, TODAY - age * DAY)
    found = ask(ad_account, TODAY - 2 * DAY, TODAY - DAY, metrics=("reach", "frequency"))
    assert found.metrics["reach"].change is None and found.metrics["reach"].why
    cut = ask(ad_account, TODAY - 2 * DAY, TODAY, metrics=("reach",)).metrics["reach"]
    assert "not added up" in cut.why


def test_what_is_drawn_are_the_days_of_both_sides(ad_account):
    for age in range(1, 9):
        day_of(ad_account, TODAY - age * DAY, spend=str(age))
    found = ask(ad_account, TODAY - DAY, TODAY - DAY, drawn=7)
    assert [point.values["spend"] for point in found.points] == [7, 6, 5, 4, 3, 2, 1]
    assert [point.values["spend"] for point in found.earlier] == [2]


def test_the_path_answers_for_every_level_and_refuses_what_is_not_there(synced, client, clock):
    def asks(path, status=200, who="bob", **query):
        client.force_login(getattr(synced.users, who))
        answer = client.get(f"/api/meta/comparison/{path}", query)
        assert answer.status_code == status, answer.content
        return json.loads(answer.content, parse_float=D, parse_int=D)

    from campaigns.models import Ad

    ad = Ad.objects.of(synced.northwind).order_by("meta_id").first()
    act = synced.ad_account.act_id
    for path in (act, ad.meta_id, ad.ad_set.meta_id, ad.campaign.meta_id):
        for against in AGAINST:
            body = asks(path, against=against)
            assert body["against"] == against and body["days"] == 7
            assert body["metrics"].keys() >= {"spend", "cpa"}
    spend = asks(act)["metrics"]["spend"]
    assert spend["change_percent"] == pytest.approx((spend["value"] / spend["before"] - 1) * 100)
    assert asks(act, against="year")["compared_days"] == 0
    assert asks(act, date_preset="today", metrics="spend,conversions")["until_hour"] is not None
    assert "previous" in str(asks(act, 400, against="tomorrow")["errors"])
    asks(act, 404, who="charlie")
    asks(ad.meta_id, 404, who="charlie")
