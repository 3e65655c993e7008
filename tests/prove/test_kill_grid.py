"""A worker is killed at every named point, under everything that Meta and people may do: nothing moves twice."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.env import ROOT
from metaads.crash import POINTS, watching
from tests.prove.grid import DATABASES, OUTCOMES, Cell, Lane, Tally, cells, opened, pairs, sample, sure

SEED = int(os.environ.get("PROVE_SEED") or 5)
N = int(os.environ.get("PROVE_N") or 200)
#: From here on the whole grid is run; below it a sample.
LARGE = 1000
LANES = 2


def named() -> set[str]:
    """The crash points that the product passes, from its source."""
    found = set()
    for folder in ("campaigns", "metaads", "accounts", "insights", "strategies", "dashboard", "config"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "point":
                    assert isinstance(node.args[0], ast.Constant), f"{path}: a point without a name"
                    found.add(str(node.args[0].value))
    return found


def test_every_point_that_the_product_names_is_in_the_grid_under_every_outcome() -> None:
    assert named() == set(POINTS), "a point is named in one place only"
    assert len(POINTS) >= 20 and len({one.name for one in OUTCOMES}) == len(OUTCOMES) >= 20
    every = {(cell.point, cell.outcome.name) for cell in cells()}
    assert every == {(point, outcome.name) for point in POINTS for outcome in OUTCOMES}


@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_the_sample_dies_at_every_point_and_meets_every_outcome(seed: int) -> None:
    """By name here; that each death really happens is asserted where the cells are run."""
    some = sample(120, seed=seed)
    assert len(some) == len({str(cell) for cell in some}) == 120
    assert {cell.then or cell.point for cell in sure()} == set(POINTS)
    assert all(cell in some for cell in sure())
    assert all(any(cell.outcome == one for cell in some) for one in OUTCOMES)


def test_nothing_is_made_to_die_in_production(settings) -> None:
    settings.PRODUCTION = True
    with pytest.raises(RuntimeError), watching(lambda _name: None):
        pass


def test_nothing_but_a_test_watches_the_points() -> None:
    for folder in ("campaigns", "metaads", "accounts", "insights", "strategies", "dashboard", "config"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert "watching(" not in text or path == ROOT / "metaads" / "crash.py", path


@pytest.fixture(params=DATABASES)
def lanes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Lane]]:
    """Two ways to run cells side by side, on SQLite files or on databases of a PostgreSQL server."""
    with opened(request.param, tmp_path, count=LANES) as made:
        yield made


def run(lanes: list[Lane], chosen: list[Cell]) -> Tally:
    def through(number: int) -> Tally:
        tally = Tally()
        for cell in chosen[number :: len(lanes)]:
            tally.add(lanes[number].run(cell))
        return tally

    whole = Tally()
    with ThreadPoolExecutor(len(lanes)) as workers:
        for tally in workers.map(through, range(len(lanes))):
            whole.add(tally)
    print(f"\nseed {SEED}: {whole}\n{dict(sorted(whole.died_at.items()))}")  # noqa: T201 - what a proof has met
    return whole


@pytest.mark.prove
@pytest.mark.fault("F7", "F8", "F9", "F10", "F11")
def test_killed_anywhere_nothing_moves_twice_too_far_or_unseen(lanes, request: pytest.FixtureRequest) -> None:
    """120 cells and 20 double crashes by the seed, half on each database, on both a death at every point; from N=1000
    on, on each all cells and 100."""
    large = N >= LARGE
    chosen = cells() if large else sample(120, seed=SEED)
    chosen += pairs(100 if large else 20, seed=SEED)
    if not large:
        half = chosen[DATABASES.index(request.node.callspec.params["lanes"]) :: len(DATABASES)]
        chosen = sure() + [cell for cell in half if cell not in sure()]
    tally = run(lanes, chosen)
    assert tally.wrong == [], f"{len(tally.wrong)} wrong, PROVE_SEED={SEED}:\n" + "\n".join(tally.wrong)
    least = len(chosen)
    assert tally.kills >= least // 2 and tally.writes >= least // 2, str(tally)
    assert tally.unknown >= least // 10 and tally.edits >= least // 20, str(tally)
    assert set(tally.died_at) == set(POINTS), set(POINTS) - set(tally.died_at)
