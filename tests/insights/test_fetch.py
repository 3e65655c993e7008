"""What was fetched equals the sandbox's own truth at every level; a stop at any point loses nothing."""

from decimal import Decimal as D

import pytest

from insights.analytics import account_today, series, table, totals, windows
from insights.fetch import LEVELS, first_sync, refresh
from insights.metrics import METRICS
from insights.models import AccountDay, DayRow, FetchRun, PeriodReach, Revision, Slice
from insights.progress import progress
from insights.rhythms import find_rhythm
from insights.store.rollups import checksum
from insights.windows import DAY, last

pytestmark = pytest.mark.django_db
NAMES = ("spend", "impressions", "clicks", "link_clicks", "purchases", "purchase_value", "leads")


def truth(sandbox, account, clock, *, level, since, until):
    """The sandbox's second route: object id without act_ -> numbers in our units."""
    found = sandbox.truth.totals(
        account.act_id, since=since, until=until, now=clock.now().timestamp(), level=level
    )
    return {
        key.removeprefix("act_"): {
            name: D(value[name]) / (100 if name in ("spend", "purchase_value") else 1) for name in NAMES
        }
        for key, value in found.items()
    }


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("days", [1, 7, 27])
def test_totals_equal_the_sandbox_s_truth_at_every_level_and_window(synced, sandbox, clock, level, days):
    account = synced.ad_account
    today = account_today(account, clock.now())
    since = today - (days - 1) * DAY
    wanted = truth(sandbox, account, clock, level=level, since=since, until=today)
    got = table(account, level=level, since=since, until=today, metrics=NAMES, now=clock.now())
    assert {row.object_id: dict(row.values) for row in got.rows} == {
        key: value
        for key, value in wanted.items()
        if any(value.values()) or key in {r.object_id for r in got.rows}
    }
    assert got.header.trust.state == "ready"
    assert got.header.currency == account.currency


def test_every_registry_metric_is_the_formula_over_the_truth(synced, sandbox, clock):
    account = synced.ad_account
    period = last(7, account_today(account, clock.now()))
    numbers = truth(sandbox, account, clock, level="account", since=period.since, until=period.until)[
        account.meta_id
    ]
    got = totals(
        account, since=period.since, until=period.until, metrics=tuple(METRICS), now=clock.now()
    ).values
    assert got["ctr"] == numbers["clicks"] * 100 / numbers["impressions"]
    assert got["cpm"] == numbers["spend"] * 1000 / numbers["impressions"]
    assert got["cpc"] == numbers["spend"] / numbers["clicks"]
    assert got["conversions"] == numbers["purchases"]
    assert got["roas"] == numbers["purchase_value"] / numbers["spend"]
    assert got["cpa"] == numbers["spend"] / numbers["purchases"]
    assert 0 < got["reach"] <= got["impressions"]
    assert got["frequency"] == got["impressions"] / got["reach"]


def test_reach_is_read_and_never_summed(synced, clock):
    account = synced.ad_account
    today = account_today(account, clock.now())
    week, odd = last(7, today), last(5, today)
    day = totals(account, since=week.until, until=week.until, metrics=["reach"], now=clock.now()).values[
        "reach"
    ]
    seven = totals(account, since=week.since, until=week.until, metrics=["reach"], now=clock.now()).values[
        "reach"
    ]
    points = series(
        account, level="account", since=week.since, until=week.until, metrics=["reach"], now=clock.now()
    ).points
    assert day == points[-1].values["reach"]
    assert (
        max(point.values["reach"] for point in points)
        <= seven
        < sum(point.values["reach"] for point in points)
    )
    assert (
        totals(account, since=odd.since, until=odd.until, metrics=["reach"], now=clock.now()).values["reach"]
        is None
    )


def test_people_are_read_again_an_hour_after_a_day_of_their_period_has_moved(synced, sandbox, clock):
    account = synced.ad_account
    clock.advance(20 * 3600)  # the account's next day
    refresh(ad_account=account, now=clock.now())
    reach = PeriodReach.objects.of(account).filter(
        level="account", since=last(7, account_today(account, clock.now())).since
    )
    first = reach.get().as_of
    assert first == clock.now()
    refresh(ad_account=account, now=clock.now())
    assert reach.get().as_of == first, "nothing has moved"
    yesterday = account_today(account, clock.now()) - DAY
    clock.advance(1800)
    Slice.objects.of(account).filter(level="account", day=yesterday).update(as_of=clock.now())
    refresh(ad_account=account, now=clock.now())
    assert reach.get().as_of == first, "half an hour is soon enough to wait for the rest of the hour"
    clock.advance(1801)
    refresh(ad_account=account, now=clock.now())
    assert reach.get().as_of == clock.now()


