"""The brief's reading paths: its field names, exact numbers beside their currency, and nobody else's rows."""

import json
from datetime import date
from decimal import Decimal

import pytest
from django.urls import reverse

from insights.analytics import account_today, preset, table, totals
from insights.api.params import USUAL
from insights.metrics import METRICS, rounded

pytestmark = pytest.mark.django_db
HEADER = {
    "currency",
    "timezone_name",
    "date_start",
    "date_stop",
    "data_version",
    "checked_at",
    "data_as_of",
    "trust",
}


@pytest.fixture
def ask(client):
    def asking(user, path, status=200, **query):
        client.force_login(user)
        answer = client.get(path, query)
        assert answer.status_code == status, answer.content
        return json.loads(answer.content, parse_float=Decimal, parse_int=Decimal) if answer.content else None

    return asking


@pytest.fixture
def world(synced):
    from campaigns.models import Ad, AdSet, Campaign

    account = synced.ad_account
    synced.campaign = Campaign.everything.filter(ad_account=account).order_by("meta_id").first()
    synced.adset = AdSet.everything.filter(campaign=synced.campaign).order_by("meta_id").first()
    synced.ad = Ad.everything.filter(ad_set=synced.adset).order_by("meta_id").first()
    return synced


def paths(world):
    account = world.ad_account.act_id
    return {
        "performance": f"/api/meta/performance/{account}",
        "campaigns": f"/api/meta/campaigns/{account}",
        "realtime": f"/api/meta/realtime/{account}",
        "insights": f"/api/meta/insights/{account}",
        "insights of a campaign": f"/api/meta/insights/{world.campaign.meta_id}",
        "insights of an ad": f"/api/meta/insights/{world.ad.meta_id}",
        "ad sets": f"/api/meta/ad-sets/{world.campaign.meta_id}",
        "ads": f"/api/meta/ads/{world.adset.meta_id}",
    }


def test_alice_bob_and_vic_may_read_and_charlie_sees_what_a_random_id_gives(world, ask):
    for path in paths(world).values():
        for name in ("alice", "bob", "vic"):
            ask(getattr(world.users, name), path)
        theirs = ask(world.users.charlie, path, status=404)
        unknown = ask(world.users.charlie, path.rsplit("/", 1)[0] + "/999999999", status=404)
        for body in (theirs, unknown):
            body.pop("request_id"), body.pop("instance", None)
        assert theirs == unknown


def test_nobody_reads_without_signing_in(world, client):
    for path in paths(world).values():
        assert client.get(path).status_code in (401, 403)


def test_performance_is_what_analytics_says_digit_by_digit(world, ask, clock):
    account = world.ad_account
    body = ask(world.users.bob, paths(world)["performance"], date_preset="last_7d")
    since, until = preset("last_7d", account, clock.now())
    found = totals(account, since=since, until=until, metrics=USUAL, now=clock.now())
    assert body.keys() >= HEADER
    for name in USUAL:
        assert body[name] == rounded(found.values[name]), name
    assert body["trust"] == {"state": "ready", "reasons": []}
    assert (body["date_start"], body["date_stop"]) == (str(since), str(until))
    assert (body["account_id"], body["currency"]) == (account.act_id, account.currency)


def test_money_is_a_json_number_and_not_a_float(world, client):
    client.force_login(world.users.bob)
    text = client.get(paths(world)["performance"]).content.decode()
    raw = json.loads(text, parse_float=str)
    assert isinstance(raw["spend"], str)
    assert "e" not in raw["spend"]
    assert len(raw["spend"].split(".")[1]) <= 2


def test_campaigns_have_the_brief_s_fields_and_every_stored_campaign(world, ask):
    from campaigns.models import Campaign

    body = ask(world.users.bob, paths(world)["campaigns"])
    brief = {
        "id", "name", "status", "objective", "daily_budget", "lifetime_budget", "spend", "impressions", "clicks", "ctr",
        "cpc", "created_time", "updated_time",
    }  # fmt: skip
    assert {row["id"] for row in body["campaigns"]} == set(
        Campaign.everything.filter(ad_account=world.ad_account).values_list("meta_id", flat=True)
    )
    for row in body["campaigns"]:
        assert brief <= row.keys()
    assert (
        sum(row["spend"] for row in body["campaigns"])
        == ask(world.users.bob, paths(world)["performance"])["spend"]
    )


def test_parts_add_up_to_the_whole_down_the_tree(world, ask):
    bob = world.users.bob
    campaign = ask(bob, paths(world)["insights of a campaign"])["insights"][0]
    ad_sets = ask(bob, paths(world)["ad sets"])["ad_sets"]
    assert sum(row["spend"] for row in ad_sets) == campaign["spend"]
    ad_set = next(row for row in ad_sets if row["id"] == world.adset.meta_id)
    ads = ask(bob, paths(world)["ads"])["ads"]
    assert sum(row["spend"] for row in ads) == ad_set["spend"]
    assert all(row["campaign_id"] == world.campaign.meta_id for row in ads)


