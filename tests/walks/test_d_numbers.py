"""Walk D: every reader gets the same number - the sandbox's truth - with its currency, zone, age and version."""

from __future__ import annotations

from decimal import Decimal

from django.test import Client as Browser

from insights.analytics import account_today, series, table, totals
from tests.conftest import PASSWORD
from tests.walks.desk import control

METRICS = ["spend", "impressions", "clicks", "ctr", "cpc", "cpm"]


def truth(sandbox, account, since, until, level):
    return control(
        sandbox,
        "GET",
        "truth",
        account=account.act_id,
        since=since.isoformat(),
        until=until.isoformat(),
        level=level,
    )["totals"]


def week(synced, clock):
    from datetime import timedelta

    today = account_today(synced.ad_account, clock.now())
    return today - timedelta(days=7), today - timedelta(days=1)


def test_the_sum_of_the_parts_is_the_whole_at_every_level(synced, sandbox, clock):
    account = synced.ad_account
    since, until = week(synced, clock)
    whole = totals(account, since=since, until=until, metrics=METRICS, now=clock.now())
    for level in ("campaign", "adset", "ad"):
        parts = table(account, level=level, since=since, until=until, metrics=METRICS, now=clock.now())
        for metric in ("spend", "impressions", "clicks"):
            assert sum((row.values[metric] or 0 for row in parts.rows), Decimal(0)) == whole.values[metric], (
                level,
                metric,
            )
    days = series(
        account, level="account", since=since, until=until, metrics=["spend"], by="day", now=clock.now()
    )
    assert sum((point.values["spend"] or 0 for point in days.points), Decimal(0)) == whole.values["spend"]
    assert whole.values["ctr"] == whole.values["clicks"] / whole.values["impressions"] * 100


def test_the_api_the_analytics_and_the_sandbox_agree(synced, sandbox, clock):
    account = synced.ad_account
    since, until = week(synced, clock)
    theirs = truth(sandbox, account, since, until, "campaign")
    ours = table(account, level="campaign", since=since, until=until, metrics=METRICS, now=clock.now())
    assert ours.header.currency == "USD" and ours.header.zone == account.timezone_name
    assert ours.header.checked_at and ours.header.data_as_of and ours.header.trust.state == "ready"
    assert {row.object_id for row in ours.rows if row.values["impressions"]} == {
        k for k, v in theirs.items() if v["impressions"]
    }
    for row in ours.rows:
        assert row.values["impressions"] == theirs[row.object_id]["impressions"]
    browser = Browser()
    assert browser.login(email="vic@example.com", password=PASSWORD)
    answer = browser.get(f"/api/meta/performance/{account.act_id}", {"since": since, "until": until})
    assert answer.status_code == 200, answer.content
    body = answer.json()
    whole = totals(account, since=since, until=until, metrics=METRICS, now=clock.now())
    assert Decimal(str(body["spend"])) == whole.values["spend"]
    assert body["currency"] == "USD" and body["data_version"] == whole.header.data_version


def test_charlie_gets_the_same_answer_for_northwinds_account_as_for_one_that_is_not_there(synced):
    browser = Browser()
    assert browser.login(email="charlie@example.com", password=PASSWORD)
    for path in ("performance", "campaigns", "insights", "realtime"):
        foreign = browser.get(f"/api/meta/{path}/{synced.ad_account.act_id}")
        random = browser.get(f"/api/meta/{path}/act_99999999999")
        assert foreign.status_code == random.status_code == 404, path
        assert synced.ad_account.name not in foreign.content.decode()
