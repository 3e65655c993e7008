"""Spend caps on the door: defaults, what is reserved, who sets them, and that a raise keeps within them."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pytest

import campaigns.changes.approvals as approvals
import campaigns.changes.caps as caps
import campaigns.changes.ledger as ledger
from accounts.errors import Forbidden, Invalid, NotFound
from accounts.models import AdAccount, AuditLine
from campaigns.changes.envelopes import Period, Scope
from campaigns.errors import NotAllowedBy
from campaigns.models import Campaign, Envelope, ExposureRow, LedgerLine
from campaigns.states import Field, canonical_amount
from tests.campaigns.test_api import Caller

pytestmark = pytest.mark.django_db


def cap(
    desk,
    amount,
    *,
    scope=Scope.ACCOUNT,
    period=Period.DAY,
    who="alice",
    obj=None,
    account=None,
    currency="USD",
):
    return caps.set_(
        principal=getattr(desk.agency.principals, who), client=desk.agency.northwind, scope=scope, period=period,
        amount=None if amount is None else Decimal(amount), reason="agreed", now=desk.now,
        ad_account=account or desk.account, object_id=obj.meta_id if obj else "", currency=currency,
    )  # fmt: skip


def room_for(worst, share):
    """The cap of which `worst` is that share."""
    return str((worst / Decimal(share)).quantize(Decimal("0.01")))


def day_of(desk, scope=Scope.ACCOUNT):
    found = caps.of(desk.agency.principals.alice, ad_account=desk.account, now=desk.now)
    return next(use for row, use in found if row.scope == scope and row.period == Period.DAY)


def test_the_first_complete_read_sets_careful_caps_for_account_and_client(desk):
    rows = {(row.scope, row.period): row for row in Envelope.everything.all()}
    assert set(rows) == {(scope, period) for scope in ("account", "client") for period in ("day", "week")}
    budgets = [row.daily_budget for row in (*Campaign.everything.all(), *type(desk.ad_set).everything.all())]
    total = sum((one for one in budgets if one), Decimal(0))
    assert rows["account", "day"].amount == rows["client", "day"].amount == total * Decimal("1.75") * 3
    assert rows["account", "day"].set_by is None and rows["account", "day"].currency == "USD"
    desk.sync()
    assert Envelope.everything.count() == 4


def test_every_default_is_a_line_of_the_ledger_and_the_client_s_in_each_of_its_chains(desk):
    """Who looks at one account's ledger alone sees every step of the limits that hold it."""

    def said(account):
        rows = LedgerLine.everything.filter(ad_account=account, kind="limit").order_by("seq")
        return [(row.field, row.before, row.after, row.currency, row.by) for row in rows]

    first = {(row.scope, row.period): canonical_amount(row.amount) for row in Envelope.everything.all()}
    alone = [
        (f"{scope} limit, {period}", "", first[scope, period], "USD", "system")
        for period in ("day", "week")
        for scope in ("account", "client")
    ]
    assert said(desk.account) == alone
    second = desk.twin().ad_account
    after = {row.period: canonical_amount(row.amount) for row in Envelope.everything.filter(scope="client")}
    grown = [
        (f"client limit, {period}", first["client", period], after[period], "USD", "system")
        for period in ("day", "week")
    ]
    assert said(desk.account) == alone + grown
    assert [line for line in said(second) if line[0].startswith("client")] == grown
    for account in (desk.account, second):
        assert ledger.verify(ad_account_id=account.pk) == []


def test_a_default_leaves_alone_what_a_person_has_set_who_is_forgotten_by_now(desk):
    cap(desk, "900", scope=Scope.CLIENT)
    Envelope.everything.filter(scope="client", period="day").update(set_by=None)
    desk.twin()
    assert Envelope.everything.get(scope="client", period="day").amount == 900


def test_a_default_does_not_grow_with_the_budgets(desk):
    before = Envelope.everything.get(scope="account", period="day").amount
    desk.edit(desk.campaign, "daily_budget", 900_000)
    desk.sync()
    assert Envelope.everything.get(scope="account", period="day").amount == before


