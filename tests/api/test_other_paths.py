"""The paths beside the brief's answer as published too: changes, proposals, decisions, strategies, stops, metrics."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.api.callers import Answer
from tests.api.paths import EXECUTE

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(full_house, call, published):
    """told(who, method, template, status, body, **ids) -> body of an answer that is as published."""

    def ask(who, method, template, status, body=None, query="", **ids):
        answer: Answer = call(who).send(method, template.format(**ids) + query, body)
        assert answer.status == status, answer.text
        assert published.wrong(method, template, answer) == []
        if body is not None:
            assert published.wrong_body(method, template, body) == []
        return answer.body

    return ask


def test_what_a_strategy_asked_for_is_described_until_it_is_decided(full_house, told):
    account = full_house.ad_account.act_id
    first = told(
        "bob", "post", EXECUTE, 202, {"accountId": account, "strategyId": str(full_house.strategy.uuid)}
    )
    raised = next(row for row in first["proposals"] if row["action"] == "raise_budget")
    paused = next(row for row in first["proposals"] if row["action"] == "pause")
    assert (raised["before"], raised["target"], paused["target"]) == (100, 120, "PAUSED")
    assert len(told("vera", "get", "/api/proposals", 200)["proposals"]) == 2
    assert told("vera", "get", "/api/decisions", 200, query=f"?account={account}")["count"] == 5
    assert told("vera", "get", "/api/proposals/{uuid}", 200, uuid=raised["id"]) == raised
    told(
        "vera", "post", "/api/proposals/{uuid}/approve", 202, {"digest": raised["digest"]}, uuid=raised["id"]
    )
    told("vera", "post", "/api/proposals/{uuid}/reject", 200, {"reason": "Not now"}, uuid=paused["id"])
    told("vera", "post", "/api/proposals/{uuid}/reject", 409, {"reason": "Not now"}, uuid=paused["id"])
    listed = told("vic", "get", "/api/changes", 200)["changes"]
    assert {row["state"] for row in listed} == {"APPROVED", "REJECTED"}
    for row in listed:
        assert told("vic", "get", "/api/changes/{uuid}", 200, uuid=row["id"])["lines"]


def test_a_dry_run_and_a_draft_are_described_like_the_real_thing(full_house, told):
    from strategies import drafts

    account = full_house.ad_account.act_id
    draft = drafts.regenerate(ad_account=full_house.ad_account, now=full_house.clock.now())[0]
    listed = told("vic", "get", "/api/meta/strategies/{account_id}", 200, account_id=account)
    assert str(draft.uuid) in [row["id"] for row in listed["drafts"]]
    for ref in ({"draftId": str(draft.uuid)}, {"strategyId": str(full_house.strategy.uuid)}):
        dry = told("bob", "post", EXECUTE, 200, {"accountId": account, **ref, "dryRun": True})
        assert dry["decisions"] and dry["changes"] == []
    assert [(row["action"], row["target"]) for row in dry["proposals"]] == [
        ("pause", "PAUSED"),
        ("raise_budget", 120),
    ]


def test_a_change_is_described_through_approval_and_rejection(full_house, told):
    campaign = full_house.campaign.meta_id
    budget = "/api/meta/campaigns/{campaign_id}/budget"
    asked = told("bob", "post", budget, 202, {"daily_budget": 120}, campaign_id=campaign)
    assert asked["state"] == "PROPOSED"
    change = {"uuid": asked["id"]}
    told("vera", "post", "/api/changes/{uuid}/approve", 409, {"digest": "0" * 64}, **change)
    told("bob", "post", "/api/changes/{uuid}/approve", 403, {"digest": asked["digest"]}, **change)
    told("vera", "post", "/api/changes/{uuid}/approve", 200, {"digest": asked["digest"]}, **change)
    again = told("bob", "post", budget, 202, {"daily_budget": 125}, campaign_id=campaign)
    told("vera", "post", "/api/changes/{uuid}/reject", 200, {"reason": "Too dear"}, uuid=again["id"])
    told("bob", "post", "/api/changes/{uuid}/undo", 409, uuid=again["id"])
    page = told("vic", "get", "/api/changes", 200, query="?limit=1")
    assert page["changes"][0]["id"] == again["id"]
    assert told("vic", "get", "/api/changes", 200, query=f"?after={page['next']}")["next"] is None
    told("vic", "get", "/api/changes", 400, query="?state=glory")
    told("vic", "get", "/api/changes", 400, query="?limit=0")


def test_stops_holds_strategies_accounts_and_metrics_are_described(full_house, told):
    account = full_house.ad_account.act_id
    stop = {"scope": "ad_account", "account_id": account, "reason": "Sale is over"}
    told("bob", "post", "/api/stop", 200, stop)
    assert told("vic", "get", "/api/stop", 200)["stops"][0]["account_id"] == account
    told("alice", "post", "/api/stop", 400, {**stop, "scope": "client"})
    assert told("alice", "post", "/api/release", 200, stop)["released"] is True
    assert told("vic", "get", "/api/holds", 200) == {"holds": []}
    new = {
        "accountId": account,
        "name": "By hand",
        "type": "performance_optimization",
        "rules": {"minCtr": 0.8},
    }
    saved = told("bob", "post", "/api/strategies", 201, new)
    assert saved["rules"] == {"minCtr": Decimal("0.8")}
    assert len(told("vic", "get", "/api/strategies", 200)["strategies"]) == 2
    assert told("vic", "get", "/api/strategies/{uuid}", 200, uuid=saved["id"]) == saved
    told("bob", "post", "/api/strategies", 400, {**new, "rules": {"minCtr": -1}})
    edit = {"status": "paused", "rules": {"maxCpc": 1.5, "targetCpm": None}}
    edited = told("bob", "patch", "/api/strategies/{uuid}", 200, edit, uuid=full_house.strategy.uuid)
    assert edited["status"] == "paused" and edited["rules"]["maxCpc"] == Decimal("1.5")
    assert "targetCpm" not in edited["rules"]
    told("alice", "post", "/api/meta/ad-accounts/{account_id}/disable", 200, account_id=account)
    told("alice", "post", "/api/meta/ad-accounts/{account_id}/enable", 200, account_id=account)
    for verb, status in (("archive", 200), ("enable", 409), ("restore", 200), ("enable", 200)):
        told("alice", "post", f"/api/meta/ad-accounts/{{account_id}}/{verb}", status, account_id=account)
    told("bob", "post", "/api/meta/ad-accounts/{account_id}/archive", 403, account_id=account)
    found = told("alice", "post", "/api/meta/ad-accounts/discover", 200, query="?client=northwind")
    assert [row["id"] for row in found["ad_accounts"]] == [account]
    assert told("vic", "get", "/api/metrics", 200)["metrics"]


def test_parts_are_described_before_and_after_they_are_read(full_house, told):
    from insights.models import FetchRun
    from insights.tasks import go_on_fetching

    path = "/api/meta/insights/{object_id}"
    asked = {
        "query": "?breakdowns=publisher_platform,platform_position",
        "object_id": full_house.campaign.meta_id,
    }
    first = told("vic", "get", path, 202, **asked)
    assert (first["insights"], first["reading"]["state"]) == ([], "waiting")
    go_on_fetching(FetchRun.objects.of(full_house.ad_account).get(kind="parts").pk)
    then = told("vic", "get", path, 200, **asked)
    assert then["reading"] is None and then["breakdowns"] == ["publisher_platform", "platform_position"]
    assert {"publisher_platform", "platform_position", "spend"} <= then["insights"][0].keys()


def test_more_history_is_described(full_house, told):
    account = full_house.ad_account.act_id
    body = told("bob", "post", "/api/meta/history/{account_id}", 202, {"days": 60}, account_id=account)
    assert (body["account_id"], body["days"], body["progress"]["state"]) == (account, 60, "waiting")
