"""A change from request to its end, against the sandbox, with everything that Meta can do in between."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

import campaigns.changes.approvals as approvals
import campaigns.changes.ledger as ledger
from accounts.connections import NoConnection, connect
from accounts.models import Alert
from campaigns.changes.invariants import check
from campaigns.models import Change, Hold, LedgerLine
from campaigns.states import ChangeState, Field, Source
from campaigns.tasks import sweep

pytestmark = pytest.mark.django_db

ENDS = ("APPLIED", "NOOP", "FAILED", "SUPERSEDED", "EXPIRED", "REJECTED", "NEEDS_HUMAN")


@pytest.fixture(autouse=True)
def nothing_is_broken_afterwards(desk):
    yield
    assert check(ad_account=desk.account, now=desk.now) == []


def states(change) -> list[str]:
    return list(
        LedgerLine.everything.filter(change=change, kind="change")
        .order_by("seq")
        .values_list("state", flat=True)
    )


def test_a_clean_budget_change_is_sent_once_and_confirmed_by_two_reads(desk):
    change = desk.until(desk.approved("120"), "APPLIED")
    assert desk.truth(desk.campaign, "daily_budget") == 12_000
    assert len(desk.writes()) == 1
    assert desk.campaign.daily_budget == 120
    assert [(attempt.value, attempt.outcome) for attempt in desk.attempts(change)] == [("12000", "ok")]
    assert states(change) == ["PROPOSED", "APPROVED", "PREPARING", "SENDING", "ACKED", "VERIFYING", "APPLIED"]


def test_a_healthy_change_ends_within_fifteen_seconds(desk):
    begun = desk.now
    desk.until(desk.approved("120"), "APPLIED", every=0.5)
    assert (desk.now - begun).total_seconds() <= 15


def test_a_status_change_pauses_the_campaign(desk):
    change = desk.until(desk.approved("PAUSED", field=Field.STATUS), "APPLIED")
    assert desk.truth(desk.campaign, "status") == "PAUSED"
    assert (desk.campaign.status, desk.campaign.effective_status) == ("PAUSED", "PAUSED")
    assert change.applied_at is not None


def test_two_reads_less_than_three_seconds_apart_do_not_count(desk):
    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=2.9)
    desk.step(change)
    assert desk.writes() == []
    desk.wait(seconds=0.2)
    desk.step(change)
    assert len(desk.writes()) == 1


def test_nothing_is_shown_as_applied_before_it_was_read_back(desk):
    desk.sandbox.faults.arm("lying_success", {}, 1)
    change = desk.until(desk.approved("120"), "ACKED")
    assert change.applied_at is None
    assert desk.campaign.daily_budget == 100


@pytest.mark.fault("F1")
def test_applied_but_timed_out_is_found_by_reading_back_and_not_sent_again(desk):
    desk.sandbox.faults.arm("applied_timeout", {}, 1)
    change = desk.until(desk.approved("120"), "UNKNOWN")
    asked = desk.now
    desk.until(change, "APPLIED", every=10)
    assert (desk.now - asked).total_seconds() >= 120
    assert len(desk.writes()) == 1
    assert "UNKNOWN" in states(change)


@pytest.mark.fault("F2")
def test_dropped_is_sent_again_with_the_same_value(desk):
    desk.sandbox.faults.arm("dropped", {"method": "POST"}, 1)
    change = desk.until(desk.approved("120"), "APPLIED", every=10)
    assert [attempt.value for attempt in desk.attempts(change)] == ["12000", "12000"]
    assert desk.truth(desk.campaign, "daily_budget") == 12_000
    assert states(change).count("NOT_APPLIED") == 1


@pytest.mark.fault("F3")
def test_a_late_landing_ends_as_applied_without_a_second_write(desk):
    desk.sandbox.faults.arm("late", {}, 1, seconds=60)
    desk.until(desk.approved("120"), "APPLIED", every=10)
    assert len(desk.writes()) == 1


@pytest.mark.fault("F3")
def test_no_other_value_is_written_inside_the_settle_window(desk):
    desk.sandbox.faults.arm("late", {}, 1, seconds=60)
    desk.until(desk.approved("120"), "UNKNOWN")
    second = desk.file("130", who="alice")
    assert second.state == "REJECTED" and "on its way" in second.error_text


@pytest.mark.fault("F5")
def test_success_without_effect_is_tried_three_times_and_then_needs_a_person(desk):
    desk.sandbox.faults.arm("lying_success", {}, None)
    change = desk.until(desk.approved("120"), *ENDS, every=10, most=200)
    assert change.state == "NEEDS_HUMAN"
    assert len(desk.writes()) == 3
    assert {write["params"]["daily_budget"] for write in desk.writes()} == {"12000"}
    assert desk.truth(desk.campaign, "daily_budget") == 10_000
    assert Alert.everything.filter(key=f"change:{change.uuid}", closed_at=None).exists()


@pytest.mark.fault("F6")
def test_an_error_500_although_applied_is_not_taken_for_a_failure(desk):
    desk.sandbox.faults.arm("applied_500", {}, 1)
    change = desk.until(desk.approved("120"), "APPLIED", every=10)
    assert len(desk.writes()) == 1
    assert "UNKNOWN" in states(change)


@pytest.mark.fault("F12")
def test_a_value_that_stands_already_is_not_sent(desk):
    desk.edit(desk.campaign, "daily_budget", 12_000)
    change = desk.until(desk.approved("120"), *ENDS)
    assert change.state == "NOOP"
    assert desk.writes() == []


@pytest.mark.fault("F68")
def test_a_human_edit_before_sending_wins_and_the_object_is_held(desk):
    change = desk.approved("120")
    desk.edit(desk.campaign, "daily_budget", 7_700)
    desk.until(change, *ENDS)
    assert change.state == "SUPERSEDED"
    assert desk.writes() == []
    hold = Hold.everything.get(object_id=desk.campaign.meta_id)
    assert (hold.ours, hold.theirs) == ("120", "77")
    assert "77" in change.error_text and "120" in change.error_text


@pytest.mark.fault("F68")
def test_a_human_edit_right_after_our_write_is_reported_and_not_corrected(desk):
    desk.sandbox.faults.arm("human_edit_between", {}, 1, field="daily_budget", value=7_700)
    change = desk.until(desk.approved("120"), *ENDS, every=10)
    assert change.state == "SUPERSEDED" and change.possibly_applied
    assert desk.truth(desk.campaign, "daily_budget") == 7_700
    assert len(desk.writes()) == 1


@pytest.mark.fault("F52")
def test_a_stale_read_after_the_write_does_not_hide_the_effect(desk):
    change = desk.until(desk.approved("120"), "ACKED")
    desk.sandbox.faults.arm("stale_read", {"object_id": desk.campaign.meta_id}, 3, seconds=60)
    desk.until(change, *ENDS, every=5)
    assert change.state == "APPLIED"
    assert len(desk.writes()) == 1


@pytest.mark.fault("F47")
def test_a_budget_that_moved_to_another_level_is_left_alone(desk):
    change = desk.approved("120")
    desk.edit(desk.campaign, "daily_budget", None)
    desk.until(change, *ENDS)
    assert change.state == "SUPERSEDED"
    assert desk.writes() == []


def test_a_refusal_by_meta_ends_the_change_with_its_words(desk):
    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)
    desk.sandbox.faults.arm("gone33", {"method": "POST"}, 1)
    desk.step(change)
    assert change.state == "FAILED" and not change.possibly_applied
    assert change.error_text and change.advice


@pytest.mark.fault("F41")
def test_a_throttled_write_waits_and_goes_on_by_itself(desk):
    desk.sandbox.faults.arm("throttle", {"method": "POST"}, 1)
    change = desk.until(desk.approved("120"), "THROTTLED")
    assert not change.possibly_applied and change.not_before > desk.now
    desk.until(change, "APPLIED", every=20)
    assert [attempt.outcome for attempt in desk.attempts(change)] == ["throttled", "ok"]


def test_a_refused_token_holds_the_change_until_somebody_reconnects(desk):
    desk.sandbox.faults.arm("auth", {"method": "POST"}, 1, subcode=463)
    change = desk.until(desk.approved("120"), "HELD_AUTH")
    desk.wait(minutes=2)
    assert desk.step(change).state == "HELD_AUTH"
    assert len(desk.writes()) == 1
    people = desk.agency
    connect(
        client=people.northwind, principal=people.principals.alice, token=desk.sandbox.token("alice"),
        now=desk.now, user=people.users.alice,
    )  # fmt: skip
    desk.until(change, "APPLIED", every=10)
    assert len(desk.writes()) == 2


def test_an_unreadable_object_is_never_written(desk):
    change = desk.approved("120")
    desk.sandbox.faults.arm("dropped", {"object_id": desk.campaign.meta_id}, None)
    desk.until(change, *ENDS, every=60, most=60)
    assert change.state == "EXPIRED"
    assert desk.writes() == []


def test_a_change_that_cannot_be_read_back_for_half_an_hour_needs_a_person(desk):
    change = desk.until(desk.approved("120"), "ACKED")
    desk.sandbox.faults.arm("dropped", {"object_id": desk.campaign.meta_id}, None)
    desk.until(change, *ENDS, every=60, most=60)
    assert change.state == "NEEDS_HUMAN" and change.possibly_applied


@pytest.mark.fault("F8")
def test_the_sweep_sends_what_was_approved_although_no_message_arrived(desk):
    change = desk.approved("120")
    for _ in range(6):
        sweep()
        desk.wait(seconds=4)
    change.refresh_from_db()
    assert change.state == "APPLIED"


@pytest.mark.fault("F9")
def test_an_abandoned_sending_is_found_after_its_lease_and_read_back(desk):
    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)
    sent_and_died(desk, change)
    desk.wait(seconds=30)
    assert desk.step(change).state == "SENDING"
    desk.wait(seconds=31)
    sweep()
    change.refresh_from_db()
    assert change.state == "UNKNOWN"
    desk.until(change, "APPLIED", every=20)
    assert len(desk.writes()) == 1


def sent_and_died(desk, change: Change) -> None:
    """The worker's whole life up to the effect at Meta; then it is gone, and nothing is written any more."""
    import campaigns.changes.send as send
    from campaigns.changes import reading

    claim = reading.claim(str(change.uuid), states=send.STATES, now=desk.now)
    attempt = send._committed(claim, wire=12_000, token=desk.token, now=desk.now)
    assert attempt is not None
    desk.edit(desk.campaign, "daily_budget", 12_000, application_id="1000000000000001")
    desk.sandbox.history.append(
        {"method": "POST", "path": desk.campaign.meta_id, "params": {"daily_budget": "12000"}}
    )


