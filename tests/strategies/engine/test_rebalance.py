"""Budget moves between siblings: the same in total, in bounded steps, from worse to better."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from strategies.engine.rebalance import Sibling, rebalance

CENT = Decimal("0.01")
budgets = st.integers(1, 100_000).map(lambda cents: cents * CENT)
siblings = st.lists(
    st.builds(Sibling, st.text("abcdefgh", min_size=3, max_size=8), budgets, st.integers(0, 5).map(Decimal)),
    max_size=8,
    unique_by=lambda one: one.object_id,
)


def test_the_worst_gives_to_the_best_up_to_both_steps():
    three = [
        Sibling("a", Decimal(100), Decimal(3)),
        Sibling("b", Decimal(50), Decimal(2)),
        Sibling("c", Decimal(40), Decimal(1)),
    ]
    found = rebalance(three, step_percent=Decimal(20), at_least=Decimal(10), minor_unit=CENT)
    # c gives its 8, b its 10; a could take 20.
    assert found == {"a": Decimal("118"), "b": Decimal("40"), "c": Decimal("32")}


def test_nothing_moves_between_equals_or_below_the_least():
    equal = [Sibling("a", Decimal(100), Decimal(1)), Sibling("b", Decimal(100), Decimal(1))]
    assert rebalance(equal, step_percent=Decimal(20), at_least=Decimal(1), minor_unit=CENT) == {}
    small = [Sibling("a", Decimal(100), Decimal(2)), Sibling("b", Decimal(10), Decimal(1))]
    assert rebalance(small, step_percent=Decimal(20), at_least=Decimal(10), minor_unit=CENT) == {}
    assert rebalance([], step_percent=Decimal(20), at_least=Decimal(1), minor_unit=CENT) == {}


@given(
    siblings,
    st.integers(1, 20).map(Decimal),
    budgets,
    st.sampled_from([CENT, Decimal(1)]),
    st.randoms(use_true_random=False),
)
def test_the_total_stays_steps_are_bounded_and_the_order_does_not_matter(members, step, least, unit, dice):
    found = rebalance(members, step_percent=step, at_least=least, minor_unit=unit)
    before = {one.object_id: one.budget for one in members}
    assert sum(found.values()) == sum(before[one] for one in found)
    for one, budget in found.items():
        assert abs(budget - before[one]) * 100 <= before[one] * step
        assert budget % unit == 0
        assert budget >= least or budget > before[one]
    scores = {one.object_id: one.score for one in members}
    gave = [scores[one] for one, budget in found.items() if budget < before[one]]
    took = [scores[one] for one, budget in found.items() if budget > before[one]]
    assert not found or max(gave) < max(took)
    dice.shuffle(members)
    assert rebalance(members, step_percent=step, at_least=least, minor_unit=unit) == found
