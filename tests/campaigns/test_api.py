"""The paths of this floor, through HTTP: the brief's two writes, changes and their decisions, stops."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from campaigns.models import Change
from campaigns.states import Field

pytestmark = pytest.mark.django_db


class Caller:
    """One signed-in person."""

    def __init__(self, user) -> None:
        self.http = Client()
        if user is not None:
            self.http.force_login(user)

    def get(self, path, **query):
        return self._read(self.http.get(path, query))

    def post(self, path, body=None, **headers):
        data = body if isinstance(body, str) else json.dumps(body or {})
        return self._read(self.http.post(path, data, content_type="application/json", headers=headers))

    @staticmethod
    def _read(response):
        response.text = response.content.decode()
        response.body = json.loads(response.text, parse_float=str) if response.text else None
        return response


@pytest.fixture
def call(desk):
    users = desk.agency.users
    return lambda who: Caller(getattr(users, who) if who else None)


def status_path(desk):
    return f"/api/meta/campaigns/{desk.campaign.meta_id}/status"


def budget_path(desk):
    return f"/api/meta/campaigns/{desk.campaign.meta_id}/budget"


def test_a_pause_answers_202_with_the_change_and_its_address(desk, call):
    answer = call("bob").post(status_path(desk), {"status": "PAUSED", "reason": "sold out"})
    assert answer.status_code == 202
    change = Change.everything.get()
    assert answer.headers["Location"] == f"/api/changes/{change.uuid}"
    assert answer.body["id"] == str(change.uuid)
    assert (answer.body["state"], answer.body["before"], answer.body["target"]) == (
        "APPROVED",
        "ACTIVE",
        "PAUSED",
    )
    assert (answer.body["account_id"], answer.body["approval_policy"]) == (desk.account.act_id, "hand")
    desk.until(change, "APPLIED")
    body = call("vic").get(answer.headers["Location"]).body
    assert body["state"] == "APPLIED" and body["lines"][-1]["state"] == "APPLIED"
    assert body["story"].startswith("Bob asked to pause the campaign")


def test_a_raise_waits_and_money_is_a_number_in_major_units(desk, call):
    answer = call("alice").post(budget_path(desk), '{"daily_budget": 120.50}')
    assert answer.status_code == 202 and answer.body["state"] == "PROPOSED"
    assert '"target":120.50' in answer.text and '"before":100' in answer.text
    assert answer.body["currency"] == "USD"
    assert desk.writes() == []


def test_nothing_is_sent_inside_the_request(desk, call):
    seen = len(desk.sandbox.history)
    call("alice").post(status_path(desk), {"status": "PAUSED"})
    assert len(desk.sandbox.history) == seen


def test_an_approval_needs_the_digest_and_then_the_change_is_applied(desk, call):
    change = desk.file("120")
    path = f"/api/changes/{change.uuid}/approve"
    assert call("vera").post(path, {"digest": "0" * 64}).status_code == 409
    assert call("vera").post(path, {}).status_code == 400
    answer = call("vera").post(path, {"digest": change.digest})
    assert (answer.status_code, answer.body["state"], answer.body["approved_by"]) == (200, "APPROVED", "Vera")
    desk.until(change, "APPLIED")
    assert call("vera").post(path, {"digest": change.digest}).status_code == 409


def test_a_buyer_may_ask_for_a_raise_and_not_approve_it(desk, call):
    change = desk.file("120", who="bob")
    assert call("bob").get(f"/api/changes/{change.uuid}").body["may_approve"] is False
    answer = call("bob").post(f"/api/changes/{change.uuid}/approve", {"digest": change.digest})
    assert answer.status_code == 403 and "approver" in answer.body["advice"]


def test_reject_ends_it_with_the_reason(desk, call):
    change = desk.file("120")
    answer = call("vera").post(f"/api/changes/{change.uuid}/reject", {"reason": "Too dear"})
    assert (answer.status_code, answer.body["state"], answer.body["error"]) == (200, "REJECTED", "Too dear")


def test_undo_files_the_opposite(desk, call):
    change = desk.until(desk.approved("120"), "APPLIED")
    answer = call("bob").post(f"/api/changes/{change.uuid}/undo")
    assert (answer.status_code, answer.body["state"], answer.body["source"]) == (202, "APPROVED", "undo")
    assert answer.body["target"] == 100


@pytest.mark.parametrize(
    "body, says",
    [
        ('{"daily_budget": 0.5}', "smallest daily budget"),
        ('{"daily_budget": 99.999}', "whole number of 0.01"),
        ('{"lifetime_budget": 500}', "has a daily budget"),
        ('{"daily_budget": 120, "lifetime_budget": 500}', "either daily_budget or lifetime_budget"),
        ("{}", "either daily_budget or lifetime_budget"),
        ('{"daily_budget": "plenty"}', "number"),
        ('{"daily_budget": true}', "number"),
        ('{"daily_budget": -1}', "more than 0"),
        ('{"daily_budget": 1e300}', "digits"),
        ('{"daily_budget": NaN}', "JSON"),
        ("[]", ""),
        ("not json", "JSON"),
    ],
)
def test_a_wrong_budget_is_a_400_that_says_what_to_do(desk, call, body, says):
    answer = call("alice").post(budget_path(desk), body)
    assert answer.status_code == 400 and answer.headers["Content-Type"] == "application/problem+json"
    assert says in answer.text
    assert Change.everything.count() == 0


@pytest.mark.parametrize("body", [{"status": "DELETED"}, {"status": "paused "}, {"status": 1}, {}])
def test_a_wrong_status_is_a_400(desk, call, body):
    assert call("alice").post(status_path(desk), body).status_code == 400
    assert Change.everything.count() == 0


def test_a_budget_that_the_ad_sets_own_is_refused_with_the_right_place(desk, call):
    answer = call("alice").post(f"/api/meta/campaigns/{desk.other.meta_id}/budget", {"daily_budget": 20})
    assert answer.status_code == 400 and answer.body["code"] == "budget_owner"
    assert "ad sets" in answer.body["advice"]


@pytest.mark.fault("F73")
def test_a_large_step_asks_for_a_confirmation(desk, call):
    answer = call("alice").post(budget_path(desk), {"daily_budget": 250})
    assert answer.status_code == 409 and "confirm" in answer.body["advice"]
    again = call("alice").post(budget_path(desk), {"daily_budget": 250, "confirm_large_step": True})
    assert again.status_code == 202


def test_the_same_key_moves_nothing_twice(desk, call):
    bob = call("bob")
    first = bob.post(budget_path(desk), {"daily_budget": 90}, **{"Idempotency-Key": "k1"})
    desk.until(Change.everything.get(), "APPLIED")
    second = bob.post(budget_path(desk), {"daily_budget": 90}, **{"Idempotency-Key": "k1"})
    assert first.text == second.text and second.headers["Idempotency-Replayed"] == "true"
    assert Change.everything.count() == 1
    other = bob.post(budget_path(desk), {"daily_budget": 80}, **{"Idempotency-Key": "k1"})
    assert other.status_code == 422


PATHS = [
    ("get", "/api/changes/{change}"),
    ("post", "/api/changes/{change}/approve"),
    ("post", "/api/changes/{change}/reject"),
    ("post", "/api/changes/{change}/undo"),
    ("post", "/api/changes/{change}/resolve"),
    ("post", "/api/meta/campaigns/{campaign}/status"),
    ("post", "/api/meta/campaigns/{campaign}/budget"),
]
BODY = {"digest": "x", "reason": "x", "outcome": "APPLIED", "status": "PAUSED", "daily_budget": 90}


@pytest.mark.parametrize("method, path", PATHS)
def test_for_charlie_what_is_northwind_s_does_not_exist(desk, call, method, path):
    change = desk.file("120")
    charlie, random = call("charlie"), "00000000-0000-4000-8000-000000000000"
    body = {key: value for key, value in BODY.items() if key != "status" or "status" in path}
    answers = []
    for names in (
        {"change": change.uuid, "campaign": desk.campaign.meta_id},
        {"change": random, "campaign": "404"},
    ):
        where = path.format(**names)
        answer = charlie.get(where) if method == "get" else charlie.post(where, body)
        answer.body.pop("instance"), answer.body.pop("request_id")
        answers.append((answer.status_code, answer.body))
    assert answers[0] == answers[1] and answers[0][0] == 404
    assert Change.everything.get().state == "PROPOSED"


@pytest.mark.parametrize(
    "method, path",
    [*PATHS, ("get", "/api/changes"), ("get", "/api/stop"), ("post", "/api/stop"), ("get", "/api/holds")],
)
def test_without_signing_in_there_is_nothing(desk, call, method, path):
    change = desk.file("120")
    where = path.format(change=change.uuid, campaign=desk.campaign.meta_id)
    answer = getattr(call(None), method)(where)
    assert answer.status_code in (401, 403)


def test_a_viewer_sees_and_does_not_decide(desk, call):
    change = desk.file("120")
    vic = call("vic")
    assert vic.get(f"/api/changes/{change.uuid}").status_code == 200
    assert vic.post(f"/api/changes/{change.uuid}/approve", {"digest": change.digest}).status_code == 403
    assert vic.post(status_path(desk), {"status": "PAUSED"}).status_code == 403


def test_the_list_is_scoped_filtered_and_paged(desk, call):
    made = [desk.file(target) for target in ("110", "115", "120")] + [desk.file("PAUSED", field=Field.STATUS)]
    alice = call("alice")
    page = alice.get("/api/changes", limit=3).body
    assert [one["id"] for one in page["changes"]] == [str(one.uuid) for one in reversed(made[1:])]
    rest = alice.get("/api/changes", limit=3, after=page["next"]).body
    assert [one["id"] for one in rest["changes"]] == [str(made[0].uuid)] and rest["next"] is None
    desk.until(desk.approved("PAUSED", field=Field.STATUS), "APPLIED")
    assert len(alice.get("/api/changes", state="applied").body["changes"]) == 1
    assert alice.get("/api/changes", state="applied,proposed", account=desk.account.act_id).body["changes"]
    assert alice.get("/api/changes", object="404").body["changes"] == []
    assert alice.get("/api/changes", client="northwind").status_code == 200
    assert call("charlie").get("/api/changes").body["changes"] == []
    assert call("charlie").get("/api/changes", account=desk.account.act_id).status_code == 404
    odd = ({"limit": "0"}, {"limit": "x"}, {"limit": "²"}, {"after": "x"}, {"client": "nope"})
    for wrong in ({"state": "done"}, *odd):
        assert alice.get("/api/changes", **wrong).status_code in (400, 404), wrong


def test_stop_and_release(desk, call):
    bob, alice = call("bob"), call("alice")
    body = {"scope": "ad_account", "account_id": desk.account.act_id, "reason": "odd numbers"}
    assert bob.post("/api/stop", body).body["scope"] == "account"
    assert [row["reason"] for row in call("vic").get("/api/stop").body["stops"]] == ["odd numbers"]
    refused = alice.post(status_path(desk), {"status": "PAUSED"})
    assert refused.status_code == 409 and "odd numbers" in refused.body["detail"]
    assert bob.post("/api/release", body).status_code == 403
    assert alice.post("/api/release", body).body == {"released": True}
    assert alice.post(status_path(desk), {"status": "PAUSED"}).status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        {"scope": "ad_account", "reason": "x"}, {"scope": "strategy", "reason": "x"}, {"scope": "everything"},
        {"scope": "planet", "reason": "x"}, {"reason": "x"}, {"scope": "client", "reason": "x", "client": "southwind"},
        {"scope": "everything", "reason": "x"},
    ],
)  # fmt: skip
def test_a_stop_that_does_not_say_what_is_refused(desk, call, body):
    assert call("bob").post("/api/stop", body).status_code in (400, 404)


def test_a_hold_is_listed_and_resumed(desk, call):
    change = desk.approved("90")
    desk.edit(desk.campaign, "daily_budget", 7_700)
    desk.until(change, "SUPERSEDED")
    bob = call("bob")
    (hold,) = bob.get("/api/holds").body["holds"]
    assert (hold["ours"], hold["theirs"]) == ("90", "77")
    assert call("charlie").post(f"/api/holds/{hold['id']}/resume", {"reason": "x"}).status_code == 404
    assert bob.post(f"/api/holds/{hold['id']}/resume", {"reason": "seen"}).body["resumed_at"]
    assert bob.get("/api/holds").body["holds"] == []


def test_a_person_resolves_through_the_api(desk, call):
    desk.sandbox.faults.arm("lying_success", {}, None)
    change = desk.until(desk.approved("120"), "NEEDS_HUMAN", every=10, most=200)
    path = f"/api/changes/{change.uuid}/resolve"
    assert call("bob").post(path, {"outcome": "FAILED", "reason": "looked"}).status_code == 403
    answer = call("alice").post(path, {"outcome": "FAILED", "reason": "looked"})
    assert (answer.status_code, answer.body["state"]) == (200, "FAILED")
