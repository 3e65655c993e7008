"""Whatever way pages arrive - twice, shuffled, cut, again - the table ends the same, and what it said is kept."""

import contextlib
import random
from datetime import date, timedelta
from decimal import Decimal as D

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import insights.sums as sums
from campaigns.models import ExposureRow
from insights.models import (
    AccountDay,
    AccountHour,
    AdSetMonth,
    CampaignDay,
    CampaignWeek,
    DataVersion,
    DayRow,
    HourRow,
    Revision,
    Slice,
    WindowSum,
)
from insights.rows import read
from insights.store.rollups import checksum
from insights.store.write import Read, upsert
from insights.trust import known
from insights.windows import DAY, Period
from tests.insights.conftest import NOW, TODAY, row, wire

pytestmark = pytest.mark.django_db
SUMS = (CampaignDay, CampaignWeek, AdSetMonth, AccountDay, AccountHour, WindowSum)


def facts(ad_account):
    skip = {"id", "known_from"}
    return sorted(
        tuple(sorted((key, str(value)) for key, value in one.items() if key not in skip))
        for model in (DayRow, HourRow)
        for one in model.objects.of(ad_account).values()
    )


def kept(ad_account):
    """Everything derived, without keys."""
    return [
        sorted(
            tuple(str(v) for k, v in sorted(one.items()) if k != "id")
            for one in model.objects.of(ad_account).values()
        )
        for model in SUMS
    ]


numbers = st.fixed_dictionaries(
    {
        "object_id": st.sampled_from(["30", "31", "32"]),
        "age": st.integers(0, 9),
        "spend": st.integers(0, 5000).map(lambda cents: f"{D(cents) / 100}"),
        "impressions": st.integers(0, 9000),
        "clicks": st.integers(0, 90),
        "actions": st.lists(
            st.fixed_dictionaries(
                {
                    "action_type": st.sampled_from(["lead", "omni_purchase"]),
                    "value": st.sampled_from(["1", "2"]),
                }
            ),
            max_size=1,
        ),
    }
)


hours = st.fixed_dictionaries(
    {
        "object_id": st.sampled_from(["10", "11"]),
        "age": st.integers(0, 2),
        "hour": st.integers(0, 23),
        "spend": st.integers(0, 5000).map(lambda cents: f"{D(cents) / 100}"),
        "impressions": st.integers(0, 9000),
    }
)


class Crash(Exception):
    """The process died before its commit."""


def hour_row(*, age, hour, object_id, **values):
    label = f"{hour:02d}:00:00 - {hour:02d}:59:59"
    raw = wire("campaign", object_id, day=TODAY - age * DAY, **values)
    return read({**raw, "hourly_stats_aggregated_by_advertiser_time_zone": label}, level="campaign")


def sums_are_those_of_the_rows(ad_account):
    found = checksum(account_id=ad_account.pk)
    assert len(found) == len(SUMS)
    assert not any(found.values()), found


@pytest.mark.fault("F53", "F54", "N23")
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    day_rows=st.lists(numbers, max_size=25),
    hour_rows=st.lists(hours, max_size=10),
    seed=st.integers(0, 99),
    size=st.integers(1, 20),
    crashes=st.sets(st.integers(0, 5), max_size=3),
)
def test_duplicates_order_crashes_and_reruns_end_in_the_same_table(
    ad_account, day_rows, hour_rows, seed, size, crashes
):
    def empty():
        for model in (DayRow, HourRow, Slice, *SUMS, DataVersion):
            model.everything.filter(ad_account_id=ad_account.pk).delete()
        for model in (Revision, ExposureRow):
            model.everything.filter(ad_account_id=ad_account.pk).delete()

    rows = [
        row(day=TODAY - one["age"] * DAY, **{k: v for k, v in one.items() if k != "age"}) for one in day_rows
    ]
    rows += [hour_row(**one) for one in hour_rows]
    slices = [Read("day", "ad", TODAY - age * DAY) for age in range(10)]
    slices += [Read("hour", "campaign", TODAY - age * DAY) for age in range(3)]
    empty()
    upsert(ad_account=ad_account, rows=rows, slices=slices, now=NOW)
    once, sums = facts(ad_account), kept(ad_account)
    sums_are_those_of_the_rows(ad_account)

    empty()
    shuffled = rows * 2
    random.Random(seed).shuffle(shuffled)
    pages = [shuffled[start : start + size] for start in range(0, len(shuffled), size)]
    for number, page in enumerate(pages):  # a run that stores page by page, and dies now and then
        moment = NOW + timedelta(seconds=number)
        if number in crashes:
            before = facts(ad_account), kept(ad_account)
            with contextlib.suppress(Crash), transaction.atomic():
                upsert(ad_account=ad_account, rows=page, slices=[], now=moment)
                raise Crash
            assert (facts(ad_account), kept(ad_account)) == before
            continue
        upsert(ad_account=ad_account, rows=page, slices=[], now=moment)
        sums_are_those_of_the_rows(ad_account)
    last = NOW + timedelta(seconds=len(pages))
    upsert(ad_account=ad_account, rows=shuffled, slices=slices, now=last)
    again = upsert(ad_account=ad_account, rows=rows, slices=slices, now=last + timedelta(seconds=1))

    assert facts(ad_account) == once
    assert kept(ad_account) == sums
    assert not again.moved
    assert (again.inserted, again.changed) == (0, 0)
    sums_are_those_of_the_rows(ad_account)


