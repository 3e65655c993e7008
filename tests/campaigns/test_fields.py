"""Bid, name and schedule: the same path as a budget, each with its own bounds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import campaigns.changes.approvals as approvals
from accounts.errors import Invalid
from campaigns.changes.guards import evaluate
from campaigns.changes.invariants import check
from campaigns.changes.ledger import story
from campaigns.changes.undo import undo
from campaigns.errors import Closed, NotAllowedBy
from campaigns.models import Ad, Change, Hold, LedgerLine
from campaigns.states import Direction, Field, Level, canonical, direction
from tests.campaigns.test_api import Caller
from tests.campaigns.test_guards import FINE, NOW, RAISE

pytestmark = pytest.mark.django_db


@pytest.fixture
def bidding(desk):
    """The ad set with a budget of its own bids with a cap of 5 USD."""
    desk.edit(desk.ad_set, "bid_amount", 500)
    desk.sync()
    assert desk.ad_set.bid_amount == 5
    yield desk
    assert check(ad_account=desk.account, now=desk.now) == []


def at(desk, **span):
    return (desk.now + timedelta(**span)).replace(microsecond=0).isoformat()


def by_hand(desk, change, who="bob"):
    principal = getattr(desk.agency.principals, who)
    return approvals.approve_by_policy(change=change, policy="hand", principal=principal, now=desk.now)


# --- one way to write each value


@pytest.mark.fault("F69")
def test_every_value_has_one_way_to_be_written():
    assert canonical(Field.END_TIME, "2026-11-21T10:15:30.9-08:00") == "2026-11-21T18:15:30+00:00"
    assert canonical(Field.END_TIME, "2026-11-21T18:15:30Z") == "2026-11-21T18:15:30+00:00"
    assert canonical(Field.NAME, "  Cafe\u0301 ☕ ") == "Café ☕"
    assert canonical(Field.BID_AMOUNT, "5.5") == "5.50"


@pytest.mark.parametrize(
    "field, text",
    [
        (Field.END_TIME, "2026-11-21T10:15:30"), (Field.END_TIME, "tomorrow"), (Field.START_TIME, "0"),
        (Field.NAME, "   "), (Field.NAME, "x" * 401), (Field.NAME, "two\nlines"), (Field.NAME, "a\x00b"),
        (Field.BID_AMOUNT, "NaN"), (Field.BID_AMOUNT, "much"),
    ],
)  # fmt: skip
def test_what_is_no_value_of_the_field_is_refused_with_a_sentence(field, text):
    with pytest.raises(ValueError, match=r"\w"):
        canonical(field, text)


@given(st.text(min_size=1, max_size=80))
def test_a_name_made_canonical_stays_as_it_is(text):
    try:
        once = canonical(Field.NAME, text)
    except ValueError:
        return
    assert canonical(Field.NAME, once) == once


def test_a_later_end_and_an_earlier_start_spend_longer():
    early, late = "2026-11-21T00:00:00+00:00", "2026-12-21T00:00:00+00:00"
    assert direction(Field.END_TIME, early, late) is Direction.RAISE
    assert direction(Field.END_TIME, late, early) is Direction.CUT
    assert direction(Field.END_TIME, "", late) is Direction.CUT
    assert direction(Field.START_TIME, late, early) is Direction.RAISE
    assert direction(Field.START_TIME, early, late) is Direction.CUT
    assert direction(Field.NAME, "a", "b") is Direction.EDIT


# --- on the door


def test_a_name_is_changed_and_read_back(desk):
    change = by_hand(desk, desk.file("Teapots ☕ – winter", field=Field.NAME, who="bob"))
    assert change.state == "APPROVED"
    desk.until(change, "APPLIED")
    assert desk.truth(desk.campaign, "name") == desk.campaign.name == "Teapots ☕ – winter"
    assert "rename the campaign" in story(change) and change.rise == 0
    assert [one.value for one in desk.attempts(change)] == ["Teapots ☕ – winter"]
    desk.sync()
    assert not LedgerLine.everything.filter(kind="edit").exists()
    back = undo(change=change, principal=desk.agency.principals.bob, now=desk.now)
    desk.until(by_hand(desk, back), "APPLIED")
    assert desk.truth(desk.campaign, "name") == "Teapots - Sales"


def test_a_long_name_keeps_every_letter(desk):
    name = "é" * 400
    desk.until(desk.approved(name, field=Field.NAME), "APPLIED")
    desk.wait(minutes=1)
    change = desk.until(desk.approved("short", field=Field.NAME), "APPLIED")
    assert change.before == name


@pytest.mark.fault("F68")
def test_a_person_who_renames_it_meanwhile_wins_and_its_money_is_not_held(desk):
    change = desk.approved("Ours", field=Field.NAME)
    desk.edit(desk.campaign, "name", "Theirs")
    desk.sync()
    change.refresh_from_db()
    assert change.state == "EXPIRED" and desk.writes() == []
    assert not Hold.everything.exists()


def test_a_bid_is_money_and_always_waits_for_an_approval(bidding):
    desk = bidding
    for target in ("4.50", "5.50"):
        assert (
            by_hand(desk, desk.file(target, field=Field.BID_AMOUNT, obj=desk.ad_set, who="bob")).state
            == "PROPOSED"
        )
    change = desk.until(desk.approved("5.50", field=Field.BID_AMOUNT, obj=desk.ad_set), "APPLIED")
    assert desk.truth(desk.ad_set, "bid_amount") == 550 and desk.ad_set.bid_amount == Decimal("5.50")
    assert [one.value for one in desk.attempts(change)] == ["550"] and change.rise == 0
    assert "raise the bid amount" in story(change)
    desk.sync()
    assert not LedgerLine.everything.filter(kind="edit", by="us_outside").exists()


@pytest.mark.fault("F70", "F71")
@pytest.mark.parametrize(
    "target, code",
    [("0", "amount_out_of_range"), ("30.01", "amount_out_of_range"), ("5.001", "not_whole_minor_unit")],
)
def test_a_bid_keeps_within_its_bounds(bidding, target, code):
    with pytest.raises(NotAllowedBy) as refused:
        bidding.file(target, field=Field.BID_AMOUNT, obj=bidding.ad_set)
    assert refused.value.code == code and refused.value.advice


def test_a_bid_that_is_not_there_and_a_large_step_are_refused(bidding):
    with pytest.raises(NotAllowedBy):
        bidding.file("5", field=Field.BID_AMOUNT)
    large = bidding.file("9", field=Field.BID_AMOUNT, obj=bidding.ad_set)
    assert large.state == "REJECTED" and "raises the bid" in large.error_text
    intent = replace(RAISE, level=Level.AD_SET, field=Field.BID_AMOUNT)
    assert evaluate(intent=intent, situation=FINE, now=NOW)[0].code == "no_bid_here"


def test_an_end_is_set_moved_and_read_back_in_utc(desk):
    first, later = at(desk, days=10), at(desk, days=12)
    change = desk.until(
        by_hand(desk, desk.file(first, field=Field.END_TIME, obj=desk.ad_set, who="bob")), "APPLIED"
    )
    assert desk.truth(desk.ad_set, "end_time") == desk.ad_set.end_time.timestamp()
    assert (change.before, change.target) == ("", first)
    desk.wait(minutes=1)
    longer = desk.file(later, field=Field.END_TIME, obj=desk.ad_set, who="bob")
    assert longer.direction is Direction.RAISE and by_hand(desk, longer).state == "PROPOSED"
    alice = desk.agency.principals.alice
    approvals.approve(change=longer, principal=alice, digest=longer.digest, now=desk.now)
    desk.until(longer, "APPLIED")
    assert "move the end time" in story(longer)
    desk.sync()
    assert not LedgerLine.everything.filter(kind="edit", by="us_outside").exists()
    back = undo(change=longer, principal=alice, now=desk.now)
    assert (back.target, back.direction) == (first, Direction.CUT)
    with pytest.raises(Closed):
        undo(change=change, principal=alice, now=desk.now)


@pytest.mark.parametrize(
    "field, span, code",
    [
        (Field.END_TIME, {"minutes": -5}, "time_past"),
        (Field.END_TIME, {"seconds": 90}, "time_past"),
        (Field.START_TIME, {"days": 1}, "has_started"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused_with_what_to_do(desk, field, span, code):
    with pytest.raises(NotAllowedBy) as refused:
        desk.file(at(desk, **span), field=field, obj=desk.ad_set)
    assert refused.value.code == code and refused.value.advice
    with pytest.raises(NotAllowedBy):
        desk.file(at(desk, days=1), field=field, obj=Ad.everything.first())


def test_a_start_that_lies_ahead_is_moved(desk):
    desk.edit(desk.ad_set, "start_time", desk.now.timestamp() + 86_400)
    desk.sync()
    change = desk.until(desk.approved(at(desk, days=2), field=Field.START_TIME, obj=desk.ad_set), "APPLIED")
    assert change.direction is Direction.CUT
    assert desk.truth(desk.ad_set, "start_time") == desk.ad_set.start_time.timestamp()
    with pytest.raises(NotAllowedBy):
        desk.file(at(desk, days=1), field=Field.END_TIME, obj=desk.ad_set)


def test_a_time_without_an_offset_is_no_time(desk):
    with pytest.raises(Invalid):
        desk.file("2026-12-01T00:00:00", field=Field.END_TIME, obj=desk.ad_set)
    assert Change.everything.count() == 0


@pytest.mark.fault("F1")
@pytest.mark.parametrize(
    "field, target", [(Field.NAME, "New"), (Field.END_TIME, "2026-12-01T00:00:00+00:00")]
)
def test_a_lost_answer_is_looked_up_for_these_fields_too(desk, field, target):
    desk.sandbox.faults.arm("applied_timeout", {}, 1)
    change = desk.until(desk.approved(target, field=field, obj=desk.ad_set), "APPLIED", every=20)
    assert len(desk.writes()) == 1 and [one.outcome for one in desk.attempts(change)] == ["unknown"]


def test_a_batch_takes_every_field(bidding):
    desk, alice = bidding, Caller(bidding.agency.users.alice)
    ad_set = desk.ad_set.meta_id
    lines = [
        {"object_id": ad_set, "bid_amount": 5.5}, {"object_id": ad_set, "name": "Renamed"},
        {"object_id": ad_set, "end_time": "2026-12-01T00:00:00+01:00"},
    ]  # fmt: skip
    answer = alice.post("/api/changes/batch", {"changes": lines, "reason": "season"})
    assert answer.status_code == 202 and answer.body["refused"] == [], answer.text
    found = {one["field"]: (one["target"], one["state"]) for one in answer.body["changes"]}
    assert found == {
        "bid_amount": ("5.50", "PROPOSED"), "name": ("Renamed", "APPROVED"),
        "end_time": ("2026-11-30T23:00:00+00:00", "APPROVED"),
    }  # fmt: skip
