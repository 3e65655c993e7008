"""Numbers that Meta says and nobody should act on: kept as they are, and said to be odd."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.models import Alert
from campaigns.models import ExposureRow
from insights.analytics import totals
from insights.detectors import odd_numbers
from insights.models import Slice
from insights.store.write import Read, upsert
from tests.insights.conftest import NOW, TODAY, row

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F60")]
DAY = TODAY - timedelta(days=1)
LEVELS = ("ad", "adset", "campaign", "account")


def store(ad_account, *, now=NOW, **fields):
    rows = [row(level=level, day=DAY, **{"spend": "5", "impressions": "1000", **fields}) for level in LEVELS]
    upsert(ad_account=ad_account, rows=rows, slices=[Read("day", level, DAY) for level in LEVELS], now=now)


def answer(ad_account, now=NOW):
    found = totals(ad_account, since=DAY, until=DAY, metrics=["spend", "purchases"], now=now)
    return found.values, found.header.trust


def test_what_was_credited_back_is_stored_told_and_keeps_rules_from_raising(ad_account):
    store(ad_account, spend="-12.50")
    values, trust = answer(ad_account)
    assert values["spend"] == Decimal("-12.5")
    assert trust.state == "partial" and "taken money or value back" in trust.reasons[0]
    assert set(ExposureRow.everything.values_list("trust", flat=True)) == {"partial"}
    store(ad_account, spend="12.50", now=NOW + timedelta(hours=1))
    assert answer(ad_account, NOW + timedelta(hours=1))[1].state == "ready"
    assert set(ExposureRow.everything.values_list("trust", flat=True)) == {"ready"}


def test_money_that_ran_without_anybody_seeing_an_ad_is_told(ad_account):
    store(ad_account, spend="30", impressions="0", clicks="0")
    assert "no ad was seen" in answer(ad_account)[1].reasons[0]


def test_ads_that_many_saw_for_no_money_at_all_are_told(ad_account):
    store(ad_account, spend="0")
    assert "no money was spent" in answer(ad_account)[1].reasons[0]
    store(ad_account, spend="0", impressions="999", now=NOW + timedelta(hours=1))
    assert answer(ad_account, NOW + timedelta(hours=1))[1].state == "ready"


@pytest.mark.fault("F57")
def test_a_day_that_had_spend_and_comes_back_empty_is_not_a_day_of_no_spend(ad_account):
    store(ad_account)
    for hour in (1, 2):  # still empty at the second look
        moment = NOW + timedelta(hours=hour)
        slices = [Read("day", level, DAY) for level in LEVELS]
        upsert(ad_account=ad_account, rows=[], slices=slices, now=moment)
        trust = answer(ad_account, moment)[1]
        assert trust.state == "partial" and "told no more" in trust.reasons[0]
    store(ad_account, now=NOW + timedelta(hours=3))
    assert answer(ad_account, NOW + timedelta(hours=3))[1].state == "ready"


@pytest.mark.fault("F57")
def test_a_day_that_was_always_empty_is_one(ad_account):
    upsert(ad_account=ad_account, rows=[], slices=[Read("day", level, DAY) for level in LEVELS], now=NOW)
    values, trust = answer(ad_account)
    assert (trust.state, values["spend"]) == ("empty", 0)


def purchases(count):
    return [{"action_type": "omni_purchase", "value": str(count)}] if count else []


def test_results_that_are_all_gone_are_told_until_they_are_back(ad_account):
    store(ad_account, actions=purchases(9))
    assert answer(ad_account)[1].state == "ready"
    for hour in (1, 2):  # still gone at the second look
        store(ad_account, actions=purchases(0), now=NOW + timedelta(hours=hour))
        values, trust = answer(ad_account, NOW + timedelta(hours=hour))
        assert values["purchases"] == 0
        assert trust.state == "partial" and "results that were reported before are gone" in trust.reasons[0]
    store(ad_account, actions=purchases(8), now=NOW + timedelta(hours=3))
    assert answer(ad_account, NOW + timedelta(hours=3))[1].state == "ready"


def test_a_few_results_that_are_taken_back_are_nothing_odd(ad_account):
    store(ad_account, actions=purchases(3))
    store(ad_account, actions=purchases(0), now=NOW + timedelta(hours=1))
    assert answer(ad_account, NOW + timedelta(hours=1))[1].state == "ready"
    assert not Slice.everything.exclude(odd="").exists()


def past(ad_account, days, *, first=1, campaign="10", impressions="1000", count=12):
    """Days before `DAY` on which the campaign had results at one rate."""
    rows = [
        row(level=level, day=DAY - timedelta(days=back), campaign_id=campaign, spend="5", impressions=impressions,
            actions=purchases(count))
        for level in LEVELS
        for back in range(first, first + days)
    ]  # fmt: skip
    slices = [Read("day", one.level, one.day) for one in rows]
    upsert(ad_account=ad_account, rows=rows, slices=slices, now=NOW - timedelta(hours=1))


@pytest.mark.fault("F76")
def test_a_day_without_any_result_is_odd_where_its_campaigns_had_dozens_coming(ad_account):
    past(ad_account, 7)
    store(ad_account, impressions="4000", actions=purchases(0))
    _, trust = answer(ad_account)
    assert trust.state == "partial" and "no result was reported" in trust.reasons[0]
    assert odd_numbers(now=NOW) == 1 and "broken pixel" in Alert.everything.get().advice
    store(ad_account, impressions="4000", actions=purchases(1), now=NOW + timedelta(hours=1))
    assert answer(ad_account, NOW + timedelta(hours=1))[1].state == "ready"


@pytest.mark.parametrize(
    ("before", "seen"),
    [
        ({"days": 7, "count": 12}, "2000"),  # 24 were to be expected
        ({"days": 7, "count": 0}, "90000"),  # it never had any
        ({"days": 7, "campaign": "77"}, "90000"),  # another campaign had them, and does not run
        ({"days": 7, "first": 29}, "90000"),  # a month of silence is how things are
    ],
)
def test_a_day_without_results_is_nothing_odd_where_few_or_none_were_to_be_expected(ad_account, before, seen):
    past(ad_account, before.pop("days"), **before)
    store(ad_account, impressions=seen, actions=purchases(0))
    assert answer(ad_account)[1].state == "ready"


def test_odd_days_are_an_alert_of_their_client_until_they_are_mended(ad_account):
    store(ad_account, spend="30", impressions="0", clicks="0")
    for minute in (0, 5):
        assert odd_numbers(now=NOW + timedelta(minutes=minute)) == 1
    [alert] = Alert.everything.all()
    assert (alert.client, alert.closed_at) == (ad_account.client, None)
    assert "Shop" in alert.title and "no ad was seen" in alert.advice
    store(ad_account, now=NOW + timedelta(hours=1))
    assert odd_numbers(now=NOW + timedelta(hours=1)) == 0
    assert Alert.everything.get().closed_at is not None


def test_nobody_is_told_of_an_account_that_is_switched_off(ad_account):
    store(ad_account, spend="-3")
    assert odd_numbers(now=NOW) == 1
    type(ad_account).everything.update(enabled_at=None)
    assert odd_numbers(now=NOW) == 0
    assert Alert.everything.get().closed_at is not None
