"""What people do with a proposal, and what its change does to it."""

from __future__ import annotations

import pytest

from accounts.errors import Forbidden, NotFound
from campaigns.changes import approvals, ledger, request
from campaigns.models import Change
from campaigns.states import ChangeState, Field, Level, Source
from strategies import cycle, proposals
from strategies.errors import DigestMismatch, ProposalClosed
from strategies.models import Decision, Proposal
from tests.strategies.conftest import ALL_ON, RULES

pytestmark = pytest.mark.django_db


@pytest.fixture
def offered(shop, strategy):
    """A raise of ad set 21 and a pause of ad set 22 wait."""
    cycle.run(strategy=strategy, now=shop.clock.now())
    return {row.object_id: row for row in proposals.open_(shop.principals.bob)}


def approve(shop, proposal, who, digest=None):
    return proposals.approve(
        proposal=proposal,
        principal=getattr(shop.principals, who),
        digest=digest or proposal.digest,
        now=shop.clock.now(),
    )


def test_an_approved_proposal_lets_its_change_pass(shop, offered):
    row = approve(shop, offered["22"], "bob")
    assert (row.state, row.change.state, row.decided_by) == ("approved", "APPROVED", shop.users.bob)
    assert Change.objects.of(shop.northwind).get(object_id="21").state == "PROPOSED"


def test_a_buyer_may_stop_but_not_spend_more(shop, offered):
    with pytest.raises(Forbidden):
        approve(shop, offered["21"], "bob")
    assert proposals.get(shop.principals.bob, str(offered["21"].uuid)).state == "open"
    assert approve(shop, offered["21"], "vera").state == "approved"


@pytest.mark.parametrize("who", ["vic", "ivan"])
def test_a_viewer_or_an_integrator_may_not_decide(shop, offered, who):
    with pytest.raises(Forbidden):
        approve(shop, offered["22"], who)
    with pytest.raises(Forbidden):
        proposals.reject(
            proposal=offered["22"], principal=getattr(shop.principals, who), reason="", now=shop.clock.now()
        )
    assert Change.objects.of(shop.northwind).get(object_id="22").state == "PROPOSED"


def test_somebody_elses_proposals_do_not_exist(shop, offered):
    assert list(proposals.open_(shop.principals.charlie)) == []
    with pytest.raises(NotFound):
        proposals.get(shop.principals.charlie, str(offered["22"].uuid))
    with pytest.raises(NotFound):
        approve(shop, offered["22"], "charlie")
    assert len(proposals.open_(shop.principals.alice)) == 2


@pytest.mark.fault("F32")
def test_another_digest_approves_nothing(shop, offered):
    with pytest.raises(DigestMismatch):
        approve(shop, offered["22"], "bob", digest=offered["21"].digest)
    assert Change.objects.of(shop.northwind).get(object_id="22").state == "PROPOSED"


@pytest.mark.fault("F32")
def test_an_expired_proposal_cannot_be_approved(shop, offered):
    shop.clock.advance(24 * 3600 + 1)
    with pytest.raises(ProposalClosed):
        approve(shop, offered["22"], "bob")


@pytest.mark.fault("F33")
def test_the_second_decision_is_refused(shop, offered):
    stale = proposals.get(shop.principals.vera, str(offered["22"].uuid))
    approve(shop, offered["22"], "bob")
    with pytest.raises(Exception) as refused:
        proposals.reject(proposal=stale, principal=shop.principals.vera, reason="No", now=shop.clock.now())
    assert refused.value.status == 409
    assert Change.objects.of(shop.northwind).get(object_id="22").state == "APPROVED"


def test_a_rejected_proposal_ends_its_change_and_is_not_offered_again(shop, strategy, offered):
    row = proposals.reject(
        proposal=offered["22"], principal=shop.principals.vera, reason="It is our best.", now=shop.clock.now()
    )
    assert (row.state, row.reason, row.decided_by) == ("rejected", "It is our best.", shop.users.vera)
    assert Change.objects.of(shop.northwind).get(object_id="22").state == "REJECTED"
    shop.clock.advance(900)
    cycle.run(strategy=strategy, now=shop.clock.now())
    assert "22" not in {one.object_id for one in proposals.open_(shop.principals.bob)}
    said = Decision.objects.of(shop.northwind).get(object_id="22", current=True)
    assert (said.verdict, said.reason_code) == ("held", "rejected")
    assert Change.objects.of(shop.northwind).filter(object_id="22").count() == 1