def test_an_unchanged_read_writes_no_row_and_raises_no_version(
    ad_account, django_capture_on_commit_callbacks
):
    from insights.signals import data_arrived

    heard = []

    def listen(**kwargs):
        heard.append((kwargs["ad_account_id"], kwargs["data_version"]))

    data_arrived.connect(listen)
    try:
        for turn in range(2):
            with django_capture_on_commit_callbacks(execute=True):
                result = upsert(
                    ad_account=ad_account,
                    rows=[row(spend="1.50", impressions=10)],
                    slices=[Read("day", "ad", TODAY)],
                    now=NOW + timedelta(minutes=turn),
                )
    finally:
        data_arrived.disconnect(listen)
    assert (result.inserted, result.changed, result.unchanged, result.data_version) == (0, 0, 1, 1)
    assert heard == [(ad_account.pk, 1)]
    only = DayRow.objects.of(ad_account).get()
    assert only.known_from == NOW
    seen = Slice.objects.of(ad_account).get()
    assert (seen.as_of, seen.fetched_at) == (NOW, NOW + timedelta(minutes=1))


@pytest.mark.fault("F55")
def test_a_restated_closed_day_files_what_it_said_with_from_and_to(ad_account):
    day, later = TODAY - DAY, NOW + timedelta(minutes=1)
    slices = [Read("day", "ad", day)]
    buy = [{"action_type": "purchase", "value": "2", "7d_click": "2"}]
    upsert(ad_account=ad_account, rows=[row(day=day, spend="2.00", reach=9)], slices=slices, now=NOW)
    upsert(
        ad_account=ad_account,
        rows=[row(day=day, spend="2.00", reach=9, actions=buy)],
        slices=slices,
        now=later,
    )
    old = Revision.objects.of(ad_account).get()
    assert (old.known_from, old.known_to) == (NOW, later)
    assert (old.values["spend"], old.values["purchases"], old.values["reach"]) == (2_000_000, 0, 9)
    new = DayRow.objects.of(ad_account).get()
    assert (new.purchases, new.known_from) == (D(2), later)
    assert new.actions == {"actions": {"purchase": {"value": "2", "7d_click": "2"}}}


