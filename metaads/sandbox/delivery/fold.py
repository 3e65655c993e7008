"""A campaign's life, day by day.

The fold carries what one day leaves to the next: how often people saw each ad lately (fatigue), what was spent
of the week and of a lifetime budget (pacing), and how many conversions an ad set has had since its last
significant edit (learning phase).

    pieces -> money (pacing) -> market: price, impressions, clicks -> events -> what the day leaves
"""

from __future__ import annotations

import datetime as dt

import numpy as np
from numpy.typing import NDArray

from metaads.sandbox.delivery import curves, events, given, learning, pacing, pieces
from metaads.sandbox.delivery.curves import Floats
from metaads.sandbox.delivery.day import (
    COUNTS,
    IMPRESSIONS,
    KINDS,
    LEAD,
    LINK_CLICKS,
    PARTS,
    SPEND,
    CampaignDay,
    Events,
)
from metaads.sandbox.delivery.pacing import Carry
from metaads.sandbox.delivery.pieces import Pieces
from metaads.sandbox.world.nodes import Node
from metaads.sandbox.world.state import World

MEMORY = 0.93


def simulate(
    world: World, campaign: Node, day: dt.date, carry: Carry, *, zone: str
) -> tuple[CampaignDay, Carry]:
    """One day of one campaign, and what it leaves."""
    ads, adsets = pieces.present(world, campaign, day, zone)
    if not ads:
        return given.nothing(day, zone), carry
    if any(ad.fixed for ad in ads):
        return given.given(ads, day, zone), carry
    cut = pieces.cut(world, campaign, adsets, day, zone)
    row_of = {adset.id: row for row, adset in enumerate(adsets)}
    adset_of = np.array([row_of[ad.adset_id] for ad in ads])
    on = pieces.live(world, ads, cut)
    on_adset = np.array(
        [[pieces.scheduled(adset, start) for start in cut.starts] for adset in adsets], dtype=np.float64
    )
    on = on * on_adset[adset_of]
    keys = np.array([curves.seed_of(world.seed, ad.id, day.isoformat()) for ad in ads], dtype=np.uint64)
    money, carry = pacing.allot(world, campaign, adsets, ads, adset_of, on, cut, day, carry)
    novice = np.array([learning.learning_of(adset, carry) for adset in adsets])[adset_of]
    running = _market(ads, adsets, adset_of, money, cut, day, keys, carry, novice)
    phase = _phases(keys)
    tracked = pieces.tracked(world, campaign, cut)
    drawn, expected, earned = _conversions(ads, running, cut, keys, novice, tracked)
    result = CampaignDay(
        day=day,
        ads=tuple(ad.id for ad in ads),
        edges=cut.edges,
        labels=cut.labels,
        running=running + phase[:, :, None],
        events=drawn,
        earned=earned,
    )
    return result, _after(world, carry, ads, adsets, adset_of, running, expected, cut)


def _market(
    ads: list[Node],
    adsets: list[Node],
    adset_of: NDArray[np.int64],
    money: Floats,
    cut: Pieces,
    day: dt.date,
    keys: NDArray[np.uint64],
    carry: Carry,
    novice: Floats,
) -> Floats:
    """Running sums [COUNTS, ads, pieces + 1] of the additive numbers, as real numbers."""
    by_adset = np.zeros((len(adsets), money.shape[1]))
    np.add.at(by_adset, adset_of, money)
    depth = np.array([adset.traits.depth for adset in adsets])
    # The pace of spending in each piece, as money a day: a raise at three makes the evening dearer, not the morning.
    crowd = curves.saturation(by_adset / cut.weight, depth[:, None])[adset_of]
    frequency = np.array([carry.seen.get(ad.id, 0.0) / ad.traits.audience for ad in ads])
    hour_keys = curves.mix(keys[:, None], (cut.labels[None, :] + 1).astype(np.uint64))
    noisy = np.array([ad.traits.noise for ad in ads])
    price = np.array([ad.traits.cpm for ad in ads]) * (1 + 0.12 * novice)
    price = price * (1 + 0.05 * np.maximum(frequency - 1, 0))
    price = price * curves.WEEKDAY[day.weekday()] * curves.season(day)
    price = price * pieces.shocked(ads, "price", cut)
    hourly = noisy[:, None]
    cpm = price[:, None] * crowd * curves.PRICE[cut.labels][None, :]
    cpm = cpm * curves.noise(hour_keys, 11, width=0.22 * hourly)
    impressions = money / cpm * 1000
    wear = np.array([ad.traits.wear for ad in ads])
    ctr = np.array([ad.traits.ctr for ad in ads]) * curves.fatigue(frequency, wear) * (1 - 0.08 * novice)
    ctr = ctr * curves.noise(keys, 12, width=0.18 * noisy) * pieces.shocked(ads, "ctr", cut)
    clicks = impressions * np.minimum(0.5, ctr[:, None] * curves.noise(hour_keys, 13, width=0.25 * hourly))
    link = clicks * np.array([ad.traits.link_share for ad in ads])[:, None]
    video = impressions * np.array([ad.traits.video_rate for ad in ads])[:, None]
    table = np.stack([impressions, clicks, link, link * 0.82, video, clicks * 0.09, money])
    views = video * np.array([ad.traits.view_share for ad in ads])[:, None]
    table = np.concatenate((table, np.stack([*(table[whole] * share for _, whole, share in PARTS), views])))
    running = np.zeros((COUNTS, len(ads), money.shape[1] + 1))
    np.cumsum(table, axis=2, out=running[:, :, 1:])
    return running


