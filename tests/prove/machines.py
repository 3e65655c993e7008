"""Runs of the machine of `tests.campaigns.machine` by the hundred, where each death of a worker is SIGKILL.

python -m tests.prove.machines --seed 3 --runs 50 --steps 50
"""

from __future__ import annotations

import argparse
import sys

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.prove.product import product

#: What a run tells of.
COUNTED = ("writes", "unknown", "edits", "in_flight", "kills")


def main() -> int:
    parser = argparse.ArgumentParser(description="Let the machine run.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=50)
    given = parser.parse_args()
    agency = product()
    from tests.campaigns.machine.machine import machine_for
    from tests.prove.ground import FileGround

    machine = machine_for(FileGround(agency))
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        seed(given.seed)(machine),
        settings=settings(
            max_examples=given.runs,
            stateful_step_count=given.steps,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,),
        ),
    )
    print(machine.tally)  # noqa: T201
    print(f"runs={given.runs}", *(f"{name}={getattr(machine.tally, name)}" for name in COUNTED), flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
