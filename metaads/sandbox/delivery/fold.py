"""A campaign's life, day by day.

The fold carries what one day leaves to the next: how often people saw each ad lately (fatigue), what was spent
of the week and of a lifetime budget (pacing), and how many conversions an ad set has had since its last
significant edit (learning phase). Budget pacing: a day may run over its daily budget by a quarter, a week
(Sunday to Saturday) never over seven of them.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
from numpy.typing import NDArray

from metaads.sandbox.delivery import curves, events
from metaads.sandbox.delivery.curves import Floats, Ints
from metaads.sandbox.delivery.day import (
    COUNTS,
    IMPRESSIONS,
    KINDS,
    LINK_CLICKS,
    SPEND,
    CampaignDay,
    Events,
    no_events,
)
from metaads.sandbox.world.nodes import AD, ADSET, Node
from metaads.sandbox.world.state import World

LEARNING_CONVERSIONS = 50
LEARNING_DAYS = 7
MEMORY = 0.93
OVERRUN = 1.25


@dataclasses.dataclass(frozen=True, slots=True)
class Carry:
    """What a day leaves to the next. Money in minor units, keyed by the owner of the budget."""

    seen: dict[str, float] = dataclasses.field(default_factory=dict)
    week_over: dict[str, float] = dataclasses.field(default_factory=dict)
    spent: dict[str, float] = dataclasses.field(default_factory=dict)
    learned: dict[str, float] = dataclasses.field(default_factory=dict)
    edited: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(slots=True)
class _Pieces:
    """The day cut into pieces, with what holds in each."""

    edges: Floats
    labels: Ints
    weight: Floats
    starts: Floats
    changed: bool


def simulate(
    world: World, campaign: Node, day: dt.date, carry: Carry, *, zone: str
) -> tuple[CampaignDay, Carry]:
    """One day of one campaign, and what it leaves."""
    ads, adsets = _present(world, campaign, day, zone)
    if not ads:
        return _nothing(day, zone), carry
    if any(ad.fixed for ad in ads):
        return _given(ads, day, zone), carry
    pieces = _pieces(world, campaign, adsets, day, zone)
    row_of = {adset.id: row for row, adset in enumerate(adsets)}
    adset_of = np.array([row_of[ad.adset_id] for ad in ads])
    on = _on(world, ads, pieces)
    on_adset = np.array(
        [[_scheduled(adset, start) for start in pieces.starts] for adset in adsets], dtype=np.float64
    )
    on = on * on_adset[adset_of]
    keys = np.array([curves.seed_of(world.seed, ad.id, day.isoformat()) for ad in ads], dtype=np.uint64)
    money, carry = _money(world, campaign, adsets, ads, adset_of, on, pieces, day, carry)
    learning = np.array([_learning(adset, carry, pieces.edges[0]) for adset in adsets])[adset_of]
    running = _market(ads, adsets, adset_of, money, pieces, day, keys, carry, learning)
    phase = _phases(keys)
    drawn, expected = _conversions(ads, running, pieces, keys, learning)
    result = CampaignDay(
        day=day,
        ads=tuple(ad.id for ad in ads),
        edges=pieces.edges,
        labels=pieces.labels,
        running=running + phase[:, :, None],
        events=drawn,
    )
    return result, _after(world, carry, ads, adsets, adset_of, running, expected, pieces)


def _present(world: World, campaign: Node, day: dt.date, zone: str) -> tuple[list[Node], list[Node]]:
    edges, _labels = curves.hours_of(day, zone)
    ads = world.children(campaign.id, AD, at=edges[-1])
    wanted = {ad.adset_id for ad in ads}
    return ads, [adset for adset in world.children(campaign.id, ADSET, at=edges[-1]) if adset.id in wanted]


def _pieces(world: World, campaign: Node, adsets: list[Node], day: dt.date, zone: str) -> _Pieces:
    edges, labels = curves.hours_of(day, zone)
    start, end = edges[0], edges[-1]
    cuts = {moment for moment in world.touched.get(campaign.id, ()) if start < moment < end}
    for adset in adsets:
        for name in ("start_time", "end_time"):
            moment = adset.get(name, end)
            if moment and start < float(moment) < end:
                cuts.add(float(moment))
    volume = curves.VOLUME[list(labels)] * np.diff(edges)
    hourly = np.array(edges)
    if cuts:
        fine = np.unique(np.concatenate((hourly, np.array(sorted(cuts)))))
        where = np.searchsorted(hourly, fine[:-1], side="right") - 1
        weight = volume[where] * np.diff(fine) / np.diff(hourly)[where]
        return _Pieces(fine, np.array(labels)[where], weight / volume.sum(), fine[:-1], True)
    return _Pieces(hourly, np.array(labels), volume / volume.sum(), hourly[:-1], False)


def _on(world: World, ads: list[Node], pieces: _Pieces) -> Floats:
    """1 where an ad is live, [ads, pieces]; without a change in the day one look per ad is enough."""
    if pieces.changed:
        rows = [[_live(world, ad, start) for start in pieces.starts] for ad in ads]
        return np.array(rows, dtype=np.float64)
    first = pieces.starts[0]
    column = np.array([_live(world, ad, first) for ad in ads], dtype=np.float64)
    return np.repeat(column[:, None], len(pieces.starts), axis=1)


def _live(world: World, ad: Node, at: float) -> bool:
    if ad.created > at or int(world.accounts[ad.account_id].get("account_status", at, 1)) != 1:
        return False
    return world.effective_status(ad, at) == "ACTIVE"


def _scheduled(adset: Node, at: float) -> bool:
    start, end = adset.get("start_time", at), adset.get("end_time", at)
    return adset.created <= at and (not start or at >= float(start)) and (not end or at < float(end))


def _money(
    world: World,
    campaign: Node,
    adsets: list[Node],
    ads: list[Node],
    adset_of: NDArray[np.int64],
    on: Floats,
    pieces: _Pieces,
    day: dt.date,
    carry: Carry,
) -> tuple[Floats, Carry]:
    """Money by ad and piece [ads, pieces]: each owner's budget over its live ads, by their quality."""
    first = pieces.starts[0]
    live = np.zeros((len(adsets), on.shape[1]))
    np.maximum.at(live, adset_of, on)
    quality = np.array([ad.traits.quality for ad in ads])
    frequency = np.array([carry.seen.get(ad.id, 0.0) / ad.traits.audience for ad in ads])
    pull = (quality**1.6 * curves.fatigue(frequency))[:, None] * on
    out = np.zeros_like(on)
    week_over, owners = dict(carry.week_over), []
    if day.isoweekday() == 7:
        week_over = {}
    cbo = world.is_cbo(campaign, first) or world.is_cbo(campaign, pieces.starts[-1])
    groups = (
        [(campaign, np.arange(len(ads)))]
        if cbo
        else [(adset, np.flatnonzero(adset_of == row)) for row, adset in enumerate(adsets)]
    )
    for owner, members in groups:
        budget, lifetime = _budget(owner, pieces, day, carry)
        mine = pull[members]
        total = mine.sum(axis=0)
        active = total > 0
        if not active.any() or not budget.any():
            continue
        factor = _pace(owner, budget, day, week_over.get(owner.id, 0.0), world.seed, lifetime=lifetime)
        spend = budget * factor * pieces.weight * active
        share = mine / np.where(active, total, 1.0)
        out[members] = share * spend * _bid_factor(owner, ads, members, first)
        # Measured against what each moment's budget allows, so that an edit or a pause inside the week is fair.
        week_over[owner.id] = week_over.get(owner.id, 0.0) + float(
            out[members].sum() - (0.0 if lifetime else (budget * pieces.weight).sum())
        )
        owners.append(owner.id)
    return out, dataclasses.replace(carry, week_over=week_over)


