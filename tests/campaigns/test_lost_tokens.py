"""A token that ends in the middle of the work (F87): changes wait or are looked up, nothing is deleted, nothing is
sent twice, and after a reconnect or a hand-over everything goes on by being read first."""

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts import connections, tokens
from accounts.errors import NoConnection
from accounts.models import AdAccount, ConnectionState, MetaConnection
from campaigns.changes.invariants import check
from campaigns.models import Ad, AdSet, Campaign
from campaigns.states import Evidence, Field, Source
from campaigns.tasks import sync_structure

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F87")]

MANAGE = ("ANALYZE", "ADVERTISE", "MANAGE")


@pytest.fixture(autouse=True)
def nothing_is_broken_afterwards(desk):
    yield
    assert check(ad_account=desk.account, now=desk.now) == []


def lose(desk, user="alice"):
    """At Meta: the user changed the password, so every token of theirs is dead."""
    desk.sandbox.control.handle("POST", "revoke", {"user": user, "subcode": "460"})
    desk.wait(seconds=1)


def connect(desk, user="alice"):
    desk.wait(seconds=1)
    connections.connect(
        client=desk.agency.northwind,
        principal=desk.agency.principals.alice,
        token=desk.sandbox.token(user),
        now=desk.now,
        user=desk.agency.users.alice,
    )


def state():
    return MetaConnection.everything.get(meta_user_name="Alice Agency").state


def test_a_write_that_meets_a_dead_token_is_held_and_verified_after_the_reconnect(desk):
    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)
    desk.sandbox.faults.arm("auth", {"method": "POST"}, 1, subcode=460)
    desk.until(change, "HELD_AUTH")
    assert (state(), len(desk.writes())) == (ConnectionState.REAUTH_NEEDED, 1)
    for _ in range(5):
        desk.wait(minutes=1)
        assert desk.step(change).state == "HELD_AUTH"
    connect(desk)
    desk.until(change, "APPLIED")
    assert len(desk.writes()) == 2 and desk.truth(desk.campaign, "daily_budget") == 12_000


def test_a_change_that_a_person_made_meanwhile_is_found_before_anything_is_sent_again(desk):
    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)
    desk.sandbox.faults.arm("auth", {"method": "POST"}, 1, subcode=460)
    desk.until(change, "HELD_AUTH")
    desk.edit(desk.campaign, "daily_budget", 15_500)
    connect(desk)
    desk.until(change, "SUPERSEDED")
    assert len(desk.writes()) == 1 and desk.truth(desk.campaign, "daily_budget") == 15_500


@pytest.mark.fault("F12")
def test_a_person_who_set_the_same_value_meanwhile_is_not_taken_for_our_own_work(desk):
    """Meta refused our one request for its token; that the value fits is no effect of ours (N15)."""
    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)
    desk.sandbox.faults.arm("auth", {"method": "POST"}, 1, subcode=460)
    desk.until(change, "HELD_AUTH")
    desk.edit(desk.campaign, "daily_budget", 12_000)
    connect(desk)
    desk.until(change, "SUPERSEDED", "APPLIED")
    assert (change.state, change.possibly_applied, change.applied_at) == ("SUPERSEDED", False, None)
    assert "Somebody else set it to 120" in change.error_text and len(desk.writes()) == 1
    assert desk.campaign.daily_budget == 120


@pytest.mark.parametrize("fault", ["", "applied_timeout"])
def test_a_change_on_its_way_is_looked_up_once_somebody_has_reconnected(desk, fault):
    """Acknowledged or unknown, then the token dies: no verdict, no second request, until it can be read again."""
    if fault:
        desk.sandbox.faults.arm(fault, {"method": "POST"}, 1)
    change = desk.until(desk.approved("120"), "UNKNOWN" if fault else "ACKED")
    lose(desk)
    for _ in range(10):
        desk.wait(minutes=1)
        assert desk.step(change).state in ("ACKED", "UNKNOWN", "VERIFYING")
    assert state() == ConnectionState.REAUTH_NEEDED and len(desk.writes()) == 1
    connect(desk)
    desk.until(change, "APPLIED", every=10)
    assert len(desk.writes()) == 1