@pytest.mark.fault("F65", "F80")
def test_a_raise_beyond_the_account_s_day_is_refused_with_the_money(desk):
    cap(desk, "300")
    change = desk.file("120")
    assert change.state == "REJECTED"
    assert "the ad account" in change.error_text and "300 USD" in change.error_text
    assert "85 %" in change.advice
    assert desk.file("90").state == "PROPOSED"
    assert desk.file("PAUSED", field=Field.STATUS).state == "PROPOSED"


@pytest.mark.fault("F80")
def test_a_cap_that_is_lowered_after_the_approval_holds_the_raise_back(desk):
    change = desk.approved("120")
    desk.step(change)
    cap(desk, "100")
    desk.wait(seconds=4)
    desk.until(change, "EXPIRED")
    assert desk.writes() == [] and "its limit is 100 USD" in change.error_text


@pytest.mark.fault("F65")
def test_two_approved_raises_do_not_share_the_same_room(desk):
    """Each fits alone; together they do not. The second is told at its approval, before anything was sent."""
    use = day_of(desk)
    cap(desk, room_for(use.worst + 40, "0.85"))
    first, second = desk.file("120"), desk.file("50", obj=desk.ad_set, acknowledged=True)
    assert (first.state, second.state) == ("PROPOSED", "PROPOSED")
    alice = desk.agency.principals.alice
    approvals.approve(change=first, principal=alice, digest=first.digest, now=desk.now)
    vera = desk.agency.principals.vera  # so large a step is somebody else's to approve
    with pytest.raises(NotAllowedBy) as refused:
        approvals.approve(change=second, principal=vera, digest=second.digest, now=desk.now)
    assert refused.value.code == "envelope_account_day"


def test_room_that_an_expired_approval_held_is_free_again(desk):
    use = day_of(desk)
    cap(desk, room_for(use.worst + 40, "0.85"))
    desk.approved("120")
    assert desk.file("50", obj=desk.ad_set, acknowledged=True).state == "REJECTED"
    desk.wait(minutes=31)
    assert desk.file("50", obj=desk.ad_set, acknowledged=True).state == "PROPOSED"


def test_what_is_in_doubt_keeps_its_room(desk):
    desk.sandbox.faults.arm("applied_timeout", {}, 1)
    before = day_of(desk).worst
    desk.until(desk.approved("120"), "UNKNOWN")
    assert day_of(desk).worst == before + 35


@pytest.mark.fault("F56")
def test_unknown_spend_stops_raises_and_starts_and_nothing_else(desk):
    ExposureRow.everything.all().delete()
    assert "not reported lately" in desk.file("120").error_text
    assert desk.file("ACTIVE", field=Field.STATUS, obj=desk.other).state == "REJECTED"
    assert desk.file("90").state == "PROPOSED"
    assert desk.file("PAUSED", field=Field.STATUS).state == "PROPOSED"
    desk.spent()
    assert desk.file("121").state == "PROPOSED"
    desk.wait(hours=1)
    assert desk.file("122").state == "PROPOSED"
    desk.wait(hours=6)
    assert "not reported lately" in desk.file("123").error_text


def test_spend_so_far_fills_the_day(desk):
    empty = day_of(desk)
    desk.spent("1000", obj=desk.campaign)
    assert day_of(desk).worst == empty.worst - 175 + 1000


