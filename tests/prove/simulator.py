"""Account-days by the thousand, in process and in simulated time, with faults far harsher than life's.

    python -m tests.prove.simulator --seed 7 --days 10        replays what a failure names

The actors and what must hold are those of `tests.campaigns.machine`; here chance drives them through whole days, in
one of six mixes. A worker that dies is a process that is killed. Everything follows from the seed. A world lives for
ten days unless told otherwise, then the next seed begins a new one.
"""

from __future__ import annotations

import argparse
import random
import sys
import traceback
from dataclasses import dataclass
from typing import Any

from tests.prove.product import product

DAY = 86_400.0
WORLD = 10
DEATHS = ("before_call", "after_call", "in_sql")
#: What a run tells of.
COUNTED = ("days", "writes", "unknown", "edits", "in_flight", "kills")


@dataclass(frozen=True)
class Mix:
    """Shares of 1: of requests that go wrong, steps in which a worker dies, reads a minute old; edits a day."""

    name: str
    wrong: float = 0.3
    death: float = 0.03
    stale: float = 0.05
    edits: int = 1
    stops: float = 0.0
    revoked: float = 0.0


MIXES = (
    Mix("harsh", edits=3),
    Mix("nobody else", edits=0),
    Mix("many hands", wrong=0.2, edits=6),
    Mix("dying workers", death=0.3),
    Mix("old reads", stale=0.4, edits=2),
    Mix("stops and lost tokens", stops=0.2, revoked=0.1),
)


def fault(chance: random.Random, mix: Mix) -> tuple[str, dict[str, Any]] | None:
    """What becomes of a request. Of 30 that go wrong: 10 applied and not answered, 7 late, 5 lost, 4 applied and
    answered with a 500, 4 refused (reliability reference 7.1)."""
    if chance.random() >= mix.wrong:
        return None
    kind = chance.choices(
        ["applied_timeout", "late", "dropped", "applied_500", "permission"], [10, 7, 5, 4, 4]
    )[0]
    return kind, {"seconds": chance.randint(10, 45)} if kind == "late" else {}


def a_day(machine: Any, chance: random.Random, mix: Mix) -> None:
    """One or two changes, people and faults in between, and the rest of the day passes."""
    begun = machine.clock.timestamp()
    if chance.random() < mix.revoked:
        machine.revoke(subcode=458, rounds=1, soon=True)
    for _ in range(chance.choice((1, 1, 2))):
        dies = chance.choice(DEATHS) if chance.random() < 5 * mix.death else None
        asked = {
            "fault": fault(chance, mix),
            "rounds": chance.randint(1, 4),
            "dies": dies,
            "count": chance.randint(0, 9),
            "careful": chance.random() < 0.8,
        }
        if chance.random() < 0.8:
            machine.move_a_budget(
                which=chance.choice((0, 2)), factor=chance.choice(("0.9", "1.1", "1.2")), **asked
            )
        else:
            machine.move_a_status(which=chance.randint(0, 3), **asked)
        if chance.random() < mix.stale:
            machine.fail(fault="stale", method="GET", times=2)
        if chance.random() < mix.stops:
            machine.stop(scope=chance.choice(("global", "client", "account")), rounds=1, on=True)
        if mix.edits and chance.random() < mix.edits / 3:
            which = chance.choice((0, 2))
            machine.edit(which=which, field="daily_budget", budget=chance.choice((9_000, 10_000, 12_345)))
        for _ in range(12):
            if not machine._moving():
                break
            how = chance.choice(DEATHS) if chance.random() < mix.death else ""
            machine._sweep(2 if chance.random() < 0.3 else 1, how=how, count=chance.randint(0, 9))
            machine.clock.advance(chance.choice((3, 4, 15, 60, 121)))
        machine.nothing_is_broken()
    rest = begun + DAY - machine.clock.timestamp()
    machine.wait(seconds=max(int(rest), 0), beat=True)
    machine.what_a_change_is_for_never_changes()


def a_world(ground: Any, seed: int, days: int) -> Any:
    """Days of one account under the mix of the seed; its tally. Raises AssertionError where something is broken."""
    from tests.campaigns.machine.machine import machine_for

    chance = random.Random(seed)
    machine = machine_for(ground)()
    try:
        for _ in range(days):
            a_day(machine, chance, MIXES[seed % len(MIXES)])
    except BaseException:
        machine.stage.close()
        raise
    machine.teardown()
    return machine.tally


def main() -> int:
    parser = argparse.ArgumentParser(description="Simulate account-days.")
    parser.add_argument("--seed", type=int, default=1, help="of the first world; the next worlds count on")
    parser.add_argument("--days", type=int, default=WORLD)
    parser.add_argument("--world", type=int, default=WORLD, help="days of one world")
    given = parser.parse_args()
    agency = product()
    from tests.prove.ground import FileGround

    ground = FileGround(agency)
    sums = dict.fromkeys(COUNTED, 0)
    for number in range(-(-given.days // given.world)):
        seed = given.seed + number
        days = min(given.world, given.days - number * given.world)
        try:
            tally = a_world(ground, seed, days)
        except BaseException:
            traceback.print_exc()
            again = f"--seed {seed} --days {days} --world {days}"
            print(f"again: python -m tests.prove.simulator {again}", flush=True)  # noqa: T201
            return 1
        for name in COUNTED:
            sums[name] += days if name == "days" else getattr(tally, name)
    print(" ".join(f"{name}={count}" for name, count in sums.items()), flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
