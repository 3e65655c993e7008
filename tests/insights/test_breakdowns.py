"""Parts are read when somebody asks, kept apart from totals, and add up to them."""

import json
from collections import defaultdict
from decimal import Decimal

import pytest

from insights.analytics import account_today, series, table, totals, windows
from insights.breakdowns import COMBINATIONS, begin, cells, combination, reachable, wanting
from insights.errors import BadRow, TooFarBack, UnknownBreakdown
from insights.fetch import go_on
from insights.models import DayRow, FetchRun, ReportRun, Slice
from insights.report_runs import advance
from insights.rows import cell
from insights.store.rollups import checksum
from insights.store.write import Read, upsert
from insights.tasks import go_on_fetching, scan
from insights.windows import DAY, Period, last
from tests.insights.conftest import NOW, TODAY, wire

pytestmark = pytest.mark.django_db


def read_parts(account, clock, *, level, period, names):
    about = {"level": level, "period": period, "breakdowns": names, "now": clock.now()}
    return go_on(ad_account=account, run=begin(account, **about), now=clock.now())


def campaign_of(account, period):
    return (
        DayRow.objects.of(account)
        .filter(level="campaign", breakdown="", day__range=(period.since, period.until), spend__gt=0)
        .first()
        .object_id
    )


@pytest.mark.parametrize(
    "names", [one for one in COMBINATIONS if "impression_device" not in one], ids=",".join
)
@pytest.mark.parametrize("level", ["account", "campaign"])
def test_parts_add_up_to_the_total(synced, clock, names, level):
    account = synced.ad_account
    period = last(3, account_today(account, clock.now()))
    run = read_parts(account, clock, level=level, period=period, names=names)
    assert (run.state, run.done, run.total) == ("done", 3, 3)
    one = account.meta_id if level == "account" else campaign_of(account, period)
    asked = ["spend", "impressions", "clicks", "purchases"]
    found = cells(
        account, level=level, object_id=one, period=period, breakdowns=names, metrics=asked, now=clock.now()
    )
    whole = totals(
        account,
        level=level,
        object_id=one,
        since=period.since,
        until=period.until,
        metrics=asked,
        now=clock.now(),
    )
    assert found.header.trust.state == "ready"
    assert found.cells and all(tuple(part.names) == names for part in found.cells)
    for name in asked:
        assert sum(part.values[name] for part in found.cells) == whole.values[name], name
    shown = [part.values["impressions"] for part in found.cells]
    assert shown == sorted(shown, reverse=True)


def test_what_a_sync_read_may_hide_is_read_by_a_report(synced, clock):
    account = synced.ad_account
    names = ("publisher_platform", "impression_device")
    period = last(2, account_today(account, clock.now()))
    run = read_parts(account, clock, level="account", period=period, names=names)
    assert run.state == "waiting" and "Meta prepares a report" in run.sentence
    for _ in range(10):
        advance(ad_account=account, now=clock.now())
        clock.advance(5)
    assert go_on(ad_account=account, run=run, now=clock.now()).state == "done"
    assert ReportRun.objects.of(account).get(parent__isnull=True).state == "read"
    found = cells(
        account,
        level="account",
        object_id=account.meta_id,
        period=period,
        breakdowns=names,
        metrics=["spend"],
        now=clock.now(),
    )
    whole = totals(account, since=period.since, until=period.until, metrics=["spend"], now=clock.now())
    assert sum(part.values["spend"] for part in found.cells) == whole.values["spend"]


def test_a_part_s_reach_is_known_for_a_day_and_unknown_for_more(synced, clock):
    account = synced.ad_account
    two = last(2, account_today(account, clock.now()))
    read_parts(account, clock, level="account", period=two, names=("age",))
    about = {"level": "account", "object_id": account.meta_id, "breakdowns": ("age",), "metrics": ["reach"]}
    one = cells(account, period=Period(two.until, two.until), now=clock.now(), **about)
    assert all(part.values["reach"] > 0 for part in one.cells)
    both = cells(account, period=two, now=clock.now(), **about)
    assert {part.values["reach"] for part in both.cells} == {None}


