"""The drill: a backup of six hours ago is put back, and the world has moved on. Hold, look, and a person lets go."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import transaction

import accounts.restored as restored
import campaigns.changes.ledger as ledger
import campaigns.restored as restoring
from accounts.models import MetaConnection
from campaigns.changes.invariants import check
from campaigns.models import Attempt, Change, LedgerLine, Switch
from campaigns.states import Field
from campaigns.tasks import sweep

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F105")]


class PutBack(Exception):
    """Everything since the backup is gone from the database; nothing of it is gone from Meta."""


def six_hours_after_the_backup(desk) -> None:
    desk.wait(hours=1)
    desk.sync()
    desk.until(desk.approved("120"), "APPLIED")
    desk.wait(hours=3)
    desk.edit(desk.ad_set, "daily_budget", 4_400)
    desk.sync()
    desk.sandbox.faults.arm("applied_timeout", {"method": "POST"}, 1)
    desk.until(desk.approved("PAUSED", field=Field.STATUS, obj=desk.other), "UNKNOWN")
    desk.wait(hours=2)


def swept(desk, *, minutes: int) -> None:
    for _ in range(minutes):
        sweep()
        desk.wait(minutes=1)


def outside(desk) -> set[tuple[str, str, str, str, str]]:
    rows = LedgerLine.everything.filter(kind="edit")
    return {(one.by, one.object_id, one.field, one.before, one.after) for one in rows}


def test_nothing_is_sent_before_a_person_has_seen_what_happened_since_the_backup(desk, tmp_path, settings):
    settings.VAR_DIR = tmp_path
    waiting = desk.approved("130")
    with suppress(PutBack), transaction.atomic():
        six_hours_after_the_backup(desk)
        raise PutBack
    assert Change.everything.get().pk == waiting.pk and not Attempt.everything.exists(), (
        "the ledger is behind"
    )
    ours, sent = desk.campaign, len(desk.writes())
    assert (ours.daily_budget, desk.truth(ours, "daily_budget"), sent) == (100, 12_000, 2)

    said = StringIO()
    call_command("after_restore", stdout=said)
    assert "Held: 1 connections" in said.getvalue()
    swept(desk, minutes=3)
    waiting.refresh_from_db()
    assert waiting.state == "EXPIRED", "approved before the backup, so before all that"

    # What Meta's log and two reads of the tree tell of those hours: our own lost work, and other people's.
    desk.sync()
    seen = outside(desk)
    assert ("us_outside", ours.meta_id, "daily_budget", "100", "120") in seen
    assert ("us_outside", desk.other.meta_id, "status", "ACTIVE", "PAUSED") in seen
    assert ("outside", desk.ad_set.meta_id, "daily_budget", "30", "44") in seen
    assert (
        desk.campaign.daily_budget == 120 and desk.ad_set.daily_budget == 44 and desk.other.status == "PAUSED"
    )
    swept(desk, minutes=3)
    refused = desk.file("125")
    assert refused.state == "REJECTED" and "stopped" in refused.error_text
    assert len(desk.writes()) == sent, "nothing leaves before somebody has looked"

    call_command("stop", "--release", "--reason", "looked through", stdout=StringIO())
    assert not Switch.everything.filter(released_at__isnull=True).exists()
    desk.wait(hours=25)
    desk.sync()
    sweep()
    again = desk.until(desk.approved("125"), "APPLIED")
    assert (again.before, desk.truth(ours, "daily_budget"), len(desk.writes())) == ("120", 12_500, sent + 1)
    assert (
        ledger.verify(ad_account_id=desk.account.pk) == []
        and check(ad_account=desk.account, now=desk.now) == []
    )


def test_a_start_on_a_database_that_is_six_hours_behind_holds_by_itself_and_sends_nothing(desk, tmp_path):
    waiting = desk.approved("130")
    restoring.guard(folder=tmp_path, now=desk.now)
    with suppress(PutBack), transaction.atomic():
        desk.wait(hours=6)
        restored.beat(folder=tmp_path, now=desk.now)
        raise PutBack
    behind = restoring.guard(folder=tmp_path, now=desk.now)
    assert behind is not None and timedelta(hours=5, minutes=59) < behind <= timedelta(hours=6)
    swept(desk, minutes=3)
    waiting.refresh_from_db()
    assert waiting.state == "EXPIRED" and desk.writes() == []
    assert "5 h 59 min behind" in Switch.everything.get(released_at=None).reason
    assert not MetaConnection.everything.filter(held=False).exists()