def test_a_sync_that_loses_its_token_half_way_deletes_nothing_and_the_next_one_goes_on(desk):
    def stored():
        return [model.everything.filter(removed_at__isnull=True).count() for model in (Campaign, AdSet, Ad)]

    before = stored()
    desk.sandbox.faults.arm("auth", {"path": "adsets"}, None, subcode=460)
    run = desk.sync()
    assert run.state in ("partial", "failed") and "password" in run.error_text
    assert (state(), stored()) == (ConnectionState.REAUTH_NEEDED, before)
    desk.sandbox.faults.disarm()
    sync_structure(desk.account.pk)
    with pytest.raises(NoConnection):
        desk.sync()
    assert stored() == before
    connect(desk)
    assert desk.sync().state == "complete" and stored() == before


def test_a_held_change_goes_on_with_the_writer_that_took_over(desk):
    """Another Meta user of the same client may write too: nobody has to reconnect."""
    desk.sandbox.world.people["bob"].tasks[desk.account.act_id] = MANAGE
    connect(desk, "bob")
    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)
    desk.sandbox.faults.arm("auth", {"method": "POST"}, 1, subcode=460)
    desk.until(change, "HELD_AUTH")
    assert AdAccount.everything.get().connection.meta_user_name == "Bob Buyer"
    desk.until(change, "APPLIED", every=10)
    assert len(desk.writes()) == 2 and state() == ConnectionState.REAUTH_NEEDED


def test_a_change_refused_for_a_permission_stays_held_while_nothing_has_changed(desk):
    change = desk.approved("120")
    desk.step(change)
    desk.wait(seconds=4)
    desk.sandbox.faults.arm("permission", {"method": "POST"}, 1)
    desk.until(change, "HELD_AUTH")
    desk.wait(minutes=5)
    assert desk.step(change).state == "HELD_AUTH"
    assert state() == ConnectionState.CONNECTED, "a permission is no matter of the token"
    assert len(desk.writes()) == 1 and "grant the permission" in change.advice


# --- automation


def of_a_strategy(desk):
    good = Evidence(data_version=1, as_of=desk.now, checksum="c", valid_until=desk.now + timedelta(hours=1))
    return desk.approved(
        "PAUSED", field=Field.STATUS, source=Source.STRATEGY, evidence=good, strategy_ref="s1"
    )


def test_a_strategys_change_rests_while_the_connection_is_expiring(desk):
    change = of_a_strategy(desk)
    MetaConnection.everything.update(state="expiring")
    for _ in range(5):
        desk.wait(seconds=30)
        desk.step(change)
    assert desk.writes() == [] and change.state in ("APPROVED", "PREPARING")
    assert "is in the state “expiring”" in change.error_text
    MetaConnection.everything.update(state="connected")
    desk.until(change, "APPLIED", every=10)
    assert len(desk.writes()) == 1


def test_a_doubt_holds_a_strategys_change_until_a_good_answer(desk):
    change = of_a_strategy(desk)
    desk.step(change)
    desk.sandbox.faults.arm("auth", {"object_id": desk.campaign.meta_id}, 1, subcode=0)
    desk.wait(seconds=4)
    desk.step(change)
    assert (state(), desk.writes()) == (ConnectionState.DEGRADED, [])
    desk.until(change, "APPLIED", every=10)
    assert (state(), len(desk.writes())) == (ConnectionState.CONNECTED, 1)


def test_a_persons_change_is_sent_while_the_connection_is_expiring(desk):
    change = desk.approved("120")
    MetaConnection.everything.update(state="expiring")
    desk.until(change, "APPLIED")
    assert tokens.why_frozen(desk.account)


def test_a_pause_of_the_connection_rests_everything_and_its_end_lets_it_go_on(desk):
    change = desk.approved("120")
    row, alice = MetaConnection.everything.get(), desk.agency.principals.alice
    connections.pause(connection=row, principal=alice, now=desk.now)
    desk.wait(minutes=1)
    desk.step(change)
    assert desk.writes() == [] and change.state in ("APPROVED", "PREPARING")
    connections.resume(connection=row, principal=alice, now=desk.now)
    desk.until(change, "APPLIED", every=10)