def test_totals_never_hold_parts(synced, clock):
    account = synced.ad_account
    today = account_today(account, clock.now())
    period = last(3, today)

    def everything():
        about = {"since": period.since, "until": today, "metrics": ["spend", "impressions", "reach"]}
        return [
            *(table(account, level=level, now=clock.now(), **about).rows for level in ("account", "ad")),
            series(account, level="account", now=clock.now(), **about).points,
            windows(account, level="campaign", now=clock.now()).columns,
        ]

    before = everything()
    for names in (("age",), ("age", "gender"), ("country",)):
        for level in ("account", "campaign", "adset", "ad"):
            assert (
                read_parts(account, clock, level=level, period=Period(period.since, today), names=names).state
                == "done"
            )
    assert DayRow.objects.of(account).exclude(breakdown="").count() > 100
    assert everything() == before
    assert not any(checksum(account_id=account.pk).values())
    assert not Slice.objects.of(account).filter(agrees=False).exists()


def part_rows(account, names, values, *, now=NOW, spend="1.00"):
    from insights.rows import read

    rows = [
        read(
            {**wire("account", account.meta_id, TODAY - DAY, spend=spend, impressions="10"), **one},
            level="account",
            breakdowns=names,
        )
        for one in values
    ]
    upsert(
        ad_account=account,
        rows=rows,
        slices=[Read("day", "account", TODAY - DAY, breakdown=",".join(names))],
        now=now,
    )


def kept(account):
    found = defaultdict(int)
    for one in DayRow.objects.of(account).values_list("breakdown", flat=True):
        found[one] += 1
    return dict(found)


def test_a_part_that_is_gone_leaves_and_other_breakdowns_stay(ad_account):
    from datetime import timedelta

    part_rows(ad_account, ("age",), [{"age": "18-24"}, {"age": "25-34"}])
    part_rows(ad_account, ("age", "gender"), [{"age": "18-24", "gender": "male"}])
    part_rows(ad_account, ("age",), [{"age": "25-34"}], now=NOW + timedelta(hours=1))
    assert kept(ad_account) == {"age=25-34": 1, "age=18-24|gender=male": 1}


def test_parts_that_moved_apart_from_the_total_say_so(synced, clock):
    account = synced.ad_account
    yesterday = account_today(account, clock.now()) - DAY
    read_parts(account, clock, level="account", period=Period(yesterday, yesterday), names=("age",))
    row = DayRow.objects.of(account).filter(breakdown__startswith="age=", spend__gt=0).first()
    DayRow.objects.of(account).filter(pk=row.pk).update(spend=row.spend + 1)
    found = cells(
        account,
        level="account",
        object_id=account.meta_id,
        period=Period(yesterday, yesterday),
        breakdowns=("age",),
        metrics=["spend"],
        now=clock.now(),
    )
    assert found.header.trust.state == "partial"
    assert "do not add up" in found.header.trust.reasons[0]


def test_a_value_that_is_missing_is_unknown_and_one_that_is_no_name_is_no_row():
    assert cell({"age": "25-34", "gender": "female"}, ("age", "gender")) == "age=25-34|gender=female"
    assert cell({"age": "25-34"}, ("age", "gender")) == "age=25-34|gender=unknown"
    for bad in ("a|b", "a=b", "x" * 61, "a\nb", "a\x00"):
        with pytest.raises(BadRow):
            cell({"age": bad}, ("age",))


def test_breakdowns_come_in_any_order_and_only_as_meta_puts_them_together():
    assert combination(["gender", "age"]) == ("age", "gender")
    for names in (["impression_device"], ["age", "country"], ["region"], ["age", "age"]):
        with pytest.raises(UnknownBreakdown) as refused:
            combination(names)
        assert "age,gender" in refused.value.allowed


def test_parts_go_back_13_months():
    reachable(Period(TODAY - 380 * DAY, TODAY), today=TODAY)
    with pytest.raises(TooFarBack, match="13 months: the first day there is is 2025-10-19"):
        reachable(Period(TODAY - 400 * DAY, TODAY), today=TODAY)


