"""A Meta user is forgotten: what is on its way comes to rest first, and the ledger still proves what was done."""

from __future__ import annotations

import json

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client as Browser

import accounts.sentinel as sentinel
import campaigns.changes.ledger as ledger
import campaigns.erasure as erasure
import insights.erasure
import strategies.erasure
from accounts.connections import connect
from accounts.models import ConnectionState, MetaConnection, UserRequest
from campaigns.models import Change, LedgerLine
from campaigns.tasks import erase
from insights.models import FetchRun
from tests.accounts.test_deletions import FORGET, post, signed

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F131")]


def asked(number: str) -> UserRequest:
    """That Meta user asks at facebook.com to be forgotten."""
    assert post(FORGET, signed(number)).status_code == 200
    return UserRequest.objects.get(done_at=None)


def everybody(now) -> None:
    """Every floor's round, as the schedule has them."""
    for sweep in (erasure.sweep, insights.erasure.sweep, strategies.erasure.sweep):
        sweep(now=now)
    sentinel.tend(now=now)


def page(request: UserRequest) -> str:
    return Browser().get(f"/data-deletion/{request.code}/").content.decode()


@pytest.fixture
def hanna(desk):
    """The number of somebody who changed a budget in Ads Manager, as the activity log names her."""
    desk.edit(desk.campaign, "daily_budget", 7700)
    desk.wait(minutes=1)
    desk.sync()
    number = LedgerLine.everything.get(by="outside").actor_id
    assert number
    return number


def test_the_number_goes_from_every_column_and_the_chain_still_holds(desk, hanna):
    change = desk.until(desk.approved("PAUSED", field="status", obj=desk.other), "APPLIED")
    ours = set(LedgerLine.everything.filter(by="person").values_list("actor_id", flat=True))
    lines = LedgerLine.everything.count()
    request = asked(hanna)
    erase()
    assert not request.parts.filter(part="campaigns", done_at=None).exists()
    for line in LedgerLine.everything.all():
        assert hanna not in str(vars(line))
    assert LedgerLine.everything.count() == lines
    assert ledger.verify(ad_account_id=desk.account.pk) == []
    assert set(LedgerLine.everything.filter(by="person").values_list("actor_id", flat=True)) == ours != set()
    assert (
        LedgerLine.everything.get(by="outside").after == "77.00"
        or LedgerLine.everything.get(by="outside").after
    )
    assert change.state == "APPLIED"


def test_the_number_cannot_be_guessed_from_the_text_that_stays(desk, hanna):
    """Sixteen digits are soon tried one by one; the salt, which goes with the number, keeps that from working."""
    line = LedgerLine.everything.get(by="outside")
    seal = json.loads(line.text)["actor"]
    assert len(line.actor_salt) == 32 and len(seal) == 64 and hanna not in line.text
    ledger.forget_actor(actor_id=hanna, by=erasure.META_USERS)
    line.refresh_from_db()
    assert (line.actor_id, line.actor_salt, json.loads(line.text)["actor"]) == ("", "", seal)


def test_who_did_it_cannot_be_replaced_or_erased_without_a_permit(desk, hanna):
    line = LedgerLine.everything.get(by="outside")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM campaigns_permit")
    for columns in ({"actor_id": "", "actor_salt": ""}, {"actor_id": "1"}, {"note": "x"}):
        with pytest.raises(DatabaseError), transaction.atomic():
            LedgerLine.everything.filter(pk=line.pk).update(**columns)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO campaigns_permit VALUES ('a test')")
    for columns in ({"actor_id": "", "actor_salt": "", "note": "x"}, {"actor_id": ""}, {"actor_id": "1"}):
        with pytest.raises(DatabaseError), transaction.atomic():
            LedgerLine.everything.filter(pk=line.pk).update(**columns)
    assert ledger.verify(ad_account_id=desk.account.pk) == []