def test_days_and_hours_add_up(synced, clock):
    account = synced.ad_account
    today = account_today(account, clock.now())
    hours = series(
        account,
        level="account",
        since=today,
        until=today,
        metrics=["spend", "ctr", "cpa"],
        by="hour",
        now=clock.now(),
    )
    day = totals(account, since=today, until=today, metrics=["spend"], now=clock.now()).values["spend"]
    assert sum(point.values["spend"] for point in hours.points) == day
    assert {point.values["cpa"] for point in hours.points} == {None}
    assert hours.points[-1].at <= clock.now()
    days = series(
        account, level="account", since=today - 6 * DAY, until=today, metrics=["spend"], now=clock.now()
    )
    whole = totals(account, since=today - 6 * DAY, until=today, metrics=["spend"], now=clock.now())
    assert sum(point.values["spend"] for point in days.points) == whole.values["spend"]


def test_rules_read_seven_full_days(synced, sandbox, clock):
    account = synced.ad_account
    period = last(7, account_today(account, clock.now()))
    wanted = truth(sandbox, account, clock, level="campaign", since=period.since, until=period.until)
    found = windows(account, level="campaign", now=clock.now())
    assert (found.header.since, found.header.until, found.days) == (period.since, period.until, 7)
    assert {one: found.columns["spend"][one] for one in found.object_ids} == {
        key: value["spend"] for key, value in wanted.items()
    }


@pytest.mark.fault("F55")
def test_restatement_is_followed_and_what_was_known_stays(synced, sandbox, clock):
    account = synced.ad_account
    today = account_today(account, clock.now())
    before = {row.day: row.purchases for row in AccountDay.objects.of(account)}
    clock.advance(2 * 86_400)
    refresh(ad_account=account, now=clock.now())
    after = {row.day: row.purchases for row in AccountDay.objects.of(account)}
    grown = [day for day in before if after[day] > before[day]]
    assert grown
    for day in grown:
        wanted = truth(sandbox, account, clock, level="account", since=day, until=day)[account.meta_id]
        assert after[day] == wanted["purchases"]
    old = Revision.objects.of(account).filter(level="account", day__lt=today, grain="day")
    assert {row.day for row in old} >= {day for day in grown if day < today}
    for row in old:
        assert D(row.values["purchases"]) / 1_000_000 == before[row.day]
        assert row.known_to == clock.now()
    assert not any(checksum(account_id=account.pk).values())


def test_a_second_sync_reads_little_and_writes_nothing(synced, clock):
    account = synced.ad_account
    run = first_sync(ad_account=account, days=28, now=clock.now())
    assert run.state == "done"
    assert run.requests <= 5  # today's four levels and its hours
    assert Revision.objects.of(account).count() == 0


@pytest.mark.fault("F63")
def test_the_first_sync_costs_few_calls_however_many_objects(connected, clock):
    run = first_sync(ad_account=connected.ad_account, days=28, now=clock.now())
    assert (run.state, run.done, run.total) == ("done", 28, 28)
    assert run.requests <= 24
    assert DayRow.objects.of(connected.ad_account).filter(level="ad").count() > 100


def test_progress_counts_the_days_and_ends(connected, clock):
    told = []
    assert progress(connected.ad_account).state == ""
    first_sync(ad_account=connected.ad_account, days=28, now=clock.now(), progress=told.append)
    assert [one.done for one in told] == sorted(one.done for one in told)
    assert (told[0].done, told[0].total) == (0, 28)
    assert (told[-1].done, told[-1].state) == (28, "done")
    assert progress(connected.ad_account) == told[-1]


