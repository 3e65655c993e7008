"""What Meta says oddly about objects, and what then becomes of reading and changing them."""

from __future__ import annotations

import pytest

import accounts.connections as connections
import accounts.tokens as tokens
import campaigns.changes.request as request
from accounts.models import Alert, MetaConnection
from accounts.sentinel import reconcile
from campaigns.errors import NotAllowedBy
from campaigns.models import Ad, AdSet, Campaign, Change, Creative, Hold, LedgerLine, Observation
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


def by_a_rule(desk, target, object_id="", level=Level.CAMPAIGN):
    evidence = Evidence(1, desk.now, "sum", desk.now.replace(hour=23))
    return request.file(
        principal=desk.agency.principals.alice,
        ad_account=desk.account,
        level=level,
        object_id=object_id or desk.campaign.meta_id,
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
def test_no_name_of_anything_stops_a_read(desk, kind):
    """Of an account, a campaign, an ad set, an ad and a creative, by whatever read they come."""
    odd, ad = NAMES[kind], Ad.everything.all()[0]
    for obj in (desk.campaign, desk.ad_set, ad):
        desk.edit(obj, "name", odd)
    for match in (
        {"edge": "", "object_id": desk.account.act_id},
        {"edge": "adaccounts"},
        {"edge": "adcreatives"},
    ):
        desk.sandbox.faults.arm("odd_value", match, 1, names=["name", "title", "body"], value=odd)
    desk.wait(seconds=1)
    assert desk.sync().state == "complete"
    known = desk.account.name
    connections.rediscover(connection=MetaConnection.everything.get(), now=desk.now)
    assert desk.sandbox.faults.armed() == []
    wanted = odd.replace("\x00", "").encode("utf-8", "replace").decode()[:400]
    stored = [desk.campaign, desk.ad_set, Ad.everything.get(pk=ad.pk), *Creative.everything.all()]
    assert {one.name for one in stored} == {wanted}
    assert known == desk.account.name == (wanted or "Tiny Teapots")


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
@pytest.mark.parametrize(
    "how", ["a status that nobody knows", "no status", "no budget", "a status that is a number"]
)
def test_an_object_in_an_odd_state_is_left_alone_by_rules_until_it_is_read_well_again(desk, how):
    fault = {
        "a status that nobody knows": ("enum_new", {"value": "HIBERNATING"}),
        "no status": ("missing_fields", {"names": ["status", "effective_status"]}),
        "no budget": ("missing_fields", {"names": ["daily_budget"]}),
        "a status that is a number": ("odd_value", {"names": ["status"], "value": 7}),
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


@pytest.mark.fault("F37")
@pytest.mark.parametrize("value", ["-500", "1e9", "NaN", "9" * 30, "", "50.5", True, 10.5, ["10000"], {}])
def test_a_budget_that_cannot_be_read_is_no_budget_and_holds_its_object(desk, value):
    """Neither stored, nor taken for an edit, nor for a budget that lies elsewhere: rules wait until it reads well."""
    meta_id, waiting = desk.campaign.meta_id, desk.file("120")
    desk.sandbox.faults.arm("odd_value", {"edge": "campaigns"}, 1, names=["daily_budget"], value=value)
    desk.wait(seconds=1)
    assert desk.sync().state == "complete"
    odd = Campaign.everything.get(meta_id=meta_id)
    assert (odd.daily_budget, odd.known) == (None, False)
    refused = by_a_rule(desk, "110", meta_id)
    assert refused.state == "REJECTED" and "state that we do not know" in refused.error_text
    desk.wait(seconds=60)
    assert desk.sync().state == "complete"
    again = Campaign.everything.get(meta_id=meta_id)
    assert (again.daily_budget, again.known) == (100, True)
    waiting.refresh_from_db()
    assert (waiting.state, LedgerLine.everything.filter(kind="edit").count()) == ("PROPOSED", 0)
    assert by_a_rule(desk, "110").state == "PROPOSED"


@pytest.mark.fault("F37")
@pytest.mark.parametrize("value", ["1e4", "", True, "-10000"])
def test_a_budget_that_cannot_be_read_before_the_write_is_not_written_over(desk, value):
    change = desk.approved("120")
    fault = desk.sandbox.faults.arm(
        "odd_value", {"object_id": desk.campaign.meta_id}, None, names=["daily_budget"], value=value
    )
    for _ in range(6):
        desk.step(change)
        desk.wait(seconds=4)
    assert change.state in ("APPROVED", "PREPARING") and not Hold.everything.exists()
    assert "cannot be read" in Observation.everything.filter(change=change).last().error_text
    assert desk.writes() == []
    desk.sandbox.faults.disarm(fault)
    desk.until(change, "APPLIED", every=10)


@pytest.mark.fault("F38")
def test_fields_that_nobody_asked_for_change_nothing(desk):
    before = list(Campaign.everything.order_by("pk").values())
    desk.sandbox.faults.arm("extra_fields", {"method": "GET"}, None)
    desk.wait(seconds=30)
    run = desk.sync()
    assert (run.state, run.created, run.changed, run.removed, run.edits) == ("complete", 0, 0, 0, 0)
    after = list(Campaign.everything.order_by("pk").values())
    assert [{**row, "seen_at": None} for row in after] == [{**row, "seen_at": None} for row in before]
    desk.until(desk.approved("120"), "APPLIED")


@pytest.mark.fault("F38")
def test_a_learning_stage_that_nobody_knows_is_kept_and_holds_its_ad_set(desk):
    ad_set = desk.ad_set
    desk.sandbox.faults.arm(
        "odd_value", {"edge": "adsets"}, 1, names=["learning_stage_info"], value={"status": "RETHINKING"}
    )
    assert desk.sync().state == "complete"
    odd = AdSet.everything.get(pk=ad_set.pk)
    assert (odd.learning_stage, odd.known) == ("RETHINKING", False)
    refused = by_a_rule(desk, str(odd.daily_budget + 1), odd.meta_id, Level.AD_SET)
    assert refused.state == "REJECTED" and "state that we do not know" in refused.error_text


@pytest.mark.fault("F42")
def test_our_own_count_stops_before_meta_s_four_an_hour(desk):
    targets = ["31", "32", "31", "30"]
    for target in targets:
        desk.until(desk.approved(target, obj=desk.ad_set), "APPLIED")
        desk.wait(minutes=2)
    asked = len(desk.writes())
    with_reason = desk.file("29", obj=desk.ad_set)
    assert with_reason.state == "REJECTED" and "4 budget changes an hour" in with_reason.error_text
    assert len(desk.writes()) == asked == 4
    desk.wait(hours=1)
    desk.sync()
    desk.until(desk.approved("29", obj=desk.ad_set), "APPLIED")


@pytest.mark.fault("F42")
def test_meta_s_block_of_an_ad_set_holds_that_one_for_an_hour_and_no_other(desk):
    """Somebody else has used the four up, so that our count knows nothing of them."""
    ad_set, now = desk.ad_set, desk.sandbox.clock.timestamp()
    for _ in range(4):
        desk.sandbox.limits.charge_budget(ad_set.meta_id, now=now)
    change = desk.until(desk.approved("29", obj=ad_set), "THROTTLED")
    assert (change.not_before - desk.now).total_seconds() == 3600 and not change.possibly_applied
    assert desk.file("28", obj=ad_set).state == "REJECTED"
    desk.until(desk.approved("120"), "APPLIED")
    for _ in range(9):
        desk.wait(minutes=6)
        desk.step(change)
    assert len(desk.writes(ad_set)) == 1
    desk.wait(minutes=7)
    desk.sync()
    desk.until(change, "EXPIRED")
    desk.until(desk.approved("29", obj=ad_set), "APPLIED")


@pytest.mark.fault("F46")
@pytest.mark.parametrize("word", ["ARCHIVED", "DELETED"])
@pytest.mark.parametrize("field", [Field.DAILY_BUDGET, Field.STATUS])
def test_what_was_archived_meanwhile_fails_after_two_reads_and_is_not_tried_again(desk, word, field):
    change = desk.approved("120" if field is Field.DAILY_BUDGET else "PAUSED", field=field)
    desk.edit(desk.campaign, "status", word)
    desk.step(change)
    assert change.state == "PREPARING", "one read proves nothing"
    desk.until(change, "FAILED")
    assert "archived or deleted" in change.error_text and change.applied_at is None
    seen = Observation.everything.filter(change=change, error_text="")
    assert set(seen.values_list("value", flat=True)) == {word} and seen.count() >= 2
    desk.wait(hours=1)
    desk.step(change)
    assert (change.state, desk.writes()) == ("FAILED", [])
    assert Campaign.everything.get(meta_id=change.object_id).status == word
    assert by_a_rule(desk, "110", change.object_id).state == "REJECTED"


@pytest.mark.fault("F46")
def test_what_cannot_be_seen_any_more_is_gone_only_when_the_account_does_not_list_it_either(desk):
    """Code 100/33 says missing, hidden or unsupported; alone it ends nothing."""
    campaign, change = desk.campaign, desk.approved("120")
    desk.sandbox.faults.arm("gone33", {"object_id": campaign.meta_id}, None)
    for _ in range(4):
        desk.step(change)
        desk.wait(seconds=65)
    assert change.state == "APPROVED"
    desk.edit(campaign, "status", "DELETED")
    desk.wait(seconds=1)
    desk.sync()
    assert Campaign.everything.get(pk=campaign.pk).removed_at is not None
    desk.until(change, "FAILED", every=65)
    assert "archived or deleted" in change.error_text and desk.writes() == []


@pytest.mark.fault("F46")
def test_a_write_that_was_archived_under_is_not_called_failed(desk):
    """It may have taken effect before: then a person has to know."""
    desk.sandbox.faults.arm("applied_timeout", {}, 1)
    change = desk.until(desk.approved("120"), "UNKNOWN")
    desk.edit(desk.campaign, "status", "ARCHIVED")
    desk.until(change, "SUPERSEDED", every=10)
    assert change.possibly_applied and len(desk.writes()) == 1


@pytest.mark.fault("F47")
def test_a_daily_budget_that_became_a_lifetime_one_is_left_alone_and_planned_anew(desk):
    change, campaign = desk.approved("120"), desk.campaign
    desk.edit(campaign, "daily_budget", None)
    desk.edit(campaign, "lifetime_budget", 500_000)
    desk.until(change, "SUPERSEDED")
    assert desk.writes() == []
    desk.wait(seconds=1)
    desk.sync()
    now = Campaign.everything.get(pk=campaign.pk)
    assert (now.daily_budget, now.lifetime_budget) == (None, 5000)
    with pytest.raises(NotAllowedBy, match="lifetime budget"):
        desk.file("120", obj=now)
    assert desk.file("4900", field=Field.LIFETIME_BUDGET, obj=now).state == "PROPOSED"


@pytest.mark.fault("F47")
def test_a_budget_that_moves_to_the_campaign_under_our_write_ends_with_meta_s_word(desk):
    ad_set = desk.ad_set
    before = ad_set.daily_budget
    desk.sandbox.faults.arm("cbo_switch", {}, 1, budget=30_000)
    change = desk.until(desk.approved(str(before + 1), obj=ad_set), "FAILED", "SUPERSEDED", every=10)
    assert change.error_text and len(desk.writes()) == 1
    desk.wait(seconds=1)
    desk.sync()
    with pytest.raises(NotAllowedBy, match="campaign of this ad set owns the budget"):
        desk.file(str(before + 1), obj=AdSet.everything.get(pk=ad_set.pk))


@pytest.mark.fault("F48")
def test_what_is_below_the_account_s_minimum_is_refused_here_and_costs_no_call(desk):
    assert desk.account.min_daily_budget == 1
    asked = len(desk.sandbox.history)
    with pytest.raises(NotAllowedBy, match="smallest daily budget here is 1 USD"):
        desk.file("0.99")
    refused = by_a_rule(desk, "0.99")
    assert refused.state == "REJECTED" and "smallest daily budget" in refused.error_text
    assert desk.file("90").state == "PROPOSED"
    assert len(desk.sandbox.history) == asked


@pytest.mark.fault("F48")
def test_what_is_below_meta_s_own_minimum_ends_with_meta_s_reason(desk):
    """Our knowledge of the minimum may be old: then Meta says no, and that is the end of it."""
    account = desk.account
    type(account).everything.filter(pk=account.pk).update(min_daily_budget=None)
    change = desk.until(desk.approved("0.50"), "FAILED")
    assert "minimum" in change.error_text.lower() or "budget" in change.error_text.lower()
    assert len(desk.writes()) == 1 and desk.truth(desk.campaign, "daily_budget") == 10_000


REFUSALS = {
    "above the account's limit": (100, 1885630, "The budget is above the spending limit of this ad account."),
    "a field that is required since today": (
        100,
        None,
        "(#100) The parameter regional_regulation is required",
    ),
}


@pytest.mark.fault("F48", "F49")
@pytest.mark.parametrize("why", REFUSALS)
def test_what_meta_refuses_for_its_own_reasons_ends_once_with_its_words(desk, why):
    code, subcode, words = REFUSALS[why]
    body = {"error": {"message": words, "type": "OAuthException", "code": code, "error_subcode": subcode}}
    desk.sandbox.faults.arm("odd_body", {"method": "POST"}, None, status=400, body=body)
    change = desk.until(desk.approved("120"), "FAILED")
    assert change.error_text == words and change.advice and not change.possibly_applied
    desk.wait(hours=1)
    desk.step(change)
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


@pytest.mark.fault("F52")
def test_a_structure_read_that_lags_behind_our_write_is_no_edit_and_turns_nothing_back(desk):
    desk.until(desk.approved("120"), "APPLIED")
    desk.sandbox.faults.arm("stale_read", {"edge": "campaigns"}, 1, seconds=60)
    run = desk.sync()
    assert (run.state, run.edits, Hold.everything.count()) == ("complete", 0, 0)
    assert desk.campaign.daily_budget == 120
    desk.wait(minutes=3)
    assert (desk.sync().edits, desk.campaign.daily_budget) == (0, 120)


@pytest.mark.fault("F49")
def test_under_a_retired_version_every_write_waits_and_reads_only_grow_old(desk):
    change, tree = desk.approved("120"), list(Campaign.everything.values_list("meta_id", "daily_budget"))
    desk.sandbox.control.handle("POST", "limits", {"retired": ["v26.0"]})
    run = desk.sync()
    assert run.state == "failed" and "META_GRAPH_VERSION" in run.advice
    assert list(Campaign.everything.values_list("meta_id", "daily_budget")) == tree
    desk.sandbox.control.handle("POST", "limits", {"retired": []})  # even if reads work again a moment later
    assert "retired" in tokens.why_frozen(desk.account)
    for _ in range(6):
        desk.step(change)
        desk.wait(seconds=4)
    pause = desk.approved("PAUSED", field=Field.STATUS)
    for _ in range(3):
        desk.step(pause)
        desk.wait(seconds=4)
    assert desk.writes() == []
    assert (change.state, pause.state) == ("APPROVED", "APPROVED") and "retired" in change.error_text
    reconcile(now=desk.now)
    [alert] = Alert.everything.filter(key="notice:retired", closed_at=None)
    assert "v26.0" in alert.title and "META_GRAPH_VERSION" in alert.advice
    desk.wait(hours=1)
    desk.sync()
    assert tokens.why_frozen(desk.account) == ""
    reconcile(now=desk.now)
    assert not Alert.everything.filter(key="notice:retired", closed_at=None).exists()
    desk.until(desk.approved("120"), "APPLIED")
