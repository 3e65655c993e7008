"""Stages of a strategy: what the shadow does not do, and what it takes to leave it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts.errors import Conflict
from campaigns.models import Change
from strategies import cycle, drafts, ladder
from strategies.errors import BadRules
from strategies.models import Decision, Proposal
from tests.strategies.conftest import plant
from tests.strategies.test_api import ask  # noqa: F401
from tests.strategies.test_cycle import _read_structure


def move(shop, strategy, stage, who="bob"):
    person = getattr(shop.principals, who)
    return drafts.to_stage(strategy=strategy, principal=person, stage=stage, now=shop.clock.now())


def run(shop, strategy):
    strategy.refresh_from_db()
    return cycle.run(strategy=strategy, now=shop.clock.now())


def test_in_the_shadow_it_decides_and_proposes_nothing(shop, strategy):
    move(shop, strategy, "shadow")
    outcome = run(shop, strategy)
    assert {row.object_id for row in outcome.decisions if row.verdict == "fired"} == {"21", "22"}
    assert outcome.proposals == ()
    assert not Proposal.everything.exists() and not Change.everything.exists()


def test_down_is_at_once_and_withdraws_what_is_open(shop, strategy):
    run(shop, strategy)
    assert Proposal.objects.of(shop.northwind).filter(state="open").count() == 2
    assert move(shop, strategy, "shadow").stage == "shadow"
    assert set(Proposal.objects.of(shop.northwind).values_list("state", flat=True)) == {"superseded"}
    assert set(Change.objects.of(shop.northwind).values_list("state", flat=True)) == {"REJECTED"}


def test_up_is_earned_with_days_decisions_and_fresh_figures(shop, strategy):
    move(shop, strategy, "shadow")
    run(shop, strategy)
    with pytest.raises(Conflict) as refused:
        move(shop, strategy, "approval")
    assert refused.value.code == "stage_not_earned"
    assert "3 days on this stage (0 so far)" in refused.value.advice
    assert "3 decisions to act, by the rules of now (2 so far)" in refused.value.advice
    shop.clock.advance(3 * 24 * 3600)
    shop.today += timedelta(days=3)
    strategy.refresh_from_db()
    assert "evaluated within the last hour" in ladder.card(strategy, now=shop.clock.now()).missing
    plant(shop)
    run(shop, strategy)
    strategy.refresh_from_db()
    card = ladder.card(strategy, now=shop.clock.now())
    assert (card.full, card.missing) == (True, ())
    Decision.objects.of(shop.northwind).filter(object_id="21", current=True).update(trust="stale")
    with pytest.raises(Conflict):
        move(shop, strategy, "approval")
    Decision.objects.of(shop.northwind).filter(object_id="21", current=True).update(trust="ready")
    assert move(shop, strategy, "approval").stage == "approval"
    _read_structure(shop)
    assert len(run(shop, strategy).proposals) == 2
    card = ladder.card(strategy, now=shop.clock.now())
    assert (card.next, card.full) == (None, False)


def test_new_rules_have_everything_to_show_again(shop, strategy):
    move(shop, strategy, "shadow")
    run(shop, strategy)
    strategy.refresh_from_db()
    drafts.edit(
        strategy=strategy,
        principal=shop.principals.bob,
        data={"rules": {"minCtr": "0.7"}},
        now=shop.clock.now(),
    )
    card = ladder.card(strategy, now=shop.clock.now())
    assert any("(0 so far)" in words and "decisions" in words for words in card.missing)


def test_there_is_no_stage_that_acts_without_a_person(shop, strategy):
    with pytest.raises(BadRules):
        move(shop, strategy, "auto")


def test_the_api_shows_the_card_and_moves(shop, strategy, ask):  # noqa: F811
    path = f"/api/strategies/{strategy.uuid}/stage"
    assert ask("vic", "get", path)[1]["stage"] == "approval"
    status, body = ask("bob", "post", path, {"stage": "shadow"})
    assert (status, body["stage"], body["next"], body["may_go_on"]) == (200, "shadow", "approval", False)
    assert len(body["criteria"]) == 4
    status, body = ask("bob", "post", path, {"stage": "approval"})
    assert (status, body["code"]) == (409, "stage_not_earned")
