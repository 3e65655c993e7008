"""Money: what each owner of a budget spends in each piece of the day, and which ads get it.

A day may run over its daily budget by a quarter, a week (Sunday to Saturday) never over seven of them. A
lifetime budget is spread over the days that are left.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
from numpy.typing import NDArray

from metaads.sandbox.delivery import curves
from metaads.sandbox.delivery.curves import Floats
from metaads.sandbox.delivery.pieces import Pieces
from metaads.sandbox.world.nodes import Node
from metaads.sandbox.world.state import World

OVERRUN = 1.25


@dataclasses.dataclass(frozen=True, slots=True)
class Carry:
    """What a day leaves to the next. Money in minor units, keyed by the owner of the budget."""

    seen: dict[str, float] = dataclasses.field(default_factory=dict)
    week_over: dict[str, float] = dataclasses.field(default_factory=dict)
    spent: dict[str, float] = dataclasses.field(default_factory=dict)
    learned: dict[str, float] = dataclasses.field(default_factory=dict)
    edited: dict[str, float] = dataclasses.field(default_factory=dict)


def allot(
    world: World,
    campaign: Node,
    adsets: list[Node],
    ads: list[Node],
    adset_of: NDArray[np.int64],
    on: Floats,
    pieces: Pieces,
    day: dt.date,
    carry: Carry,
) -> tuple[Floats, Carry]:
    """Money by ad and piece [ads, pieces]: each owner's budget over its live ads, by their quality.

    Every number of a piece follows from what held before and in that piece, never from what comes later in the day.
    """
    quality = np.array([ad.traits.quality for ad in ads])
    frequency = np.array([carry.seen.get(ad.id, 0.0) / ad.traits.audience for ad in ads])
    wear = np.array([ad.traits.wear for ad in ads])
    pull = (quality**1.6 * curves.fatigue(frequency, wear))[:, None] * on
    out = np.zeros_like(on)
    week_over = {} if day.isoweekday() == 7 else dict(carry.week_over)
    campaign_money, _lifetime = _budget(campaign, pieces, carry)
    # Where the campaign owns the budget, what an ad set may still carry of its own does not count.
    own = campaign_money == 0
    owners = [(campaign, np.arange(len(ads)))]
    owners += [(adset, np.flatnonzero(adset_of == row)) for row, adset in enumerate(adsets)]
    for owner, members in owners:
        budget, lifetime = _budget(owner, pieces, carry)
        if owner is not campaign:
            budget = budget * own
        mine = pull[members]
        total = mine.sum(axis=0)
        active = total > 0
        if not active.any() or not budget.any():
            continue
        factor = _pace(owner, budget, day, week_over.get(owner.id, 0.0), world.seed, lifetime=lifetime)
        share = mine / np.where(active, total, 1.0)
        spend = share * (budget * factor * pieces.weight * active)
        spend *= _bid_factor(owner, ads, members, pieces.starts[0])
        out[members] += spend
        # Measured against what each moment's budget allows, so that an edit inside the week is fair.
        allowed = 0.0 if lifetime else float((budget * pieces.weight).sum())
        week_over[owner.id] = week_over.get(owner.id, 0.0) + float(spend.sum()) - allowed
    return out, dataclasses.replace(carry, week_over=week_over)


def _budget(owner: Node, pieces: Pieces, carry: Carry) -> tuple[Floats, bool]:
    """The owner's daily money in each piece (minor units), and whether it comes from a lifetime budget."""
    starts = pieces.starts if pieces.changed else pieces.starts[:1]
    daily = [float(owner.get("daily_budget", start, 0) or 0) for start in starts]
    if any(daily):
        return _spread(daily, pieces), False
    total = float(owner.get("lifetime_budget", starts[0], 0) or 0)
    if not total:
        return np.zeros(len(pieces.starts)), False
    end = float(owner.get("end_time", starts[0], 0) or owner.get("stop_time", starts[0], 0) or 0)
    days_left = max(1.0, (end - pieces.edges[0]) / 86_400) if end else 30.0
    left = max(0.0, total - carry.spent.get(owner.id, 0.0))
    return np.full(len(pieces.starts), min(left, left / days_left)), True


def _spread(values: list[float], pieces: Pieces) -> Floats:
    return np.array(values) if pieces.changed else np.full(len(pieces.starts), values[0])


def _pace(owner: Node, budget: Floats, day: dt.date, over: float, seed: int, *, lifetime: bool) -> Floats:
    """How far each piece runs over or under its budget: noise by day, held down by what the week overspent."""
    key = np.array([curves.seed_of(seed, owner.id, "pace", day.isoformat())], dtype=np.uint64)
    wish = 0.80 + (OVERRUN - 0.80) * curves.uniform(key, 0)[0]
    if owner.traits.noise != 1.0:
        wish = 1.0 + owner.traits.noise * (wish - 1.0)
    if lifetime:
        return np.full(len(budget), min(1.0, wish))
    days_left = 7 - day.isoweekday() % 7
    room = (budget * days_left - over) / np.where(budget > 0, budget, 1.0)
    return np.clip(room, 0.0, wish)


def _bid_factor(owner: Node, ads: list[Node], members: NDArray[np.int64], at: float) -> float:
    """A cap below what results cost starves delivery; without a cap it is 1."""
    bid = owner.get("bid_amount", at)
    if not bid or owner.get("bid_strategy", at) not in ("COST_CAP", "LOWEST_COST_WITH_BID_CAP"):
        return 1.0
    traits = ads[int(members[0])].traits
    rate = traits.ctr * traits.link_share * max(traits.purchase_rate, traits.lead_rate, 1e-4)
    expected = traits.cpm / 1000 / rate
    return float(min(1.0, (float(bid) / expected) ** 2))
