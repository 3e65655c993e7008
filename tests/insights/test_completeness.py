"""How complete young numbers are: learned from restatements, silent where there is too little to learn from."""

from datetime import timedelta
from decimal import Decimal as D

import pytest

from insights.completeness import LEAST_DAYS, curves, learn
from insights.store.write import Read, upsert
from insights.windows import DAY, LOOKBACK, starts
from tests.insights.conftest import NOW, TODAY, row

pytestmark = pytest.mark.django_db
ZONE = "America/New_York"
NEWEST = TODAY - DAY * (LOOKBACK + 1)
#: Purchases reported by day k after a day's end, as Meta restates them; 40 in the end.
REPORTED = {0: 20, 1: 28, 3: 34, 7: 38, 20: 40}


def restate(account, days, *, per_day=1, late_start=0):
    """Each day read soon after its end and whenever its purchases grew, and once after it froze."""
    reads = []
    for day in days:
        for k, count in REPORTED.items():
            if k >= late_start:
                reads.append((starts(day + DAY * (k + 1), ZONE) + timedelta(hours=1), day, count))
        reads.append((starts(day + DAY * (LOOKBACK + 1), ZONE) + timedelta(hours=1), day, 40))
    for at, day, count in sorted(reads):
        bought = [{"action_type": "omni_purchase", "value": str(count * per_day)}]
        upsert(
            ad_account=account,
            rows=[row(day=day, spend="10.00", impressions="1000", actions=bought)],
            slices=[Read("day", "ad", day)],
            now=at,
        )


def days(count):
    return [NEWEST - DAY * age for age in range(count)]


def test_the_curve_is_what_was_reported_by_then_over_what_there_is_now(ad_account):
    restate(ad_account, days(LEAST_DAYS))
    learn(ad_account=ad_account, now=NOW)
    curve = curves(ad_account)["purchases"]
    want = [max(count for age, count in REPORTED.items() if age <= k) for k in range(LOOKBACK + 1)]
    assert list(curve.shares) == [D(count) / 40 for count in want]
    assert (curve.days, curve.total, curve.learned_at) == (LEAST_DAYS, LEAST_DAYS * 40, NOW)
    assert (curve.settled(D("0.95")), curve.settled(D("0.98")), curve.settled(D("1.1"))) == (7, 20, None)
    assert set(curves(ad_account)["spend"].shares) == {D(1)}


def test_too_few_days_or_too_few_results_teach_nothing(ad_account):
    restate(ad_account, days(LEAST_DAYS - 1))
    assert learn(ad_account=ad_account, now=NOW) == 0
    restate(ad_account, [NEWEST - DAY * (LEAST_DAYS - 1)])
    assert learn(ad_account=ad_account, now=NOW) > 0
    assert "leads" not in curves(ad_account)


def test_days_that_were_first_read_long_after_they_ended_do_not_count(ad_account):
    restate(ad_account, days(LEAST_DAYS), late_start=3)
    assert learn(ad_account=ad_account, now=NOW) == 0


def test_days_that_are_still_restated_do_not_count(ad_account):
    restate(ad_account, days(LEAST_DAYS))
    assert learn(ad_account=ad_account, now=NOW - DAY * LEAST_DAYS) == 0


def test_learning_again_replaces_the_curve_and_forgets_what_is_not_known_any_more(ad_account):
    from insights.models import Completeness

    restate(ad_account, days(LEAST_DAYS))
    learn(ad_account=ad_account, now=NOW)
    Completeness.everything.create(
        ad_account_id=ad_account.pk, base="leads", shares=["1"], days=1, total=1, learned_at=NOW
    )
    learn(ad_account=ad_account, now=NOW + DAY)
    assert "leads" not in curves(ad_account)
    assert curves(ad_account)["purchases"].learned_at == NOW + DAY


def test_the_task_learns_once_a_day(ad_account, clock):
    from insights.tasks import learn_completeness

    restate(ad_account, days(LEAST_DAYS))
    learn_completeness()
    first = curves(ad_account)["purchases"].learned_at
    clock.advance(3600)
    learn_completeness()
    assert curves(ad_account)["purchases"].learned_at == first
    clock.advance(24 * 3600)
    learn_completeness()
    assert curves(ad_account)["purchases"].learned_at > first
