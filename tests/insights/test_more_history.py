"""More history on request: in the background, widened rather than doubled, and never beyond what Meta keeps."""

import json
from datetime import date

import pytest

import insights.fetch as fetch
from insights.analytics import account_today
from insights.errors import TooFarBack
from insights.models import FetchRun, Slice
from insights.poll import tick
from insights.progress import progress
from insights.tasks import go_on_fetching, scan
from insights.windows import DAY, earliest, reachable

pytestmark = pytest.mark.django_db


@pytest.fixture
def eager():
    from celery import current_app

    before, current_app.conf.task_always_eager = current_app.conf.task_always_eager, True
    yield
    current_app.conf.task_always_eager = before


def days_read(account):
    return Slice.objects.of(account).filter(kind="day", level="ad", complete=True, breakdown="").count()


def test_it_goes_on_by_the_scan_and_says_how_far_it_is(synced, eager, clock):
    account = synced.ad_account
    run = fetch.more(ad_account=account, days=60, now=clock.now())
    assert (run.state, progress(account).total) == ("waiting", 60)
    scan()
    assert (progress(account).state, progress(account).done) == ("done", 60)
    assert days_read(account) == 60


def test_a_second_wish_widens_the_first(synced, clock):
    account = synced.ad_account
    for days in (40, 60, 50):
        run = fetch.more(ad_account=account, days=days, now=clock.now())
    assert run.days == 60
    assert FetchRun.objects.of(account).filter(kind="more").count() == 1


def test_a_kill_between_two_periods_loses_none_and_reads_none_twice(synced, sandbox, clock):
    account = synced.ad_account
    run = fetch.more(ad_account=account, days=90, now=clock.now())

    def throttle(one):
        if one.state == "running" and one.done > 30:
            sandbox.faults.arm("throttle", times=1, at=0.0)

    fetch.go_on(ad_account=account, run=run, now=clock.now(), progress=throttle)
    sandbox.faults.disarm()
    run.refresh_from_db()
    assert run.state == "waiting" and 28 < days_read(account) < 90
    calls = run.requests
    clock.advance(1800)
    go_on_fetching(run.pk)
    run.refresh_from_db()
    assert (run.state, days_read(account)) == ("done", 90)
    assert calls < run.requests <= 20


def test_today_is_read_while_history_is(synced, clock):
    account = synced.ad_account
    run = fetch.more(ad_account=account, days=60, now=clock.now())
    seen = []

    def look(one):
        if one.state == "running" and not seen:
            clock.advance(1)
            seen.append(fetch.refresh(ad_account=account, now=clock.now()).state)

    fetch.go_on(ad_account=account, run=run, now=clock.now(), progress=look)
    assert seen == ["done"]


def test_an_account_is_looked_at_before_its_history_is_there(connected, sandbox, clock):
    from campaigns.sync import run as structure

    structure(ad_account=connected.ad_account, now=clock.now())

    def throttle(one):
        if one.done >= 7 and one.state == "running":
            sandbox.faults.arm("throttle", times=1, at=0.0)

    run = fetch.first_sync(ad_account=connected.ad_account, days=60, now=clock.now(), progress=throttle)
    sandbox.faults.disarm()
    assert run.state == "waiting"
    clock.advance(3600)
    assert tick(now=clock.now()) == 1


def test_days_that_meta_does_not_keep_are_refused_with_the_first_day_there_is(synced, clock):
    with pytest.raises(TooFarBack, match="37 months: the first day there is is 2023-10-19"):
        fetch.more(ad_account=synced.ad_account, days=1200, now=clock.now())
    assert not FetchRun.objects.of(synced.ad_account).filter(kind="more").exists()
    with pytest.raises(TooFarBack):
        reachable(days=10**9, today=account_today(synced.ad_account, clock.now()))


@pytest.mark.parametrize(
    "today", [date(2026, 11, 18), date(2026, 3, 31), date(2028, 2, 29), date(2026, 1, 1)]
)
def test_the_first_day_is_one_that_meta_answers_for(today):
    from metaads.sandbox.handlers.insights_query import earliest as meta

    assert earliest(today) > meta(today) and (earliest(today) - meta(today)) <= DAY
    reachable(days=(today - earliest(today)).days + 1, today=today)
    with pytest.raises(TooFarBack):
        reachable(days=(today - earliest(today)).days + 2, today=today)


def test_an_account_can_be_read_back_to_the_first_day(synced, clock):
    account = synced.ad_account
    today = account_today(account, clock.now())
    run = fetch.more(ad_account=account, days=(today - earliest(today)).days + 1, now=clock.now())
    for _ in range(10):
        go_on_fetching(run.pk)
        run.refresh_from_db()
        if run.state != "waiting":
            break
        clock.advance(301)
    assert run.state == "done", run.sentence


# --- the API


@pytest.fixture
def post(client):
    def posting(user, account, body, status):
        client.force_login(user)
        answer = client.post(
            f"/api/meta/history/{account.act_id}", json.dumps(body), content_type="application/json"
        )
        assert answer.status_code == status, answer.content
        return json.loads(answer.content)

    return posting


def test_a_buyer_asks_for_a_year(synced, post, clock):
    body = post(synced.users.bob, synced.ad_account, {"days": 365}, 202)
    assert (body["days"], body["progress"]["state"], body["progress"]["total"]) == (365, "waiting", 365)


def test_a_viewer_may_not_and_charlie_sees_no_account(synced, post, clock):
    post(synced.users.vic, synced.ad_account, {"days": 60}, 403)
    post(synced.users.charlie, synced.ad_account, {"days": 60}, 404)
    assert not FetchRun.objects.of(synced.ad_account).filter(kind="more").exists()


@pytest.mark.parametrize("days, says", [(0, "days"), ("soon", "days"), (1300, "2023-10-19"), (None, "days")])
def test_bad_days_are_refused_with_what_to_do(synced, post, clock, days, says):
    assert says in json.dumps(post(synced.users.bob, synced.ad_account, {"days": days}, 400))
