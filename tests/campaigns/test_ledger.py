"""The ledger and the tables beneath it: nothing that happened can be rewritten unseen."""

from __future__ import annotations

import hashlib
import json

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.utils import DatabaseError

import campaigns.changes.ledger as ledger
from campaigns.changes.invariants import check
from campaigns.errors import Closed, IllegalTransition
from campaigns.models import Attempt, Change, LedgerHead, LedgerLine, Observation
from campaigns.states import ChangeState

pytestmark = pytest.mark.django_db
TABLES = ("campaigns_change", "campaigns_attempt", "campaigns_observation", "campaigns_ledgerline")


def refused(statement: str, *values: object) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)


@pytest.fixture
def applied(desk):
    return desk.until(desk.approved("120"), "APPLIED")


def test_the_chain_of_a_whole_change_verifies(desk, applied):
    assert LedgerLine.everything.count() >= 7
    assert ledger.verify(ad_account_id=desk.account.pk) == []


def without_triggers(statement: str, *values: object) -> None:
    """What somebody with the database's password could do."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = replica")
        else:
            cursor.execute("DROP TRIGGER campaigns_ledgerline_sealed")
        cursor.execute(statement, values)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE campaigns_ledgerline SET after = '1' WHERE seq = 7",
        "UPDATE campaigns_ledgerline SET text = replace(text, '120', '121') WHERE seq = 7",
        "UPDATE campaigns_ledgerline SET hash = previous_hash WHERE seq = 7",
        "UPDATE campaigns_ledgerhead SET seq = seq - 1",
    ],
)
def test_tampering_with_a_line_is_found(desk, applied, tampering):
    without_triggers(tampering)
    assert ledger.verify(ad_account_id=desk.account.pk) != []
    assert "N16" in {breach.invariant for breach in check(ad_account=desk.account, now=desk.now)}


def test_a_removed_last_line_is_found(desk, applied):
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO campaigns_permit VALUES ('test')")
        cursor.execute(
            "DELETE FROM campaigns_ledgerline WHERE seq = (SELECT max(seq) FROM campaigns_ledgerline)"
        )
    assert ledger.verify(ad_account_id=desk.account.pk) == ["The chain does not end where its head says."]


@pytest.mark.fault("F13")
@pytest.mark.parametrize("column", ["target", "before", "key", "object_id", "field", "currency", "digest"])
def test_what_a_change_is_for_cannot_be_changed_in_the_database(applied, column):
    refused(f'UPDATE campaigns_change SET "{column}" = %s WHERE id = %s', "130", applied.pk)


@pytest.mark.parametrize("table", ["campaigns_observation", "campaigns_ledgerline"])
def test_what_was_seen_and_said_cannot_be_rewritten(applied, table):
    refused(f"UPDATE {table} SET id = id")


def test_an_attempt_is_answered_once(applied):
    attempt = Attempt.everything.get()
    refused("UPDATE campaigns_attempt SET outcome = 'refused' WHERE id = %s", attempt.pk)
    refused("UPDATE campaigns_attempt SET value = '1' WHERE id = %s", attempt.pk)


@pytest.mark.parametrize("table", TABLES)
def test_rows_go_only_with_a_permit(applied, table):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM campaigns_permit")
    refused(f"DELETE FROM {table}")


def test_every_trigger_stands_after_all_migrations():
    wanted = {f"{table}_kept" for table in TABLES} | {
        "campaigns_change_frozen", "campaigns_attempt_frozen", "campaigns_attempt_answered_once",
        "campaigns_observation_sealed", "campaigns_ledgerline_sealed",
    }  # fmt: skip
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        assert wanted <= {name for (name,) in cursor.fetchall()}


def test_two_open_changes_of_one_field_cannot_stand_in_the_database(desk):
    one, two = desk.file("110"), desk.file("130")
    Change.everything.filter(pk=one.pk).update(state="SENDING")
    with pytest.raises(IntegrityError), transaction.atomic():
        Change.everything.filter(pk=two.pk).update(state="PREPARING")
    Change.everything.filter(pk=one.pk).update(state="PROPOSED")


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "DONE"},
        {"field": "objective"},
        {"target": ""},
        {"field": "status", "target": "DELETED"},
        {"rise": -1},
    ],
)
def test_the_database_refuses_what_is_no_change(desk, fields):
    change = desk.file("110")
    values = {
        name.attname: getattr(change, name.attname)
        for name in Change._meta.fields
        if name.attname not in ("id", "uuid")
    }
    with pytest.raises(IntegrityError), transaction.atomic():
        Change.everything.create(**{**values, "key": "other", **fields})


def test_a_step_that_the_table_does_not_have_is_a_bug(desk):
    change = desk.file("110")
    with pytest.raises(IllegalTransition), ledger.locked(desk.account.pk):
        ledger.transition(change, to=ChangeState.SENDING, now=desk.now)
    assert Change.everything.get(pk=change.pk).state == "PROPOSED"


@pytest.mark.fault("F33")
def test_a_step_on_a_change_that_somebody_else_has_moved_is_refused(desk):
    change = desk.file("110")
    other = Change.everything.get(pk=change.pk)
    with ledger.locked(desk.account.pk):
        ledger.transition(other, to=ChangeState.REJECTED, now=desk.now)
    with pytest.raises(Closed), ledger.locked(desk.account.pk):
        ledger.transition(change, to=ChangeState.APPROVED, now=desk.now)


def test_a_transition_is_announced_after_commit_with_ids_only(desk, django_capture_on_commit_callbacks):
    from campaigns.signals import change_recorded

    heard = []

    def listener(**told):
        heard.append({key: value for key, value in told.items() if key not in ("signal", "sender")})

    change_recorded.connect(listener)
    try:
        with django_capture_on_commit_callbacks(execute=False) as waiting:
            change = desk.file("110")
            assert heard == []
        waiting[0]()
    finally:
        change_recorded.disconnect(listener)
    assert heard == [{"change_id": str(change.uuid), "state": "PROPOSED", "client_id": change.client_id}]


def test_lines_seal_who_did_it_and_never_hold_a_name(desk, applied):
    alice = str(desk.agency.users.alice.pk)
    lines = list(LedgerLine.everything.exclude(actor_id=""))
    assert alice in {line.actor_id for line in lines}
    for line in lines:
        sealed = hashlib.sha256(f"{line.actor_salt}\n{line.actor_id}".encode()).hexdigest()
        assert json.loads(line.text)["actor"] == sealed
    assert not any("Alice" in text for text in LedgerLine.everything.values_list("text", flat=True))


@pytest.mark.parametrize("who, sees", [("alice", True), ("bob", True), ("vic", True), ("charlie", False)])
def test_lines_of_another_client_are_not_to_be_seen(desk, applied, who, sees):
    assert ledger.lines(getattr(desk.agency.principals, who)).exists() is sees


def test_each_read_left_an_observation(applied):
    assert list(Observation.everything.values_list("phase", "value").order_by("id")) == [
        ("prepare", "100"), ("prepare", "100"), ("verify", "120"), ("verify", "120"),
    ]  # fmt: skip


def test_the_head_counts_the_lines(desk, applied):
    assert LedgerHead.everything.get(ad_account=desk.account).seq == LedgerLine.everything.count()
