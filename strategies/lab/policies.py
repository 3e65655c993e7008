"""Policies: what somebody does with an account, day by day, seeing what the product stored and nothing else.

    keep        nothing
    equal       the same budget for every ad set
    greedy      every other day a fifth more for what returned more than the middle, taken from what returned least
    stop-today  pauses an ad set that has spent twice the target today without a conversion
    stop-week   every other day pauses one whose last seven days cost 1.5 times the target, after 2.5 targets of spend
    thresholds  the brief's account strategies, as the product drafts them on day 0, evaluated once a week
    ours        stops what the evidence guard knows to lose, and moves money by the allocator (`strategies.lab.ours`)

All have the money of day 0 and no more. What they want is filed and approved like any strategy's change; a step that
a guard refuses is refused here too. stop-today and stop-week are the two popular recipes that people begin with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import strategies.cycle as cycle
import strategies.drafts as drafts
from strategies.lab import ours
from strategies.lab.desk import STEP, Desk, Figures
from strategies.models import Strategy

_ZERO: Final = Decimal(0)


@dataclass(frozen=True)
class Policy:
    """`hours`: when it looks, in the account's zone, on every day that `every` divides, up to day `until`; none: it
    never does."""

    name: str
    words: str
    hours: tuple[int, ...]
    act: Callable[[Desk], None]
    every: int = 1
    until: int = 10_000

    def looks_on(self, day: int) -> tuple[int, ...]:
        return self.hours if day % self.every == 0 and day < self.until else ()


def _nothing(desk: Desk) -> None:
    """Keep."""


def _equal(desk: Desk) -> None:
    rows = desk.running
    share = desk.budget / max(1, len(rows))
    wanted = {row.meta_id: share for row in rows if abs((row.daily_budget or _ZERO) - share) > share / 100}
    desk.move_towards(wanted, "Equal shares.")


def _greedy(desk: Desk) -> None:
    figures = desk.figures(7)
    rows = [row for row in desk.running if row.daily_budget]
    returns = {row.meta_id: _return(figures[row.meta_id]) for row in rows}
    best = sorted(returns, key=lambda one: (-returns[one], one))
    have = {row.meta_id: row.daily_budget or _ZERO for row in rows}
    wanted = {one: have[one] * STEP for one in best[: len(best) // 2]}
    needed = sum((wanted[one] - have[one] for one in wanted), _ZERO) - (
        desk.budget - sum(have.values(), _ZERO)
    )
    least = desk.run.account.min_daily_budget or Decimal(1)
    for one in reversed(best[len(best) // 2 :]):
        given = min(max(needed, _ZERO), have[one] - least)
        if given > 0:
            wanted[one] = have[one] - given
            needed -= given
    desk.move_towards(wanted, "More for what returned most in seven days.")


def _return(one: Figures) -> Decimal:
    return one.value / one.spend if one.spend else _ZERO


def _stop_today(desk: Desk) -> None:
    figures = desk.figures(0)
    for row in desk.running:
        one = figures[row.meta_id]
        if one.spend >= 2 * desk.target_cpa and not one.conversions:
            desk.pause(row, "Spent twice the target today without a conversion.")


def _stop_week(desk: Desk) -> None:
    figures = desk.figures(7)
    for row in desk.running:
        one = figures[row.meta_id]
        enough = one.spend * 2 >= 5 * desk.target_cpa
        if enough and one.spend * 2 > 3 * desk.target_cpa * one.conversions:
            desk.pause(row, "Seven days cost more than 1.5 times the target.")


def _thresholds(desk: Desk) -> None:
    run, now = desk.run, desk.run.now
    if desk.day == 0:
        for idea in drafts.regenerate(ad_account=run.account, now=now):
            drafts.save_draft(draft=idea, principal=run.stage.person, now=now)
    for strategy in Strategy.objects.of(run.account.client_id).order_by("pk"):
        cycle.run(strategy=strategy, now=now)


POLICIES: Final[Sequence[Policy]] = (
    Policy("keep", "changes nothing", (), _nothing),
    Policy("equal", "the same budget for every ad set", (6,), _equal, until=4),
    Policy("greedy", "more for the best return of seven days", (6,), _greedy, every=2),
    Policy("stop-today", "stops at 2 targets of spend today without a conversion", (20,), _stop_today),
    Policy("stop-week", "stops at 1.5 times the target over seven days", (6,), _stop_week, every=2),
    Policy("thresholds", "the brief's strategy, as the product drafts it", (6,), _thresholds, every=7),
    Policy("ours", "evidence guard and allocator", (6,), ours.act),
)


class UnknownPolicy(ValueError):
    """No policy of that name."""


def named(name: str) -> Policy:
    """The policy of that name; raises `UnknownPolicy`."""
    for policy in POLICIES:
        if policy.name == name:
            return policy
    raise UnknownPolicy(f"There is no policy {name!r}; there are {', '.join(one.name for one in POLICIES)}.")
