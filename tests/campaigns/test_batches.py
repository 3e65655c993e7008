"""Many changes at once: one sheet, one approval, one undo, and nothing of it half done."""

from __future__ import annotations

import json
from decimal import Decimal
from uuid import uuid4

import pytest

import campaigns.changes.authority as authority
import campaigns.changes.batches as batches
import campaigns.changes.caps as caps
from accounts.errors import Forbidden, Invalid, NotFound
from campaigns.changes.batches import Wish
from campaigns.changes.envelopes import Period, Scope
from campaigns.errors import Closed, Moved, NotAllowedBy, WrongDigest
from campaigns.models import Ad, Change
from campaigns.states import Field
from metaads.crash import watching
from tests.campaigns.test_api import Caller

pytestmark = pytest.mark.django_db


def file(desk, *wishes, who="alice"):
    return batches.file(
        principal=getattr(desk.agency.principals, who), wishes=wishes, reason="season", batch=str(uuid4()),
        now=desk.now,
    )  # fmt: skip


def budget(obj, target, **more):
    return Wish(obj.meta_id, Field.DAILY_BUDGET, target, **more)


def pause(obj):
    return Wish(obj.meta_id, Field.STATUS, "PAUSED")


def approve(desk, sheet, who="alice", digest=None):
    principal = getattr(desk.agency.principals, who)
    return batches.approve(
        principal=principal, batch=sheet.batch, digest=digest or sheet.digest, now=desk.now
    )


def states(sheet):
    return [Change.everything.get(pk=one.pk).state for one in sheet.changes]


def done(desk, sheet):
    for one in sheet.changes:
        desk.until(one, "APPLIED")


def test_a_sheet_says_what_it_comes_to_and_one_approval_lets_all_of_it_pass(desk):
    sheet = file(desk, budget(desk.campaign, "120"), budget(desk.ad_set, "36"), budget(desk.other, "50"))
    assert states(sheet) == ["PROPOSED", "PROPOSED"]
    assert sheet.total_raise == {"USD": Decimal(26)}
    assert len(sheet.cannot_be_undone) == 2 and "at worst 35 USD" in sheet.cannot_be_undone[0]
    (refused,) = sheet.refused
    assert refused.object_id == desk.other.meta_id and "ad sets" in refused.message and refused.advice
    approve(desk, sheet)
    assert states(sheet) == ["APPROVED", "APPROVED"]
    done(desk, sheet)
    assert (desk.truth(desk.campaign, "daily_budget"), desk.truth(desk.ad_set, "daily_budget")) == (
        12_000,
        3_600,
    )


def test_one_that_no_longer_passes_keeps_all_of_it_back(desk):
    """Each raise fits into the account's day alone; the second finds the room taken by the first."""
    sheet = file(desk, budget(desk.campaign, "120"), budget(desk.ad_set, "40"))
    use = next(
        use for row, use in caps.of(desk.agency.principals.alice, ad_account=desk.account, now=desk.now)
        if (row.scope, row.period) == ("account", "day")
    )  # fmt: skip
    amount = ((use.worst + 40) / Decimal("0.85")).quantize(Decimal("0.01"))
    caps.set_(
        principal=desk.agency.principals.alice, client=desk.agency.northwind, scope=Scope.ACCOUNT, period=Period.DAY,
        amount=amount, reason="x", now=desk.now, ad_account=desk.account,
    )  # fmt: skip
    with pytest.raises(NotAllowedBy) as refused:
        approve(desk, sheet)
    assert desk.ad_set.name in refused.value.message and "Nothing of the batch" in refused.value.message
    assert states(sheet) == ["PROPOSED", "PROPOSED"]


def test_who_may_not_approve_one_of_them_approves_none(desk):
    sheet = file(desk, budget(desk.campaign, "160", acknowledged=True), budget(desk.ad_set, "36"))
    with pytest.raises(Forbidden):
        approve(desk, sheet, "bob")
    with pytest.raises(Forbidden) as refused:
        approve(desk, sheet)
    assert refused.value.code == "four_eyes" and states(sheet) == ["PROPOSED", "PROPOSED"]
    approve(desk, sheet, "vera")


@pytest.mark.fault("F32", "F33")
def test_the_digest_is_that_of_what_waits(desk):
    sheet = file(desk, budget(desk.campaign, "120"), budget(desk.ad_set, "36"))
    other = file(desk, pause(Ad.everything.first()), who="ivan")
    with pytest.raises(WrongDigest):
        approve(desk, sheet, digest=other.digest)
    import campaigns.changes.approvals as approvals

    vera = desk.agency.principals.vera
    approvals.reject(change=sheet.changes[0], principal=vera, reason="no", now=desk.now)
    with pytest.raises(WrongDigest):
        approve(desk, sheet)
    approve(desk, batches.sheet(vera, sheet.batch))
    assert states(sheet) == ["REJECTED", "APPROVED"]
    with pytest.raises(Closed):
        approve(desk, batches.sheet(vera, sheet.batch), digest="x")