@pytest.mark.fault("F56", "F63")
def test_a_sync_that_breaks_is_partial_and_goes_on_where_it_stopped(connected, sandbox, clock):
    account = connected.ad_account

    def throttle_after_a_week(one):
        if one.done and one.state == "running":
            sandbox.faults.arm("throttle", times=1, at=0.0)

    run = first_sync(ad_account=account, days=28, now=clock.now(), progress=throttle_after_a_week)
    assert run.state == "waiting"
    assert run.not_before > clock.now()
    today = account_today(account, clock.now())
    partial = totals(account, since=today - 27 * DAY, until=today, metrics=["spend"], now=clock.now())
    assert partial.header.trust.state == "partial"
    assert "21 of 28 days are not read yet." in partial.header.trust.reasons
    points = series(
        account, level="account", since=today - 27 * DAY, until=today, metrics=["spend"], now=clock.now()
    ).points
    assert [point.values["spend"] is None for point in points] == [True] * 21 + [False] * 7

    clock.advance(30 * 60)
    again = first_sync(ad_account=account, days=28, now=clock.now())
    assert (again.pk, again.state) == (run.pk, "done")
    assert FetchRun.objects.of(account).count() == 1
    whole = totals(account, since=today - 27 * DAY, until=today, metrics=["spend"], now=clock.now())
    assert whole.header.trust.state == "ready"


def test_nothing_read_is_unavailable_and_not_zero(connected, clock):
    account = connected.ad_account
    today = account_today(account, clock.now())
    found = totals(account, since=today, until=today, metrics=["spend", "reach", "ctr"], now=clock.now())
    assert found.header.trust.state == "unavailable"
    assert set(found.values.values()) == {None}


def test_numbers_that_nobody_checks_grow_stale(synced, clock):
    account = synced.ad_account
    clock.advance(50 * 60)
    today = account_today(account, clock.now())
    found = totals(account, since=today, until=today, metrics=["spend"], now=clock.now())
    assert found.header.trust.state == "stale"
    assert "last checked" in found.header.trust.reasons[0]


def test_slices_say_in_which_zone_a_day_was_read(synced):
    assert set(Slice.objects.of(synced.ad_account).values_list("zone", flat=True)) == {
        synced.ad_account.timezone_name
    }


@pytest.mark.fault("F35", "F53", "F54")
@pytest.mark.parametrize("fault", ["transient", "html", "truncated", "empty", "dup_page", "string_numbers"])
def test_a_passing_fault_changes_no_number(connected, sandbox, clock, fault):
    account = connected.ad_account
    match = {"edge": "insights"} if fault == "dup_page" else {}
    sandbox.faults.arm(fault, match, times=1, at=0.0)
    run = first_sync(ad_account=account, days=7, now=clock.now())
    assert sandbox.faults.armed() == [], "it has met the read"
    if run.state != "done":
        clock.advance(120)
        run = first_sync(ad_account=account, days=7, now=clock.now())
    assert run.state == "done"
    today = account_today(account, clock.now())
    for level in LEVELS:
        wanted = truth(sandbox, account, clock, level=level, since=today - 6 * DAY, until=today)
        got = table(account, level=level, since=today - 6 * DAY, until=today, metrics=NAMES, now=clock.now())
        assert {row.object_id: row.values["spend"] for row in got.rows if row.values["spend"]} == {
            key: value["spend"] for key, value in wanted.items() if value["spend"]
        }


def in_small_pages(sandbox):
    """From here on Meta gives ten rows a page and no more. What is armed before it meets the pages first."""
    return sandbox.faults.arm("reduce", {"method": "GET", "edge": "insights"}, None, limit=10)


@pytest.mark.fault("F53", "F54")
@pytest.mark.parametrize("fault", ["cursor_expired", "dup_page", "empty"])
def test_trouble_in_the_middle_of_many_pages_changes_no_number(connected, sandbox, clock, fault):
    account = connected.ad_account
    sandbox.faults.arm(fault, {"edge": "insights", "is_cursor": "1"}, 1)
    in_small_pages(sandbox)
    run = first_sync(ad_account=account, days=3, now=clock.now())
    assert [one.name for one in sandbox.faults.armed()] == ["reduce"], "it has met the read"
    for _ in range(6):
        if run.state == "done":
            break
        clock.advance(600)
        run = first_sync(ad_account=account, days=3, now=clock.now())
    assert run.state == "done", run.sentence
    today = account_today(account, clock.now())
    for level in LEVELS:
        wanted = truth(sandbox, account, clock, level=level, since=today - 2 * DAY, until=today)
        got = table(account, level=level, since=today - 2 * DAY, until=today, metrics=NAMES, now=clock.now())
        assert {row.object_id: row.values["spend"] for row in got.rows if row.values["spend"]} == {
            key: value["spend"] for key, value in wanted.items() if value["spend"]
        }
    assert not any(checksum(account_id=account.pk).values())


