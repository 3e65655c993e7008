"""What we knew when: exact for closed days, honest about the instant for the running one."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import AdAccount
from insights.analytics import as_known_at, table
from insights.history import answerable
from insights.store.write import Read, upsert
from insights.windows import DAY, Period
from tests.insights.conftest import NOW, TODAY, row

pytestmark = pytest.mark.django_db
METRICS = ("spend", "impressions", "purchases", "cpm")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
YESTERDAY = TODAY - DAY


def store(account, rows, at, days=(YESTERDAY,)):
    upsert(ad_account=account, rows=rows, slices=[Read("day", "ad", day) for day in days], now=at)


def said(account, at, *, level="account", since=YESTERDAY, until=YESTERDAY, **more):
    past = as_known_at(account, at=at, level=level, since=since, until=until, metrics=METRICS, **more)
    return past, {one.object_id: one.values for one in past.rows}


def test_a_restated_closed_day_reads_as_it_read_then(ad_account):
    store(ad_account, [row(day=YESTERDAY, spend="5.00", impressions="100")], NOW)
    bought = [{"action_type": "purchase", "value": "2"}]
    store(ad_account, [row(day=YESTERDAY, spend="5.25", impressions="105", actions=bought)], NOW + 3 * HOUR)
    before, then = said(ad_account, NOW + 2 * HOUR)
    assert (then["1"]["spend"], then["1"]["purchases"], then["1"]["cpm"]) == (5, 0, 50)
    assert before.exact and before.unread == 0
    _, later = said(ad_account, NOW + 3 * HOUR)
    assert (later["1"]["spend"], later["1"]["purchases"]) == (D("5.25"), 2)


def test_before_the_first_read_nothing_was_known_and_nothing_is_not_zero(ad_account):
    store(ad_account, [row(day=YESTERDAY, spend="5.00")], NOW)
    past, rows = said(ad_account, NOW - MINUTE, object_ids=["1"])
    assert past.unread == 1
    assert rows["1"] == dict.fromkeys(METRICS)


def test_an_object_without_rows_on_a_day_that_was_read_had_nothing(ad_account):
    store(ad_account, [row(day=YESTERDAY, spend="5.00")], NOW)
    _, rows = said(ad_account, NOW + MINUTE, level="ad", object_ids=["30", "99"])
    assert (rows["30"]["spend"], rows["99"]["spend"]) == (5, 0)


def test_a_row_that_left_is_still_there_before_it_left(ad_account):
    both = [
        row(object_id="30", day=YESTERDAY, spend="5.00"),
        row(object_id="31", day=YESTERDAY, spend="2.00"),
    ]
    store(ad_account, both, NOW)
    store(ad_account, both[:1], NOW + HOUR)
    for level, owner in (("account", "1"), ("campaign", "10"), ("adset", "20")):
        assert said(ad_account, NOW + MINUTE, level=level)[1][owner]["spend"] == 7
        assert said(ad_account, NOW + HOUR, level=level)[1][owner]["spend"] == 5
    assert "31" not in said(ad_account, NOW + HOUR, level="ad")[1]


def test_the_running_day_says_which_instant_it_answers_for(ad_account):
    for minute in range(0, 60, 10):
        store(ad_account, [row(spend=f"{minute + 1}.00")], NOW + minute * MINUTE, days=(TODAY,))
    past, rows = said(ad_account, NOW + 15 * MINUTE, since=TODAY, until=TODAY)
    assert not past.exact
    assert (past.answers_for, rows["1"]["spend"]) == (NOW + 50 * MINUTE, 51)
    # A period without that day is exact.
    assert (
        answerable(ad_account=ad_account, period=Period(YESTERDAY, YESTERDAY), at=NOW + 15 * MINUTE)
        == NOW + 15 * MINUTE
    )
    at_the_end, _ = said(ad_account, NOW + 59 * MINUTE, since=TODAY, until=TODAY)
    assert at_the_end.exact


def test_a_row_that_left_the_running_day_within_the_hour_is_still_there_before_it_left(ad_account):
    both = [row(object_id="30", spend="5.00"), row(object_id="31", spend="2.00")]
    store(ad_account, both, NOW + MINUTE, days=(TODAY,))
    store(ad_account, both[:1], NOW + 20 * MINUTE, days=(TODAY,))
    past, rows = said(ad_account, NOW + 10 * MINUTE, since=TODAY, until=TODAY)
    assert (past.exact, rows["1"]["spend"]) == (True, 7)
    assert said(ad_account, NOW + 20 * MINUTE, since=TODAY, until=TODAY)[1]["1"]["spend"] == 5


def test_one_account_s_past_is_never_another_s(ad_account, agency):
    other = AdAccount.everything.create(
        client=agency.southwind, meta_id="2", name="Other", currency="USD", timezone_name="America/New_York"
    )
    store(other, [row(day=YESTERDAY, spend="9.00")], NOW)
    store(other, [row(day=YESTERDAY, spend="8.00")], NOW + HOUR)
    assert said(ad_account, NOW + MINUTE)[1] == {}
    assert said(other, NOW + MINUTE)[1]["2"]["spend"] == 9


steps = st.lists(
    st.tuples(
        st.integers(1, 47 * 60),  # minutes after the last read
        st.sampled_from(["30", "31", "32"]),
        st.integers(0, 3),  # days ago
        st.integers(0, 500),
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_the_past_reads_as_the_present_read_then(agency, steps):
    """Whatever is read, restated, added and taken away, in whatever order: what was shown can be shown again."""
    ad_account = AdAccount.everything.create(
        client=agency.northwind,
        meta_id=str(AdAccount.everything.count() + 1),
        name="Shop",
        currency="USD",
        timezone_name="America/New_York",
    )
    first, world, shown = TODAY - 3 * DAY, {}, []
    at = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
    for minutes, object_id, age, cents in steps:
        at += timedelta(minutes=minutes)
        today = (at - timedelta(hours=5)).date()
        day = today - age * DAY
        if cents % 10 == 0:
            world.pop((object_id, day), None)
        else:
            world[object_id, day] = row(
                object_id=object_id, day=day, spend=f"{cents}", impressions=str(cents * 7)
            )
        of_day = [one for (_, when), one in world.items() if when == day]
        store(ad_account, of_day, at, days=(day,))
        period = {"since": first - 10 * DAY, "until": today - DAY}
        now = table(ad_account, level="campaign", metrics=("spend", "impressions"), now=at, **period)
        shown.append((at, period, {one.object_id: one.values for one in now.rows}))
    for moment, period, rows in shown:
        past = as_known_at(
            ad_account, at=moment, level="campaign", metrics=("spend", "impressions"), **period
        )
        assert past.exact
        assert {one.object_id: one.values for one in past.rows} == rows
