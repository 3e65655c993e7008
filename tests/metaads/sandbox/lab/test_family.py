"""Worlds drawn by seed: the same everywhere, apart by split, and with the winners and losers that were asked for."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import pytest

from metaads.sandbox.lab import family, response
from metaads.sandbox.lab.schema import BadWorlds
from tests.metaads.sandbox.lab.worlds import world_data, written

SEEDS = {"train": list(range(1, 31)), "test": list(range(1001, 1031))}


def test_a_seed_gives_the_same_world_and_another_seed_another(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, family={}, seeds=SEEDS)
    one = family.pick(path, "seed-7")
    assert one == family.pick(path, "seed-7")
    assert one.ad_sets != family.pick(path, "seed-8").ad_sets


def test_a_split_holds_its_own_seeds_and_the_tested_ones_are_known(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, family={}, seeds=SEEDS)
    train, test = family.names(path, split="train"), family.names(path, split="test")
    assert len(train) == len(test) == 30
    assert not set(train) & set(test)
    assert family.names(path) == train + test
    assert family.tested(path) == set(test)
    with pytest.raises(BadWorlds, match="has no world 'seed-99'"):
        family.pick(path, "seed-99")


def test_worlds_that_are_written_out_have_no_split(tmp_path: pathlib.Path) -> None:
    with pytest.raises(BadWorlds, match="no test part"):
        family.names(written(tmp_path, world_data()), split="test")


def test_a_wider_range_of_one_parameter_leaves_the_draws_of_the_others(tmp_path: pathlib.Path) -> None:
    narrow = family.pick(written(tmp_path, family={"fatigue": [0.1, 0.1]}, seeds=SEEDS), "seed-3")
    wide = family.pick(written(tmp_path, family={"fatigue": [0.1, 2]}, seeds=SEEDS), "seed-3")
    assert narrow != wide
    assert [dataclasses.replace(one, fatigue=0) for one in narrow.ad_sets] == [
        dataclasses.replace(one, fatigue=0) for one in wide.ad_sets
    ]


def test_what_conversions_cost_is_what_the_classes_say(tmp_path: pathlib.Path) -> None:
    only_losers = [{"share": 1, "cpa": [3.2, 4.5]}]
    plan = family.pick(written(tmp_path, family={"classes": only_losers}, seeds=SEEDS), "seed-5")
    market = response.market(plan, days=1)
    budgets = np.array([[one.budget for one in plan.ad_sets]]) * 100
    flat = dataclasses.replace(market, price_of_day=np.ones_like(market.price_of_day))
    cpa = budgets / response.path(flat, response.fresh(market.size), budgets).conversions / 100
    ratio = cpa * market.credited / plan.target_cpa
    assert ratio.min() > 3.15
    assert ratio.max() < 4.55
