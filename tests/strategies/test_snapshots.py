"""What is read for a document: hours, whole lives, what stands around an object, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from campaigns.models import Ad, AdSet, Campaign
from insights.models import DayRow
from insights.rows import read
from strategies import snapshots
from strategies.engine.language import parse_document
from strategies.engine.types import Trust
from tests.strategies.test_documents import above, rule

pytestmark = pytest.mark.django_db


def build(shop, when, *, level="adset", do=({"action": "pause"},), **more):
    document = parse_document(rule(when, *do, level=level))
    found = snapshots.build(ad_account=shop.ad_account, now=shop.clock.now(), document=document, **more)
    return found, {one.object_id: one for one in found.subjects}


def plant_hours(shop, spend):
    """(day, hour label) -> spend of campaign 10."""
    from insights.store.write import Read, upsert

    rows = [
        read(
            {
                "account_id": "1",
                "campaign_id": "10",
                "date_start": day.isoformat(),
                "date_stop": day.isoformat(),
                "spend": amount,
                "impressions": "100",
                "clicks": "1",
                "hourly_stats_aggregated_by_advertiser_time_zone": f"{hour:02}:00:00 - {hour:02}:59:59",
            },
            level="campaign",
        )
        for (day, hour), amount in spend.items()
    ]
    days = {day for day, _ in spend}
    slices = [Read("hour", "campaign", day, True) for day in days]
    upsert(ad_account=shop.ad_account, rows=rows, slices=slices, now=shop.clock.now())


def test_hours_are_the_full_ones_of_the_accounts_clock_before_the_running_one(shop):
    """It is 10:00 in New York, so the hour 9 is the last full one; and 20:30 in Kolkata, where 19 is."""
    today = shop.today
    plant_hours(shop, {(today, hour): str(2**place) for place, hour in enumerate((7, 8, 9, 10, 18, 19, 20))})
    found, by_id = build(shop, above("spend", "1", window="last_2h"), level="campaign")
    assert by_id["10"].values["last_2h"]["spend"] == 2 + 4
    assert by_id["10"].values["last_2h"]["conversions"] is None
    assert (found.looks["last_2h"].since, found.looks["last_2h"].trust) == (None, Trust.READY)
    _, ads = build(shop, above("spend", "1", window="last_2h", of="account"), level="ad")
    assert ads["32"].around["account"]["last_2h"]["spend"] == 6
    shop.ad_account.timezone_name = "Asia/Kolkata"
    shop.ad_account.save()
    _, by_id = build(shop, above("spend", "1", window="last_2h"), level="campaign")
    assert by_id["10"].values["last_2h"]["spend"] == 16 + 32


def test_hours_go_over_midnight(shop):
    yesterday = shop.today - timedelta(days=1)
    plant_hours(shop, {(yesterday, 23): "3", (shop.today, 0): "5", (shop.today, 9): "7"})
    _, by_id = build(shop, above("spend", "1", window="last_11h"), level="campaign")
    assert by_id["10"].values["last_11h"]["spend"] == 15
    _, by_id = build(shop, above("spend", "1", window="last_10h"), level="campaign")
    assert by_id["10"].values["last_10h"]["spend"] == 12


def test_a_whole_life_is_known_of_what_was_made_since_days_were_read(shop):
    now = shop.clock.now()
    AdSet.objects.of(shop.northwind).filter(meta_id="22").update(created_time=now - timedelta(days=7))
    AdSet.objects.of(shop.northwind).filter(meta_id="21").update(created_time=now - timedelta(days=8))
    found, by_id = build(shop, above("spend", "1", window="lifetime"))
    assert found.looks["lifetime"].since == shop.today - timedelta(days=7)
    assert by_id["22"].values["lifetime"]["spend"] == 8 * 12
    assert by_id["21"].values["lifetime"]["spend"] is None
    assert by_id["23"].values["lifetime"]["spend"] is None  # when it was made is not known


@pytest.mark.parametrize(("result", "conversions"), [("omni_purchase", 0), ("", None)])
def test_what_has_no_rows_delivered_nothing_where_all_days_were_read(shop, result, conversions):
    """Where nobody says what counts as a result, no rows are no results of an unknown kind."""
    shop.ad_account.client.result_action = result
    _, by_id = build(shop, {"all": [above("purchases", "1"), above("cpc", "1"), above("conversions", "1")]})
    values = by_id["24"].values["last_7d"]
    assert (values["spend"], values["purchases"], values["cpc"]) == (0, 0, None)
    assert values["conversions"] == conversions


def test_an_object_has_the_figures_of_what_it_is_in(shop):
    wish = {"all": [above("spend", "1", of=whose) for whose in ("parent", "campaign", "account")]}
    _, ads = build(shop, wish, level="ad")
    around = {whose: values["last_7d"]["spend"] for whose, values in ads["32"].around.items()}
    assert around == {"parent": 84, "campaign": Decimal("168.70"), "account": Decimal("168.70")}
    assert ads["32"].values == {}
    _, campaigns = build(shop, above("spend", "1", of="parent"), level="campaign")
    assert campaigns["10"].around["parent"]["last_7d"]["spend"] == Decimal("168.70")


def test_an_ad_is_in_learning_when_its_ad_set_is_and_knows_its_campaign(shop):
    AdSet.objects.of(shop.northwind).filter(meta_id="22").update(learning_stage="LEARNING")
    Campaign.objects.of(shop.northwind).update(objective="OUTCOME_SALES")
    Ad.objects.of(shop.northwind).filter(meta_id="32").update(created_time=shop.clock.now())
    _, ads = build(shop, above("spend", "1"), level="ad")
    assert {one: ad.learning_stage for one, ad in ads.items()} == {
        "31": None, "32": "LEARNING", "33": None, "34": None
    }  # fmt: skip
    assert (ads["32"].objective, ads["32"].campaign_id, ads["32"].parent_id) == ("OUTCOME_SALES", "10", "22")
    assert ads["32"].created == shop.clock.now()


def test_targets_are_the_clients_and_absent_where_not_set(shop):
    found, _ = build(shop, above("cpa", "1"))
    assert found.targets == {}
    shop.ad_account.client.target_cpa = Decimal("12.5")
    found, _ = build(shop, above("cpa", "1"))
    assert found.targets == {"cpa": Decimal("12.5")}


def test_one_window_that_is_read_in_part_does_not_spoil_another(shop):
    found, _ = build(
        shop, {"all": [above("spend", "1", window="last_3d"), above("spend", "1", window="last_14d")]}
    )
    assert (found.looks["last_3d"].trust, found.looks["last_14d"].trust) == (Trust.READY, Trust.PARTIAL)
    assert found.trust is Trust.PARTIAL


def test_only_the_levels_that_are_asked_for_are_read(shop, django_assert_max_num_queries):
    DayRow.everything.filter(level="campaign").delete()
    with django_assert_max_num_queries(14):
        found, _ = build(shop, above("spend", "1"))
    assert {one.level for one in found.subjects} == {"adset"}
