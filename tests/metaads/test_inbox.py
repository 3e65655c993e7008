"""Webhooks: handshake, signature, stored once, announced once, after commit."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

import metaads.strikes as strikes
from metaads.inbox import events, forget, process, store
from metaads.models import WebhookDelivery
from metaads.signals import webhook_received
from metaads.tasks import process_webhooks

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
SECRET = "sandbox-secret"


def body(*changes: tuple[str, str], time: int = 1795000000, kind: str = "ad_account") -> bytes:
    entries = [
        {
            "id": entry,
            "time": time,
            "changes": [{"field": field, "value": {"object_id": "20", "object_type": "campaign"}}],
        }
        for entry, field in changes
    ]
    return json.dumps({"object": kind, "entry": entries}).encode()


def signed(raw: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


@pytest.fixture
def heard() -> Iterator[list[dict[str, Any]]]:
    """What listeners were told."""
    told: list[dict[str, Any]] = []

    def listen(sender: Any, signal: Any, **facts: Any) -> None:
        told.append(facts)

    webhook_received.connect(listen)
    yield told
    webhook_received.disconnect(listen)


@pytest.fixture
def meta(client: Client) -> Any:
    def post(raw: bytes, signature: str | None = None) -> Any:
        return client.post(
            "/webhooks/meta/",
            data=raw,
            content_type="application/json",
            headers={"X-Hub-Signature-256": signed(raw) if signature is None else signature},
        )

    return post


def test_the_handshake_answers_the_challenge_as_the_whole_body(client: Client) -> None:
    answer = client.get(
        "/webhooks/meta/",
        {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "sandbox-verify"},
    )
    assert (answer.status_code, answer.content) == (200, b"1158201444")


@pytest.mark.parametrize(
    "query",
    [
        {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": "wrong"},
        {"hub.mode": "subscribe", "hub.challenge": "1"},
        {"hub.mode": "unsubscribe", "hub.challenge": "1", "hub.verify_token": "sandbox-verify"},
    ],
)
def test_a_stranger_s_handshake_is_refused(client: Client, query: dict[str, str]) -> None:
    assert client.get("/webhooks/meta/", query).status_code == 403


def test_without_a_verify_token_of_ours_every_handshake_is_refused(client: Client, settings: Any) -> None:
    settings.META = {**settings.META, "verify_token": ""}
    answer = client.get(
        "/webhooks/meta/", {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": ""}
    )
    assert answer.status_code == 403


def test_a_signed_delivery_is_stored_raw_and_answered_before_any_work(meta: Any, heard: list[Any]) -> None:
    raw = body(("123", "with_issues_ad_objects"))
    assert meta(raw).status_code == 200
    row = WebhookDelivery.objects.get()
    assert (bytes(row.body), row.processed_at) == (raw, None)
    assert heard == []


@pytest.mark.parametrize(
    "signature", ["", "sha256=00", "sha1=abc", signed(b"something else"), signed(body(("1", "x")), "other")]
)
def test_a_wrong_signature_is_refused_and_nothing_is_kept(meta: Any, signature: str) -> None:
    assert meta(body(("1", "x")), signature).status_code == 403
    assert not WebhookDelivery.objects.exists()


@pytest.mark.fault("F93")
def test_during_a_rotation_the_previous_secret_counts_too(settings: Any) -> None:
    settings.META = {**settings.META, "app_secret": "new", "app_secret_previous": "old"}
    raw = body(("1", "x"))
    assert store(body=raw, signature=signed(raw, "old"), now=NOW)
    assert store(body=raw, signature=signed(raw, "new"), now=NOW)
    assert not store(body=raw, signature=signed(raw, "older"), now=NOW)


def test_without_any_secret_an_empty_key_does_not_open_the_door(settings: Any) -> None:
    settings.META = {**settings.META, "app_secret": "", "app_secret_previous": ""}
    raw = body(("1", "x"))
    assert not store(body=raw, signature=signed(raw, ""), now=NOW)


def test_the_same_bytes_are_kept_once_and_counted(meta: Any) -> None:
    raw = body(("1", "x"))
    meta(raw), meta(raw), meta(raw)
    assert WebhookDelivery.objects.get().repeats == 2


def test_a_delivery_is_announced_once_with_ids_only(
    heard: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    raw = body(("123", "field_changed"), ("456", "creative_fatigue"))
    store(body=raw, signature=signed(raw), now=NOW)
    with django_capture_on_commit_callbacks(execute=True):
        assert process(now=NOW) == 1
        assert heard == [], "nothing is told before the commit"
    with django_capture_on_commit_callbacks(execute=True):
        assert process(now=NOW) == 0
    [told] = heard
    assert told == {
        "delivery_id": WebhookDelivery.objects.get().pk,
        "object": "ad_account",
        "fields": ("creative_fatigue", "field_changed"),
        "entries": ("123", "456"),
    }
    assert [one.entry_id for one in events(told["delivery_id"])] == ["123", "456"]


def test_a_change_that_comes_again_in_another_delivery_is_not_announced_again(
    heard: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    """Meta aggregates anew when it repeats: the bytes differ, the change is the same."""
    first, again = body(("1", "a")), body(("1", "a"), ("2", "b"))
    with django_capture_on_commit_callbacks(execute=True):
        for raw in (first, again):
            store(body=raw, signature=signed(raw), now=NOW)
            process(now=NOW)
    assert [told["entries"] for told in heard] == [("1",), ("2",)]


def test_an_envelope_that_is_not_meta_s_is_put_aside_and_the_rest_goes_on(
    heard: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    for raw in (b"[1, 2]", b"not json", body(("1", "a"))):
        store(body=raw, signature=signed(raw), now=NOW)
    with django_capture_on_commit_callbacks(execute=True):
        assert process(now=NOW) == 3
    assert sorted(WebhookDelivery.objects.values_list("outcome", flat=True)) == [
        "announced",
        "unreadable",
        "unreadable",
    ]
    assert len(heard) == 1


def test_a_listener_that_fails_does_not_stop_the_others(
    heard: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    def broken(**facts: Any) -> None:
        raise RuntimeError("a receiver of another floor")

    webhook_received.connect(broken)
    try:
        raw = body(("1", "a"))
        store(body=raw, signature=signed(raw), now=NOW)
        with django_capture_on_commit_callbacks(execute=True):
            process(now=NOW)
    finally:
        webhook_received.disconnect(broken)
    assert len(heard) == 1 and WebhookDelivery.objects.get().outcome == "announced"


def test_old_deliveries_are_forgotten_and_waiting_ones_never() -> None:
    done, waiting = body(("1", "a")), body(("2", "b"))
    store(body=done, signature=signed(done), now=NOW)
    process(now=NOW)
    store(body=waiting, signature=signed(waiting), now=NOW)
    assert forget(now=NOW + timedelta(days=7)) == 0, "Meta may still repeat it"
    assert forget(now=NOW + timedelta(days=9)) == 1
    assert bytes(WebhookDelivery.objects.get().body) == waiting


def test_the_task_takes_what_waits(
    clock: Any, heard: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    raw = body(("1", "a"))
    store(body=raw, signature=signed(raw), now=clock.now())
    with django_capture_on_commit_callbacks(execute=True):
        process_webhooks()
    assert WebhookDelivery.objects.get().processed_at == clock.now()
    assert len(heard) == 1


def test_a_body_over_the_limit_is_refused_with_413(meta: Any, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    raw = body(("1", "x" * 200))
    assert meta(raw).status_code == 413
    assert not WebhookDelivery.objects.exists()


def test_a_name_with_a_nul_holds_up_nobody_behind_it(
    heard: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    for raw in (
        body(("123", "odd\x00field")),
        body(("4\x0056", "field_changed")),
        body(("789", "field_changed")),
    ):
        store(body=raw, signature=signed(raw), now=NOW)
    with django_capture_on_commit_callbacks(execute=True):
        assert process(now=NOW) == 3
    assert list(WebhookDelivery.objects.order_by("pk").values_list("outcome", flat=True)) == [
        "unreadable", "unreadable", "announced",
    ]  # fmt: skip
    assert [told["entries"] for told in heard] == [("789",)]


@pytest.mark.fault("F103")
@pytest.mark.parametrize("error", [SystemExit, RuntimeError], ids=["its worker dies", "it raises"])
def test_a_delivery_that_breaks_each_time_is_put_aside_and_kept_and_the_others_are_announced(
    error: Any,
) -> None:
    for entry in ("1", "2"):
        raw = body((entry, "campaigns"))
        assert store(body=raw, signature=signed(raw), now=NOW)
    deadly, other = WebhookDelivery.objects.order_by("pk")
    broke = []

    def breaks(execute: Any, sql: str, params: Any, *more: Any) -> Any:
        given = [one for some in params or () for one in (some if isinstance(some, list) else [some])]
        if 'INTO "metaads_webhookevent"' in sql and deadly.pk in given:
            broke.append(sql)
            raise error("poison")
        return execute(sql, params, *more)

    with connection.execute_wrapper(breaks):
        for _ in range(6):
            with suppress(SystemExit):
                process(now=NOW)
    deadly.refresh_from_db(), other.refresh_from_db()
    assert len(broke) == 3 and strikes.names("webhook:") == [str(deadly.pk)]
    assert deadly.processed_at is None and other.outcome == "announced"
    strikes.release(strikes.parked()[0])
    assert process(now=NOW) == 1
    deadly.refresh_from_db()
    assert deadly.outcome == "announced"
