"""A repeated question reads no fact; data that moved is read anew; nobody meets another account's answer."""

from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from insights.analytics import as_known_at, series, table, totals, windows
from insights.breakdowns import cells
from insights.rows import read
from insights.store.write import Reached, Read, keep_reach, upsert
from insights.windows import DAY, Period, last
from tests.insights.conftest import NOW, TODAY, row, wire

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
    "revision",
)
AT = NOW + timedelta(hours=1)


def store(account, spend, minutes=0):
    bought = [{"action_type": "purchase", "value": "3", "1d_click": "2"}]
    numbers = {"spend": spend, "impressions": "100", "reach": "60", "actions": bought}
    upsert(
        ad_account=account,
        rows=[row(day=YESTERDAY, **numbers)],
        slices=[Read("day", level, YESTERDAY) for level in ("ad", "adset", "campaign", "account")],
        now=NOW + timedelta(minutes=minutes),
    )
    whole = wire("account", account.meta_id, YESTERDAY, **numbers)
    upsert(
        ad_account=account,
        rows=[read({**whole, "age": "25-34"}, level="account", breakdowns=("age",))],
        slices=[Read("day", "account", YESTERDAY, breakdown="age")],
        now=NOW + timedelta(minutes=minutes),
    )


def fact_reads(ask):
    with CaptureQueriesContext(
        connection,
    ) as seen:
        answer = ask()
    return answer, [one["sql"] for one in seen if any(f"insights_{name}" in one["sql"] for name in FACTS)]


def questions(account):
    period = {"since": YESTERDAY, "until": YESTERDAY, "now": AT}
    names = ("spend", "reach", "frequency", "cpm")
    return (
        lambda: totals(account, metrics=names, **period),
        lambda: table(account, level="campaign", metrics=names, **period),
        lambda: table(account, level="ad", parent_id="10", metrics=names, **period),
        lambda: series(account, level="account", metrics=names, **period),
        lambda: series(account, level="account", metrics=("spend",), by="hour", **period),
        *(
            lambda ask=ask: ask(
                account, metrics=("spend", "cpa", "purchases"), attribution="1d_click", **period
            )
            for ask in (totals, partial(table, level="ad"), partial(series, level="campaign", object_id="10"))
        ),
        lambda: parts(account, YESTERDAY),
        lambda: windows(account, level="campaign", now=AT),
        lambda: windows(account, level="account", attribution="1d_click", days=1, now=AT),
        lambda: then(account, AT),
    )


def parts(account, *days):
    return cells(
        account, level="account", object_id=account.meta_id, period=Period(days[0], days[-1]), breakdowns=("age",),
        metrics=("spend", "reach", "cpm"), now=AT,
    )  # fmt: skip


def then(account, at):
    return as_known_at(account, at=at, level="ad", since=YESTERDAY, until=YESTERDAY, metrics=("spend", "cpa"))


def test_a_repeat_reads_no_fact_and_answers_the_same(ad_account):
    store(ad_account, "5.00")
    for ask in questions(ad_account):
        first, read = fact_reads(ask)
        again, repeated = fact_reads(ask)
        assert read and not repeated
        assert again == first


def test_an_answer_about_the_past_is_kept_for_its_instant_alone(ad_account):
    store(ad_account, "5.00")
    store(ad_account, "6.50", minutes=30)
    for minutes, spend in ((10, 5), (40, 6.5), (10, 5), (40, 6.5)):
        (found,) = then(ad_account, NOW + timedelta(minutes=minutes)).rows
        assert found.values["spend"] == spend
    # A day that was read to the end since, without a row: no new data, and no answer of before.
    early = as_known_at(
        ad_account, at=AT, level="ad", since=YESTERDAY - DAY, until=YESTERDAY, metrics=("spend",)
    )
    upsert(ad_account=ad_account, rows=[], slices=[Read("day", "ad", YESTERDAY - DAY)], now=NOW)
    late = as_known_at(
        ad_account, at=AT, level="ad", since=YESTERDAY - DAY, until=YESTERDAY, metrics=("spend",)
    )
    assert (early.unread, late.unread) == (1, 0)


def test_parts_are_kept_for_the_days_that_were_read(ad_account):
    store(ad_account, "5.00")
    (one,) = parts(ad_account, YESTERDAY - DAY, YESTERDAY).cells
    assert (one.values["spend"], one.values["reach"]) == (5, None)
    assert parts(ad_account, YESTERDAY).cells[0].values["reach"] == 60
    upsert(
        ad_account=ad_account,
        rows=[],
        slices=[Read("day", "account", YESTERDAY, complete=False, breakdown="age")],
        now=NOW + timedelta(minutes=1),
    )
    assert parts(ad_account, YESTERDAY).cells == ()


def test_data_that_moved_is_read_anew_and_what_did_not_move_is_not(ad_account):
    store(ad_account, "5.00")
    every = questions(ad_account)
    first, *_ = [ask() for ask in every]
    assert first.values["spend"] == 5
    store(ad_account, "5.00", minutes=1)
    assert not any(fact_reads(ask)[1] for ask in every)
    store(ad_account, "6.50", minutes=2)
    for ask in every:
        assert fact_reads(ask)[1]
    assert every[0]().values["spend"] == 6.5 and every[8]().cells[0].values["spend"] == 6.5


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
        assert parts(account, YESTERDAY).cells[0].values["spend"] == spend
        assert then(account, AT).rows[0].values["spend"] == spend
        assert windows(account, level="campaign", now=AT).columns["spend"] == {"10": spend}
        assert windows(account, level="account", now=AT).columns["spend"] == {account.meta_id: spend}


def test_a_cache_that_is_away_costs_a_query_and_no_answer(ad_account, settings):
    store(ad_account, "5.00")
    away = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": away}
    for _ in range(2):
        answer, read = fact_reads(questions(ad_account)[0])
        assert read and answer.values["spend"] == 5
