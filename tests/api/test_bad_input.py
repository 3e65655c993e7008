"""A request that must be mended says what is wrong, where, and what would be right; nothing is filed."""

from __future__ import annotations

import pytest

from campaigns.models import Change
from strategies.models import Decision
from tests.api.paths import EXECUTE, NO_UUID

pytestmark = pytest.mark.django_db

PERIODS = ("performance/{account_id}", "campaigns/{account_id}", "insights/{object_id}", "ad-sets/{campaign_id}",
           "ads/{adset_id}")  # fmt: skip


@pytest.fixture
def asked(house):
    """A path with the ids of the house in it."""
    ids = {
        "account_id": house.ad_account.act_id,
        "object_id": house.campaign.meta_id,
        "campaign_id": house.campaign.meta_id,
        "adset_id": house.ad_set.meta_id,
    }
    return lambda template: f"/api/meta/{template.format(**ids)}"


def refused(answer, published, method, template, *, field, says):
    """A 400 as published, with one entry that names the field and says each of `says`."""
    assert (answer.status, answer.kind) == (400, "application/problem+json"), answer.text
    assert published.wrong(method, template, answer) == []
    (error,) = answer.body["errors"]
    assert error["field"] == field
    for text in says:
        assert text in error["message"], error


@pytest.mark.parametrize("template", PERIODS)
@pytest.mark.parametrize(
    "query, field, says",
    [
        ("date_preset=foo", "date_preset", ("'foo'", "last_7d", "last_30d", "this_month")),
        ("since=2026-11-18&until=2026-11-01", "since", ("after until",)),
        ("since=2026-11-18", "since", ("both",)),
        ("since=18.11.2026&until=2026-11-18", "since", ("2026-11-18",)),
        ("since=2026-11-01&until=2026-02-30", "until", ("not a date",)),
        ("since=2020-01-01&until=2026-11-18", "since", ("at most",)),
        ("metrics=spend,glory", "metrics", ("glory", "impressions", "roas")),
    ],
)
def test_a_wrong_period_or_metric_lists_the_right_ones(
    house, call, published, asked, template, query, field, says
):
    answer = call("bob").get(f"{asked(template)}?{query}")
    refused(answer, published, "get", f"/api/meta/{template}", field=field, says=says)


@pytest.mark.parametrize(
    "query, field, says",
    [
        ("level=x", "level", ("campaign", "adset", "ad")),
        ("level=account", "level", ("campaign", "adset", "ad")),
        ("time_increment=7", "time_increment", ("all_days", "1")),
    ],
)
def test_a_wrong_level_or_step_lists_the_right_ones(house, call, published, asked, query, field, says):
    answer = call("bob").get(f"{asked('insights/{object_id}')}?{query}")
    refused(answer, published, "get", "/api/meta/insights/{object_id}", field=field, says=says)


@pytest.mark.parametrize(
    "write, body, field, says",
    [
        ("status", '{"status": "DELETED"}', "status", ("ACTIVE", "PAUSED")),
        ("status", '{"status": "paused"}', "status", ("ACTIVE", "PAUSED")),
        ("status", '{"status": null}', "status", ("null",)),
        ("status", "{}", "status", ("required",)),
        ("status", '["PAUSED"]', "", ("dictionary",)),
        ("budget", '{"daily_budget": -1}', "daily_budget", ("more than 0",)),
        ("budget", '{"daily_budget": 0}', "daily_budget", ("more than 0",)),
        ("budget", '{"daily_budget": 10.001}', "daily_budget", ("whole number of 0.01",)),
        ("budget", '{"daily_budget": 10.0000001}', "daily_budget", ("decimal places",)),
        ("budget", '{"daily_budget": 1e400}', "daily_budget", ("digits",)),
        ("budget", '{"daily_budget": "12"}', "daily_budget", ("number",)),
        ("budget", '{"daily_budget": "NaN"}', "daily_budget", ("number",)),
        ("budget", '{"daily_budget": true}', "daily_budget", ("number",)),
        ("budget", '{"daily_budget": null}', "daily_budget", ("null",)),
        ("budget", '{"daily_budget": [12]}', "daily_budget", ("number",)),
        ("budget", '{"daily_budget": 12, "lifetime_budget": 500}', "", ("daily_budget", "lifetime_budget")),
        ("budget", "{}", "", ("daily_budget", "lifetime_budget")),
        ("budget", '{"daily_budget": 12, "confirm_large_step": "maybe"}', "confirm_large_step", ("boolean",)),
    ],
)
def test_a_wrong_change_names_its_field_and_files_nothing(
    house, call, published, asked, write, body, field, says
):
    template = f"campaigns/{{campaign_id}}/{write}"
    answer = call("bob").post(asked(template), body)
    refused(answer, published, "post", f"/api/meta/{template}", field=field, says=says)
    assert not Change.everything.exists()


