"""Every protection is taken away once, to see the damage that it prevents: a proof that cannot fail proves nothing.

Each test lives the same story twice, with the protection and without. They are taken away by patching, which only a
test can do: there is no setting for any of them, and `SETTLE_SECONDS` under 60 is refused in production.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

import campaigns.changes.approvals as approvals
import campaigns.changes.caps as caps
import campaigns.changes.guards as guards
import campaigns.changes.ledger as ledger
import campaigns.changes.reading as reading
import campaigns.changes.send as send
import campaigns.changes.switch as switch
from accounts.errors import Refused
from accounts.models import AdAccount
from campaigns.changes.envelopes import Period, Scope
from campaigns.changes.invariants import check
from campaigns.errors import IllegalTransition
from campaigns.models import Attempt, Change, LedgerLine
from campaigns.states import ChangeState, Evidence, Source
from metaads.crash import watching
from metaads.graph.errors import Answer, Kind

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.parametrize("protected", [True, False], ids=["with", "without"]),
]


def walk(desk: Any, change: Change, *, seconds: float = 60, every: float = 4) -> Change:
    """Let the workers do what they would, for so long."""
    for _ in range(int(seconds / every)):
        desk.step(change)
        desk.wait(seconds=every)
    change.refresh_from_db()
    return change


def values(desk: Any) -> list[str]:
    return [str(line["params"]["daily_budget"]) for line in desk.writes(desk.campaign)]


def once(name: str, do: Callable[[], None]) -> Any:
    """Something happens when a worker comes to this point for the first time."""
    left = [do]
    return watching(lambda point: left.pop()() if point == name and left else None)


def without_trigger(name: str, table: str) -> None:
    with connection.cursor() as cursor:
        on = f" ON {table}" if connection.vendor == "postgresql" else ""
        cursor.execute(f"DROP TRIGGER {name}{on}")


def test_the_settle_window(desk, settings, protected):
    """Without it the value is sent again while the first request is still on its way."""
    if not protected:
        settings.SETTLE_SECONDS = 0
    desk.sandbox.faults.arm("late", {"method": "POST"}, 1, seconds=90)
    walk(desk, desk.approved("120"), seconds=200)
    assert values(desk) == ["12000"] * (1 if protected else 2)


def test_two_agreeing_reads(desk, monkeypatch, protected):
    """Without the second one, a read from a minute ago writes over what somebody has just set."""
    if not protected:

        def first(change: Change, *, phase: str, since: Any) -> str | None:
            seen = reading.newest(change, phase=phase)
            return seen.value if seen else None

        monkeypatch.setattr(reading, "agreed", first)
    change = desk.approved("120")
    desk.edit(desk.campaign, "daily_budget", 7_700)
    desk.sandbox.faults.arm(
        "stale_read", {"method": "GET", "object_id": desk.campaign.meta_id}, 1, seconds=60
    )
    walk(desk, change)
    assert (desk.truth(desk.campaign, "daily_budget") == 7_700) is protected


def test_the_value_known_before(desk, monkeypatch, protected):
    """Human wins: without the comparison our value replaces theirs."""
    if not protected:
        monkeypatch.setattr(reading, "agreed", lambda change, *, phase, since: change.before)
    change = desk.approved("120")
    desk.edit(desk.campaign, "daily_budget", 7_700)
    desk.step(change), desk.wait(seconds=4), desk.step(change)
    assert (desk.truth(desk.campaign, "daily_budget") == 7_700) is protected


def test_the_lease(desk, monkeypatch, protected):
    """Without it a worker that slept for ten minutes acts on what it saw before."""
    if not protected:
        rows = Change.everything.select_related("client", "ad_account")
        monkeypatch.setattr(
            reading, "still_mine", lambda claim, *, now: rows.filter(pk=claim.change.pk).first()
        )
    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)

    def sleep() -> None:
        desk.wait(minutes=10)
        desk.edit(desk.campaign, "daily_budget", 7_700)

    with once("send.ready", sleep):
        desk.step(change)
    assert (desk.truth(desk.campaign, "daily_budget") == 7_700) is protected


def test_one_open_change_of_a_field(desk, protected):
    """Without the index two workers bring two changes of one budget on their way, and Meta gets both."""
    if not protected:
        with connection.cursor() as cursor:
            cursor.execute("DROP INDEX change_one_open_per_field")
    one, two = desk.file("110"), desk.file("115")
    Change.everything.update(state="APPROVED", approved_at=desk.now)
    desk.step(one)
    desk.step(two)
    states = sorted(Change.everything.values_list("state", flat=True))
    assert (states == ["APPROVED", "PREPARING"]) is protected
    found = {breach.invariant for breach in check(ad_account=desk.account, now=desk.now)}
    assert ("N7" in found) is not protected


@pytest.mark.fault("F80")
def test_the_guards_asked_again_before_sending(desk, monkeypatch, protected):
    """Without them a cap that was lowered after the approval does not hold."""
    if not protected:
        monkeypatch.setattr(send, "_forbidden", lambda change, *, now: ("", None))
    change = desk.approved("120")
    caps.set_(
        principal=desk.agency.principals.alice,
        client=desk.agency.northwind,
        scope=Scope.ACCOUNT,
        period=Period.DAY,
        amount=Decimal(1),
        reason="less",
        ad_account=desk.account,
        now=desk.now,
    )
    walk(desk, change)
    assert values(desk) == ([] if protected else ["12000"])


def test_the_kill_switch_read_before_sending(desk, monkeypatch, protected):
    """Without it what was approved before the stop still goes out after it."""
    if not protected:
        monkeypatch.setattr(send, "_stopped", lambda change: "")
    change = desk.approved("120")
    switch.pull(scope=switch.Scope(), principal=desk.agency.principals.alice, reason="wait", now=desk.now)
    walk(desk, change)
    assert values(desk) == ([] if protected else ["12000"])


def test_the_digest(desk, protected):
    """Without it a person approves one amount and another one is sent."""

    class Any_(str):
        __hash__ = str.__hash__

        def __ne__(self, other: object) -> bool:
            return False

    shown, sent = desk.file("110"), desk.file("130")
    digest = shown.digest if protected else Any_(shown.digest)
    with suppress(Refused):
        approvals.approve(change=sent, principal=desk.agency.principals.alice, digest=digest, now=desk.now)
    walk(desk, sent)
    assert values(desk) == ([] if protected else ["13000"])


def test_the_age_of_what_is_known(desk, monkeypatch, protected):
    """Without it a budget is raised on a structure that was read hours ago."""
    if not protected:
        monkeypatch.setattr(guards, "_freshness", lambda *_: [])
    desk.wait(hours=5)
    desk.spent()
    change = desk.file("120")
    with suppress(Refused):
        approvals.approve(
            change=change, principal=desk.agency.principals.alice, digest=change.digest, now=desk.now
        )
    walk(desk, change)
    assert values(desk) == ([] if protected else ["12000"])


@pytest.mark.fault("F42")
def test_our_own_count_of_four_an_hour(desk, monkeypatch, protected):
    """Without it Meta gets a fifth budget within the hour, and blocks the ad set for the next one."""
    if not protected:
        monkeypatch.setattr(guards, "_pace", lambda *_: [])
    for target in ("99", "98", "97", "96", "95"):
        change = desk.file(target)
        with suppress(Refused):
            alice = desk.agency.principals.alice
            approvals.approve(change=change, principal=alice, digest=change.digest, now=desk.now)
        walk(desk, change, seconds=40)
    assert len(values(desk)) == (4 if protected else 5)


@pytest.mark.fault("F13")
def test_the_fixed_target(desk, protected):
    """Without the trigger, a retry that reckons anew sends another value."""
    if not protected:
        without_trigger("campaigns_change_frozen", "campaigns_change")
    desk.sandbox.faults.arm("dropped", {"method": "POST"}, 1)
    change = desk.until(desk.approved("120"), "UNKNOWN")
    with suppress(DatabaseError), transaction.atomic():
        Change.everything.filter(pk=change.pk).update(target="140")
    walk(desk, change, seconds=200)
    assert values(desk) == ["12000", "12000" if protected else "14000"]
    found = {breach.invariant for breach in check(ad_account=desk.account, now=desk.now)}
    assert ("N3" in found) is not protected


def test_lines_that_only_append(desk, protected):
    """Without the trigger somebody rewrites what the ledger said."""
    if not protected:
        without_trigger("campaigns_ledgerline_sealed", "campaigns_ledgerline")
    desk.file("120")
    with suppress(DatabaseError), transaction.atomic():
        LedgerLine.everything.update(note="it was somebody else")
    assert LedgerLine.everything.filter(note="it was somebody else").exists() is not protected


def test_attempts_that_stay(desk, protected):
    """Without the trigger the trace of a request can be taken away."""
    connection.cursor().execute("DELETE FROM campaigns_permit")
    if not protected:
        without_trigger("campaigns_attempt_kept", "campaigns_attempt")
    desk.until(desk.approved("120"), "APPLIED")
    with suppress(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM campaigns_attempt")
    assert Attempt.everything.exists() is protected


def test_the_verified_chain(desk, monkeypatch, protected):
    """Without it a line that was rewritten with the database's password stays unseen."""
    without_trigger("campaigns_ledgerline_sealed", "campaigns_ledgerline")
    desk.file("120")
    LedgerLine.everything.update(note="it was somebody else")
    if not protected:
        monkeypatch.setattr(ledger, "verify", lambda *, ad_account_id: [])
    assert (check(ad_account=desk.account, now=desk.now) != []) is protected


