"""The real ads of the file: totals served by `analytics` equal the file's at account, campaign, ad-set and ad level."""

import csv
import os
from collections import defaultdict
from decimal import ROUND_HALF_UP
from decimal import Decimal as D
from pathlib import Path

import pytest

from insights.analytics import account_today, table
from insights.fetch import first_sync
from insights.windows import DAY
from tests.conftest import need

FILE = (
    Path(os.environ.get("METAADS_DATA") or Path(__file__).parents[3] / "shared" / "data")
    / "facebook_ads_kag.csv"
)
pytestmark = [pytest.mark.django_db, pytest.mark.data]
NAMES = ("spend", "impressions", "clicks", "leads", "purchases", "conversions")


def numbers(lines):
    """level -> Meta's id in the file -> sums, read without the sandbox."""
    found = {
        level: defaultdict(lambda: dict.fromkeys(NAMES, D(0)))
        for level in ("account", "campaign", "adset", "ad")
    }
    for line in lines:
        keys = {
            "account": "",
            "campaign": line["xyz_campaign_id"],
            "adset": line["fb_campaign_id"],
            "ad": line["ad_id"],
        }
        values = {
            "spend": D(line["Spent"]).quantize(D("0.01"), ROUND_HALF_UP),
            "impressions": D(line["Impressions"]),
            "clicks": D(line["Clicks"]),
            "leads": D(line["Total_Conversion"]),
            "purchases": D(line["Approved_Conversion"]),
            "conversions": D(line["Approved_Conversion"]),
        }
        for level, key in keys.items():
            for name, value in values.items():
                found[level][key][name] += value
    return found


@pytest.fixture
def csv_account(agency, clock):
    from accounts.ad_accounts import enable
    from accounts.connections import connect
    from accounts.models import AdAccount
    from metaads.gateway import plugged
    from metaads.sandbox.app import Sandbox
    from tests.door import WSGIAdapter

    need("data", FILE.is_file(), f"{FILE} is not there")
    box = Sandbox(world=f"csv:{FILE}", seed=7, clock=clock)
    with plugged(WSGIAdapter(box)):
        now = clock.now()
        connect(client=agency.northwind, principal=agency.principals.alice, token=box.token("alice"), now=now)
        account = AdAccount.objects.of(agency.northwind).get()
        yield enable(ad_account=account, principal=agency.principals.alice, now=now)


def test_totals_at_every_level_equal_the_file_s(csv_account, clock):
    with FILE.open(newline="") as handle:
        wanted = numbers(list(csv.DictReader(handle)))
    run = first_sync(ad_account=csv_account, days=60, now=clock.now())
    assert run.state == "done", run.sentence
    today = account_today(csv_account, clock.now())
    period = {"since": today - 59 * DAY, "until": today}
    for level, by_key in wanted.items():
        found = table(csv_account, level=level, **period, metrics=NAMES, now=clock.now())
        assert found.header.trust.state == "ready"
        got = {row.object_id: dict(row.values) for row in found.rows}
        if level == "account":
            assert list(got.values()) == list(by_key.values())
            assert got[csv_account.meta_id]["spend"] == D("58705.23")
            assert got[csv_account.meta_id]["impressions"] == 213_434_828
        else:
            delivered = {key: values for key, values in by_key.items() if any(values.values())}
            assert {key: values for key, values in got.items() if any(values.values())} == delivered