def test_the_running_day_files_a_revision_once_an_hour_at_most(ad_account):
    for minute in range(0, 150, 10):
        upsert(
            ad_account=ad_account,
            rows=[row(spend=f"{minute + 1}.00")],
            slices=[Read("day", "ad", TODAY)],
            now=NOW + timedelta(minutes=minute),
        )
    spends = [one.values["spend"] // 1_000_000 for one in Revision.objects.of(ad_account).order_by("id")]
    assert spends == [51, 111]  # the last word of 15:xx and of 16:xx


@pytest.mark.fault("F61")
def test_a_slow_answer_never_overwrites_a_later_one(ad_account):
    slices = [Read("day", "ad", TODAY)]
    upsert(ad_account=ad_account, rows=[row(spend="9.00")], slices=slices, now=NOW)
    late = upsert(
        ad_account=ad_account, rows=[row(spend="5.00")], slices=slices, now=NOW - timedelta(seconds=20)
    )
    assert not late.moved
    assert DayRow.objects.of(ad_account).get().spend == D(9)


def test_an_object_that_a_complete_read_leaves_out_has_no_row_any_more(ad_account):
    both = [row(object_id="30", spend="1"), row(object_id="31", spend="2")]
    upsert(ad_account=ad_account, rows=both, slices=[Read("day", "ad", TODAY)], now=NOW)
    upsert(
        ad_account=ad_account,
        rows=both[:1],
        slices=[Read("day", "ad", TODAY, complete=False)],
        now=NOW + timedelta(hours=1),
    )
    assert DayRow.objects.of(ad_account).count() == 2
    upsert(
        ad_account=ad_account, rows=both[:1], slices=[Read("day", "ad", TODAY)], now=NOW + timedelta(hours=2)
    )
    assert [one.object_id for one in DayRow.objects.of(ad_account)] == ["30"]
    assert AccountDay.objects.of(ad_account).get().spend == D(1)
    assert Revision.objects.of(ad_account).get().object_id == "31"


def test_parts_that_do_not_add_up_to_the_account_are_marked(ad_account):
    rows = [
        row(spend="1.00", impressions=5),
        row(level="account", object_id="1", spend="3.00", impressions=5),
    ]
    upsert(
        ad_account=ad_account,
        rows=rows,
        slices=[Read("day", "ad", TODAY), Read("day", "account", TODAY)],
        now=NOW,
    )
    assert dict(Slice.objects.of(ad_account).values_list("level", "agrees")) == {"ad": False, "account": True}


def bought(count, worth, kind="omni_purchase"):
    return {
        "actions": [{"action_type": kind, "value": count}],
        "action_values": [{"action_type": kind, "value": worth}],
    }


@pytest.mark.parametrize(
    ("parts", "whole", "agrees"),
    [
        ((bought("3", "60.00"), bought("2", "40.00")), bought("5", "100.00"), True),
        ((bought("3", "60.00"), bought("2", "40.00")), bought("6", "100.00"), False),
        ((bought("3", "60.00"), bought("2", "40.00")), bought("5", "101.00"), False),
        ((bought("3", "60.00"), bought("2", "40.00")), {}, False),
        # Leads are no purchases, however many there are of either.
        ((bought("3", "60.00"),), bought("3", "60.00", "lead"), False),
        # One type of the family is missing at a level, and the number is the same.
        ((bought("3", "60.00", "purchase"),), bought("3", "60.00"), True),
        # Hundredths, rounded row by row.
        ((bought("1.33", "20.004"), bought("1.33", "20.004")), bought("2.67", "40.01"), True),
        ((bought("1.33", "20.00"), bought("1.33", "20.00")), bought("2.69", "40.00"), False),
    ],
)
def test_conversions_that_do_not_add_up_to_the_account_are_marked(ad_account, parts, whole, agrees):
    same = {"spend": "1.00", "impressions": 5}
    rows = [row(object_id=str(30 + n), **same, **part) for n, part in enumerate(parts)]
    total = {"spend": f"{len(parts)}.00", "impressions": 5 * len(parts), "reach": 1}
    upsert(
        ad_account=ad_account,
        rows=[*rows, row(level="account", object_id="1", **total, **whole)],
        slices=[Read("day", "ad", TODAY), Read("day", "account", TODAY)],
        now=NOW,
    )
    assert Slice.objects.of(ad_account).get(level="ad").agrees is agrees
    if not agrees:
        trust = known(
            ad_account=ad_account, period=Period(TODAY, TODAY), level="account", now=NOW
        ).header.trust
        assert trust.state == "partial" and trust.reasons[0].endswith("clicks or conversions.")


def test_window_sums_hold_full_days_up_to_yesterday_and_turn_with_the_account_s_day(ad_account):
    rows = [row(day=TODAY - age * DAY, spend="1.00", impressions=10) for age in range(30)]
    upsert(ad_account=ad_account, rows=rows, slices=[], now=NOW)
    found = {one.days: one for one in WindowSum.objects.of(ad_account).filter(level="campaign")}
    assert {days: one.spend for days, one in found.items()} == {days: D(days) for days in (1, 3, 7, 14, 28)}
    assert found[7].until == TODAY - DAY
    assert found[7].active_days == 7
    # 04:59 UTC is still the same account day; at 05:00 the next one begins and today's spend joins the window.
    upsert(
        ad_account=ad_account,
        rows=[],
        slices=[Read("day", "account", TODAY + DAY)],
        now=NOW + timedelta(hours=15),
    )
    assert WindowSum.objects.of(ad_account).get(level="ad", days=1).until == TODAY


def test_what_budgets_have_spent_is_reported_down_in_the_same_transaction(ad_account):
    upsert(
        ad_account=ad_account,
        rows=[
            row(object_id="30", spend="1.25", impressions=9),
            row(object_id="31", spend="2.50", impressions=9),
        ],
        slices=[Read("day", "ad", TODAY)],
        now=NOW,
    )
    told = {(one.level, one.object_id): (one.spend, one.trust) for one in ExposureRow.objects.of(ad_account)}
    spent = (D("3.75"), "ready")
    assert told == {("campaign", "10"): spent, ("adset", "20"): spent, ("account", ""): spent}


def test_a_day_read_in_full_without_news_tells_how_old_the_knowledge_is_and_nothing_else(ad_account):
    for moment in (NOW, NOW + timedelta(minutes=30)):
        upsert(
            ad_account=ad_account,
            rows=[row(object_id="30", spend="1.25")],
            slices=[Read("day", "ad", TODAY)],
            now=moment,
        )
    told = {one.level: one.as_of for one in ExposureRow.objects.of(ad_account)}
    assert told == {"campaign": NOW, "adset": NOW, "account": NOW + timedelta(minutes=30)}


def test_hours_add_up_in_the_account_s_hour(ad_account):
    rows = [
        read(
            {
                **wire("campaign", str(10 + one), spend="1.5", impressions=3),
                "hourly_stats_aggregated_by_advertiser_time_zone": "09:00:00 - 09:59:59",
            },
            level="campaign",
        )
        for one in range(2)
    ]
    upsert(ad_account=ad_account, rows=rows, slices=[Read("hour", "campaign", TODAY)], now=NOW)
    only = AccountHour.objects.of(ad_account).get()
    assert (only.hour, only.spend, only.impressions) == (9, D(3), 6)
    assert DayRow.objects.of(ad_account).count() == 0


def test_two_accounts_never_touch_each_other(ad_account, agency):
    from accounts.models import AdAccount

    other = AdAccount.everything.create(
        client=agency.southwind, meta_id="2", name="B", currency="JPY", timezone_name="Asia/Tokyo"
    )
    for one, spend in ((ad_account, "1"), (other, "2")):
        upsert(ad_account=one, rows=[row(spend=spend)], slices=[Read("day", "ad", TODAY)], now=NOW)
    upsert(ad_account=other, rows=[], slices=[Read("day", "ad", TODAY)], now=NOW + timedelta(minutes=1))
    assert DayRow.objects.of(ad_account).get().spend == D(1)
    assert AccountDay.objects.of(ad_account).get().spend == D(1)
    assert not DayRow.objects.of(other).exists()


def test_which_ad_sets_ran_follows_the_rows_that_come_and_go(ad_account):
    day, read = TODAY - 3 * DAY, [Read("day", "ad", TODAY - 3 * DAY)]
    upsert(ad_account=ad_account, rows=[row(day=day, spend="1")], slices=read, now=NOW)
    upsert(ad_account=ad_account, rows=[row(day=TODAY)], slices=[Read("day", "ad", TODAY)], now=NOW)
    one = AdSetMonth.objects.of(ad_account).get()
    assert (one.campaign_id, one.adset_id, one.month) == ("10", "20", date(2026, 11, 1))
    assert one.days == 1 << day.day - 1 | 1 << TODAY.day - 1
    upsert(ad_account=ad_account, rows=[], slices=read, now=NOW + timedelta(minutes=1))
    assert AdSetMonth.objects.of(ad_account).get().days == 1 << TODAY.day - 1
    nothing = [Read("day", "ad", TODAY)]
    upsert(ad_account=ad_account, rows=[], slices=nothing, now=NOW + timedelta(minutes=2))
    assert not AdSetMonth.objects.of(ad_account).exists()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ages=st.sets(st.integers(0, 40), max_size=15), first=st.integers(0, 45), days=st.integers(1, 46))
