"""The API paths of strategies, proposals and decisions: shapes, tenancy, dry runs, repeats."""

from __future__ import annotations

import json
from decimal import Decimal
from uuid import uuid4

import pytest
from django.test import Client as Browser

from campaigns.models import Change
from strategies import drafts, tasks
from strategies.models import Decision, Draft, Proposal, Strategy
from tests.strategies.conftest import ALL_ON, RULES

pytestmark = pytest.mark.django_db

NEW = {
    "accountId": "act_1",
    "name": "By API",
    "type": "performance_optimization",
    "rules": {"minCtr": 0.8, "maxCpc": 1.25},
    "actions": {"adjustBidding": False},
}


@pytest.fixture
def ask(shop):
    """ask("bob", "post", path, body) -> (status, body); numbers come back as Decimals."""

    def send(who, method, path, body=None, **headers):
        browser = Browser()
        browser.force_login(getattr(shop.users, who))
        extra = {"content_type": "application/json"} if method != "get" else {}
        data = {} if body is None else {"data": json.dumps(body)}
        answer = getattr(browser, method)(path, **data, **extra, headers=headers)
        return answer.status_code, json.loads(answer.content, parse_float=Decimal)

    return send


def test_a_strategy_has_exactly_the_briefs_fields_and_names(shop, strategy, ask):
    status, body = ask("vic", "get", "/api/meta/strategies/act_1")
    assert status == 200
    (row,) = body["strategies"]
    assert row["id"] == str(strategy.uuid)
    assert row["accountId"] == "act_1"
    assert (row["name"], row["type"], row["status"]) == ("House rules", "budget_optimization", "active")
    assert row["rules"] == {
        "minCtr": Decimal("0.80"),
        "maxCpc": Decimal("1.00"),
        "targetCpm": 10,
        "budgetThreshold": 100,
    }
    assert row["actions"] == ALL_ON
    assert row["createdAt"] == row["updatedAt"] == "2026-11-18T15:00:00Z"
    assert row["readBack"][0].startswith("Pause when CTR is below 0.80 % or CPC is above USD 1.00")
    assert body["drafts"] == []


def test_the_account_may_be_named_with_or_without_its_prefix(shop, strategy, ask):
    assert ask("bob", "get", "/api/meta/strategies/1") == ask("bob", "get", "/api/meta/strategies/act_1")


def test_a_get_never_computes_and_refresh_starts_a_job(shop, ask, strategy):
    _, body = ask("bob", "get", "/api/meta/strategies/act_1")
    assert body["refreshing"] is False
    status, body = ask("bob", "get", "/api/meta/strategies/act_1?refresh=1")
    assert (status, body["refreshing"]) == (200, True)
    assert not Draft.objects.of(shop.northwind).exists()  # the job does it, not the request
    assert ask("vic", "get", "/api/meta/strategies/act_1?refresh=1")[0] == 403


def test_the_latest_drafts_are_answered_with_their_evidence(shop, ask):
    drafts.regenerate(ad_account=shop.ad_account, now=shop.clock.now())
    _, body = ask("bob", "get", "/api/meta/strategies/act_1")
    assert len(body["drafts"]) == 3
    for row in body["drafts"]:
        assert row["evidence"]
        assert row["readBack"]
        assert row["strategyId"] is None


def test_executing_gives_decisions_proposals_and_changes_that_wait(shop, strategy, ask):
    asked = {"accountId": "act_1", "strategyId": str(strategy.uuid)}
    status, body = ask("bob", "post", "/api/meta/strategies/execute", asked)
    assert status == 202
    assert (body["dryRun"], body["stage"], body["strategyId"]) == (False, "approval", str(strategy.uuid))
    assert {row["object_id"]: row["verdict"] for row in body["decisions"]} == {
        "10": "excluded",
        "21": "fired",
        "22": "fired",
        "23": "unknown",
        "24": "unknown",
    }
    assert {row["object_id"]: row["target"] for row in body["proposals"]} == {"21": 60, "22": "PAUSED"}
    assert {row["state"] for row in body["changes"]} == {"PROPOSED"}
    assert {row["url"] for row in body["changes"]} == {
        f"/api/changes/{row.uuid}" for row in Change.objects.of(shop.northwind)
    }


