"""What Meta says oddly about objects, and what then becomes of reading and changing them."""

from __future__ import annotations

import pytest

import campaigns.changes.request as request
from campaigns.models import Campaign, Change
from campaigns.states import Evidence, Field, Level, Source

pytestmark = pytest.mark.django_db

NAMES = {
    "emoji": "Sale 🎉👩‍👩‍👧 now",
    "half an emoji": "Sale \ud83c now",
    "right to left": "\u202eمبيعات الشتاء\u202c",
    "a NUL": "Sale\x00now",
    "10 kB": "ü" * 10_240,
    "markup": "<script>alert(1)</script>",
    "a formula": '=HYPERLINK("http://evil.example")',
    "nothing": "",
}


def by_a_rule(desk, target, **more):
    evidence = Evidence(1, desk.now, "sum", desk.now.replace(hour=23))
    return request.file(
        principal=desk.agency.principals.alice,
        ad_account=desk.account,
        level=Level.CAMPAIGN,
        object_id=desk.campaign.meta_id,
        field=Field.DAILY_BUDGET,
        target=target,
        reason="a rule",
        source=Source.STRATEGY,
        key=f"rule {target} {desk.now}",
        evidence=evidence,
        strategy_ref="s1",
        now=desk.now,
    )


@pytest.mark.fault("F64")
@pytest.mark.parametrize("kind", NAMES)
def test_no_name_stops_a_read_or_a_change(desk, kind):
    desk.edit(desk.campaign, "name", NAMES[kind])
    desk.wait(seconds=1)
    assert desk.sync().state == "complete"
    stored = Campaign.everything.get(meta_id=desk.campaign.meta_id).name
    assert "\x00" not in stored and len(stored) <= 400
    stored.encode()
    change = desk.until(desk.approved("120"), "APPLIED")
    assert Change.everything.get(pk=change.pk).object_name == stored


@pytest.mark.fault("F38")
@pytest.mark.parametrize("how", ["a status that nobody knows", "no status", "no budget"])
def test_an_object_in_an_odd_state_is_left_alone_by_rules_until_it_is_read_well_again(desk, how):
    fault = {
        "a status that nobody knows": ("enum_new", {"value": "HIBERNATING"}),
        "no status": ("missing_fields", {"names": ["status", "effective_status"]}),
        "no budget": ("missing_fields", {"names": ["daily_budget"]}),
    }[how]
    desk.sandbox.faults.arm(fault[0], {"edge": "campaigns"}, 1, **fault[1])
    assert desk.sync().state == "complete"
    meta_id = desk.sandbox.world.children(desk.account.act_id, "campaign")[0].id
    before = Campaign.everything.filter(daily_budget__isnull=False).first()
    if before is not None:
        refused = by_a_rule(desk, "110")
        assert refused.state == "REJECTED" and refused.error_text
    else:  # a budget that is not told is not known, and nothing is written on a guess
        assert Campaign.everything.get(meta_id=meta_id).daily_budget is None
    desk.wait(seconds=60)
    assert desk.sync().state == "complete"
    assert by_a_rule(desk, "110").state == "PROPOSED"
    assert desk.writes() == []


@pytest.mark.fault("F41")
def test_meta_s_wait_between_the_write_and_its_read_back_claims_nothing_and_sends_nothing(desk):
    change = desk.until(desk.approved("120"), "ACKED", "UNKNOWN")
    desk.sandbox.faults.arm("throttle", {"method": "GET"}, 1, minutes=5)
    for _ in range(60):
        desk.wait(seconds=4)
        desk.step(change)
        assert change.state in ("ACKED", "UNKNOWN", "VERIFYING") and change.applied_at is None
    desk.until(change, "APPLIED", every=15)
    assert len(desk.writes()) == 1


@pytest.mark.fault("F46")
@pytest.mark.parametrize("word", ["ARCHIVED", "DELETED"])
@pytest.mark.parametrize("read", [True, False])
def test_what_was_archived_meanwhile_is_not_written_to_again_and_again(desk, word, read):
    change = desk.approved("120")
    desk.edit(desk.campaign, "status", word)
    if read:
        desk.wait(seconds=1)
        desk.sync()
    desk.until(change, "FAILED", "EXPIRED", "SUPERSEDED", "REJECTED", "NEEDS_HUMAN", most=120, every=30)
    assert change.error_text and change.applied_at is None
    assert len(desk.writes()) <= 1
    desk.wait(hours=1)
    desk.step(change)
    assert len(desk.writes()) <= 1


@pytest.mark.fault("F48")
def test_what_is_below_meta_s_own_minimum_ends_with_meta_s_reason(desk):
    """Our knowledge of the minimum may be old: then Meta says no, and that is the end of it."""
    account = desk.account
    type(account).everything.filter(pk=account.pk).update(min_daily_budget=None)
    change = desk.until(desk.approved("0.50"), "FAILED")
    assert "minimum" in change.error_text.lower() or "budget" in change.error_text.lower()
    assert len(desk.writes()) == 1 and desk.truth(desk.campaign, "daily_budget") == 10_000


@pytest.mark.fault("F52")
def test_a_read_from_a_minute_ago_is_not_taken_for_an_edit_by_somebody(desk):
    """Right after a confirmed change a slow copy still tells the old value: nothing is held, nothing undone."""
    desk.until(desk.approved("120"), "APPLIED")
    desk.sandbox.faults.arm("stale_read", {"method": "GET"}, 1, seconds=60)
    second = desk.approved("130")
    desk.until(second, "APPLIED", "SUPERSEDED", "EXPIRED", "NEEDS_HUMAN", every=10)
    assert second.state == "APPLIED", second.error_text
    assert desk.truth(desk.campaign, "daily_budget") == 13_000