@pytest.mark.fault("F56")
def test_days_of_which_a_later_page_failed_are_not_called_read(connected, sandbox, clock):
    account = connected.ad_account
    fault = sandbox.faults.arm("html", {"edge": "insights", "is_cursor": "1"}, None)
    in_small_pages(sandbox)
    run = first_sync(ad_account=account, days=3, now=clock.now())
    assert run.state in ("waiting", "failed")
    today = account_today(account, clock.now())
    got = totals(account, since=today - 2 * DAY, until=today, metrics=["spend"], now=clock.now())
    assert got.header.trust.state != "ready" and got.values["spend"] is None
    assert not Slice.objects.of(account).filter(kind="day", level="ad", complete=True).exists()
    sandbox.faults.disarm(fault)
    for _ in range(6):
        clock.advance(600)
        if first_sync(ad_account=account, days=3, now=clock.now()).state == "done":
            break
    got = totals(account, since=today - 2 * DAY, until=today, metrics=["spend"], now=clock.now())
    assert got.header.trust.state == "ready" and got.header.data_as_of is not None


@pytest.mark.fault("F58")
def test_too_much_data_is_asked_for_in_halves(connected, sandbox, clock):
    sandbox.faults.arm("reduce", times=12, at=0.0)
    run = first_sync(ad_account=connected.ad_account, days=28, now=clock.now())
    assert (run.state, run.done) == ("done", 28)


def test_a_dead_token_stops_the_sync_and_the_connection_hears_of_it(synced, sandbox, clock):
    from accounts.models import MetaConnection

    clock.advance(3600)
    sandbox.faults.arm("auth", times=1, at=0.0, subcode=460)
    run = refresh(ad_account=synced.ad_account, now=clock.now())
    assert run.state == "failed"
    assert "Reconnect" in run.sentence
    assert MetaConnection.objects.of(synced.northwind).get().state == "reauth_needed"


def test_a_doubt_about_the_token_lets_the_fetch_wait_and_go_on(synced, sandbox, clock):
    from accounts.models import MetaConnection

    sandbox.faults.arm("auth", times=1, at=0.0, subcode=0)
    clock.advance(3600)
    run = refresh(ad_account=synced.ad_account, now=clock.now())
    assert run.state == "waiting" and "goes on from here" in run.sentence
    assert MetaConnection.objects.of(synced.northwind).get().state == "degraded"
    clock.advance(61)
    assert refresh(ad_account=synced.ad_account, now=clock.now()).state == "done"
    assert MetaConnection.objects.of(synced.northwind).get().state == "connected"


def test_a_paused_connection_is_a_sentence_and_no_crash(connected, clock):
    from accounts.models import MetaConnection

    MetaConnection.objects.of(connected.northwind).update(state="revoked")
    run = first_sync(ad_account=connected.ad_account, days=7, now=clock.now())
    assert run.state == "failed"
    assert "revoked" in run.sentence.lower()


@pytest.mark.fault("F61")
def test_a_fetch_that_was_killed_is_taken_up_again_after_a_minute(connected, clock):
    from accounts.leases import take
    from insights.models import FetchRun

    account = connected.ad_account
    FetchRun.everything.create(
        ad_account_id=account.pk,
        kind="first",
        state="running",
        days=7,
        started_at=clock.now(),
        seen_at=clock.now(),
    )
    assert take(name=f"fetch:{account.pk}", holder="the killed one", seconds=60, now=clock.now()) is not None
    beside = first_sync(ad_account=account, days=7, now=clock.now())
    assert (beside.state, beside.requests) == ("waiting", 0)
    clock.advance(61)
    assert first_sync(ad_account=account, days=7, now=clock.now()).state == "done"


