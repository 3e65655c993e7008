"""Northwind with structure, a connection and a saved strategy, and callers that sign in in each of the three ways."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from tests import kept
from tests.api.callers import Caller
from tests.api.published import Published

#: On the tiny world's figures one ad set is low-performing, and one campaign is good.
RULES = {"minCtr": "1.50", "maxCpc": "1.00", "targetCpm": "14", "budgetThreshold": "150"}
ACTIONS = {
    "pauseLowPerforming": True,
    "increaseBudget": True,
    "adjustBidding": False,
    "expandAudience": False,
}


def furnish(agency: Any, clock: Any) -> Any:
    """Names for what the paths speak of; a second client with people, but without an ad account, stands beside."""
    from accounts.models import MetaConnection
    from campaigns.models import AdSet, Campaign
    from strategies.drafts import create

    campaign = Campaign.everything.get(name="Teapots - Sales")
    return SimpleNamespace(
        **vars(agency),
        clock=clock,
        connection=MetaConnection.everything.get(),
        campaign=campaign,
        ad_set=AdSet.everything.get(name="Tea lovers"),
        strategy=create(
            principal=agency.principals.bob,
            ad_account=agency.ad_account,
            data={"name": "House rules", "type": "budget_optimization", "rules": RULES, "actions": ACTIONS},
            now=clock.now(),
        ),
    )


@pytest.fixture
def house(structured: Any, sandbox: Any, clock: Any) -> Any:
    """Structure read, no figures yet: enough for who may, what is refused, and what is filed."""
    build = partial(furnish, structured, clock)
    return kept.reach("house", build=build, agency=structured, box=sandbox, clock=clock)


@pytest.fixture
def full_house(synced: Any, sandbox: Any, clock: Any) -> Any:
    """`house` with 28 days of figures."""
    build = partial(furnish, synced, clock)
    return kept.reach("full house", build=build, agency=synced, box=sandbox, clock=clock)


@pytest.fixture
def call(agency: Any) -> Any:
    """call("bob").get(path): by session; call("bob", "key") and call("bob", "jwt") by the other two ways."""
    return lambda who, by="session": Caller(agency.users, who, by)


@pytest.fixture(scope="session")
def published() -> Published:
    """The OpenAPI schema as drf-spectacular publishes it."""
    return Published.generate()
