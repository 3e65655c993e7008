"""Hours compared from stored rows: in the account's zone, on read hours only, and silent on too little."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from insights.rows import HOUR, read
from insights.store.write import Read, upsert
from insights.windows import DAY
from tests.insights.conftest import NOW, TODAY, wire

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
