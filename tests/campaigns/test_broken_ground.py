"""The ground gives way under the sender: its database, its disk, its log. Either nothing was sent, or it is on record.

Each story breaks something at one named moment of one change, mends it, lets the workers go on, and asks Meta what it
received. What the processes themselves go through (kills, freezes, a dead Redis) is in tests/prove.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection

import campaigns.changes.switch as switch
from accounts.models import AdAccount
from campaigns.models import Attempt, Change, LedgerHead
from campaigns.states import Field
from campaigns.tasks import sweep
from metaads.crash import watching

pytestmark = pytest.mark.django_db(transaction=True)

#: Before the attempt is committed nothing has left; from here on the request has, or may have.
BEFORE, AFTER = ("send.ready", "send.attempt", "send.uncommitted"), ("send.answered", "send.unrecorded")


@contextmanager
def at(name: str, do: Callable[[], None]) -> Iterator[list[str]]:
    """`do` when a worker first comes to this point; gives the points that were passed."""
    passed: list[str] = []

    def hook(point: str) -> None:
        passed.append(point)
        if point == name and passed.count(name) == 1:
            do()

    with watching(hook):
        yield passed
    assert name in passed, "the moment never came"


def ready(desk: Any, target: str = "120") -> Change:
    """An approved change whose second read is due."""
    change = desk.approved(target)
    desk.step(change)
    desk.wait(seconds=4)
    return change


def broken_step(desk: Any, change: Change, *errors: type[Exception]) -> None:
    with suppress(*errors):
        desk.step(change)
    connection.close()
    change.refresh_from_db()


def sent(desk: Any) -> list[str]:
    return [str(line["params"]["daily_budget"]) for line in desk.writes(desk.campaign)]


def goes_on(desk: Any, change: Change) -> None:
    """The sweep finds it by itself, and it ends as one effect that is on record."""
    for _ in range(40):
        sweep()
        change.refresh_from_db()
        if change.state == "APPLIED":
            break
        desk.wait(seconds=20)
    assert change.state == "APPLIED", f"{change.state}: {change.error_text}"
    assert desk.truth(desk.campaign, "daily_budget") == 12_000
    assert set(sent(desk)) == {"12000"} and len(sent(desk)) <= len(desk.attempts(change))


def fail_commit(*, done: bool) -> None:
    """The connection breaks during the next COMMIT: before the server had it, or when only its answer is missing."""
    raw = connection.connection

    def commit() -> None:
        del connection._commit
        if done:
            connection._commit()
        raw.close()
        raise OperationalError("server closed the connection unexpectedly")

    connection._commit = commit


@pytest.mark.fault("F14")
@pytest.mark.parametrize("done", [False, True], ids=["the server never had it", "only the answer was lost"])
def test_when_the_commit_of_the_attempt_is_in_doubt_nothing_is_posted(desk, done):
    change = ready(desk)
    with at("send.uncommitted", lambda: fail_commit(done=done)) as passed:
        broken_step(desk, change, OperationalError)
    assert sent(desk) == [] and "send.committed" not in passed
    assert (change.state, len(desk.attempts(change))) == (("SENDING", 1) if done else ("PREPARING", 0))
    goes_on(desk, change)
    assert len(sent(desk)) == 1


@pytest.mark.postgres
@pytest.mark.fault("F97")
@pytest.mark.parametrize("name", [*BEFORE, *AFTER])
def test_a_server_that_ends_our_connection_gets_no_request_out_unrecorded_and_none_out_twice(desk, name):
    change = ready(desk)

    def end() -> None:
        """As a server does that is shut down at once: from outside, in the middle of whatever runs."""
        pid = connection.connection.info.backend_pid
        with closing(connection.copy()) as other, other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])

    with at(name, end):
        broken_step(desk, change, DatabaseError)
    assert len(sent(desk)) == len(desk.attempts(change)) == int(name in AFTER)
    goes_on(desk, change)
    assert len(sent(desk)) == 1


@pytest.mark.postgres
@pytest.mark.fault("F97")
def test_on_a_standby_that_takes_no_writes_nothing_is_sent_until_it_does(desk):
    change = ready(desk)

    def standby(read_only: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET default_transaction_read_only = {read_only}")

    with at("send.ready", lambda: standby("on")), suppress(DatabaseError):
        desk.step(change)
    with suppress(DatabaseError):
        sweep()
    assert sent(desk) == []
    standby("off")
    assert Attempt.everything.count() == 0
    goes_on(desk, change)
    assert len(sent(desk)) == 1


@pytest.mark.postgres
@pytest.mark.fault("F34")
@pytest.mark.parametrize("name", ["send.attempt", "send.noted"])
def test_a_deadlock_undoes_our_transaction_and_never_repeats_the_request(desk, name):
    """A real one: somebody has a row that we want next, and waits for the account's chain, which we have."""
    change, threads = ready(desk), []
    holds, asked = threading.Event(), threading.Event()

    def other() -> None:
        with closing(connection.copy()) as mine, mine.cursor() as cursor:
            cursor.execute("SET deadlock_timeout = '1min'")  # so that the server chooses us
            cursor.execute("BEGIN")
            cursor.execute("UPDATE probe SET at = 1")
            holds.set()
            cursor.execute("SELECT 1 FROM campaigns_ledgerhead FOR UPDATE")
            asked.set()
            cursor.execute("ROLLBACK")

    def meet() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL deadlock_timeout = '10ms'")
        thread = threading.Thread(target=other)
        threads.append(thread)
        thread.start()
        assert holds.wait(10)
        with connection.cursor() as cursor:
            blocked = (
                "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            while cursor.execute(blocked).fetchone() == (0,):
                pass
            cursor.execute("UPDATE probe SET at = 2")

    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE probe AS SELECT 0 AS at")
    try:
        with at(name, meet):
            broken_step(desk, change, OperationalError)
        threads[0].join(10)
        assert asked.is_set(), "we were the one that was sacrificed"
        assert len(sent(desk)) == len(desk.attempts(change)) == int(name == "send.noted")
        goes_on(desk, change)
        assert len(sent(desk)) == 1
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE probe")


@contextmanager
def full_disk() -> Iterator[None]:
    """The next attempt finds no room: SQLite meets its largest size, PostgreSQL says what it says without room."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("CREATE TABLE filler (content)")
            cursor.execute(
                "CREATE TRIGGER large AFTER INSERT ON campaigns_attempt"
                " BEGIN INSERT INTO filler VALUES (zeroblob(5000000)); END"
            )
            cursor.execute("PRAGMA max_page_count = 1")  # which is the size that it has
        else:
            cursor.execute(
                "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
            )
            cursor.execute(
                "CREATE TRIGGER large BEFORE INSERT ON campaigns_attempt FOR EACH ROW EXECUTE FUNCTION no_room()"
            )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute("PRAGMA max_page_count = 1073741823")
                cursor.execute("DROP TRIGGER large")
                cursor.execute("DROP TABLE filler")
            else:
                cursor.execute("DROP FUNCTION no_room CASCADE")


@pytest.mark.fault("F99")
def test_on_a_full_disk_requests_stop_first_and_go_on_when_there_is_room(desk, caplog):
    change = ready(desk)
    with full_disk(), pytest.raises(OperationalError, match=r"full|No space left"):
        desk.step(change)
    with full_disk():
        desk.wait(seconds=61)
        for _ in range(2):
            sweep()
            desk.wait(seconds=4)
    assert sent(desk) == [] and Attempt.everything.count() == 0
    assert "could not be taken a step on" in caplog.text, "and the log says of which change"
    goes_on(desk, change)
    assert len(sent(desk)) == 1


@pytest.mark.fault("F99")
def test_before_the_disk_is_full_raises_rest_and_cuts_and_pauses_leave(desk, small_disk):
    change = ready(desk)
    small_disk(free=100)
    desk.step(change)
    assert (change.state, sent(desk)) == ("APPROVED", [])
    assert "A disk of this installation is full" in change.error_text
    assert desk.file("110").state == "REJECTED"
    desk.until(desk.approved("PAUSED", field=Field.STATUS, obj=desk.other), "APPLIED")
    desk.until(desk.approved("25", obj=desk.ad_set), "APPLIED")
    small_disk(free=50_000)
    desk.wait(seconds=61)
    goes_on(desk, change)


@pytest.mark.embedded
@pytest.mark.fault("F104")
@pytest.mark.parametrize("name", ["send.ready", "send.answered"])
def test_while_another_process_has_sqlite_locked_nothing_leaves_unrecorded(desk, name):
    change = ready(desk)
    path = connection.settings_dict["NAME"]
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def lock() -> None:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 20")
        other.execute("BEGIN IMMEDIATE")

    try:
        with at(name, lock), pytest.raises(OperationalError, match="locked"):
            desk.step(change)
    finally:
        other.execute("ROLLBACK")
        other.close()
    connection.close()
    assert len(sent(desk)) == len(desk.attempts(change)) == int(name == "send.answered")
    goes_on(desk, change)
    assert len(sent(desk)) == 1


@pytest.mark.fault("F79")
def test_what_another_process_switched_off_is_read_in_the_transaction_that_sends(desk, settings):
    """The worker has begun with everything allowed; a connection of its own says otherwise just before the commit."""
    settings.BUILD_ID = "build-7"
    switched_off = {
        "stop": lambda: switch.pull(
            scope=switch.Scope(), principal=desk.agency.principals.alice, reason="wait", now=desk.now
        ),
        "disabled": lambda: AdAccount.everything.update(enabled_at=None),
    }
    for what, do in switched_off.items():
        change = ready(desk, "120" if what == "stop" else "121")
        thread = threading.Thread(target=lambda do=do: (do(), connection.close()))
        with at("send.ready", lambda thread=thread: (thread.start(), thread.join(10))):
            desk.step(change)
        assert sent(desk) == [], what
        if what == "stop":
            switch.release(
                scope=switch.Scope(), principal=desk.agency.principals.alice, reason="go", now=desk.now
            )
    AdAccount.everything.filter(pk=change.ad_account_id).update(enabled_at=desk.now)
    desk.wait(minutes=31)
    desk.sync()
    change = desk.until(desk.approved("120"), "APPLIED")
    assert [attempt.build_id for attempt in desk.attempts(change)] == ["build-7"]


class Broken(logging.StreamHandler[Any]):
    """The log's disk is full, or its pipe has no reader any more."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.format(record)
            raise OSError(28, "No space left on device")
        except OSError:
            self.handleError(record)


@pytest.mark.fault("F107")
def test_a_log_that_cannot_be_written_blocks_no_change(desk, capsys):
    root, broken = logging.getLogger(), Broken()
    level = root.level
    root.addHandler(broken)
    root.setLevel(logging.INFO)
    try:
        desk.sandbox.faults.arm("html", {"method": "POST"}, 1)
        logging.getLogger("campaigns").error("a line of a megabyte: %s", "x" * 1_000_000)
        change = desk.until(desk.approved("120"), "APPLIED", every=20)
    finally:
        root.removeHandler(broken)
        root.setLevel(level)
    assert "No space left on device" in capsys.readouterr().err, "lines were written, and failed"
    assert len(sent(desk)) == len(desk.attempts(change))
    assert LedgerHead.everything.exists()