def test_sums_and_ad_sets_of_any_period_are_those_of_its_rows(ad_account, ages, first, days):
    for model in (DayRow, Slice, *SUMS, DataVersion, Revision, ExposureRow):
        model.everything.filter(ad_account_id=ad_account.pk).delete()
    spans = {age: TODAY - age * DAY for age in ages}
    rows = [row(day=day, spend=str(age + 1), impressions=age) for age, day in spans.items()]
    upsert(
        ad_account=ad_account, rows=rows, slices=[Read("day", "ad", day) for day in spans.values()], now=NOW
    )
    period = Period(TODAY - first * DAY, TODAY - first * DAY + (days - 1) * DAY)
    inside = [age for age, day in spans.items() if day in period]
    asked = {"ad_account": ad_account, "level": "campaign", "period": period}
    found = sums.by_object(bases=("spend", "impressions"), **asked)
    expected = {"spend": D(sum(age + 1 for age in inside)), "impressions": D(sum(inside))}
    assert found == ({"10": expected} if inside else {})
    assert sums.ad_sets(**asked) == ({"10": frozenset({"20"})} if inside else {})


def test_the_columns_are_those_of_the_registry():
    from insights.metrics import ADDITIVE

    for model in (DayRow, CampaignDay, CampaignWeek, AccountDay, AccountHour, WindowSum):
        names = [field.name for field in model._meta.fields]
        assert [name for name in names if name in ADDITIVE] == list(ADDITIVE)
    assert connection.vendor in ("sqlite", "postgresql")