@pytest.mark.fault("F38", "F37")
@pytest.mark.parametrize("times", [1, None])
@pytest.mark.parametrize(
    "fault, options",
    [
        ("odd_body", {}),
        ("missing_fields", {"names": ["spend"]}),
        ("missing_fields", {"names": ["impressions"]}),
        ("missing_fields", {"names": ["date_start"]}),
        ("missing_fields", {"names": ["ad_id", "adset_id", "campaign_id", "account_id"]}),
        ("odd_value", {"names": ["spend"], "value": "NaN"}),
        ("odd_value", {"names": ["spend"], "value": ""}),
        ("odd_value", {"names": ["spend"], "value": None}),
        ("odd_value", {"names": ["spend"], "value": "9" * 30}),
        ("odd_value", {"names": ["impressions"], "value": "-5"}),
        ("extra_fields", {}),
    ],
)
def test_numbers_that_lack_a_part_are_never_shown_as_ready_and_wrong(
    connected, sandbox, clock, fault, options, times
):
    account = connected.ad_account
    sandbox.faults.arm(fault, match={"edge": "insights"}, times=times, at=0.0, **options)
    first_sync(ad_account=account, days=7, now=clock.now())
    today = account_today(account, clock.now())
    wanted = truth(sandbox, account, clock, level="account", since=today - 6 * DAY, until=today)
    got = totals(
        account, since=today - 6 * DAY, until=today, metrics=["spend", "impressions"], now=clock.now()
    )
    right = all(got.values[name] == wanted[account.meta_id][name] for name in ("spend", "impressions"))
    assert right or got.header.trust.state != "ready"


@pytest.mark.fault("F62")
@pytest.mark.parametrize("index", range(4))
def test_every_zone_and_currency_is_right_to_the_day_and_the_unit(agency, clock, index):
    from accounts.ad_accounts import enable
    from accounts.connections import connect
    from accounts.models import AdAccount
    from metaads.gateway import plugged
    from metaads.graph.money import minor_unit
    from metaads.sandbox.app import Sandbox
    from tests.door import WSGIAdapter

    box = Sandbox(world="zones", seed=3, clock=clock)
    with plugged(WSGIAdapter(box)):
        now = clock.now()
        connect(client=agency.northwind, principal=agency.principals.alice, token=box.token("alice"), now=now)
        accounts = list(AdAccount.objects.of(agency.northwind).order_by("meta_id"))
        account = enable(
            ad_account=accounts[index % len(accounts)], principal=agency.principals.alice, now=now
        )
        assert first_sync(ad_account=account, days=5, now=now).state == "done"
        today = account_today(account, now)
        for age in range(5):
            day = today - age * DAY
            found = box.truth.totals(account.act_id, since=day, until=day, now=now.timestamp())
            wanted = D(found[account.act_id]["spend"]) * minor_unit(account.currency) if found else D(0)
            got = totals(account, since=day, until=day, metrics=["spend"], now=now)
            assert got.values["spend"] == wanted, (account.timezone_name, account.currency, day)
            hours = series(
                account, level="account", since=day, until=day, metrics=["spend"], by="hour", now=now
            )
            assert sum(point.values["spend"] for point in hours.points) == wanted


def test_the_first_sync_brings_the_hours_that_a_heat_map_needs(connected, clock):
    account = connected.ad_account
    today = account_today(account, clock.now())
    assert first_sync(ad_account=account, days=60, now=clock.now()).state == "done"
    hours = Slice.objects.of(account).filter(kind="hour", complete=True)
    assert sorted(hours.values_list("day", flat=True)) == [today - DAY * age for age in range(34, -1, -1)]
    found = find_rhythm(account, metric="ctr", family="hour_of_week", weeks=4, now=clock.now())
    assert found.pattern.weeks >= 4


def test_hours_of_old_days_that_were_cut_off_are_read_by_the_next_try(connected, sandbox, clock):
    account = connected.ad_account

    def throttle_at_the_end(one):
        if one.done == one.total and one.state == "running":
            sandbox.faults.arm("throttle", {"edge": "insights"}, times=1, at=0.0)

    run = first_sync(ad_account=account, days=28, now=clock.now(), progress=throttle_at_the_end)
    assert (run.state, run.done) == ("waiting", 28)
    clock.advance(30 * 60)
    assert first_sync(ad_account=account, days=28, now=clock.now()).state == "done"
    assert Slice.objects.of(account).filter(kind="hour", complete=True).count() == 28
