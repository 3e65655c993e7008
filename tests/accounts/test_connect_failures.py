"""Every way in which connecting fails says what happened and what to do, stores nothing, and can be tried again."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client as Browser

from accounts.models import AdAccount, AuditLine, Membership, MetaConnection, PendingGrant, Role
from metaads.gateway import plugged
from metaads.sandbox.app import Sandbox
from tests.accounts.test_connect import Dance, code, nothing_stored
from tests.conftest import PASSWORD
from tests.door import WSGIAdapter

#: Before the confirm page can be reached, and before it can be shown or answered.
ON_THE_WAY_BACK = ("oauth/access_token", "me")
AT_THE_CONFIRMATION = ("debug_token", "me", "me/adaccounts")
#: fault -> what it is called
SILENCE = {
    "dropped": "connect_meta_down",
    "html": "connect_meta_down",
    "empty": "connect_meta_down",
    "truncated": "connect_meta_down",
    "transient": "connect_meta_down",
}


@pytest.fixture
def dance(sandbox, agency):
    return Dance(sandbox, agency.users.alice)


def text_of(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode().partition("<main")[2]).split())


def retry(answer):
    """Press the button of the failure page."""
    form = re.search(
        r'<form method="post" action="(/connections/connect)">(.*?)</form>',
        answer.content.decode(),
        re.DOTALL,
    )
    assert form, "no way to try again"
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[2]))
    return {name: value for name, value in fields.items() if name != "csrfmiddlewaretoken"}


# --- Meta does not answer


@pytest.mark.parametrize("fault", SILENCE)
@pytest.mark.parametrize("path", ON_THE_WAY_BACK)
def test_meta_is_down_on_the_way_back(dance, sandbox, path, fault):
    dance.start()
    dance.decide()
    sandbox.faults.arm(fault, {"path": path})
    answer = dance.land()
    assert code(answer) == (503, SILENCE[fault])
    assert "Try again in a few minutes. Nothing was stored." in text_of(answer)
    assert retry(answer)["client"] == "northwind"
    assert nothing_stored() and not PendingGrant.everything.exists()
    sandbox.faults.disarm()
    dance.to_confirm()


@pytest.mark.parametrize("fault", SILENCE)
@pytest.mark.parametrize("path", AT_THE_CONFIRMATION)
def test_meta_is_down_at_the_confirmation(dance, sandbox, path, fault):
    confirm = dance.to_confirm()
    sandbox.faults.arm(fault, {"path": path}, times=None)
    for answer in (dance.web.get(confirm), dance.web.post(confirm)):
        assert code(answer) == (503, SILENCE[fault])
        assert "Nothing was stored." in text_of(answer)
    assert nothing_stored()
    sandbox.faults.disarm()
    assert dance.web.get(confirm).status_code == 200
    assert dance.web.post(confirm).status_code == 302
    assert MetaConnection.everything.count() == 1


@pytest.mark.parametrize("path", (*ON_THE_WAY_BACK, *AT_THE_CONFIRMATION))
def test_meta_says_too_many_calls(dance, sandbox, path):
    dance.start()
    dance.decide()
    back = path in ON_THE_WAY_BACK
    if not back:
        confirm = dance.land().headers["Location"]
    sandbox.faults.arm("throttle", {"path": path}, times=None)
    answer = dance.land() if back else dance.web.get(confirm)
    assert answer.status_code == 429
    assert "limit" in text_of(answer)
    assert nothing_stored()


@pytest.mark.parametrize("path", ON_THE_WAY_BACK)
def test_an_answer_without_what_belongs_into_it_is_no_answer(dance, sandbox, path):
    dance.start()
    dance.decide()
    sandbox.faults.arm("odd_body", {"path": path})
    assert dance.land().status_code in (400, 503)
    assert nothing_stored() and not PendingGrant.everything.exists()


# --- permissions


@pytest.mark.fault("F85")
@pytest.mark.parametrize("granted", [(), ("business_management",), ("read_insights",), ("email",)])
def test_without_a_permission_to_read_nothing_is_connected(dance, granted):
    dance.to_confirm(**{f"grant_{scope}": "1" for scope in (*granted, "public_profile")})
    answer = dance.web.get(dance.confirm)
    assert code(answer) == (403, "connect_scope_declined")
    assert "leave ads_read switched on" in text_of(answer)
    assert retry(answer) == {"client": "northwind", "again": "1"}
    assert nothing_stored()


@pytest.mark.fault("F85")
def test_asking_again_after_a_refusal_asks_for_what_was_declined(dance):
    dance.start()
    dance.decide("cancel")
    answer = dance.land()
    dance.start(**{name: value for name, value in retry(answer).items() if name != "client"})
    assert dance.asked["auth_type"] == "rerequest"


@pytest.mark.fault("F85")
def test_fewer_ad_accounts_than_there_are_is_no_failure(agency, clock):
    box = Sandbox(world="demo", seed=7, clock=clock)
    with plugged(WSGIAdapter(box)):
        dance = Dance(box, agency.users.alice)
        page = dance.web.get(dance.to_confirm(user="bob")).content.decode()
        assert "This user may see numbers: no changes in this account" in " ".join(page.split())
        dance.web.post(dance.confirm, {"enable": box.ad_accounts()})
    assert AdAccount.everything.count() == 2


# --- another Facebook user


@pytest.fixture
def old(connected):
    return MetaConnection.everything.get()


@pytest.fixture
def renewal(connected, sandbox, old):
    dance = Dance(sandbox, connected.users.alice)
    assert dance.start(connection=str(old.uuid)).status_code == 302
    return dance


def test_renewing_with_the_right_user_renews_it(renewal, old, clock):
    MetaConnection.everything.update(state="reauth_needed", reason="It ran out.")
    renewal.decide()
    confirm = renewal.land().headers["Location"]
    assert renewal.web.get(confirm).status_code == 200
    assert renewal.web.post(confirm).headers["Location"] == "/c/northwind/"
    old.refresh_from_db()
    assert (old.state, old.reason, MetaConnection.everything.count()) == ("connected", "", 1)


def test_the_wrong_facebook_user_is_named_and_nothing_is_stored(renewal, old):
    renewal.decide(user="bob")
    confirm = renewal.land().headers["Location"]
    answer = renewal.web.get(confirm)
    assert code(answer) == (409, "connect_wrong_user")
    text = text_of(answer)
    assert "Bob Buyer logged in at Facebook, but this connection belongs to Alice Agency." in text
    assert "sign out at facebook.com" in text
    assert code(renewal.web.post(confirm)) == (409, "connect_wrong_user")
    assert [row.meta_user_name for row in MetaConnection.everything.all()] == ["Alice Agency"]
    again = retry(answer)
    assert (again["connection"], again["other"]) == (str(old.uuid), "1")
    renewal.start(**again)
    assert renewal.asked["auth_type"] == "reauthenticate"


def test_the_wrong_facebook_user_may_be_added_as_a_second_connection(renewal, old):
    renewal.decide(user="bob")
    confirm = renewal.land().headers["Location"]
    page = renewal.web.get(f"{confirm}?second=1")
    assert page.status_code == 200
    assert "This is added as a second connection of Northwind. Alice Agency stays connected" in text_of(page)
    before = old.token
    assert renewal.web.post(confirm, {"second": "1"}).headers["Location"] == "/c/northwind/"
    old.refresh_from_db()
    assert (old.token, old.state) == (before, "connected")
    assert MetaConnection.everything.count() == 2
    assert AdAccount.everything.get().connection == old


def test_a_connection_of_another_client_cannot_be_renewed(connected, sandbox, old):
    for name in ("charlie", "vic"):
        dance = Dance(sandbox, getattr(connected.users, name))
        assert dance.start(connection=str(old.uuid)).status_code in (403, 404)
    assert Dance(sandbox, connected.users.alice).start(connection="no-uuid").status_code == 404


# --- nothing to connect


def test_a_user_without_ad_accounts_is_told_so(dance):
    dance.to_confirm(user="charlie")
    answer = dance.web.get(dance.confirm)
    assert code(answer) == (409, "connect_no_ad_accounts")
    assert "Have them added to an ad account" in text_of(answer)


@pytest.mark.fault("F86")
def test_accounts_that_another_client_holds_are_refused_before_and_after_the_click(dance, sandbox, agency):
    dance.to_confirm()
    for act in sandbox.ad_accounts():
        AdAccount.everything.create(
            client=agency.southwind, meta_id=act[4:], name="held", currency="USD", timezone_name="UTC"
        )
    for answer in (dance.web.get(dance.confirm), dance.web.post(dance.confirm)):
        assert code(answer) == (409, "ad_account_claimed")
        text = text_of(answer)
        assert sandbox.ad_accounts()[0] in text and "Southwind" not in text
        assert "An ad account belongs to one client, with all of its history." in text
    assert not MetaConnection.everything.exists()


# --- what changed meanwhile


def test_the_role_was_lost_while_the_dialog_was_open(dance, agency):
    dance.start()
    dance.decide()
    # An owner becomes a viewer: still signed in, still sees the client.
    Membership.objects.filter(user=agency.users.alice).update(role=Role.VIEWER, client=agency.northwind)
    answer = dance.land()
    assert code(answer) == (403, "connect_role_lost")
    assert nothing_stored() and not PendingGrant.everything.exists()


def test_the_role_was_lost_before_the_confirmation(dance, agency):
    dance.to_confirm()
    Membership.objects.filter(user=agency.users.alice).update(role=Role.VIEWER, client=agency.northwind)
    for answer in (dance.web.get(dance.confirm), dance.web.post(dance.confirm)):
        assert code(answer) == (403, "connect_role_lost")
        assert "your role changed meanwhile" in text_of(answer)
    assert nothing_stored()


def test_the_person_signed_out_while_the_dialog_was_open(dance):
    dance.start()
    dance.decide()
    dance.web.logout()
    answer = dance.land()
    assert code(answer) == (403, "connect_signed_out")
    assert "Sign in and begin again" in text_of(answer)
    assert "/accounts/login/" in answer.content.decode()
    assert nothing_stored() and not PendingGrant.everything.exists()


def test_the_session_slept_while_the_dialog_was_open(dance, clock):
    dance.web.get("/connections/")
    dance.start()
    clock.advance(31 * 60)
    dance.decide()
    assert code(dance.land()) == (403, "connect_signed_out")


def test_the_person_signed_out_before_the_confirmation(dance):
    dance.to_confirm()
    dance.web.logout()
    answer = dance.web.post(dance.confirm)
    assert answer.headers["Location"] == f"/accounts/login/?next={dance.confirm}"
    dance.web.post("/accounts/login/", {"login": "alice@example.com", "password": PASSWORD})
    assert dance.web.post(dance.confirm).status_code == 404
    assert nothing_stored()


@pytest.mark.fault("F81")
def test_another_person_signed_in_meanwhile(dance, agency):
    dance.start()
    dance.decide()
    dance.web.force_login(agency.users.charlie)
    assert dance.land().status_code == 403
    assert nothing_stored() and not PendingGrant.everything.exists()


# --- somebody else's log-in


@pytest.mark.fault("F82")
def test_a_stranger_cannot_finish_his_own_log_in_in_a_victims_browser(sandbox, agency):
    """The attacker logs in at Meta as himself and gets the victim's browser to open the address with his code."""
    attacker, victim = Dance(sandbox, agency.users.charlie, "southwind"), Dance(sandbox, agency.users.alice)
    attacker.start()
    stolen = attacker.decide(user="bob")
    assert code(attacker.land(stolen, web=victim.web)) == (403, "connect_state")
    # Even while the victim has a log-in of her own under way, with her own state.
    victim.start()
    his_code = parse_qs(urlsplit(stolen).query)["code"][0]
    mixed = f"{victim.asked['redirect_uri']}?code={his_code}&state={victim.asked['state']}"
    confirm = victim.land(mixed).headers["Location"]
    # Then the confirm page names whose Facebook user it is, and nothing is stored without her click.
    page = victim.web.get(confirm)
    assert "Connect Bob Buyer to Northwind?" in text_of(page)
    assert nothing_stored()
    forged = Browser(enforce_csrf_checks=True)
    forged.cookies = victim.web.cookies
    assert forged.post(confirm).status_code == 403
    assert nothing_stored()