@pytest.mark.parametrize("body", ['{"daily_budget": NaN}', '{"daily_budget": Infinity}', "{", "", "\ufeff{}"])
def test_what_is_no_json_is_a_400_and_files_nothing(house, call, published, asked, body):
    answer = call("bob").post(asked("campaigns/{campaign_id}/budget"), body)
    assert answer.status == 400
    assert published.wrong("post", "/api/meta/campaigns/{campaign_id}/budget", answer) == []
    assert not Change.everything.exists()


@pytest.mark.parametrize(
    "change, field",
    [
        ({"strategyId": None}, "strategyId"),
        ({"strategyId": 7}, "strategyId"),
        ({"draftId": NO_UUID}, "strategyId"),
        ({"accountId": 7}, "accountId"),
        ({"dryRun": "yes"}, "dryRun"),
    ],
)
def test_a_wrong_execution_names_its_field_and_evaluates_nothing(house, call, published, change, field):
    body = {"accountId": house.ad_account.act_id, "strategyId": str(house.strategy.uuid), **change}
    answer = call("bob").post(EXECUTE, body)
    refused(answer, published, "post", EXECUTE, field=field, says=())
    assert not Decision.everything.exists()


@pytest.mark.parametrize("name", ["disconnect", "refresh"])
@pytest.mark.parametrize("body", [{}, {"connection_id": "x"}, {"connection_id": None}])
def test_a_wrong_connection_id_is_named(house, call, published, name, body):
    at = f"/api/meta-oauth/{name}"
    refused(call("alice").post(at, body), published, "post", at, field="connection_id", says=())


OF_CLIENT = ("/api/meta/validate-token", "/api/meta/user-info", "/api/meta-oauth/authorize-url")


@pytest.mark.parametrize("at", OF_CLIENT)
def test_with_several_clients_the_client_must_be_named_and_the_answer_names_them(house, call, published, at):
    alice = call("alice")
    refused(alice.get(at), published, "get", at, field="client", says=("northwind", "southwind"))
    for ref in ("northwind", house.northwind.uuid):
        answer = alice.get(f"{at}?client={ref}")
        assert answer.status == 200
    unknown = alice.get(f"{at}?client=nowhere")
    assert (unknown.status, unknown.body["code"]) == (404, "not_found")


@pytest.mark.parametrize("at", OF_CLIENT[:2])
def test_with_one_client_it_need_not_be_named(house, call, at):
    bob = call("bob")
    assert bob.get(at).body == bob.get(f"{at}?client=northwind").body
    assert bob.get(at).status == 200


def test_ad_accounts_are_those_of_every_client_or_of_the_named_one(house, call):
    def ids(who: str, query: str = "") -> list[str]:
        return [row["id"] for row in call(who).get(f"/api/meta/ad-accounts{query}").body["ad_accounts"]]

    own = [house.ad_account.act_id]
    assert ids("alice") == ids("alice", "?client=northwind") == ids("bob") == own
    assert ids("alice", "?client=southwind") == ids("charlie") == []