def test_insights_by_day_and_by_level(world, ask):
    bob = world.users.bob
    path = paths(world)["insights"]
    days = ask(bob, path, time_increment="1")["insights"]
    assert [row["date_start"] for row in days] == sorted(row["date_start"] for row in days)
    assert len(days) == 7
    assert {
        "date_start",
        "date_stop",
        "spend",
        "impressions",
        "clicks",
        "ctr",
        "cpc",
        "cpm",
        "reach",
        "frequency",
    } <= days[0].keys()
    whole = ask(bob, path)["insights"][0]
    assert sum(row["spend"] for row in days) == whole["spend"]
    by_campaign = ask(bob, path, level="campaign")["insights"]
    assert sum(row["impressions"] for row in by_campaign) == whole["impressions"]
    one = ask(bob, paths(world)["insights of a campaign"], level="ad", metrics="spend,inline_link_clicks")[
        "insights"
    ]
    assert all(set(row) == {"id", "level", "date_start", "date_stop", "spend", "link_clicks"} for row in one)


def test_realtime_says_when_it_was_checked_and_when_it_is_checked_next(world, ask, clock):
    from insights.poll import tick

    tick(now=clock.now())
    body = ask(world.users.vic, paths(world)["realtime"])
    assert body["date_start"] == str(account_today(world.ad_account, clock.now()))
    assert body["checked_at"] == clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    assert body["next_check_at"] > body["checked_at"]
    assert set(body["against_yesterday"]) == {"spend", "impressions", "clicks", "link_clicks"}
    assert body["against_yesterday"]["spend"] is not None
    assert body["progress"]["state"] == "done"


@pytest.mark.parametrize(
    "query, word",
    [
        ({"date_preset": "lifetime"}, "last_7d"),
        ({"since": "2026-11-01"}, "until"),
        ({"since": "yesterday", "until": "today"}, "2026-11-18"),
        ({"since": "2026-11-10", "until": "2026-11-01"}, "Swap"),
        ({"since": "2000-11-10", "until": "2026-11-01"}, "37 months"),
        ({"metrics": "engagement"}, "frequency"),
        ({"level": "creative"}, "adset"),
        ({"time_increment": "7"}, "all_days"),
    ],
)
def test_a_wrong_value_is_a_400_that_lists_the_right_ones(world, ask, query, word):
    body = ask(world.users.bob, paths(world)["insights"], status=400, **query)
    assert word in json.dumps(body, default=str)
    assert body["errors"]


def test_a_level_above_the_object_is_refused(world, ask):
    body = ask(world.users.bob, paths(world)["insights of an ad"], status=400, level="campaign")
    assert "ad" in body["detail"] or "ad" in json.dumps(body, default=str)


def test_the_registry_is_served_with_formulas(world, ask):
    body = ask(world.users.vic, reverse("api_metrics"))
    assert {row["name"] for row in body["metrics"]} == set(METRICS)
    assert (
        next(row for row in body["metrics"] if row["name"] == "ctr")["formula"]
        == "clicks / impressions * 100"
    )


def test_the_client_s_chosen_result_changes_conversions(world, ask, clock):
    world.northwind.result_action = "lead"
    world.northwind.save()
    body = ask(world.users.bob, paths(world)["performance"])
    since, until = date.fromisoformat(body["date_start"]), date.fromisoformat(body["date_stop"])
    leads = table(
        world.ad_account, level="account", since=since, until=until, metrics=["leads"], now=clock.now()
    )
    assert body["conversions"] == leads.rows[0].values["leads"]
    assert body["result_label"] == "Leads"


def test_a_period_too_long_for_single_days_is_refused_and_not_cut(ask, synced):
    path = f"/api/meta/insights/{synced.ad_account.act_id}"
    days = {"since": "2026-01-01", "until": "2026-11-01"}
    refused = ask(synced.users.bob, path, 400, **days, time_increment="1")
    assert "at most 92 days" in str(refused["errors"])
    ask(synced.users.bob, path, **days)


def test_profit_is_counted_from_the_client_s_costs_and_shown_to_the_agency_alone(world, ask):
    path = paths(world)["performance"]
    wanted = {"metrics": "profit,profit_margin,conversion_value,spend"}
    assert ask(world.users.bob, path, **wanted)["profit"] is None
    world.northwind.goods_cost_percent, world.northwind.fee_percent = Decimal(40), Decimal(10)
    world.northwind.save()
    body = ask(world.users.bob, path, **wanted)
    assert body["conversion_value"] > 0
    profit = body["conversion_value"] * Decimal("0.6") - body["spend"] * Decimal("1.1")
    assert body["profit"] == rounded(profit)
    assert body["profit_margin"] == rounded(profit * 100 / body["conversion_value"])
    for person in (world.users.vera, world.users.vic, world.users.ivan):
        assert ask(person, path, 403, **wanted)["code"] == "may_not_see_costs"
