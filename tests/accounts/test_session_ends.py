"""What ends a session, what a browser is told then, and what goes along with it."""

from __future__ import annotations

import re
import time

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client as Browser

import accounts.outbox as outbox
import accounts.sessions as sessions
from tests.accounts.test_session_limits import MINUTE, POLL, ask, come_in, renew, tokens
from tests.conftest import PASSWORD

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
NEW = "another horse battery"


def key(browser: Browser) -> str:
    return browser.cookies["session"].value


def alive(browser: Browser) -> bool:
    return browser.get("/api/session", headers=POLL).status_code == 200


# --- what a browser is told
def test_a_page_after_the_idle_limit_leads_to_the_sign_in_page_that_says_why_and_back(agency, clock):
    bob = come_in("bob")
    clock.advance(31 * MINUTE)
    answer = bob.get("/alerts/?client=northwind")
    assert answer.status_code == 302
    where = answer.headers["Location"]
    assert where == "/accounts/login/?next=%2Falerts%2F%3Fclient%3Dnorthwind&ended=idle"
    page = bob.get(where).content.decode()
    assert sessions.ENDED["idle"] in page
    answer = bob.post(
        "/accounts/login/",
        {"login": "bob@example.com", "password": PASSWORD, "next": "/alerts/?client=northwind"},
    )
    assert answer.headers["Location"] == "/alerts/?client=northwind"


def test_a_cookie_whose_session_is_gone_is_told_that_it_ended(agency, clock):
    bob = come_in("bob")
    Session.objects.all().delete()
    where = bob.get("/alerts/").headers["Location"]
    assert where.endswith("&ended=ended")
    assert sessions.ENDED["ended"] in bob.get(where).content.decode()


def test_a_visitor_who_never_signed_in_is_told_nothing_of_an_end(agency):
    browser = Browser()
    browser.get("/accounts/login/")
    where = browser.get("/alerts/").headers["Location"]
    assert "ended" not in where
    assert not any(words in browser.get(where).content.decode() for words in sessions.ENDED.values())


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "Your%20bank%20called", "idle%00", ""])
def test_the_sign_in_page_says_no_sentence_but_its_own(agency, text):
    page = Browser().get(f"/accounts/login/?ended={text}").content.decode()
    assert "alert(1)" not in page and "bank called" not in page


@pytest.mark.parametrize("how", ["sign out", "idle", "absolute"])
def test_the_browser_is_told_to_forget_what_it_keeps(agency, clock, how):
    bob = come_in("bob")
    if how == "absolute":
        for _ in range(12 * 3):
            clock.advance(20 * MINUTE)
            assert bob.get("/api/session").status_code == 200
    clock.advance({"sign out": 0, "idle": 31 * MINUTE, "absolute": 1}[how])
    answer = bob.post("/accounts/logout/") if how == "sign out" else bob.get("/alerts/")
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert not answer.cookies["session"].value
    assert not UserSession.objects.exists()


def test_an_ordinary_answer_asks_for_no_forgetting(agency):
    bob = come_in("bob")
    assert "Clear-Site-Data" not in bob.get("/api/session").headers
    assert "Clear-Site-Data" not in Browser().get("/accounts/login/").headers


@pytest.mark.fault("F111")
@pytest.mark.parametrize(
    "path", ["/", "/alerts/", "/accounts/sessions/", "/accounts/2fa/", "/admin/", "/api/session"]
)
def test_nothing_that_a_session_sees_may_be_kept(agency, path):
    for browser in (come_in("alice"), Browser()):
        said = browser.get(path).headers["Cache-Control"]
        assert "no-store" in said and "private" in said


# --- what ends what
def test_signing_out_here_leaves_another_browser_and_the_connection_to_meta(connected, clock):
    from accounts.models import ConnectionState, MetaConnection

    here, there = come_in("bob"), come_in("bob")
    here.post("/accounts/logout/")
    assert not alive(here) and alive(there)
    assert MetaConnection.objects.of(connected.northwind).get().state == ConnectionState.CONNECTED


