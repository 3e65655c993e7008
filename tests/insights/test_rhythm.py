"""Hours compared from stored rows: in the account's zone, on read hours only, and silent on too little."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from insights.rows import HOUR, read
from insights.store.write import Read, upsert
from insights.windows import DAY
from tests.insights.conftest import NOW, TODAY, row, wire

pytestmark = pytest.mark.django_db


def hours_of(day, *, good=20):
    """A campaign's hours of one day: 2,000 impressions each, 40 clicks, in the good hour 100; the days differ a bit."""
    for hour in range(24):
        clicks = (100 if hour == good else 40) + (day.toordinal() + hour) % 5
        raw = wire("campaign", "10", day, spend="8.00", impressions="2000", clicks=str(clicks))
        yield read({**raw, HOUR: f"{hour:02}:00:00 - {hour:02}:59:59"}, level="campaign")


@pytest.fixture
def weeks(ad_account):
    for age in range(1, 43):
        day = TODAY - DAY * age
        upsert(
            ad_account=ad_account,
            rows=list(hours_of(day)),
            slices=[Read("hour", "campaign", day)],
            now=NOW - timedelta(minutes=age),
        )
    return ad_account


@pytest.fixture
def ask(client, agency, clock):
    def asking(account, status=200, who="vic", **query):
        client.force_login(getattr(agency.users, who))
        answer = client.get(f"/api/meta/rhythm/{account.act_id}", query)
        assert answer.status_code == status, answer.content
        return json.loads(answer.content, parse_float=Decimal)

    return asking


def test_the_good_hour_is_named_with_its_value_and_interval(weeks, ask):
    body = ask(weeks, metric="ctr", by="hour")
    assert (body["enough"], body["why_not"]) == (True, "")
    good = [one for one in body["groups"] if one["verdict"] == "better"]
    assert [one["hour"] for one in good] == [20]
    assert good[0]["low"] < good[0]["value"] < good[0]["high"]
    assert 5 < good[0]["value"] < Decimal("5.3")
    assert body["timezone_name"] == "America/New_York"
    # The same hour is the cheap one, and cheap is good.
    assert [one["hour"] for one in ask(weeks, metric="cpc")["groups"] if one["verdict"] == "better"] == [20]


def test_a_campaign_s_hours_are_its_own(weeks, ask):
    assert ask(weeks, campaign="10")["groups"] == ask(weeks)["groups"]
    assert not ask(weeks, campaign="11")["enough"]


def test_too_few_weeks_name_no_hour(weeks, ask):
    body = ask(weeks, weeks="2")
    assert (body["enough"], {one["verdict"] for one in body["groups"]}) == (False, {""})
    assert "of 4 weeks" in body["why_not"]


def test_what_is_not_known_by_the_hour_is_refused_with_what_is(weeks, ask):
    for metric in ("roas", "spend", "reach"):
        body = ask(weeks, 400, metric=metric)
        assert "by the hour" in body["detail"] and "ctr" in body["advice"]
    assert "ctr" in ask(weeks, 400, metric="nonsense")["advice"]
    assert "1, 2" in str(ask(weeks, 400, weeks="0")["errors"])


def test_another_client_s_hours_are_not_there(weeks, ask):
    ask(weeks, 404, who="charlie")


def days_back(account, days, *, numbers):
    """Ad rows of so many days that end yesterday; `numbers` of a day gives its row."""
    upsert(
        ad_account=account,
        rows=[row(day=TODAY - DAY * age, **numbers(TODAY - DAY * age)) for age in range(1, days + 1)],
        slices=[Read("day", "ad", TODAY - DAY * age) for age in range(1, days + 1)],
        now=NOW,
    )


def bought(day):
    many = (90 if day.weekday() == 5 else 40) + day.toordinal() % 7
    return {
        "spend": "400.00", "impressions": 9000, "clicks": 300,
        "actions": [{"action_type": "omni_purchase", "value": str(many)}],
    }  # fmt: skip


def test_weekdays_are_told_for_conversions_but_not_of_days_that_still_change(ad_account, ask):
    days_back(ad_account, 28 + 70, numbers=bought)
    body = ask(ad_account, metric="cpa", by="weekday", weeks="10")
    assert body["enough"], body["why_not"]
    assert [one["weekday"] for one in body["groups"] if one["verdict"] == "better"] == [5]
    assert body["date_stop"] == str(TODAY - 29 * DAY)
    # A click is not attributed: it is known the next day.
    assert ask(ad_account, metric="ctr", by="weekday")["date_stop"] == str(TODAY - DAY)


def test_a_season_needs_two_years_and_says_how_much_is_there(ad_account, ask):
    days_back(ad_account, 90, numbers=lambda day: {"spend": "10", "impressions": 9000, "clicks": 90})
    months = ask(ad_account, metric="ctr", by="month")
    assert (months["enough"], {one["verdict"] for one in months["groups"]}) == (False, {""})
    assert months["why_not"] == "0 of 12 months were seen in 2 years yet; all of them are needed."
    assert len(months["groups"]) == 12 and [one["season"] for one in months["groups"]][:2] == [1, 2]
    assert "of 52 weeks" in ask(ad_account, metric="ctr", by="week")["why_not"]


def test_a_season_that_comes_back_each_year_is_found(ad_account, ask):
    def december(day):
        return {"spend": "10", "impressions": 9000, "clicks": (180 if day.month == 12 else 90) + day.day % 3}

    days_back(ad_account, 3 * 365, numbers=december)
    months = ask(ad_account, metric="ctr", by="month")
    assert months["enough"], months["why_not"]
    assert [one["season"] for one in months["groups"] if one["verdict"] == "better"] == [12]


def test_profit_s_rhythm_is_for_those_who_may_see_costs(ad_account, ask):
    assert "cost" in str(ask(ad_account, 403, metric="profit_margin", by="weekday")).lower()
