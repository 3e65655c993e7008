"""Strategies as people write them: versions, mistakes named, drafts from the account's own figures."""

from __future__ import annotations

import pytest

from accounts.errors import Conflict, Forbidden, NotFound
from campaigns.models import Change
from strategies import cycle, drafts, proposals
from strategies.errors import BadRules
from strategies.models import Draft, Strategy
from tests.strategies.conftest import ALL_ON, RULES, plant

pytestmark = pytest.mark.django_db


def edit(shop, strategy, who="bob", **data):
    return drafts.edit(
        strategy=strategy, principal=getattr(shop.principals, who), data=data, now=shop.clock.now()
    )


def test_a_new_strategy_is_version_one_and_kept(strategy):
    assert (strategy.version, strategy.stage, strategy.status) == (1, "approval", "active")
    (first,) = drafts.versions(strategy)
    assert (first.version, first.rules, first.actions) == (1, RULES, ALL_ON)


@pytest.mark.fault("F31")
def test_an_edit_of_rules_makes_a_version_and_withdraws_what_is_open(shop, strategy):
    cycle.run(strategy=strategy, now=shop.clock.now())
    strategy = edit(shop, strategy, rules={"minCtr": "0.30"})
    assert strategy.version == 2
    assert strategy.rules == {**RULES, "minCtr": "0.30"}
    assert [row.version for row in drafts.versions(strategy)] == [2, 1]
    assert list(proposals.open_(shop.principals.bob)) == []
    assert {row.state for row in Change.objects.of(shop.northwind)} == {"REJECTED"}
    cycle.run(strategy=strategy, now=shop.clock.now())
    assert {row.strategy_version for row in proposals.open_(shop.principals.bob)} == {2}


def test_a_new_name_is_no_new_version_and_withdraws_nothing(shop, strategy):
    cycle.run(strategy=strategy, now=shop.clock.now())
    assert edit(shop, strategy, name="Other").version == 1
    assert len(proposals.open_(shop.principals.bob)) == 2


def test_pausing_a_strategy_withdraws_what_is_open_and_it_decides_nothing_more(shop, strategy):
    cycle.run(strategy=strategy, now=shop.clock.now())
    edit(shop, strategy, status="paused")
    assert list(proposals.open_(shop.principals.bob)) == []
    assert cycle.due(now=shop.clock.now()) == []


def test_null_switches_a_threshold_off(shop, strategy):
    strategy = edit(shop, strategy, rules={"maxCpc": None})
    assert "maxCpc" not in strategy.rules


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"name": ""}, "name"),
        ({"type": "magic"}, "type"),
        ({"status": "running"}, "status"),
        ({"rules": {"minCtr": "-1"}}, "rules.minCtr"),
        ({"actions": {"fly": True}}, "actions.fly"),
        ({"stage": "auto"}, "stage"),
        ({"version": 7}, "version"),
    ],
)
def test_an_edit_that_makes_no_sense_changes_nothing(shop, strategy, data, path):
    before = Strategy.objects.of(shop.northwind).values().get()
    with pytest.raises(BadRules) as refused:
        edit(shop, strategy, **data)
    assert path in [at for at, _ in refused.value.errors]
    assert Strategy.objects.of(shop.northwind).values().get() == before


def test_two_people_editing_at_once_the_second_reads_again(shop, strategy):
    stale = drafts.get(shop.principals.alice, str(strategy.uuid))
    edit(shop, strategy, rules={"minCtr": "0.5"})
    with pytest.raises(Conflict):
        edit(shop, stale, "alice", rules={"minCtr": "0.6"})


def test_a_name_is_taken_once_per_account(shop, strategy):
    with pytest.raises(Conflict, match="already"):
        drafts.create(
            principal=shop.principals.bob,
            ad_account=shop.ad_account,
            data={"name": strategy.name, "type": "budget_optimization", "rules": {}, "actions": {}},
            now=shop.clock.now(),
        )


@pytest.mark.parametrize("who", ["vera", "vic"])
def test_the_clients_own_people_may_not_write_strategies(shop, strategy, who):
    with pytest.raises(Forbidden):
        edit(shop, strategy, who, name="Mine")


def test_another_clients_manager_does_not_see_it(shop, strategy):
    assert list(drafts.list_(shop.principals.charlie)) == []
    with pytest.raises(NotFound):
        drafts.get(shop.principals.charlie, str(strategy.uuid))
    with pytest.raises(NotFound):
        edit(shop, strategy, "charlie", name="Mine")


def test_drafts_come_from_the_accounts_figures_and_replace_the_ones_before(shop):
    first = drafts.regenerate(ad_account=shop.ad_account, now=shop.clock.now())
    assert {row.type for row in first} == {
        "performance_optimization",
        "budget_optimization",
        "audience_expansion",
    }
    rules = next(row.rules for row in first if row.type == "budget_optimization")
    assert rules == {"minCtr": "0.60", "maxCpc": "1.80", "targetCpm": "6.00", "budgetThreshold": "100.00"}
    again = drafts.regenerate(ad_account=shop.ad_account, now=shop.clock.now())
    assert [row.rules for row in again] == [row.rules for row in first]
    assert drafts.latest(ad_account=shop.ad_account) == again
    assert Draft.objects.of(shop.northwind).count() == 6


def test_an_account_without_figures_gets_no_draft(shop):
    plant(shop, {"21": ("0.10", 10, 0)})
    assert drafts.regenerate(ad_account=shop.ad_account, now=shop.clock.now()) == []


def test_a_draft_is_saved_once(shop):
    draft = drafts.regenerate(ad_account=shop.ad_account, now=shop.clock.now())[0]
    one = drafts.save_draft(draft=draft, principal=shop.principals.bob, now=shop.clock.now())
    draft.refresh_from_db()
    assert drafts.save_draft(draft=draft, principal=shop.principals.bob, now=shop.clock.now()) == one
    assert Strategy.objects.of(shop.northwind).count() == 1
    other = drafts.regenerate(ad_account=shop.ad_account, now=shop.clock.now())[0]
    two = drafts.save_draft(draft=other, principal=shop.principals.bob, now=shop.clock.now())
    assert two.name != one.name