def test_a_client_s_cap_is_shared_by_its_accounts_of_that_currency_only(desk):
    account, mine = desk.account, desk.campaign
    before = day_of(desk, Scope.CLIENT).worst
    second = AdAccount.everything.get(pk=account.pk)
    second.pk, second.meta_id, second.name = None, "999", "Second"
    second.save(force_insert=True)
    Campaign.everything.create(
        client_id=account.client_id, ad_account=second, meta_id="9991", name="Twin", status="ACTIVE",
        daily_budget=Decimal(1000), seen_at=desk.now,
    )  # fmt: skip
    assert day_of(desk, Scope.CLIENT).stage == "unknown"
    assert "not reported lately" in desk.file("120", obj=mine).error_text
    from campaigns.changes.exposure import Spent, report

    row = Spent(level="account", object_id="", day=desk.now.date(), spend=Decimal(0))
    report(ad_account_id=second.pk, rows=[row], as_of=desk.now, trust="ready", now=desk.now)
    assert day_of(desk, Scope.CLIENT).worst == before + 1750
    assert day_of(desk).worst == before
    refused = desk.file("121", obj=mine)
    assert "the client in USD could spend" in refused.error_text
    AdAccount.everything.filter(pk=second.pk).update(currency="EUR")
    assert day_of(desk, Scope.CLIENT).worst == before


@pytest.mark.fault("F72")
def test_a_cap_in_another_currency_than_the_account_s_holds_nothing_and_so_nothing_rises(desk):
    """The number would fit in either: a limit of 682.50 dollars is not one of 682.50 yen."""
    cap(desk, "600")
    assert desk.file("110").state == "PROPOSED"
    desk.edit(SimpleNamespace(meta_id=desk.account.act_id), "currency", "JPY")
    desk.wait(minutes=1)
    desk.sync()
    assert desk.account.currency == "JPY" and desk.campaign.daily_budget == 10_000
    refused = desk.file("11000")
    assert refused.state == "REJECTED"
    assert "currency is JPY now, and the ad account " in refused.error_text
    assert " and the client in JPY have no spending limit for a day in JPY" in refused.error_text
    assert "(2730 USD, 600 USD)" in refused.error_text and "holds nothing" in refused.error_text
    assert "sets the limits anew in JPY" in refused.advice
    cap(desk, "60000", currency="JPY")
    line = LedgerLine.everything.filter(kind="limit").latest("seq")
    assert (line.before, line.after, line.currency) == ("", "60000", "JPY")
    assert line.note == "It was 600 USD, which held nothing any more. agreed"
    refused = desk.file("11001")
    assert "and the client in JPY has no spending limit for a day in JPY" in refused.error_text
    cap(desk, "60000", scope=Scope.CLIENT, currency="JPY")
    assert desk.file("11000").state == "PROPOSED"
    assert desk.file("9000").state == "PROPOSED", "and a cut needs none"


@pytest.mark.parametrize("scope", [Scope.OBJECT, Scope.CAMPAIGN])
def test_a_campaign_s_own_cap_holds_it_and_no_other(desk, scope):
    cap(desk, "200", scope=scope, obj=desk.campaign)
    assert "“Teapots - Sales” could spend" in desk.file("120").error_text
    assert desk.file("36", obj=desk.ad_set).state == "PROPOSED"
    cap(desk, None, scope=scope, obj=desk.campaign)
    assert desk.file("121").state == "PROPOSED"


def test_a_campaign_s_cap_holds_its_ad_sets_together(desk):
    cap(desk, "1", scope=Scope.CAMPAIGN, obj=desk.other)
    assert "could spend" in desk.file("36", obj=desk.ad_set).error_text


@pytest.mark.fault("F30")
def test_a_cap_on_rises_counts_what_may_have_been_applied(desk):
    cap(desk, "60", period=Period.RISE)
    desk.sandbox.faults.arm("applied_timeout", {}, 1)
    desk.until(desk.approved("120"), "UNKNOWN")
    assert desk.file("36", obj=desk.ad_set).state == "PROPOSED"
    refused = desk.file("65", obj=desk.ad_set, acknowledged=True)
    assert refused.state == "REJECTED" and "within 24 hours" in refused.error_text


