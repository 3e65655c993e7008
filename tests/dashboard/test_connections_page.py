"""The connections page: how each connection is and why, what it may, what it sees, and what was not finished."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.test import Client as Browser

from accounts import connections, links
from accounts.models import AdAccount, ConnectionState, GrantedAsset, MetaConnection
from metaads.gateway import plugged
from metaads.sandbox.app import Sandbox
from tests.accounts.test_connect import Dance
from tests.door import WSGIAdapter

PATH = "/connections/?client=northwind"


def words(answer):
    """The page's text in one line."""
    main = answer.content.decode().partition("<main")[2]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


@pytest.fixture
def look(connected):
    def at(who="alice", path=PATH):
        web = Browser()
        web.force_login(getattr(connected.users, who))
        answer = web.get(path)
        assert answer.status_code == 200
        return words(answer)

    return at


def test_a_good_connection_says_that_it_works_until_when_and_what_it_may(look, connected):
    text = look()
    assert "It works: numbers are read and changes can be sent." in text
    assert "Token good until 17 Jan 2027" in text
    assert "Access to data until 16 Feb 2027" in text
    for scope in ("ads_read", "ads_management", "read_insights", "business_management"):
        assert f"{scope} yes" in text
    assert "see numbers, change ads and manage the account" in text
    assert "this one" in text


@pytest.mark.parametrize(
    ("state", "says", "buttons"),
    [
        ("connected", "It works", {"refresh", "discover", "pause", "disconnect"}),
        ("expiring", "It ends soon", {"refresh", "discover", "pause", "disconnect"}),
        ("degraded", "left it in doubt", {"refresh", "discover", "pause", "disconnect"}),
        ("reauth_needed", "It has ended at Meta", {"disconnect"}),
        ("paused", "It was paused here", {"resume", "disconnect"}),
        ("revoked", "It was disconnected", set()),
        ("deleting", "asked for deletion", set()),
    ],
)
def test_every_state_is_said_with_its_reason_and_what_to_do(connected, state, says, buttons):
    MetaConnection.everything.update(state=state, reason="Because of the weather.")
    web = Browser()
    web.force_login(connected.users.alice)
    answer = web.get(PATH)
    text = words(answer)
    assert says in text
    assert "Because of the weather." in text
    found = set(re.findall(r'data-api="/api/meta-oauth/(\w+)"', answer.content.decode()))
    assert found - {"invite"} == buttons
    assert ("Reconnect Alice Agency" in text) is (state != "deleting")
    assert ("Token good until" in text) is (state not in ("revoked", "deleting"))


def test_read_only_is_said_in_clear_words(look, connected):
    MetaConnection.everything.update(scopes=["ads_read", "public_profile"])
    text = look()
    assert "It works, read-only: numbers are read, nothing can be changed." in text
    assert "ads_management was not given." in text
    assert "ads_management no" in text


def test_a_restored_connection_says_that_it_waits_for_meta(look):
    MetaConnection.everything.update(held=True)
    assert "It was restored from a backup" in look()


def test_of_two_users_who_see_an_account_one_writes_and_the_page_says_who(connected, sandbox, clock, look):
    connections.connect(
        client=connected.northwind,
        principal=connected.principals.alice,
        token=sandbox.token("bob"),
        now=clock.now(),
    )
    text = look()
    bob = text.index("Bob Buyer")
    assert "this one" in text[: text.index("Reconnect Alice Agency")]
    of_bob = text[bob : text.index("Reconnect Bob Buyer")]
    assert "see numbers no changes Alice Agency" in of_bob
    GrantedAsset.everything.filter(connection__meta_user_name="Bob Buyer").update(gone_at=clock.now())
    assert "not seen any more" in look()


def test_an_account_without_any_connection_is_still_listed(look):
    GrantedAsset.everything.all().delete()
    AdAccount.everything.update(connection=None)
    assert "Without a connection" in look()


def test_who_may_not_connect_sees_states_and_no_button(connected):
    for who in ("bob", "vera", "vic"):
        web = Browser()
        web.force_login(getattr(connected.users, who))
        answer = web.get(PATH)
        text = answer.content.decode()
        assert "It works" in words(answer)
        assert "/api/meta-oauth/" not in text and "/connections/connect" not in text
        assert "Redirect" not in text and "redirect URI" not in text


def test_a_client_without_a_connection_has_the_button_on_its_own_page(agency, sandbox):
    for who, button in (("alice", True), ("bob", False)):
        web = Browser()
        web.force_login(getattr(agency.users, who))
        answer = web.get("/c/northwind/")
        found = 'action="/connections/connect"' in answer.content.decode()
        assert found is button
    assert "An owner or manager of Northwind has to connect" in words(answer)


def test_whoever_has_just_set_up_sees_the_button_at_once(db, sandbox):
    web = Browser()
    answer = web.post(
        "/setup/",
        {
            "name": "Alice",
            "email": "alice@example.com",
            "password": "correct horse battery",
            "client_name": "Northwind",
        },
        follow=True,
    )
    assert answer.redirect_chain[-1] == ("/c/northwind/", 302)
    assert 'action="/connections/connect"' in answer.content.decode()
    assert (
        web.post("/connections/connect", {"client": "northwind"})
        .headers["Location"]
        .startswith("https://www.facebook.com/")
    )


