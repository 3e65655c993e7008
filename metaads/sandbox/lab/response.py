"""The true response of a lab world: what money buys, by expectation, written a second time and vectorised.

    budget -> pace of spending -> price (saturation, frequency, weekday, shocks) -> impressions -> clicks (fatigue)
    -> conversions -> what the day leaves: people who have seen it, conversions towards the learning phase

It holds for ad sets with one ad and a daily budget of their own that spend exactly that. Money in minor units.
``tests/metaads/sandbox/lab/test_response.py`` holds it against the delivery model itself.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np

from metaads.sandbox import money
from metaads.sandbox.delivery import curves
from metaads.sandbox.delivery.curves import Floats
from metaads.sandbox.delivery.fold import MEMORY
from metaads.sandbox.delivery.learning import LEARNING_CONVERSIONS
from metaads.sandbox.delivery.pacing import Carry
from metaads.sandbox.lab import build
from metaads.sandbox.lab.schema import LabWorld
from metaads.sandbox.world.nodes import Traits

_LINK = Traits().link_share
#: Impressions that a price at its daily mean buys more by the hours being cheap and dear.
HOURS = float((curves.VOLUME / curves.VOLUME.sum() / curves.PRICE).sum())


@dataclasses.dataclass(frozen=True, slots=True)
class Market:
    """Everything that decides what money buys: ``[n]`` by ad set, ``[days, n]`` where it moves. ``credited``: the
    share of conversions that Meta credits in the end (within 7 days of the click, or a day of the view)."""

    cpm: Floats
    depth: Floats
    audience: Floats
    ctr: Floats
    cvr: Floats
    worth: Floats
    margin: Floats
    wear: Floats
    credited: Floats
    learns: bool
    price_of_day: Floats
    ctr_of_day: Floats
    cvr_of_day: Floats
    value_of_day: Floats

    @property
    def days(self) -> int:
        return len(self.price_of_day)

    @property
    def size(self) -> int:
        return len(self.cpm)


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """What the days before left, ``[n]``: impressions that are remembered, and conversions since learning began."""

    seen: Floats
    learned: Floats


@dataclasses.dataclass(frozen=True, slots=True)
class Path:
    """What a plan of budgets comes to, ``[..., days, n]``; ``profit`` is margin x value - spend."""

    conversions: Floats
    value: Floats
    profit: Floats


def market(plan: LabWorld, *, days: int) -> Market:
    """The market of a world over its first ``days`` days."""
    traits = [build.traits_of(one, plan) for one in plan.ad_sets]

    def of(name: str) -> Floats:
        return np.array([float(getattr(one, name)) for one in traits])

    def by_day(what: str) -> Floats:
        return np.array([build.factors(plan, one.name, what, days) for one in plan.ad_sets]).T.reshape(
            days, -1
        )

    dates = [plan.start + dt.timedelta(days=number) for number in range(days)]
    general = np.array([curves.WEEKDAY[day.weekday()] * curves.season(day) for day in dates])
    return Market(
        cpm=of("cpm"),
        depth=of("depth"),
        audience=of("audience"),
        ctr=of("ctr"),
        cvr=of("purchase_rate"),
        worth=np.array([one.value for one in plan.ad_sets]) * money.offset(plan.currency),
        margin=np.array([one.margin for one in plan.ad_sets]),
        wear=of("wear"),
        credited=np.array([1.0 - (one.told[2] - one.told[1]) for one in traits]),
        learns=plan.learning,
        price_of_day=general[:, None] * by_day("price"),
        ctr_of_day=by_day("ctr"),
        cvr_of_day=by_day("cvr"),
        value_of_day=by_day("value"),
    )


def fresh(size: int, *, learned: float = float(LEARNING_CONVERSIONS)) -> State:
    """Nobody has seen anything; by default nothing learns any more."""
    return State(seen=np.zeros(size), learned=np.full(size, learned))


def state_of(carry: Carry, ad_ids: list[str], adset_ids: list[str]) -> State:
    """What the delivery model carries into a day, for these ads and ad sets."""
    return State(
        seen=np.array([carry.seen.get(one, 0.0) for one in ad_ids]),
        learned=np.array([carry.learned.get(one, 0.0) for one in adset_ids]),
    )


def path(market: Market, state: State, budgets: Floats) -> Path:
    """What spending ``budgets`` [..., days, n] (minor units a day) comes to."""
    shape = (*budgets.shape[:-2], market.size)
    now = State(np.broadcast_to(state.seen, shape), np.broadcast_to(state.learned, shape))
    conversions, value = np.empty_like(budgets), np.empty_like(budgets)
    for day in range(budgets.shape[-2]):
        conversions[..., day, :], now = one_day(market, now, budgets[..., day, :], day)
        value[..., day, :] = conversions[..., day, :] * market.worth * market.value_of_day[day]
    return Path(conversions, value, market.margin * value - budgets)


def one_day(market: Market, state: State, spend: Floats, day: int) -> tuple[Floats, State]:
    """Credited conversions of spending ``spend`` [..., n] on one day, and what the day leaves."""
    novice = (state.learned < LEARNING_CONVERSIONS).astype(np.float64) * market.learns
    frequency = state.seen / market.audience
    price = market.cpm * market.price_of_day[day] * (1 + 0.12 * novice)
    price = price * (1 + 0.05 * np.maximum(frequency - 1, 0)) * curves.saturation(spend, market.depth)
    impressions = spend * HOURS / price * 1000
    rate = market.ctr * curves.fatigue(frequency, market.wear) * (1 - 0.08 * novice) * market.ctr_of_day[day]
    clicks = impressions * np.minimum(0.5, rate) * _LINK
    all_of_them = clicks * market.cvr * (1 - 0.15 * novice) * market.cvr_of_day[day]
    after = State(seen=MEMORY * state.seen + impressions, learned=state.learned + all_of_them)
    return all_of_them * market.credited, after
