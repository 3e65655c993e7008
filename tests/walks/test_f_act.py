"""Walk F: a change has one door and a known fate, whatever Meta answers."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client as Browser

from campaigns.changes.ledger import lines, story, verify
from campaigns.models import AdSet, Attempt, Campaign, Change
from tests.conftest import PASSWORD
from tests.walks.desk import edit, until_quiet, writes


@pytest.fixture
def bob(synced):
    browser = Browser()
    assert browser.login(email="bob@example.com", password=PASSWORD)
    return browser


@pytest.fixture
def vera(synced):
    browser = Browser()
    assert browser.login(email="vera@example.com", password=PASSWORD)
    return browser


@pytest.fixture
def owner(synced):
    """An active object that owns a daily budget."""
    return next(
        row
        for model in (Campaign, AdSet)
        for row in model.objects.of(synced.northwind).filter(status="ACTIVE").order_by("pk")
        if row.daily_budget is not None
    )


def active_campaign(synced):
    return Campaign.objects.of(synced.northwind).filter(status="ACTIVE").order_by("pk").first()


def pause(browser, campaign):
    answer = browser.post(
        f"/api/meta/campaigns/{campaign.meta_id}/status",
        {"status": "PAUSED"},
        content_type="application/json",
    )
    assert answer.status_code == 202, answer.content
    assert answer["Location"].endswith(f"/api/changes/{answer.json()['id']}")
    return Change.everything.get(uuid=answer.json()["id"])


def test_bobs_pause_is_sent_once_and_confirmed_by_reading_back(bob, synced, sandbox, clock):
    campaign = active_campaign(synced)
    change = pause(bob, campaign)
    assert change.state == "APPROVED" and writes(sandbox, campaign.meta_id) == []
    until_quiet(clock)
    change.refresh_from_db()
    assert change.state == "APPLIED"
    assert len(writes(sandbox, campaign.meta_id)) == 1
    assert sandbox.world.nodes[campaign.meta_id].get("status", clock.now().timestamp()) == "PAUSED"
    told = [line.state for line in lines(synced.principals.vic, change=change).order_by("seq")]
    assert told == ["PROPOSED", "APPROVED", "PREPARING", "SENDING", "ACKED", "VERIFYING", "APPLIED"]
    assert campaign.name in story(change)
    assert verify(ad_account_id=synced.ad_account.pk) == []
    assert bob.get(f"/api/changes/{change.uuid}").json()["state"] == "APPLIED"


def test_a_raise_waits_for_the_clients_approver(bob, vera, synced, sandbox, clock, owner):
    if not isinstance(owner, Campaign):
        pytest.fail("the world tiny has no campaign budget")
    target = owner.daily_budget + Decimal(1)
    answer = bob.post(
        f"/api/meta/campaigns/{owner.meta_id}/budget",
        {"daily_budget": float(target)},
        content_type="application/json",
    )
    assert answer.status_code == 202, answer.content
    change = Change.everything.get(uuid=answer.json()["id"])
    until_quiet(clock)
    change.refresh_from_db()
    assert change.state == "PROPOSED" and writes(sandbox, owner.meta_id) == []
    wrong = vera.post(
        f"/api/changes/{change.uuid}/approve", {"digest": "0" * 64}, content_type="application/json"
    )
    assert wrong.status_code == 409
    right = vera.post(
        f"/api/changes/{change.uuid}/approve", {"digest": change.digest}, content_type="application/json"
    )
    assert right.status_code in (200, 202), right.content
    until_quiet(clock)
    change.refresh_from_db()
    assert change.state == "APPLIED", change.error_text
    assert sandbox.world.nodes[owner.meta_id].get("daily_budget", clock.now().timestamp()) == int(
        target * 100
    )


def test_charlie_can_neither_pause_northwind_nor_learn_that_it_exists(synced):
    campaign = active_campaign(synced)
    charlie = Browser()
    assert charlie.login(email="charlie@example.com", password=PASSWORD)
    body = {"status": "PAUSED"}
    foreign = charlie.post(
        f"/api/meta/campaigns/{campaign.meta_id}/status", body, content_type="application/json"
    )
    random = charlie.post("/api/meta/campaigns/999999999999/status", body, content_type="application/json")
    assert foreign.status_code == random.status_code == 404
    drop = ("instance", "request_id")
    assert {k: v for k, v in foreign.json().items() if k not in drop} == {
        k: v for k, v in random.json().items() if k not in drop
    }
    assert not Change.everything.exists()


@pytest.mark.fault("F1")
def test_applied_but_timed_out_is_settled_and_never_sent_twice(bob, synced, sandbox, clock):
    campaign = active_campaign(synced)
    sandbox.faults.arm("applied_timeout", times=1)
    change = pause(bob, campaign)
    seen = []
    for _ in range(60):
        from campaigns.tasks import sweep

        sweep()
        change.refresh_from_db()
        seen.append(change.state)
        clock.advance(1)
    assert "UNKNOWN" in seen and "APPLIED" not in seen, "not before the settle window has passed"
    until_quiet(clock)
    change.refresh_from_db()
    assert change.state == "APPLIED"
    assert len(writes(sandbox, campaign.meta_id)) == 1
    assert Attempt.everything.filter(change=change).count() == 1


@pytest.mark.fault("F5")
def test_a_lying_success_is_never_called_applied(bob, synced, sandbox, clock):
    campaign = active_campaign(synced)
    sandbox.faults.arm("lying_success", times=None)
    change = pause(bob, campaign)
    until_quiet(clock, seconds=3600)
    change.refresh_from_db()
    assert change.state == "NEEDS_HUMAN"
    assert "APPLIED" not in [line.state for line in lines(synced.principals.vic, change=change)]
    assert 1 <= len(writes(sandbox, campaign.meta_id)) <= 3


def test_a_persons_own_edit_wins(bob, synced, sandbox, clock):
    campaign = active_campaign(synced)
    change = pause(bob, campaign)
    edit(sandbox, campaign.meta_id, "status", "ARCHIVED")
    until_quiet(clock)
    change.refresh_from_db()
    assert change.state in ("SUPERSEDED", "FAILED", "NEEDS_HUMAN") and change.state != "APPLIED"
    assert writes(sandbox, campaign.meta_id) == []


def test_the_kill_switch_keeps_a_change_from_being_sent(bob, synced, sandbox, clock):
    campaign = active_campaign(synced)
    stop = bob.post(
        "/api/stop",
        {"scope": "client", "client": "northwind", "reason": "fire drill"},
        content_type="application/json",
    )
    assert stop.status_code in (200, 201, 202), stop.content
    body = {"status": "PAUSED"}
    bob.post(f"/api/meta/campaigns/{campaign.meta_id}/status", body, content_type="application/json")
    from campaigns.tasks import sweep

    for _ in range(30):
        sweep()
        clock.advance(1)
    assert writes(sandbox, campaign.meta_id) == []
