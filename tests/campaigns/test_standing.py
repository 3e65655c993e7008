"""What page and API say of who may approve is what the approval then does: role, four eyes, limits, and the hour."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client

import campaigns.changes.approvals as approvals
import campaigns.changes.authority as authority
import campaigns.changes.caps as caps
import campaigns.changes.standing as standing
from accounts.errors import Refused
from campaigns.changes.envelopes import Period, Scope
from campaigns.models import Change
from campaigns.states import Field
from tests.campaigns.test_api import Caller
from tests.campaigns.test_headroom import day_of
from tests.racing import at_once

pytestmark = pytest.mark.django_db

PEOPLE = ("alice", "bob", "vera", "vic", "charlie")


def of(desk, change, who):
    return standing.of(change, getattr(desk.agency.principals, who), now=desk.now)


def limit(desk, **more):
    alice = desk.agency.principals.alice
    authority.set_limit(client=desk.agency.northwind, principal=alice, now=desk.now, **more)


def page_of(desk, change, who):
    browser = Client()
    browser.force_login(getattr(desk.agency.users, who))
    answer = browser.get(f"/changes/{change.uuid}/")
    return " ".join(answer.content.decode().split())


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize(
    "target, field",
    [
        ("160", Field.DAILY_BUDGET),
        ("120", Field.DAILY_BUDGET),
        ("90", Field.DAILY_BUDGET),
        ("PAUSED", Field.STATUS),
    ],
)
def test_what_is_said_is_what_the_approval_does(desk, who, target, field):
    limit(desk, email="vera@example.com", percent=30)
    change = desk.file(target, field=field, acknowledged=True)
    said = of(desk, change, who)
    principal, refusal = getattr(desk.agency.principals, who), None
    try:
        approvals.approve(change=change, principal=principal, digest=change.digest, now=desk.now)
    except Refused as caught:
        refusal = caught
    # Who may not see the client at all is told nothing of it.
    assert refusal is None if said.may else refusal.code == said.code or refusal.status == 404


def test_who_asked_for_a_large_raise_is_told_who_may_approve_it_and_gets_no_button(desk):
    change = desk.file("160", acknowledged=True)
    said = of(desk, change, "alice")
    assert said.code == "four_eyes" and said.why.startswith("You asked for it")
    assert standing.others(change, desk.agency.principals.alice, now=desk.now) == ("Vera",)
    page = page_of(desk, change, "alice")
    assert "Approve exactly this" not in page and "Ask Vera: they may approve it until" in page
    assert "Approve exactly this" in page_of(desk, change, "vera")


def test_who_is_beyond_their_limit_is_told_the_limit_and_no_button_is_offered(desk):
    limit(desk, email="vera@example.com", percent=20)
    change = desk.file("121")
    page = page_of(desk, change, "vera")
    assert "up to 20 % of one budget within 24 hours" in page and "Ask Alice" in page
    assert "Approve exactly this" not in page and "Reject" in page
    answer = Caller(desk.agency.users.vera).get(f"/api/changes/{change.uuid}").body
    assert answer["may_approve"] is False and "up to 20 %" in answer["why_not_approve"]
    listed = Caller(desk.agency.users.vera).get("/api/changes").body["changes"]
    assert [one["may_approve"] for one in listed] == [False]


def test_what_a_guard_keeps_back_now_is_said_instead_of_the_button(desk):
    change = desk.file("120")
    assert standing.hindrances(change, now=desk.now) == ()
    caps.set_(
        principal=desk.agency.principals.alice, client=desk.agency.northwind, scope=Scope.ACCOUNT,
        period=Period.DAY, amount=Decimal(150), reason="agreed", now=desk.now, ad_account=desk.account,
    )  # fmt: skip
    page = page_of(desk, change, "alice")
    assert "It cannot be approved now." in page and "its limit is 150 USD" in page
    assert "Approve exactly this" not in page
    answer = Caller(desk.agency.users.alice).get(f"/api/changes/{change.uuid}").body
    assert answer["may_approve"] is True and "its limit is 150 USD" in answer["hindrances"][0]


def test_a_change_that_waits_no_more_may_be_approved_by_nobody(desk):
    change = desk.file("120")
    approvals.approve(
        change=change, principal=desk.agency.principals.vera, digest=change.digest, now=desk.now
    )
    change.refresh_from_db()
    assert of(desk, change, "alice").code == "closed"
    late = desk.file("36", obj=desk.ad_set)
    desk.wait(hours=24)
    assert of(desk, late, "alice").code == "expired"
    assert "Approve exactly this" not in page_of(desk, late, "alice")


def test_a_list_of_changes_reads_the_rules_once(desk, django_assert_max_num_queries):
    limit(desk, role="owner", currency="USD", amount=Decimal(1000))
    changes = [desk.file("110"), desk.file("36", obj=desk.ad_set)]
    reader = standing.Reader(desk.agency.principals.alice, now=desk.now)
    assert reader.of(changes[0]).may
    with django_assert_max_num_queries(2):  # what was risen here, and what was approved
        assert reader.of(changes[1]).may


# --- two at once


def approve(desk, change, who):
    now, principal = desk.now, getattr(desk.agency.principals, who)
    return lambda: approvals.approve(change=change, principal=principal, digest=change.digest, now=now)


def passed():
    return sorted(Change.everything.values_list("state", flat=True))


@pytest.mark.django_db(transaction=True)
def test_two_approvals_of_one_person_at_once_do_not_both_pass_one_limit(desk):
    """In two ad accounts, so that no account's own lock keeps them apart."""
    limit(desk, email="vera@example.com", currency="USD", amount=Decimal(30))
    second = desk.twin()
    one = desk.file("125")
    two = desk.file("110", account=second.ad_account, obj=second)
    results = at_once(approve(desk, one, "vera"), approve(desk, two, "vera"))
    refused = [result for result in results if isinstance(result, Refused)]
    assert [one.code for one in refused] == ["over_authority"]
    assert passed() == ["APPROVED", "PROPOSED"]


@pytest.mark.django_db(transaction=True)
def test_two_people_at_once_do_not_both_take_the_last_room_of_a_client(desk):
    second = desk.twin()
    one = desk.file("120")
    two = desk.file("120", account=second.ad_account, obj=second)
    # Each raise lets 35 more be spent on a day; the limit's soft stage has room for 50.
    room = ((day_of(desk, Scope.CLIENT).worst + 50) / Decimal("0.85")).quantize(Decimal("0.01"))
    caps.set_(
        principal=desk.agency.principals.alice, client=desk.agency.northwind, scope=Scope.CLIENT,
        period=Period.DAY, amount=room, reason="agreed", now=desk.now, currency="USD",
    )  # fmt: skip
    results = at_once(approve(desk, one, "vera"), approve(desk, two, "alice"))
    refused = [result for result in results if isinstance(result, Refused)]
    assert [one.code for one in refused] == ["envelope_client_day"], results
    assert passed() == ["APPROVED", "PROPOSED"]
