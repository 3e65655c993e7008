"""Walk B: the stored tree equals Meta's, and what a person does in Ads Manager is found and attributed."""

from __future__ import annotations

from decimal import Decimal

from campaigns.changes.ledger import lines
from campaigns.models import Ad, AdSet, Campaign
from campaigns.sync import run
from tests.walks.desk import edit


def test_the_stored_tree_equals_metas(connected, sandbox, clock):
    done = run(ad_account=connected.ad_account, now=clock.now())
    assert done.state == "complete"
    nodes = [node for node in sandbox.world.nodes.values() if node.account_id == connected.ad_account.act_id]
    for model, kind in ((Campaign, "campaign"), (AdSet, "adset"), (Ad, "ad")):
        theirs = {node.id for node in nodes if node.kind == kind}
        assert theirs, kind
        assert set(model.objects.of(connected.northwind).values_list("meta_id", flat=True)) == theirs


def test_a_budget_edited_in_ads_manager_becomes_a_ledger_line_with_its_author(connected, sandbox, clock):
    run(ad_account=connected.ad_account, now=clock.now())
    owner = next(
        row
        for model in (Campaign, AdSet)
        for row in model.objects.of(connected.northwind).order_by("pk")
        if row.daily_budget is not None
    )
    minor = int(owner.daily_budget * 100) + 700
    clock.advance(60)
    edit(sandbox, owner.meta_id, "daily_budget", minor, actor="Hanna Human")
    clock.advance(60)
    run(ad_account=connected.ad_account, now=clock.now())
    owner.refresh_from_db()
    assert owner.daily_budget == Decimal(minor) / 100
    told = [
        line
        for line in lines(connected.principals.bob, ad_account=connected.ad_account)
        if line.object_id == owner.meta_id
    ]
    assert [(line.by, line.field, bool(line.actor_id), line.application_id) for line in told] == [
        ("outside", "daily_budget", True, "")
    ]
    assert not lines(connected.principals.charlie).exists()
