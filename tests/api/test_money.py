"""Money is a JSON number in major units beside its currency; the yen has no smaller unit."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

import tests.api.goldens as goldens
from accounts.models import AdAccount
from campaigns.models import Campaign
from metaads.gateway import plugged
from metaads.sandbox.app import Sandbox
from tests.door import WSGIAdapter

pytestmark = pytest.mark.django_db

MONEY = re.compile(r'"(spend|daily_budget|lifetime_budget|conversion_value|bid_amount)":([^,}]+)')


@pytest.fixture
def tokyo(agency, clock):
    """Northwind connected to the demo world's shop in Tokyo, with three days of figures."""
    from accounts.ad_accounts import enable
    from accounts.connections import connect
    from campaigns.sync import run
    from insights.fetch import first_sync

    now = clock.now()
    box = Sandbox(world="demo", seed=7, clock=clock)
    with plugged(WSGIAdapter(box)):
        connect(
            client=agency.northwind,
            principal=agency.principals.alice,
            token=box.token("alice"),
            now=now,
            user=agency.users.alice,
        )
        account = AdAccount.objects.of(agency.northwind).get(currency="JPY")
        enable(ad_account=account, principal=agency.principals.alice, now=now)
        account.refresh_from_db()
        run(ad_account=account, now=now)
        first_sync(ad_account=account, days=3, now=now)
        yield account


def test_yen_are_whole_numbers_that_equal_the_sandbox_s_own(tokyo, call):
    bob = call("bob")
    days = "since=2026-11-17&until=2026-11-18"
    for path in ("performance", "campaigns"):
        answer = bob.get(f"/api/meta/{path}/{tokyo.act_id}?{days}")
        assert answer.body["currency"] == "JPY"
        found = [(name, text) for name, text in MONEY.findall(answer.text) if text != "null"]
        assert {"spend"} <= {name for name, _ in found}
        assert all(re.fullmatch(r"\d+", text) for _, text in found), found
    budgets = {row["name"]: row["daily_budget"] for row in answer.body["campaigns"]}
    assert budgets == {"Notebooks - Sales": 12_000, "Planner - Sales": None}
    total = bob.get(f"/api/meta/performance/{tokyo.act_id}?{days}").body["spend"]
    assert total == sum(row["spend"] for row in answer.body["campaigns"]) > 1_000


def test_a_budget_in_yen_is_taken_in_yen(tokyo, call):
    campaign = Campaign.everything.get(name="Notebooks - Sales")
    path = f"/api/meta/campaigns/{campaign.meta_id}/budget"
    refused = call("bob").post(path, '{"daily_budget": 9000.5}')
    assert (refused.status, refused.body["code"]) == (400, "not_whole_minor_unit")
    taken = call("bob").post(path, '{"daily_budget": 9000}')
    assert taken.status == 202
    assert '"before":12000,"target":9000,"currency":"JPY"' in taken.text


def test_cents_are_exact_and_no_number_is_a_text(full_house, call):
    answer = call("bob").get(f"/api/meta/performance/{full_house.ad_account.act_id}")
    assert answer.body["currency"] == "USD"
    assert isinstance(answer.body["spend"], Decimal)
    assert re.search(r'"spend":\d+\.\d{1,2},', answer.text)
    campaigns = call("bob").get(f"/api/meta/campaigns/{full_house.ad_account.act_id}").body["campaigns"]
    assert sum(row["spend"] for row in campaigns) == answer.body["spend"]


def test_a_budget_goes_in_and_out_without_losing_a_digit(house, call):
    path = f"/api/meta/campaigns/{house.campaign.meta_id}/budget"
    answer = call("bob").post(path, '{"daily_budget": 99.10}')
    assert answer.status == 202 and '"target":99.10,' in answer.text


def test_no_amount_of_any_golden_answer_is_a_text():
    """A figure in quotes loses its digits in a spreadsheet; only rules that show their working hold such texts."""

    def texts(value, at=""):
        if isinstance(value, dict):
            for key, one in value.items():
                yield from texts(one, key)
        elif isinstance(value, list):
            for one in value:
                yield from texts(one, at)
        elif type(value) is str and re.fullmatch(r"-?\d+(\.\d+)?", value):
            yield at

    # Of a decision's tree, and of the evidence of its conditions.
    shown = {"left", "right", "e", "spent", "expected", "seen", "more_spend"}
    names = {"id", "object_id", "campaign_id", "adset_id", "creative_id", "meta_user_id"}
    for file in goldens.FOLDER.rglob("*.json"):
        body = goldens.read(file.read_text())["response"]["body"]
        assert set(texts(body)) <= shown | names, file.name
