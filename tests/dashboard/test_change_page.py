"""The page of one change: what cannot be undone is said before the button, and an applied change offers its undo."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import transaction
from django.test import Client as Browser

import campaigns.changes.authority as authority
import campaigns.changes.caps as caps
from campaigns.changes.envelopes import Period, Scope
from campaigns.models import Change
from campaigns.states import Field
from tests.campaigns.test_api import Caller

pytestmark = pytest.mark.django_db
LOST = "What an undo will not bring back."


def page(desk, who, path):
    browser = Browser()
    browser.force_login(getattr(desk.agency.users, who))
    answer = browser.get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def of(desk, change, who="alice"):
    return page(desk, who, f"/changes/{change.uuid}/")


def test_what_cannot_be_undone_stands_above_the_button_that_approves(desk):
    change = desk.file("130")
    text = of(desk, change, "vera")
    assert "Money that is spent before an undo does not come back: at worst 52.50 USD more" in text
    assert "Meta may start the learning phase again" in text
    assert text.index(LOST) < text.index("Approve exactly this")
    answer = Caller(desk.agency.users.vera).get(f"/api/changes/{change.uuid}").body
    assert len(answer["cannot_be_undone"]) == 2 and answer["may_approve"] is True


def test_what_passes_at_once_is_told_where_it_is_asked_for(desk):
    """A pause and a cut have no second step in which it could be said."""
    text = page(desk, "bob", f"/a/{desk.account.act_id}/campaigns/{desk.campaign.meta_id}/")
    assert "What is not shown meanwhile cannot be made up for." in text
    assert "More than 20 % up or down may start Meta's learning phase again" in text
    assert "cannot be made up for" not in page(
        desk, "vic", f"/a/{desk.account.act_id}/campaigns/{desk.campaign.meta_id}/"
    )


def test_an_applied_change_offers_its_undo_once_to_who_may_ask(desk):
    change = desk.file("120")
    assert "/undo" not in of(desk, change)
    change = desk.until(desk.approved("121"), "APPLIED")
    address = f'data-api="/api/changes/{change.uuid}/undo"'
    assert address in of(desk, change, "bob") and address not in of(desk, change, "vic")
    assert Caller(desk.agency.users.bob).post(f"/api/changes/{change.uuid}/undo").status_code == 202
    assert address not in of(desk, change, "bob"), "it was asked for"
    undo = Change.everything.get(undo_of=change)
    Change.everything.filter(pk=undo.pk).update(state="EXPIRED")
    assert address in of(desk, change, "bob"), "it came to nothing"


def test_a_change_of_a_batch_leads_to_the_undo_of_all_of_it(desk):
    alice = Caller(desk.agency.users.alice)
    wishes = [{"object_id": one.meta_id, "status": "PAUSED"} for one in (desk.campaign, desk.ad_set)]
    batch = alice.post("/api/changes/batch", {"changes": wishes, "reason": "sold out"}).body["id"]
    change = desk.until(Change.everything.get(batch=batch, object_id=desk.campaign.meta_id), "APPLIED")
    text = of(desk, change)
    assert f'<a href="/batches/{batch}/">the batch</a>' in text and "/undo" not in text


def test_an_undo_says_what_it_sets_back_and_what_stays_lost(desk):
    change = desk.until(desk.file("PAUSED", field=Field.STATUS), "PROPOSED")
    answer = Caller(desk.agency.users.alice).post(
        f"/api/changes/{change.uuid}/approve", {"digest": change.digest}
    )
    assert answer.status_code == 200
    text = of(desk, desk.until(change, "APPLIED"))
    assert "An undo sets it back to <span>Active</span>." in text
    assert "What is not shown while it is paused cannot be made up for." in text


def rolled_back(desk, who, change):
    """What an approval by this person would be answered, without letting it pass."""
    with transaction.atomic():
        status = (
            Caller(getattr(desk.agency.users, who))
            .post(f"/api/changes/{change.uuid}/approve", {"digest": change.digest})
            .status_code
        )
        transaction.set_rollback(True)
    return status


@pytest.mark.parametrize(
    "case", ["a raise", "a large raise", "beyond vera's limit", "no room any more", "a pause"]
)
def test_the_button_is_offered_to_exactly_those_whose_approval_would_pass(desk, case):
    """Pages may not ask the approvals themselves; what they say and what those do must not come apart."""
    agency = desk.agency
    change = {
        "a large raise": lambda: desk.file("160", acknowledged=True),
        "a pause": lambda: desk.file("PAUSED", field=Field.STATUS),
    }.get(case, lambda: desk.file("120"))()
    assert change.state == "PROPOSED", change.error_text
    if case == "beyond vera's limit":
        authority.set_limit(
            client=agency.northwind, principal=agency.principals.alice, email="vera@example.com", currency="USD",
            amount=Decimal(5), now=desk.now,
        )  # fmt: skip
    if case == "no room any more":
        caps.set_(
            principal=agency.principals.alice, client=agency.northwind, scope=Scope.ACCOUNT, period=Period.DAY,
            amount=Decimal(1), reason="agreed", now=desk.now, ad_account=desk.account,
        )  # fmt: skip
    offered, passes = set(), set()
    for who in ("alice", "bob", "vera", "vic"):
        text = of(desk, change, who)
        if "Approve exactly this" in text:
            offered.add(who)
        elif who != "vic":
            assert (
                "may not approve" in text
                or "cannot be approved" in text
                or "approved by somebody" in text
                or ("goes beyond" in text)
            ), (who, "says why not")
        if rolled_back(desk, who, change) == 200:
            passes.add(who)
    assert offered == passes
    assert passes == {
        "a raise": {"alice", "vera"}, "a large raise": {"vera"}, "beyond vera's limit": {"alice"},
        "no room any more": set(), "a pause": {"alice", "bob", "vera"},
    }[case]  # fmt: skip
