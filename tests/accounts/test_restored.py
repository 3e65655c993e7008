"""A backup is put back: nothing leaves until Meta and a person have looked."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from celery.signals import worker_init
from django.core.management import call_command
from django.test import Client as Browser

import accounts.restored as restored
import accounts.sentinel as sentinel
import accounts.tokens as tokens
import campaigns.restored as restoring
from accounts.errors import NoConnection
from accounts.models import ApiKey, AuditLine, ConnectionState, ConnectLink, Invitation, Lease, MetaConnection
from campaigns.models import Attempt, Change, Switch
from config.celery import canary, guard
from config.engine import running
from tests.campaigns.conftest import Desk
from tests.conftest import PASSWORD, sync_northwind
from tests.walks.desk import control

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F92")]


@pytest.fixture
def desk(connected, sandbox, clock):
    sync_northwind(connected, clock)
    return Desk(agency=connected, sandbox=sandbox, clock=clock)


def after_restore(**options) -> str:
    out = StringIO()
    call_command("after_restore", stdout=out, **options)
    return out.getvalue()


def asked(sandbox) -> list[str]:
    return [call["path"] for call in sandbox.history]


def test_before_meta_has_answered_no_token_leaves_for_reading_or_writing(desk, sandbox):
    assert tokens.write_token(desk.account)
    restoring.hold(reason="restored", now=desk.now)
    seen = len(sandbox.history)
    with pytest.raises(NoConnection):
        tokens.write_token(desk.account)
    with pytest.raises(NoConnection):
        tokens.reader(desk.account)
    assert len(sandbox.history) == seen


def test_the_command_stops_holds_asks_and_says_what_is_next(desk, sandbox):
    change = desk.approved("120")
    desk.clock.advance(60)
    said = after_restore()
    assert "Stopped" in said and "Held: 1 connections" in said and "stop --release" in said
    own = MetaConnection.everything.get()
    assert (own.held, own.state, own.checked_at) == (False, ConnectionState.CONNECTED, desk.now)
    assert f"northwind  {own.meta_user_name}  connected" in said
    assert tokens.write_token(desk.account), "Meta answered for it"
    assert Switch.everything.get().scope == "global"
    desk.wait(seconds=5)
    desk.step(change)
    assert change.state == "EXPIRED" and not Attempt.everything.exists(), (
        "approved before the backup came back"
    )
    assert AuditLine.everything.filter(verb="hold_after_restore", client=None).count() == 1


def test_a_token_that_ended_since_the_backup_is_found_out_before_it_is_used(desk, sandbox):
    control(sandbox, "POST", "revoke", user="alice", subcode=458)
    said = after_restore()
    assert "reconnect needed" in said
    assert MetaConnection.everything.get().state == ConnectionState.REAUTH_NEEDED
    with pytest.raises(NoConnection):
        tokens.write_token(desk.account)


def test_while_meta_does_not_answer_the_hold_stays_and_the_sentinel_ends_it(desk, sandbox):
    sandbox.faults.arm("dropped", {"path": "debug_token"}, None)
    said = after_restore()
    assert "held: Meta gave no answer" in said and "1 connections stay held" in said
    with pytest.raises(NoConnection):
        tokens.reader(desk.account)
    sandbox.faults.disarm()
    desk.clock.advance(300)
    sentinel.tend(now=desk.now)
    assert not MetaConnection.everything.get().held
    assert tokens.reader(desk.account)


def test_again_with_check_asks_and_holds_nothing_anew(desk):
    restoring.hold(reason="restored", now=desk.now)
    assert "Stopped" not in after_restore(check=True)
    assert not MetaConnection.everything.get().held


def test_connections_that_had_ended_stay_ended_and_are_not_asked_about(desk, sandbox):
    MetaConnection.everything.update(state=ConnectionState.REVOKED, token="")
    seen = len(sandbox.history)
    assert "Held: 0 connections" in after_restore()
    assert len(sandbox.history) == seen


def test_sessions_and_one_time_links_of_the_backup_are_dead_and_api_keys_are_named(desk):
    agency, now = desk.agency, desk.now
    browser = Browser()
    browser.post("/accounts/login/", {"login": "vic@example.com", "password": PASSWORD})
    assert browser.get("/connections/").status_code == 200
    link = ConnectLink.everything.create(
        client=agency.northwind, made_by=agency.users.alice, expires_at=now + timedelta(hours=1)
    )
    invitation = Invitation.everything.create(
        client=agency.northwind,
        email="new@example.com",
        role="viewer",
        digest="d",
        expires_at=now + timedelta(days=7),
    )
    ApiKey.objects.create(user=agency.users.ivan, name="shop", prefix="mak_abcd", digest="x")
    said = after_restore()
    assert "API key shop (mak_abcd…) of Ivan" in said
    assert browser.get("/connections/").status_code == 302
    for row in (link, invitation):
        row.refresh_from_db()
        assert row.withdrawn_at == now


def test_what_stood_as_sending_is_read_back_and_never_sent_again(desk, sandbox):
    """The backup was made between the request and its answer; the request had landed."""
    sandbox.faults.arm("applied_timeout", {}, 1)
    change = desk.until(desk.approved("120"), "UNKNOWN")
    Change.everything.filter(pk=change.pk).update(state="SENDING")
    posts = [
        call for call in sandbox.history if call["method"] == "POST" and call["path"] == change.object_id
    ]
    after_restore()
    desk.until(change, "APPLIED", most=200)
    again = [
        call for call in sandbox.history if call["method"] == "POST" and call["path"] == change.object_id
    ]
    assert len(again) == len(posts) == 1


def test_the_engine_notices_a_database_that_is_older_than_its_folder(desk, tmp_path, caplog):
    restored.beat(folder=tmp_path, now=desk.now)
    backup = Lease.objects.get(name=restored.LIFELINE).until
    for _ in range(60):
        desk.clock.advance(60)
        restored.beat(folder=tmp_path, now=desk.now)
    assert restoring.guard(folder=tmp_path, now=desk.now) is None, "its own database"
    Lease.objects.filter(name=restored.LIFELINE).update(until=backup)
    desk.clock.advance(60)
    behind = restoring.guard(folder=tmp_path, now=desk.now)
    assert behind is not None and timedelta(minutes=58) < behind < timedelta(minutes=62)
    assert MetaConnection.everything.get().held and Switch.everything.filter(released_at=None).exists()
    assert "restored from a backup" in caplog.text
    assert restoring.guard(folder=tmp_path, now=desk.now) is None, "said once"


@pytest.mark.parametrize("text", [None, "", "yesterday", "2026-11-18", "2999-01-01T00:00:00"])
def test_a_folder_that_tells_nothing_holds_nothing_and_does_not_keep_it_from_starting(desk, tmp_path, text):
    if text is not None:
        (tmp_path / restored.LIFELINE).write_text(text)
    assert restored.is_older(folder=tmp_path) is None
    restored.beat(folder=tmp_path, now=desk.now)
    assert restored.is_older(folder=tmp_path) is None


def test_a_power_cut_that_lost_some_moments_is_no_restore(desk, tmp_path):
    restored.beat(folder=tmp_path, now=desk.now)
    Lease.objects.update(until=desk.now - timedelta(minutes=9))
    assert restored.is_older(folder=tmp_path) is None
    Lease.objects.update(until=desk.now - timedelta(minutes=11))
    assert restored.is_older(folder=tmp_path) is not None


def test_a_folder_that_cannot_be_written_stops_nothing(desk, tmp_path, caplog):
    assert restoring.guard(folder=tmp_path / "gone", now=desk.now) is None
    assert "cannot be written" in caplog.text


def test_a_new_database_beside_an_old_folder_has_nothing_to_hold(desk, tmp_path):
    restored.beat(folder=tmp_path, now=desk.now)
    Lease.objects.all().delete()
    assert restored.is_older(folder=tmp_path) is None


def turned_back(now) -> None:
    MetaConnection.everything.update(held=False)
    Lease.objects.filter(name=restored.LIFELINE).update(until=now - timedelta(hours=1))


def test_the_canary_keeps_the_moment_and_a_worker_looks_at_it_before_its_first_task(desk, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    canary("control")
    assert (tmp_path / restored.LIFELINE).read_text() == desk.now.isoformat()
    turned_back(desk.now)
    guard()
    assert MetaConnection.everything.get().held
    assert guard in [receiver() for _, receiver in worker_init.receivers if callable(receiver)]


@pytest.mark.embedded
@pytest.mark.django_db(transaction=True)
def test_the_embedded_engine_holds_a_restored_database_before_it_starts(connected, tmp_path, clock):
    restored.beat(folder=tmp_path, now=clock.now())
    turned_back(clock.now())
    with running(folder=tmp_path):
        assert MetaConnection.everything.get().held
        assert Switch.everything.filter(scope="global", released_at=None).exists()
