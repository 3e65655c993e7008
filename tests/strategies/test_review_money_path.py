"""What a second pair of eyes found where strategies meet the change path."""

from __future__ import annotations

import pytest

from campaigns.changes import approvals
from campaigns.models import Change
from strategies import cycle, drafts, proposals

pytestmark = pytest.mark.django_db


@pytest.fixture
def approved(shop, strategy):
    """The pause of ad set 22, approved and not sent yet."""
    now = shop.clock.now()
    cycle.run(strategy=strategy, now=now)
    row = next(row for row in proposals.open_(shop.principals.bob) if row.object_id == "22")
    proposals.approve(proposal=row, principal=shop.principals.bob, digest=row.digest, now=now)
    return Change.objects.of(shop.northwind).get(object_id="22")


@pytest.mark.fault("F31")
@pytest.mark.parametrize("data", [{"status": "paused"}, {"rules": {"minCtr": "0.30"}}])
def test_what_was_approved_and_not_sent_ends_with_the_strategy_that_asked_for_it(
    shop, strategy, approved, data
):
    assert approved.state == "APPROVED"
    drafts.edit(strategy=strategy, principal=shop.principals.bob, data=data, now=shop.clock.now())
    approved.refresh_from_db()
    assert approved.state == "EXPIRED" and "strategy" in approved.error_text


def test_a_new_name_recalls_nothing(shop, strategy, approved):
    drafts.edit(strategy=strategy, principal=shop.principals.bob, data={"name": "X"}, now=shop.clock.now())
    approved.refresh_from_db()
    assert approved.state == "APPROVED"


def test_another_strategy_s_change_and_a_person_s_are_not_recalled(shop, strategy, approved):
    found = approvals.recall(
        client_id=shop.northwind.pk, strategy_ref="another", reason="edited", now=shop.clock.now()
    )
    assert found == 0
    approved.refresh_from_db()
    assert approved.state == "APPROVED"
