"""Evaluate, record, propose: once per window, refreshed by newer figures, withdrawn when the reason has gone."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from campaigns.models import AdSet, Change, LedgerLine
from insights.models import Interest
from insights.schedule import ARMED, CLOSE
from strategies import cycle, decisions, proposals
from strategies.engine.types import LAST_7_DAYS
from strategies.models import Decision, Proposal, Strategy
from tests.strategies.conftest import FIGURES, plant

pytestmark = pytest.mark.django_db


def run(shop, strategy, **more):
    return cycle.run(strategy=strategy, now=shop.clock.now(), **more)


def by_object(shop):
    return {row.object_id: row for row in Proposal.objects.of(shop.northwind).filter(state="open")}


def verdicts(rows):
    return {row.object_id: (row.verdict, row.reason_code) for row in rows}


def test_planted_figures_give_one_raise_and_one_pause(shop, strategy):
    outcome = run(shop, strategy)
    assert verdicts(outcome.decisions) == {
        "10": ("excluded", "not_budget_owner"),
        "21": ("fired", "fired"),
        "22": ("fired", "fired"),
        "23": ("unknown", "not_known_yet"),
        "24": ("unknown", "too_little_data"),
    }
    found = by_object(shop)
    assert {key: (row.action, row.before, row.target) for key, row in found.items()} == {
        "21": ("raise_budget", "50", "60"),
        "22": ("pause", "ACTIVE", "PAUSED"),
    }
    assert found["22"].sentence == (
        "Pause: CTR 0.40 % is below 0.80 % over 11–17 Nov (14,000 impressions, USD 84.00). Spent USD 96.00 since"
        " 11 Nov; at the target CTR of 0.8 % about 119 reported clicks were to be expected by now, 64 were seen; that"
        " little happens in less than 1 % of ad sets that are just on target: it is known to be worse than the target."
    )
    for row in found.values():
        assert row.change.state == "PROPOSED"
        assert row.change.source == "strategy"
        assert row.change.strategy_ref == str(strategy.uuid)
        assert row.change.reason == row.sentence
        assert row.change.evidence_version == row.data_version
        assert row.digest == row.change.digest


@pytest.mark.fault("F21")
def test_a_doubled_tick_gives_one_proposal_and_one_change(shop, strategy):
    for _ in range(3):
        run(shop, strategy)
    assert Proposal.objects.of(shop.northwind).count() == 2
    assert Change.objects.of(shop.northwind).count() == 2
    assert Decision.objects.of(shop.northwind).count() == 5
    assert set(Decision.objects.of(shop.northwind).values_list("times", flat=True)) == {3}


@pytest.mark.fault("F22")
def test_while_another_worker_evaluates_it_this_one_skips(shop, strategy):
    from accounts.leases import take

    take(name=f"strategy:{strategy.pk}", holder="other", seconds=60, now=shop.clock.now())
    outcome = run(shop, strategy)
    assert outcome.skipped
    assert not Proposal.objects.of(shop.northwind).exists()
    shop.clock.advance(61)
    assert len(run(shop, strategy).proposals) == 2


def test_newer_figures_refresh_the_open_proposal_and_add_none(shop, strategy):
    run(shop, strategy)
    first = by_object(shop)["22"]
    shop.clock.advance(60)
    version = plant(shop, {**FIGURES, "22": ("12.00", 2000, 7)})
    run(shop, strategy)
    second = by_object(shop)["22"]
    assert second.pk == first.pk
    assert (second.data_version, second.change_id, second.digest) == (version, first.change_id, first.digest)
    assert "CTR 0.35 %" in second.sentence
    assert Change.objects.of(shop.northwind).count() == 2


def test_when_the_verdict_no_longer_holds_the_proposal_and_its_change_end(shop, strategy):
    run(shop, strategy)
    shop.clock.advance(60)
    plant(shop, {**FIGURES, "22": ("12.00", 2000, 40)})
    run(shop, strategy)
    row = Proposal.objects.of(shop.northwind).get(object_id="22", field="status")
    assert row.state == "superseded"
    assert row.reason
    assert row.change.state == "REJECTED"
    assert by_object(shop)["22"].action == "raise_budget"


@pytest.mark.fault("N8")
def test_what_was_offered_once_for_these_days_is_not_offered_again(shop, strategy):
    run(shop, strategy)
    shop.clock.advance(60)
    plant(shop, {**FIGURES, "22": ("12.00", 2000, 16)})  # on the threshold: neither bad nor good
    run(shop, strategy)
    shop.clock.advance(60)
    plant(shop)
    outcome = run(shop, strategy)
    assert verdicts(outcome.decisions)["22"] == ("held", "offered_before")
    assert "22" not in by_object(shop)
    assert Change.objects.of(shop.northwind).filter(object_id="22").count() == 1


@pytest.mark.fault("F68")
def test_a_budget_that_a_person_moved_meanwhile_withdraws_the_raise(shop, strategy):
    run(shop, strategy)
    AdSet.objects.of(shop.northwind).filter(meta_id="21").update(daily_budget=70)
    shop.clock.advance(60)
    run(shop, strategy)
    row = Proposal.objects.of(shop.northwind).get(object_id="21")
    assert (row.state, row.change.state) == ("superseded", "REJECTED")
    assert Change.objects.of(shop.northwind).filter(object_id="21").count() == 1


@pytest.mark.fault("F46")
def test_an_object_that_is_gone_withdraws_its_proposal(shop, strategy):
    run(shop, strategy)
    AdSet.objects.of(shop.northwind).filter(meta_id="22").update(removed_at=shop.clock.now())
    run(shop, strategy)
    assert Proposal.objects.of(shop.northwind).get(object_id="22").state == "superseded"


@pytest.mark.fault("F56")
def test_doubtful_figures_conclude_nothing_and_raise_nothing(shop, strategy):
    shop.clock.advance(60)
    plant(shop, complete=False)
    outcome = run(shop, strategy)
    assert outcome.snapshot.trust.value != "ready"
    assert "21" not in by_object(shop)
    assert verdicts(outcome.decisions)["21"][0] in ("held", "unknown")


def test_figures_that_become_doubtful_leave_open_proposals_alone(shop, strategy):
    run(shop, strategy)
    shop.clock.advance(60)
    plant(shop, complete=False)
    run(shop, strategy)
    assert set(by_object(shop)) == {"21", "22"}


@pytest.mark.fault("F78", "F47")
def test_a_campaign_that_owns_the_budget_is_judged_instead_of_its_ad_sets(shop, strategy):
    from campaigns.models import Campaign

    Campaign.objects.of(shop.northwind).filter(meta_id="10").update(daily_budget=40)
    AdSet.objects.of(shop.northwind).update(daily_budget=None)
    plant(shop, {**FIGURES, "21": ("12.00", 2000, 200)})
    outcome = run(shop, strategy)
    assert verdicts(outcome.decisions)["10"] == ("fired", "fired")
    assert {verdicts(outcome.decisions)[key][1] for key in ("21", "22", "23", "24")} == {"not_budget_owner"}


@pytest.mark.fault("F77")
def test_a_learning_ad_set_keeps_its_campaign_from_being_judged(shop, strategy):
    from campaigns.models import Campaign

    Campaign.objects.of(shop.northwind).filter(meta_id="10").update(daily_budget=40)
    AdSet.objects.of(shop.northwind).update(daily_budget=None)
    AdSet.objects.of(shop.northwind).filter(meta_id="21").update(learning_stage="LEARNING")
    assert verdicts(run(shop, strategy).decisions)["10"] == ("excluded", "learning")


@pytest.mark.fault("F65")
def test_after_a_raise_was_done_the_object_rests(shop, strategy):
    run(shop, strategy)
    row = by_object(shop)["21"]
    Proposal.objects.of(shop.northwind).filter(pk=row.pk).update(state="done", decided_at=shop.clock.now())
    AdSet.objects.of(shop.northwind).filter(meta_id="21").update(daily_budget=60)
    for _ in range(2):
        shop.clock.advance(24 * 3600)
        shop.today += timedelta(days=1)
        plant(shop)
        outcome = run(shop, strategy)
        assert verdicts(outcome.decisions)["21"] == ("held", "resting")
    shop.clock.advance(25 * 3600)
    shop.today += timedelta(days=1)
    plant(shop)
    _read_structure(shop)
    run(shop, strategy)
    assert by_object(shop)["21"].target == "72"


def _read_structure(shop):
    from campaigns.models import SyncRun

    now = shop.clock.now()
    SyncRun.everything.create(
        client=shop.northwind, ad_account=shop.ad_account, state="complete", started_at=now, finished_at=now
    )


@pytest.mark.fault("F66")
def test_a_pause_of_one_strategy_outranks_a_raise_of_another(shop, strategy):
    from strategies.drafts import create

    strict = create(
        principal=shop.principals.bob,
        ad_account=shop.ad_account,
        data={"name": "Strict", "type": "performance_optimization", "rules": {"minCtr": "5"}, "actions": {}},
        now=shop.clock.now(),
    )
    run(shop, strict)
    outcome = run(shop, strategy)
    assert verdicts(outcome.decisions)["21"] == ("held", "outranked")
    assert {row.action for row in by_object(shop).values()} == {"pause"}


def test_a_dry_run_writes_nothing_and_decides_what_a_live_run_decides(shop, strategy):
    def counted():
        models = (Decision, Proposal, Change, LedgerLine)
        return [model.everything.count() for model in models], list(Strategy.everything.values())

    before = counted()
    dry = run(shop, strategy, dry_run=True)
    assert counted() == before
    live = run(shop, strategy)
    assert dry.judgements == live.judgements
    assert {(row.object_id, row.field, row.target) for row in live.proposals} == {
        (intent.object_id, intent.field, intent.target) for intent in dry.intents
    }
    assert run(shop, strategy, dry_run=True).intents == live.intents


def test_every_stored_record_judges_to_the_same_verdict_again(shop, strategy):
    from campaigns.changes import switch

    run(shop, strategy)
    for row in by_object(shop).values():
        proposals.reject(proposal=row, principal=shop.principals.vera, reason="No", now=shop.clock.now())
    run(shop, strategy)  # held: a person rejected it
    scope = switch.Scope(ad_account=shop.ad_account)
    switch.pull(scope=scope, principal=shop.principals.alice, reason="Incident", now=shop.clock.now())
    shop.clock.advance(4 * 24 * 3600)
    shop.today += timedelta(days=4)
    plant(shop)
    run(shop, strategy)  # held: the change path did not take it
    rows = list(Decision.objects.of(shop.northwind))
    assert {row.reason_code for row in rows} == {
        "not_budget_owner",
        "fired",
        "not_known_yet",
        "too_little_data",
        "rejected",
        "not_taken",
    }
    for row in rows:
        again = decisions.replay(row)
        assert (again.verdict.value, again.reason_code, again.reason) == (
            row.verdict,
            row.reason_code,
            row.reason,
        )
        assert [decisions.case_json(case) for case in again.cases] == row.record["cases"]


@pytest.mark.fault("F55")
def test_a_record_keeps_every_nodes_value(shop, strategy):
    run(shop, strategy)
    row = Decision.objects.of(shop.northwind).get(object_id="22")
    low = row.record["cases"][0]
    assert (low["name"], low["result"]) == ("low-performing", True)
    ctr, cpc = low["tree"]["children"]
    assert (ctr["label"], ctr["left"], ctr["op"], ctr["right"]) == ("ctr", "0.4", "<", "0.80")
    assert (cpc["label"], cpc["left"], cpc["op"], cpc["right"]) == ("cpc", "1.5", ">", "1.00")


def test_a_pulled_switch_leaves_no_proposal_and_says_so_and_is_asked_again_later(shop, strategy):
    from campaigns.changes import switch

    scope = switch.Scope(ad_account=shop.ad_account)
    switch.pull(scope=scope, principal=shop.principals.alice, reason="Incident", now=shop.clock.now())
    outcome = run(shop, strategy)
    assert by_object(shop) == {}
    row = Decision.objects.of(shop.northwind).get(object_id="22", current=True)
    assert (row.verdict, row.reason_code) == ("held", "not_taken")
    switch.release(scope=scope, principal=shop.principals.alice, reason="Over", now=shop.clock.now())
    run(shop, strategy)
    assert by_object(shop) == {}
    shop.clock.advance(3 * 3600)
    _read_structure(shop)
    run(shop, strategy)
    assert set(by_object(shop)) == {"21", "22"}
    assert outcome.decisions


@pytest.mark.fault("F25")
def test_after_an_outage_each_strategy_is_due_once(shop, strategy):
    assert cycle.due(now=shop.clock.now()) == [strategy]
    run(shop, strategy)
    assert cycle.due(now=shop.clock.now()) == []
    shop.clock.advance(6 * 3600)
    assert cycle.due(now=shop.clock.now()) == [strategy]


def test_a_paused_strategy_or_a_disabled_account_is_never_due(shop, strategy):
    Strategy.objects.of(shop.northwind).update(status="paused")
    assert cycle.due(now=shop.clock.now()) == []
    assert cycle.of_account(ad_account_id=shop.ad_account.pk) == []
    Strategy.objects.of(shop.northwind).update(status="active")
    shop.ad_account.enabled_at = None
    shop.ad_account.save()
    assert cycle.due(now=shop.clock.now()) == []


def test_nobody_deciding_in_time_expires_the_proposal_and_its_change(shop, strategy):
    run(shop, strategy)
    shop.clock.advance(24 * 3600 + 1)
    assert proposals.expire_due(now=shop.clock.now()) == 2
    assert {row.state for row in Proposal.objects.of(shop.northwind)} == {"expired"}
    assert proposals.expire_due(now=shop.clock.now()) == 0


def test_the_number_of_queries_does_not_grow_with_the_account(shop, strategy, django_assert_max_num_queries):
    from campaigns.models import Ad, Campaign

    run(shop, strategy)
    campaign = Campaign.objects.of(shop.northwind).get(meta_id="10")
    model = AdSet.objects.of(shop.northwind).get(meta_id="23")
    ad_sets = [
        AdSet(**{**_columns(model), "meta_id": f"7{number:03}", "campaign": campaign})
        for number in range(200)
    ]
    AdSet.everything.bulk_create(ad_sets)
    ad = Ad.objects.of(shop.northwind).get(meta_id="33")
    Ad.everything.bulk_create(
        Ad(**{**_columns(ad), "meta_id": f"8{number:03}", "ad_set": ad_set, "campaign": campaign})
        for number, ad_set in enumerate(ad_sets)
    )
    shop.clock.advance(60)
    plant(shop, {**FIGURES, "24": ("1.00", 100, 1)})
    run(shop, strategy)
    assert Decision.objects.of(shop.northwind).filter(current=True).count() == 205
    shop.clock.advance(60)
    with django_assert_max_num_queries(60):
        run(shop, strategy)


def _columns(row):
    names = [field.attname for field in row._meta.concrete_fields if field.attname != "id"]
    return {name: getattr(row, name) for name in names if name not in ("campaign_id", "ad_set_id")}


@pytest.mark.parametrize("state", ["degraded", "expiring", "reauth_needed", "revoked", "paused", "deleting"])
def test_automation_rests_in_every_state_of_the_connection_but_connected(shop, strategy, state):
    from accounts.models import MetaConnection

    MetaConnection.everything.update(state=state)
    outcome = run(shop, strategy)
    held = [row for row in outcome.decisions if row.reason_code == "connection"]
    assert held and not outcome.proposals
    assert all(row.verdict == "held" and "is in the state" in row.reason for row in held)
    MetaConnection.everything.update(state="connected")
    assert len(run(shop, strategy).proposals) == 2


@pytest.mark.fault("F55")
def test_a_decision_keeps_the_figures_it_rested_on_when_meta_restates_them(shop, strategy):
    first = {row.object_id: row.pk for row in run(shop, strategy).decisions}["22"]
    before = Decision.objects.of(shop.northwind).get(pk=first)
    shop.clock.advance(60)
    plant(shop, {**FIGURES, "22": ("12.00", 2000, 400)})
    run(shop, strategy)
    after = Decision.objects.of(shop.northwind).get(pk=first)
    assert (after.record, after.data_version, after.as_of) == (
        before.record,
        before.data_version,
        before.as_of,
    )
    again = decisions.replay(after)
    assert (again.verdict.value, again.subject.values[LAST_7_DAYS]["ctr"]) == ("fired", Decimal("0.4"))
    change = Change.objects.of(shop.northwind).get(object_id="22", field="status")
    assert (change.evidence_version, change.evidence_checksum) == (
        before.data_version,
        change.evidence_checksum,
    )
    assert change.evidence_checksum


@pytest.mark.fault("F59")
@pytest.mark.parametrize("figures", [("0", 0, 0), ("12.00", 0, 0), ("12.00", 3000, 0)])
def test_a_ratio_over_nothing_meets_no_rule(shop, strategy, figures):
    """No impressions, or no clicks to divide by: neither nothing nor endless, so neither below nor above anything."""
    plant(shop, {**FIGURES, "22": figures})
    outcome = run(shop, strategy)
    [judged] = [one for one in outcome.judgements if one.subject.object_id == "22"]
    values = judged.subject.values[LAST_7_DAYS]
    if not figures[1]:
        assert (values["ctr"], values["cpm"]) == (None, None)
        assert judged.intents == ()
    assert values["cpc"] is None
    for case in judged.cases:
        for leaf in case.trace.leaves():
            assert leaf.label != "cpc" or leaf.result is None


@pytest.mark.fault("F60")
def test_money_that_was_credited_back_keeps_every_rule_from_acting(shop, strategy):
    plant(shop, {**FIGURES, "21": ("-12.00", 2000, 40)})
    outcome = run(shop, strategy)
    assert outcome.snapshot.trust.value == "partial"
    assert outcome.proposals == () and not Change.objects.of(shop.northwind).exists()


def wish(shop):
    return {row.reason: row.weight for row in Interest.objects.of(shop.ad_account)}


@pytest.mark.parametrize(
    ("clicks", "weight"),
    [
        (8, ARMED),  # CTR 0.40 % under 0.80 %, CPC 1.50 over 1.00
        (15, CLOSE),  # CTR 0.75 %: it pauses, and would not with a few clicks more
        (17, CLOSE),  # CTR 0.85 %: it does not, and would with a few clicks fewer
    ],
)
def test_an_armed_strategy_tells_the_tick_how_close_the_account_is_to_a_threshold(
    shop, strategy, clicks, weight
):
    plant(shop, {**FIGURES, "22": ("12.00", 2000, clicks)})
    run(shop, strategy)
    assert wish(shop) == {f"strategy:{strategy.pk}": weight}
    plant(shop)  # and takes it back with the figures that say otherwise
    run(shop, strategy)
    assert wish(shop) == {f"strategy:{strategy.pk}": ARMED}


def test_a_strategy_that_is_not_armed_and_a_dry_run_wish_for_nothing(shop, strategy):
    run(shop, strategy, dry_run=True)
    Strategy.objects.of(shop.northwind).update(status="paused")
    strategy.refresh_from_db()
    run(shop, strategy)
    assert wish(shop) == {}