@pytest.mark.parametrize(
    ("path", "fate"),
    [
        ((ChangeState.APPROVED,), "approved"),
        ((ChangeState.APPROVED, ChangeState.PREPARING, ChangeState.NOOP), "done"),
        ((ChangeState.APPROVED, ChangeState.PREPARING, ChangeState.APPLIED), "done"),
        ((ChangeState.APPROVED, ChangeState.PREPARING, ChangeState.SUPERSEDED), "superseded"),
        ((ChangeState.APPROVED, ChangeState.PREPARING, ChangeState.SENDING, ChangeState.FAILED), "failed"),
        ((ChangeState.APPROVED, ChangeState.EXPIRED), "expired"),
        ((ChangeState.REJECTED,), "rejected"),
        ((ChangeState.EXPIRED,), "expired"),
    ],
)
def test_the_changes_fate_closes_the_proposal(shop, offered, path, fate, django_capture_on_commit_callbacks):
    change = offered["22"].change
    for state in path:
        with django_capture_on_commit_callbacks(execute=True), ledger.locked(change.ad_account_id):
            ledger.transition(change, to=state, now=shop.clock.now())
    assert proposals.get(shop.principals.bob, str(offered["22"].uuid)).state == fate
    assert proposals.get(shop.principals.bob, str(offered["21"].uuid)).state == "open"


def test_a_change_approved_by_itself_takes_its_proposal_along(
    shop, offered, django_capture_on_commit_callbacks
):
    change = offered["22"].change
    with django_capture_on_commit_callbacks(execute=True):
        approvals.approve(
            change=change, principal=shop.principals.bob, digest=change.digest, now=shop.clock.now()
        )
    row = proposals.get(shop.principals.bob, str(offered["22"].uuid))
    assert (row.state, row.decided_by) == ("approved", shop.users.bob)


def test_a_lost_signal_is_caught_up(shop, offered):
    change = offered["22"].change
    approvals.approve(
        change=change, principal=shop.principals.bob, digest=change.digest, now=shop.clock.now()
    )
    assert proposals.get(shop.principals.bob, str(offered["22"].uuid)).state == "open"
    proposals.expire_due(now=shop.clock.now())
    assert proposals.get(shop.principals.bob, str(offered["22"].uuid)).state == "approved"


def test_a_change_that_bob_asked_for_is_joined_and_not_rejected_with_the_proposal(shop, strategy):
    mine = request.file(
        principal=shop.principals.bob,
        ad_account=shop.ad_account,
        level=Level.AD_SET,
        object_id="22",
        field=Field.STATUS,
        target="PAUSED",
        reason="By hand",
        source=Source.PERSON,
        key="bob-1",
        evidence=None,
        now=shop.clock.now(),
    )
    cycle.run(strategy=strategy, now=shop.clock.now())
    row = proposals.open_(shop.principals.bob).get(object_id="22")
    assert row.change == mine
    proposals.reject(proposal=row, principal=shop.principals.vera, reason="No", now=shop.clock.now())
    mine.refresh_from_db()
    assert mine.state == "PROPOSED"


def test_advice_has_no_change_and_approving_it_takes_note(shop):
    from strategies.drafts import create

    advice = create(
        principal=shop.principals.bob,
        ad_account=shop.ad_account,
        data={
            "name": "Wider",
            "type": "audience_expansion",
            "rules": RULES,
            "actions": {**dict.fromkeys(ALL_ON, False), "expandAudience": True},
        },
        now=shop.clock.now(),
    )
    cycle.run(strategy=advice, now=shop.clock.now())
    (row,) = proposals.open_(shop.principals.bob)
    assert (row.action, row.object_id, row.change, row.target) == ("expand_audience", "21", None, "")
    assert row.effect == "Nothing is changed at Meta; this is advice for a person."
    with pytest.raises(Forbidden):
        approve(shop, row, "vic")
    with pytest.raises(NotFound):
        approve(shop, row, "charlie")
    row = approve(shop, row, "bob")
    assert (row.state, row.reason) == ("done", "Taken note of.")
    assert not Change.objects.of(shop.northwind).exists()
    cycle.run(strategy=advice, now=shop.clock.now())
    assert Proposal.objects.of(shop.northwind).count() == 1
