"""The judge: Meta's official SDK, unchanged, drives the sandbox (its session is mounted on the sandbox in process)."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest
from facebook_business.adobjects.ad import Ad
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.adreportrun import AdReportRun
from facebook_business.adobjects.adset import AdSet
from facebook_business.adobjects.adsinsights import AdsInsights
from facebook_business.adobjects.campaign import Campaign
from facebook_business.adobjects.user import User
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError

from metaads.sandbox.app import Sandbox
from metaads.sandbox.clock import ManualClock
from tests.door import WSGIAdapter

ACCOUNT = "act_1910000000000011"
START = dt.datetime(2026, 11, 18, 20, 7, tzinfo=dt.UTC)


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(world="tiny", clock=ManualClock(START))


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[FacebookAdsApi]:
    made = FacebookAdsApi.init(
        app_id=sandbox.app_id,
        app_secret=sandbox.app_secret,
        access_token=sandbox.token(),
        crash_log=False,
        api_version="v26.0",
    )
    made._session.requests.mount("https://graph.facebook.com", WSGIAdapter(sandbox))
    yield made
    FacebookAdsApi.set_default_api(None)


def campaign_of(account: AdAccount, *, cbo: bool) -> Campaign:
    """The tiny world's campaign with, or without, a budget of its own."""
    for campaign in account.get_campaigns(fields=["name", "daily_budget"]):
        if ("daily_budget" in campaign) == cbo:
            return campaign
    raise AssertionError("no such campaign")


def test_me_lists_the_ad_accounts_with_a_total(api: FacebookAdsApi) -> None:
    cursor = User("me").get_ad_accounts(
        fields=["id", "name", "account_status", "min_daily_budget", "amount_spent"]
    )
    accounts = list(cursor)
    assert [account["id"] for account in accounts] == [ACCOUNT]
    assert cursor.total() == 1
    assert isinstance(accounts[0]["account_status"], int)
    assert isinstance(accounts[0]["min_daily_budget"], int)
    assert isinstance(accounts[0]["amount_spent"], str)


def test_an_account_reads_with_a_trailing_slash(api: FacebookAdsApi) -> None:
    account = AdAccount(ACCOUNT).api_get(fields=["name", "currency", "timezone_name"])
    assert (account["currency"], account["timezone_name"]) == ("USD", "America/New_York")


def test_pages_are_followed_to_the_last(api: FacebookAdsApi) -> None:
    cursor = AdAccount(ACCOUNT).get_ads(fields=["name", "creative"], params={"limit": 2})
    ads = list(cursor)
    assert len(ads) == cursor.total() == 5
    assert len({ad["id"] for ad in ads}) == 5
    assert all(ad["creative"]["id"] for ad in ads)


def test_edges_filter_by_status_and_by_parent(api: FacebookAdsApi) -> None:
    account = AdAccount(ACCOUNT)
    campaign = campaign_of(account, cbo=True)
    by_filter = account.get_ad_sets(
        fields=["name"],
        params={"filtering": [{"field": "campaign.id", "operator": "IN", "value": [campaign["id"]]}]},
    )
    by_edge = campaign.get_ad_sets(fields=["name"], params={"effective_status": ["ACTIVE", "PAUSED"]})
    assert {one["id"] for one in by_filter} == {one["id"] for one in by_edge} != set()


def test_synchronous_insights_come_as_typed_rows(api: FacebookAdsApi) -> None:
    rows = list(
        AdAccount(ACCOUNT).get_insights(
            fields=["campaign_id", "spend", "impressions", "actions", "purchase_roas"],
            params={"level": "campaign", "date_preset": "last_7d", "time_increment": 1, "limit": 3},
        )
    )
    assert len(rows) == 14
    assert all(isinstance(row, AdsInsights) for row in rows)
    assert {row["date_start"] for row in rows} == {f"2026-11-{day}" for day in range(11, 18)}
    assert all(isinstance(row["spend"], str) for row in rows)


def test_breakdowns_and_summary(api: FacebookAdsApi) -> None:
    cursor = AdAccount(ACCOUNT).get_insights(
        fields=["spend", "impressions"],
        params={"breakdowns": ["age", "gender"], "default_summary": True, "date_preset": "last_7d"},
    )
    rows = list(cursor)
    summary = json.loads(cursor.summary().removeprefix("<Summary> "))
    assert {row["gender"] for row in rows} == {"female", "male", "unknown"}
    assert int(summary["impressions"]) == sum(int(row["impressions"]) for row in rows)


