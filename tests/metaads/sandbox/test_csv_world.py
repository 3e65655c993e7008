"""A flat export becomes an account whose totals are the file's, at every level."""

from __future__ import annotations

import collections
import csv
import datetime as dt
import os
import pathlib
from decimal import ROUND_HALF_UP, Decimal

import pytest

from metaads.sandbox.csv_world import COLUMNS, BadExport
from tests.conftest import need
from tests.metaads.sandbox.conftest import Graph, make

ACCOUNT = "act_1770000000000007"
DATA = (
    pathlib.Path(os.environ.get("METAADS_DATA") or pathlib.Path(__file__).parents[4] / "shared" / "data")
    / "facebook_ads_kag.csv"
)
Totals = dict[str, list[Decimal]]
HEAD = ",".join(COLUMNS)


def sums(path: pathlib.Path, column: str) -> Totals:
    """The file's own totals: impressions, clicks, spend, enquiries, purchases by a column ('' = all)."""
    found: Totals = collections.defaultdict(lambda: [Decimal(0)] * 5)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            spend = Decimal(row["Spent"]).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
            numbers = [Decimal(row[name]) for name in ("Impressions", "Clicks")] + [spend]
            numbers += [Decimal(row[name]) for name in ("Total_Conversion", "Approved_Conversion")]
            key = row[column] if column else ACCOUNT.removeprefix("act_")
            found[key] = [old + new for old, new in zip(found[key], numbers, strict=True)]
    return found


def served(graph: Graph, level: str) -> Totals:
    found: Totals = {}
    rows = graph.rows(
        f"{ACCOUNT}/insights",
        level=level,
        fields=f"{level}_id,impressions,clicks,spend,actions",
        date_preset="last_90d",
        limit=2000,
    )
    for row in rows:
        actions = {item["action_type"]: Decimal(item["value"]) for item in row.get("actions", [])}
        found[row[f"{level}_id"]] = [
            Decimal(row["impressions"]),
            Decimal(row["clicks"]),
            Decimal(row["spend"]),
            actions.get("lead", Decimal(0)),
            actions.get("purchase", Decimal(0)),
        ]
    return found


@pytest.mark.data
@pytest.mark.parametrize(
    ("level", "column"),
    [("account", ""), ("campaign", "xyz_campaign_id"), ("adset", "fb_campaign_id"), ("ad", "ad_id")],
)
def test_the_real_files_totals_are_served_at_every_level(level: str, column: str) -> None:
    need("data", DATA.exists(), f"{DATA} is not there")
    graph = make(f"csv:{DATA}")
    assert served(graph, level) == sums(DATA, column)


@pytest.mark.data
def test_the_real_files_known_totals_and_days(tmp_path: pathlib.Path) -> None:
    need("data", DATA.exists(), f"{DATA} is not there")
    graph = make(f"csv:{DATA}")
    assert served(graph, "account")[ACCOUNT.removeprefix("act_")] == [
        Decimal(213434828),
        Decimal(38165),
        Decimal("58705.23"),
        Decimal(3264),
        Decimal(1079),
    ]
    days = graph.rows(
        f"{ACCOUNT}/insights", time_increment=1, fields="spend", date_preset="last_90d", limit=100
    )
    assert (days[0]["date_start"], days[-1]["date_start"], len(days)) == ("2026-10-18", "2026-11-17", 31)


def write(path: pathlib.Path, *lines: str) -> pathlib.Path:
    path.write_text("\n".join([HEAD, *lines]) + "\n", encoding="utf-8")
    return path


def test_cents_are_rounded_half_up_per_ad_and_the_last_day_is_yesterday(tmp_path: pathlib.Path) -> None:
    path = write(
        tmp_path / "two.csv",
        "30-08-2023,1,10,100,30-34,M,15,1000,3,1.125,2,1",
        "31-08-2023,2,10,101,35-39,F,16,500,0,0.005,0,0",
    )
    graph = make(f"csv:{path}")
    rows = graph.rows(
        f"{ACCOUNT}/insights",
        level="ad",
        fields="ad_id,spend,impressions",
        time_increment=1,
        date_preset="last_7d",
    )
    assert {(row["ad_id"], row["spend"], row["date_start"]) for row in rows} == {
        ("1", "1.13", "2026-11-16"),
        ("2", "0.01", "2026-11-17"),
    }
    people = graph.rows(
        f"{ACCOUNT}/insights", fields="impressions", breakdowns="age,gender", date_preset="last_7d"
    )
    assert {(row["age"], row["gender"], row["impressions"]) for row in people} == {
        ("30-34", "male", "1000"),
        ("35-39", "female", "500"),
    }
    targeting = graph.get("100", fields="targeting")["targeting"]
    assert (targeting["age_min"], targeting["age_max"], targeting["genders"]) == (30, 34, [1])


def test_the_account_can_be_changed_and_its_past_stays(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "one.csv", "31-08-2023,1,10,100,30-34,M,15,1000,3,1.5,2,1")
    graph = make(f"csv:{path}")
    assert graph.post("100", daily_budget=2000) == {"success": True}
    graph.sandbox.clock.advance(3 * 86_400)
    assert (
        graph.get(f"{ACCOUNT}/insights", fields="spend", date_preset="last_30d")["data"][0]["spend"] == "1.50"
    )
    assert dt.date(2026, 11, 21) == graph.sandbox.engine.today(ACCOUNT, graph.sandbox.clock.timestamp())


def test_a_missing_or_foreign_file_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(BadExport, match="no-such"):
        make(f"csv:{tmp_path / 'no-such.csv'}")
    foreign = tmp_path / "foreign.csv"
    foreign.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(BadExport, match="columns"):
        make(f"csv:{foreign}")
