"""Strategies of own rules: saved, edited, read back, exported, evaluated, and judged again from their records."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import jsonschema
import pytest

from campaigns.models import AdSet, Campaign, Change
from strategies import cycle, decisions, documents, drafts, proposals
from strategies.engine.language import dump_document
from strategies.errors import BadRules
from strategies.models import Decision, Proposal, Strategy, StrategyVersion
from tests.strategies.conftest import ALL_ON, FIGURES, RULES, plant
from tests.strategies.test_api import ask  # noqa: F401
from tests.strategies.test_cycle import _read_structure

pytestmark = pytest.mark.django_db


def rule(when, *do, level="adset", **more):
    return {"level": level, "cases": [{"name": "A", "when": when, "do": list(do)}], **more}


def above(metric, number, **more):
    return {"metric": metric, "op": ">", "than": {"number": number}, **more}


DEAR = rule(above("cpc", "0.80"), {"action": "pause"})


def save(shop, document, name="Own"):
    data = {"name": name, "document": document}
    return drafts.create(
        principal=shop.principals.bob, ad_account=shop.ad_account, data=data, now=shop.clock.now()
    )


def run(shop, strategy, **more):
    return cycle.run(strategy=strategy, now=shop.clock.now(), **more)


def wanted(outcome):
    return {(one.object_id, one.action.value, one.target) for one in outcome.intents}


def test_a_document_is_saved_read_back_and_exported(shop, ask):  # noqa: F811
    status, body = ask(
        "bob", "post", "/api/strategies", {"accountId": "act_1", "name": "Own", "document": DEAR}
    )
    assert (status, body["type"], body["version"]) == (201, "custom", 1)
    assert body["readBack"] == ["Pause an ad set when CPC is above USD 0.80, judged on the last 7 full days."]
    assert body["document"]["cases"][0]["when"]["window"] == "last_7d"
    _, exported = ask("vic", "get", f"/api/strategies/{body['id']}/export")
    assert exported == {"format": "metaads/rules/1", "name": "Own", "document": body["document"]}
    status, again = ask("bob", "post", "/api/strategies", {**exported, "accountId": "act_1", "name": "Copy"})
    assert (status, again["document"]) == (201, body["document"])


def test_the_briefs_strategies_are_exported_as_the_document_they_come_to(shop, strategy, ask):  # noqa: F811
    _, exported = ask("bob", "get", f"/api/strategies/{strategy.uuid}/export")
    assert [case["do"][0]["action"] for case in exported["document"]["cases"]] == ["pause", "raise_budget"]
    status, copy = ask("bob", "post", "/api/strategies", {**exported, "accountId": "act_1", "name": "Copy"})
    assert status == 201
    one = run(shop, strategy, dry_run=True)
    other = run(shop, Strategy.objects.of(shop.northwind).get(uuid=copy["id"]), dry_run=True)
    assert wanted(one) == wanted(other) != set()


def test_the_published_schema_admits_what_is_stored(shop, ask):  # noqa: F811
    status, schema = ask("vic", "get", "/api/rules/schema")
    assert status == 200
    jsonschema.Draft202012Validator(schema).validate(save(shop, DEAR).document)


def test_checking_reads_back_and_warns_and_writes_nothing(shop, ask):  # noqa: F811
    document = rule(
        {"metric": "cpa", "op": ">", "than": {"target": "cpa", "times": "2"}}, {"action": "pause"}
    )
    asked = {"accountId": "act_1", "document": document}
    status, body = ask("vic", "post", "/api/rules/check", asked)
    assert status == 200
    assert body["readBack"] == [
        "Pause an ad set when CPA is above 2 x the client's target CPA, judged on the last 7 full days."
    ]
    assert "no target CPA" in body["warnings"][0]
    assert not Strategy.objects.of(shop.northwind).exists()
    shop.northwind.target_cpa = 20
    shop.northwind.save()
    assert ask("vic", "post", "/api/rules/check", asked)[1]["warnings"] == []


def test_every_mistake_of_a_document_is_answered_with_its_path(shop, ask):  # noqa: F811
    wrong = rule(
        {"metric": "ctr", "op": "<", "than": {"metric": "cpc"}}, {"action": "raise_budget", "percent": "10"}
    )
    for path, asked in (
        ("/api/rules/check", {"accountId": "act_1", "document": wrong}),
        ("/api/strategies", {"accountId": "act_1", "name": "Own", "document": wrong}),
    ):
        status, body = ask("bob", "post", path, asked)
        assert (status, body["code"]) == (400, "bad_rules")
        assert {error["field"] for error in body["errors"]} == {
            "document.cases[0].when.than.metric",
            "document.cases[0].do[0].at_most",
        }


@pytest.mark.parametrize(
    "data",
    [
        {"type": "custom"},
        {"type": "custom", "document": DEAR, "rules": RULES},
        {"type": "budget_optimization", "rules": RULES, "document": DEAR},
        {"type": "custom", "document": "pause everything"},
        {"type": "custom", "document": {**DEAR, "level": "account"}},
    ],
)
def test_rules_are_either_the_briefs_or_a_document(shop, data):
    with pytest.raises(BadRules):
        drafts.create(
            principal=shop.principals.bob,
            ad_account=shop.ad_account,
            data={"name": "X", **data},
            now=shop.clock.now(),
        )


def test_an_edited_document_is_a_new_version_and_the_old_one_is_kept(shop):
    strategy = save(shop, DEAR)
    run(shop, strategy)
    (first,) = Decision.objects.of(shop.northwind).filter(object_id="22")
    dearer = rule(above("cpc", "2.00"), {"action": "pause"})
    edited = drafts.edit(
        strategy=strategy, principal=shop.principals.bob, data={"document": dearer}, now=shop.clock.now()
    )
    assert edited.version == 2
    assert Proposal.objects.of(shop.northwind).get(object_id="22").state == "superseded"
    kept = {
        row.version: row.document
        for row in StrategyVersion.objects.of(shop.northwind).filter(strategy=strategy)
    }
    assert kept[1] == dump_document(documents.at(strategy, 1)) != kept[2] == strategy.document
    again = decisions.replay(first)
    assert (again.verdict.value, first.verdict) == ("fired", "fired")
    same = drafts.edit(
        strategy=strategy, principal=shop.principals.bob, data={"document": dearer}, now=shop.clock.now()
    )
    assert same.version == 2


def test_a_strategy_changes_over_from_the_brief_to_own_rules_and_back(shop, strategy):
    bob, now = shop.principals.bob, shop.clock.now()
    own = drafts.edit(strategy=strategy, principal=bob, data={"type": "custom", "document": DEAR}, now=now)
    assert (own.rules, own.actions, own.version) == ({}, {}, 2)
    back = {"type": "budget_optimization", "rules": RULES, "actions": ALL_ON}
    brief = drafts.edit(strategy=strategy, principal=bob, data=back, now=now)
    assert (brief.document, brief.version) == (None, 3)


def test_ads_are_judged_by_their_own_figures_and_only_the_level_asked_for(shop):
    outcome = run(shop, save(shop, rule(above("cpc", "0.80"), {"action": "pause"}, level="ad")))
    assert {one.subject.object_id for one in outcome.judgements} == {"31", "32", "33", "34"}
    assert wanted(outcome) == {("32", "pause", "PAUSED")}
    row = Proposal.objects.of(shop.northwind).get()
    assert (row.level, row.change.level) == ("ad", "ad")


def test_an_ad_set_is_compared_with_its_campaigns_average_which_is_of_sums(shop):
    """The campaign's CPC is 24.10 x 7 over 48 x 7 clicks, 0.502; the mean of its ad sets' would be 0.90."""
    dearer = {"metric": "cpc", "op": ">", "than": {"metric": "cpc", "of": "campaign", "times": "1.5"}}
    outcome = run(shop, save(shop, rule(dearer, {"action": "pause"})), dry_run=True)
    assert wanted(outcome) == {("22", "pause", "PAUSED")}
    leaf = outcome.judgements[1].cases[0].trace
    assert leaf.right == Decimal("24.10") / 48 * Decimal("1.5")
    for whose in ("parent", "account"):
        same = {**dearer, "than": {**dearer["than"], "of": whose}}
        assert wanted(run(shop, save(shop, rule(same, {"action": "pause"}), whose), dry_run=True)) == wanted(
            outcome
        )


def test_the_lowest_of_a_campaign_is_told_by_its_place(shop):
    lowest = {"rank": "bottom", "count": 1, "by": "ctr", "within": "campaign"}
    outcome = run(shop, save(shop, rule(lowest, {"action": "pause"})))
    said = {one.subject.object_id: one.verdict.value for one in outcome.judgements}
    # 23 has 140 impressions: it may be lower or not, so nobody can say that 22 is the lowest.
    assert said == {"21": "not_met", "22": "unknown", "23": "unknown", "24": "not_met"}
    two = {**lowest, "count": 2}
    assert wanted(run(shop, save(shop, rule(two, {"action": "pause"}), "two"), dry_run=True)) == {
        ("22", "pause", "PAUSED")
    }


def test_several_windows_are_read_each_with_its_own_days(shop):
    spike = {
        "all": [
            {"metric": "spend", "window": "yesterday", "op": ">=", "than": {"metric": "spend", "window": "last_3d",
                                                                           "times": "0.3"}},
            above("spend", "11", window="today"),
            above("impressions", "13000", window="last_7d_and_today"),
        ]
    }  # fmt: skip
    outcome = run(shop, save(shop, rule(spike, {"action": "pause"})))
    assert {one[0] for one in wanted(outcome)} == {"21", "22"}
    looks = outcome.snapshot.looks
    days = {window: (look.until - look.since).days + 1 for window, look in looks.items()}
    assert days == {"yesterday": 1, "last_3d": 3, "today": 1, "last_7d_and_today": 8}
    sentence = Proposal.objects.of(shop.northwind).get(object_id="22").sentence
    assert "over 17 Nov" in sentence
    assert "over 18 Nov" in sentence


def test_a_window_that_was_not_read_holds_only_the_rules_that_ask_for_it(shop):
    far = save(shop, rule(above("spend", "1", window="last_28d"), {"action": "pause"}), "far")
    near = save(shop, rule(above("cpc", "0.80"), {"action": "pause"}), "near")
    held = {one.subject.object_id: one for one in run(shop, far).judgements}["22"]
    assert (held.verdict.value, held.reason_code) == ("held", "data_partial")
    assert wanted(run(shop, near)) == {("22", "pause", "PAUSED")}


def test_mature_days_are_unknown_until_the_account_has_learned_its_completeness(shop):
    from insights.models import Completeness

    mature = save(shop, rule(above("spend", "20", window="last_7d_mature_90"), {"action": "pause"}))
    assert {one.reason_code for one in run(shop, mature).judgements} == {"not_known"}
    shares = ["0.5", "0.7", "0.9", "0.95", *["1"] * 25]
    Completeness.everything.create(
        ad_account_id=shop.ad_account.pk, base="purchases", shares=shares, days=30, total=Decimal(900),
        learned_at=shop.clock.now(),
    )  # fmt: skip
    outcome = run(shop, mature)
    look = outcome.snapshot.looks["last_7d_mature_90"]
    # The two youngest days are at 50 and 70 %.
    assert (look.since, look.until) == (shop.today - timedelta(days=7), shop.today - timedelta(days=3))
    assert {one.object_id for one in outcome.intents} == {"21", "22"}


def test_a_budget_is_cut_and_never_below_its_bound(shop):
    cut = {"action": "lower_budget", "percent": "30", "at_least": "40"}
    outcome = run(shop, save(shop, rule(above("cpc", "0.80"), cut)))
    assert wanted(outcome) == {("22", "lower_budget", "40")}
    row = Proposal.objects.of(shop.northwind).get()
    assert (row.field, row.before, row.target) == ("daily_budget", "50", "40")
    assert row.effect == "Up to USD 10.00 less a day; no other setting changes."
    assert row.change.state == "PROPOSED"


def test_budget_moves_between_siblings_and_stays_the_same_in_total(shop):
    move = {"action": "rebalance", "metric": "cpc", "step_percent": "20", "at_least": "20"}
    strategy = save(shop, rule(above("spend", "20"), move))
    outcome = run(shop, strategy)
    assert wanted(outcome) == {("21", "rebalance", "60"), ("22", "rebalance", "40")}
    changes = Change.objects.of(shop.northwind)
    assert len({row.batch for row in changes}) == 1
    assert None not in {row.batch for row in changes}
    assert sum(Decimal(row.target) - Decimal(row.before) for row in changes) == 0
    for row in Decision.objects.of(shop.northwind):
        again = decisions.replay(row)
        assert (again.verdict.value, again.reason_code) == (row.verdict, row.reason_code)


def test_a_name_and_advice_are_proposed_and_only_the_name_is_a_change(shop):
    does = [{"action": "rename", "prefix": "[dear] "}, {"action": "duplicate_paused"}]
    run(shop, save(shop, rule(above("cpc", "0.80"), *does)))
    rows = {row.action: row for row in Proposal.objects.of(shop.northwind)}
    assert (rows["rename"].target, rows["rename"].change.field) == ("[dear] Ad set 2", "name")
    assert rows["duplicate_paused"].change is None
    run(shop, Strategy.objects.of(shop.northwind).get())
    assert Proposal.objects.of(shop.northwind).count() == 2


def test_a_rule_that_only_notifies_opens_one_alert_and_closes_it(shop):
    from accounts.models import Alert

    strategy = save(shop, rule(above("cpc", "0.80"), {"action": "notify", "text": "look at this"}))
    for _ in range(2):
        outcome = run(shop, strategy)
        shop.clock.advance(60)
    assert not Proposal.objects.of(shop.northwind).exists()
    assert {one.subject.object_id: one.verdict.value for one in outcome.judgements}["22"] == "fired"
    (alert,) = Alert.objects.of(shop.northwind).filter(key__startswith="strategy:")
    assert (alert.title, alert.severity) == ("Ad set 2: look at this", "warning")
    assert alert.advice == "Own: CPC USD 1.50 is above USD 0.80."
    plant(shop, {**FIGURES, "22": ("12.00", 2000, 40)})
    run(shop, strategy)
    alert.refresh_from_db()
    assert alert.closed_at is not None
    shop.clock.advance(2 * 3600)
    plant(shop)
    run(shop, strategy)
    drafts.edit(
        strategy=strategy, principal=shop.principals.bob, data={"status": "paused"}, now=shop.clock.now()
    )
    assert not Alert.objects.of(shop.northwind).filter(key__startswith="strategy:", closed_at=None).exists()


def test_new_objects_are_included_by_themselves_and_picked_ones_alone_where_some_are_picked(shop):
    everything = save(shop, DEAR, "all")
    except_it = save(shop, {**DEAR, "scope": {"except": ["22"]}}, "except")
    only = save(shop, {**DEAR, "scope": {"only": ["21", "25"]}}, "only")
    by_name = save(
        shop, {**DEAR, "scope": {"where": {"fact": "name", "op": "contains", "text": "SET 5"}}}, "by name"
    )
    known = AdSet.objects.of(shop.northwind).get(meta_id="22")
    AdSet.everything.create(
        client=shop.northwind, ad_account=shop.ad_account, campaign=known.campaign, meta_id="25", name="Ad set 5",
        status="ACTIVE", effective_status="ACTIVE", daily_budget=50, learning_stage="SUCCESS", seen_at=shop.clock.now(),
    )  # fmt: skip
    plant(shop, {**FIGURES, "25": ("12.00", 2000, 8)})
    found = {
        row.name: {intent.object_id for intent in run(shop, row, dry_run=True).intents}
        for row in (everything, except_it, only, by_name)
    }
    assert found == {"all": {"22", "25"}, "except": {"25"}, "only": {"25"}, "by name": {"25"}}


def test_what_a_strategy_paused_for_a_time_is_started_again_unless_somebody_touched_it(shop, switched):
    strategy = save(shop, rule(above("cpc", "0.80"), {"action": "pause_until", "hours": 6}))
    run(shop, strategy)
    row = Proposal.objects.of(shop.northwind).get(object_id="22")
    assert row.sentence.startswith("Pause until 18 Nov 16:00: CPC")
    switched(row)
    shop.clock.advance(3 * 3600)
    early = run(shop, strategy, dry_run=True)
    assert wanted(early) == set()
    shop.clock.advance(3 * 3600 + 1)
    plant(shop)
    _read_structure(shop)
    over = run(shop, strategy)
    assert wanted(over) == {("22", "start", "ACTIVE")}
    start = Proposal.objects.of(shop.northwind).get(object_id="22", state="open")
    assert start.sentence == "Start: the pause is over."
    for decision in Decision.objects.of(shop.northwind).filter(current=True):
        assert decisions.replay(decision).verdict.value == decision.verdict
    _edited_outside(shop, "22")
    assert wanted(run(shop, strategy, dry_run=True)) == set()


def test_a_strategy_that_was_switched_off_still_ends_the_pauses_that_it_made(shop, switched):
    strategy = save(
        shop,
        {
            "level": "adset",
            "cases": [
                {"name": "rest", "when": above("cpc", "0.80"), "do": [{"action": "pause_until", "hours": 6}]},
                {"name": "tell", "when": above("cpc", "0.10"), "do": [{"action": "notify", "text": "Dear"}]},
            ],
        },
    )
    run(shop, strategy)
    switched(Proposal.objects.of(shop.northwind).get(object_id="22"))
    bob = shop.principals.bob
    drafts.edit(strategy=strategy, principal=bob, data={"status": "paused"}, now=shop.clock.now())
    shop.clock.advance(3 * 3600)
    assert cycle.due(now=shop.clock.now()) == []  # its time has not come
    shop.clock.advance(3 * 3600 + 1)
    plant(shop)
    _read_structure(shop)
    assert cycle.due(now=shop.clock.now()) == [strategy]
    over = run(shop, strategy)
    assert {(row.object_id, row.action, row.state) for row in over.proposals} == {("22", "start", "open")}
    assert {row.object_id for row in over.decisions} == {"22"}
    for decision in Decision.objects.of(shop.northwind).filter(current=True, object_id="22"):
        assert decisions.replay(decision).verdict.value == decision.verdict
    assert len(run(shop, strategy).proposals) == 1  # the same one
    AdSet.objects.of(shop.northwind).filter(meta_id="22").update(status="ACTIVE", effective_status="ACTIVE")
    assert run(shop, strategy).proposals == ()
    assert not Proposal.objects.of(shop.northwind).filter(state="open").exists()


def _edited_outside(shop, object_id):
    """Somebody started and paused it at Meta: the object looks as we left it, and is theirs."""
    from campaigns.changes.ledger import Actor, record

    for before, after in (("PAUSED", "ACTIVE"), ("ACTIVE", "PAUSED")):
        record(
            ad_account_id=shop.ad_account.pk, client_id=shop.northwind.pk, kind="edit", now=shop.clock.now(),
            by=Actor("outside"), level="adset", object_id=object_id, field="status", before=before, after=after,
        )  # fmt: skip


def test_a_start_undoes_only_the_strategys_own_pauses(shop, switched):
    cheap = {"metric": "cpc", "op": "<=", "than": {"number": "1.00"}}
    both = {
        "level": "adset",
        "cases": [
            {"name": "dear", "when": above("cpc", "0.80"), "do": [{"action": "pause"}]},
            {"name": "cheap again", "when": cheap, "do": [{"action": "start"}]},
        ],
    }
    other = save(shop, rule(above("spend", "20"), {"action": "pause"}, scope={"only": ["21"]}), "other")
    run(shop, other)
    switched(Proposal.objects.of(shop.northwind).get(object_id="21"))
    strategy = save(shop, both)
    run(shop, strategy)
    switched(Proposal.objects.of(shop.northwind).get(object_id="22"))
    shop.clock.advance(24 * 3600)
    shop.today += timedelta(days=1)
    plant(shop, {**FIGURES, "22": ("12.00", 2000, 40)})
    outcome = run(shop, strategy)
    assert wanted(outcome) == {("22", "start", "ACTIVE")}
    reasons = {one.subject.object_id: one.reason_code for one in outcome.judgements}
    assert reasons["21"] == "not_ours"


@pytest.fixture
def switched(shop):
    """Carry a status proposal out, as the sender would: the change applied, the object paused."""

    def carry_out(row):
        now = shop.clock.now()
        Change.everything.filter(pk=row.change_id).update(state="APPLIED", applied_at=now)
        AdSet.objects.of(shop.northwind).filter(meta_id=row.object_id).update(
            status=row.target, effective_status=row.target
        )
        row.change.refresh_from_db()
        proposals.follow(change=row.change, now=now)

    return carry_out


def test_the_accounts_clock_is_a_condition(shop):
    night = {
        "any": [{"fact": "hour", "op": ">=", "number": "22"}, {"fact": "hour", "op": "<", "number": "6"}]
    }
    strategy = save(shop, rule(night, {"action": "pause_until", "hour": 6}))
    assert wanted(run(shop, strategy, dry_run=True)) == set()  # 15:00 UTC is 10:00 in New York
    shop.clock.advance(13 * 3600)
    plant(shop)
    outcome = run(shop, strategy, dry_run=True)
    assert {intent.target for intent in outcome.intents} == {"PAUSED"}
    until = {intent.until for intent in outcome.intents}
    assert until == {shop.clock.now() + timedelta(hours=7)}


def test_the_number_of_queries_does_not_grow_with_the_objects(shop):
    tree = {
        "all": [
            above("cpc", "0.80"),
            above("spend", "1", window="last_3d"),
            {"metric": "cpc", "op": ">", "than": {"metric": "cpc", "of": "account"}},
            {"metric": "cpc", "op": ">", "than": {"metric": "cpc", "of": "campaign", "window": "last_14d"}},
        ]
    }
    document = documents.of(save(shop, rule(tree, {"action": "pause"}, level="ad")))

    def count():
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        from strategies import snapshots

        with CaptureQueriesContext(connection) as seen:
            snapshots.build(ad_account=shop.ad_account, now=shop.clock.now(), document=document)
        return len(seen)

    few = count()
    campaign = Campaign.objects.of(shop.northwind).get()
    ad_set = AdSet.objects.of(shop.northwind).get(meta_id="22")
    _more_ads(shop, campaign, ad_set)
    assert count() <= few <= 40


def _more_ads(shop, campaign, ad_set):
    from campaigns.models import Ad

    Ad.everything.bulk_create(
        Ad(
            client=shop.northwind, ad_account=shop.ad_account, campaign=campaign, ad_set=ad_set, meta_id=f"9{n}",
            name=f"More {n}", status="ACTIVE", effective_status="ACTIVE", seen_at=shop.clock.now(),
        )
        for n in range(50)
    )  # fmt: skip


def test_templates_are_offered_with_the_accounts_own_defaults_and_filled_in(shop, ask):  # noqa: F811
    shop.northwind.target_cpa = 20
    shop.northwind.save()
    status, body = ask("vic", "get", "/api/rules/templates?account=act_1")
    assert status == 200
    offered = {one["key"]: one for one in body["templates"]}
    defaults = {one["key"]: one["default"] for one in offered["stop_loss"]["parameters"]}
    assert (len(offered), Decimal(defaults["cpa"]), defaults["times"]) == (16, 20, "2")
    asked = {"accountId": "act_1", "template": "stop_loss", "parameters": {"times": "3"}}
    status, filled = ask("vic", "post", "/api/rules/templates", asked)
    assert status == 200
    assert filled["readBack"][0].startswith("Pause an ad set when CPA is above 3 x the client's target CPA,")
    assert not Strategy.objects.of(shop.northwind).exists()
    saved = {"accountId": "act_1", "name": "Stop-loss", "document": filled["document"]}
    status, strategy = ask("bob", "post", "/api/strategies", saved)
    assert (status, strategy["readBack"]) == (201, filled["readBack"])


def test_a_template_that_cannot_be_filled_in_says_which_parameter(shop, ask):  # noqa: F811
    for template, parameters, path in (
        ("stop_loss", {}, "parameters.cpa"),
        ("day_parting", {"until": 24}, "parameters.until"),
        ("day_parting", [], "parameters"),
        ("get_rich", {}, "template"),
    ):
        asked = {"accountId": "act_1", "template": template, "parameters": parameters}
        status, body = ask("vic", "post", "/api/rules/templates", asked)
        assert (status, body["code"]) == (400, "bad_rules")
        assert [error["field"] for error in body["errors"]] == [path]


def test_rules_that_can_never_hold_are_told_when_checked_and_refused_when_saved(shop, ask):  # noqa: F811
    never = rule({"all": [above("cpc", "2"), {**above("cpc", "1"), "op": "<"}]}, {"action": "pause"})
    _, body = ask("vic", "post", "/api/rules/check", {"accountId": "act_1", "document": never})
    (finding,) = body["findings"]
    assert (finding["severity"], finding["path"]) == ("refuse", "document.cases[0].when")
    status, body = ask(
        "bob", "post", "/api/strategies", {"accountId": "act_1", "name": "Own", "document": never}
    )
    assert (status, body["code"]) == (400, "bad_rules")
    assert [error["field"] for error in body["errors"]] == ["document.cases[0].when"]


def test_senseless_rules_that_were_saved_before_can_be_renamed_and_switched_off(shop, ask):  # noqa: F811
    well = rule({"all": [above("cpc", "2"), above("cpc", "1")]}, {"action": "pause"})
    never = rule({"all": [above("cpc", "2"), {**above("cpc", "1"), "op": "<"}]}, {"action": "pause"})
    _, saved = ask("bob", "post", "/api/strategies", {"accountId": "act_1", "name": "Own", "document": well})
    stored = documents.stored(documents.read(never))
    Strategy.everything.filter(uuid=saved["id"]).update(document=stored)
    url = f"/api/strategies/{saved['id']}"
    assert ask("bob", "patch", url, {"name": "Old", "status": "paused"})[0] == 200
    assert ask("bob", "patch", url, {"document": never})[0] == 200, "the same again"
    other = rule({"all": [above("cpc", "3"), {**above("cpc", "1"), "op": "<"}]}, {"action": "pause"})
    assert ask("bob", "patch", url, {"document": other})[0] == 400