@pytest.mark.fault("F32")
def test_approvals_that_run_out(desk, monkeypatch, protected):
    """Without the end of an approval, something is sent that somebody wanted days ago."""
    change = desk.approved("120")
    if not protected:
        Change.everything.update(expires_at=desk.now + timedelta(days=365))
    desk.wait(days=3)
    desk.sync()
    walk(desk, change)
    assert values(desk) == ([] if protected else ["12000"])


@pytest.mark.fault("F24")
def test_the_send_guard(desk, monkeypatch, protected):
    """Without it a worker that slept after its commit sends a request of which nobody knows any more."""
    if not protected:
        monkeypatch.setattr(send, "SEND_WITHIN", float("inf"))
    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)
    real = send.monotonic
    with once("send.committed", lambda: monkeypatch.setattr(send, "monotonic", lambda: real() + 600)):
        desk.step(change)
    assert values(desk) == ([] if protected else ["12000"])


@pytest.mark.fault("F5")
def test_reading_back(desk, monkeypatch, protected):
    """Without it Meta's word is taken for the deed."""
    desk.sandbox.faults.arm("lying_success", {"method": "POST"}, 1)
    change = desk.until(desk.approved("120"), "ACKED")
    if not protected:
        monkeypatch.setattr(reading, "agreed", lambda change, *, phase, since: change.target)
    desk.wait(seconds=4)
    change = desk.step(change)
    assert (change.state == "APPLIED") is not protected
    assert desk.truth(desk.campaign, "daily_budget") == 10_000