@pytest.mark.fault("N13")
def test_a_dry_run_answers_the_same_and_writes_nothing(shop, strategy, ask):
    asked = {"accountId": "act_1", "strategyId": str(strategy.uuid)}
    status, dry = ask("bob", "post", "/api/meta/strategies/execute", {**asked, "dryRun": True})
    assert status == 200
    for model in (Decision, Proposal, Change):
        assert not model.objects.of(shop.northwind).exists()
    assert dry["changes"] == []
    _, live = ask("bob", "post", "/api/meta/strategies/execute", asked)
    same = ("object_id", "verdict", "reason_code", "reason", "cases", "data_version", "trust")
    assert [[row[key] for key in same] for row in dry["decisions"]] == [
        [row[key] for key in same] for row in live["decisions"]
    ]
    said = ("object_id", "action", "before", "target", "sentence", "effect")
    assert [[row[key] for key in said] for row in dry["proposals"]] == [
        [row[key] for key in said] for row in live["proposals"]
    ]
    assert set(dry["proposals"][0]) == set(live["proposals"][0])
    assert set(dry["decisions"][0]) == set(live["decisions"][0])


def test_a_draft_may_be_tried_dry_and_is_saved_when_executed(shop, ask):
    row = drafts.regenerate(ad_account=shop.ad_account, now=shop.clock.now())[0]
    asked = {"accountId": "act_1", "draftId": str(row.uuid)}
    status, body = ask("bob", "post", "/api/meta/strategies/execute", {**asked, "dryRun": True})
    assert (status, body["strategyId"], body["draftId"]) == (200, None, str(row.uuid))
    assert not Strategy.objects.of(shop.northwind).exists()
    status, body = ask("bob", "post", "/api/meta/strategies/execute", asked)
    assert status == 202
    assert body["strategyId"] == str(Strategy.objects.of(shop.northwind).get().uuid)
    assert ask("bob", "post", "/api/meta/strategies/execute", asked)[1]["strategyId"] == body["strategyId"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"accountId": "act_1"}, 400),
        ({"accountId": "act_1", "strategyId": "x", "draftId": "y"}, 400),
        ({"accountId": "act_1", "strategyId": "nonsense"}, 400),
        ({"accountId": "act_1", "strategyId": str(uuid4())}, 404),
        ({"accountId": "act_1", "draftId": str(uuid4())}, 404),
        ({"accountId": "act_9", "strategyId": str(uuid4())}, 404),
        ({"strategyId": str(uuid4())}, 400),
        ({"accountId": "act_1", "strategyId": str(uuid4()), "dryRun": "yes"}, 400),
        ([], 400),
    ],
)
def test_a_wrong_request_to_execute_is_refused(shop, strategy, ask, body, status):
    got, problem = ask("bob", "post", "/api/meta/strategies/execute", body)
    assert got == status
    assert problem["status"] == status
    assert problem["detail"]


def test_a_paused_strategy_is_not_executed_but_may_be_tried(shop, strategy, ask):
    Strategy.objects.of(shop.northwind).update(status="paused")
    asked = {"accountId": "act_1", "strategyId": str(strategy.uuid)}
    assert ask("bob", "post", "/api/meta/strategies/execute", asked)[0] == 409
    assert ask("bob", "post", "/api/meta/strategies/execute", {**asked, "dryRun": True})[0] == 200


def test_a_strategy_is_made_read_and_edited(shop, ask):
    status, made = ask("ivan", "post", "/api/strategies", NEW)
    assert status == 201
    assert made["rules"] == {"minCtr": Decimal("0.8"), "maxCpc": Decimal("1.25")}
    assert made["actions"] == {
        "pauseLowPerforming": True,
        "increaseBudget": False,
        "adjustBidding": False,
        "expandAudience": False,
    }
    path = f"/api/strategies/{made['id']}"
    assert ask("vic", "get", path) == (200, made)
    status, edited = ask("bob", "patch", path, {"rules": {"maxCpc": None, "minCtr": 1}, "status": "paused"})
    assert (status, edited["version"], edited["status"]) == (200, 2, "paused")
    assert edited["rules"] == {"minCtr": 1}
    assert [row["id"] for row in ask("bob", "get", "/api/strategies")[1]["strategies"]] == [made["id"]]


def test_mistakes_are_named_field_by_field(shop, ask):
    body = {
        "accountId": "act_1",
        "name": "",
        "type": "magic",
        "rules": {"minCtr": 500},
        "actions": {"fly": 1},
    }
    status, problem = ask("bob", "post", "/api/strategies", body)
    assert status == 400
    assert [row["field"] for row in problem["errors"]] == ["name", "type", "rules.minCtr", "actions.fly"]
    assert ask("bob", "post", "/api/strategies", {**NEW, "stage": "auto"})[0] == 400
    assert not Strategy.objects.of(shop.northwind).exists()


