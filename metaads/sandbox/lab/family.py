"""Worlds drawn from a family: parameters and a seed give a world, the same one everywhere.

What an ad set's conversions cost is drawn first, as a multiple of the client's target, and the conversion rate
follows from it: ``classes`` say how many winners and losers a world has. Each parameter is [low, high].
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from metaads.sandbox.lab import response, schema
from metaads.sandbox.lab.schema import LabWorld, Numeric, Reader

#: parameter -> (bounds of both ends, default); those that span magnitudes are drawn evenly in the logarithm.
RANGES: Mapping[str, tuple[Numeric, tuple[float, float]]] = {
    "ad_sets": (Numeric(1, 60, whole=True), (6, 10)),
    "target_cpa": (Numeric(0, 1e6, above=True), (10, 40)),
    "margin": (Numeric(0, 1, above=True), (0.3, 0.7)),
    "budget_in_targets": (Numeric(0, 1000, above=True), (4, 9)),
    "cpm": (Numeric(0, 1e5, above=True), (6, 18)),
    "ctr": (Numeric(0, 0.5, above=True), (0.008, 0.02)),
    "depth_in_budgets": (Numeric(0, 1000, above=True), (0.6, 3.0)),
    "audience_in_impressions": (Numeric(1, 1e6), (12, 60)),
    "fatigue": (Numeric(0, 5), (0.08, 0.3)),
    "value_spread": (Numeric(0, 10, above=True), (0.9, 1.1)),
    "told_in_a_day": (Numeric(0, 1), (0.5, 0.7)),
}
_LOG = frozenset(
    {"target_cpa", "budget_in_targets", "cpm", "ctr", "depth_in_budgets", "audience_in_impressions"}
)
#: Share of ad sets, and what a conversion costs there against the target, on a fresh audience at the first budget.
CLASSES = (
    {"share": 0.25, "cpa": [0.45, 0.75]},
    {"share": 0.35, "cpa": [0.75, 1.0]},
    {"share": 0.25, "cpa": [1.0, 2.0]},
    {"share": 0.15, "cpa": [3.2, 4.5]},
)
#: Chance of each kind of shock in a world, 0 by default.
SHOCKS = ("price", "cvr", "tracking")


@dataclasses.dataclass(frozen=True, slots=True)
class Family:
    """A family as read: ranges by name, classes as (share, low, high), chances of shocks, and fixed world fields."""

    ranges: Mapping[str, tuple[float, float]]
    classes: tuple[tuple[float, float, float], ...]
    shocks: Mapping[str, float]
    fixed: Mapping[str, Any]
    seeds: Mapping[str, tuple[int, ...]]


def names(path: pathlib.Path, *, split: str | None = None) -> list[str]:
    """The names of a file's worlds; of a family those of ``split`` (train or test), else all. Raises `BadWorlds`."""
    data = schema.load(path)
    if "worlds" in data:
        if split is not None:
            raise schema.BadWorlds(
                [("seeds", f"is missing, so there is no {split} part: its worlds are written out")]
            )
        return [one.name for one in _written(data)]
    family = read(data)
    chosen = schema.SPLITS if split is None else (split,)
    return [f"seed-{seed}" for part in chosen for seed in family.seeds.get(part, ())]


def pick(path: pathlib.Path, name: str) -> LabWorld:
    """One world of a file by its name; raises `BadWorlds` for a name that it has not got."""
    data = schema.load(path)
    if "worlds" in data:
        found = [one for one in _written(data) if one.name == name]
    else:
        family = read(data)
        found = [
            draw(family, seed) for part in family.seeds.values() for seed in part if f"seed-{seed}" == name
        ]
    if not found:
        raise schema.BadWorlds([("", f"has no world {name!r}")])
    return found[0]


def tested(path: pathlib.Path) -> frozenset[str]:
    """The names of those worlds that tuning must never see."""
    data = schema.load(path)
    return (
        frozenset()
        if "worlds" in data
        else frozenset(f"seed-{seed}" for seed in read(data).seeds.get("test", ()))
    )


def _written(data: Any) -> list[LabWorld]:
    reader = Reader()
    reader.mapping(data, "", ["version", "about", "worlds"])
    rows = reader.listing(data.get("worlds"), "worlds")
    found = [schema.world(row, f"worlds[{index}]", reader) for index, row in enumerate(rows)]
    worlds = [one for one in found if one is not None]
    if len({one.name for one in worlds}) != len(worlds):
        reader.wrong("worlds", "must have names that differ")
    if reader.errors:
        raise schema.BadWorlds(reader.errors)
    return worlds