def test_a_read_that_was_cut_short_goes_on_by_the_scan(synced, sandbox, clock):
    from celery import current_app

    account = synced.ad_account
    period = last(2, account_today(account, clock.now()))
    sandbox.faults.arm("throttle", match={"edge": "insights"}, times=1, at=0.0)
    run = read_parts(account, clock, level="account", period=period, names=("age",))
    assert run.state == "waiting"
    clock.advance(1800)
    before, current_app.conf.task_always_eager = current_app.conf.task_always_eager, True
    try:
        scan()
    finally:
        current_app.conf.task_always_eager = before
    run.refresh_from_db()
    assert run.state == "done"


def test_what_was_read_is_not_wanted_again_until_it_may_have_moved(synced, clock):
    account = synced.ad_account
    today = account_today(account, clock.now())
    about = {"level": "account", "period": Period(today - DAY, today), "breakdowns": ("gender",)}
    assert wanting(account, now=clock.now(), **about) == {today - DAY, today}
    read_parts(account, clock, level="account", period=about["period"], names=("gender",))
    assert wanting(account, now=clock.now(), **about) == frozenset()
    clock.advance(16 * 60)
    assert wanting(account, now=clock.now(), **about) == {today}


# --- the API


@pytest.fixture
def ask(client):
    def asking(user, path, status=200, **query):
        client.force_login(user)
        answer = client.get(path, query)
        assert answer.status_code == status, answer.content
        return json.loads(answer.content, parse_float=Decimal, parse_int=Decimal)

    return asking


def test_the_first_question_starts_the_read_and_the_next_one_has_the_answer(synced, ask, clock):
    account = synced.ad_account
    path, query = f"/api/meta/insights/{account.act_id}", {"breakdowns": "gender,age"}
    first = ask(synced.users.bob, path, 202, **query)
    assert (first["insights"], first["trust"]["state"]) == ([], "unavailable")
    assert first["reading"]["state"] == "waiting" and first["breakdowns"] == ["age", "gender"]
    assert ask(synced.users.vic, path, 202, **query)["reading"] == first["reading"]
    run = FetchRun.objects.of(account).get(kind="parts")
    go_on_fetching(run.pk)
    answer = ask(synced.users.bob, path, **query)
    assert answer["reading"] is None and answer["trust"]["state"] == "ready"
    whole = ask(synced.users.bob, path)["insights"][0]
    assert sum(one["spend"] for one in answer["insights"]) == whole["spend"]
    assert {"age", "gender", "ctr", "spend", "date_start"} <= answer["insights"][0].keys()


def test_bad_breakdowns_are_refused_with_what_there_is(synced, ask):
    path = f"/api/meta/insights/{synced.ad_account.act_id}"
    wrong = ask(synced.users.bob, path, 400, breakdowns="age,country")
    assert "age,gender" in str(wrong) and "publisher_platform,platform_position" in str(wrong)
    far = ask(synced.users.bob, path, 400, breakdowns="age", since="2025-01-01", until="2025-01-31")
    assert "13 months" in str(far) and "2025-10" in str(far)
    assert "level" in str(ask(synced.users.bob, path, 400, breakdowns="age", level="ad"))
    assert "92 days" in str(
        ask(synced.users.bob, path, 400, breakdowns="age", since="2026-01-01", until="2026-11-01")
    )
    assert not FetchRun.objects.of(synced.ad_account).filter(kind="parts").exists()


def test_charlie_gets_nothing_and_starts_nothing(synced, ask):
    ask(synced.users.charlie, f"/api/meta/insights/{synced.ad_account.act_id}", 404, breakdowns="age")
    assert not FetchRun.objects.of(synced.ad_account).filter(kind="parts").exists()


def test_a_read_that_failed_says_why_and_is_not_asked_for_again_at_once(synced, ask, clock):
    from accounts.models import MetaConnection

    MetaConnection.objects.of(synced.northwind).update(state="revoked")
    path = f"/api/meta/insights/{synced.ad_account.act_id}"
    ask(synced.users.bob, path, 202, breakdowns="age")
    go_on_fetching(FetchRun.objects.of(synced.ad_account).get(kind="parts").pk)
    told = ask(synced.users.bob, path, breakdowns="age")
    assert told["reading"]["state"] == "failed" and told["reading"]["sentence"]
    assert FetchRun.objects.of(synced.ad_account).filter(kind="parts").count() == 1
