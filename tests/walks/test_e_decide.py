"""Walk E: new data is judged, the reason is kept, and nothing reaches Meta before a person has approved it."""

from __future__ import annotations

import pytest
from django.test import Client as Browser

from campaigns.models import Change
from strategies.cycle import run
from strategies.drafts import create
from strategies.models import Decision, Proposal
from tests.conftest import PASSWORD
from tests.walks.desk import until_quiet, writes

PAUSES_ALL = {
    "name": "Stop what costs too much",
    "type": "performance_optimization",
    "status": "active",
    "rules": {"minCtr": 50},
    "actions": {
        "pauseLowPerforming": True,
        "increaseBudget": False,
        "adjustBidding": False,
        "expandAudience": False,
    },
}


@pytest.fixture
def strategy(synced, clock):
    return create(
        ad_account=synced.ad_account, principal=synced.principals.bob, data=PAUSES_ALL, now=clock.now()
    )


def test_a_decision_becomes_a_proposal_and_an_approval_becomes_a_confirmed_change(
    synced, sandbox, clock, strategy
):
    run(strategy=strategy, now=clock.now())
    assert Decision.objects.of(synced.northwind).exists()
    proposal = Proposal.objects.of(synced.northwind).filter(change__isnull=False).order_by("pk").first()
    assert proposal is not None and proposal.state == "open"
    assert "CTR" in proposal.sentence
    until_quiet(clock)
    change = Change.everything.get(pk=proposal.change_id)
    assert change.state == "PROPOSED" and writes(sandbox, change.object_id) == []

    vera = Browser()
    assert vera.login(email="vera@example.com", password=PASSWORD)
    shown = vera.get(f"/api/proposals/{proposal.uuid}").json()
    answer = vera.post(
        f"/api/proposals/{proposal.uuid}/approve",
        {"digest": shown["digest"]},
        content_type="application/json",
    )
    assert answer.status_code in (200, 202), answer.content
    until_quiet(clock)
    change.refresh_from_db()
    assert change.state == "APPLIED", (change.state, change.error_text)
    assert len(writes(sandbox, change.object_id)) == 1


def test_the_same_data_twice_gives_no_second_proposal(synced, clock, strategy):
    run(strategy=strategy, now=clock.now())
    first = set(Proposal.objects.of(synced.northwind).values_list("uuid", flat=True))
    assert first
    clock.advance(60)
    run(strategy=strategy, now=clock.now())
    assert set(Proposal.objects.of(synced.northwind).values_list("uuid", flat=True)) == first


def test_a_viewer_may_read_the_proposal_and_not_approve_it(synced, clock, strategy):
    run(strategy=strategy, now=clock.now())
    proposal = Proposal.objects.of(synced.northwind).filter(change__isnull=False).order_by("pk").first()
    vic = Browser()
    assert vic.login(email="vic@example.com", password=PASSWORD)
    shown = vic.get(f"/api/proposals/{proposal.uuid}")
    assert shown.status_code == 200
    answer = vic.post(
        f"/api/proposals/{proposal.uuid}/approve",
        {"digest": shown.json()["digest"]},
        content_type="application/json",
    )
    assert answer.status_code == 403
    charlie = Browser()
    assert charlie.login(email="charlie@example.com", password=PASSWORD)
    assert charlie.get(f"/api/proposals/{proposal.uuid}").status_code == 404