def read(data: Any) -> Family:
    """The family of a parsed file; raises `BadWorlds`."""
    reader = Reader()
    reader.mapping(data, "", ["version", "about", "family", "seeds"])
    given = reader.mapping(data.get("family"), "family", [*RANGES, "classes", "shocks", "world"])
    ranges = {
        key: _range(given.get(key, list(default)), f"family.{key}", rule, reader)
        for key, (rule, default) in RANGES.items()
    }
    classes = []
    for index, row in enumerate(reader.listing(given.get("classes", list(CLASSES)), "family.classes")):
        path = f"family.classes[{index}]"
        mine = reader.mapping(row, path, ["share", "cpa"])
        share = reader.number(mine.get("share"), f"{path}.share", Numeric(0, 1))
        classes.append((share, *_range(mine.get("cpa"), f"{path}.cpa", Numeric(0, 1000, above=True), reader)))
    if classes and abs(sum(one[0] for one in classes) - 1) > 1e-6:
        reader.wrong("family.classes", "must have shares that come to 1")
    shocks = reader.mapping(given.get("shocks", {}), "family.shocks", SHOCKS)
    chances = {
        kind: reader.number(shocks.get(kind, 0), f"family.shocks.{kind}", Numeric(0, 1)) for kind in SHOCKS
    }
    fixed = reader.mapping(
        given.get("world", {}),
        "family.world",
        ["currency", "zone", "start", "history_days", "chance", "noise", "learning"],
    )
    seeds = _seeds(data.get("seeds"), reader)
    if reader.errors:
        raise schema.BadWorlds(reader.errors)
    return Family(ranges, tuple(classes), chances, dict(fixed), seeds)


def _range(data: Any, path: str, rule: Numeric, reader: Reader) -> tuple[float, float]:
    if not isinstance(data, list) or len(data) != 2:
        reader.wrong(path, "must be [low, high]")
        return rule.low, rule.low
    low, high = (reader.number(one, path, rule) for one in data)
    if low > high:
        reader.wrong(path, "must not have its low end above its high end")
    return low, high


def _seeds(data: Any, reader: Reader) -> dict[str, tuple[int, ...]]:
    given = reader.mapping(data, "seeds", schema.SPLITS)
    found: dict[str, tuple[int, ...]] = {}
    for part in given:
        rows = reader.listing(given[part], f"seeds.{part}")
        rule = schema.WORLD["seed"]
        found[part] = tuple(int(reader.number(one, f"seeds.{part}[{n}]", rule)) for n, one in enumerate(rows))
    everywhere = [seed for part in found.values() for seed in part]
    if len(set(everywhere)) != len(everywhere):
        reader.wrong("seeds", "must name no seed twice: a test seed that was trained on proves nothing")
    return found


def draw(family: Family, seed: int) -> LabWorld:
    """The world of a seed. Every number is drawn in a fixed order, so a change of one range leaves the others."""
    chance = np.random.Generator(np.random.Philox(key=seed))

    def one(name: str) -> float:
        low, high = family.ranges[name]
        share = float(chance.random())
        return low * (high / low) ** share if name in _LOG else low + (high - low) * share

    count = round(one("ad_sets"))
    target, margin = round(one("target_cpa"), 2), round(one("margin"), 3)
    rows = [_ad_set(family, chance, one, index, target, margin) for index in range(count)]
    data = {
        "name": f"seed-{seed}",
        "seed": seed,
        "margin": margin,
        "target_cpa": target,
        "ad_sets": rows,
        "shocks": _shocks(family, chance, [row["name"] for row in rows]),
        **family.fixed,
    }
    reader = Reader()
    made = schema.world(data, f"seed-{seed}", reader)
    if made is None:
        raise schema.BadWorlds(reader.errors)
    return made


def _ad_set(
    family: Family, chance: np.random.Generator, one: Any, index: int, target: float, margin: float
) -> dict[str, Any]:
    which, within = float(chance.random()), float(chance.random())
    edges = np.cumsum([row[0] for row in family.classes])
    _share, low, high = family.classes[min(int(np.searchsorted(edges, which)), len(edges) - 1)]
    cpa = target * low * (high / low) ** within
    budget = round(one("budget_in_targets") * target)
    cpm, ctr, depth = one("cpm"), one("ctr"), budget * one("depth_in_budgets")
    day = one("told_in_a_day")
    impressions = budget * response.HOURS / (cpm * (1 + 0.45 * (budget / depth) ** 0.75)) * 1000
    return {
        "name": f"Set {index + 1:02d}",
        "budget": max(1, budget),
        "cpm": round(cpm, 2),
        "ctr": round(ctr, 5),
        "depth": round(depth, 2),
        "audience": max(1_000, round(impressions * one("audience_in_impressions"))),
        "cvr": min(1.0, round(budget / cpa / (impressions * ctr * 0.78), 6)),
        "value": round(target / margin * one("value_spread"), 2),
        "fatigue": round(one("fatigue"), 3),
        "delay": {"day": round(day, 3), "week": round((0.9 - day) * 0.6, 3), "month": 0.05},
    }


def _shocks(family: Family, chance: np.random.Generator, names: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for kind in SHOCKS:
        happens, when, how, who = (float(chance.random()) for _ in range(4))
        if happens >= family.shocks[kind]:
            continue
        day = 3 + int(when * 18)
        some = names[: max(1, math.ceil(len(names) * who * 0.5))]
        if kind == "tracking":
            found.append({"day": day, "until": day + 2, "what": "tracking"})
        elif kind == "price":
            found.append({"day": day, "until": day + 7, "what": "price", "factor": round(1.2 + 0.6 * how, 3)})
        else:
            found.append({"day": day, "what": "cvr", "factor": round(0.25 + 0.35 * how, 3), "ad_sets": some})
    return found
