"""Whole days of accounts in simulated time, by the hundred: see `tests.prove.simulator`."""

from __future__ import annotations

import os

import pytest

from tests.processes import counted
from tests.prove.simulator import MIXES, WORLD

SEED = int(os.environ.get("PROVE_SEED") or 1)
N = int(os.environ.get("PROVE_N") or 200)
#: Two processes side by side, on seeds far from each other.
PROCESSES = 2


@pytest.mark.prove
def test_no_day_of_any_mix_moves_money_twice_too_far_or_unseen() -> None:
    """2 N account-days; a failure prints the command that replays its world."""
    seeds = [SEED + 1_000_000 * number for number in range(PROCESSES)]
    world = str(max(min(WORLD, N // len(MIXES)), 1))  # so that a short run has met every mix too
    met = counted(
        [("tests.prove.simulator", "--seed", str(seed), "--days", str(N), "--world", world) for seed in seeds]
    )
    print(f"\nseed {SEED}: {met}")  # noqa: T201 - what a proof has met
    days = PROCESSES * N
    assert met["days"] == days and met["writes"] >= days // 2, met
    assert met["edits"] >= days // 4 and met["in_flight"] >= days // 16, met
    assert min(met["unknown"], met["kills"]) >= days // 8, met