def _budget(owner: Node, pieces: _Pieces, day: dt.date, carry: Carry) -> tuple[Floats, bool]:
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


def _spread(values: list[float], pieces: _Pieces) -> Floats:
    return np.array(values) if pieces.changed else np.full(len(pieces.starts), values[0])


def _pace(owner: Node, budget: Floats, day: dt.date, over: float, seed: int, *, lifetime: bool) -> float:
    """How far the day runs over or under its budget: noise, held down by what the week has already overspent."""
    key = np.array([curves.seed_of(seed, owner.id, "pace", day.isoformat())], dtype=np.uint64)
    wish = 0.80 + (OVERRUN - 0.80) * float(curves.uniform(key, 0)[0])
    if lifetime:
        return min(1.0, wish)
    base = float(budget.max())
    days_left = 7 - day.isoweekday() % 7
    return max(0.0, min(wish, (base * days_left - over) / base))


def _bid_factor(owner: Node, ads: list[Node], members: NDArray[np.int64], at: float) -> float:
    """A cap below what results cost starves delivery; without a cap it is 1."""
    bid = owner.get("bid_amount", at)
    if not bid or owner.get("bid_strategy", at) not in ("COST_CAP", "LOWEST_COST_WITH_BID_CAP"):
        return 1.0
    traits = ads[int(members[0])].traits
    rate = traits.ctr * traits.link_share * max(traits.purchase_rate, traits.lead_rate, 1e-4)
    expected = traits.cpm / 1000 / rate
    return float(min(1.0, (float(bid) / expected) ** 2))