def test_asynchronous_insights_run_complete_and_page(api: FacebookAdsApi, sandbox: Sandbox) -> None:
    run = AdAccount(ACCOUNT).get_insights(
        fields=["ad_id", "spend"], params={"level": "ad", "date_preset": "last_7d"}, is_async=True
    )
    assert isinstance(run, AdReportRun)
    with pytest.raises(FacebookRequestError) as refused:
        run.api_get()
    assert (refused.value.api_error_code(), refused.value.api_error_subcode()) == (100, 33)
    seen = []
    for _ in range(6):
        sandbox.clock.advance(1)
        run.api_get()
        seen.append((run[AdReportRun.Field.async_status], run[AdReportRun.Field.async_percent_completion]))
    assert seen[-1] == ("Job Completed", 100)
    assert seen[0][0] in ("Job Not Started", "Job Running")
    assert len(list(run.get_insights(params={"limit": 2}))) == 5


def test_a_failed_run_says_why(api: FacebookAdsApi, sandbox: Sandbox) -> None:
    sandbox.faults.arm("run_failed")
    run = AdAccount(ACCOUNT).get_insights(fields=["spend"], params={}, is_async=True)
    sandbox.clock.advance(60)
    run.api_get()
    assert run["async_status"] == "Job Failed"
    assert run["error_code"] == -2


def test_an_update_is_read_back(api: FacebookAdsApi) -> None:
    campaign = campaign_of(AdAccount(ACCOUNT), cbo=True)
    Campaign(campaign["id"]).api_update(params={"status": "PAUSED"})
    assert Campaign(campaign["id"]).api_get(fields=["status"])["status"] == "PAUSED"
    adset = campaign.get_ad_sets(fields=["status", "effective_status"])[0]
    assert (adset["status"], adset["effective_status"]) == ("ACTIVE", "CAMPAIGN_PAUSED")


def test_budgets_are_whole_numbers_in_and_texts_out(api: FacebookAdsApi) -> None:
    campaign = campaign_of(AdAccount(ACCOUNT), cbo=False)
    adset = campaign.get_ad_sets(fields=["daily_budget"])[0]
    AdSet(adset["id"]).api_update(
        params={
            "daily_budget": 2500,
            "bid_amount": 150,
            "bid_strategy": AdSet.BidStrategy.lowest_cost_with_bid_cap,
            "targeting": {"geo_locations": {"countries": ["US"]}},
        }
    )
    read = AdSet(adset["id"]).api_get(fields=["daily_budget", "bid_amount", "bid_strategy", "targeting"])
    assert (read["daily_budget"], read["bid_amount"]) == ("2500", 150)
    assert read["targeting"]["geo_locations"]["countries"] == ["US"]


def test_refusals_carry_code_subcode_and_the_field_to_blame(api: FacebookAdsApi) -> None:
    campaign = campaign_of(AdAccount(ACCOUNT), cbo=True)
    adset = campaign.get_ad_sets(fields=["id"])[0]
    with pytest.raises(FacebookRequestError) as refused:
        AdSet(adset["id"]).api_update(params={"daily_budget": 2500})
    error = refused.value
    assert (error.http_status(), error.api_error_code(), error.api_error_subcode()) == (400, 100, 1885621)
    assert error.api_blame_field_specs() == [["daily_budget"]]
    assert error.body()["error"]["fbtrace_id"]


def test_throttles_are_transient_with_their_subcode(api: FacebookAdsApi, sandbox: Sandbox) -> None:
    sandbox.faults.arm("throttle", code=80004)
    with pytest.raises(FacebookRequestError) as refused:
        AdAccount(ACCOUNT).api_get(fields=["name"])
    assert refused.value.api_transient_error() is True
    assert (refused.value.api_error_code(), refused.value.api_error_subcode()) == (80004, 2446079)


def test_a_deleted_campaign_reads_but_does_not_change(api: FacebookAdsApi) -> None:
    campaign = campaign_of(AdAccount(ACCOUNT), cbo=True)
    Campaign(campaign["id"]).api_delete()
    assert Campaign(campaign["id"]).api_get(fields=["effective_status"])["effective_status"] == "DELETED"
    with pytest.raises(FacebookRequestError) as refused:
        Campaign(campaign["id"]).api_update(params={"daily_budget": 5000})
    assert refused.value.api_error_subcode() == 1487566
    assert campaign["id"] not in {one["id"] for one in AdAccount(ACCOUNT).get_campaigns()}


def test_a_batch_answers_each_item_with_its_own_headers(api: FacebookAdsApi) -> None:
    good: list[Any] = []
    bad: list[Any] = []
    batch = api.new_batch()
    for campaign in AdAccount(ACCOUNT).get_campaigns():
        campaign.api_get(fields=["name"], batch=batch, success=good.append, failure=bad.append)
        campaign.api_update(params={"status": "PAUSED"}, batch=batch, success=good.append, failure=bad.append)
    Campaign("999").api_get(fields=["name"], batch=batch, success=good.append, failure=bad.append)
    assert batch.execute() is None
    assert len(good) == 4
    assert bad[0].error().api_error_subcode() == 33
    assert any(header["name"] == "X-Business-Use-Case-Usage" for header in good[0].headers())


