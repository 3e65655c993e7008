"""What a question costs: at most so many statements, whatever the account holds."""

from __future__ import annotations

import pytest
from django.core.cache import cache

import insights.analytics as analytics
import insights.rankings as rankings
import insights.rhythms as rhythms
from insights.comparisons import compare
from insights.models import DayRow
from insights.store.write import Read, upsert
from insights.trust import look
from insights.windows import DAY, Period
from tests.insights.conftest import NOW, TODAY, row

pytestmark = pytest.mark.django_db
NAMES = ("spend", "conversions", "cpa", "roas", "ctr", "impressions")


def questions(account, now):
    today = analytics.account_today(account, now)
    span = {"since": today - 6 * DAY, "until": today - DAY, "now": now}
    ad = DayRow.objects.of(account).filter(level="ad", breakdown="").order_by("object_id")[0]

    def table(level, **more):
        return lambda: analytics.table(account, level=level, metrics=NAMES, **span, **more)

    def series(level, one=None):
        return lambda: analytics.series(account, level=level, object_id=one, metrics=NAMES, **span)

    return {
        "account by day": (4, series("account")),
        "campaign by day": (4, series("campaign", ad.campaign_id)),
        "ad set by day": (6, series("adset", ad.adset_id)),
        "ad by day": (4, series("ad", ad.object_id)),
        "campaigns": (5, table("campaign")),  # whole weeks, and the days around them
        "ad sets of a campaign": (4, table("adset", parent_id=ad.campaign_id)),
        "ads of a campaign": (5, table("ad", parent_id=ad.campaign_id)),
        "ads of an ad set": (6, table("ad", parent_id=ad.adset_id)),
        "campaigns by ROAS": (
            5,
            lambda: rankings.rank(account, level="campaign", metric="roas", **span),
        ),
        "against the period before": (
            6,
            lambda: compare(account, against="previous", metrics=NAMES, **span),
        ),
        "heat map": (
            4,
            lambda: rhythms.find_rhythm(account, metric="ctr", family="hour_of_week", weeks=4, now=now),
        ),
    }


def test_every_question_keeps_to_its_statements(synced, clock, django_assert_max_num_queries):
    account = synced.ad_account
    for result in ("omni_purchase", ""):
        account.client.result_action = result
        for name, (most, ask) in questions(account, clock.now()).items():
            # Each ad set's own result: what it is after, and which of them had rows; in a comparison of both periods.
            own = 0 if result else 3 if name == "against the period before" else 2
            cache.clear()
            with django_assert_max_num_queries(most + own, info=f"{name} {result}"):
                assert ask()


def rows_of(account):
    for age in range(1, 5):
        day = TODAY - age * DAY
        reads = [Read("day", level, day) for level in ("ad", "campaign", "account")]
        upsert(ad_account=account, rows=[row(day=day, spend=age, impressions=10)], slices=reads, now=NOW)


def test_one_look_serves_every_answer_about_days_inside_it(ad_account, django_assert_num_queries):
    rows_of(ad_account)
    ad_account.last_contact_at = NOW  # nothing hinders its reads, so no reason is looked for
    asked = {"since": TODAY - 3 * DAY, "until": TODAY - DAY, "metrics": NAMES, "now": NOW}
    alone = analytics.totals(ad_account, **asked)
    cache.clear()
    seen = look(ad_account=ad_account, span=Period(TODAY - 9 * DAY, TODAY), level="account")
    with django_assert_num_queries(1):  # the sums
        assert analytics.totals(ad_account, **asked, seen=seen) == alone
    assert alone.values["spend"] == 6


def test_a_look_is_not_taken_for_days_or_rows_that_it_did_not_see(ad_account):
    rows_of(ad_account)
    seen = look(ad_account=ad_account, span=Period(TODAY - 2 * DAY, TODAY), level="account")
    asked = {"until": TODAY, "metrics": ("spend",), "now": NOW, "seen": seen}
    with pytest.raises(AssertionError):
        analytics.totals(ad_account, since=TODAY - 3 * DAY, **asked)
    with pytest.raises(AssertionError):
        analytics.totals(ad_account, level="campaign", object_id="10", since=TODAY, **asked)