def _phases(keys: NDArray[np.uint64]) -> Floats:
    """Where the rounding of each running sum starts. One draw for all counts of an ad-day, so that clicks never exceed
    impressions nor a part its whole; and even over [0, 1), so that no hour is cut short: a draw that is low on average
    takes the first click of a day away more often than not, and with it a fifth of the midnight hour's.
    """
    counts = np.repeat(curves.uniform(keys, 21)[None, :], COUNTS, axis=0)
    counts[SPEND] = 0.0  # what has been spent is never more than what was allowed
    return counts


def _conversions(
    ads: list[Node],
    running: Floats,
    cut: Pieces,
    keys: NDArray[np.uint64],
    novice: Floats,
    tracked: Floats,
) -> tuple[Events, Floats, Floats]:
    """The day's events, the expected conversions per ad (for the learning phase), and what the day earned."""
    rates = np.array(
        [
            [
                ad.traits.purchase_rate,
                ad.traits.lead_rate,
                ad.traits.purchase_rate * 2.6,
                ad.traits.checkout_rate,
                ad.traits.registration_rate,
            ]
            for ad in ads
        ]
    ).T
    noisy = np.array([ad.traits.noise for ad in ads])
    rates = rates * (1 - 0.15 * novice)[None, :] * curves.noise(keys, 14, width=0.3 * noisy)[None, :]
    rates = rates * pieces.shocked(ads, "cvr", cut)[None, :]
    # Leads happen on Meta; all others need the advertiser's pixel.
    seen = np.stack([np.ones_like(tracked) if kind == LEAD else tracked for kind in range(KINDS)])
    clicks = np.diff(running[LINK_CLICKS], axis=1)
    expected = np.zeros((KINDS, *running[LINK_CLICKS].shape))
    by_piece = clicks[None, :, :] * rates[:, :, None]
    np.cumsum(by_piece * seen[:, None, :], axis=2, out=expected[:, :, 1:])
    phase = np.stack([curves.uniform(keys, 31 + kind) for kind in range(KINDS)])
    worth = np.array([[ad.traits.order_value * share for share in ad.traits.worths] for ad in ads]).T
    worth = worth * pieces.shocked(ads, "value", cut)[None, :]
    told = np.array([ad.traits.told for ad in ads])
    chance = np.array([ad.traits.chance for ad in ads])
    all_of_them = by_piece.sum(axis=2)
    earned = np.stack([all_of_them, all_of_them * worth * events.MEAN_WORTH])
    if not chance.any():
        drawn = events.draw(
            running=expected,
            phase=phase,
            edges=cut.edges,
            labels=cut.labels,
            keys=keys,
            worth=worth,
            told=told,
        )
        return drawn, expected[:2, :, -1].sum(axis=0), earned
    # What nobody tracks happens all the same, and is never told.
    happens = np.zeros_like(expected)
    np.cumsum(by_piece, axis=2, out=happens[:, :, 1:])
    drawn = events.draw(
        running=happens, phase=phase, edges=cut.edges, labels=cut.labels, keys=keys, worth=worth, told=told,
        chance=chance, seen=seen,
    )  # fmt: skip
    return drawn, expected[:2, :, -1].sum(axis=0), earned


def _after(
    world: World,
    carry: Carry,
    ads: list[Node],
    adsets: list[Node],
    adset_of: NDArray[np.int64],
    running: Floats,
    expected: Floats,
    cut: Pieces,
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
        edit = learning.last_significant_edit(world, adset, float(cut.edges[-1]))
        if edit != edited.get(adset.id):
            edited[adset.id], learned[adset.id] = edit, 0.0
        learned[adset.id] = learned.get(adset.id, 0.0) + float(expected[mine].sum())
    return Carry(seen=seen, week_over=dict(carry.week_over), spent=spent, learned=learned, edited=edited)
