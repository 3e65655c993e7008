"""Whole days of accounts in simulated time, by the hundred: see `tests.prove.simulator`."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from config.env import ROOT

SEED = int(os.environ.get("PROVE_SEED") or 1)
N = int(os.environ.get("PROVE_N") or 200)
#: Two processes side by side, on seeds far from each other.
PROCESSES = 2


@pytest.mark.prove
def test_no_day_of_any_mix_moves_money_twice_too_far_or_unseen() -> None:
    """2 N account-days; a failure prints the command that replays its world."""
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.prove.simulator", "--seed", str(seed), "--days", str(N)],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for seed in (SEED + 1_000_000 * number for number in range(PROCESSES))
    ]
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0] * PROCESSES, "\n".join(said)
    counts = [dict(pair.split("=") for pair in text.splitlines()[-1].split()) for text in said]
    met = {name: sum(int(one[name]) for one in counts) for name in counts[0]}
    print(f"\nseed {SEED}: {met}")  # noqa: T201 - what a proof has met
    days = PROCESSES * N
    assert met["days"] == days and met["writes"] >= days // 2, met
    assert met["edits"] >= days // 5 and min(met["unknown"], met["kills"]) >= days // 10, met
