"""The oracle finds what trying everything finds, and where it ends no unit of money earns more elsewhere."""

from __future__ import annotations

import itertools
import pathlib

import numpy as np
import pytest

from metaads.sandbox.lab import family, oracle, response
from tests.metaads.sandbox.lab.test_family import SEEDS
from tests.metaads.sandbox.lab.worlds import place, world_data, written

TINY = (
    {"audience": 20_000, "fatigue": 0.6, "cvr": 0.08},
    {"depth": 30, "cvr": 0.05},
)


def tiny(folder: pathlib.Path, *sets: dict, **more: object) -> tuple[response.Market, response.State]:
    plan = place(folder, world_data(*(sets or TINY), **more)).plan
    return response.market(plan, days=2), response.fresh(len(plan.ad_sets))


@pytest.mark.parametrize("cvr", [0.05, 0.02, 0.004])
def test_it_equals_trying_everything(cvr: float, tmp_path: pathlib.Path) -> None:
    """Two ad sets, two days, every amount on a grid; the second ad set from a good one to one that loses money."""
    budget, levels = 24_000.0, 33
    market, state = tiny(tmp_path, TINY[0], {**TINY[1], "cvr": cvr})
    grid = np.linspace(0, budget, levels)
    days = np.array([pair for pair in itertools.product(grid, repeat=2) if sum(pair) <= budget + 1e-6])
    first, second = (one.ravel() for one in np.meshgrid(range(len(days)), range(len(days)), indexing="ij"))
    tried = np.stack([days[first], days[second]], axis=1)
    profits = response.path(market, state, tried).profit.sum(axis=(1, 2))
    found = oracle.best(market, state, budget=budget)
    mine = oracle.profit(market, state, found)
    assert (found >= 0).all()
    assert (found.sum(axis=1) <= budget * (1 + 1e-9)).all()
    assert mine >= profits.max() - 1e-6 * abs(mine)
    assert mine <= profits.max() * 1.002 + 1  # what lies between two steps of the grid
    np.testing.assert_allclose(found, tried[profits.argmax()], atol=budget / (levels - 1) * 1.5)


def test_where_it_ends_no_unit_of_money_earns_more_elsewhere(tmp_path: pathlib.Path) -> None:
    plan = family.pick(written(tmp_path, family={"world": {"learning": False}}, seeds=SEEDS), "seed-4")
    market, state = response.market(plan, days=14), response.fresh(len(plan.ad_sets))
    budget = plan.budget * 100
    found = oracle.best(market, state, budget=budget)
    worth = oracle.marginal(market, state, found)
    for row, marginals in zip(found, worth, strict=True):
        funded = row > budget * 1e-3
        level = marginals[funded].mean()
        assert np.ptp(marginals[funded]) < 0.05
        assert (marginals[~funded] < level + 0.05).all()
        assert level > -0.01
        if row.sum() < budget * 0.99:
            assert abs(level) < 0.05  # money stays unspent only where nothing earns it back


def test_it_spends_nothing_where_everything_loses(tmp_path: pathlib.Path) -> None:
    market, state = tiny(tmp_path, {"cvr": 0.001}, {"cvr": 0.002})
    assert oracle.best(market, state, budget=10_000).max() < 1


def test_it_spares_an_audience_that_tires(tmp_path: pathlib.Path) -> None:
    """Knowing that today tires tomorrow earns more than the best of each day on its own."""
    sets = ({"audience": 3_000, "fatigue": 2, "cvr": 0.12}, {"cvr": 0.07})
    plan = place(tmp_path, world_data(*sets)).plan
    market, state = response.market(plan, days=10), response.fresh(2)
    greedy, now = np.zeros((10, 2)), state
    for day in range(10):
        single = response.market(plan, days=day + 1)
        past = oracle.best(_day(single, day), now, budget=12_000)
        greedy[day] = past[0]
        _, now = response.one_day(market, now, past[0], day)
    ahead = oracle.profit(market, state, oracle.best(market, state, budget=12_000))
    assert ahead > oracle.profit(market, state, greedy) * 1.002


def _day(market: response.Market, day: int) -> response.Market:
    import dataclasses

    moving = ("price_of_day", "ctr_of_day", "cvr_of_day", "value_of_day")
    return dataclasses.replace(market, **{name: getattr(market, name)[day : day + 1] for name in moving})