@pytest.mark.fault("F74")
def test_cuts_and_pauses_of_few_objects_pass_at_once_and_of_many_do_not(desk):
    few = file(desk, budget(desk.campaign, "90"), budget(desk.ad_set, "20"), who="bob")
    assert states(few) == ["APPROVED", "APPROVED"]
    authority.set_policy(
        client=desk.agency.northwind, principal=desk.agency.principals.alice, four_eyes_percent=50, batch_objects=1,
        approval_hours=24, now=desk.now,
    )  # fmt: skip
    many = file(desk, pause(desk.campaign), pause(desk.other), who="bob")
    assert states(many) == ["PROPOSED", "PROPOSED"]
    assert file(desk, pause(desk.ad_set), who="bob").changes[0].state == "APPROVED"


def test_rejecting_a_sheet_ends_all_that_waits(desk):
    sheet = file(desk, budget(desk.campaign, "120"), budget(desk.ad_set, "36"))
    batches.reject(
        principal=desk.agency.principals.vera,
        batch=sheet.batch,
        digest=sheet.digest,
        reason="too dear",
        now=desk.now,
    )
    assert states(sheet) == ["REJECTED", "REJECTED"]


@pytest.mark.fault("F17")
def test_a_batch_is_one_undo_and_pressing_twice_files_it_once(desk):
    sheet = file(desk, budget(desk.campaign, "90"), budget(desk.ad_set, "20"))
    alice = desk.agency.principals.alice
    with pytest.raises(Closed):
        batches.undo(principal=alice, batch=sheet.batch, now=desk.now)
    done(desk, sheet)
    back = batches.undo(principal=alice, batch=sheet.batch, now=desk.now)
    assert {(one.before, one.target) for one in back.changes} == {("90", "100"), ("20", "30")}
    assert batches.undo(principal=alice, batch=sheet.batch, now=desk.now).batch == back.batch
    assert Change.everything.count() == 4
    approve(desk, back)
    done(desk, back)
    assert (desk.campaign.daily_budget, desk.ad_set.daily_budget) == (100, 30)


@pytest.mark.fault("F18")
def test_a_value_that_somebody_has_touched_keeps_the_whole_undo_back(desk):
    sheet = file(desk, budget(desk.campaign, "90"), budget(desk.ad_set, "20"))
    done(desk, sheet)
    desk.edit(desk.campaign, "daily_budget", 7_700)
    desk.sync()
    with pytest.raises(Moved):
        batches.undo(principal=desk.agency.principals.alice, batch=sheet.batch, now=desk.now)
    assert Change.everything.count() == 2


def test_what_was_asked_for_before_is_shown_and_is_no_part_of_the_batch(desk):
    before = desk.file("120")
    sheet = file(desk, budget(desk.campaign, "120"), budget(desk.ad_set, "36"))
    assert [one.pk for one in sheet.joined] == [before.pk] and len(sheet.changes) == 1


def test_nonsense_and_foreign_objects_leave_nothing_behind(desk):
    for wishes in (
        (),
        (pause(desk.campaign), pause(desk.campaign)),
        tuple(pause(desk.campaign) for _ in range(101)),
    ):
        with pytest.raises(Invalid):
            file(desk, *wishes)
    with pytest.raises(NotFound):
        file(desk, pause(desk.campaign), Wish("9999", Field.STATUS, "PAUSED"))
    with pytest.raises(NotFound):
        file(desk, pause(desk.campaign), who="charlie")
    with pytest.raises(Forbidden):
        file(desk, pause(desk.campaign), who="vera")
    assert Change.everything.count() == 0


def test_charlie_sees_and_decides_nothing_of_it(desk):
    sheet, charlie = file(desk, budget(desk.campaign, "120")), desk.agency.principals.charlie
    for call in (
        lambda: batches.sheet(charlie, sheet.batch),
        lambda: approve(desk, sheet, "charlie"),
        lambda: batches.undo(principal=charlie, batch=sheet.batch, now=desk.now),
    ):
        with pytest.raises(NotFound):
            call()
    assert states(sheet) == ["PROPOSED"]