@pytest.mark.fault("F20")
def test_an_answer_that_comes_after_the_takeover_only_annotates_the_attempt(desk):
    import campaigns.changes.send as send
    from campaigns.changes import reading
    from metaads.graph.errors import Answer, Kind

    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)
    claim = reading.claim(str(change.uuid), states=send.STATES, now=desk.now)
    attempt = send._committed(claim, wire=12_000, token=desk.token, now=desk.now)
    desk.wait(seconds=61)
    assert desk.step(change).state == "UNKNOWN"
    send._answered(claim, attempt, Answer(kind=Kind.REFUSED, status=400), now=desk.now)
    change.refresh_from_db()
    assert change.state == "UNKNOWN"
    assert desk.attempts(change)[0].outcome == "refused"
    desk.until(change, *ENDS, every=20)


@pytest.mark.fault("F22", "F26")
def test_two_workers_with_the_same_change_send_one_request(desk):
    from campaigns.changes import reading
    from campaigns.changes.send import STATES

    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)
    first = reading.claim(str(change.uuid), states=STATES, now=desk.now)
    assert first is not None
    assert reading.claim(str(change.uuid), states=STATES, now=desk.now) is None
    desk.step(change)
    assert desk.writes() == []
    reading.let_go(first, not_before=None)
    desk.step(change)
    desk.step(change)
    assert len(desk.writes()) == 1
    desk.until(change, "APPLIED")
    desk.step(change)
    assert len(desk.writes()) == 1