# --- begun and not finished


def test_a_dialog_that_was_closed_is_said_and_can_be_gone_on_with(agency, sandbox, clock):
    dance = Dance(sandbox, agency.users.alice)
    dance.start()
    clock.advance(120)
    text = words(dance.web.get(PATH))
    assert "You began to connect a Meta account for Northwind" in text
    assert "Nothing was stored. Go on at Facebook" in text
    assert "You began" not in words(dance.web.get("/connections/?client=southwind"))
    clock.advance(3600)
    assert "You began" not in words(dance.web.get(PATH))


def test_what_came_back_is_unfinished_no_more(agency, sandbox):
    dance = Dance(sandbox, agency.users.alice)
    dance.start()
    dance.decide("cancel")
    dance.land()
    assert "You began" not in words(dance.web.get(PATH))


def test_a_log_in_that_nobody_confirmed_is_said_until_it_runs_out(agency, sandbox, clock):
    dance = Dance(sandbox, agency.users.alice)
    confirm = dance.to_confirm()
    answer = dance.web.get(PATH)
    assert "Alice Agency logged in at Facebook for Northwind, and nobody has confirmed it." in words(answer)
    assert confirm in answer.content.decode()
    other = Browser()
    other.force_login(agency.users.alice)
    assert "nobody has confirmed" not in words(other.get(PATH))
    clock.advance(601)
    assert "nobody has confirmed" not in words(dance.web.get(PATH))


def test_a_reconnect_that_was_left_names_the_connection(connected, sandbox):
    dance = Dance(sandbox, connected.users.alice)
    dance.start(connection=str(MetaConnection.everything.get().uuid))
    answer = dance.web.get(PATH)
    assert "You began to reconnect Alice Agency for Northwind" in words(answer)


# --- links


def test_links_are_listed_with_their_state_for_those_who_may_connect(connected, clock, look):
    def invite(email):
        return links.invite(
            client=connected.northwind,
            principal=connected.principals.alice,
            user=connected.users.alice,
            email=email,
            now=clock.now(),
        )

    links.withdraw(
        uuid=invite("gone@example.com").uuid, principal=connected.principals.alice, now=clock.now()
    )
    links.spend(invite("used@example.com"), now=clock.now())
    invite("late@example.com")
    clock.advance(timedelta(days=7).total_seconds())
    invite("open@example.com")
    text = look()
    for email, state in (
        ("gone", "withdrawn"),
        ("used", "used"),
        ("late", "ran out"),
        ("open", "open, ends"),
    ):
        assert re.search(rf"{email}@example\.com Northwind Alice .{{5,40}} {state}", text), text
    assert "@example.com Northwind" not in look("bob")


def test_the_page_names_every_state():
    from dashboard.pages.connections import STATES

    assert set(STATES) == set(ConnectionState.values)


def test_three_accounts_of_one_user_are_three_rows(agency, clock):
    box = Sandbox(world="demo", seed=7, clock=clock)
    with plugged(WSGIAdapter(box)):
        dance = Dance(box, agency.users.alice)
        dance.to_confirm()
        dance.web.post(dance.confirm, {"enable": box.ad_accounts()[:1]})
        assert "Read from now on: " in words(dance.web.get("/c/northwind/"))
        text = words(dance.web.get(PATH))
    assert [text.count(act) for act in box.ad_accounts()] == [1, 1, 1]
    assert (text.count("Switch off"), text.count("Switch on")) == (1, 2)


def test_an_archived_account_is_listed_apart_and_only_those_who_may_can_restore_it(connected, clock):
    from accounts.ad_accounts import archive
    from tests.dashboard.test_switching import signed_in

    act_id = connected.ad_account.act_id
    page = signed_in("alice").get("/connections/?client=northwind").content.decode()
    assert f'/api/meta/ad-accounts/{act_id}/archive"' in page and "Archived ad accounts" not in page
    archive(ad_account=connected.ad_account, principal=connected.principals.alice, now=clock.now())
    page = signed_in("alice").get("/connections/?client=northwind").content.decode()
    assert "Archived ad accounts" in page
    assert f'/api/meta/ad-accounts/{act_id}/restore"' in page and f"{act_id}/archive" not in page
    page = signed_in("bob").get("/connections/?client=northwind").content.decode()
    assert "Archived ad accounts" in page and f"{act_id}/restore" not in page


def test_an_accounts_business_money_and_status_are_told(connected):
    from accounts.models import AdAccount
    from tests.dashboard.test_switching import signed_in

    AdAccount.everything.update(spend_cap=2500, amount_spent=1200, account_status=2, disable_reason=3)
    for address in ("/connections/?client=northwind", f"/a/{connected.ad_account.act_id}/"):
        page = signed_in("bob").get(address).content.decode()
        assert (
            ">Disabled<" in page
            and "reason: payment risk" in page
            and "2,500.00" in page
            and "1,200.00" in page
        )
        assert connected.ad_account.business_name in page