# --- and when it succeeds


def test_success_names_what_was_connected_on_the_clients_dashboard(agency, clock):
    box = Sandbox(world="demo", seed=7, clock=clock)
    with plugged(WSGIAdapter(box)):
        dance = Dance(box, agency.users.alice)
        dance.to_confirm()
        first = box.ad_accounts()[0]
        answer = dance.web.post(dance.confirm, {"enable": [first]}, follow=True)
    assert answer.redirect_chain == [("/c/northwind/", 302)]
    text = text_of(answer)
    assert f"Alice Agency is connected to Northwind. Read from now on: Northwind Coffee ({first})." in text
    assert "2 more can be switched on under Connections." in text
    assert AuditLine.everything.filter(verb="connect").count() == 1


def test_success_without_the_right_to_change_says_read_only(dance, sandbox):
    dance.to_confirm(grant_ads_read="1")
    answer = dance.web.post(dance.confirm, {"enable": sandbox.ad_accounts()}, follow=True)
    assert "It is read-only: ads_management was not given" in text_of(answer)


def test_an_ad_account_that_meta_has_closed_stays_off(agency, clock):
    box = Sandbox(world="demo", seed=7, clock=clock)
    closed, *others = box.ad_accounts()
    box.control.handle(
        "POST", "edit", {"object_id": closed, "field": "account_status", "value": 101, "actor": "x"}
    )
    with plugged(WSGIAdapter(box)):
        dance = Dance(box, agency.users.alice)
        page = dance.web.get(dance.to_confirm()).content.decode()
        assert re.search(rf'value="{closed}" disabled', page)
        wanted = [closed, others[0], "act_1", "x", ""]
        assert dance.web.post(dance.confirm, {"enable": wanted}).status_code == 302
    assert {row.act_id for row in AdAccount.everything.all() if row.enabled} == {others[0]}


def test_reconnecting_ticks_nothing_that_a_person_has_switched_off(agency, clock):
    box = Sandbox(world="demo", seed=7, clock=clock)
    on, off, new = box.ad_accounts()
    with plugged(WSGIAdapter(box)):
        dance = Dance(box, agency.users.alice)

        def boxes():
            page = dance.web.get(dance.to_confirm()).content.decode()
            found = re.findall(r'name="enable" value="(act_\d+)"([^>]*)>', page)
            return {act: words.split() for act, words in found}

        assert boxes() == {act: ["checked"] for act in (on, off, new)}
        dance.web.post(dance.confirm, {"enable": [on]})
        AdAccount.everything.get(meta_id=new[4:]).delete()
        assert boxes() == {on: ["disabled", "checked"], off: [], new: ["checked"]}
        dance.web.post(dance.confirm, {"enable": [new]})
    assert {row.act_id for row in AdAccount.everything.all() if row.enabled} == {on, new}
