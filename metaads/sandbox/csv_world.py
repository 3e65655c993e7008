"""A flat export of ads as a world (``--world csv:PATH``).

One line per ad: its one day, campaign, ad set, targeting, impressions, clicks, spend and two kinds of
conversions. Days are shifted by whole days so that the file's last day is the day before the world's first
start; spend is rounded half up to cents per ad, as Meta shows it. Column names: see ``COLUMNS``.
"""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import pathlib
import zoneinfo

from metaads.sandbox.world.nodes import (
    ACCOUNT,
    AD,
    ADSET,
    CAMPAIGN,
    CREATIVE,
    FixedDay,
    Node,
    Timeline,
    Traits,
)
from metaads.sandbox.world.people import Person
from metaads.sandbox.world.state import World

COLUMNS = (
    "Date",
    "ad_id",
    "xyz_campaign_id",
    "fb_campaign_id",
    "age",
    "gender",
    "interest",
    "Impressions",
    "Clicks",
    "Spent",
    "Total_Conversion",
    "Approved_Conversion",
)
ZONE = "America/New_York"
ACCOUNT_ID = "act_1770000000000007"
GENDERS = {"M": (1, "male"), "F": (2, "female")}


class BadExport(ValueError):
    """The file is missing, or is not such an export."""


def populate(world: World, path: pathlib.Path) -> None:
    """Build one account out of the file."""
    rows = _rows(path)
    last = max(_day(row["Date"]) for row in rows)
    start_day = dt.datetime.fromtimestamp(world.start, zoneinfo.ZoneInfo(ZONE)).date()
    shift = (start_day - dt.timedelta(days=1)) - last
    first = min(_day(row["Date"]) for row in rows) + shift
    born = dt.datetime(first.year, first.month, first.day, tzinfo=zoneinfo.ZoneInfo(ZONE)).timestamp()
    _add(
        world,
        ACCOUNT_ID,
        ACCOUNT,
        born - 86_400,
        {
            "name": path.stem,
            "currency": "USD",
            "timezone_name": ZONE,
            "account_status": 1,
            "disable_reason": 0,
            "is_personal": 0,
            "business": {"id": "977000000000007", "name": "Flat export"},
            "country": "US",
            "spend_cap": "0",
        },
    )
    for row in rows:
        _ad(world, row, born, shift)
    tasks = ("ANALYZE", "ADVERTISE", "MANAGE", "DRAFT", "AA_ANALYZE")
    world.people["alice"] = Person(
        "alice", "10200000000000001", "Alice Agency", "alice@example.com", tasks={ACCOUNT_ID: tasks}
    )
    world.people["charlie"] = Person("charlie", "10200000000000003", "Charlie Outside", "charlie@example.com")


def _rows(path: pathlib.Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise BadExport(f"cannot read {path}: {error.strerror}") from None
    if not rows or not set(COLUMNS) <= set(rows[0]):
        raise BadExport(f"{path} has not the columns {', '.join(COLUMNS)}")
    return rows


def _day(text: str) -> dt.date:
    day, month, year = text.split("-")
    return dt.date(int(year), int(month), int(day))


def _ad(world: World, row: dict[str, str], born: float, shift: dt.timedelta) -> None:
    campaign, adset = row["xyz_campaign_id"], row["fb_campaign_id"]
    low, _, high = row["age"].partition("-")
    number, gender = GENDERS[row["gender"]]
    if campaign not in world.nodes:
        _add(
            world,
            campaign,
            CAMPAIGN,
            born,
            {
                "name": f"Campaign {campaign}",
                "objective": "OUTCOME_SALES",
                "status": "ACTIVE",
                "buying_type": "AUCTION",
                "special_ad_categories": [],
            },
            campaign_id=campaign,
        )
    if adset not in world.nodes:
        _add(
            world,
            adset,
            ADSET,
            born,
            {
                "name": f"{row['age']} {row['gender']} interest {row['interest']}",
                "status": "ACTIVE",
                "daily_budget": 10_000,
                "bid_strategy": "LOWEST_COST_WITHOUT_CAP",
                "optimization_goal": "OFFSITE_CONVERSIONS",
                "billing_event": "IMPRESSIONS",
                "start_time": born,
                "targeting": {
                    "age_min": int(low),
                    "age_max": int(high),
                    "genders": [number],
                    "geo_locations": {"countries": ["US"]},
                    "flexible_spec": [
                        {"interests": [{"id": row["interest"], "name": f"Interest {row['interest']}"}]}
                    ],
                },
            },
            campaign_id=campaign,
            adset_id=adset,
        )
    creative = f"7{row['ad_id']}"
    _add(
        world,
        creative,
        CREATIVE,
        born,
        {"name": f"Creative of ad {row['ad_id']}", "status": "ACTIVE", "object_type": "SHARE"},
    )
    node = _add(
        world,
        row["ad_id"],
        AD,
        born,
        {
            "name": f"Ad {row['ad_id']}",
            "status": "ACTIVE",
            "creative": creative,
            "cell": {"age": row["age"], "gender": gender},
        },
        campaign_id=campaign,
        adset_id=adset,
    )
    cents = (decimal.Decimal(row["Spent"]) * 100).quantize(decimal.Decimal(1), rounding=decimal.ROUND_HALF_UP)
    node.fixed[_day(row["Date"]) + shift] = FixedDay(
        impressions=int(row["Impressions"]),
        clicks=int(row["Clicks"]),
        spend=int(cents),
        leads=int(row["Total_Conversion"]),
        purchases=int(row["Approved_Conversion"]),
    )


def _add(
    world: World,
    node_id: str,
    kind: str,
    born: float,
    fields: dict[str, object],
    *,
    campaign_id: str = "",
    adset_id: str = "",
) -> Node:
    return world.add(
        Node(
            id=node_id,
            kind=kind,
            account_id=ACCOUNT_ID,
            created=born,
            campaign_id=campaign_id,
            adset_id=adset_id,
            fields={name: Timeline(born, value) for name, value in fields.items()}
            | {"updated_time": Timeline(born, born)},
            traits=Traits(audience=5_000_000),
        )
    )
