"""A lab world as objects of the sandbox: one account, its ad sets with one ad each, and its shocks as timelines.

``world`` names are ``lab:PATH#NAME``: the file, and the world's name in it (``seed-17`` of a family).
"""

from __future__ import annotations

import datetime as dt

from metaads.sandbox import money
from metaads.sandbox.delivery import curves, events
from metaads.sandbox.lab.schema import AdSetPlan, LabWorld
from metaads.sandbox.scenarios.builder import MANAGE, Builder, Plan, Shop
from metaads.sandbox.world.nodes import Node, Traits
from metaads.sandbox.world.state import World

ACCOUNT = "1960000000000001"


def populate(world: World, plan: LabWorld) -> dict[str, str]:
    """Build the plan into the world; the ids of the ad sets by name. Day 0 is the account-day of the world's start."""
    builder = Builder(world)
    shop = Shop(ACCOUNT, plan.name, plan.currency, plan.zone, "US", 900.0, 4000.0, ())
    account = builder.shop(shop)
    builder.person("alice", 1, "Alice Agency", {account.id: MANAGE})
    campaigns: dict[str, Node] = {}
    ids: dict[str, str] = {}
    for one in plan.ad_sets:
        budget = round(one.budget * money.offset(plan.currency))
        whole = Plan(one.campaign, "OUTCOME_SALES", budget, (), age=plan.history_days)
        if one.campaign not in campaigns:
            campaigns[one.campaign] = builder.campaign(shop, account, whole)
        traits = traits_of(one, plan)
        adset = builder.place_adset(shop, campaigns[one.campaign], whole, one.name, traits)
        ids[one.name] = adset.id
        ad = builder.place_ad(campaigns[one.campaign], adset, f"{one.name} ad", traits)
        _shock(plan, one.name, ad, account)
    for shock in plan.shocks:
        if shock.what == "tracking":
            _hold(account, "tracking", "lost", "ok", *_moments(plan, account, shock.day, shock.until))
    return ids


def traits_of(one: AdSetPlan, plan: LabWorld) -> Traits:
    """What the market knows of an ad set and its ad."""
    unit = money.offset(plan.currency)
    day, week, month = one.told
    return Traits(
        cpm=one.cpm * unit,
        ctr=one.ctr,
        purchase_rate=one.cvr,
        order_value=one.value * unit / events.MEAN_WORTH,
        video_rate=0.0,
        audience=one.audience,
        depth=one.depth * unit,
        wear=one.fatigue,
        noise=plan.noise,
        chance=plan.chance,
        learns=plan.learning,
        told=(day, day + week, day + week + month),
    )


def factors(plan: LabWorld, name: str, what: str, days: int) -> list[float]:
    """The factor of the shocks on an ad set, day by day; several at once multiply."""
    found = []
    for day in range(days):
        factor = 1.0
        for shock in plan.shocks:
            over = shock.until is not None and day >= shock.until
            if shock.what == what and name in shock.ad_sets and day >= shock.day and not over:
                factor *= shock.factor
        found.append(factor)
    return found


def _shock(plan: LabWorld, name: str, ad: Node, account: Node) -> None:
    last = max((max(shock.day, shock.until or 0) for shock in plan.shocks), default=0)
    for what in ("price", "ctr", "cvr", "value"):
        before = 1.0
        for day, factor in enumerate(factors(plan, name, what, last + 1)):
            if factor != before:
                ad.put(f"shock_{what}", _moments(plan, account, day, None)[0], factor)
                before = factor


def _hold(node: Node, field: str, value: str, after: str, since: float, until: float | None) -> None:
    node.put(field, since, value)
    if until is not None:
        node.put(field, until, after)


def _moments(plan: LabWorld, account: Node, day: int, until: int | None) -> tuple[float, float | None]:
    """Midnights of the account, unix seconds, of two days of the world."""

    def midnight(number: int) -> float:
        return curves.hours_of(plan.start + dt.timedelta(days=number), plan.zone)[0][0]

    return midnight(day), None if until is None else midnight(until)