@pytest.mark.fault("F124")
def test_the_api_files_a_batch_once_per_key_and_approves_it_by_its_digest(desk):
    alice = Caller(desk.agency.users.alice)
    lines = [
        {"object_id": desk.campaign.meta_id, "daily_budget": 120.5},
        {"object_id": desk.ad_set.meta_id, "daily_budget": 36},
    ]
    body = json.dumps({"changes": lines, "reason": "season"})
    headers = {"Idempotency-Key": "monday"}
    answer = alice.post("/api/changes/batch", body, **headers)
    assert answer.status_code == 202, answer.text
    assert alice.post("/api/changes/batch", body, **headers).body["id"] == answer.body["id"]
    assert Change.everything.count() == 2
    assert Decimal(answer.body["total_raise"][0]["amount"]) == Decimal("26.5") and answer.body["waiting"] == 2
    assert '"target":120.50' in answer.text
    path = answer.headers["Location"]
    assert Caller(desk.agency.users.vic).get(path).body["digest"] == answer.body["digest"]
    assert Caller(desk.agency.users.charlie).get(path).status_code == 404
    assert (
        Caller(desk.agency.users.bob).post(f"{path}/approve", {"digest": answer.body["digest"]}).status_code
        == 403
    )
    assert alice.post(f"{path}/approve", {"digest": "0" * 64}).status_code == 409
    passed = alice.post(f"{path}/approve", {"digest": answer.body["digest"]})
    assert [one["state"] for one in passed.body["changes"]] == ["APPROVED", "APPROVED"]
    both = {"changes": [lines[0] | {"status": "PAUSED"}], "reason": "x"}
    assert alice.post("/api/changes/batch", json.dumps(both)).status_code == 400


@pytest.mark.fault("F15")
def test_pause_edit_and_resume_are_no_one_action_and_what_dies_in_between_leaves_nothing_half_done(desk):
    resume = Wish(desk.campaign.meta_id, Field.STATUS, "ACTIVE")
    with pytest.raises(Invalid, match="twice"):
        file(desk, pause(desk.campaign), budget(desk.campaign, "90"), resume)
    assert Change.everything.count() == 0
    # Two of the three are two changes, each whole: the worker dies when the pause is done and the cut is under way.
    sheet = file(desk, pause(desk.campaign), budget(desk.campaign, "90"))
    paused, cut = sheet.changes
    desk.until(paused, "APPLIED")
    with pytest.raises(KeyboardInterrupt), watching(dies_at("send.committed")):
        desk.until(cut, "SENDING")
    assert (
        desk.truth(desk.campaign, "status") == "PAUSED"
        and desk.truth(desk.campaign, "daily_budget") == 10_000
    )
    desk.wait(seconds=61)
    desk.until(cut, "APPLIED", every=20)
    assert [next(iter(line["params"].items())) for line in desk.writes()] == [
        ("status", "PAUSED"),
        ("daily_budget", "9000"),
    ]
    back = batches.undo(principal=desk.agency.principals.alice, batch=sheet.batch, now=desk.now)
    assert [(one.field, one.target) for one in back.changes] == [
        ("daily_budget", "100"),
        ("status", "ACTIVE"),
    ]


def dies_at(name):
    def hook(point):
        if point == name:
            raise KeyboardInterrupt

    return hook


@pytest.mark.fault("F16")
def test_of_a_batch_one_is_refused_one_gets_no_answer_and_each_ends_by_itself(desk):
    """Every item is a request and an attempt of its own, so that an answer that is missing is one item's doubt."""
    sheet = file(desk, budget(desk.campaign, "120"), budget(desk.ad_set, "36"), pause(desk.other))
    approve(desk, sheet)
    for name, obj in (("permission", desk.campaign), ("applied_timeout", desk.ad_set)):
        desk.sandbox.faults.arm(name, {"method": "POST", "object_id": obj.meta_id}, 1)
    by_field = {(one.object_id, one.field): one for one in sheet.changes}
    refused, silent = (by_field[obj.meta_id, "daily_budget"] for obj in (desk.campaign, desk.ad_set))
    assert desk.until(refused, "HELD_AUTH").attempts == 1
    assert desk.until(silent, "UNKNOWN").possibly_applied
    assert desk.until(by_field[desk.other.meta_id, "status"], "APPLIED").attempts == 1
    desk.until(silent, "APPLIED", every=20)
    assert desk.truth(desk.campaign, "daily_budget") == 10_000
    assert sorted(line["path"] for line in desk.writes()) == sorted(
        obj.meta_id for obj in (desk.campaign, desk.ad_set, desk.other)
    )
    assert not any("batch" in line["params"] for line in desk.sandbox.history if line["method"] == "POST")
