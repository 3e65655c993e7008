"""A shop with planted structure and figures: campaign 10 without a budget, its ad sets 21-24 with one ad each.

| ad set | 7-day figures a day | under minCtr 0.80, maxCpc 1.00, targetCpm 10 |
|---|---|---|
| 21 | 2,000 impressions, 40 clicks, USD 12 | good: CTR 2 %, CPC 0.30, CPM 6 |
| 22 | 2,000 impressions, 8 clicks, USD 12 | low: CTR 0.4 %, CPC 1.50 |
| 23 | 20 impressions, 0 clicks, USD 0.10 | too little data |
| 24 | no rows at all | too little data |
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from insights.rows import read
from tests import kept
from tests.conftest import grant

RULES = {"minCtr": "0.80", "maxCpc": "1.00", "targetCpm": "10", "budgetThreshold": "100"}
ALL_ON = {"pauseLowPerforming": True, "increaseBudget": True, "adjustBidding": False, "expandAudience": False}
FIGURES = {"21": ("12.00", 2000, 40), "22": ("12.00", 2000, 8), "23": ("0.10", 20, 0)}


def plant(shop: Any, figures: dict[str, tuple[str, int, int]] | None = None, *, complete: bool = True) -> int:
    """Store seven full days (and today's start) for ad set -> (spend, impressions, clicks) a day; the data version."""
    from accounts.ad_accounts import heard
    from insights.store.write import Read, upsert

    heard(ad_account_id=shop.ad_account.pk, now=shop.clock.now())
    days = [shop.today - timedelta(days=back) for back in range(8)]
    planted = (figures or FIGURES).items()
    whole = tuple(sum(Decimal(numbers[place]) for _, numbers in planted) for place in range(3))
    ids: list[tuple[str, dict[str, str], tuple[Any, ...]]] = [
        ("account", {"account_id": "1"}, whole),
        ("campaign", {"campaign_id": "10"}, whole),
    ]
    for ad_set, numbers in planted:
        parents = {"campaign_id": "10", "adset_id": ad_set}
        ids += [("adset", parents, numbers), ("ad", {**parents, "ad_id": f"3{ad_set[-1]}"}, numbers)]
    rows = [
        read(
            {
                **keys,
                "date_start": day.isoformat(),
                "date_stop": day.isoformat(),
                "spend": str(spend),
                "impressions": str(impressions),
                "clicks": str(clicks),
            },
            level=level,
        )
        for level, keys, (spend, impressions, clicks) in ids
        for day in days
    ]
    slices = [
        Read("day", level, day, complete) for level in ("account", "campaign", "adset", "ad") for day in days
    ]
    result = upsert(ad_account=shop.ad_account, rows=rows, slices=slices, now=shop.clock.now())
    return result.data_version


@pytest.fixture
def shop(agency: Any, clock: Any) -> Any:
    """Northwind's ad account, enabled, structure read a moment ago, figures of eight days stored."""
    return kept.reach("shop", build=partial(open_shop, agency, clock), agency=agency, clock=clock)


def open_shop(agency: Any, clock: Any) -> Any:
    """What `shop` gives."""
    from accounts.models import AdAccount
    from campaigns.changes.headroom import ensure_defaults
    from campaigns.models import Ad, AdSet, Campaign, SyncRun

    now = clock.now()
    account = AdAccount.everything.create(
        client=agency.northwind,
        meta_id="1",
        name="Shop",
        currency="USD",
        timezone_name="America/New_York",
        enabled_at=now,
    )
    grant(account)
    common = {"client": agency.northwind, "ad_account": account, "seen_at": now}
    running = {"status": "ACTIVE", "effective_status": "ACTIVE"}
    campaign = Campaign.everything.create(meta_id="10", name="Autumn", **common, **running)
    for number in "1234":
        ad_set = AdSet.everything.create(
            meta_id=f"2{number}",
            name=f"Ad set {number}",
            campaign=campaign,
            daily_budget=50,
            learning_stage="SUCCESS",
            **common,
            **running,
        )
        Ad.everything.create(
            meta_id=f"3{number}", name=f"Ad {number}", campaign=campaign, ad_set=ad_set, **common, **running
        )
    SyncRun.everything.create(
        client=agency.northwind, ad_account=account, state="complete", started_at=now, finished_at=now
    )
    ensure_defaults(ad_account=account, now=now)
    found = SimpleNamespace(**vars(agency), ad_account=account, clock=clock, today=now.date())
    plant(found)
    return found


@pytest.fixture
def strategy(shop: Any) -> Any:
    """Bob's strategy with pausing and raising on."""
    from strategies.drafts import create

    return create(
        principal=shop.principals.bob,
        ad_account=shop.ad_account,
        data={"name": "House rules", "type": "budget_optimization", "rules": RULES, "actions": ALL_ON},
        now=shop.clock.now(),
    )
