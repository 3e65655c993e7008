"""Structure reads: whole, partial, repeated; and edits that were made outside."""

from __future__ import annotations

import pytest

from accounts.models import AdAccount, MetaConnection
from campaigns.models import Ad, AdSet, Campaign, Change, Creative, Hold, LedgerLine, SyncRun
from campaigns.queries import budget_owner, find, structure
from campaigns.states import Field, Level
from campaigns.sync import last_good

pytestmark = pytest.mark.django_db


def edits(**wanted):
    return list(LedgerLine.everything.filter(kind="edit", **wanted).order_by("seq"))


def test_the_first_read_stores_the_whole_tree(desk):
    world = desk.sandbox.world
    for model, kind in ((Campaign, "campaign"), (AdSet, "adset"), (Ad, "ad")):
        there = {node.id for node in world.nodes.values() if node.kind == kind}
        assert there == set(model.everything.values_list("meta_id", flat=True))
    assert Creative.everything.count() > 0
    assert Ad.everything.filter(creative__isnull=False).exists()
    assert desk.campaign.daily_budget == 100
    assert desk.ad_set.daily_budget == 30
    assert last_good(desk.account).seen == sum(
        model.everything.count() for model in (Campaign, AdSet, Ad, Creative)
    )


def test_a_second_read_of_the_same_changes_nothing(desk):
    run = desk.sync()
    assert (run.created, run.changed, run.removed, run.edits) == (0, 0, 0, 0)
    assert Campaign.everything.count() == 2


def test_progress_is_told_in_sentences(desk):
    from campaigns.sync import run

    told = []
    run(ad_account=desk.account, now=desk.now, progress=lambda sentence, done: told.append((sentence, done)))
    assert [done for _, done in told] == sorted(done for _, done in told)
    assert told[0] == ("Reading campaigns", 0)


@pytest.mark.fault("F56")
def test_a_read_that_breaks_off_never_makes_tombstones(desk):
    desk.edit(desk.other, "status", "DELETED")
    desk.sandbox.faults.arm("dropped", {"edge": "ads"}, None)
    run = desk.sync()
    assert run.state == "partial" and run.error_text and run.removed == 0
    assert Campaign.everything.filter(removed_at__isnull=True).count() == 2
    desk.sandbox.faults.disarm(None)
    assert desk.sync().removed > 0
    assert Campaign.everything.filter(removed_at__isnull=False).count() == 1


def test_a_deleted_campaign_becomes_a_tombstone_and_can_come_back(desk):
    gone = desk.other
    desk.edit(gone, "status", "DELETED")
    desk.sync()
    gone.refresh_from_db()
    assert gone.removed_at is not None
    assert gone.meta_id not in {row.meta_id for row in structure(ad_account=desk.account)}
    desk.edit(gone, "status", "ACTIVE")
    desk.sync()
    gone.refresh_from_db()
    assert gone.removed_at is None


@pytest.mark.fault("F38")
def test_one_empty_answer_does_not_empty_the_account(desk):
    desk.sandbox.faults.arm("empty_page", {"edge": "campaigns"}, 1)
    assert desk.sync().removed == 0
    assert Campaign.everything.filter(removed_at__isnull=True).count() == 2


def test_nothing_readable_is_a_failed_run_with_advice(desk):
    desk.sandbox.faults.arm("dropped", {}, None)
    run = desk.sync()
    assert (run.state, run.seen) == ("failed", 0) and run.error_text
    assert SyncRun.everything.filter(state="complete").count() == 1


def test_a_token_that_is_revoked_mid_sync_is_reported_and_the_next_run_resumes(desk):
    desk.sandbox.faults.arm("auth", {"edge": "adsets"}, 1, subcode=460)
    run = desk.sync()
    assert run.state == "partial" and "econnect" in run.advice
    assert MetaConnection.everything.get().state == "reauth_needed"


def test_the_sync_says_that_meta_was_heard(desk):
    AdAccount.everything.update(last_contact_at=None)
    desk.sync()
    assert desk.account.last_contact_at == desk.now


@pytest.mark.fault("F68")
def test_a_person_s_edit_is_found_and_attributed_to_a_person(desk):
    desk.wait(minutes=5)
    desk.edit(desk.campaign, "daily_budget", 7_700)
    desk.wait(minutes=5)
    run = desk.sync()
    (line,) = edits()
    assert run.edits == 1
    assert (line.by, line.field, line.before, line.after) == ("outside", "daily_budget", "100", "77")
    assert line.actor_id and "Hanna" not in line.text
    assert desk.campaign.daily_budget == 77


def test_the_same_activity_is_written_once_however_often_it_is_read(desk):
    desk.edit(desk.campaign, "daily_budget", 7_700)
    for _ in range(3):
        desk.wait(minutes=1)
        desk.sync()
    assert len(edits()) == 1


@pytest.mark.parametrize("how", ["twice in one second", "on a page that shifted"])
def test_a_line_that_the_log_tells_twice_in_one_answer_stops_no_read(desk, how):
    desk.edit(desk.other, "status", "PAUSED")
    if how == "on a page that shifted":
        desk.sandbox.faults.arm("dup_page", {"edge": "activities"}, 1)
    else:
        desk.edit(desk.other, "status", "PAUSED")
        desk.edit(desk.other, "status", "PAUSED")
    desk.wait(seconds=5)
    assert desk.sync().state == "complete"
    keys = LedgerLine.everything.filter(kind="edit").values_list("activity_key", flat=True)
    assert len(keys) == len(set(keys)) and len(keys) >= 1