def test_null_items_come_back_as_a_batch_to_repeat(api: FacebookAdsApi, sandbox: Sandbox) -> None:
    sandbox.faults.arm("null_batch")
    good: list[Any] = []
    batch = api.new_batch()
    campaigns = list(AdAccount(ACCOUNT).get_campaigns())
    for campaign in campaigns:
        campaign.api_get(fields=["name"], batch=batch, success=good.append)
    again = batch.execute()
    assert len(good) == 1
    assert again is not None
    assert again.execute() is None
    assert len(good) == len(campaigns)


def test_a_campaign_is_made_and_copied_with_its_children(api: FacebookAdsApi) -> None:
    account = AdAccount(ACCOUNT)
    made = account.create_campaign(
        params={
            "name": "Spring",
            "objective": "OUTCOME_SALES",
            "status": "PAUSED",
            "special_ad_categories": [],
            "daily_budget": 5000,
        }
    )
    assert Campaign(made["id"]).api_get(fields=["name", "daily_budget"])["daily_budget"] == "5000"
    source = campaign_of(account, cbo=True)
    copy = Campaign(source["id"]).create_copy(params={"deep_copy": True, "status_option": "PAUSED"})
    copied = Campaign(copy["copied_campaign_id"])
    assert copied.api_get(fields=["name"])["name"].endswith(" - Copy")
    assert len(list(copied.get_ads())) == len(list(Campaign(source["id"]).get_ads())) == 3


def test_activities_name_the_actor_and_the_app(api: FacebookAdsApi, sandbox: Sandbox) -> None:
    campaign = campaign_of(AdAccount(ACCOUNT), cbo=True)
    Campaign(campaign["id"]).api_update(params={"daily_budget": 12_000})
    rows = list(
        AdAccount(ACCOUNT).get_activities(
            fields=["event_type", "object_id", "application_id", "extra_data", "actor_name"]
        )
    )
    assert rows[0]["event_type"] == "update_campaign_budget"
    assert rows[0]["application_id"] == sandbox.app_id
    assert json.loads(rows[0]["extra_data"])["new_value"] == 12_000


def test_estimates_budgets_and_volume(api: FacebookAdsApi) -> None:
    account = AdAccount(ACCOUNT)
    spec = {"geo_locations": {"countries": ["US"]}, "age_min": 25, "age_max": 44}
    estimate = account.get_delivery_estimate(params={"optimization_goal": "REACH", "targeting_spec": spec})[0]
    assert estimate["estimate_ready"] is True
    assert estimate["estimate_mau_lower_bound"] < estimate["estimate_mau_upper_bound"]
    assert account.get_reach_estimate(params={"targeting_spec": spec})[0]["users_upper_bound"] > 0
    assert account.get_minimum_budgets()[0]["min_daily_budget_imp"] == 100
    assert account.get_ads_volume()[0]["ads_running_or_in_review_count"] == 5


def test_permissions_are_listed_and_revoked_one_by_one(api: FacebookAdsApi) -> None:
    before = {row["permission"]: row["status"] for row in User("me").get_permissions()}
    assert before["ads_management"] == "granted"
    User("me").delete_permissions(params={"permission": "ads_management"})
    assert {row["permission"]: row["status"] for row in User("me").get_permissions()}[
        "ads_management"
    ] == "declined"
    with pytest.raises(FacebookRequestError) as refused:
        Ad(next(iter(AdAccount(ACCOUNT).get_ads()))["id"]).api_update(params={"status": "PAUSED"})
    assert refused.value.api_error_code() == 200


def test_the_dead_multi_get_and_unknown_fields_are_refused(api: FacebookAdsApi) -> None:
    ids = [campaign["id"] for campaign in AdAccount(ACCOUNT).get_campaigns()]
    with pytest.raises(FacebookRequestError) as refused:
        Campaign.get_by_ids(ids, fields=["name"])
    assert refused.value.api_error_code() == 100
    with pytest.raises(FacebookRequestError, match="nonexisting field"):
        Campaign(ids[0]).api_get(fields=["name", "no_such_field"])


def test_an_expired_token_is_an_oauth_error(api: FacebookAdsApi, sandbox: Sandbox) -> None:
    sandbox.clock.advance(61 * 86_400)
    with pytest.raises(FacebookRequestError) as refused:
        AdAccount(ACCOUNT).api_get(fields=["name"])
    error = refused.value
    assert (error.api_error_code(), error.api_error_subcode(), error.api_error_type()) == (
        190,
        463,
        "OAuthException",
    )
