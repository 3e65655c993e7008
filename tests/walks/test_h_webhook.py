"""Walk H: a webhook is verified, stored, acknowledged - and only wakes a read."""

from __future__ import annotations

import pytest
from django.test import Client as Browser

from metaads.models import WebhookDelivery
from tests.walks.desk import control


def delivered(sandbox, account, value):
    changes = [{"field": "field_changed", "value": value}]
    sent = control(sandbox, "POST", "webhook", entry_id=account.meta_id, changes=changes)
    return sent["body"], sent["header"]["X-Hub-Signature-256"]


@pytest.fixture
def settings_of_celery():
    """Celery's settings; tasks run where they are called as long as the test says so."""
    from config.celery import app

    before = app.conf.task_always_eager
    yield app.conf
    app.conf.task_always_eager = before


@pytest.fixture
def meta():
    return Browser()


def test_metas_handshake_is_answered_with_the_challenge_alone(meta, db):
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "sandbox-verify"}
    answer = meta.get("/webhooks/meta/", query)
    assert answer.status_code == 200 and answer.content == b"1158201444"
    assert meta.get("/webhooks/meta/", {**query, "hub.verify_token": "guess"}).status_code == 403


def test_a_signed_delivery_is_kept_once_and_wakes_a_structure_read(
    meta, connected, sandbox, clock, settings_of_celery, django_capture_on_commit_callbacks
):
    from campaigns.models import SyncRun
    from metaads.tasks import process_webhooks

    body, signature = delivered(
        sandbox, connected.ad_account, {"object_type": "campaign", "changed_fields": ["effective_status"]}
    )
    for _ in range(2):
        answer = meta.post(
            "/webhooks/meta/",
            body,
            content_type="application/json",
            headers={"X-Hub-Signature-256": signature},
        )
        assert answer.status_code == 200
    assert WebhookDelivery.objects.count() == 1
    assert not SyncRun.objects.of(connected.northwind).exists()
    settings_of_celery.task_always_eager = True
    with django_capture_on_commit_callbacks(execute=True):
        process_webhooks()
    assert WebhookDelivery.objects.get().processed_at is not None
    assert SyncRun.objects.of(connected.northwind).filter(state="complete").count() == 1


@pytest.mark.fault("F132")
def test_a_forged_or_altered_delivery_is_refused_and_not_kept(meta, connected, sandbox):
    body, good = delivered(sandbox, connected.ad_account, {"object_type": "campaign"})
    for text, signature in (
        (body + " ", good),
        (body, "sha256=" + "0" * 64),
        (body, ""),
        (body, good.replace("sha256=", "sha1=")),
    ):
        answer = meta.post(
            "/webhooks/meta/",
            text,
            content_type="application/json",
            headers={"X-Hub-Signature-256": signature},
        )
        assert answer.status_code in (400, 401, 403), (text[-10:], signature)
    assert WebhookDelivery.objects.count() == 0
