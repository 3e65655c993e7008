"""Who may ask, who may let pass, and what an approval is pinned to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

import campaigns.changes.approvals as approvals
import campaigns.changes.request as request
from accounts.errors import Forbidden, Invalid, NotFound
from campaigns.changes.undo import undo
from campaigns.errors import Closed, Moved, NotAllowedBy, WrongDigest
from campaigns.models import AdSet, Change
from campaigns.states import Evidence, Field, Level, Source

pytestmark = pytest.mark.django_db


def approve(desk, change, who="alice", digest=None):
    principal = getattr(desk.agency.principals, who)
    return approvals.approve(change=change, principal=principal, digest=digest or change.digest, now=desk.now)


def by_hand(desk, change, who):
    principal = getattr(desk.agency.principals, who)
    return approvals.approve_by_policy(change=change, policy="hand", principal=principal, now=desk.now)


RAISE, CUT, STOP, START = (
    ("120", {}),
    ("90", {}),
    ("PAUSED", {"field": Field.STATUS}),
    ("ACTIVE", {"field": Field.STATUS}),
)


@pytest.mark.parametrize(
    "who, allowed",
    [
        ("alice", {"raise", "cut", "stop", "start"}),
        ("vera", {"raise", "cut", "stop", "start"}),
        ("bob", {"cut", "stop"}),
        ("vic", set()),
        ("ivan", set()),
    ],
)
def test_who_may_approve_what(desk, who, allowed):
    passed = set()
    for name, (target, more) in {"raise": RAISE, "cut": CUT, "stop": STOP, "start": START}.items():
        change = desk.file(target, **more)
        try:
            approve(desk, change, who)
            passed.add(name)
        except Forbidden:
            pass
    assert passed == allowed


@pytest.mark.parametrize(
    "who, at_once", [("alice", {"cut", "stop"}), ("bob", {"cut", "stop"}), ("ivan", set())]
)
def test_what_passes_at_once_when_asked_for_by_hand(desk, who, at_once):
    passed = set()
    for name, (target, more) in {"raise": RAISE, "cut": CUT, "stop": STOP, "start": START}.items():
        if by_hand(desk, desk.file(target, who=who, **more), who).state == "APPROVED":
            passed.add(name)
    assert passed == at_once


def test_a_key_that_is_narrowed_to_asking_does_not_approve(desk):
    principal = replace(desk.agency.principals.bob, scopes=frozenset({"request_change"}), kind="key")
    change = request.file(
        principal=principal, ad_account=desk.account, level=Level.CAMPAIGN, object_id=desk.campaign.meta_id,
        field=Field.STATUS, target="PAUSED", reason="", source=Source.PERSON, key="k", evidence=None, now=desk.now,
    )  # fmt: skip
    change = approvals.approve_by_policy(change=change, policy="hand", principal=principal, now=desk.now)
    assert change.state == "PROPOSED"


def test_nobody_s_request_passes_by_the_hand_of_somebody_else(desk):
    change = desk.file("90", who="ivan")
    assert by_hand(desk, change, "bob").state == "PROPOSED"


@pytest.mark.fault("F32")
def test_the_digest_has_to_be_that_of_the_change(desk):
    change, other = desk.file("120"), desk.file("90")
    with pytest.raises(WrongDigest):
        approve(desk, change, digest=other.digest)
    assert Change.everything.get(pk=change.pk).state == "PROPOSED"


@pytest.mark.fault("F32")
def test_a_proposal_that_nobody_approved_expires(desk):
    change = desk.file("120")
    desk.wait(hours=24)
    with pytest.raises(Closed):
        approve(desk, change)
    assert approvals.expire_waiting(now=desk.now) == 1
    change.refresh_from_db()
    assert change.state == "EXPIRED"


@pytest.mark.fault("F33")
def test_of_two_deciders_the_second_is_told_that_it_is_decided(desk):
    change = desk.file("120")
    approvals.reject(change=change, principal=desk.agency.principals.vera, reason="too dear", now=desk.now)
    with pytest.raises(Closed):
        approve(desk, change)
    change.refresh_from_db()
    assert (change.state, change.error_text) == ("REJECTED", "too dear")


def test_approving_one_ends_the_others_of_the_same_field_and_no_others(desk):
    first, second, status = desk.file("120"), desk.file("110"), desk.file("PAUSED", field=Field.STATUS)
    approve(desk, second)
    assert [Change.everything.get(pk=one.pk).state for one in (first, second, status)] == [
        "EXPIRED",
        "APPROVED",
        "PROPOSED",
    ]


@pytest.mark.fault("F80")
def test_the_guards_are_asked_again_at_approval(desk):
    change = desk.file("120")
    desk.wait(hours=23)
    type(desk.account).everything.filter(pk=desk.account.pk).update(account_status=2)
    with pytest.raises(NotAllowedBy):
        approve(desk, change)


@pytest.mark.fault("F80")
def test_the_guards_are_asked_again_when_sending(desk):
    change = desk.approved("120")
    desk.step(change)
    type(desk.account).everything.filter(pk=desk.account.pk).update(account_status=2)
    desk.wait(seconds=4)
    desk.until(change, "EXPIRED")
    assert desk.writes() == [] and "not got this ad account active" in change.error_text


@pytest.mark.parametrize("who, error", [("charlie", NotFound), ("vic", Forbidden), ("vera", Forbidden)])
def test_who_may_not_ask_for_a_change(desk, who, error):
    with pytest.raises(error):
        desk.file("120", who=who)
    assert Change.everything.count() == 0


def test_charlie_cannot_see_or_decide_northwind_s_changes(desk):
    import campaigns.changes.ledger as ledger

    change, charlie = desk.file("120"), desk.agency.principals.charlie
    with pytest.raises(NotFound):
        ledger.change(charlie, str(change.uuid))
    with pytest.raises(NotFound):
        approve(desk, change, "charlie")
    with pytest.raises(NotFound):
        approvals.reject(change=change, principal=charlie, reason="no", now=desk.now)
    assert not approvals.waiting(charlie).exists()
    assert approvals.waiting(desk.agency.principals.bob).get() == change


def test_the_same_target_joins_the_open_change(desk):
    one = desk.file("120")
    assert desk.file("120.00", who="bob") == one
    desk.until(desk.approved("120"), "ACKED")
    assert desk.file("120") == one
    assert Change.everything.count() == 1


def test_the_same_key_is_the_same_change(desk):
    one = desk.file("120", key="monday")
    assert desk.file("130", key="monday") == one


@pytest.mark.fault("N8")
@pytest.mark.fault("F21")
def test_a_rule_that_asks_twice_in_one_window_asks_once(desk):
    good = Evidence(data_version=3, as_of=desk.now, checksum="c", valid_until=desk.now + timedelta(hours=1))
    asked = [
        desk.file("110", source=Source.STRATEGY, key="s1:window", evidence=good, strategy_ref="s1")
        for _ in range(2)
    ]
    assert asked[0] == asked[1] and asked[0].state == "PROPOSED"


def test_a_rule_s_raise_beyond_its_step_is_kept_as_rejected_with_the_reason(desk):
    good = Evidence(data_version=3, as_of=desk.now, checksum="c", valid_until=desk.now + timedelta(hours=1))
    change = desk.file("130", source=Source.STRATEGY, evidence=good, strategy_ref="s1")
    assert change.state == "REJECTED" and "20 %" in change.error_text and change.advice


def test_evidence_that_has_grown_old_since_the_approval_stops_the_change(desk):
    good = Evidence(data_version=3, as_of=desk.now, checksum="c", valid_until=desk.now + timedelta(minutes=1))
    change = desk.approved("110", source=Source.STRATEGY, evidence=good, strategy_ref="s1")
    desk.wait(minutes=2)
    desk.until(change, "EXPIRED")
    assert desk.writes() == []


def test_a_person_s_wrong_input_is_not_put_on_record(desk):
    with pytest.raises(NotAllowedBy) as refused:
        desk.file("0.50")
    assert refused.value.code == "below_minimum" and "1 USD" in refused.value.advice
    with pytest.raises(Invalid):
        desk.file("plenty")
    assert Change.everything.count() == 0


@pytest.mark.fault("F78")
def test_under_a_campaign_budget_an_ad_set_s_budget_is_refused_with_the_right_place(desk):
    owned = AdSet.everything.filter(campaign=desk.campaign).first()
    with pytest.raises(NotAllowedBy) as refused:
        desk.file("20", obj=owned)
    assert refused.value.code == "budget_owner" and "campaign" in refused.value.advice
    with pytest.raises(NotAllowedBy) as refused:
        desk.file("20", obj=desk.other)
    assert refused.value.code == "budget_owner" and "ad sets" in refused.value.advice
    desk.until(desk.approved("36", obj=desk.ad_set), "APPLIED")


def test_meta_s_four_edits_an_hour_are_our_own_limit_as_well(desk):
    for target in ("30.10", "30.20", "30.30", "30.40"):
        desk.until(desk.approved(target, obj=desk.ad_set), "APPLIED")
    fifth = desk.file("30.50", obj=desk.ad_set)
    assert fifth.state == "REJECTED" and "4 budget changes an hour" in fifth.error_text
    desk.wait(hours=1)
    assert desk.file("30.50", obj=desk.ad_set).state == "PROPOSED"


@pytest.mark.fault("N5")
@pytest.mark.fault("F65")
def test_raises_that_follow_each_other_cannot_outrun_the_rolling_day(desk):
    """+20 % an hour, as often as a rule likes: after a day the budget has risen by at most half."""
    for _ in range(12):
        desk.wait(minutes=61)
        desk.sync()
        target = str((desk.campaign.daily_budget * 12 / 10).quantize(__import__("decimal").Decimal("0.01")))
        good = Evidence(
            data_version=3, as_of=desk.now, checksum="c", valid_until=desk.now + timedelta(hours=1)
        )
        change = desk.file(target, source=Source.STRATEGY, evidence=good, strategy_ref="s1")
        if change.state == "PROPOSED":
            approve(desk, change)
            desk.until(change, "APPLIED")
    assert desk.campaign.daily_budget == 144


def test_an_undo_brings_back_exactly_what_stood_there(desk):
    change = desk.until(desk.approved("90.50"), "APPLIED")
    alice = desk.agency.principals.alice
    back = undo(change=change, principal=alice, now=desk.now)
    assert (back.before, back.target, back.source, back.undo_of) == ("90.50", "100", "undo", change)
    approve(desk, back)
    desk.until(back, "APPLIED")
    assert desk.truth(desk.campaign, "daily_budget") == 10_000


@pytest.mark.fault("F17")
def test_pressing_undo_twice_files_it_once(desk):
    change = desk.until(desk.approved("90"), "APPLIED")
    alice = desk.agency.principals.alice
    assert undo(change=change, principal=alice, now=desk.now) == undo(
        change=change, principal=alice, now=desk.now
    )


@pytest.mark.fault("F17")
def test_a_change_that_is_still_in_doubt_cannot_be_undone(desk):
    desk.sandbox.faults.arm("applied_timeout", {}, 1)
    change = desk.until(desk.approved("90"), "UNKNOWN")
    with pytest.raises(Closed):
        undo(change=change, principal=desk.agency.principals.alice, now=desk.now)


@pytest.mark.fault("F18")
def test_an_undo_after_a_human_edit_is_refused_and_shows_both_values(desk):
    change = desk.until(desk.approved("90"), "APPLIED")
    desk.edit(desk.campaign, "daily_budget", 7_700)
    desk.wait(minutes=1)
    desk.sync()
    with pytest.raises(Moved) as refused:
        undo(change=change, principal=desk.agency.principals.alice, now=desk.now)
    assert "77" in str(refused.value) and "90" in str(refused.value)


@pytest.mark.fault("F18")
def test_an_undo_that_has_not_seen_the_human_edit_yet_stops_at_the_read(desk):
    change = desk.until(desk.approved("90"), "APPLIED")
    back = undo(change=change, principal=desk.agency.principals.alice, now=desk.now)
    approve(desk, back)
    desk.edit(desk.campaign, "daily_budget", 7_700)
    desk.until(back, "SUPERSEDED")
    assert desk.truth(desk.campaign, "daily_budget") == 7_700


def test_only_the_last_change_of_a_field_is_undone(desk):
    first = desk.until(desk.approved("90"), "APPLIED")
    desk.wait(minutes=1)
    desk.until(desk.approved("80"), "APPLIED")
    with pytest.raises(Closed):
        undo(change=first, principal=desk.agency.principals.alice, now=desk.now)


def test_charlie_cannot_undo(desk):
    change = desk.until(desk.approved("90"), "APPLIED")
    with pytest.raises(NotFound):
        undo(change=change, principal=desk.agency.principals.charlie, now=desk.now)