@pytest.mark.fault("F24")
def test_a_worker_that_lost_its_lease_commits_no_attempt(desk):
    import campaigns.changes.send as send
    from campaigns.changes import reading

    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)
    frozen = reading.claim(str(change.uuid), states=send.STATES, now=desk.now)
    desk.wait(minutes=10)
    assert send._committed(frozen, wire=12_000, token=desk.token, now=desk.now) is None
    assert desk.attempts(change) == []
    desk.until(change, "APPLIED")


@pytest.mark.fault("F24")
def test_the_send_guard_keeps_back_a_request_that_is_too_late(desk):
    import campaigns.changes.send as send
    from accounts.tokens import write_token
    from campaigns.changes import reading
    from metaads.clock import monotonic
    from metaads.gateway import writer

    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)
    claim = reading.claim(str(change.uuid), states=send.STATES, now=desk.now)
    attempt = send._committed(claim, wire=12_000, token=desk.token, now=desk.now)
    hand = writer(token=write_token(desk.account), ad_account=desk.account.meta_id)
    answer = send._post(hand, attempt, 12_000, committed=monotonic() - 6)
    send._answered(claim, attempt, answer, now=desk.now)
    change.refresh_from_db()
    assert desk.writes() == []
    assert change.state == "NOT_APPLIED" and desk.attempts(change)[0].outcome == "not_sent"
    desk.until(change, "APPLIED")
    assert len(desk.writes()) == 1