def test_a_repeated_key_makes_one_strategy(shop, ask):
    first = ask("bob", "post", "/api/strategies", NEW, **{"Idempotency-Key": "k1"})
    assert ask("bob", "post", "/api/strategies", NEW, **{"Idempotency-Key": "k1"}) == first
    assert Strategy.objects.of(shop.northwind).count() == 1


def test_proposals_are_listed_approved_and_rejected(shop, strategy, ask):
    ask("bob", "post", "/api/meta/strategies/execute", {"accountId": "1", "strategyId": str(strategy.uuid)})
    status, body = ask("vera", "get", "/api/proposals")
    assert (status, body["count"]) == (200, 2)
    rows = {row["object_id"]: row for row in body["proposals"]}
    assert {key: row["cannot_be_undone"] for key, row in rows.items()} == {
        "22": ["What is not shown while it is paused cannot be made up for."],
        "21": [
            "Money that is spent before an undo does not come back: at worst 17.50 USD more on the first day."
        ],
    }
    path = f"/api/proposals/{rows['22']['id']}"
    assert ask("vera", "get", path) == (200, rows["22"])
    assert ask("bob", "post", f"{path}/approve", {"digest": "wrong"})[0] == 409
    assert ask("bob", "post", f"{path}/approve", {})[0] == 400
    status, approved = ask("bob", "post", f"{path}/approve", {"digest": rows["22"]["digest"]})
    assert (status, approved["state"], approved["change"]["state"]) == (202, "approved", "APPROVED")
    assert ask("bob", "post", f"{path}/approve", {"digest": rows["22"]["digest"]})[0] == 409
    other = f"/api/proposals/{rows['21']['id']}"
    assert ask("bob", "post", f"{other}/approve", {"digest": rows["21"]["digest"]})[0] == 403
    status, rejected = ask("vera", "post", f"{other}/reject", {"reason": "Not now"})
    assert (status, rejected["state"], rejected["reason"]) == (200, "rejected", "Not now")
    assert rejected["decided_by"] == "Vera"
    assert ask("vera", "get", "/api/proposals")[1]["count"] == 0
    assert ask("vera", "get", "/api/proposals?state=all&account=act_1")[1]["count"] == 2
    assert ask("vera", "get", "/api/proposals?state=nonsense")[0] == 400
    assert ask("vera", "get", "/api/proposals?limit=-1")[0] == 400


def test_decisions_say_why_with_every_value(shop, strategy, ask):
    ask("bob", "post", "/api/meta/strategies/execute", {"accountId": "1", "strategyId": str(strategy.uuid)})
    status, body = ask("vic", "get", "/api/decisions?account=act_1&object=23")
    assert (status, body["count"]) == (200, 1)
    (row,) = body["decisions"]
    assert (row["verdict"], row["reason_code"]) == ("unknown", "not_known_yet")
    assert row["reason"].startswith(
        "Cannot be judged: not known yet: Spent USD 0.80 since 11 Nov; at the target CTR of 0.8 %"
    )
    leaf = row["cases"][0]["tree"]["children"][0]
    assert leaf["why_unknown"].startswith("not known yet: Spent USD 0.80")
    assert leaf["guard"]["answer"] == "cannot_know"
    assert (leaf["guard"]["seen"], leaf["guard"]["spent"]) == ("0.0000", "0.8000")
    assert ask("vic", "get", "/api/decisions")[0] == 400


def test_another_clients_manager_gets_the_answer_of_a_random_id(shop, strategy, ask):
    ask("bob", "post", "/api/meta/strategies/execute", {"accountId": "1", "strategyId": str(strategy.uuid)})
    draft = drafts.regenerate(ad_account=shop.ad_account, now=shop.clock.now())[0]
    proposal = Proposal.objects.of(shop.northwind).first()
    before = (
        list(Proposal.objects.of(shop.northwind).values()),
        list(Strategy.objects.of(shop.northwind).values()),
    )
    execute = "/api/meta/strategies/execute"
    pairs = [
        ("get", "/api/meta/strategies/{}", None, "act_1", "act_77"),
        ("get", "/api/strategies/{}", None, strategy.uuid, uuid4()),
        ("patch", "/api/strategies/{}", {"name": "Mine"}, strategy.uuid, uuid4()),
        ("get", "/api/proposals/{}", None, proposal.uuid, uuid4()),
        ("post", "/api/proposals/{}/approve", {"digest": proposal.digest}, proposal.uuid, uuid4()),
        ("post", "/api/proposals/{}/reject", {}, proposal.uuid, uuid4()),
        ("get", "/api/decisions?account={}", None, "act_1", "act_77"),
    ]
    for method, path, body, theirs, random in pairs:
        known, unknown = (ask("charlie", method, path.format(ref), body) for ref in (theirs, random))
        assert known[0] == unknown[0] == 404
        assert known[1]["detail"] == unknown[1]["detail"]
    for extra in ({"strategyId": str(strategy.uuid)}, {"draftId": str(draft.uuid)}):
        assert ask("charlie", "post", execute, {"accountId": "act_1", **extra})[0] == 404
    assert ask("charlie", "get", "/api/proposals")[1] == {"count": 0, "proposals": []}
    assert ask("charlie", "get", "/api/strategies")[1] == {"strategies": []}
    assert ask("charlie", "post", "/api/strategies", NEW)[0] == 404
    after = (
        list(Proposal.objects.of(shop.northwind).values()),
        list(Strategy.objects.of(shop.northwind).values()),
    )
    assert after == before


