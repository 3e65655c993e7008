"""The response that the oracle knows is the delivery model's own: two routes, one number."""

from __future__ import annotations

import pathlib

import numpy as np

from metaads.sandbox.lab import response
from tests.metaads.sandbox.lab.worlds import place, world_data

SETS = (
    {"audience": 40_000, "fatigue": 0.3},
    {"depth": 20, "cvr": 0.03},
    {"cpm": 15, "value": 55, "budget": 24},
)
SHOCKS = [
    {"day": 2, "until": 5, "what": "price", "factor": 1.5},
    {"day": 3, "what": "cvr", "factor": 0.4, "ad_sets": ["Set 2"]},
    {"day": 4, "until": 6, "what": "ctr", "factor": 1.3, "ad_sets": ["Set 1", "Set 3"]},
    {"day": 1, "what": "value", "factor": 2, "ad_sets": ["Set 3"]},
]


def test_without_noise_both_give_the_same_days(tmp_path: pathlib.Path) -> None:
    days = 8
    data = world_data(*SETS, noise=0, shocks=SHOCKS, history_days=6)
    here = place(tmp_path, data)
    state = here.state()
    assert (state.learned < 50).any()  # the learning phase is part of it
    assert (state.seen > 0).all()
    here.pass_days(days)
    told = here.earned(0, days - 1)
    market = response.market(here.plan, days=days)
    budgets = np.tile([one.budget * 100.0 for one in here.plan.ad_sets], (days, 1))
    found = response.path(market, state, budgets)
    for column, name in enumerate(here.adsets):
        lines = [told[name][day] for day in sorted(told[name])]
        assert len(lines) == days
        np.testing.assert_allclose([line["spend"] for line in lines], budgets[:, column], rtol=1e-3)
        np.testing.assert_allclose(
            [line["likely"] for line in lines], found.conversions[:, column], rtol=2e-3
        )
        np.testing.assert_allclose(
            [line["likely_value"] for line in lines], found.value[:, column], rtol=2e-3
        )
    profit = found.value * market.margin - budgets
    np.testing.assert_allclose(found.profit, profit)


def test_more_money_buys_more_and_each_unit_less(tmp_path: pathlib.Path) -> None:
    here = place(tmp_path, world_data(*SETS, noise=0))
    market = response.market(here.plan, days=1)
    budgets = np.linspace(0, 40_000, 60)[:, None, None] * np.ones((1, 1, 3))
    value = response.path(market, response.fresh(3), budgets).value[:, 0, :]
    steps = np.diff(value, axis=0)
    assert (steps > 0).all()
    assert (np.diff(steps, axis=0) < 1e-9).all()
