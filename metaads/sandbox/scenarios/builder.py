"""Plans into objects: accounts, campaigns, ad sets, ads and creatives, with traits that depend on the seed only."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from metaads.sandbox.journal import Entry
from metaads.sandbox.world.nodes import ACCOUNT, AD, ADSET, CAMPAIGN, CREATIVE, Node, Timeline, Traits
from metaads.sandbox.world.people import Person
from metaads.sandbox.world.state import World

DAY = 86_400.0


MANAGE = ("ANALYZE", "ADVERTISE", "MANAGE", "DRAFT", "AA_ANALYZE")


GOALS = {
    "OUTCOME_SALES": "OFFSITE_CONVERSIONS",
    "OUTCOME_LEADS": "LEAD_GENERATION",
    "OUTCOME_TRAFFIC": "LINK_CLICKS",
    "OUTCOME_AWARENESS": "REACH",
    "OUTCOME_ENGAGEMENT": "POST_ENGAGEMENT",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """One campaign of a world. ``budget`` in minor units a day: of the campaign (CBO) or of each ad set."""

    name: str
    objective: str
    budget: int
    adsets: tuple[tuple[str, ...], ...]
    cbo: bool = False
    grade: float = 1.0
    status: str = "ACTIVE"
    age: int = 130
    lifetime: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Shop:
    """An ad account to build. Prices in minor units of its currency; ``traits`` hold what is not drawn."""

    digits: str
    name: str
    currency: str
    zone: str
    country: str
    cpm: float
    order: float
    plans: tuple[Plan, ...]
    grain: int = 1
    traits: Traits = dataclasses.field(default_factory=Traits)


class Builder:
    """Adds accounts to a world, with ids and traits that depend on the seed only."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = np.random.Generator(np.random.Philox(key=world.seed))
        self._serial = 120_210_000_000_000_000

    def person(
        self, key: str, number: int, name: str, tasks: dict[str, tuple[str, ...]], *, kind: str = "USER"
    ) -> Person:
        """Add a Facebook user."""
        person = Person(
            key=key,
            id=str(10_200_000_000_000_000 + number),
            name=name,
            email=f"{key}@example.com",
            kind=kind,
            tasks=tasks,
        )
        self.world.people[key] = person
        return person

    def shop(self, shop: Shop, *, status: int = 1, reason: int = 0) -> Node:
        """Add an ad account with all its campaigns; ``status`` and ``reason`` are Meta's numbers."""
        born = self.world.start - 400 * DAY
        account = self._node(
            f"act_{shop.digits}",
            ACCOUNT,
            f"act_{shop.digits}",
            born,
            {
                "name": shop.name,
                "currency": shop.currency,
                "timezone_name": shop.zone,
                "account_status": status,
                "disable_reason": reason,
                "is_personal": 0,
                "business": {"id": "9" + shop.digits[1:], "name": f"{shop.name} Business"},
                "country": shop.country,
                "spend_cap": "0",
            },
        )
        for plan in shop.plans:
            self.campaign(shop, account, plan)
        return account

    def campaign(self, shop: Shop, account: Node, plan: Plan) -> Node:
        """Add one campaign with its ad sets and ads."""
        born = self.world.start - plan.age * DAY + 6 * 3600
        fields: dict[str, Any] = {
            "name": plan.name,
            "objective": plan.objective,
            "status": plan.status,
            "buying_type": "AUCTION",
            "special_ad_categories": [],
            "spend_cap": None,
        }
        if plan.cbo:
            fields["lifetime_budget" if plan.lifetime else "daily_budget"] = plan.budget
            fields["bid_strategy"] = "LOWEST_COST_WITHOUT_CAP"
        node = self._node(self._id(), CAMPAIGN, account.id, born, fields)
        for index, names in enumerate(plan.adsets):
            self.adset(shop, node, plan, index, names)
        return node

    def adset(self, shop: Shop, campaign: Node, plan: Plan, index: int, names: tuple[str, ...]) -> Node:
        """Add one ad set: ``names[0]`` is its own name, the rest are its ads."""
        low = int(self.random.choice([18, 21, 25, 30, 35]))
        audience = int(self.random.integers(180, 900)) * 1000
        ages = (low, min(65, low + int(self.random.choice([14, 24, 30, 47]))))
        cpm = shop.cpm * float(self.random.uniform(0.75, 1.4))
        depth = (
            plan.budget * float(self.random.uniform(1.2, 2.6)) / (max(1, len(plan.adsets)) if plan.cbo else 1)
        )
        traits = dataclasses.replace(
            shop.traits, cpm=cpm, audience=audience, depth=depth, order_value=shop.order
        )
        node = self.place_adset(shop, campaign, plan, names[0], traits, ages)
        for name in names[1:]:
            self.ad(campaign, node, plan, name)
        return node

    def place_adset(
        self,
        shop: Shop,
        campaign: Node,
        plan: Plan,
        name: str,
        traits: Traits,
        ages: tuple[int, int] = (18, 65),
    ) -> Node:
        """An ad set of exactly these traits, without ads; its budget is the plan's."""
        fields: dict[str, Any] = {
            "name": name,
            "status": "ACTIVE",
            "optimization_goal": GOALS[plan.objective],
            "billing_event": "IMPRESSIONS",
            "start_time": campaign.created + 3600,
            "destination_type": "WEBSITE",
            "targeting": {
                "age_min": ages[0],
                "age_max": ages[1],
                "geo_locations": {"countries": [shop.country], "location_types": ["home", "recent"]},
                "publisher_platforms": ["facebook", "instagram", "audience_network", "messenger"],
                "targeting_automation": {"advantage_audience": 0},
            },
            "attribution_spec": [
                {"event_type": "CLICK_THROUGH", "window_days": 7},
                {"event_type": "VIEW_THROUGH", "window_days": 1},
            ],
        }
        if plan.objective == "OUTCOME_SALES":
            fields["promoted_object"] = {"pixel_id": f"8{shop.digits[1:]}", "custom_event_type": "PURCHASE"}
        if not plan.cbo:
            fields["bid_strategy"] = "LOWEST_COST_WITHOUT_CAP"
            if plan.lifetime:
                fields["lifetime_budget"] = plan.budget
                fields["end_time"] = self.world.start + 20 * DAY
            else:
                fields["daily_budget"] = plan.budget
        return self._node(
            self._id(),
            ADSET,
            campaign.account_id,
            campaign.created + 60,
            fields,
            campaign_id=campaign.id,
            traits=traits,
        )

    def ad(self, campaign: Node, adset: Node, plan: Plan, name: str) -> Node:
        """Add one ad with its creative; its grade decides whether it is a winner or a loser."""
        grade = plan.grade * float(self.random.uniform(0.6, 1.45))
        if name.endswith(" v1") or "Old" in name:
            grade *= 0.35
        sales = plan.objective == "OUTCOME_SALES"
        traits = dataclasses.replace(
            adset.traits,
            ctr=0.0135 * grade,
            quality=grade,
            purchase_rate=(0.044 if sales else 0.005) * grade**0.5,
            lead_rate=0.06 * grade**0.5 if plan.objective == "OUTCOME_LEADS" else 0.0,
            video_rate=0.3 if "Video" in name or "Reel" in name else 0.0,
        )
        return self.place_ad(campaign, adset, name, traits)

    def place_ad(self, campaign: Node, adset: Node, name: str, traits: Traits) -> Node:
        """An ad of exactly these traits, with its creative."""
        creative_id = self._id()
        link = "https://shop.example.com/" + "".join(c if c.isalnum() else "-" for c in name.lower())
        self._node(
            creative_id,
            CREATIVE,
            campaign.account_id,
            adset.created,
            {
                "name": f"{name} creative",
                "title": name,
                "body": f"{name} - try it today.",
                "object_type": "SHARE",
                "status": "ACTIVE",
                "call_to_action_type": "SHOP_NOW",
                "link_url": link,
                "thumbnail_url": f"https://cdn.example.com/thumb/{creative_id}.png",
                "image_url": f"https://cdn.example.com/image/{creative_id}.png",
                "object_story_spec": {
                    "page_id": "100000000000077",
                    "link_data": {"link": link, "message": name, "name": name},
                },
            },
        )
        return self._node(
            self._id(),
            AD,
            campaign.account_id,
            adset.created + 60,
            {"name": name, "status": "ACTIVE", "creative": creative_id},
            campaign_id=campaign.id,
            adset_id=adset.id,
            traits=traits,
        )

    def past(self, name: str, field: str, value: str | int, *, days_ago: float) -> None:
        """A person's edit before the world's first start; it shows in the activities like any other."""
        node = next(node for node in self.world.nodes.values() if node.get("name", self.world.start) == name)
        at = float(int(self.world.start - days_ago * DAY))
        data = {
            "object_id": node.id,
            "field": field,
            "value": value,
            "old": node.get(field, at),
            "lands": at,
            "actor": "10200000000000777",
            "actor_name": "Hanna Human",
            "application_id": "",
        }
        self.world.remember(Entry(seq=0, at=at, kind="set", data=data))

    def _id(self) -> str:
        self._serial += 10
        return str(self._serial)

    def _node(
        self,
        node_id: str,
        kind: str,
        account_id: str,
        born: float,
        fields: dict[str, Any],
        *,
        campaign_id: str = "",
        adset_id: str = "",
        traits: Traits | None = None,
    ) -> Node:
        node = Node(
            id=node_id,
            kind=kind,
            account_id=account_id,
            created=born,
            traits=traits or Traits(),
            campaign_id=node_id if kind == CAMPAIGN else campaign_id,
            adset_id=node_id if kind == ADSET else adset_id,
            fields={name: Timeline(born, value) for name, value in fields.items() if value is not None},
        )
        node.fields["updated_time"] = Timeline(born, born)
        return self.world.add(node)