def test_viewers_may_look_and_not_touch(shop, strategy, ask):
    asked = {"accountId": "act_1", "strategyId": str(strategy.uuid)}
    assert ask("vic", "post", "/api/meta/strategies/execute", {**asked, "dryRun": True})[0] == 403
    assert ask("vic", "post", "/api/strategies", NEW)[0] == 403
    assert ask("vic", "patch", f"/api/strategies/{strategy.uuid}", {"name": "x"})[0] == 403


def test_without_signing_in_nothing_is_answered(shop, strategy):
    for path in (
        "/api/meta/strategies/act_1",
        "/api/strategies",
        "/api/proposals",
        "/api/decisions?account=1",
    ):
        assert Browser().get(path).status_code in (401, 403)


def test_a_session_needs_its_csrf_token_to_write(shop, strategy):
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(shop.users.bob)
    answer = browser.post(
        "/api/meta/strategies/execute",
        data=json.dumps({"accountId": "act_1", "strategyId": str(strategy.uuid)}),
        content_type="application/json",
    )
    assert answer.status_code == 403
    assert not Decision.objects.of(shop.northwind).exists()


def test_the_answers_hold_exactly_the_documented_fields(shop, strategy, ask):
    from strategies.api import shapes

    drafts.regenerate(ad_account=shop.ad_account, now=shop.clock.now())
    asked = {"accountId": "act_1", "strategyId": str(strategy.uuid)}
    executed = ask("bob", "post", "/api/meta/strategies/execute", asked)[1]
    listed = ask("bob", "get", "/api/meta/strategies/act_1")[1]
    for shape, answer in (
        (shapes.Executed, executed),
        (shapes.DecisionShape, executed["decisions"][0]),
        (shapes.ProposalShape, executed["proposals"][0]),
        (shapes.ChangeRef, executed["changes"][0]),
        (shapes.StrategiesOfAccount, listed),
        (shapes.AccountStrategy, listed["strategies"][0]),
        (shapes.DraftShape, listed["drafts"][0]),
    ):
        assert set(answer) == set(shape().fields)
    assert set(listed["strategies"][0]["rules"]) == set(RULES)


def test_a_back_test_is_a_job_with_progress_and_a_result(
    shop, strategy, ask, django_capture_on_commit_callbacks
):
    shop.clock.advance(24 * 3600)
    url = f"/api/strategies/{strategy.uuid}/backtests"
    days = {"since": "2026-11-18", "hindsight": True}
    with django_capture_on_commit_callbacks() as started:
        status, row = ask("bob", "post", url, days)
    assert len([job for job in started if "run_backtest" in repr(job)]) == 1
    assert (status, row["state"], row["done"], row["total"]) == (202, "queued", 0, 1)
    assert ask("bob", "post", url, days)[0] == 409
    assert ask("bob", "get", f"/api/backtests/{row['id']}")[1]["result"] is None
    tasks.backtests_due()
    status, done = ask("vic", "get", f"/api/backtests/{row['id']}")
    assert (status, done["state"], done["done"], done["strategy_id"]) == (200, "done", 1, str(strategy.uuid))
    assert [one["object_id"] for one in done["result"]["firings"]] == ["21", "22"]
    assert done["result"]["data_version"] == done["data_version"] > 0
    status, listed = ask("vic", "get", url)
    assert (status, listed["count"], listed["backtests"][0]["id"]) == (200, 1, row["id"])
    assert "result" not in listed["backtests"][0]
    assert ask("bob", "post", url, {"hour": 30})[0] == 400
    assert ask("vic", "post", url, days)[0] == 403
    assert ask("charlie", "get", f"/api/backtests/{row['id']}")[0] == 404
