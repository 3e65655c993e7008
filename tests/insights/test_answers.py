"""A repeated question reads no fact; data that moved is read anew; nobody meets another account's answer."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from insights.analytics import series, table, totals
from insights.store.write import Reached, Read, keep_reach, upsert
from insights.windows import DAY, Period, last
from tests.insights.conftest import NOW, TODAY, row

pytestmark = pytest.mark.django_db
YESTERDAY = TODAY - DAY
FACTS = (
    "dayrow",
    "hourrow",
    "campaignday",
    "campaignweek",
    "adsetmonth",
    "accountday",
    "accounthour",
    "periodreach",
    "windowsum",
)


def store(account, spend, minutes=0):
    upsert(
        ad_account=account,
        rows=[row(day=YESTERDAY, spend=spend, impressions="100", reach="60")],
        slices=[Read("day", level, YESTERDAY) for level in ("ad", "campaign", "account")],
        now=NOW + timedelta(minutes=minutes),
    )


def fact_reads(ask):
    with CaptureQueriesContext(
        connection,
    ) as seen:
        answer = ask()
    return answer, [one["sql"] for one in seen if any(f"insights_{name}" in one["sql"] for name in FACTS)]


def questions(account):
    period = {"since": YESTERDAY, "until": YESTERDAY, "now": NOW + timedelta(hours=1)}
    names = ("spend", "reach", "frequency", "cpm")
    return (
        lambda: totals(account, metrics=names, **period),
        lambda: table(account, level="campaign", metrics=names, **period),
        lambda: table(account, level="ad", parent_id="10", metrics=names, **period),
        lambda: series(account, level="account", metrics=names, **period),
        lambda: series(account, level="account", metrics=("spend",), by="hour", **period),
    )


def test_a_repeat_reads_no_fact_and_answers_the_same(ad_account):
    store(ad_account, "5.00")
    for ask in questions(ad_account):
        first, read = fact_reads(ask)
        again, repeated = fact_reads(ask)
        assert read and not repeated
        assert again == first


def test_data_that_moved_is_read_anew_and_what_did_not_move_is_not(ad_account):
    store(ad_account, "5.00")
    ask = questions(ad_account)[0]
    assert ask().values["spend"] == 5
    store(ad_account, "5.00", minutes=1)
    assert not fact_reads(ask)[1]
    store(ad_account, "6.50", minutes=2)
    answer, read = fact_reads(ask)
    assert read and answer.values["spend"] == 6.5


def test_a_new_reach_is_new_data(ad_account, django_capture_on_commit_callbacks):
    from insights.signals import data_arrived

    store(ad_account, "5.00")
    week = last(7, TODAY)

    def ask():
        return totals(ad_account, since=week.since, until=week.until, metrics=("reach",), now=NOW).values[
            "reach"
        ]

    def keep(people):
        found = Reached("account", Period(week.since, week.until), tuple(people))
        keep_reach(ad_account=ad_account, found=[found], now=NOW)

    assert ask() is None
    keep([("1", 400)])
    assert ask() == 400
    heard = []

    def listen(**kwargs):
        heard.append(kwargs["data_version"])

    data_arrived.connect(listen)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            keep([("1", 400)])
        assert heard == []
        with django_capture_on_commit_callbacks(execute=True):
            keep([("1", 410)])
        assert len(heard) == 1
    finally:
        data_arrived.disconnect(listen)
    assert ask() == 410


def test_two_accounts_with_the_same_question_have_an_answer_each(ad_account, agency):
    from accounts.models import AdAccount

    other = AdAccount.everything.create(
        client=agency.southwind, meta_id="2", name="Other", currency="USD", timezone_name="America/New_York"
    )
    store(ad_account, "5.00")
    store(other, "9.00")
    for account, spend in ((ad_account, 5), (other, 9), (ad_account, 5), (other, 9)):
        assert questions(account)[0]().values["spend"] == spend


def test_a_cache_that_is_away_costs_a_query_and_no_answer(ad_account, settings):
    store(ad_account, "5.00")
    away = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": away}
    for _ in range(2):
        answer, read = fact_reads(questions(ad_account)[0])
        assert read and answer.values["spend"] == 5
