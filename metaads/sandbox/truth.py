"""What really happened, summed by a second route.

These sums go straight over the campaign-days, without the insights reader's grouping, slicing or formatting,
so a test can hold the one against the other. Money is minor units.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from metaads.sandbox.delivery.day import CLICKS, IMPRESSIONS, LEAD, LINK_CLICKS, PURCHASE, SPEND
from metaads.sandbox.delivery.engine import Engine
from metaads.sandbox.world.state import World


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
