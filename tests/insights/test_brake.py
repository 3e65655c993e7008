"""What spends past a limit that a person has set is paused, with no worker and no queue; what nobody set is told."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

import accounts.ad_accounts as ad_accounts
import accounts.alerts as alerts
import campaigns.changes.approvals as approvals
import campaigns.changes.caps as caps
import campaigns.changes.headroom as headroom
import campaigns.changes.ledger as ledger
import campaigns.changes.request as request
import campaigns.changes.switch as switch
from accounts.access import system
from accounts.models import AdAccount, Alert
from campaigns.changes.approvals import approve_by_policy
from campaigns.changes.envelopes import Period, Scope
from campaigns.errors import Closed
from campaigns.models import AdSet, Campaign, Change, Envelope, ExposureRow, Switch
from campaigns.states import Evidence, Field, Level, Source
from insights.brake import EVERY, Brake, carry_on
from insights.fetch import today_totals
from insights.models import Sample
from insights.watchdog import truth
from tests.campaigns.test_ledger import without_triggers

pytestmark = pytest.mark.django_db


def limit(
    desk: Any, amount: str, *, scope: Scope = Scope.ACCOUNT, period: Period = Period.DAY, object_id: str = ""
) -> Envelope:
    row = caps.set_(
        principal=desk.agency.principals.alice,
        client=desk.agency.northwind,
        scope=scope,
        period=period,
        amount=Decimal(amount),
        reason="as agreed with the client",
        now=desk.now,
        ad_account=desk.account,
        object_id=object_id,
        currency="USD",
    )
    assert row is not None
    return row


def carried(desk: Any, seconds: int = 120) -> None:
    """What the watchdog does in the rounds that follow, while every worker is dead."""
    for _ in range(seconds // 5):
        carry_on(desk.now)
        desk.wait(seconds=5)


def pauses() -> list[Change]:
    return list(Change.everything.filter(source=Source.WATCHDOG).order_by("object_id"))


def told(prefix: str = "brake:") -> list[Alert]:
    return list(Alert.everything.filter(key__startswith=prefix, closed_at__isnull=True).order_by("key"))


def running(desk: Any) -> set[str]:
    """Campaigns and ad sets that really run at Meta."""
    rows = [*Campaign.everything.all(), *AdSet.everything.all()]
    return {row.meta_id for row in rows if desk.truth(row, "status") == "ACTIVE"}


def test_past_a_limit_that_a_person_set_everything_that_runs_is_paused(desk):
    spending = {row.meta_id for row in Campaign.everything.exclude(status="PAUSED")}
    assert spending and spending <= running(desk)
    limit(desk, "1")
    assert Brake().round(desk.now) == 1
    (alert,) = told()
    assert alert.title.startswith(f"The ad account {desk.account.name} has spent ")
    assert alert.title.endswith(" of 1 USD today") and alert.severity == "critical"
    assert f"{len(spending)} pause" in alert.advice and "raise the limit" in alert.advice
    carried(desk)
    assert {change.object_id for change in pauses()} == spending
    assert {change.state for change in pauses()} == {"APPLIED"}
    assert {change.field for change in pauses()} == {"status"} and len({c.batch for c in pauses()}) == 1
    assert not spending & running(desk)
    assert "the limit is reached" in pauses()[0].reason
    assert ledger.verify(ad_account_id=desk.account.pk) == []


def test_below_the_limit_nothing_happens_and_the_alert_ends(desk):
    limit(desk, "1")
    brake = Brake()
    brake.look(ad_account=desk.account, now=desk.now)
    assert len(told()) == 1
    carried(desk)
    limit(desk, "1000000")
    brake.look(ad_account=desk.account, now=desk.now)
    assert told() == []


def test_the_careful_limit_of_the_first_day_pauses_nothing_but_people_are_told(desk):
    Envelope.everything.filter(scope="account", period="day").update(amount=Decimal(1))
    assert Envelope.everything.get(scope="account", period="day").set_by_id is None
    before = running(desk)
    Brake().round(desk.now)
    (alert,) = told()
    assert alert.advice.startswith("Nothing is paused: this is the careful limit of the first day")
    carried(desk)
    assert pauses() == [] and running(desk) == before


def test_whoever_lets_it_run_on_is_not_overruled_until_the_limit_is_set_anew(desk):
    limit(desk, "1")
    brake = Brake()
    brake.look(ad_account=desk.account, now=desk.now)
    carried(desk)
    desk.edit(desk.campaign, "status", "ACTIVE")
    desk.sync()
    brake.look(ad_account=desk.account, now=desk.now)
    carried(desk)
    assert desk.campaign.meta_id in running(desk)
    assert len(told()) == 1 and "let it run on" in told()[0].advice
    desk.wait(hours=25)  # the hold that a person's edit puts on rules has ended
    desk.sync()
    limit(desk, "2")
    brake.look(ad_account=desk.account, now=desk.now)
    carried(desk)
    assert desk.campaign.meta_id not in running(desk)


@pytest.mark.parametrize("scope", [Scope.CAMPAIGN, Scope.OBJECT])
def test_a_limit_of_one_object_pauses_that_object_alone(desk, scope):
    obj = desk.campaign if scope is Scope.CAMPAIGN else desk.ad_set
    before = running(desk)
    limit(desk, "0.01", scope=scope, object_id=obj.meta_id)
    Brake().round(desk.now)
    carried(desk)
    assert running(desk) == before - {obj.meta_id}
    assert [change.object_id for change in pauses()] == [obj.meta_id]
    assert f"“{obj.name}” has spent" in told()[0].title


def test_the_days_before_count_in_a_week(desk):
    today = desk.now.date()
    spent_today = Brake()
    limit(desk, "100000", period=Period.WEEK)
    spent_today.look(ad_account=desk.account, now=desk.now)
    assert told() == []
    ExposureRow.everything.create(
        ad_account_id=desk.account.pk, level="account", object_id="", day=today - timedelta(days=1),
        spend=Decimal(100000), as_of=desk.now, trust="ready", reported_at=desk.now,
    )  # fmt: skip
    spent_today.look(ad_account=desk.account, now=desk.now)
    assert "this week" in told()[0].title and pauses()


def test_a_sunday_begins_a_new_week(desk):
    limit(desk, "100000", period=Period.WEEK)
    saturday = desk.now.date() - timedelta(days=(desk.now.weekday() + 2) % 7)
    ExposureRow.everything.create(
        ad_account_id=desk.account.pk, level="account", object_id="", day=saturday,
        spend=Decimal(100000), as_of=desk.now, trust="ready", reported_at=desk.now,
    )  # fmt: skip
    Brake().look(ad_account=desk.account, now=desk.now)
    assert told() == []


def test_an_hours_limit_is_held_against_the_last_hour(desk):
    brake = Brake()
    limit(desk, "0.01", period=Period.HOUR)
    brake.look(ad_account=desk.account, now=desk.now)
    assert told() == [], "one look tells nothing of an hour"
    desk.wait(minutes=30)
    brake.look(ad_account=desk.account, now=desk.now)
    assert "within an hour" in told()[0].title and pauses()


def test_at_this_pace_it_is_reached_before_the_next_look(desk):
    brake = Brake()
    brake.look(ad_account=desk.account, now=desk.now)
    first = brake._seen[desk.account.pk, ""][-1].spend
    desk.wait(minutes=15)  # the quarter of an hour in which Meta's numbers move once
    limit(desk, "1000000")
    brake.look(ad_account=desk.account, now=desk.now)
    second = brake._seen[desk.account.pk, ""][-1].spend
    assert second > first
    ahead = (second - first) / 900 * int(EVERY.total_seconds())
    limit(desk, f"{second + ahead * 2:.2f}")
    brake.look(ad_account=desk.account, now=desk.now)
    assert told() == []
    limit(desk, f"{second + ahead / 2:.2f}")
    brake.look(ad_account=desk.account, now=desk.now)
    assert len(told()) == 1 and pauses()


def test_near_a_limit_it_looks_every_minute_else_every_five(desk):
    brake = Brake()
    assert brake.round(desk.now) == 1
    desk.wait(minutes=1)
    assert brake.round(desk.now) == 0
    desk.wait(minutes=4)
    limit(desk, "1")
    assert brake.round(desk.now) == 1
    desk.wait(minutes=1)
    assert brake.round(desk.now) == 1


def test_what_cannot_be_read_is_read_a_minute_later(desk, sandbox):
    limit(desk, "1")
    brake = Brake()
    sandbox.faults.arm("html", times=4, at=0.0)
    assert brake.round(desk.now) == 1
    assert (told(), pauses()) == ([], [])
    desk.wait(minutes=1)
    assert brake.round(desk.now) == 1
    assert len(told()) == 1


def test_where_everything_is_stopped_people_are_told_to_pause_by_hand(desk):
    limit(desk, "1")
    switch.pull(
        scope=switch.Scope(ad_account=desk.account), principal=desk.agency.principals.alice,
        reason="we move", now=desk.now,
    )  # fmt: skip
    before = running(desk)
    Brake().round(desk.now)
    carried(desk)
    assert running(desk) == before
    assert "could not be paused" in told()[0].advice and "Ads Manager" in told()[0].advice


def test_what_the_brake_saw_is_kept_as_meta_said_it(desk):
    Brake().look(ad_account=desk.account, now=desk.now)
    told_now = today_totals(ad_account=desk.account)
    (kept,) = Sample.objects.of(desk.account)
    assert kept.spend == Decimal(told_now["spend"]) > 0
    assert (kept.impressions, kept.clicks) == (int(told_now["impressions"]), int(told_now["clicks"]))
    assert kept.impressions > 0


def test_the_day_of_another_account_counts_as_it_was_seen_last(desk):
    other = AdAccount.everything.create(
        client=desk.agency.northwind, meta_id="777", name="Two", currency="USD", timezone_name="UTC",
        enabled_at=desk.now,
    )  # fmt: skip
    cap = limit(desk, "100", scope=Scope.CLIENT)
    ExposureRow.everything.create(
        ad_account_id=other.pk, level="account", object_id="", day=desk.now.date(), spend=Decimal(10),
        as_of=desk.now, trust="ready", reported_at=desk.now,
    )  # fmt: skip
    seen = {desk.account.pk: {"": Decimal(30)}}
    asked = {"ad_account": desk.account, "now": desk.now}
    assert headroom.spent(cap, today_spend=seen, **asked) == 40, "as the workers reported it"
    assert headroom.spent(cap, today_spend={**seen, other.pk: {"": Decimal(90)}}, **asked) == 120


def test_an_alert_ends_with_its_limit_and_with_its_account(desk):
    brake = Brake()
    limit(desk, "0.01", scope=Scope.CAMPAIGN, object_id=desk.campaign.meta_id)
    brake.look(ad_account=desk.account, now=desk.now)
    assert len(told()) == 1
    caps.set_(
        principal=desk.agency.principals.alice, client=desk.agency.northwind, scope=Scope.CAMPAIGN,
        period=Period.DAY, amount=None, reason="no more", now=desk.now, ad_account=desk.account,
        object_id=desk.campaign.meta_id,
    )  # fmt: skip
    brake.look(ad_account=desk.account, now=desk.now)
    assert told() == []
    limit(desk, "1")
    brake.look(ad_account=desk.account, now=desk.now)
    assert len(told()) == 1
    ad_accounts.disable(ad_account=desk.account, principal=desk.agency.principals.alice, now=desk.now)
    brake.round(desk.now)
    assert told() == []


@pytest.mark.fault("F72")
def test_limits_in_a_currency_that_the_account_has_no_more_are_told_until_they_are_set_anew(desk):
    limit(desk, "600")
    desk.edit(SimpleNamespace(meta_id=desk.account.act_id), "currency", "JPY")
    desk.wait(minutes=1)
    desk.sync()
    Brake().round(desk.now)
    [alert] = told()
    assert "currency is JPY now" in alert.title and "Set its limits anew in JPY" in alert.advice
    assert pauses() == []
    Envelope.everything.filter(ad_account=desk.account).update(currency="JPY")
    desk.wait(minutes=5)
    Brake().round(desk.now)
    assert [one for one in told() if one.closed_at is None] == []


def test_trouble_with_one_account_is_not_everybodys(desk, monkeypatch):
    def fail(self, *, ad_account, now):
        raise KeyError("spend")

    monkeypatch.setattr(Brake, "look", fail)
    assert Brake().round(desk.now) == 1


def test_what_cannot_be_paused_is_told_and_the_rest_is_paused(desk, monkeypatch):
    passes = approvals.approve_by_policy

    def refused(*, change, **words):
        if change.object_id == desk.campaign.meta_id:
            raise Closed("This change has expired.")
        return passes(change=change, **words)

    monkeypatch.setattr(approvals, "approve_by_policy", refused)
    limit(desk, "1")
    assert Brake().round(desk.now) == 1
    carried(desk)
    assert "could not be paused: This change has expired." in told()[0].advice
    assert desk.campaign.meta_id in running(desk) and desk.other.meta_id not in running(desk)


def test_the_policy_lets_the_watchdogs_pauses_pass_and_nothing_else(desk):
    by_hand = desk.file("PAUSED", field=Field.STATUS)
    assert approve_by_policy(change=by_hand, policy="watchdog", now=desk.now).state == "PROPOSED"
    product = system(desk.agency.northwind)
    good = Evidence(data_version=3, as_of=desk.now, checksum="c", valid_until=desk.now + timedelta(hours=1))
    cut = request.file(
        principal=product, ad_account=desk.account, level=Level.CAMPAIGN, object_id=desk.campaign.meta_id,
        field=Field.DAILY_BUDGET, target="90", reason="a cut", source=Source.WATCHDOG, key="a cut",
        evidence=good, now=desk.now,
    )  # fmt: skip
    assert (cut.state, cut.direction) == ("PROPOSED", "cut")
    passed = approve_by_policy(change=cut, policy="watchdog", now=desk.now, principal=product)
    assert passed.state == "PROPOSED"


def test_only_its_own_pauses_are_carried_on(desk):
    mine = desk.approved("90")
    assert carry_on(desk.now) == 0
    mine.refresh_from_db()
    assert mine.state == "APPROVED"


def test_a_broken_ledger_stops_the_account_and_is_not_stopped_again_once_released(desk):
    desk.until(desk.approved("90"), "APPLIED")
    assert truth(now=desk.now) == 0 and told("truth:") == []
    without_triggers("UPDATE campaigns_ledgerline SET after = '1' WHERE seq = 3")
    assert truth(now=desk.now) == 1
    row = Switch.everything.get(released_at__isnull=True)
    assert row.ad_account_id == desk.account.pk and "N16" in row.reason
    (alert,) = told("truth:")
    assert "does not hold" in alert.title and "Compare the account with Ads Manager" in alert.advice
    assert truth(now=desk.now) == 1
    assert Switch.everything.count() == 1, "it is stopped once"
    switch.release(
        scope=switch.Scope(ad_account=desk.account), principal=desk.agency.principals.alice,
        reason="we compared it", now=desk.now,
    )  # fmt: skip
    assert truth(now=desk.now) == 1
    assert not Switch.everything.filter(released_at__isnull=True).exists()
    assert len(told("truth:")) == 1, "people go on being told"


def test_a_promise_that_holds_again_ends_its_alert_however_quiet_the_account_is(desk):
    desk.until(desk.approved("90"), "APPLIED")
    desk.wait(hours=26)
    key = f"truth:{desk.account.pk}"
    alerts.open_(
        client=desk.agency.northwind, key=key, title="It did not hold", advice="Look.", severity="critical",
        now=desk.now,
    )  # fmt: skip
    assert truth(now=desk.now) == 0
    assert told("truth:") == []