def test_an_actor_that_was_replaced_is_found(desk, hanna):
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = replica")
        else:
            cursor.execute("DROP TRIGGER campaigns_ledgerline_sealed")
        cursor.execute("UPDATE campaigns_ledgerline SET actor_id = '1' WHERE actor_id = %s", [hanna])
    assert ledger.verify(ad_account_id=desk.account.pk) != []


def test_the_permit_is_gone_after_the_erasure(desk, hanna):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM campaigns_permit")
    ledger.forget_actor(actor_id=hanna, by=erasure.META_USERS)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM campaigns_permit")
        assert cursor.fetchone() == (0,)


def the_connected_one() -> str:
    return MetaConnection.everything.get().meta_user_id


def test_a_change_whose_fate_is_open_holds_the_deletion_until_it_is_known(desk):
    """Sent without an answer; then its Meta user leaves. Somebody else connects the account, and it is read back."""
    desk.sandbox.faults.arm("applied_timeout", {}, 1)
    change = desk.until(desk.approved("120"), "UNKNOWN")
    request = asked(the_connected_one())
    for _ in range(3):
        everybody(desk.now)
        desk.wait(seconds=20)
    request.refresh_from_db()
    assert request.done_at is None
    assert MetaConnection.everything.get().state == ConnectionState.DELETING
    shown = page(request)
    assert (
        "In progress" in shown
        and 'has a known outcome</span> <span class="badge info hollow">waiting' in shown
    )

    connect(
        client=desk.agency.northwind,
        principal=desk.agency.principals.alice,
        token=desk.sandbox.token("bob"),
        now=desk.now,
        user=desk.agency.users.alice,
    )
    desk.until(change, "APPLIED", most=200)
    everybody(desk.now)
    request.refresh_from_db()
    assert request.done_at == desk.now
    assert not MetaConnection.everything.filter(state=ConnectionState.DELETING).exists()
    assert "Done on" in page(request)
    assert ledger.verify(ad_account_id=desk.account.pk) == []


@pytest.mark.parametrize("fate", ["UNKNOWN", "HELD_AUTH"])
def test_when_nobody_reconnects_a_person_is_asked_and_the_deletion_ends_within_two_days(desk, fate):
    change = desk.approved("120")
    if fate == "HELD_AUTH":
        desk.sandbox.faults.arm("auth", {"method": "POST"}, 1)
    else:
        desk.sandbox.faults.arm("applied_timeout", {}, 1)
    desk.until(change, fate)
    request = asked(the_connected_one())
    hours = 0
    while UserRequest.objects.filter(pk=request.pk, done_at=None).exists():
        everybody(desk.now)
        for _ in range(20):
            desk.step(change)
            desk.wait(seconds=180)
        hours += 1
        assert hours < 48
    assert (hours > 24) == (fate == "HELD_AUTH")
    assert Change.everything.get(pk=change.pk).state == "NEEDS_HUMAN"
    assert ledger.verify(ad_account_id=desk.account.pk) == []


def test_changes_of_other_connections_do_not_hold_it(desk):
    desk.sandbox.faults.arm("applied_timeout", {}, 1)
    desk.until(desk.approved("120"), "UNKNOWN")
    request = asked("10200000000099999")
    everybody(desk.now)
    request.refresh_from_db()
    assert request.done_at is not None


def test_meta_s_words_that_quote_the_number_lose_it_and_longer_numbers_stay(desk):
    number = the_connected_one()
    change = desk.file("120")
    words = f"User {number} may not; ask 9{number}1."
    Change.everything.filter(pk=change.pk).update(error_text=words)
    run = FetchRun.everything.create(
        ad_account_id=desk.account.pk, kind="manual", state="failed", sentence=words, days=1,
        started_at=desk.now, seen_at=desk.now,
    )  # fmt: skip
    asked(number)
    everybody(desk.now)
    for row, column in ((change, "error_text"), (run, "sentence")):
        row.refresh_from_db()
        assert getattr(row, column) == f"User a deleted Meta user may not; ask 9{number}1."
