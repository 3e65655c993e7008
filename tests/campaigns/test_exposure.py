"""What the insights floor reports down, and what the guards make of it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

import campaigns.changes.exposure as exposure
from campaigns.changes.exposure import Spent
from campaigns.models import ExposureRow
from campaigns.states import Evidence, Field, Level, Source

pytestmark = pytest.mark.django_db
DAY = date(2026, 11, 18)


def report(desk, spend, *, day=DAY, trust="ready"):
    row = Spent(level="campaign", object_id=desk.campaign.meta_id, day=day, spend=Decimal(spend))
    return exposure.report(
        ad_account_id=desk.account.pk, rows=[row], as_of=desk.now, trust=trust, now=desk.now
    )


def situation(desk):
    return exposure.situation(
        ad_account=desk.account, level=Level.CAMPAIGN, object_id=desk.campaign.meta_id, field=Field.DAILY_BUDGET,
        stopped="", now=desk.now, before="100", target="100",
    )  # fmt: skip


def test_the_later_report_of_a_day_replaces_the_earlier_one(desk):
    assert report(desk, "10.25") == 1
    report(desk, "12.50")
    report(desk, "7", day=DAY - timedelta(days=1))
    assert ExposureRow.everything.filter(level="campaign").count() == 2
    assert situation(desk).spend_so_far == Decimal("19.50")


def test_a_report_of_another_account_says_nothing_here(desk):
    row = Spent(level="campaign", object_id=desk.campaign.meta_id, day=DAY, spend=Decimal(5))
    exposure.report(
        ad_account_id=desk.account.pk + 1, rows=[row], as_of=desk.now, trust="ready", now=desk.now
    )
    assert situation(desk).spend_so_far is None


def test_a_rule_does_not_raise_on_spend_that_is_not_trusted(desk):
    good = Evidence(data_version=1, as_of=desk.now, checksum="c", valid_until=desk.now + timedelta(hours=1))
    report(desk, "10", trust="stale")
    refused = desk.file("110", source=Source.STRATEGY, evidence=good, strategy_ref="s1")
    assert refused.state == "REJECTED" and "spend is not known well enough" in refused.error_text
    report(desk, "10", trust="ready")
    assert desk.file("111", source=Source.STRATEGY, evidence=good, strategy_ref="s1").state == "PROPOSED"


@pytest.mark.fault("N5")
def test_what_may_have_been_applied_counts_in_the_rolling_day(desk):
    desk.sandbox.faults.arm("applied_timeout", {}, 1)
    desk.until(desk.approved("120"), "UNKNOWN")
    assert situation(desk).rises_24h == 20
    assert len(situation(desk).edits_1h) == 1


def test_what_meta_refused_counts_nowhere(desk):
    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)
    desk.sandbox.faults.arm("gone33", {"method": "POST"}, 1)
    desk.step(change)
    now = situation(desk)
    assert (change.state, now.rises_24h, now.edits_1h, now.last_write_at) == ("FAILED", 0, (), None)
