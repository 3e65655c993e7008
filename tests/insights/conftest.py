"""An enabled ad account without a sandbox behind it, and rows by hand."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from insights.rows import read
from tests.campaigns.conftest import desk  # noqa: F401 - for whoever needs the change path below

NOW = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
TODAY = date(2026, 11, 18)


def wire(level="ad", object_id="30", day=TODAY, **numbers):
    """A row as Meta writes it; ids of parents follow from the ad's number (ad 31 -> ad set 20, campaign 10)."""
    row = {"account_id": "1", "date_start": day.isoformat(), "date_stop": day.isoformat()}
    if level in ("campaign", "adset", "ad"):
        row["campaign_id"] = "10"
    if level in ("adset", "ad"):
        row["adset_id"] = "20"
    row[{"account": "account_id", "campaign": "campaign_id", "adset": "adset_id", "ad": "ad_id"}[level]] = (
        object_id
    )
    return {
        **row,
        **{name: value if isinstance(value, list) else str(value) for name, value in numbers.items()},
    }


def row(level="ad", object_id="30", day=TODAY, **numbers):
    return read(wire(level, object_id, day, **numbers), level=level)


def money(micro):
    return Decimal(micro) / 1_000_000


@pytest.fixture
def ad_account(agency):
    from accounts.models import AdAccount

    return AdAccount.everything.create(
        client=agency.northwind,
        meta_id="1",
        name="Shop",
        currency="USD",
        timezone_name="America/New_York",
        enabled_at=NOW,
    )
