"""Walk I: what Meta tells us wakes the right read, once, and nothing that it says is believed."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from django.test import Client as Browser

from accounts import tokens
from accounts.errors import NoConnection
from accounts.models import AdAccount, ConnectionState, MetaConnection
from campaigns.models import SyncRun
from config.celery import app
from insights.models import PollState
from metaads.models import WebhookDelivery
from metaads.tasks import process_webhooks
from tests import door
from tests.walks.desk import control

ADDRESS = "/webhooks/meta/"


@pytest.fixture
def eager():
    """Tasks run where they are started, after the commit."""
    before = app.conf.task_always_eager
    app.conf.task_always_eager = True
    yield
    app.conf.task_always_eager = before


@pytest.fixture
def sent(monkeypatch):
    """What was put on the queue, at the door of the broker."""
    messages = []

    def put(self, args=None, kwargs=None, **options):
        messages.append((self.name.rsplit(".", 1)[-1], *(args or ()), options.get("countdown")))

    monkeypatch.setattr("celery.app.task.Task.apply_async", put)
    return messages


def post(body: str, seal: str = ""):
    seal = seal or "sha256=" + hmac.new(b"sandbox-secret", body.encode(), hashlib.sha256).hexdigest()
    answer = Browser().post(
        ADDRESS, body, content_type="application/json", headers={"X-Hub-Signature-256": seal}
    )
    assert answer.status_code == 200
    return answer


def tell(sandbox, callbacks, *, entry_id, **said):
    """Meta delivers, and the scanner announces it."""
    made = control(sandbox, "POST", "webhook", entry_id=entry_id, **said)
    post(made["body"], made["header"]["X-Hub-Signature-256"])
    with callbacks(execute=True):
        process_webhooks()


def about_grants(verb="revoked", field="ads_management"):
    return {"object": "permissions", "changes": [{"field": field, "value": {"verb": verb}}]}


def test_a_permission_that_a_person_took_back_makes_the_connection_read_only_at_once(
    connected, sandbox, clock, eager, django_capture_on_commit_callbacks
):
    own = MetaConnection.everything.get()
    assert tokens.write_token(connected.ad_account)
    door.session(sandbox).delete(
        "https://graph.facebook.com/v26.0/me/permissions/ads_management", params={"access_token": own.token}
    ).raise_for_status()
    clock.advance(60)
    tell(sandbox, django_capture_on_commit_callbacks, entry_id=own.meta_user_id, **about_grants())
    own.refresh_from_db()
    assert "ads_management" not in own.scopes and "ads_read" in own.scopes
    assert own.checked_at == clock.now()
    with pytest.raises(NoConnection, match="read-only"):
        tokens.write_token(connected.ad_account)
    assert tokens.reader(connected.ad_account)


def test_a_person_who_took_back_reading_is_asked_to_reconnect(
    connected, sandbox, clock, eager, django_capture_on_commit_callbacks
):
    own = MetaConnection.everything.get()
    for name in ("ads_management", "ads_read"):
        door.session(sandbox).delete(
            f"https://graph.facebook.com/v26.0/me/permissions/{name}", params={"access_token": own.token}
        ).raise_for_status()
    clock.advance(60)
    tell(sandbox, django_capture_on_commit_callbacks, entry_id=own.meta_user_id, **about_grants())
    own.refresh_from_db()
    assert own.state == ConnectionState.REAUTH_NEEDED and "taken back" in own.reason
    with pytest.raises(NoConnection):
        tokens.reader(connected.ad_account)


def test_an_app_that_a_person_removed_ends_the_connection_before_any_call_fails(
    connected, sandbox, clock, eager, django_capture_on_commit_callbacks
):
    own = MetaConnection.everything.get()
    control(sandbox, "POST", "revoke", user="alice", subcode=458)
    tell(sandbox, django_capture_on_commit_callbacks, entry_id=own.meta_user_id, **about_grants())
    own.refresh_from_db()
    assert own.state == ConnectionState.REAUTH_NEEDED
    with pytest.raises(NoConnection):
        tokens.write_token(connected.ad_account)


def test_a_notice_that_lies_changes_nothing(
    connected, sandbox, clock, eager, django_capture_on_commit_callbacks
):
    own = MetaConnection.everything.get()
    tell(sandbox, django_capture_on_commit_callbacks, entry_id=own.meta_user_id, **about_grants())
    own.refresh_from_db()
    assert own.state == ConnectionState.CONNECTED and "ads_management" in own.scopes
    assert tokens.write_token(connected.ad_account)


def test_only_connections_of_the_named_user_are_asked_about_and_ended_ones_are_not(
    connected, sandbox, clock, sent, django_capture_on_commit_callbacks
):
    own = MetaConnection.everything.get()
    others = [
        MetaConnection.everything.create(
            client=client, meta_user_id=number, token="EAAx", state=state, checked_at=clock.now(),
            connected_at=clock.now(),
        )
        for client, number, state in (
            (connected.southwind, own.meta_user_id, ConnectionState.CONNECTED),
            (connected.southwind, "77", ConnectionState.CONNECTED),
            (connected.northwind, "78", ConnectionState.REVOKED),
        )
    ]  # fmt: skip
    tell(sandbox, django_capture_on_commit_callbacks, entry_id=own.meta_user_id, **about_grants())
    tell(sandbox, django_capture_on_commit_callbacks, entry_id="78", **about_grants())
    assert sorted(sent) == sorted([("check_connection", pk, None) for pk in (own.pk, others[0].pk)])
    unchecked = MetaConnection.everything.filter(checked_at=None)
    assert set(unchecked) == {own, others[0]}, "the sentinel finds them when the queue is dead"


@pytest.mark.fault("F132")
@pytest.mark.parametrize("kind", ["ad_account", "application"])
def test_a_status_that_changed_at_meta_is_read_and_not_believed(
    connected, sandbox, clock, eager, django_capture_on_commit_callbacks, kind
):
    account = connected.ad_account
    value = {"id": account.meta_id, "account_status": 101, "disable_reason": 1}
    entry = account.meta_id if kind == "ad_account" else "1000000000000001"
    changes = [{"field": "ad_account" if kind == "application" else "account_status", "value": value}]
    tell(sandbox, django_capture_on_commit_callbacks, entry_id=entry, object=kind, changes=changes)
    assert SyncRun.objects.of(connected.northwind).filter(state="complete").count() == 1
    account.refresh_from_db()
    assert account.account_status == 1, "Meta's own answer says active"


def test_a_notice_makes_the_account_due_for_its_next_look_and_reads_nothing_itself(
    synced, sandbox, clock, sent, django_capture_on_commit_callbacks
):
    account = synced.ad_account
    state = PollState.everything.create(ad_account_id=account.pk, next_check_at=clock.now())
    later = clock.now().replace(hour=23)
    PollState.everything.update(next_check_at=later)
    calls = len(sandbox.history)
    changes = [{"field": "field_changed", "value": {"object_id": "1", "object_type": "campaign"}}]
    tell(sandbox, django_capture_on_commit_callbacks, entry_id=account.meta_id, changes=changes)
    state.refresh_from_db()
    assert state.next_check_at == clock.now()
    assert len(sandbox.history) == calls
    assert sent == [("sync_structure", account.pk, None)]

    PollState.everything.update(next_check_at=later, reason="Waiting: Meta asked for it")
    clock.advance(1)
    tell(sandbox, django_capture_on_commit_callbacks, entry_id=account.meta_id, changes=changes)
    state.refresh_from_db()
    assert state.next_check_at == later, "a wait that Meta asked for is kept"


@pytest.mark.fault("F133")
def test_a_flood_about_one_account_becomes_two_reads_and_the_last_notice_is_covered(
    connected, sandbox, clock, sent, django_capture_on_commit_callbacks
):
    account = connected.ad_account
    for number in range(50):
        changes = [{"field": "field_changed", "value": {"object_id": str(number)}}]
        tell(sandbox, django_capture_on_commit_callbacks, entry_id=account.meta_id, changes=changes)
        clock.advance(1)
    reads = [message for message in sent if message[0] == "sync_structure"]
    assert reads == [("sync_structure", account.pk, None), ("sync_structure", account.pk, 120.0)]
    assert WebhookDelivery.objects.filter(outcome="announced").count() == 50


def test_accounts_that_are_switched_off_or_unknown_wake_nothing(
    connected, sandbox, clock, sent, django_capture_on_commit_callbacks
):
    AdAccount.everything.update(enabled_at=None)
    for entry in (connected.ad_account.meta_id, "404", "act_1", "../1", "x" * 3_000):
        changes = [{"field": "field_changed", "value": {}}]
        tell(sandbox, django_capture_on_commit_callbacks, entry_id=entry, changes=changes)
    post(json.dumps({"object": "application", "entry": [{"id": 1, "changes": [
        {"field": "ad_account", "value": value} for value in (None, [], "x", {}, {"id": {}}, {"id": "act_7"})
    ]}]}))  # fmt: skip
    with django_capture_on_commit_callbacks(execute=True):
        process_webhooks()
    assert sent == []
    assert not WebhookDelivery.objects.filter(processed_at=None).exists()
