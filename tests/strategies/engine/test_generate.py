"""Drafts come from the account's own figures, the same ones every time."""

from __future__ import annotations

from decimal import Decimal

from strategies.engine.generate import generate, median
from strategies.engine.templates import read_thresholds, thresholds_json
from strategies.engine.types import Trust
from tests.strategies.figures import NOW, snapshot, subject

THREE = (
    subject("1", ctr="0.60", cpc="0.40", cpm="2.40", daily_budget=Decimal(20)),
    subject("2", ctr="1.20", cpc="0.50", cpm="6.00", daily_budget=Decimal(50)),
    subject("3", ctr="2.00", cpc="0.90", cpm="9.00", daily_budget=Decimal(80)),
)


def test_thresholds_come_from_the_medians():
    ideas = {idea.type: idea for idea in generate(snapshot(*THREE), now=NOW)}
    budget = ideas["budget_optimization"].thresholds
    assert (budget.minCtr, budget.maxCpc, budget.targetCpm, budget.budgetThreshold) == (
        Decimal("0.60"),
        Decimal("1.00"),
        Decimal("6.00"),
        Decimal("100.00"),
    )
    assert set(ideas) == {"performance_optimization", "budget_optimization", "audience_expansion"}
    assert all(idea.evidence and "12–18 Nov" in idea.evidence[0] for idea in ideas.values())


def test_every_draft_can_be_saved():
    for idea in generate(snapshot(*THREE), now=NOW):
        assert read_thresholds(thresholds_json(idea.thresholds)) == (idea.thresholds, [])


def test_the_order_of_objects_does_not_matter():
    assert generate(snapshot(*THREE), now=NOW) == generate(snapshot(*reversed(THREE)), now=NOW)


def test_too_little_data_gives_no_draft():
    assert generate(snapshot(THREE[0]), now=NOW) == ()
    thin = [subject(str(i), impressions="999") for i in range(5)]
    assert generate(snapshot(*thin), now=NOW) == ()
    assert generate(snapshot(*THREE, trust=Trust.UNAVAILABLE), now=NOW) == ()


def test_unknown_figures_are_left_out_of_the_median():
    shot = snapshot(*THREE, subject("4", ctr=None, cpc=None, cpm=None))
    performance = generate(shot, now=NOW)[0].thresholds
    assert performance.maxCpc == Decimal("1.00")


def test_the_median_of_an_even_number_is_the_mean_of_the_middle():
    assert median([Decimal(4), Decimal(1), Decimal(3), Decimal(2)]) == Decimal("2.5")