def _learning(adset: Node, carry: Carry, at: float) -> float:
    """1 while learning, else 0 (reference 6.5: about fifty results since the last significant edit)."""
    return 0.0 if carry.learned.get(adset.id, 0.0) >= LEARNING_CONVERSIONS else 1.0


def _market(
    ads: list[Node],
    adsets: list[Node],
    adset_of: NDArray[np.int64],
    money: Floats,
    pieces: _Pieces,
    day: dt.date,
    keys: NDArray[np.uint64],
    carry: Carry,
    learning: Floats,
) -> Floats:
    """Running sums [COUNTS, ads, pieces + 1] of the additive numbers, as real numbers."""
    by_adset = np.zeros(len(adsets))
    np.add.at(by_adset, adset_of, money.sum(axis=1))
    depth = np.array([adset.traits.depth for adset in adsets])
    crowd = curves.saturation(by_adset, depth)[adset_of]
    frequency = np.array([carry.seen.get(ad.id, 0.0) / ad.traits.audience for ad in ads])
    hour_keys = curves.mix(keys[:, None], (pieces.labels[None, :] + 1).astype(np.uint64))
    price = (
        np.array([ad.traits.cpm for ad in ads])
        * crowd
        * (1 + 0.12 * learning)
        * (1 + 0.05 * np.maximum(frequency - 1, 0))
    )
    price = price * curves.WEEKDAY[day.weekday()] * curves.season(day)
    cpm = price[:, None] * curves.PRICE[pieces.labels][None, :] * curves.noise(hour_keys, 11, width=0.22)
    impressions = money / cpm * 1000
    ctr = np.array([ad.traits.ctr for ad in ads]) * curves.fatigue(frequency) * (1 - 0.08 * learning)
    ctr = ctr * curves.noise(keys, 12, width=0.18)
    clicks = impressions * np.minimum(0.5, ctr[:, None] * curves.noise(hour_keys, 13, width=0.25))
    link = clicks * np.array([ad.traits.link_share for ad in ads])[:, None]
    video = impressions * np.array([ad.traits.video_rate for ad in ads])[:, None]
    table = np.stack([impressions, clicks, link, link * 0.82, video, clicks * 0.09, money])
    running = np.zeros((COUNTS, len(ads), money.shape[1] + 1))
    np.cumsum(table, axis=2, out=running[:, :, 1:])
    return running


def _phases(keys: NDArray[np.uint64]) -> Floats:
    """Where the rounding of each running sum starts: nested, so that clicks never exceed impressions of a day."""
    first = curves.uniform(keys, 21)
    clicks = first * curves.uniform(keys, 22)
    link = clicks * curves.uniform(keys, 23)
    landing, video, reactions = (
        link * curves.uniform(keys, 24),
        first * curves.uniform(keys, 25),
        clicks * curves.uniform(keys, 26),
    )
    return np.stack([first, clicks, link, landing, video, reactions, np.zeros_like(first)])


def _conversions(
    ads: list[Node], running: Floats, pieces: _Pieces, keys: NDArray[np.uint64], learning: Floats
) -> tuple[Events, Floats]:
    """The day's events, and the expected conversions per ad (for the learning phase)."""
    rates = np.array(
        [[ad.traits.purchase_rate, ad.traits.lead_rate, ad.traits.purchase_rate * 2.6] for ad in ads]
    ).T
    rates = rates * (1 - 0.15 * learning)[None, :] * curves.noise(keys, 14, width=0.3)[None, :]
    expected = running[LINK_CLICKS][None, :, :] * rates[:, :, None]
    phase = np.stack([curves.uniform(keys, 31 + kind) for kind in range(KINDS)])
    worth = np.array([ad.traits.order_value for ad in ads])
    drawn = events.draw(
        running=expected, phase=phase, edges=pieces.edges, labels=pieces.labels, keys=keys, order_value=worth
    )
    return drawn, expected[:2, :, -1].sum(axis=0)


