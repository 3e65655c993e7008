"""The page of one change: what cannot be undone is said before the button, and an applied change offers its undo."""

from __future__ import annotations

import pytest
from django.test import Client as Browser

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
