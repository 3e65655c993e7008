"""What really happened, summed by a second route.

These sums go straight over the campaign-days, without the insights reader's grouping, slicing or formatting,
so a test can hold the one against the other. Money is minor units. What is asked with a ``now`` in the past is
what was reported by then: the same question before and after a restatement.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from metaads.sandbox.delivery import day as d
from metaads.sandbox.delivery import reach
from metaads.sandbox.delivery.day import CLICKS, IMPRESSIONS, LEAD, LINK_CLICKS, PURCHASE, SPEND, CampaignDay
from metaads.sandbox.delivery.engine import Engine
from metaads.sandbox.world.nodes import ADSET
from metaads.sandbox.world.state import World

#: Additive numbers of an object, by the names that people give them.
MEASURES = {
    "spend": (d.SPEND,),
    "impressions": (d.IMPRESSIONS,),
    "clicks": (d.CLICKS,),
    "link_clicks": (d.LINK_CLICKS,),
    "outbound_clicks": (d.OUTBOUND,),
    "landing_page_views": (d.LANDING,),
    "engagements": (d.LINK_CLICKS, d.VIEWS, d.REACTIONS),
    "video_plays": (d.VIDEO,),
    "video_views": (d.VIEWS,),
    "video_p25": (d.P25,),
    "video_p50": (d.P50,),
    "video_p75": (d.P75,),
    "video_p100": (d.P100,),
    "thruplays": (d.THRUPLAY,),
}
#: Whom a conversion is credited to in each window: within a day or seven of the click, or a day of seeing the ad.
WINDOWS = {
    "default": (d.CLICK_1D, d.CLICK_7D, d.VIEW_1D),
    "1d_click": (d.CLICK_1D,),
    "7d_click": (d.CLICK_1D, d.CLICK_7D),
    "28d_click": (d.CLICK_1D, d.CLICK_7D, d.CLICK_28D),
    "1d_view": (d.VIEW_1D,),
}
RANKINGS = ("quality_ranking", "engagement_rate_ranking", "conversion_rate_ranking")
KINDS = {
    "purchases": d.PURCHASE,
    "leads": d.LEAD,
    "add_to_carts": d.CART,
    "checkouts": d.CHECKOUT,
    "registrations": d.REGISTRATION,
}
#: The kind of conversion whose worth each value adds up.
VALUES = {
    "purchase_value": d.PURCHASE,
    "lead_value": d.LEAD,
    "add_to_cart_value": d.CART,
    "checkout_value": d.CHECKOUT,
    "registration_value": d.REGISTRATION,
}


class Truth:
    """The model's own totals."""

    def __init__(self, world: World, engine: Engine) -> None:
        self._world = world
        self._engine = engine

    def totals(
        self, account_id: str, *, since: dt.date, until: dt.date, now: float, level: str = "account"
    ) -> dict[str, dict[str, int]]:
        """Sums over [since, until] as shown at ``now``: object id -> numbers. ``level``: account, campaign,
        adset, ad.
        """
        result: dict[str, dict[str, int]] = {}
        as_of = self._engine.as_of(now)
        for campaign in self._engine.campaigns(account_id, now):
            for day in self._engine.days(campaign, since, until, now):
                counts = day.counts(as_of)
                number, value = day.conversions(as_of)
                for row, ad_id in enumerate(day.ads):
                    into = result.setdefault(self._owner(ad_id, level), _zero())
                    for name, which in _NAMES:
                        into[name] += int(counts[which, row])
                    into["purchases"] += int(number[row, PURCHASE, [0, 1, 3]].sum())
                    into["purchases_final"] += int((day.events.kind[day.events.ad == row] == PURCHASE).sum())
                    into["purchase_value"] += int(value[row, PURCHASE, [0, 1, 3]].sum())
                    into["leads"] += int(number[row, LEAD, [0, 1, 3]].sum())
        return result

    def measures(
        self, account_id: str, *, since: dt.date, until: dt.date, now: float, level: str = "account"
    ) -> dict[str, dict[str, Any]]:
        """Everything that can be counted over [since, until] as shown at ``now``, by object id, with ``reach`` of the
        whole period; ``by_window`` holds conversions and their worth for each attribution window, ``busiest``
        the most impressions of a day, and of an ad ``standing`` how it fares in the auction, by ranking.
        """
        found: dict[str, dict[str, Any]] = {}
        crowds: dict[str, dict[str, int]] = {}
        as_of = self._engine.as_of(now)
        for campaign in self._engine.campaigns(account_id, now):
            for day in self._engine.days(campaign, since, until, now):
                counts = day.counts(as_of)
                for row, ad_id in enumerate(day.ads):
                    owner = self._owner(ad_id, level)
                    mine = found.setdefault(owner, _nothing())
                    for name, parts in MEASURES.items():
                        mine[name] += sum(int(counts[which, row]) for which in parts)
                    shown = int(counts[IMPRESSIONS, row])
                    if level == "ad":
                        traits = self._world.nodes[ad_id].traits
                        mine["standing"] = {name: traits.standing(name) for name in RANKINGS}
                        mine["busiest"] = max(mine["busiest"], shown)
                    crowd = crowds.setdefault(owner, {})
                    adset = self._world.nodes[ad_id].adset_id
                    crowd[adset] = crowd.get(adset, 0) + shown
                self._credit(found, day, as_of, level)
        for owner, crowd in crowds.items():
            found[owner]["reach"] = self._people(account_id, crowd)
        return found

    def by_hour(
        self, account_id: str, *, since: dt.date, until: dt.date, now: float, level: str = "account"
    ) -> dict[str, dict[str, dict[int, dict[str, int]]]]:
        """Spend, impressions, clicks and link clicks: object id -> day -> hour label (0..23) -> numbers."""
        found: dict[str, dict[str, dict[int, dict[str, int]]]] = {}
        as_of = self._engine.as_of(now)
        for campaign in self._engine.campaigns(account_id, now):
            for day in self._engine.days(campaign, since, until, now):
                hourly = day.hourly(as_of)
                for row, ad_id in enumerate(day.ads):
                    hours = found.setdefault(self._owner(ad_id, level), {}).setdefault(
                        day.day.isoformat(), {}
                    )
                    for hour in range(24):
                        into = hours.setdefault(hour, {name: 0 for name, _ in _NAMES})
                        for name, which in _NAMES:
                            into[name] += int(hourly[which, row, hour])
        return found

    def _credit(self, found: dict[str, dict[str, Any]], day: CampaignDay, as_of: float, level: str) -> None:
        """Event by event: what had been reported by then, under each window that credits it."""
        events = day.events
        for index in range(len(events.ad)):
            if events.reported[index] > as_of:
                continue
            into = found[self._owner(day.ads[int(events.ad[index])], level)]["by_window"]
            for window, buckets in WINDOWS.items():
                if int(events.bucket[index]) not in buckets:
                    continue
                for name, kind in KINDS.items():
                    into[window][name] += int(events.kind[index]) == kind
                for name, kind in VALUES.items():
                    into[window][name] += int(events.value[index]) if int(events.kind[index]) == kind else 0

    def _people(self, account_id: str, crowd: dict[str, int]) -> int:
        """People behind the impressions of ad sets: unions of ad sets in campaigns, of campaigns in the account."""
        by_campaign: dict[str, list[int]] = {}
        for adset_id, impressions in crowd.items():
            adset = self._world.nodes[adset_id]
            reached = reach.of_impressions(impressions, audience=adset.traits.audience)
            by_campaign.setdefault(adset.campaign_id, []).append(reached)
        parts = [reach.union(sizes, universe=self._universe(owner)) for owner, sizes in by_campaign.items()]
        return reach.union(parts, universe=self._universe(account_id))

    def _universe(self, owner_id: str) -> int:
        return 2 * max(adset.traits.audience for adset in self._world.children(owner_id, ADSET))

    def earned(
        self, account_id: str, *, since: dt.date, until: dt.date, now: float
    ) -> dict[str, dict[str, dict[str, float]]]:
        """What each ad set's days really earned, told or not: ad set -> day -> spend and value (minor units),
        conversions, and by expectation ``likely`` and ``likely_value``. A conversion counts where Meta credits it in
        the end: within 7 days of the click, or a day of the view.
        """
        found: dict[str, dict[str, dict[str, float]]] = {}
        for campaign in self._engine.campaigns(account_id, now):
            for day in self._engine.days(campaign, since, until, now):
                counts = day.counts(self._engine.as_of(now))
                events = day.events
                counted = (events.kind == PURCHASE) & (events.bucket != d.CLICK_28D)
                for row, ad_id in enumerate(day.ads):
                    mine = counted & (events.ad == row)
                    told = self._world.nodes[ad_id].traits.told
                    likely = np.zeros(2) if day.earned is None else day.earned[:, PURCHASE, row]
                    likely = likely * (1.0 - (told[2] - told[1]))
                    line = {
                        "spend": float(counts[SPEND, row]),
                        "conversions": float(mine.sum()),
                        "value": float(events.value[mine].sum()),
                        "likely": float(likely[0]),
                        "likely_value": float(likely[1]),
                    }
                    into = found.setdefault(self._owner(ad_id, "adset"), {}).setdefault(
                        day.day.isoformat(), {}
                    )
                    for name, number in line.items():
                        into[name] = into.get(name, 0.0) + number
        return found

    def as_of(self, now: float) -> float:
        """The moment up to which numbers are shown."""
        return self._engine.as_of(now)

    def today(self, account_id: str, now: float) -> dt.date:
        """The account's current day."""
        return self._engine.today(account_id, now)

    def by_day(
        self, account_id: str, *, since: dt.date, until: dt.date, now: float
    ) -> dict[str, dict[str, int]]:
        """Account totals by day."""
        days = (until - since).days + 1
        found = {}
        for index in range(days):
            day = since + dt.timedelta(days=index)
            found[day.isoformat()] = self.totals(account_id, since=day, until=day, now=now).get(
                account_id, _zero()
            )
        return found

    def state(self, object_id: str, *, now: float) -> dict[str, Any]:
        """An object's real fields now, whatever a stale read says."""
        node = self._world.nodes[object_id]
        fields = {name: line.at(now) for name, line in sorted(node.fields.items())}
        fields["effective_status"] = self._world.effective_status(node, now)
        return {
            "id": node.id,
            "kind": node.kind,
            "fields": {k: v for k, v in fields.items() if v is not None},
        }

    def _owner(self, ad_id: str, level: str) -> str:
        ad = self._world.nodes[ad_id]
        return {"account": ad.account_id, "campaign": ad.campaign_id, "adset": ad.adset_id, "ad": ad.id}[
            level
        ]


_NAMES = (("impressions", IMPRESSIONS), ("clicks", CLICKS), ("link_clicks", LINK_CLICKS), ("spend", SPEND))


def _zero() -> dict[str, int]:
    names = [name for name, _which in _NAMES]
    return dict.fromkeys([*names, "purchases", "purchases_final", "purchase_value", "leads"], 0)


def _nothing() -> dict[str, Any]:
    credited = dict.fromkeys([*KINDS, *VALUES], 0)
    return {
        **dict.fromkeys(MEASURES, 0),
        "reach": 0,
        "busiest": 0,
        "standing": {},
        "by_window": {window: dict(credited) for window in WINDOWS},
    }
