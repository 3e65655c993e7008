"""A synced account with a strategy that asks for something, one change on record and one alert."""

from __future__ import annotations

from functools import partial

import pytest

from accounts.alerts import open_
from strategies.cycle import run
from strategies.drafts import create
from strategies.models import Proposal
from tests import kept
from tests.campaigns.conftest import desk

__all__ = ["desk", "furnished"]

ASKS = {
    "name": "Stop what costs too much",
    "type": "performance_optimization",
    "status": "active",
    "rules": {"minCtr": 50, "maxCpc": 20},
    "actions": {
        "pauseLowPerforming": True,
        "increaseBudget": False,
        "adjustBidding": False,
        "expandAudience": False,
    },
}


@pytest.fixture
def furnished(synced, sandbox, clock):
    build = partial(furnish, synced, clock)
    return kept.reach("furnished", build=build, agency=synced, box=sandbox, clock=clock)


def furnish(synced, clock):
    now = clock.now()
    synced.strategy = create(
        ad_account=synced.ad_account, principal=synced.principals.bob, data=ASKS, now=now
    )
    run(strategy=synced.strategy, now=now)
    rows = Proposal.objects.of(synced.northwind).filter(change__isnull=False).order_by("pk")
    synced.proposal = rows.first()
    synced.change = synced.proposal.change
    synced.campaign_id = synced.proposal.object_id
    if synced.proposal.level != "campaign":
        from campaigns.models import AdSet

        synced.campaign_id = (
            AdSet.objects.of(synced.northwind).get(meta_id=synced.campaign_id).campaign.meta_id
        )
    open_(
        client=synced.northwind,
        key="test:one",
        title="Delivery has stopped",
        advice="Look at the payment method in Ads Manager.",
        severity="warning",
        now=now,
    )
    return synced
