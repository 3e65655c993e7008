"""One world, every policy, and the oracle beside them.

opened -> per policy: fresh sandbox -> day by day: read, act, carry -> the end of the last day -> score
oracle: the best budgets of the world's truth, set in a sandbox of its own, scored in the same way
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from metaads.sandbox import money
from metaads.sandbox.app import Sandbox
from metaads.sandbox.clock import ManualClock
from metaads.sandbox.delivery import curves
from metaads.sandbox.lab import oracle, response
from metaads.sandbox.lab.schema import LabWorld
from metaads.sandbox.world.nodes import Node
from strategies.lab import score, stage
from strategies.lab.desk import Desk
from strategies.lab.policies import Policy
from strategies.lab.score import Score
from strategies.lab.stage import Stage, Tally

ORACLE: Final = "oracle"
#: An edit of at most a fifth starts no learning phase; the oracle moves in as many as it takes, at once.
_LADDER: Final = 0.2


@dataclass(frozen=True)
class Trial:
    """A policy in a world. `budget`: what a day may cost there; `seconds`: what the run took."""

    world: str
    policy: str
    budget: float
    score: Score
    tally: Tally
    seconds: float


def run(source: Path, name: str, policies: Sequence[Policy], *, days: int, warm_up: int) -> list[Trial]:
    """Every policy in one world, the oracle first."""
    with stage.opened(source, name) as opened:
        found = [_oracle(source, opened.plan, days=days, warm_up=warm_up)]
        found += [_trial(opened, policy, days=days, warm_up=warm_up) for policy in policies]
    return found


def _trial(opened: Stage, policy: Policy, *, days: int, warm_up: int) -> Trial:
    begun = time.monotonic()
    with opened.policy() as run:
        for day in range(days):
            for hour in policy.looks_on(day):
                run.go_to(day, hour)
                if not Desk(run, day).running:
                    break  # all is paused, and no policy here starts anything again
                if (day, hour) != (0, stage.MORNING):
                    run.read()
                policy.act(Desk(run, day))
                run.carry()
        run.go_to(days, 1)
        scored = score.of(run.sandbox, opened.plan, days=days, warm_up=warm_up)
    return Trial(
        world=opened.plan.name,
        policy=policy.name,
        budget=opened.plan.budget,
        score=scored,
        tally=run.tally,
        seconds=time.monotonic() - begun,
    )


def _oracle(source: Path, plan: LabWorld, *, days: int, warm_up: int) -> Trial:
    begun = time.monotonic()
    clock = ManualClock(stage.moment(plan, 0, 0))
    unit = money.offset(plan.currency)
    market = response.market(plan, days=days)
    # Asked of another sandbox: what has been computed of day 0 would not move any more.
    state = score.first_state(stage.sandbox_of(source, plan, clock), plan)
    budgets = oracle.best(market, state, budget=plan.budget * unit)
    sandbox = stage.sandbox_of(source, plan, clock)
    follow(sandbox, plan, [[float(one) for one in row] for row in budgets])
    clock.set(stage.moment(plan, days, 1))
    scored = score.of(sandbox, plan, days=days, warm_up=warm_up)
    return Trial(plan.name, ORACLE, plan.budget, scored, Tally(), time.monotonic() - begun)


def follow(sandbox: Sandbox, plan: LabWorld, budgets: Sequence[Sequence[float]]) -> None:
    """Set budgets (minor units) by day and ad set at each midnight, without the product and its steps. Less than Meta's
    smallest budget is a pause. Call it before anything of those days was computed."""
    least = money.minimum_daily_budget(plan.currency)
    for column, one in enumerate(stage.adset_ids(sandbox, plan)):
        node = sandbox.world.nodes[one]
        for day, row in enumerate(budgets):
            at = curves.hours_of(plan.start + timedelta(days=day), plan.zone)[0][0]
            amount = int(row[column])
            node.put("status", at, "ACTIVE" if amount >= least else "PAUSED")
            if amount >= least:
                _climb(node, at, amount)


def _climb(node: Node, at: float, amount: int) -> None:
    have = int(node.get("daily_budget", at, amount))
    while have != amount:
        room = max(1, int(have * _LADDER))
        have = min(amount, have + room) if amount > have else max(amount, have - room)
        node.put("daily_budget", at, have)