def test_a_changed_password_ends_every_other_session_and_token_and_keeps_this_one(agency, clock):
    here, there, pair = come_in("bob"), come_in("bob"), tokens("bob")
    before = key(here)
    answer = here.post(
        "/accounts/password/change/", {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    )
    assert answer.status_code == 302, answer.content
    assert alive(here) and key(here) != before
    assert not alive(there)
    assert ask(pair["access_token"]) == 401
    assert renew(pair).status_code == 400
    assert [
        one.is_this
        for one in sessions.listing(user=_fresh(agency.users.bob), this=key(here), now=clock.now())
    ] == [True]


def test_a_forgotten_password_ends_every_session(agency, clock, mailoutbox):
    there, pair = come_in("bob"), tokens("bob")
    stranger = Browser()
    stranger.post("/accounts/password/reset/", {"email": "bob@example.com"})
    outbox.deliver(now=clock.now())
    link = re.search(r"http://\S+(/accounts/password/reset/key/\S+)", mailoutbox[-1].body)[1]
    form = stranger.get(link, follow=True)
    answer = stranger.post(form.redirect_chain[-1][0], {"password1": NEW, "password2": NEW})
    assert answer.status_code == 302, answer.content
    assert not alive(there)
    assert ask(pair["access_token"]) == 401
    assert not alive(stranger)  # whoever has the mail still signs in, with the second factor


def test_ending_all_ends_sessions_and_tokens_of_one_person_and_leaves_keys(agency, clock):
    from accounts import keys

    _, secret = keys.issue(
        user=agency.users.bob, name="server", principal=agency.principals.bob, now=clock.now()
    )
    bob, other, pair, vera = come_in("bob"), come_in("bob"), tokens("bob"), come_in("vera")
    assert sessions.end_all(user=agency.users.bob) == 3
    assert not alive(bob) and not alive(other)
    assert ask(pair["access_token"]) == 401 and renew(pair).status_code == 400
    assert alive(vera)
    assert Browser().get("/api/session", headers={"X-API-Key": secret}).status_code == 200
    assert not UserSession.objects.filter(user=agency.users.bob).exists()


def test_ending_all_finds_a_session_that_is_on_no_list(agency):
    browser = Browser()
    browser.force_login(agency.users.bob)
    assert not UserSession.objects.exists()
    assert sessions.end_all(user=agency.users.bob) == 1
    assert not alive(browser)


# --- a new key
def test_another_role_puts_the_session_under_a_new_key(agency, clock):
    from accounts.models import Membership, Role

    bob = come_in("bob")
    before = key(bob)
    assert alive(bob) and key(bob) == before
    Membership.objects.filter(user=agency.users.bob).update(role=Role.MANAGER)
    assert alive(bob) and key(bob) == before  # polls come several at once, and leave the key alone
    assert bob.get("/api/session").status_code == 200
    assert key(bob) != before
    stolen = Browser()
    stolen.cookies["session"] = before
    assert not alive(stolen)
    listed = sessions.listing(user=agency.users.bob, this=key(bob), now=clock.now())
    assert [one.is_this for one in listed] == [True]


def test_signing_in_never_goes_on_under_the_visitor_s_key(agency):
    browser = Browser()
    browser.get("/accounts/login/")
    session = browser.session
    session["planted"] = "by somebody else"
    session.save()
    planted = session.session_key
    browser.cookies["session"] = planted
    browser.post("/accounts/login/", {"login": "bob@example.com", "password": PASSWORD})
    assert key(browser) != planted
    assert not Session.objects.filter(session_key=planted).exists()


def test_a_second_factor_puts_the_session_under_a_new_key(agency, clock):
    from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

    secret = generate_totp_secret()
    TOTP.activate(agency.users.bob, secret)
    browser = Browser()
    answer = browser.post("/accounts/login/", {"login": "bob@example.com", "password": PASSWORD})
    assert answer.headers["Location"].startswith("/accounts/2fa/authenticate/")
    half = key(browser)
    assert not alive(browser)
    code = format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    answer = browser.post("/accounts/2fa/authenticate/", {"code": code})
    assert answer.status_code == 302, answer.content
    assert alive(browser) and key(browser) != half


def test_proving_oneself_again_puts_the_session_under_a_new_key(agency, clock):
    bob = come_in("bob")
    before = key(bob)
    answer = bob.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert answer.status_code == 302, answer.content
    assert alive(bob) and key(bob) != before


# --- the list
def test_a_person_sees_where_they_are_signed_in(agency, clock):
    bob = Browser(headers={"User-Agent": CHROME})
    bob.post("/accounts/login/", {"login": "bob@example.com", "password": PASSWORD})
    alive(bob)
    clock.advance(5 * MINUTE)
    tokens("bob")
    page = bob.get("/accounts/sessions/").content.decode()
    assert "Chrome on Windows" in page and "This one" in page and "App or script" in page
    assert "127.0.0.1" in page
    listed = sessions.listing(user=agency.users.bob, this=key(bob), now=clock.now())
    assert [(one.is_this, one.is_app) for one in listed] == [(True, False), (False, True)]
    assert (clock.now() - listed[0].started_at).seconds == 5 * MINUTE


def test_one_session_is_ended_by_its_owner_and_by_nobody_else(agency, clock):
    here, there, vera = come_in("bob"), come_in("bob"), come_in("vera")
    id = UserSession.objects.get(session_key=key(there)).pk
    for stranger in (vera, Browser()):
        stranger.post("/accounts/sessions/", {"id": id})
        assert alive(there)
    here.post("/accounts/sessions/", {"id": id})
    assert not alive(there) and alive(here)


@pytest.mark.parametrize("id", ["0", "-1", "x", "9" * 30, "१"])
def test_a_session_that_is_none_is_no_error(agency, id):
    bob = come_in("bob")
    assert bob.post("/accounts/sessions/", {"id": id}).status_code == 302
    assert alive(bob)


def test_all_others_are_ended_at_once_and_this_one_stays(agency, clock):
    here, there, pair = come_in("bob"), come_in("bob"), tokens("bob")
    here.post("/accounts/sessions/")
    assert alive(here) and not alive(there)
    assert ask(pair["access_token"]) == 401


def test_this_session_is_ended_by_signing_out_only(agency, clock):
    bob = come_in("bob")
    own = UserSession.objects.get(session_key=key(bob)).pk
    assert bob.post("/accounts/sessions/", {"id": own}).status_code == 302
    assert alive(bob)


def test_a_session_that_is_over_is_not_listed(agency, clock):
    come_in("bob")
    clock.advance(31 * MINUTE)
    bob = come_in("bob")
    assert len(sessions.listing(user=agency.users.bob, this=key(bob), now=clock.now())) == 1


@pytest.mark.parametrize(
    "agent, words",
    [
        (CHROME, "Chrome on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15",
            "Safari on Mac",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 CriOS/140.0 Mobile Safari/604",
            "Chrome on iPhone",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
            "Edge on Windows",
        ),
        ("python-requests/2.32", "python-requests"),
        ("<b>x</b>/1", "<b>x<"),
        ("", "Unknown device"),
    ],
)
def test_a_device_is_named_in_words(agent, words):
    assert sessions.device(agent) == words


def _fresh(user):
    return type(user).objects.get(pk=user.pk)
