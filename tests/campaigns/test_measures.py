"""What else a person's limits hold: bids, lifetime budgets, starts, longer schedules; and four eyes by amount."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

import campaigns.changes.standing as standing
from accounts.errors import Forbidden
from campaigns.models import AdSet, Campaign, Change, LedgerLine
from campaigns.states import Field
from tests.campaigns.test_api import Caller
from tests.campaigns.test_authority import approve, limit, rules, state
from tests.racing import at_once

pytestmark = pytest.mark.django_db


def refused(desk, change, who="vera"):
    with pytest.raises(Forbidden) as caught:
        approve(desk, change, who)
    assert state(change) == "PROPOSED"
    return caught.value


def paused(obj):
    type(obj).everything.filter(pk=obj.pk).update(status="PAUSED", effective_status="PAUSED")
    obj.refresh_from_db()
    return obj


def start(desk, obj, **more):
    return desk.file("ACTIVE", field=Field.STATUS, obj=obj, **more)


# --- starts


def test_a_start_counts_with_the_budget_that_begins_to_run(desk):
    change = start(desk, paused(desk.campaign))
    assert standing.adds(change, now=desk.now) == 100
    limit(desk, email="vera@example.com", currency="USD", amount=Decimal(99))
    assert refused(desk, change).code == "over_authority"
    limit(desk, email="vera@example.com", currency="USD", amount=Decimal(100))
    assert approve(desk, change, "vera").state == "APPROVED"
    assert Change.everything.get(pk=change.pk).adds == 100


def test_what_starts_have_let_pass_counts_for_the_next_raise(desk):
    limit(desk, email="vera@example.com", currency="USD", amount=Decimal(100))
    approve(desk, start(desk, paused(desk.campaign)), "vera")
    assert "100 USD" in refused(desk, desk.file("31", obj=desk.ad_set)).message
    assert standing.let_pass(desk.agency.northwind.pk, desk.agency.users.vera.pk, "USD", now=desk.now) == 100


def test_a_campaign_s_start_counts_the_ad_sets_that_it_sets_running(desk):
    running = sum(
        one.daily_budget or 0 for one in AdSet.everything.filter(campaign=desk.other, status="ACTIVE")
    )
    assert running > 0
    assert standing.adds(start(desk, paused(desk.other)), now=desk.now) == running


def test_who_has_a_limit_in_percent_alone_may_start_nothing_that_spends(desk):
    limit(desk, email="vera@example.com", percent=900)
    change = start(desk, paused(desk.campaign))
    assert "has no percentage" in refused(desk, change).message
    assert approve(desk, change).state == "APPROVED"


# --- budgets of a lifetime, bids, schedules


def test_a_lifetime_budget_counts_with_all_that_is_added(desk):
    Campaign.everything.filter(pk=desk.campaign.pk).update(daily_budget=None, lifetime_budget=Decimal(200))
    mine = Campaign.everything.get(lifetime_budget=200)
    change = desk.file("240", field=Field.LIFETIME_BUDGET, obj=mine)
    limit(desk, email="vera@example.com", currency="USD", amount=Decimal(39))
    refused(desk, change)
    limit(desk, email="vera@example.com", currency="USD", amount=Decimal(40))
    assert approve(desk, change, "vera").state == "APPROVED"


def bidding(desk, amount):
    row = desk.ad_set
    AdSet.everything.filter(pk=row.pk).update(bid_amount=Decimal(amount))
    row.refresh_from_db()
    return row


def test_a_bid_is_held_by_a_percentage_and_by_four_eyes_and_adds_no_money(desk):
    row = bidding(desk, 10)
    change = desk.file("12", field=Field.BID_AMOUNT, obj=row)
    limit(desk, email="vera@example.com", percent=19)
    assert "of one bid" in refused(desk, change).message
    rules(desk, four_eyes_percent=19)
    assert refused(desk, change, "alice").code == "four_eyes"
    limit(desk, email="vera@example.com", percent=20)
    assert approve(desk, change, "vera").state == "APPROVED"
    assert Change.everything.get(pk=change.pk).adds == 0


def test_a_later_end_counts_the_daily_budget_for_the_days_gained(desk):
    row = desk.ad_set
    end = (desk.now + timedelta(days=3)).replace(microsecond=0)
    AdSet.everything.filter(pk=row.pk).update(end_time=end)
    row.refresh_from_db()
    later = (end + timedelta(days=1, hours=1)).isoformat()
    change = desk.file(later, field=Field.END_TIME, obj=row)
    assert standing.adds(change, now=desk.now) == 2 * row.daily_budget
    limit(desk, email="vera@example.com", percent=900)
    refused(desk, change)
    limit(desk, email="vera@example.com", currency="USD", amount=2 * row.daily_budget)
    assert approve(desk, change, "vera").state == "APPROVED"


# --- four eyes by amount


def test_what_one_person_asks_for_and_approves_has_an_amount_over_all_objects(desk):
    rules(desk, four_eyes_percent=None, currency="USD", four_eyes_amount=Decimal(25))
    assert approve(desk, desk.file("120")).state == "APPROVED"
    change = desk.file("36", obj=desk.ad_set)
    assert refused(desk, change, "alice").code == "four_eyes"
    assert approve(desk, change, "vera").state == "APPROVED"


def test_an_amount_of_another_currency_asks_for_no_second_person(desk):
    rules(desk, four_eyes_percent=None, currency="EUR", four_eyes_amount=Decimal(0))
    assert approve(desk, desk.file("120")).state == "APPROVED"


@pytest.mark.django_db(transaction=True)
def test_two_of_one_s_own_at_once_do_not_both_pass_the_amount(desk):
    rules(desk, four_eyes_percent=None, currency="USD", four_eyes_amount=Decimal(25))
    second = desk.twin()
    one, two = desk.file("120"), desk.file("120", account=second.ad_account, obj=second)
    results = at_once(lambda: approve(desk, one), lambda: approve(desk, two))
    assert [getattr(one, "code", "") for one in results if isinstance(one, Forbidden)] == ["four_eyes"]
    assert sorted(Change.everything.values_list("state", flat=True)) == ["APPROVED", "PROPOSED"]


# --- who set what


def test_every_limit_and_rule_that_is_set_has_a_line_in_the_ledger(desk):
    import campaigns.changes.ledger as ledger

    rules(desk, four_eyes_percent=20, currency="USD", four_eyes_amount=Decimal(500))
    limit(desk, email="vera@example.com", currency="USD", amount=Decimal(300))
    alice = Caller(desk.agency.users.alice)
    body = {"account_id": desk.account.act_id, "scope": "account", "period": "month", "amount": 9000}
    assert alice.post("/api/envelopes", {**body, "reason": "agreed"}).status_code == 200
    lines = LedgerLine.everything.filter(kind="limit", by="person").order_by("seq")
    said = [(line.field, line.before, line.after, line.actor_id) for line in lines]
    me = str(desk.agency.users.alice.pk)
    assert said == [
        ("four eyes amount USD", "", "500", me),
        ("four eyes percent", "50", "20", me),
        (f"authority of user:{desk.agency.users.vera.pk}", "", "300", me),
        ("account limit, month", "", "9000", me),
    ]
    assert ledger.verify(ad_account_id=desk.account.pk) == []
    answer = alice.get("/api/approval-policy?client=northwind").body
    assert [(one["currency"], Decimal(one["amount"])) for one in answer["four_eyes_amounts"]] == [
        ("USD", 500)
    ]
