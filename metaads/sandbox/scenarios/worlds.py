"""Named worlds: who there is, what they advertise, and how well it works.

Each builder fills a ``World`` from its seed and first start; nothing here depends on the machine's time. ``demo`` is an
agency with three accounts, ``tiny`` is for fast tests, ``zones`` has one account in each awkward time zone,
``currencies`` four small accounts that differ in money, zone and what their campaigns are after, ``many`` is a big
agency's list of accounts, one in each status that Meta knows, ``bench`` one account of a thousand ads for benchmarks.
"""

from __future__ import annotations

from metaads.sandbox.scenarios.builder import MANAGE, Builder, Plan, Shop
from metaads.sandbox.world.nodes import Traits
from metaads.sandbox.world.state import World


class UnknownWorld(ValueError):
    """No world of that name."""


#: Every account_status that Meta names (reference 5.1).
STATUSES = (1, 2, 3, 7, 8, 9, 100, 101, 201, 202)

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
                ("Gym goers", "Cold Brew Can", "Cold Brew Can v1"),
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
                ("Everyone", "Clearance Static v1", "Clearance Video v1", "Last Bags"),
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
            (("Breit DE", "Katalog", "Katalog v1"),),
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
            (("Students JP", "Planner 2027", "Planner v1"),),
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
        Plan("Cups - Traffic", "OUTCOME_TRAFFIC", 3_000, (("Broad", "Cup", "Cup v1"),), grade=0.8, age=45),
    ),
)


# What people did in Ads Manager before the world's first start: object by name, field, value, days ago.
DEMO_PAST: tuple[tuple[str, str, str | int, float], ...] = (
    ("Holiday Blend - Sales", "daily_budget", 27_000, 41.3),
    ("Holiday Blend - Sales", "daily_budget", 32_000, 19.6),
    ("Broad US", "daily_budget", 11_000, 12.4),
    ("Barista Story", "status", "PAUSED", 33.2),
    ("Barista Story", "status", "ACTIVE", 24.7),
    ("Exam Week Old", "status", "PAUSED", 9.1),
    ("Students", "daily_budget", 4_500, 6.5),
    ("Last Bags Again", "forced_status", "DISAPPROVED", 15.8),
    ("Teller Set Old", "status", "PAUSED", 21.4),
    ("Becher - Sales", "name", "Becher - Verkauf", 11.9),
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


#: Currency, zone, country, cost of a thousand impressions, an order's worth, a day's budget (all in minor units).
CURRENCIES = (
    ("USD", "America/Los_Angeles", "US", 900.0, 4_000.0, 6_000),
    ("JPY", "Asia/Tokyo", "JP", 720.0, 3_800.0, 5_000),
    ("HUF", "Europe/Budapest", "HU", 1_100.0, 14_000.0, 9_000),
    ("BHD", "America/Los_Angeles", "BH", 340.0, 1_500.0, 2_200),
)


#: Every step to an order has a number and a worth of its own, so that no two can be taken for each other.
STEPS = Traits(
    view_share=0.62,
    checkout_rate=0.05,
    registration_rate=0.03,
    worths=(1.0, 0.31, 0.83, 0.57, 0.19),
)


def populate(world: World) -> None:
    """Build the world that ``world.name`` names."""
    builders = {
        "demo": _demo,
        "tiny": _tiny,
        "zones": _zones,
        "currencies": _currencies,
        "many": _many,
        "tracking_break": _tracking_break,
        "runaway": _runaway,
        "bench": _bench,
    }
    if world.name not in builders:
        raise UnknownWorld(
            f"no world {world.name!r}; there are: {', '.join(sorted(builders))}, csv:PATH, lab:PATH#NAME"
        )
    builders[world.name](Builder(world))


def _demo(builder: Builder) -> None:
    """An agency's three accounts, with a past: people have raised, cut and paused, and one ad was rejected."""
    accounts = [builder.shop(shop).id for shop in (NORTHWIND, KREUZBERG, SAKURA)]
    for name, field, value, days_ago in DEMO_PAST:
        builder.past(name, field, value, days_ago=days_ago)
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


def _currencies(builder: Builder) -> None:
    """In each account a campaign for purchases with a video, one for leads, and one for link clicks."""
    accounts = []
    for index, (currency, zone, country, cpm, order, budget) in enumerate(CURRENCIES):
        plans = (
            Plan(
                "Sales",
                "OUTCOME_SALES",
                2 * budget,
                (("Lookalike", "Video", "Static"), ("Retargeting", "Reminder")),
                cbo=True,
                grade=1.4,
                age=100,
            ),
            Plan("Leads", "OUTCOME_LEADS", budget, (("Nearby", "Free trial"),), age=100),
            Plan("Traffic", "OUTCOME_TRAFFIC", budget, (("Broad", "Reel"),), age=20),
        )
        shop = Shop(
            f"19400000000000{index:02d}",
            f"{currency} shop",
            currency,
            zone,
            country,
            cpm,
            order,
            plans,
            traits=STEPS,
        )
        accounts.append(builder.shop(shop).id)
    builder.person("alice", 1, "Alice Agency", dict.fromkeys(accounts, MANAGE))


def _many(builder: Builder) -> None:
    """230 accounts without campaigns: three pages of a hundred. The first ten have one status each."""
    accounts = []
    for index in range(230):
        shop = Shop(f"1930000000000{index:03d}", f"Shop {index:03d}", "USD", "UTC", "US", 900.0, 4000.0, ())
        status = STATUSES[index] if index < len(STATUSES) else 1
        reason = 3 if status == 2 else 0
        accounts.append(builder.shop(shop, status=status, reason=reason).id)
    builder.person("alice", 1, "Alice Agency", dict.fromkeys(accounts, MANAGE))
    builder.person("bob", 2, "Bob Buyer", dict.fromkeys(accounts[:1], ("ANALYZE",)))


def _tracking_break(builder: Builder) -> None:
    """``tiny``, whose pixel has been silent for two days: money runs, clicks come, no purchase is reported."""
    _tiny(builder)
    builder.past("Tiny Teapots", "tracking", "lost", days_ago=2)


def _runaway(builder: Builder) -> None:
    """``tiny``, where a person typed two zeros too many this morning."""
    _tiny(builder)
    builder.past("Teapots - Sales", "daily_budget", 1_000_000, days_ago=0.2)


def _bench(builder: Builder) -> None:
    """50 campaigns of 4 ad sets of 5 ads, all of them older than 90 days: 90,000 ad-days."""
    adsets = tuple((f"Set {part}", *(f"Ad {part}{letter}" for letter in "ABCDE")) for part in range(1, 5))
    plans = tuple(
        Plan(f"Campaign {number:02d} - Sales", "OUTCOME_SALES", 40_000, adsets, age=100)
        for number in range(50)
    )
    shop = Shop("1950000000000001", "Bench", "USD", "UTC", "US", 900.0, 4000.0, plans)
    builder.person("alice", 1, "Alice Agency", {builder.shop(shop).id: MANAGE})