def _after(
    world: World,
    carry: Carry,
    ads: list[Node],
    adsets: list[Node],
    adset_of: NDArray[np.int64],
    running: Floats,
    expected: Floats,
    pieces: _Pieces,
) -> Carry:
    seen = {
        ad.id: MEMORY * carry.seen.get(ad.id, 0.0) + float(running[IMPRESSIONS, row, -1])
        for row, ad in enumerate(ads)
    }
    spent, learned, edited = dict(carry.spent), dict(carry.learned), dict(carry.edited)
    by_ad = running[SPEND, :, -1]
    for row, adset in enumerate(adsets):
        mine = adset_of == row
        amount = float(by_ad[mine].sum())
        for owner in (adset.id, adset.campaign_id):
            spent[owner] = spent.get(owner, 0.0) + amount
        edit = last_significant_edit(world, adset, float(pieces.edges[-1]))
        if edit != edited.get(adset.id):
            edited[adset.id], learned[adset.id] = edit, 0.0
        learned[adset.id] = learned.get(adset.id, 0.0) + float(expected[mine].sum())
    return Carry(seen=seen, week_over=dict(carry.week_over), spent=spent, learned=learned, edited=edited)


def last_significant_edit(world: World, adset: Node, before: float) -> float:
    """When learning last began: creation, or a budget change above a fifth, a bid or targeting change
    (reference 11.14).
    """
    latest = adset.created
    campaign = world.nodes[adset.campaign_id]
    for node, name in (
        (adset, "daily_budget"),
        (campaign, "daily_budget"),
        (adset, "bid_amount"),
        (adset, "targeting"),
        (adset, "optimization_goal"),
    ):
        line = node.fields.get(name)
        if line is None:
            continue
        for index in range(1, len(line.times)):
            if line.times[index] > before:
                break
            old, new = line.values[index - 1], line.values[index]
            if name == "daily_budget" and old and new and abs(float(new) - float(old)) <= 0.2 * float(old):
                continue
            latest = max(latest, line.times[index])
    return latest


def _nothing(day: dt.date, zone: str) -> CampaignDay:
    edges, labels = curves.hours_of(day, zone)
    return CampaignDay(
        day=day,
        ads=(),
        edges=np.array(edges),
        labels=np.array(labels),
        running=np.zeros((COUNTS, 0, len(edges))),
        events=no_events(),
    )


def _given(ads: list[Node], day: dt.date, zone: str) -> CampaignDay:
    """A day that a file gives: its numbers over the hours by the usual curve, its conversions reported at once."""
    edges, labels = curves.hours_of(day, zone)
    present = [ad for ad in ads if day in ad.fixed]
    hours = np.array(labels)
    share = np.concatenate(([0.0], np.cumsum(curves.VOLUME[hours]))) / curves.VOLUME[hours].sum()
    running = np.zeros((COUNTS, len(present), len(edges)))
    ad_rows: list[int] = []
    kinds: list[int] = []
    for row, ad in enumerate(present):
        fact = ad.fixed[day]
        for which, total in ((0, fact.impressions), (1, fact.clicks), (SPEND, fact.spend)):
            running[which, row] = share * total
            running[which, row, -1] = total
        ad_rows += [row] * (fact.purchases + fact.leads)
        kinds += [0] * fact.purchases + [1] * fact.leads
    size = len(ad_rows)
    keys = np.array(
        [curves.seed_of(present[row].id, index) for index, row in enumerate(ad_rows)], dtype=np.uint64
    )
    clicked = np.full(size, (edges[0] + edges[-1]) / 2)
    given = Events(
        ad=np.array(ad_rows, dtype=np.int64),
        hour=np.full(size, 12),
        clicked=clicked,
        reported=clicked,
        kind=np.array(kinds, dtype=np.int64),
        bucket=np.zeros(size, dtype=np.int64),
        value=np.zeros(size, dtype=np.int64),
        key=keys,
    )
    return CampaignDay(
        day=day,
        ads=tuple(ad.id for ad in present),
        edges=np.array(edges),
        labels=hours,
        running=running,
        events=given,
    )
