"""What a file of lab worlds may say, and what is said about a wrong one."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from metaads.sandbox.lab import family
from metaads.sandbox.lab.schema import BadWorlds
from tests.metaads.sandbox.lab.worlds import world_data, written


def test_a_world_is_read_with_its_defaults(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path, world_data({"margin": 0.4}, {}))
    assert family.names(path) == ["a"]
    found = family.pick(path, "a")
    assert [one.margin for one in found.ad_sets] == [0.4, 0.5]
    assert (found.chance, found.learning, found.history_days, found.budget) == (True, True, 35, 120)
    assert found.ad_sets[0].told == (0.60, 0.20, 0.08)
    assert family.tested(path) == frozenset()


def wrong(**changes: Any) -> dict[str, Any]:
    return {**world_data(), **changes}


@pytest.mark.parametrize(
    "data, path, sentence",
    [
        (world_data({"cpm": 0}), "worlds[0].ad_sets[0].cpm", "must be above 0"),
        (world_data({"cvr": "many"}), "worlds[0].ad_sets[0].cvr", "must be a number"),
        (world_data({"audience": 5000.5}), "worlds[0].ad_sets[0].audience", "must be a whole number"),
        (world_data({"budget": 10.001}), "worlds[0].ad_sets[0].budget", "smallest unit"),
        (world_data({"ctr": None}), "worlds[0].ad_sets[0].ctr", "is missing"),
        (world_data({"name": "x"}, {"name": "x"}), "worlds[0].ad_sets", "names that differ"),
        (world_data({"delay": {"day": 0.9, "week": 0.2, "month": 0}}), "worlds[0].ad_sets[0].delay", "more than 1"),
        (wrong(colour="red"), "worlds[0].colour", "is not known"),
        (wrong(currency="XXX"), "worlds[0].currency", "no currency"),
        (wrong(zone="Mars/Base"), "worlds[0].zone", "no time zone"),
        (wrong(start="tomorrow"), "worlds[0].start", "must be a date"),
        (wrong(chance="yes"), "worlds[0].chance", "true or false"),
        (wrong(target_cpa=None), "worlds[0].target_cpa", "is missing"),
        (wrong(ad_sets=[]), "worlds[0].ad_sets", "not empty"),
        (wrong(shocks=[{"day": 1, "what": "rain", "factor": 2}]), "worlds[0].shocks[0].what", "must be one of"),
        (wrong(shocks=[{"day": 3, "until": 3, "what": "cvr", "factor": 2}]), "worlds[0].shocks[0].until", "at least 4"),
        (wrong(shocks=[{"day": 1, "what": "tracking", "factor": 2}]), "worlds[0].shocks[0].factor", "does not go with"),
        (wrong(shocks=[{"day": 1, "what": "ctr", "factor": 2, "ad_sets": 1}]), "worlds[0].shocks[0].ad_sets", "names"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(
    data: dict[str, Any], path: str, sentence: str, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(BadWorlds) as told:
        family.names(written(tmp_path, data))
    assert [where for where, _ in told.value.errors] == [path]
    assert sentence in str(told.value)


@pytest.mark.parametrize(
    "top, sentence",
    [
        ({"version": 2, "worlds": []}, "version must be 1"),
        ({}, "either worlds or a family"),
        ({"worlds": [], "family": {}}, "either worlds or a family"),
        ({"worlds": {}}, "worlds must be a list"),
        ({"family": {"ctr": [0.2, 0.1]}, "seeds": {"test": [1]}}, "family.ctr must not have its low end"),
        ({"family": {"ctr": 0.1}, "seeds": {"test": [1]}}, "family.ctr must be [low, high]"),
        ({"family": {"classes": [{"share": 0.5, "cpa": [1, 2]}]}, "seeds": {"test": [1]}}, "come to 1"),
        ({"family": {}, "seeds": {"train": [1, 2], "test": [2]}}, "must name no seed twice"),
        ({"family": {}, "seeds": {"exam": [2]}}, "seeds.exam is not known"),
    ],
)
def test_a_file_that_is_none_says_why(top: dict[str, Any], sentence: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(BadWorlds) as told:
        family.names(written(tmp_path, **top))
    assert sentence in str(told.value)


def test_no_file_and_no_json_are_said(tmp_path: pathlib.Path) -> None:
    with pytest.raises(BadWorlds, match="cannot be read"):
        family.names(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(BadWorlds, match="is no JSON"):
        family.names(tmp_path / "bad.json")
