"""Days that are not simulated: those of a file, and those before a campaign has any ad."""

from __future__ import annotations

import datetime as dt

import numpy as np

from metaads.sandbox.delivery import curves
from metaads.sandbox.delivery.day import COUNTS, SPEND, CampaignDay, Events, no_events
from metaads.sandbox.world.nodes import Node


def nothing(day: dt.date, zone: str) -> CampaignDay:
    """A day without ads."""
    edges, labels = curves.hours_of(day, zone)
    return CampaignDay(
        day=day,
        ads=(),
        edges=np.array(edges),
        labels=np.array(labels),
        running=np.zeros((COUNTS, 0, len(edges))),
        events=no_events(),
    )


def given(ads: list[Node], day: dt.date, zone: str) -> CampaignDay:
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
