"""Everything at once, in any order: the machine of `tests.campaigns.machine`."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.campaigns.machine.machine import Tally, machine_for
from tests.campaigns.machine.stage import Ground
from tests.processes import counted

SEED = int(os.environ.get("PROVE_SEED") or 3)
N = int(os.environ.get("PROVE_N") or 200)

#: What the machine looks at after each step; N15, N27 and the ledger's chain after quiet.
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.fault("N1"),
    pytest.mark.fault("N2"),
    pytest.mark.fault("N3"),
    pytest.mark.fault("N4"),
    pytest.mark.fault("N6"),
    pytest.mark.fault("N7"),
    pytest.mark.fault("N9"),
    pytest.mark.fault("N10"),
    pytest.mark.fault("N11"),
    pytest.mark.fault("N12"),
    pytest.mark.fault("N14"),
    pytest.mark.fault("N15"),
    pytest.mark.fault("N16"),
    pytest.mark.fault("N18"),
    pytest.mark.fault("N27"),
]


def run(agency: Any, *, examples: int, steps: int) -> Tally:
    machine = machine_for(Ground(agency))
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
            print_blob=True,
        ),
    )
    print(f"\n{examples} runs of up to {steps} steps: {machine.tally}")  # noqa: T201 - what a proof has met
    return machine.tally


def test_no_order_of_events_moves_money_twice_or_unseen(agency):
    tally = run(agency, examples=25, steps=40)
    assert tally.writes >= 10 and tally.edits >= 10 and tally.kills >= 5, str(tally)


@pytest.mark.prove
def test_no_order_of_events_moves_money_twice_or_unseen_at_length():
    """N runs of 50 steps; from N=1000 on of 80. Each death of a worker is SIGKILL."""
    steps = 50 if N < 1000 else 80
    commands = [
        (
            "tests.prove.machines",
            "--seed",
            str(SEED + 1_000_000 * number),
            "--runs",
            str(runs),
            "--steps",
            str(steps),
        )
        for number, runs in enumerate((N // 2, N - N // 2))
    ]
    met = counted(commands)
    print(f"\n{N} runs of up to {steps} steps, seed {SEED}: {met}")  # noqa: T201 - what a proof has met
    assert met["runs"] == N, met
    assert met["writes"] >= 3 * N // 2 and met["edits"] >= 2 * N, met
    assert met["in_flight"] >= N // 3 and min(met["unknown"], met["kills"]) >= N // 4, met
