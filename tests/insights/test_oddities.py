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