def test_an_undo_needs_the_cap_too_but_only_its_hard_stage(desk):
    from campaigns.changes.undo import undo

    change = desk.until(desk.approved("50"), "APPLIED")
    use = day_of(desk)
    alice = desk.agency.principals.alice
    cap(desk, room_for(use.worst + Decimal("87.5"), "0.90"))
    back = undo(change=change, principal=alice, now=desk.now)
    assert back.state == "PROPOSED"
    cap(desk, str(use.worst + 50))
    vera = desk.agency.principals.vera  # so large a step is somebody else's to approve
    with pytest.raises(NotAllowedBy):
        approvals.approve(change=back, principal=vera, digest=back.digest, now=desk.now)


# --- who sets and sees them


@pytest.mark.parametrize(
    "who, error", [("bob", Forbidden), ("vera", Forbidden), ("vic", Forbidden), ("charlie", NotFound)]
)
def test_only_owners_and_managers_set_a_cap(desk, who, error):
    before = list(Envelope.everything.values_list("scope_key", "period", "amount"))
    with pytest.raises(error):
        cap(desk, "100000", who=who)
    assert list(Envelope.everything.values_list("scope_key", "period", "amount")) == before


def test_the_cap_of_a_day_is_never_taken_away_and_nonsense_is_refused(desk):
    for scope in (Scope.ACCOUNT, Scope.CLIENT):
        with pytest.raises(Invalid):
            cap(desk, None, scope=scope)
    for amount in ("-1", "0.001", "1e15"):
        with pytest.raises(Invalid):
            cap(desk, amount)
    with pytest.raises(Invalid):
        cap(desk, "5", period=Period.FLIGHT)
    with pytest.raises(NotFound):
        cap(desk, "5", scope=Scope.CAMPAIGN, obj=desk.ad_set)


def test_who_set_a_cap_and_what_it_was_are_kept(desk):
    cap(desk, "700")
    cap(desk, "800")
    line = AuditLine.objects.of(desk.agency.northwind).filter(verb="set_envelope").order_by("-pk").first()
    assert (line.detail["before"], line.detail["after"], line.actor_id) == (
        "700", "800", desk.agency.users.alice.pk,
    )  # fmt: skip
    row = Envelope.everything.get(scope="account", period="day")
    assert (row.amount, row.set_by, row.reason) == (800, desk.agency.users.alice, "agreed")


def test_the_api_reads_and_sets_caps_with_how_full_they_are(desk):
    alice, path = Caller(desk.agency.users.alice), "/api/envelopes"
    body = {
        "account_id": desk.account.act_id, "scope": "account", "period": "month", "amount": 9000, "reason": "flight",
    }  # fmt: skip
    answer = alice.post(path, body)
    assert answer.status_code == 200, answer.text
    found = next(row for row in answer.body["envelopes"] if row["period"] == "month")
    assert (found["set_by"], found["stage"], found["currency"]) == ("Alice", "open", "USD")
    assert Decimal(found["worst"]) > 0 and Decimal(found["used_percent"]) > 0
    seen = Caller(desk.agency.users.vic).get(path, account=desk.account.act_id)
    assert seen.status_code == 200 and len(seen.body["envelopes"]) == 5
    assert Caller(desk.agency.users.charlie).get(path, account=desk.account.act_id).status_code == 404
    assert Caller(desk.agency.users.bob).post(path, body).status_code == 403
    assert alice.post(path, body | {"amount": "9,000"}).status_code == 400
    assert alice.get(path).status_code == 400


@pytest.mark.fault("F65")
def test_an_account_s_rolling_day_holds_raises_of_many_objects_together(desk):
    """Each raise is within its own step; together they would more than double the account's budgets."""
    desk.until(desk.approved("150"), "APPLIED")
    desk.wait(minutes=1)
    # Somebody has cut the campaign since: what the raise added still counts, against what is left.
    Campaign.everything.filter(pk=desk.campaign.pk).update(daily_budget=Decimal(80))
    assert desk.file("39", obj=desk.ad_set).state == "PROPOSED"
    refused = desk.file("45", obj=desk.ad_set)
    assert refused.state == "REJECTED" and "budgets of the ad account" in refused.error_text