def test_the_log_of_activities(desk, monkeypatch, protected):
    """Without it a value that somebody has set back is set again over their decision."""
    if not protected:
        monkeypatch.setattr(reading, "traces", lambda change, *, clock: ())
    desk.sandbox.faults.arm("applied_timeout", {"method": "POST"}, 1)
    change = desk.until(desk.approved("120"), "UNKNOWN")
    desk.wait(seconds=20)
    desk.edit(desk.campaign, "daily_budget", 10_000)
    walk(desk, change, seconds=200)
    assert values(desk) == ["12000"] * (1 if protected else 2)


def test_the_table_of_states(desk, monkeypatch, protected):
    """Without it a faulty caller brings an unapproved change on its way."""
    if not protected:
        monkeypatch.setattr(ledger, "check", lambda old, new: None)
    change = desk.file("120")
    with suppress(IllegalTransition), ledger.locked(desk.account.pk):
        ledger.transition(change, to=ChangeState.PREPARING, now=desk.now)
    assert (Change.everything.get(pk=change.pk).state == "PROPOSED") is protected


@pytest.mark.fault("F72")
def test_the_currency_of_the_account(desk, monkeypatch, protected):
    """Without it 80 dollars are sent as 8,000 yen to an account that has another currency by now."""
    if not protected:
        monkeypatch.setattr(guards, "_the_currency", lambda intent, at: [])
    change = desk.approved("80")
    AdAccount.everything.filter(pk=change.ad_account_id).update(
        currency="JPY"
    )  # read first, before its campaigns
    walk(desk, change)
    assert values(desk) == ([] if protected else ["8000"])


def test_the_age_of_the_evidence(desk, monkeypatch, protected):
    """Without it a rule's raise goes out on numbers that nobody vouches for any more."""
    if not protected:
        monkeypatch.setattr(guards, "_freshness", lambda *_: [])
    good_for = desk.now + timedelta(minutes=1)
    evidence = Evidence(data_version=3, as_of=desk.now, checksum="c", valid_until=good_for)
    change = desk.approved("110", source=Source.STRATEGY, evidence=evidence, strategy_ref="s1")
    desk.wait(minutes=2)
    walk(desk, change)
    assert values(desk) == ([] if protected else ["11000"])


@pytest.mark.fault("F20")
def test_the_fence(desk, monkeypatch, protected):
    """Without it the late answer to the first request ends the change, while the second request is on its way."""
    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)
    slow = reading.claim(str(change.uuid), states=send.STATES, now=desk.now)
    attempt = send._committed(slow, wire=12_000, token=desk.token, now=desk.now)
    if not protected:
        real = reading.claim

        def unfenced(*args: Any, **more: Any) -> Any:
            Change.everything.filter(pk=change.pk).update(fence=slow.fence - 1)
            return real(*args, **more)

        monkeypatch.setattr(reading, "claim", unfenced)

    def late() -> None:
        send._answered(slow, attempt, Answer(kind=Kind.REFUSED, status=400), now=desk.now)

    with once("send.committed", late):
        walk(desk, change, seconds=400, every=20)
    assert desk.truth(desk.campaign, "daily_budget") == 12_000
    assert change.state == ("APPLIED" if protected else "FAILED")
