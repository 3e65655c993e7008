"""A campaign's day cut into pieces inside which nothing changes, and who is live in each."""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np

from metaads.sandbox.delivery import curves
from metaads.sandbox.delivery.curves import Floats, Ints
from metaads.sandbox.world.nodes import AD, ADSET, Node
from metaads.sandbox.world.state import World


@dataclasses.dataclass(slots=True)
class Pieces:
    """The day cut into pieces, with what holds in each."""

    edges: Floats
    labels: Ints
    weight: Floats
    starts: Floats
    changed: bool


def present(world: World, campaign: Node, day: dt.date, zone: str) -> tuple[list[Node], list[Node]]:
    """The ads that exist by the end of the day, and their ad sets."""
    edges, _labels = curves.hours_of(day, zone)
    ads = world.children(campaign.id, AD, at=edges[-1])
    wanted = {ad.adset_id for ad in ads}
    return ads, [adset for adset in world.children(campaign.id, ADSET, at=edges[-1]) if adset.id in wanted]


def cut(world: World, campaign: Node, adsets: list[Node], day: dt.date, zone: str) -> Pieces:
    """Cut the day at its local hours and at every moment at which something of the campaign changed."""
    edges, labels = curves.hours_of(day, zone)
    start, end = edges[0], edges[-1]
    cuts = set(world.changes_between(campaign.id, start, end))
    for adset in adsets:
        for name in ("start_time", "end_time"):
            # Every value the schedule ever had: an old end that has passed still cut its day.
            for moment in adset.fields[name].values if name in adset.fields else ():
                if moment and start < float(moment) < end:
                    cuts.add(float(moment))
    volume = curves.VOLUME[list(labels)] * np.diff(edges)
    hourly = np.array(edges)
    if cuts:
        fine = np.unique(np.concatenate((hourly, np.array(sorted(cuts)))))
        where = np.searchsorted(hourly, fine[:-1], side="right") - 1
        weight = volume[where] * np.diff(fine) / np.diff(hourly)[where]
        return Pieces(fine, np.array(labels)[where], weight / volume.sum(), fine[:-1], True)
    return Pieces(hourly, np.array(labels), volume / volume.sum(), hourly[:-1], False)


def live(world: World, ads: list[Node], pieces: Pieces) -> Floats:
    """1 where an ad is live, [ads, pieces]; without a change in the day one look per ad is enough."""
    if pieces.changed:
        rows = [[_is_live(world, ad, start) for start in pieces.starts] for ad in ads]
        return np.array(rows, dtype=np.float64)
    first = pieces.starts[0]
    column = np.array([_is_live(world, ad, first) for ad in ads], dtype=np.float64)
    return np.repeat(column[:, None], len(pieces.starts), axis=1)


def _is_live(world: World, ad: Node, at: float) -> bool:
    if ad.created > at or int(world.accounts[ad.account_id].get("account_status", at, 1)) != 1:
        return False
    return world.effective_status(ad, at) == "ACTIVE"


def scheduled(adset: Node, at: float) -> bool:
    """Whether the ad set has begun and not ended."""
    start, end = adset.get("start_time", at), adset.get("end_time", at)
    return adset.created <= at and (not start or at >= float(start)) and (not end or at < float(end))


def shocked(nodes: list[Node], what: str, pieces: Pieces) -> Floats:
    """The factor that a world's own event puts on each object's ``what`` on this day (1: none); by the day's start."""
    return np.array([float(node.get(f"shock_{what}", pieces.starts[0], 1.0)) for node in nodes])


def tracked(world: World, campaign: Node, pieces: Pieces) -> Floats:
    """1 where the advertiser's pixel reports, 0 where the account's ``tracking`` is lost."""
    account = world.accounts[campaign.account_id]
    if "tracking" not in account.fields:
        return np.ones(len(pieces.starts))
    return np.array([0.0 if account.get("tracking", start) == "lost" else 1.0 for start in pieces.starts])
