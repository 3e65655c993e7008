"""What a second pair of eyes found in the change path: money that moved too late, too far, or unseen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.db import connection

import accounts.ad_accounts as ad_accounts
import campaigns.changes.approvals as approvals
import campaigns.changes.ledger as ledger
import campaigns.changes.outside as outside
import campaigns.changes.send as sending
import campaigns.changes.switch as switch
import campaigns.changes.undo as undoing
import campaigns.sync as sync
import campaigns.tasks as tasks
from accounts.errors import Forbidden
from campaigns.changes.switch import Scope
from campaigns.diff import Edit
from campaigns.mapping import ActivityRow
from campaigns.models import Hold, LedgerLine, Observation
from campaigns.signals import change_recorded
from campaigns.states import Evidence, Field, Level, Source
from metaads.models import QuotaScope

pytestmark = pytest.mark.django_db


# --- between the commit of the attempt and the POST


@pytest.mark.fault("F24")
@pytest.mark.django_db(transaction=True)
def test_time_that_listeners_take_after_the_commit_counts_against_the_five_seconds(desk, monkeypatch):
    machine = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr("metaads.clock.time", SimpleNamespace(monotonic=lambda: machine.seconds))

    def slow(state, **_):
        machine.seconds += 6 if state == "SENDING" else 0

    change = desk.approved("120")
    change_recorded.connect(slow)
    try:
        desk.step(change)
        desk.wait(seconds=4)
        desk.step(change)
    finally:
        change_recorded.disconnect(slow)
    assert desk.writes() == []
    assert [attempt.outcome for attempt in desk.attempts(change)] == ["not_sent"]


@pytest.mark.django_db(transaction=True)
def test_a_listener_that_fails_does_not_leave_a_committed_attempt_unsent(desk):
    def broken(state, **_):
        raise ConnectionError("the queue is gone")

    change_recorded.connect(broken)
    try:
        change = desk.until(desk.approved("120"), "ACKED")
    finally:
        change_recorded.disconnect(broken)
    assert len(desk.writes()) == 1
    assert [attempt.outcome for attempt in desk.attempts(change)] == ["ok"]


# --- the kill switch and whose it is


def test_a_strategy_is_neither_stopped_nor_released_by_another_client(desk):
    people = desk.agency.principals
    theirs = Scope(client=desk.agency.southwind, strategy_ref="s1")
    ours = Scope(client=desk.agency.northwind, strategy_ref="s1")
    switch.pull(scope=theirs, principal=people.alice, reason="theirs", now=desk.now)
    where = {"ad_account_id": desk.account.pk, "strategy_ref": "s1"}
    assert switch.stopped(client_id=desk.agency.northwind.pk, **where) == ""
    switch.pull(scope=ours, principal=people.alice, reason="ours", now=desk.now)
    assert switch.release(scope=theirs, principal=people.alice, reason="", now=desk.now)
    assert "ours" in switch.stopped(client_id=desk.agency.northwind.pk, **where)


@pytest.mark.parametrize("act", [switch.pull, switch.release])
def test_a_key_that_is_narrowed_to_reading_neither_stops_nor_releases_everything(desk, act):
    alice = desk.agency.principals.alice
    switch.pull(scope=Scope(), principal=alice, reason="an incident", now=desk.now)
    key = replace(alice, kind="key", scopes=frozenset({"view"}))
    with pytest.raises(Forbidden):
        act(scope=Scope(), principal=key, reason="by key", now=desk.now)
    assert "an incident" in switch.stopped(client_id=desk.account.client_id, ad_account_id=desk.account.pk)


# --- a pause needs nothing


def test_a_person_s_pause_does_not_wait_behind_a_rule_s_proposal_of_the_same(desk):
    good = Evidence(data_version=3, as_of=desk.now, checksum="c", valid_until=desk.now + timedelta(hours=1))
    offered = desk.file(
        "PAUSED", field=Field.STATUS, source=Source.STRATEGY, evidence=good, strategy_ref="s1"
    )
    bob = desk.agency.principals.bob
    asked = desk.file("PAUSED", field=Field.STATUS, who="bob")
    asked = approvals.approve_by_policy(change=asked, policy="hand", principal=bob, now=desk.now)
    assert (asked.state, asked.approved_by_id) == ("APPROVED", bob.user_id)
    offered.refresh_from_db()
    assert offered.state == "EXPIRED"
    desk.until(asked, "APPLIED")
    assert len(desk.writes()) == 1


def test_a_full_quota_keeps_back_reads_but_not_those_that_a_pause_needs(desk):
    def full():
        QuotaScope.objects.filter(pk=desk.account.act_id).update(percent=97.0, percent_at=desk.now)

    raised, paused = desk.approved("120"), desk.approved("PAUSED", field=Field.STATUS)
    for change in (raised, paused, raised, paused):
        full()
        desk.step(change)
        desk.wait(seconds=4)
    assert Observation.everything.filter(change=raised).exclude(error_text="").exists()
    assert not Observation.everything.filter(change=paused).exclude(error_text="").exists()
    assert [write["params"].get("status") for write in desk.writes()] == ["PAUSED"]


# --- what the ledger may say


def test_a_value_that_a_person_set_while_meta_throttled_us_is_not_claimed_as_ours(desk):
    desk.sandbox.faults.arm("throttle", {"method": "POST"}, 1)
    change = desk.until(desk.approved("120"), "THROTTLED")
    desk.edit(desk.campaign, "daily_budget", 12_000)
    desk.until(change, "NOOP", "APPLIED", every=20)
    assert (change.state, change.possibly_applied, change.applied_at) == ("NOOP", False, None)
    assert len(desk.writes()) == 1


def test_a_structure_read_that_began_before_our_change_does_not_undo_it_in_the_tree(desk):
    def meanwhile(sentence, done):
        if sentence == "Storing the structure":
            desk.until(desk.approved("120"), "APPLIED")

    found = sync.run(ad_account=desk.account, now=desk.now, progress=meanwhile, clock=lambda: desk.now)
    assert found.state == "complete"
    assert desk.campaign.daily_budget == 120
    assert found.edits == 0 and not LedgerLine.everything.filter(kind="edit").exists()
    assert not Hold.everything.exists()
    desk.wait(minutes=1)
    assert desk.sync().edits == 0


def test_an_outside_edit_is_still_found_by_the_read_after_such_a_one(desk):
    def meanwhile(sentence, done):
        if sentence == "Storing the structure":
            desk.until(desk.approved("120"), "APPLIED")

    sync.run(ad_account=desk.account, now=desk.now, progress=meanwhile, clock=lambda: desk.now)
    desk.wait(minutes=1)
    desk.edit(desk.campaign, "daily_budget", 7_700)
    assert desk.sync().edits == 1
    assert desk.campaign.daily_budget == 77 and Hold.everything.count() == 1


# --- undo


def test_an_undo_that_was_refused_can_be_asked_for_again(desk):
    alice = desk.agency.principals.alice
    change = desk.until(desk.approved("90"), "APPLIED")
    switch.pull(scope=Scope(), principal=alice, reason="an incident", now=desk.now)
    refused = undoing.undo(change=change, principal=alice, now=desk.now)
    assert refused.state == "REJECTED"
    switch.release(scope=Scope(), principal=alice, reason="over", now=desk.now)
    again = undoing.undo(change=change, principal=alice, now=desk.now)
    assert again.state == "PROPOSED" and again.undo_of == change
    assert undoing.undo(change=change, principal=alice, now=desk.now) == again


# --- an approval that was taken back


def test_a_change_that_is_being_prepared_is_not_sent_after_its_strategy_was_edited(desk):
    change = desk.approved("PAUSED", field=Field.STATUS, strategy_ref="s1")
    assert desk.step(change).state == "PREPARING"
    where = {"client_id": desk.account.client_id, "strategy_ref": "s1"}
    assert approvals.recall(reason="The strategy was edited.", now=desk.now, **where) == 1
    desk.until(change, "EXPIRED")
    assert desk.writes() == []


def test_a_slow_structure_read_does_not_overwrite_one_that_began_later(desk):
    def meanwhile(sentence, done):
        if sentence == "Storing the structure":
            desk.wait(seconds=30)
            desk.edit(desk.campaign, "daily_budget", 7_700)
            desk.wait(seconds=30)
            runs.append(desk.sync())

    runs = []
    slow = sync.run(ad_account=desk.account, now=desk.now, progress=meanwhile, clock=lambda: desk.now)
    assert [slow] == runs and slow.edits == 1
    assert desk.campaign.daily_budget == 77
    assert LedgerLine.everything.filter(kind="edit").count() == 1
    desk.wait(minutes=1)
    assert desk.sync().edits == 0


# --- what is due, in which order, and for how long


def test_a_pause_is_taken_before_a_raise_that_has_waited_longer(desk):
    raised = desk.approved("120")
    desk.wait(seconds=30)
    paused = desk.approved("PAUSED", field=Field.STATUS)
    tasks._each(sending.STATES, sending.send, limit=1)
    raised.refresh_from_db()
    paused.refresh_from_db()
    assert (paused.state, raised.state) == ("PREPARING", "APPROVED")


def test_a_sweep_ends_in_time_however_slow_meta_is(desk, monkeypatch):
    machine, seen = SimpleNamespace(seconds=1000.0), []
    monkeypatch.setattr("metaads.clock.time", SimpleNamespace(monotonic=lambda: machine.seconds))

    def slow(change_id, **_):
        machine.seconds += 20
        seen.append(change_id)

    desk.approved("120")
    for obj in (desk.campaign, desk.ad_set):
        desk.approved("PAUSED", field=Field.STATUS, obj=obj)
    assert tasks._each(sending.STATES, slow) == 2
    assert len(seen) == 2


@pytest.mark.django_db(transaction=True)
def test_the_moment_of_an_attempt_is_taken_after_the_wait_for_the_account_s_lock(desk):
    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)
    waited = timedelta(seconds=19)

    def clock():
        return desk.now + (waited if connection.in_atomic_block else timedelta(0))

    sending.send(str(change.uuid), now=desk.now, clock=clock)
    (attempt,) = desk.attempts(change)
    assert attempt.committed_at == desk.now + waited


def test_an_account_that_is_switched_off_during_a_structure_read_stays_off(desk):
    alice, reading_it = desk.agency.principals.alice, desk.account
    ad_accounts.disable(ad_account=desk.account, principal=alice, now=desk.now)
    assert sync.run(ad_account=reading_it, now=desk.now).state == "complete"
    assert not desk.account.enabled
    assert desk.file("90").state == "REJECTED"


@pytest.mark.fault("F68")
@pytest.mark.parametrize(("after", "lines"), [("120", 0), ("77", 1)])
def test_our_own_line_in_the_log_explains_our_value_and_no_other(desk, after, lines):
    change = desk.until(desk.approved("120"), "APPLIED")
    ours = ActivityRow(
        key="k", at=change.applied_at, event_type="update_campaign_budget", actor_id="1",
        application_id=settings.META["app_id"], object_id=desk.campaign.meta_id, level=Level.CAMPAIGN,
        field=Field.DAILY_BUDGET, before="100", after="120",
    )  # fmt: skip
    before = "100" if after == "120" else "120"
    seen = Edit(desk.campaign.meta_id, desk.campaign.name, "daily_budget", before=before, after=after)
    found = [outside.Found(level=Level.CAMPAIGN, edit=seen)]
    with ledger.locked(desk.account.pk):
        assert outside.note(ad_account=desk.account, activities=[ours], edits=found, now=desk.now) == lines
    assert Hold.everything.count() == lines
