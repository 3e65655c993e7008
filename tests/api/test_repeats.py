"""The same write twice moves once, with an Idempotency-Key on every path; a 202's address leads to what it filed."""

from __future__ import annotations

import pytest

from campaigns.models import Change
from strategies.models import Decision, Proposal
from tests.api.paths import WRITES

pytestmark = pytest.mark.django_db

FILING = tuple(path for path in WRITES if path.status == 202)


def other(path, body):
    """Another good request for the same path."""
    if "status" in body:
        return {**body, "status": "ACTIVE"}
    if "daily_budget" in body:
        return {**body, "daily_budget": 79}
    return {**body, "note": "another body"}


def moved(house):
    """Everything that a write of these paths moves: rows here, and calls to Meta."""
    return (
        Change.everything.count(),
        list(Decision.everything.values_list("pk", "times")),
        Proposal.everything.count(),
    )


@pytest.mark.parametrize("way", ["session", "key", "jwt"])
@pytest.mark.parametrize("path", WRITES, ids=str)
def test_a_repeated_request_gets_the_first_answer_and_moves_nothing(
    house, sandbox, call, published, path, way
):
    where, body = path.fill(house)
    caller, key = call(path.who, way), {"Idempotency-Key": "k-1"}
    first = caller.post(where, body, **key)
    assert first.status == path.status, first.text
    before, calls = moved(house), len(sandbox.history)
    second = caller.post(where, body, **key)
    assert (second.status, second.text) == (first.status, first.text)
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.headers.get("Location") == first.headers.get("Location")
    mismatch = caller.post(where, other(path, body), **key)
    assert (mismatch.status, mismatch.body["code"]) == (422, "idempotency_key_reused")
    assert published.wrong("post", path.template, mismatch) == []
    assert (moved(house), len(sandbox.history)) == (before, calls)


def test_a_key_is_its_owner_s_own(house, call):
    path = next(path for path in WRITES if path.name == "campaign-budget")
    where, body = path.fill(house)
    first = call("bob").post(where, body, **{"Idempotency-Key": "shared"})
    second = call("alice").post(where, {"daily_budget": 70}, **{"Idempotency-Key": "shared"})
    assert (first.status, second.status) == (202, 202)
    assert "Idempotency-Replayed" not in second.headers
    assert first.body["id"] != second.body["id"]


def test_a_refused_request_does_not_use_up_its_key(house, call):
    path = next(path for path in WRITES if path.name == "campaign-budget")
    where, body = path.fill(house)
    bob, key = call("bob"), {"Idempotency-Key": "k-1"}
    assert bob.post(where, {"daily_budget": -1}, **key).status == 400
    assert bob.post(where, body, **key).status == 202


def test_the_same_target_joins_the_open_change_without_any_key(house, call):
    path = next(path for path in WRITES if path.name == "campaign-status")
    where, body = path.fill(house)
    first, second = call("bob").post(where, body), call("alice").post(where, body)
    assert first.body["id"] == second.body["id"]
    assert Change.everything.count() == 1


@pytest.mark.parametrize("path", FILING, ids=str)
def test_a_202_leads_to_what_was_filed_for_those_who_may_see_it(house, sandbox, call, published, path):
    where, body = path.fill(house)
    calls = len(sandbox.history)
    answer = call("bob").post(where, body)
    assert answer.status == 202
    assert len(sandbox.history) == calls, "nothing goes to Meta inside the request"
    found = call("vic").get(answer.headers["Location"])
    assert found.status == 200
    assert found.body["id"] == (answer.body.get("id") or answer.body["strategyId"])
    assert call("charlie").get(answer.headers["Location"]).status == 404
    if "/changes/" in answer.headers["Location"]:
        assert published.wrong("get", "/api/changes/{uuid}", found) == []
        assert {name: found.body[name] for name in answer.body} == answer.body


def test_the_changes_of_an_execution_can_be_read(full_house, call, published):
    body = {"accountId": full_house.ad_account.act_id, "strategyId": str(full_house.strategy.uuid)}
    answer = call("bob").post("/api/meta/strategies/execute", body)
    assert [row["action"] for row in answer.body["proposals"]] == ["pause", "raise_budget"]
    assert len(answer.body["changes"]) == 2
    for ref in answer.body["changes"]:
        found = call("vic").get(ref["url"])
        assert (found.status, found.body["id"], found.body["state"]) == (200, ref["id"], "PROPOSED")
        assert published.wrong("get", "/api/changes/{uuid}", found) == []
