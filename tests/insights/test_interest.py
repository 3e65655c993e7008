"""Why fresh numbers are wanted: the later report of a reason replaces it, and one that still holds is not rewritten."""

from __future__ import annotations

from datetime import timedelta

import pytest

from insights.interest import report, report_all, weights
from insights.models import Interest
from tests.conftest import START

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def rows():
    return {
        (row.ad_account_id, row.reason): (row.weight, row.until - START) for row in Interest.everything.all()
    }


def test_the_later_report_of_a_reason_replaces_it_and_another_reason_stands_beside_it():
    report(ad_account_id=1, reason="watching", weight=10, until=START + MINUTE)
    report(ad_account_id=1, reason="watching", weight=3, until=START + 2 * MINUTE)
    report(ad_account_id=1, reason="close to a limit", weight=5, until=START + MINUTE)
    assert rows() == {(1, "watching"): (3, 2 * MINUTE), (1, "close to a limit"): (5, MINUTE)}
    assert weights(now=START) == {1: 5}


def test_several_accounts_take_one_statement(django_assert_num_queries):
    with django_assert_num_queries(1):
        report_all(ad_account_ids=[3, 1, 2, 1], reason="watching", weight=10, until=START + MINUTE)
    assert set(rows()) == {(1, "watching"), (2, "watching"), (3, "watching")}
    with django_assert_num_queries(0):
        report_all(ad_account_ids=[], reason="watching", weight=10, until=START)


def test_one_that_holds_long_enough_is_left_alone_and_one_that_has_aged_or_weighs_otherwise_is_not():
    for pk, (weight, until) in enumerate(((10, 1.0), (10, 0.5), (9, 1.0)), start=1):
        report(ad_account_id=pk, reason="watching", weight=weight, until=START + until * MINUTE)
    report_all(
        ad_account_ids=[1, 2, 3, 4],
        reason="watching",
        weight=10,
        until=START + 2 * MINUTE,
        unless=START + 0.7 * MINUTE,
    )
    aged = (10, 2 * MINUTE)
    assert [rows()[pk, "watching"] for pk in (1, 2, 3, 4)] == [(10, MINUTE), aged, aged, aged]
