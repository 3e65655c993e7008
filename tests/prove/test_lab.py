"""The lab at length: the command in a database of its own, and no policy above the oracle where the world stands still.

`make prove` (PROVE_N) takes more worlds and days.
"""

from __future__ import annotations

import io
import json
import os
import pathlib
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command

from accounts.models import Client
from metaads.sandbox.lab import family
from strategies.lab import trial
from strategies.lab.policies import named
from tests.metaads.sandbox.lab.worlds import world_data, written

pytestmark = pytest.mark.prove

N = int(os.environ.get("PROVE_N") or 1)
WORLDS = max(2, min(N // 10, 20))
DAYS = max(4, min(N // 10, 28))
STATIC = {"world": {"history_days": 12, "noise": 0.2}, "ad_sets": [3, 4]}


def test_no_policy_beats_the_oracle_where_the_world_stands_still(tmp_path: pathlib.Path, db: Any) -> None:
    """By what clicks are worth; what is left of noise is allowed for."""
    path = written(tmp_path, family=STATIC, seeds={"train": list(range(1, WORLDS + 1))})
    policies = [named(name) for name in ("keep", "greedy", "ours")]
    for name in family.names(path):
        best, *others = trial.run(path, name, policies, days=DAYS, warm_up=DAYS // 2)
        for one in others:
            chance = 0.03 * max(best.score.spend, one.score.spend)
            assert one.score.expected <= best.score.expected + chance, (name, one.policy)


def test_the_command_works_in_a_database_and_cache_of_its_own_and_notes_runs_on_test_seeds(
    tmp_path: pathlib.Path, db: Any
) -> None:
    before = Client.objects.count()
    cache.set("kept", "by the installation")
    path = written(tmp_path, family=STATIC, seeds={"train": [1], "test": [2, 3]})
    log, out = tmp_path / "runs.jsonl", io.StringIO()
    asked: dict[str, Any] = {
        "worlds": path,
        "days": 2,
        "policies": "keep,stop-week",
        "log": log,
        "json": True,
    }
    call_command("lab", **asked, split="train", stdout=out, stderr=io.StringIO())
    assert not log.exists()
    train = json.loads(out.getvalue())
    assert train["worlds"] == ["seed-1"]
    out = io.StringIO()
    call_command("lab", **asked, split="test", jobs=2, stdout=out, stderr=io.StringIO())
    found = json.loads(out.getvalue())
    assert found["worlds"] == ["seed-2", "seed-3"]
    assert [one["name"] for one in found["policies"]] == ["oracle", "keep", "stop-week"]
    [line] = [json.loads(text) for text in log.read_text().splitlines()]
    assert line["policies"] == found["policies"]
    assert line["at"]
    assert Client.objects.count() == before
    assert cache.get("kept") == "by the installation"


def test_one_world_gives_the_same_scores_twice(tmp_path: pathlib.Path, db: Any) -> None:
    path = written(tmp_path, world_data({}, {"cvr": 0.02}, history_days=8))
    one, other = (trial.run(path, "a", [named("greedy")], days=3, warm_up=1) for _ in range(2))
    assert [each.score for each in one] == [each.score for each in other]
