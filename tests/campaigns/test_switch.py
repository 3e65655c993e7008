"""The kill switch and holds: what is stopped is not sent."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

import campaigns.changes.approvals as approvals
import campaigns.changes.switch as switch
from accounts.errors import Forbidden, Invalid, NotFound
from campaigns.changes.switch import Scope
from campaigns.models import Hold, LedgerLine, Switch
from campaigns.states import Field

pytestmark = pytest.mark.django_db


def scopes(desk):
    return {
        "global": Scope(),
        "client": Scope(client=desk.agency.northwind),
        "account": Scope(ad_account=desk.account),
        "strategy": Scope(client=desk.agency.northwind, strategy_ref="s1"),
    }


@pytest.mark.parametrize("name", ["global", "client", "account", "strategy"])
def test_a_pulled_switch_stops_a_change_between_its_two_reads_before_the_post(desk, name):
    change = desk.approved("PAUSED", field=Field.STATUS, strategy_ref="s1")
    desk.step(change)
    assert change.state == "PREPARING"
    switch.pull(
        scope=scopes(desk)[name], principal=desk.agency.principals.alice, reason="wrong target", now=desk.now
    )
    desk.wait(seconds=4)
    desk.until(change, "EXPIRED")
    assert desk.writes() == [] and "wrong target" in change.error_text


def test_a_pulled_switch_is_read_in_the_sending_transaction(desk):
    import campaigns.changes.send as send
    from campaigns.changes import reading

    change = desk.approved("90")
    desk.step(change)
    desk.wait(seconds=4)
    claim = reading.claim(str(change.uuid), states=send.STATES, now=desk.now)
    switch.pull(scope=Scope(), principal=desk.agency.principals.alice, reason="now", now=desk.now)
    assert send._committed(claim, wire=9_000, token=desk.token, now=desk.now) is None
    assert desk.attempts(change) == [] and desk.writes() == []


def test_a_switch_of_another_client_or_strategy_stops_nothing_here(desk):
    alice = desk.agency.principals.alice
    switch.pull(scope=Scope(client=desk.agency.southwind), principal=alice, reason="theirs", now=desk.now)
    other = Scope(client=desk.agency.northwind, strategy_ref="s2")
    switch.pull(scope=other, principal=alice, reason="that one", now=desk.now)
    desk.until(desk.approved("90", strategy_ref="s1"), "APPLIED")


def test_what_was_stopped_is_not_sent_after_the_release(desk):
    change, alice = desk.approved("90"), desk.agency.principals.alice
    switch.pull(scope=Scope(), principal=alice, reason="stop", now=desk.now)
    desk.step(change)
    assert switch.release(scope=Scope(), principal=alice, reason="all clear", now=desk.now)
    desk.step(change)
    assert change.state == "EXPIRED" and desk.writes() == []
    desk.until(desk.approved("90"), "APPLIED")


def test_what_is_on_its_way_is_still_read_back_while_stopped(desk):
    change = desk.until(desk.approved("90"), "ACKED")
    switch.pull(scope=Scope(), principal=desk.agency.principals.alice, reason="stop", now=desk.now)
    desk.until(change, "APPLIED")
    assert len(desk.writes()) == 1


def test_a_retry_after_a_stop_needs_a_person_instead(desk):
    desk.sandbox.faults.arm("dropped", {"method": "POST"}, 1)
    change = desk.until(desk.approved("90"), "UNKNOWN")
    switch.pull(scope=Scope(), principal=desk.agency.principals.alice, reason="stop", now=desk.now)
    desk.until(change, "NEEDS_HUMAN", every=10)
    assert len(desk.writes()) == 1


def test_pulling_twice_is_one_stop(desk):
    alice = desk.agency.principals.alice
    first = switch.pull(scope=Scope(), principal=alice, reason="one", now=desk.now)
    assert switch.pull(scope=Scope(), principal=alice, reason="two", now=desk.now) == first
    assert switch.release(scope=Scope(), principal=alice, reason="", now=desk.now)
    assert not switch.release(scope=Scope(), principal=alice, reason="", now=desk.now)
    assert Switch.everything.count() == 1


@pytest.mark.parametrize(
    "who, name, error",
    [
        ("bob", "global", Invalid), ("charlie", "account", NotFound), ("charlie", "client", NotFound),
        ("vic", "client", Forbidden), ("ivan", "account", Forbidden),
    ],
)  # fmt: skip
def test_who_may_not_stop(desk, who, name, error):
    with pytest.raises(error):
        switch.pull(
            scope=scopes(desk)[name], principal=getattr(desk.agency.principals, who), reason="x", now=desk.now
        )
    assert Switch.everything.count() == 0


def test_a_buyer_stops_and_a_manager_or_owner_releases(desk):
    scope, people = Scope(client=desk.agency.northwind), desk.agency.principals
    switch.pull(scope=scope, principal=people.bob, reason="odd numbers", now=desk.now)
    with pytest.raises(Forbidden):
        switch.release(scope=scope, principal=people.bob, reason="", now=desk.now)
    assert switch.release(scope=scope, principal=people.alice, reason="", now=desk.now)
    lines = LedgerLine.everything.filter(kind="switch").order_by("seq")
    assert [(line.state, line.by) for line in lines] == [("STOPPED", "person"), ("RELEASED", "person")]


def test_everybody_concerned_sees_the_stop(desk):
    people = desk.agency.principals
    switch.pull(scope=Scope(client=desk.agency.northwind), principal=people.bob, reason="ours", now=desk.now)
    assert switch.pulled(people.vic).count() == 1 and switch.pulled(people.charlie).count() == 0
    switch.pull(scope=Scope(), principal=people.alice, reason="all", now=desk.now)
    assert switch.pulled(people.charlie).get().reason == "all"


def test_the_command_stops_and_releases(desk, capsys):
    call_command("stop", "--reason", "disk on fire")
    assert switch.stopped(client_id=desk.account.client_id, ad_account_id=desk.account.pk).endswith(
        "disk on fire"
    )
    call_command("stop", "--release")
    assert switch.stopped(client_id=desk.account.client_id, ad_account_id=desk.account.pk) == ""
    call_command("stop", "--client", "northwind")
    call_command("stop", "--ad-account", desk.account.act_id)
    assert {row.scope for row in switch.pulled(desk.agency.principals.alice)} == {"client", "account"}
    with pytest.raises(CommandError, match="There are: northwind, southwind"):
        call_command("stop", "--client", "nobody")


@pytest.mark.fault("F68")
def test_a_hold_ends_by_itself_or_by_a_person_who_has_looked(desk):
    change = desk.approved("90")
    desk.edit(desk.campaign, "daily_budget", 7_700)
    desk.until(change, "SUPERSEDED")
    hold, people = Hold.everything.get(), desk.agency.principals
    assert switch.held(object_id=hold.object_id, now=desk.now) == hold
    assert switch.held(object_id=hold.object_id, now=hold.until) is None
    with pytest.raises(NotFound):
        switch.resume(principal=people.charlie, uuid=str(hold.uuid), reason="x", now=desk.now)
    with pytest.raises(Forbidden):
        switch.resume(principal=people.vic, uuid=str(hold.uuid), reason="x", now=desk.now)
    switch.resume(principal=people.bob, uuid=str(hold.uuid), reason="seen", now=desk.now)
    assert switch.held(object_id=hold.object_id, now=desk.now) is None


def test_after_the_hold_a_person_may_decide_anew(desk):
    change = desk.approved("90")
    desk.edit(desk.campaign, "daily_budget", 7_700)
    desk.until(change, "SUPERSEDED")
    again = desk.file("85")
    assert again.before == "77" and again.state == "PROPOSED"
    approvals.approve(change=again, principal=desk.agency.principals.alice, digest=again.digest, now=desk.now)
    desk.until(again, "APPLIED")