@pytest.mark.fault("F32")
def test_an_approval_that_was_not_used_in_half_an_hour_is_void(desk):
    change = desk.approved("120")
    desk.wait(minutes=31)
    assert desk.step(change).state == "EXPIRED"
    assert desk.writes() == []


@pytest.mark.fault("F32")
def test_an_approval_that_runs_out_between_the_last_read_and_the_commit_is_void(desk):
    import campaigns.changes.send as send
    from campaigns.changes import reading

    change = desk.approved("120")
    desk.wait(minutes=29, seconds=56)
    desk.step(change)
    desk.wait(seconds=3.5)
    claim = reading.claim(str(change.uuid), states=send.STATES, now=desk.now)
    desk.wait(seconds=1)
    assert send._committed(claim, wire=12_000, token=desk.token, now=desk.now) is None
    assert desk.attempts(change) == []


def test_reads_from_inside_the_settle_window_do_not_prove_that_nothing_happened(desk):
    desk.sandbox.faults.arm("late", {}, 1, seconds=100, answer="success")
    change = desk.until(desk.approved("120"), "ACKED")
    for _ in range(9):
        desk.wait(seconds=10)
        desk.step(change)
        assert change.state in ("ACKED", "VERIFYING")
    desk.until(change, *ENDS, every=10)
    assert change.state == "APPLIED" and len(desk.writes()) == 1


def test_a_connection_that_is_lost_before_sending_stops_the_change(desk):
    from accounts.connections import disconnect
    from accounts.models import MetaConnection

    change = desk.approved("120")
    desk.step(change)
    disconnect(
        connection=MetaConnection.everything.get(), principal=desk.agency.principals.alice, now=desk.now
    )
    desk.wait(seconds=4)
    desk.until(change, *ENDS, every=60, most=60)
    assert change.state == "EXPIRED" and desk.writes() == []
    with pytest.raises(NoConnection):
        desk.sync()


def test_a_person_resolves_a_change_that_needed_one(desk):
    desk.sandbox.faults.arm("lying_success", {}, None)
    change = desk.until(desk.approved("120"), "NEEDS_HUMAN", every=10, most=200)
    alice = desk.agency.principals.alice
    approvals.resolve(
        change=change, principal=alice, outcome="FAILED", reason="Looked: still 100", now=desk.now
    )
    change.refresh_from_db()
    assert change.state == "FAILED" and not change.possibly_applied
    assert not Alert.everything.filter(key=f"change:{change.uuid}", closed_at=None).exists()


def test_the_story_tells_the_change_in_one_sentence(desk):
    change = desk.until(desk.approved("120", reason="Autumn sale"), "APPLIED")
    story = ledger.story(change)
    assert story.startswith(
        "Alice asked to raise the daily budget of the campaign “Teapots - Sales” from 100 to 120 USD"
    )
    assert (
        "Autumn sale" in story
        and "sent once" in story
        and story.endswith("it is applied, and was read back.")
    )


def test_every_state_has_an_ending_for_its_story():
    assert set(ledger._ENDS) == set(ChangeState)


