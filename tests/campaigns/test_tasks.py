"""Messages only wake: what wakes the sender, and what a sweep finds."""

from __future__ import annotations

from contextlib import suppress

import pytest
from django.db import OperationalError

import accounts.sentinel as sentinel
import campaigns.receivers as receivers
import campaigns.tasks as tasks
import metaads.strikes as strikes
from accounts.models import Alert, GrantedAsset
from campaigns.models import SyncRun
from campaigns.states import Field
from metaads.crash import watching
from metaads.gateway import plugged
from metaads.models import Strike
from metaads.signals import webhook_received
from tests.door import WSGIAdapter

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(monkeypatch):
    """What was put on the queue, at the door of the broker."""
    messages = []

    def put(self, args=None, kwargs=None, **options):
        messages.append((self.name.rsplit(".", 1)[-1], *(args or ()), options.get("countdown")))

    monkeypatch.setattr("celery.app.task.Task.apply_async", put)
    return messages


def test_an_approval_wakes_the_sender_after_commit(desk, sent, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        change = desk.approved("120")
        assert sent == []
    assert ("advance", str(change.uuid), None) in sent


def test_a_proposal_wakes_nobody(desk, sent, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        desk.file("120")
    assert sent == []


def test_a_task_comes_back_when_the_next_step_is_due_soon(desk, sent):
    change = desk.approved("120")
    tasks.advance(str(change.uuid))
    ((name, change_id, countdown),) = sent
    assert (name, change_id) == ("advance", str(change.uuid)) and 3 <= countdown <= 4


def test_a_task_leaves_the_settle_window_to_the_sweep(desk, sent):
    desk.sandbox.faults.arm("applied_timeout", {}, 1)
    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)
    tasks.advance(str(change.uuid))
    change.refresh_from_db()
    assert change.state == "UNKNOWN" and sent == []


@pytest.mark.fault("F26")
def test_an_old_message_for_an_ended_change_does_nothing(desk):
    change = desk.until(desk.approved("120"), "APPLIED")
    seen = len(desk.sandbox.history)
    tasks.advance(str(change.uuid))
    tasks.advance("00000000-0000-4000-8000-000000000000")
    assert len(desk.sandbox.history) == seen


class BreaksFor(WSGIAdapter):
    """A door that falls over for one object, in a way that no Graph API does."""

    def __init__(self, sandbox, object_id: str, error: type[BaseException] = RuntimeError) -> None:
        super().__init__(sandbox)
        self.object_id, self.error, self.broke = object_id, error, 0

    def send(self, request, *args, **kwargs):
        if self.object_id in request.url:
            self.broke += 1
            raise self.error("the disk is full")
        return super().send(request, *args, **kwargs)


@pytest.mark.fault("F103")
def test_one_change_that_breaks_does_not_stop_the_others(desk):
    bad = desk.approved("120")
    good = desk.approved("PAUSED", field=Field.STATUS, obj=desk.other)
    with plugged(BreaksFor(desk.sandbox, desk.campaign.meta_id)):
        tasks.sweep()
        desk.wait(seconds=4)
        tasks.sweep()
    for change in (bad, good):
        change.refresh_from_db()
    assert (bad.state, good.state) == ("PREPARING", "ACKED")
    desk.wait(seconds=70)
    desk.until(bad, "APPLIED")


@pytest.mark.fault("F103")
@pytest.mark.parametrize("error", [SystemExit, RuntimeError], ids=["its worker dies", "it raises"])
def test_a_change_that_breaks_three_times_is_put_aside_told_and_tried_again_when_a_person_says_so(
    desk, client, error
):
    deadly = desk.approved("120")
    door = BreaksFor(desk.sandbox, desk.campaign.meta_id, error)
    with plugged(door):
        for _ in range(40):
            with suppress(SystemExit):
                tasks.sweep()
                tasks.advance(str(deadly.uuid))  # the message comes back as well
            desk.wait(seconds=20)
    assert door.broke == 3 and desk.writes(desk.campaign) == []
    [aside] = strikes.parked("change:")
    assert aside.name == f"change:{deadly.uuid}" and aside.error in ("", "RuntimeError")

    sentinel.reconcile(now=desk.now)
    alert = Alert.everything.get(key=f"aside:{aside.pk}", closed_at__isnull=True)
    assert (alert.client, alert.severity) == (None, "critical") and str(deadly.uuid) in alert.title

    client.force_login(desk.agency.users.bob)
    form = {"action": "release", "_selected_action": [aside.pk]}
    client.post("/admin/metaads/strike/", form)
    assert strikes.parked(), "a buyer does not see other clients' work"
    client.force_login(desk.agency.users.alice)
    assert client.post("/admin/metaads/strike/", form).status_code == 302
    sentinel.reconcile(now=desk.now)
    alert.refresh_from_db()
    assert strikes.parked() == [] and alert.closed_at is not None
    for _ in range(40):
        tasks.sweep()
        desk.wait(seconds=4)
    deadly.refresh_from_db()
    assert (deadly.state, len(desk.writes(desk.campaign))) == ("APPLIED", 1)


@pytest.mark.fault("F103")
def test_what_meta_or_the_database_does_is_nobodys_strike(desk):
    change = desk.approved("120")
    with plugged(BreaksFor(desk.sandbox, desk.campaign.meta_id, OperationalError)):
        for _ in range(6):
            tasks.sweep()
            desk.wait(seconds=61)
    assert strikes.parked() == [] and change.state == "APPROVED"
    desk.until(change, "APPLIED")
    assert not Strike.objects.filter(name__startswith="change:").exists(), "the first good end forgets"


@pytest.mark.fault("F103")
def test_a_structure_that_cannot_be_read_without_breaking_is_put_aside(desk):
    door = BreaksFor(desk.sandbox, "campaigns", SystemExit)
    with plugged(door):
        for _ in range(6):
            with suppress(SystemExit):
                tasks.sync_structure(desk.account.pk)
    assert door.broke == 3 and strikes.names("structure:") == [str(desk.account.pk)]


def test_a_webhook_about_an_ad_account_wakes_a_structure_read(desk, sent):
    told = {
        "sender": None,
        "delivery_id": 1,
        "fields": ("campaigns",),
        "entries": (desk.account.meta_id, "404"),
    }
    webhook_received.send(object="ad_account", **told)
    assert sent == [("sync_structure", desk.account.pk, None)]
    webhook_received.send(object="permissions", **told)
    assert len(sent) == 1


def test_a_structure_read_by_task_and_its_refusal(desk):
    tasks.sync_structure(desk.account.pk)
    assert SyncRun.everything.count() == 2
    GrantedAsset.everything.all().delete()
    tasks.sync_structure(desk.account.pk)
    tasks.sync_structure(404)
    assert SyncRun.everything.count() == 2


def test_every_enabled_account_is_due(desk, sent):
    assert tasks.sync_due() == 1
    assert sent == [("sync_structure", desk.account.pk, None)]


def test_the_states_that_wake_are_those_that_move_by_themselves():
    assert {"APPROVED", "ACKED", "NOT_APPLIED"} == set(receivers.MOVING)


@pytest.mark.fault("F23")
def test_a_sweep_that_begins_while_one_is_still_running_takes_nothing_twice(desk):
    """Meta is slow, and beat does not wait: the second round finds the change taken, and what it may do is done."""
    slow = desk.approved("120")
    tasks.sweep()
    desk.wait(seconds=4)
    quick = desk.approved("PAUSED", field=Field.STATUS, obj=desk.other)
    rounds = []

    def next_round(name):
        if name == "send.claimed" and not rounds:
            rounds.append(None)
            rounds.append(tasks.sweep())

    with watching(next_round):
        tasks.sweep()
    for change in (slow, quick):
        change.refresh_from_db()
    assert rounds == [None, 1], "it took the one that was not taken"
    assert (slow.state, slow.fence) == ("ACKED", 2) and (quick.state, quick.fence) == ("PREPARING", 1)
    assert len(desk.writes(desk.campaign)) == 1


@pytest.mark.fault("F103")
def test_a_change_that_kills_its_worker_each_time_keeps_no_other_waiting(desk):
    """The message comes back, since the worker never said that it was done; the lease keeps it from the next one."""
    deadly = desk.approved("120")
    good = desk.approved("PAUSED", field=Field.STATUS, obj=desk.other)
    door = BreaksFor(desk.sandbox, desk.campaign.meta_id, SystemExit)
    with plugged(door):
        for _ in range(20):
            with suppress(SystemExit):
                tasks.sweep()
            desk.wait(seconds=5)
    deadly.refresh_from_db(), good.refresh_from_db()
    assert good.state == "APPLIED"
    assert door.broke == 2, "in 100 seconds: once for each lease"
    assert desk.writes(desk.campaign) == []
    desk.wait(seconds=70)
    desk.until(deadly, "APPLIED")
