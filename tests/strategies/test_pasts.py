"""The days that rates are weighed on: where they begin, what the account teaches, how they are kept."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

import strategies.cycle as cycle
import strategies.decisions as decisions
from strategies.models import Decision
from strategies.pasts import UNLEARNED, opened
from tests.strategies.conftest import FIGURES, plant


def look(shop, strategy):
    snapshot = cycle.look(strategy=strategy, now=shop.clock.now())
    return snapshot, {one.object_id: one.past for one in snapshot.subjects}


@pytest.mark.parametrize(
    ("today", "first"),
    [
        (date(2026, 11, 1), date(2026, 10, 1)),
        (date(2026, 11, 30), date(2026, 10, 1)),
        (date(2027, 1, 31), date(2026, 12, 1)),
    ],
)
def test_the_start_stands_still_for_a_month(today, first):
    assert opened(today) == first


def test_only_objects_that_look_as_a_rule_needs_it_get_their_days(shop, strategy):
    snapshot, pasts = look(shop, strategy)
    assert pasts["10"] is None and pasts["24"] is None
    first = shop.today - timedelta(days=7)
    assert (pasts["22"].since, len(pasts["22"].days["spend"])) == (first, 8)
    assert pasts["22"].days["clicks"] == (Decimal(8),) * 8
    assert pasts["22"].day_gone == Decimal("0.417")  # ten in the morning
    assert snapshot.grounds["adset clicks per impressions"].shares == (Decimal(1),)
    assert snapshot.tolerated == 5


def test_an_account_with_few_days_is_taken_to_have_uneven_ones(shop, strategy):
    plant(shop, {"22": FIGURES["22"]})
    snapshot, _ = look(shop, strategy)
    assert snapshot.grounds["adset clicks per impressions"].variation in (Decimal(0), UNLEARNED)


def test_who_starts_again_what_was_stopped_has_it_judged_anew(shop, strategy):
    from campaigns.changes.ledger import Actor, record

    when = shop.clock.now() - timedelta(days=2)
    for after, at in (("ACTIVE", when), ("PAUSED", shop.clock.now())):
        record(
            ad_account_id=shop.ad_account.pk, client_id=shop.northwind.pk, kind="edit", now=at,
            by=Actor("outside"), level="adset", object_id="22", field="status", before="", after=after,
        )  # fmt: skip
    _, pasts = look(shop, strategy)
    assert pasts["22"].since == shop.today - timedelta(days=2)
    assert pasts["21"].since == shop.today - timedelta(days=7)


def test_the_clients_share_of_wrong_calls_is_asked(shop, strategy):
    shop.ad_account.client.wrong_calls_percent = Decimal("0.5")
    strategy.ad_account = shop.ad_account
    assert look(shop, strategy)[0].tolerated == Decimal("0.5")


def test_the_number_of_questions_does_not_depend_on_the_number_of_objects(shop, strategy):
    from django.core.cache import cache
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    found = []
    for figures in ({"22": FIGURES["22"]}, FIGURES):
        plant(shop, figures)
        cache.clear()
        with CaptureQueriesContext(connection) as asked:
            look(shop, strategy)
        found.append(len(asked))
    assert found[0] == found[1]


def test_a_record_with_its_days_judges_to_the_same_again(shop, strategy):
    cycle.run(strategy=strategy, now=shop.clock.now())
    for row in Decision.objects.of(shop.northwind):
        again = decisions.replay(row)
        assert (again.verdict.value, again.reason_code, again.reason) == (
            row.verdict,
            row.reason_code,
            row.reason,
        )
        assert [decisions.case_json(case) for case in again.cases] == row.record["cases"]
    kept = Decision.objects.of(shop.northwind).get(object_id="22").record
    assert kept["subject"]["past"]["days"]["clicks"] == "8 8 8 8 8 8 8 8"
    assert kept["snapshot"]["tolerated"] == "5"
