"""Named worlds: who there is, what they advertise, and how well it works.

Each builder fills a ``World`` from its seed and first start; nothing here depends on the machine's time.
``demo`` is an agency with three accounts, ``tiny`` is for fast tests, ``zones`` has one account in each
awkward time zone.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

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


class UnknownWorld(ValueError):
    """No world of that name."""


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
    """An ad account to build. Prices in minor units of its currency."""

    digits: str
    name: str
    currency: str
    zone: str
    country: str
    cpm: float
    order: float
    plans: tuple[Plan, ...]
    grain: int = 1


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

    def shop(self, shop: Shop) -> Node:
        """Add an ad account with all its campaigns."""
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
                "account_status": 1,
                "disable_reason": 0,
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
        fields: dict[str, Any] = {
            "name": names[0],
            "status": "ACTIVE",
            "optimization_goal": GOALS[plan.objective],
            "billing_event": "IMPRESSIONS",
            "start_time": campaign.created + 3600,
            "destination_type": "WEBSITE",
            "targeting": {
                "age_min": low,
                "age_max": min(65, low + int(self.random.choice([14, 24, 30, 47]))),
                "geo_locations": {"countries": [shop.country], "location_types": ["home", "recent"]},
                "publisher_platforms": ["facebook", "instagram", "audience_network", "messenger"],
                "targeting_automation": {"advantage_audience": 0},
            },
            "attribution_spec": [
                {"event_type": "CLICK_THROUGH", "window_days": 7},
                {"event_type": "VIEW_THROUGH", "window_days": 1},
            ],
        }
        if not plan.cbo:
            fields["bid_strategy"] = "LOWEST_COST_WITHOUT_CAP"
            if plan.lifetime:
                fields["lifetime_budget"] = plan.budget
                fields["end_time"] = self.world.start + 20 * DAY
            else:
                fields["daily_budget"] = plan.budget
        cpm = shop.cpm * float(self.random.uniform(0.75, 1.4))
        depth = (
            plan.budget * float(self.random.uniform(1.2, 2.6)) / (max(1, len(plan.adsets)) if plan.cbo else 1)
        )
        traits = Traits(cpm=cpm, audience=audience, depth=depth, order_value=shop.order)
        node = self._node(
            self._id(),
            ADSET,
            campaign.account_id,
            campaign.created + 60,
            fields,
            campaign_id=campaign.id,
            traits=traits,
        )
        for name in names[1:]:
            self.ad(campaign, node, plan, name)
        return node

    def ad(self, campaign: Node, adset: Node, plan: Plan, name: str) -> Node:
        """Add one ad with its creative; its grade decides whether it is a winner or a loser."""
        grade = plan.grade * float(self.random.uniform(0.6, 1.45))
        if "Loser" in name or "Old" in name:
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


NORTHWIND = Shop(
    "1010000000000017",
    "Northwind Coffee",
    "USD",
    "America/New_York",
    "US",
    950.0,
    4600.0,
    (
        Plan(
            "Holiday Blend - Sales",
            "OUTCOME_SALES",
            32_000,
            (
                ("Lookalike 1%", "Holiday Blend Video", "Holiday Blend Carousel", "Gift Box"),
                ("Coffee lovers", "Holiday Blend Reel", "Barista Story"),
                ("Retargeting 30d", "Come Back 10%", "Gift Box Reminder"),
            ),
            cbo=True,
            grade=1.25,
        ),
        Plan(
            "Subscriptions - Sales",
            "OUTCOME_SALES",
            9_000,
            (
                ("Broad US", "Monthly Box Video", "Monthly Box Static", "Unboxing Reel"),
                ("Home office", "Desk Coffee", "Desk Coffee Old"),
                ("Espresso fans", "Espresso Kit", "Espresso Kit Reel"),
            ),
            grade=1.1,
        ),
        Plan(
            "Cold Brew - Traffic",
            "OUTCOME_TRAFFIC",
            6_000,
            (
                ("Gym goers", "Cold Brew Can", "Cold Brew Can Loser"),
                ("Students", "Campus Cold Brew", "Exam Week Old"),
            ),
            grade=0.55,
        ),
        Plan(
            "Cafe Openings - Leads",
            "OUTCOME_LEADS",
            12_000,
            (
                ("Brooklyn 5 mi", "Opening Night", "Free Pastry"),
                ("Queens 5 mi", "Opening Night Queens", "Free Pastry Queens"),
            ),
            cbo=True,
        ),
        Plan(
            "Old Roasts - Clearance",
            "OUTCOME_SALES",
            4_500,
            (
                ("Everyone", "Clearance Static Loser", "Clearance Video Loser", "Last Bags"),
                ("Past buyers", "Last Bags Again", "Old Roast"),
            ),
            grade=0.3,
        ),
        Plan(
            "Brand - Awareness",
            "OUTCOME_AWARENESS",
            5_000,
            (("East coast 25-54", "Our Farmers Video", "Our Farmers Reel", "Slow Mornings"),),
            grade=0.7,
        ),
        Plan(
            "Summer Iced - Sales",
            "OUTCOME_SALES",
            8_000,
            (
                ("Summer fans", "Iced Latte", "Iced Latte Reel"),
                ("Beach towns", "Iced Mocha", "Iced Mocha Old"),
            ),
            status="PAUSED",
            age=160,
        ),
    ),
)
KREUZBERG = Shop(
    "1020000000000023",
    "Kreuzberg Keramik",
    "EUR",
    "Europe/Berlin",
    "DE",
    780.0,
    6900.0,
    (
        Plan(
            "Becher - Sales",
            "OUTCOME_SALES",
            4_500,
            (
                ("Lookalike DE", "Becher Video", "Becher Karussell"),
                ("Interessen Keramik", "Teller Set", "Teller Set Old"),
            ),
            grade=1.1,
        ),
        Plan(
            "Werkstatt - Leads",
            "OUTCOME_LEADS",
            3_000,
            (("Berlin 20 km", "Kurs am Abend", "Kurs am Wochenende"),),
            cbo=True,
        ),
        Plan(
            "Katalog - Traffic",
            "OUTCOME_TRAFFIC",
            2_000,
            (("Breit DE", "Katalog", "Katalog Loser"),),
            grade=0.6,
        ),
    ),
)
SAKURA = Shop(
    "1030000000000031",
    "Sakura Stationery",
    "JPY",
    "Asia/Tokyo",
    "JP",
    720.0,
    3800.0,
    (
        Plan(
            "Notebooks - Sales",
            "OUTCOME_SALES",
            12_000,
            (("Tokyo", "Notebook Reel", "Notebook Static"), ("Osaka", "Fountain Pen", "Fountain Pen Video")),
            cbo=True,
            grade=1.2,
        ),
        Plan(
            "Planner - Sales",
            "OUTCOME_SALES",
            5_000,
            (("Students JP", "Planner 2027", "Planner Loser"),),
            grade=0.7,
        ),
    ),
)
TINY = Shop(
    "1910000000000011",
    "Tiny Teapots",
    "USD",
    "America/New_York",
    "US",
    900.0,
    3900.0,
    (
        Plan(
            "Teapots - Sales",
            "OUTCOME_SALES",
            10_000,
            (("Tea lovers", "Blue Teapot", "Red Teapot"), ("Gift buyers", "Gift Teapot")),
            cbo=True,
            grade=1.2,
            age=45,
        ),
        Plan("Cups - Traffic", "OUTCOME_TRAFFIC", 3_000, (("Broad", "Cup", "Cup Loser"),), grade=0.8, age=45),
    ),
)
ZONES = (
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Pacific/Kiritimati",
    "Africa/Cairo",
    "America/Los_Angeles",
    "Europe/London",
    "UTC",
)


def populate(world: World) -> None:
    """Build the world that ``world.name`` names."""
    builders = {"demo": _demo, "tiny": _tiny, "zones": _zones}
    if world.name not in builders:
        raise UnknownWorld(f"no world {world.name!r}; there are: {', '.join(sorted(builders))}, csv:PATH")
    builders[world.name](Builder(world))


def _demo(builder: Builder) -> None:
    accounts = [builder.shop(shop).id for shop in (NORTHWIND, KREUZBERG, SAKURA)]
    builder.person("alice", 1, "Alice Agency", dict.fromkeys(accounts, MANAGE))
    builder.person("bob", 2, "Bob Buyer", {accounts[0]: ("ANALYZE",), accounts[1]: ("ANALYZE", "ADVERTISE")})
    builder.person("charlie", 3, "Charlie Outside", {})
    builder.person("system", 9, "Agency System User", dict.fromkeys(accounts, MANAGE), kind="SYSTEM_USER")


def _tiny(builder: Builder) -> None:
    account = builder.shop(TINY).id
    builder.person("alice", 1, "Alice Agency", {account: MANAGE})
    builder.person("bob", 2, "Bob Buyer", {account: ("ANALYZE",)})
    builder.person("charlie", 3, "Charlie Outside", {})


def _zones(builder: Builder) -> None:
    accounts = []
    for index, zone in enumerate(ZONES):
        plan = Plan(f"Always on {zone}", "OUTCOME_SALES", 5_000, (("Broad", "Static", "Video"),), age=400)
        shop = Shop(f"19200000000000{index:02d}", f"Zone {zone}", "USD", zone, "US", 900.0, 4000.0, (plan,))
        accounts.append(builder.shop(shop).id)
    builder.person("alice", 1, "Alice Agency", dict.fromkeys(accounts, MANAGE))
