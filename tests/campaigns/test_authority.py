"""Four eyes, what one person may let pass in a day, and what is said before anybody approves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

import campaigns.changes.approvals as approvals
import campaigns.changes.authority as authority
import campaigns.changes.standing as standing
from accounts.errors import Forbidden, NotFound
from accounts.models import AuditLine, Membership, Role, User
from campaigns.changes.consequences import cannot_be_undone
from campaigns.errors import NotAllowedBy
from campaigns.models import Change
from campaigns.states import Evidence, Field, Source
from tests.campaigns.test_api import Caller
from tests.campaigns.test_guards import CUT, RAISE, START, STOP

pytestmark = pytest.mark.django_db


def approve(desk, change, who="alice"):
    principal = getattr(desk.agency.principals, who)
    return approvals.approve(change=change, principal=principal, digest=change.digest, now=desk.now)


def rules(desk, who="alice", **more):
    values = {"four_eyes_percent": 50, "batch_objects": 10, "approval_hours": 24, **more}
    return authority.set_policy(
        client=desk.agency.northwind, principal=getattr(desk.agency.principals, who), now=desk.now, **values
    )


def limit(desk, who="alice", **more):
    authority.set_limit(
        client=desk.agency.northwind, principal=getattr(desk.agency.principals, who), now=desk.now, **more
    )


def state(change):
    return Change.everything.get(pk=change.pk).state


def test_who_asked_for_a_large_raise_does_not_approve_it_and_somebody_else_does(desk):
    change = desk.file("151", acknowledged=True)
    with pytest.raises(Forbidden) as refused:
        approve(desk, change)
    assert refused.value.code == "four_eyes" and state(change) == "PROPOSED"
    assert approve(desk, change, "vera").state == "APPROVED"


def test_the_threshold_itself_needs_no_second_person(desk):
    assert approve(desk, desk.file("150")).state == "APPROVED"


def test_small_raises_that_follow_each_other_are_one_large_one(desk):
    desk.until(approve(desk, desk.file("140")), "APPLIED")
    desk.wait(minutes=1)
    change = desk.file("155")
    with pytest.raises(Forbidden) as refused:
        approve(desk, change)
    assert refused.value.code == "four_eyes"
    assert approve(desk, change, "vera").state == "APPROVED"


def test_a_key_of_the_same_person_is_no_second_person(desk):
    change = desk.file("160", acknowledged=True)
    key = replace(desk.agency.principals.alice, kind="key")
    with pytest.raises(Forbidden):
        approvals.approve(change=change, principal=key, digest=change.digest, now=desk.now)


def test_a_rule_s_raise_has_its_second_person_in_whoever_approves(desk):
    rules(desk, four_eyes_percent=0)
    good = Evidence(data_version=1, as_of=desk.now, checksum="c", valid_until=desk.now + timedelta(hours=1))
    change = desk.file("110", source=Source.STRATEGY, evidence=good, strategy_ref="s1")
    assert approve(desk, change).state == "APPROVED"


def test_cuts_and_pauses_need_no_second_person_whatever_the_threshold(desk):
    rules(desk, four_eyes_percent=0)
    assert approve(desk, desk.file("20")).state == "APPROVED"
    assert approve(desk, desk.file("PAUSED", field=Field.STATUS)).state == "APPROVED"
    with pytest.raises(Forbidden):
        approve(desk, desk.file("36", obj=desk.ad_set))


def test_only_an_owner_switches_four_eyes_off(desk):
    user = User.objects.create_user("mia@example.com", "x", name="Mia")
    Membership.objects.create(user=user, client=desk.agency.northwind, role=Role.MANAGER)
    from accounts.access import principal_of

    desk.agency.principals.mia = principal_of(user)
    rules(desk, "mia", four_eyes_percent=10)
    with pytest.raises(Forbidden):
        rules(desk, "mia", four_eyes_percent=None)
    rules(desk, four_eyes_percent=None)
    assert approve(desk, desk.file("151", acknowledged=True)).state == "APPROVED"
    with pytest.raises(Forbidden) as refused:
        limit(desk, "mia", email="mia@example.com", percent=900)
    assert refused.value.code == "own_limit"


def test_a_person_s_percentage_holds_over_the_day_and_not_for_others(desk):
    limit(desk, email="vera@example.com", percent=20)
    desk.until(approve(desk, desk.file("115"), "vera"), "APPLIED")
    desk.wait(minutes=1)
    change = desk.file("121")
    with pytest.raises(Forbidden) as refused:
        approve(desk, change, "vera")
    assert refused.value.code == "over_authority" and "20 %" in refused.value.message
    assert approve(desk, change).state == "APPROVED"


def test_an_amount_counts_everything_that_the_person_has_let_pass_even_unsent(desk):
    limit(desk, email="vera@example.com", currency="USD", amount=Decimal(30))
    approve(desk, desk.file("125"), "vera")
    change = desk.file("36", obj=desk.ad_set)
    with pytest.raises(Forbidden) as refused:
        approve(desk, change, "vera")
    assert "30 USD" in refused.value.message
    assert approve(desk, desk.file("35", obj=desk.ad_set), "vera").state == "APPROVED"


def test_an_amount_in_another_currency_allows_nothing_here(desk):
    limit(desk, email="vera@example.com", currency="EUR", amount=Decimal(5000))
    with pytest.raises(Forbidden):
        approve(desk, desk.file("101"), "vera")


def test_a_role_s_limit_holds_who_has_none_of_their_own(desk):
    limit(desk, role="approver", percent=5)
    change = desk.file("110")
    with pytest.raises(Forbidden):
        approve(desk, change, "vera")
    limit(desk, email="vera@example.com", percent=10)
    assert approve(desk, change, "vera").state == "APPROVED"
    limit(desk, email="vera@example.com")
    assert [row.who for row in standing.limits(desk.agency.principals.vic, client=desk.agency.northwind)] == [
        "role:approver"
    ]


@pytest.mark.parametrize("who, error", [("bob", Forbidden), ("vera", Forbidden), ("charlie", NotFound)])
def test_who_may_not_set_rules(desk, who, error):
    with pytest.raises(error):
        rules(desk, who)
    with pytest.raises(error):
        limit(desk, who, role="buyer", percent=900)
    assert standing.policy(desk.agency.northwind.pk).pk is None


@pytest.mark.fault("F32")
def test_a_client_says_how_long_a_change_waits(desk):
    rules(desk, approval_hours=2)
    change = desk.file("120")
    assert change.expires_at == desk.now + timedelta(hours=2)
    line = AuditLine.objects.of(desk.agency.northwind).filter(verb="set_approval_policy").get()
    assert (line.detail["before"]["approval_hours"], line.detail["after"]["approval_hours"]) == (24, 2)


@pytest.mark.fault("F32", "F75")
def test_evidence_that_has_grown_old_is_not_approved(desk):
    good = Evidence(data_version=1, as_of=desk.now, checksum="c", valid_until=desk.now + timedelta(minutes=5))
    change = desk.file("110", source=Source.STRATEGY, evidence=good, strategy_ref="s1")
    desk.wait(minutes=5)
    with pytest.raises(NotAllowedBy) as refused:
        approve(desk, change)
    assert refused.value.code == "evidence_old" and state(change) == "PROPOSED"


# --- what cannot be undone


def test_what_an_undo_will_not_bring_back_is_said_with_the_money():
    assert cannot_be_undone(RAISE) == (
        "Money that is spent before an undo does not come back: at worst 17.50 USD more on the first day.",
    )
    large = cannot_be_undone(replace(RAISE, target="121"))
    assert len(large) == 2 and "learning phase" in large[1]
    assert "learning phase" in " ".join(cannot_be_undone(START))
    assert cannot_be_undone(CUT) == ()
    assert "cannot be made up" in cannot_be_undone(STOP)[0]
    lifetime = replace(RAISE, field=Field.LIFETIME_BUDGET)
    assert cannot_be_undone(lifetime)[0].endswith("at worst 10 USD more.")


def test_the_api_says_it_before_the_approval_and_keeps_the_rules(desk):
    change = desk.file("160", acknowledged=True)
    alice = Caller(desk.agency.users.alice)
    body = alice.get(f"/api/changes/{change.uuid}").body
    assert "at worst 105 USD more on the first day" in body["cannot_be_undone"][0]
    answer = alice.post(f"/api/changes/{change.uuid}/approve", {"digest": change.digest})
    assert (answer.status_code, answer.body["code"]) == (403, "four_eyes")
    vera = Caller(desk.agency.users.vera)
    assert vera.post(f"/api/changes/{change.uuid}/approve", {"digest": change.digest}).status_code == 200
    path = "/api/approval-policy?client=northwind"
    assert alice.get(path).body == {
        "four_eyes_percent": 50, "batch_objects": 10, "approval_hours": 24, "four_eyes_amounts": [], "limits": [],
    }  # fmt: skip
    assert (
        alice.post(path, {"four_eyes_percent": 20, "batch_objects": 3, "approval_hours": 0}).status_code
        == 400
    )
    set_ = alice.post(path, {"four_eyes_percent": 20, "batch_objects": 3, "approval_hours": 6})
    assert (set_.status_code, set_.body["approval_hours"]) == (200, 6)
    limits = alice.post(
        "/api/authority?client=northwind", {"role": "approver", "currency": "USD", "amount": 500}
    )
    assert limits.body["limits"][0]["role"] == "approver", limits.text
    assert Decimal(limits.body["limits"][0]["amount"]) == 500
    assert alice.post("/api/authority?client=northwind", {"percent": 5}).status_code == 400
    assert Caller(desk.agency.users.charlie).get(path).status_code == 404


def test_the_page_of_a_change_says_it_beside_the_button(desk):
    from django.test import Client

    change = desk.file("160", acknowledged=True)
    browser = Client()
    browser.force_login(desk.agency.users.vera)
    page = browser.get(f"/changes/{change.uuid}/").content.decode()
    assert "What an undo will not bring back." in page and "at worst 105 USD more on the first day" in page
    assert page.index("will not bring back") < page.index("Approve exactly this")
