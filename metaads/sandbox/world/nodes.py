"""Objects of the world: a node is an id, its parents, and for every field a timeline of values.

Fields are timelines because the delivery model asks what a budget was at 14:23 last Tuesday, because an effect
may land later than its request, and because a stale read answers from the past. All times are unix seconds.
"""

from __future__ import annotations

import bisect
import dataclasses
import datetime as dt
import zoneinfo
from typing import Any

CAMPAIGN, ADSET, AD, CREATIVE, ACCOUNT = "campaign", "adset", "ad", "creative", "account"


class Timeline:
    """Values with the moments from which they hold; an equal moment overwrites."""

    __slots__ = ("times", "values")

    def __init__(self, at: float, value: Any) -> None:
        self.times: list[float] = [at]
        self.values: list[Any] = [value]

    def at(self, moment: float) -> Any:
        """The value that holds at ``moment``; None before the first."""
        if moment >= self.times[-1]:
            return self.values[-1]
        index = bisect.bisect_right(self.times, moment) - 1
        return self.values[index] if index >= 0 else None

    def put(self, at: float, value: Any) -> None:
        """From ``at`` on the value is ``value``, until the next later entry."""
        index = bisect.bisect_right(self.times, at)
        self.times.insert(index, at)
        self.values.insert(index, value)


@dataclasses.dataclass(slots=True)
class Traits:
    """What the market knows of an object and no API tells. Money in minor units of the account's currency."""

    cpm: float = 900.0
    ctr: float = 0.012
    link_share: float = 0.78
    purchase_rate: float = 0.02
    lead_rate: float = 0.0
    order_value: float = 4200.0
    video_rate: float = 0.25
    #: Three-second views of a video that began to play.
    view_share: float = 1.0
    #: Checkouts and registrations of a link click.
    checkout_rate: float = 0.0
    registration_rate: float = 0.0
    #: What a purchase, a lead, a cart, a checkout and a registration are worth, in orders.
    worths: tuple[float, float, float, float, float] = (1.0, 0.0, 0.0, 0.0, 0.0)
    quality: float = 1.0
    audience: int = 400_000
    depth: float = 20_000.0
    #: How fast people tire of it, and how far chance moves prices, rates and pacing (0: not at all).
    wear: float = 0.16
    noise: float = 1.0
    #: Conversions come by chance, as a Poisson process does, instead of evenly as the expected sum grows.
    chance: bool = False
    #: Whether the learning phase costs anything.
    learns: bool = True
    #: Bounds of the shares that are told within a day of the click, a week, 28 days; the rest within a day of the view.
    told: tuple[float, float, float] = (0.60, 0.80, 0.88)

    def standing(self, ranking: str) -> float:
        """How an ad fares in an auction's eyes, 1.0 is usual: videos engage more, conversions follow more slowly."""
        if ranking == "engagement_rate_ranking":
            return self.quality * (1.3 if self.video_rate else 0.9)
        return self.quality**0.5 if ranking == "conversion_rate_ranking" else self.quality


@dataclasses.dataclass(frozen=True, slots=True)
class FixedDay:
    """Delivery that is given, not simulated (a flat export): one ad, one day. Spend in minor units."""

    impressions: int
    clicks: int
    spend: int
    leads: int
    purchases: int


@dataclasses.dataclass(slots=True)
class Node:
    """One campaign, ad set, ad, creative or ad account."""

    id: str
    kind: str
    account_id: str
    created: float
    campaign_id: str = ""
    adset_id: str = ""
    fields: dict[str, Timeline] = dataclasses.field(default_factory=dict)
    traits: Traits = dataclasses.field(default_factory=Traits)
    fixed: dict[dt.date, FixedDay] = dataclasses.field(default_factory=dict)
    initial: bool = True

    def get(self, name: str, at: float, default: Any = None) -> Any:
        """The field's value at ``at``; ``default`` when unset."""
        line = self.fields.get(name)
        if line is None:
            return default
        value = line.at(at)
        return default if value is None else value

    def put(self, name: str, at: float, value: Any) -> None:
        """Set a field from ``at`` on; ``None`` unsets it."""
        line = self.fields.get(name)
        if line is None:
            self.fields[name] = Timeline(at, value)
        else:
            line.put(at, value)

    @property
    def parent_id(self) -> str:
        """The object above."""
        if self.kind == AD:
            return self.adset_id
        if self.kind == ADSET:
            return self.campaign_id
        return self.account_id

    def zone(self) -> zoneinfo.ZoneInfo:
        """An account's time zone."""
        return zoneinfo.ZoneInfo(str(self.get("timezone_name", self.created, "UTC")))

    def currency(self) -> str:
        """An account's currency."""
        return str(self.get("currency", self.created, "USD"))
