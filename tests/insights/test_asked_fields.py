"""Requests for insights name only the fields that a stored row is made of."""

from __future__ import annotations

import pytest

from insights.rows import HOUR, read
from metaads.graph.fields import INSIGHTS, INSIGHTS_AD
from tests.insights.conftest import TODAY, wire

pytestmark = pytest.mark.django_db
#: Who a row is about comes by name for every level; a level has the ids above it.
IDS = {"account_id", "campaign_id", "adset_id", "ad_id"}


class Listening(dict):
    """A row that remembers what was looked up in it."""

    def __init__(self, row):
        super().__init__(row)
        self.heard = set()

    def get(self, key, default=None):
        self.heard.add(key)
        return super().get(key, default)

    def __getitem__(self, key):
        self.heard.add(key)
        return super().__getitem__(key)


def looked_up(level, object_id, **more):
    row = Listening({**wire(level, object_id, TODAY, spend="1", impressions=1), **more})
    read(row, level=level)
    return row.heard


def test_every_field_that_is_asked_for_is_read_and_nothing_else_is_asked():
    heard = looked_up("ad", "30") | looked_up("account", "1") | looked_up("campaign", "10")
    assert set(INSIGHTS) - IDS <= heard, set(INSIGHTS) - IDS - heard
    assert "frequency" not in INSIGHTS and not {"ctr", "cpc", "cpm"} & set(INSIGHTS)


def test_a_sync_asks_for_no_ratio_and_for_hours_only_what_an_hour_can_answer(synced, sandbox):
    asked = [
        one["params"]
        for one in sandbox.history
        if one["path"].endswith("/insights") and one["method"] == "GET"
    ]
    hourly = [one for one in asked if HOUR in one.get("breakdowns", "")]
    assert asked and hourly
    for one in asked:
        known = INSIGHTS_AD if one.get("level") == "ad" else INSIGHTS
        assert set(one["fields"].split(",")) <= set(known)
    for one in hourly:
        counts = {"spend", "impressions", "clicks", "inline_link_clicks"}
        assert set(one["fields"].split(",")) <= counts | IDS | {"date_start", "date_stop"}
