"""On the sandbox: figures as Meta serves them, one proposal, an approval that ends as done, and as the truth there."""

from __future__ import annotations

from datetime import timedelta

import pytest

from strategies import cycle, drafts, proposals, snapshots
from strategies.engine.types import LAST_7_DAYS, Trust
from strategies.models import Proposal
from tests.walks.desk import edit, until_quiet, writes

pytestmark = pytest.mark.django_db


@pytest.fixture
def strategy(synced, clock):
    """In the world `tiny` the ad set that owns its budget has a CTR near 1 %, the campaign near 1.8 %."""
    return drafts.create(
        principal=synced.principals.bob,
        ad_account=synced.ad_account,
        data={
            "name": "House rules",
            "type": "budget_optimization",
            "rules": {"minCtr": "1.20", "maxCpc": "1.25", "targetCpm": "20", "budgetThreshold": "110"},
            "actions": {},
        },
        now=clock.now(),
    )


def waiting(synced):
    return {row.level: row for row in proposals.open_(synced.principals.alice)}


def test_the_snapshot_holds_the_sandboxs_own_totals(synced, sandbox, clock):
    snapshot = snapshots.build(ad_account=synced.ad_account, now=clock.now())
    assert snapshot.trust is Trust.READY
    assert snapshot.until == clock.now().date() - timedelta(days=1)
    owners = [subject for subject in snapshot.subjects if subject.owns_budget]
    assert {subject.level for subject in owners} == {"campaign", "adset"}
    for level in ("campaign", "adset"):
        truth = sandbox.truth.totals(
            synced.ad_account.act_id,
            since=snapshot.since,
            until=snapshot.until,
            now=sandbox.clock.timestamp(),
            level=level,
        )
        for subject in (one for one in snapshot.subjects if one.level == level):
            for metric in ("impressions", "clicks"):
                served = subject.values[LAST_7_DAYS][metric]
                assert served == truth[subject.object_id][metric] > 0


def test_one_pause_and_one_raise_and_no_more_on_the_second_look(synced, clock, strategy):
    for _ in range(2):
        cycle.run(strategy=strategy, now=clock.now())
        clock.advance(30)
    found = waiting(synced)
    assert (found["adset"].action, found["adset"].target) == ("pause", "PAUSED")
    assert (found["campaign"].action, found["campaign"].before, found["campaign"].target) == (
        "raise_budget",
        "100",
        "110",  # not 120: the threshold is the highest that a raise may reach
    )
    assert Proposal.objects.of(synced.northwind).count() == 2


def test_an_approved_pause_ends_as_done_and_meta_was_asked_once(
    synced, sandbox, clock, strategy, django_capture_on_commit_callbacks
):
    cycle.run(strategy=strategy, now=clock.now())
    row = waiting(synced)["adset"]
    assert writes(sandbox, row.object_id) == []
    proposals.approve(proposal=row, principal=synced.principals.bob, digest=row.digest, now=clock.now())
    with django_capture_on_commit_callbacks(execute=True):
        until_quiet(clock)
    row.refresh_from_db()
    assert (row.state, row.decided_by) == ("done", synced.users.bob)
    assert len(writes(sandbox, row.object_id)) == 1
    assert sandbox.truth.state(row.object_id, now=sandbox.clock.timestamp())["fields"]["status"] == "PAUSED"


def test_drafts_are_made_of_the_accounts_own_figures(synced, clock):
    made = drafts.regenerate(ad_account=synced.ad_account, now=clock.now())
    assert {row.type for row in made} == {
        "performance_optimization",
        "budget_optimization",
        "audience_expansion",
    }
    for row in made:
        trial = drafts.unsaved(ad_account=synced.ad_account, data=drafts.draft_data(row), now=clock.now())
        outcome = cycle.run(strategy=trial, now=clock.now(), dry_run=True)
        assert len(outcome.judgements) == 5


PAUSES = {
    "level": "adset",
    "scope": {"where": {"fact": "budget_kind", "op": "is", "text": "daily"}},
    "cases": [
        {
            "name": "below the account",
            "when": {"metric": "ctr", "op": "<", "than": {"metric": "ctr", "of": "account"}},
            "do": [{"action": "pause_until", "hours": 6}],
        }
    ],
}


@pytest.mark.parametrize("touched", [False, True])
def test_a_pause_for_a_time_ends_at_meta_unless_somebody_switched_the_object_there(
    synced, sandbox, clock, django_capture_on_commit_callbacks, touched
):
    from campaigns.sync import run as read_structure
    from campaigns.tasks import sweep
    from insights.fetch import refresh

    strategy = drafts.create(
        principal=synced.principals.bob,
        ad_account=synced.ad_account,
        data={"name": "Rest", "document": PAUSES},
        now=clock.now(),
    )

    def look():
        sweep()
        refresh(ad_account=synced.ad_account, now=clock.now())
        read_structure(ad_account=synced.ad_account, now=clock.now())
        cycle.run(strategy=strategy, now=clock.now())
        return list(proposals.open_(synced.principals.alice))

    def carry_out(row):
        proposals.approve(proposal=row, principal=synced.principals.alice, digest=row.digest, now=clock.now())
        with django_capture_on_commit_callbacks(execute=True):
            until_quiet(clock)

    def at_meta():
        return sandbox.truth.state(row.object_id, now=sandbox.clock.timestamp())["fields"]["status"]

    (row,) = look()
    assert (row.action, row.target) == ("pause_until", "PAUSED")
    carry_out(row)
    assert at_meta() == "PAUSED"
    clock.advance(3 * 3600)
    assert look() == []
    if touched:
        for status in ("ACTIVE", "PAUSED"):
            edit(sandbox, row.object_id, "status", status)
            clock.advance(60)
            read_structure(ad_account=synced.ad_account, now=clock.now())
    clock.advance(3 * 3600)
    found = look()
    if touched:
        assert found == []
        return
    (start,) = found
    assert (start.action, start.before, start.target) == ("start", "PAUSED", "ACTIVE")
    carry_out(start)
    assert at_meta() == "ACTIVE"
    assert len(writes(sandbox, row.object_id)) == 2