@pytest.mark.fault("F87")
@pytest.mark.parametrize("between", ["disconnected", "paused", "renewed", "switched off"])
def test_a_token_that_went_between_its_choice_and_the_commit_sends_nothing(desk, between):
    import accounts.ad_accounts as ad_accounts
    import accounts.connections as connections
    import campaigns.changes.send as send
    from accounts.models import MetaConnection
    from campaigns.changes import reading

    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)
    claim = reading.claim(str(change.uuid), states=send.STATES, now=desk.now)
    token, alice = desk.token, desk.agency.principals.alice
    row = MetaConnection.objects.of(desk.agency.northwind).get()
    if between == "disconnected":
        connections.disconnect(connection=row, principal=alice, now=desk.now)
    elif between == "paused":
        connections.pause(connection=row, principal=alice, now=desk.now)
    elif between == "renewed":
        connections.refresh(connection=row, principal=alice, now=desk.now)
    else:
        ad_accounts.disable(ad_account=desk.account, principal=alice, now=desk.now)
    assert send._committed(claim, wire=12_000, token=token, now=desk.now) is None
    change.refresh_from_db()
    assert (change.state, desk.writes(), desk.attempts(change)) == ("APPROVED", [], [])
    assert change.error_text


@pytest.mark.fault("F4")
@pytest.mark.parametrize("fault", ["applied_timeout", "applied_500"])
def test_a_value_that_somebody_has_set_back_is_not_sent_again(desk, fault):
    """It stands as before, so reading alone would call it without effect and overwrite the person's decision."""
    desk.sandbox.faults.arm(fault, {}, 1)
    change = desk.until(desk.approved("120"), "UNKNOWN")
    desk.wait(seconds=5)
    desk.edit(desk.campaign, "daily_budget", 10_000)
    desk.until(change, "SUPERSEDED", every=10)
    assert len(desk.writes()) == 1 and "set back to 100" in change.error_text
    assert Hold.everything.filter(object_id=desk.campaign.meta_id).exists()


@pytest.mark.fault("F4")
def test_without_the_activity_log_nothing_is_called_without_effect(desk):
    desk.sandbox.faults.arm("dropped", {"method": "POST"}, 1)
    change = desk.until(desk.approved("120"), "UNKNOWN")
    desk.sandbox.faults.arm("transient", {"edge": "activities"}, None)
    for _ in range(40):
        desk.wait(seconds=30)
        desk.step(change)
    assert change.state == "VERIFYING" and len(desk.writes()) == 1
    for _ in range(40):
        desk.wait(seconds=60)
        desk.step(change)
    assert change.state == "NEEDS_HUMAN" and len(desk.writes()) == 1


# --- a change that needs a person does not keep an emergency pause waiting


def stuck_start(desk):
    """A start that Meta acknowledged three times and never made: it needs a person, and stays open."""
    desk.edit(desk.other, "status", "PAUSED")
    desk.sync()
    desk.wait(hours=25)
    desk.sync()
    desk.sandbox.faults.arm("lying_success", {}, 3)
    start = desk.approved("ACTIVE", field=Field.STATUS, obj=desk.other)
    return desk.until(start, "NEEDS_HUMAN", every=10, most=200)


@pytest.mark.parametrize("really", ["ACTIVE", "PAUSED"])
def test_a_pause_passes_a_status_change_that_needs_a_person(desk, really):
    start = stuck_start(desk)
    if really == "ACTIVE":
        # The third request of ours took effect after all: this is what the pause is for.
        desk.edit(desk.other, "status", "ACTIVE", application_id="1000000000000001")
    seen = len(desk.writes())
    pause = desk.approved("PAUSED", field=Field.STATUS, obj=desk.other, source=Source.WATCHDOG)
    desk.until(pause, *ENDS)
    assert desk.truth(desk.other, "status") == "PAUSED"
    assert (pause.state, len(desk.writes()) - seen) == (("APPLIED", 1) if really == "ACTIVE" else ("NOOP", 0))
    start.refresh_from_db()
    assert start.state == "NEEDS_HUMAN"


def test_nothing_but_a_pause_passes_one_that_needs_a_person(desk):
    stuck_start(desk)
    again = desk.file("ACTIVE", field=Field.STATUS, obj=desk.other)
    assert again.state == "REJECTED" and "is on its way" in again.error_text


def test_two_that_may_still_move_are_never_under_way_at_once(desk):
    desk.sandbox.faults.arm("applied_timeout", {}, 1)
    start = desk.until(desk.approved("PAUSED", field=Field.STATUS), "UNKNOWN")
    with pytest.raises(IntegrityError), transaction.atomic():
        copy = Change.everything.get(pk=start.pk)
        copy.pk, copy.uuid, copy.key = None, uuid4(), "copy"
        copy.save(force_insert=True)
