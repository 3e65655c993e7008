"""The numbers of the world: campaign-days on demand, remembered until something that touches them changes.

An effect at a moment makes its campaign's days from that day on stale; earlier days stay. ``as_of`` is the
current time floored to the refresh period (15 minutes divided by the speed): between two refreshes numbers
stand still, as Meta's do. With ``late`` what is delivered is told up to so many seconds later, so yesterday goes on
moving after midnight; conversions come later still, whatever ``late`` says.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Iterator

import numpy as np

from metaads.sandbox.delivery import curves, fold
from metaads.sandbox.delivery.day import CampaignDay
from metaads.sandbox.delivery.pacing import Carry
from metaads.sandbox.world.nodes import CAMPAIGN, Node
from metaads.sandbox.world.state import World

REFRESH = 900.0


@dataclasses.dataclass(slots=True)
class _Life:
    first: dt.date
    days: list[CampaignDay] = dataclasses.field(default_factory=list)
    carries: list[Carry] = dataclasses.field(default_factory=list)
    touched: int = 0


class Engine:
    """Numbers computed from a world. Not stored anywhere: a cache that may be thrown away."""

    def __init__(self, world: World, *, speed: float = 1.0, late: float = 0.0) -> None:
        self.world = world
        self.late = late
        self.period = REFRESH / speed
        self._lives: dict[str, _Life] = {}

    def as_of(self, now: float) -> float:
        """The moment up to which numbers are shown at ``now``."""
        return math.floor(now / self.period) * self.period

    def zone(self, account_id: str) -> str:
        """The IANA name of the account's time zone."""
        return str(self.world.accounts[account_id].get("timezone_name", self.world.start, "UTC"))

    def today(self, account_id: str, now: float) -> dt.date:
        """The account's current day."""
        return curves.local_day(now, self.zone(account_id))

    def first_day(self, campaign: Node) -> dt.date:
        """The campaign's first account-day."""
        return curves.local_day(campaign.created, self.zone(campaign.account_id))

    def days(self, campaign: Node, since: dt.date, until: dt.date, now: float) -> Iterator[CampaignDay]:
        """The campaign's days within [since, until] that have begun by the refresh at ``now``."""
        life = self._life(campaign)
        last = min(until, curves.local_day(self.as_of(now), self.zone(campaign.account_id)))
        self._extend(life, campaign, last)
        start = max(0, (since - life.first).days)
        stop = (last - life.first).days + 1
        yield from life.days[start : max(start, stop)]

    def campaigns(self, account_id: str, now: float) -> list[Node]:
        """The account's campaigns that exist at ``now``."""
        return self.world.children(account_id, CAMPAIGN, at=now)

    def carry_before(self, campaign: Node, day: dt.date) -> Carry:
        """What was known at the start of ``day``: learning, frequency, money spent."""
        life = self._life(campaign)
        self._extend(life, campaign, day)
        index = (day - life.first).days - 1
        return life.carries[index] if index >= 0 else Carry()

    def _life(self, campaign: Node) -> _Life:
        life = self._lives.get(campaign.id)
        if life is None:
            life = self._lives[campaign.id] = _Life(first=self.first_day(campaign))
        touched = self.world.touched[campaign.id]
        if len(touched) > life.touched:
            earliest = min(touched[life.touched :])
            keep = max(0, (curves.local_day(earliest, self.zone(campaign.account_id)) - life.first).days)
            del life.days[keep:], life.carries[keep:]
            life.touched = len(touched)
        return life

    def _extend(self, life: _Life, campaign: Node, last: dt.date) -> None:
        zone = self.zone(campaign.account_id)
        while (have := len(life.days)) <= (last - life.first).days:
            carry = life.carries[-1] if life.carries else Carry()
            day, after = fold.simulate(
                self.world, campaign, life.first + dt.timedelta(days=have), carry, zone=zone
            )
            day.late = self._lateness(campaign, day.day)
            life.days.append(day)
            life.carries.append(after)

    def _lateness(self, campaign: Node, day: dt.date) -> float:
        """Seconds: half of the most and more, by the day, so that a world's campaigns do not settle all at once."""
        if not self.late:
            return 0.0
        key = np.array(
            [curves.seed_of(self.world.seed, campaign.id, "late", day.isoformat())], dtype=np.uint64
        )
        return self.late * (0.5 + 0.5 * float(curves.uniform(key, 0)[0]))