def test_another_app_s_edit_is_attributed_to_it(desk):
    desk.edit(desk.campaign, "status", "PAUSED", application_id="999")
    desk.wait(minutes=1)
    desk.sync()
    assert [(line.by, line.application_id) for line in edits()] == [("other_app", "999")]


def test_what_meta_did_by_itself_is_attributed_to_meta(desk):
    desk.edit(desk.campaign, "status", "PAUSED", actor="")
    desk.wait(minutes=1)
    desk.sync()
    [line] = edits()
    assert (line.by, line.actor_id, line.object_name) == ("meta", "", desk.campaign.name)
    assert line.note == "Done 18 Nov 2026 15:00:00 UTC; Meta's log calls it update_campaign_run_status."


def test_our_app_without_a_change_of_ours_is_said_to_be_just_that(desk):
    desk.edit(desk.campaign, "daily_budget", 9_900, application_id="1000000000000001")
    desk.wait(minutes=1)
    desk.sync()
    assert [line.by for line in edits()] == ["us_outside"]


def test_our_own_change_is_no_outside_edit(desk):
    desk.until(desk.approved("120"), "APPLIED")
    desk.wait(minutes=1)
    assert desk.sync().edits == 0
    assert edits() == [] and Hold.everything.count() == 0


def test_a_sync_in_the_middle_of_our_change_is_not_fooled(desk):
    change = desk.until(desk.approved("120"), "ACKED")
    desk.wait(seconds=1)
    assert desk.sync().edits == 0
    desk.until(change, "APPLIED")


@pytest.mark.fault("F68")
def test_an_edit_of_what_we_changed_lately_holds_the_object_for_a_day(desk):
    desk.until(desk.approved("120"), "APPLIED")
    desk.wait(minutes=10)
    desk.edit(desk.campaign, "daily_budget", 9_000)
    desk.wait(minutes=10)
    desk.sync()
    hold = Hold.everything.get()
    assert (hold.ours, hold.theirs, hold.object_id) == ("120", "90", desk.campaign.meta_id)
    assert (hold.until - desk.now).total_seconds() == 24 * 3600


def test_an_edit_of_what_we_never_touched_holds_nothing(desk):
    desk.edit(desk.campaign, "daily_budget", 9_000)
    desk.wait(minutes=10)
    desk.sync()
    assert Hold.everything.count() == 0


def test_a_waiting_change_that_rests_on_the_old_value_expires(desk):
    change = desk.file("120")
    desk.edit(desk.campaign, "daily_budget", 9_000)
    desk.wait(minutes=10)
    desk.sync()
    change.refresh_from_db()
    assert change.state == "EXPIRED" and "90" in change.error_text


@pytest.mark.fault("F4")
def test_a_write_that_lands_after_its_change_had_ended_is_reported_loudly(desk):
    from accounts.models import Alert

    desk.sandbox.faults.arm("late", {}, 1, seconds=600)
    change = desk.until(desk.approved("120"), "UNKNOWN")
    desk.edit(desk.campaign, "daily_budget", 7_700)
    desk.until(change, "SUPERSEDED", every=10)
    desk.wait(minutes=15)
    desk.sync()
    assert "us_late" in [line.by for line in edits()]
    assert Alert.everything.filter(key__startswith="late:").exists()
    assert desk.truth(desk.campaign, "daily_budget") == 12_000
    assert len(desk.writes()) == 1


def test_an_unknown_status_word_is_stored_and_flagged(desk):
    desk.sandbox.faults.arm("enum_new", {"edge": "campaigns"}, 1, value="HIBERNATING")
    desk.sync()
    assert Campaign.everything.filter(known=False).exists()


def test_the_level_that_owns_the_budget(desk):
    owned, bare = AdSet.everything.filter(campaign=desk.campaign).first(), desk.other
    assert budget_owner(owned) == (Level.CAMPAIGN, desk.campaign)
    assert budget_owner(bare) is None
    assert budget_owner(Ad.everything.filter(ad_set=desk.ad_set).first()) == (Level.AD_SET, desk.ad_set)


def test_the_structure_is_one_list_with_parents(desk):
    rows = structure(ad_account=desk.account)
    ids = {row.meta_id for row in rows}
    assert [row.level for row in rows] == sorted((row.level for row in rows), key=list(Level).index)
    assert all(row.parent_id in ids for row in rows if row.level is not Level.CAMPAIGN)


@pytest.mark.parametrize("who, sees", [("alice", True), ("bob", True), ("charlie", False)])
def test_objects_of_another_client_do_not_exist(desk, who, sees):
    from accounts.errors import NotFound

    principal = getattr(desk.agency.principals, who)
    if sees:
        assert find(principal, desk.campaign.meta_id) == desk.campaign
    else:
        with pytest.raises(NotFound) as refused:
            find(principal, desk.campaign.meta_id)
        with pytest.raises(NotFound) as random:
            find(principal, "404404404")
        assert str(refused.value) == str(random.value)


def test_statuses_are_compared_in_full_at_each_read(desk):
    desk.edit(desk.ad_set, "status", "PAUSED")
    desk.wait(minutes=1)
    desk.sync()
    assert AdSet.everything.get(pk=desk.ad_set.pk).status == "PAUSED"
    assert [line.field for line in edits()] == [Field.STATUS]
    assert Change.everything.count() == 0
