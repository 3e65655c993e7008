"""The tree as it stood in the product at an earlier instant, told from the ledger."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

import campaigns.past as past
from campaigns.changes import ledger
from campaigns.changes.ledger import Actor
from campaigns.models import AdSet, Campaign
from campaigns.states import Level
from tests.strategies.conftest import shop

__all__ = ["shop"]
pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def note(shop, field, before, after, *, kind="edit", object_id="21", level="adset", state=""):
    shop.clock.advance(3600)
    with ledger.locked(shop.ad_account.pk):
        ledger.record(
            ad_account_id=shop.ad_account.pk, client_id=shop.northwind.pk, kind=kind, now=shop.clock.now(),
            by=Actor(by="outside"), level=level, object_id=object_id, field=field, before=before, after=after,
            state=state,
        )  # fmt: skip


def at(shop, moment, object_id="21"):
    tree = past.read(ad_account=shop.ad_account, levels=tuple(Level), after=moment)
    return next((row for row in tree.at(moment) if row.meta_id == object_id), None)


def test_each_instant_has_the_values_between_the_edits(shop):
    start = shop.clock.now()
    note(shop, "daily_budget", "40", "45")
    note(shop, "daily_budget", "45", "50")
    note(shop, "name", "First name", "Ad set 1")
    budgets = [at(shop, start + hours * HOUR).daily_budget for hours in (0, 1, 2, 3)]
    assert budgets == [Decimal(40), Decimal(45), Decimal(50), Decimal(50)]
    assert [at(shop, start + hours * HOUR).name for hours in (2, 3)] == ["First name", "Ad set 1"]


def test_a_change_counts_from_when_it_was_applied_and_a_wish_never(shop):
    start = shop.clock.now()
    note(shop, "daily_budget", "40", "50", kind="change", state="PROPOSED")
    note(shop, "daily_budget", "40", "50", kind="change", state="APPLIED")
    assert [at(shop, start + hours * HOUR).daily_budget for hours in (0, 1, 2)] == [40, 40, 50]


def test_a_paused_campaign_stops_what_is_in_it_for_that_time(shop):
    start = shop.clock.now()
    note(shop, "status", "ACTIVE", "PAUSED", object_id="10", level="campaign")
    note(shop, "status", "PAUSED", "ACTIVE", object_id="10", level="campaign")
    found = [at(shop, start + hours * HOUR, "31").effective_status for hours in (0, 1, 2)]
    assert found == ["ACTIVE", "CAMPAIGN_PAUSED", "ACTIVE"]
    assert at(shop, start + HOUR).effective_status == "CAMPAIGN_PAUSED"
    # Paused today, and running then.
    note(shop, "status", "ACTIVE", "PAUSED")
    AdSet.objects.of(shop.northwind).filter(meta_id="21").update(status="PAUSED", effective_status="PAUSED")
    assert at(shop, start).effective_status == "ACTIVE"
    assert at(shop, start, "31").effective_status == "ACTIVE"
    assert at(shop, shop.clock.now(), "31").effective_status == "ADSET_PAUSED"


def test_an_edit_without_values_takes_nothing_back(shop):
    start = shop.clock.now()
    note(shop, "daily_budget", "", "")
    assert at(shop, start).daily_budget == Decimal(50)


def test_what_was_not_made_yet_or_gone_by_then_is_not_there(shop):
    start = shop.clock.now()
    AdSet.objects.of(shop.northwind).filter(meta_id="22").update(removed_at=start + HOUR)
    AdSet.objects.of(shop.northwind).filter(meta_id="23").update(created_time=start + HOUR)
    assert [at(shop, start + hours * HOUR, "22") is not None for hours in (0, 1)] == [True, False]
    assert [at(shop, start + hours * HOUR, "23") is not None for hours in (0, 1)] == [False, True]


def test_a_word_of_metas_that_no_status_explains_stays(shop):
    Campaign.objects.of(shop.northwind).update(effective_status="WITH_ISSUES")
    assert at(shop, shop.clock.now(), "10").effective_status == "WITH_ISSUES"
