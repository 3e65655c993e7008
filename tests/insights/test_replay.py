"""The whole schedule on the limited tier: no throttle, never above 50 of 60 points, and how fresh the numbers are."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

import campaigns.changes.approvals as approvals
import campaigns.changes.request as request
import campaigns.sync as structure
from accounts.ad_accounts import enable
from accounts.connections import connect
from accounts.models import AdAccount
from campaigns.models import Campaign, Change
from campaigns.states import TERMINAL, Field, Level, Source
from insights.fetch import first_sync
from metaads.gateway import plugged
from metaads.sandbox.app import Sandbox
from tests.door import WSGIAdapter
from tests.insights.replay import STEP, Measured, Replay


@pytest.fixture
def demo(agency: Any, clock: Any) -> Any:
    """Three accounts in three zones, connected and read; the clock beside the quarters of the hour."""
    clock.advance(13)
    box = Sandbox(world="demo", seed=5, clock=clock)
    with plugged(WSGIAdapter(box)):
        who = agency.principals.alice
        connect(
            client=agency.northwind,
            principal=who,
            token=box.token("alice"),
            now=clock.now(),
            user=agency.users.alice,
        )
        accounts = list(AdAccount.objects.of(agency.northwind).order_by("meta_id"))
        for account in accounts:
            enable(ad_account=account, principal=who, now=clock.now())
            account.refresh_from_db()
            structure.run(ad_account=account, now=clock.now())
            assert first_sync(ad_account=account, days=8, now=clock.now()).state == "done"
        clock.advance(600)
        yield Replay(sandbox=box, clock=clock, accounts=accounts)


def a_budget_is_raised(agency: Any, replay: Replay) -> Change:
    campaign = Campaign.everything.filter(daily_budget__isnull=False).order_by("meta_id").first()
    account = AdAccount.everything.select_related("client").get(pk=campaign.ad_account_id)
    change = request.file(
        principal=agency.principals.alice,
        ad_account=account,
        level=Level.CAMPAIGN,
        object_id=campaign.meta_id,
        field=Field.DAILY_BUDGET,
        target=str(campaign.daily_budget * Decimal("1.2")),
        reason="more",
        source=Source.PERSON,
        key="replay",
        evidence=None,
        now=replay.clock.now(),
    )
    return approvals.approve(
        change=change, principal=agency.principals.alice, digest=change.digest, now=replay.clock.now()
    )


def moving() -> bool:
    return Change.everything.exclude(state__in=[state.value for state in TERMINAL]).exists()


def replayed(agency: Any, replay: Replay, *, hours: float) -> Measured:
    a_budget_is_raised(agency, replay)
    measured = replay.run(hours=hours, moving=moving)
    measured.changes = Change.everything.filter(state="APPLIED").count()
    return measured


def good(measured: Measured) -> None:
    figures = measured.as_dict()
    assert measured.refused == [], figures
    assert figures["highest_score_of_60"] <= 50, figures
    assert figures["changes_applied"] == 1, figures
    # One tick, and the second by which beat is late.
    assert figures["staleness_watched_p95_s"] <= STEP + 1, figures
    assert figures["staleness_p95_s"] <= STEP + 1, figures


@pytest.mark.django_db
@pytest.mark.fault("N24")
def test_an_hour_of_the_schedule_meets_no_limit(agency, demo):
    measured = replayed(agency, demo, hours=1)
    assert len(measured.staleness) >= 8 and measured.missed == 0, measured.as_dict()
    good(measured)


@pytest.mark.prove
@pytest.mark.django_db
@pytest.mark.fault("N24")
def test_a_day_of_the_schedule_meets_no_limit(agency, demo):
    measured = replayed(agency, demo, hours=24)
    figures = measured.as_dict()
    print(f"\n24 hours on the limited tier: {json.dumps(figures)}")  # noqa: T201 - what a proof has measured
    Path(settings.BASE_DIR, "var").mkdir(exist_ok=True)
    Path(settings.BASE_DIR, "var", "replay.json").write_text(json.dumps(figures, indent=1) + "\n")
    assert len(measured.staleness) >= 150 and measured.seen_share >= 0.95, figures
    good(measured)
