"""Idle, absolute and sliding limits under a moving clock, for browsers and for tokens alike."""

from __future__ import annotations

import pytest
from django.contrib.sessions.models import Session
from django.test import Client as Browser

from tests.conftest import PASSWORD

MINUTE = 60
HOUR = 60 * MINUTE
POLL = {"X-Poll": "1"}


def come_in(name: str) -> Browser:
    browser = Browser()
    answer = browser.post("/accounts/login/", {"login": f"{name}@example.com", "password": PASSWORD})
    assert answer.status_code == 302, answer.content
    assert browser.get("/api/session").status_code == 200
    return browser


def told(browser: Browser, **headers: str) -> dict:
    answer = browser.get("/api/session", headers=headers or POLL)
    assert answer.status_code == 200, answer.content
    return answer.json()


def work(browser: Browser, clock, *, seconds: int, every: int = 20 * MINUTE) -> None:
    """Stay at it, one request every `every` seconds."""
    for _ in range(seconds // every):
        clock.advance(every)
        assert browser.get("/api/session").status_code == 200


# --- idle
def test_the_session_says_how_long_it_lasts(agency, clock):
    bob = come_in("bob")
    clock.advance(10 * MINUTE)
    said = told(bob)
    assert said == {
        "kind": "session",
        "person": str(agency.users.bob.uuid),
        "idle_seconds": 20 * MINUTE,
        "absolute_seconds": 12 * HOUR - 10 * MINUTE,
        "warn_seconds": 120,
    }


@pytest.mark.parametrize("name", ["bob", "vera"])
def test_it_stands_for_thirty_minutes_and_not_a_second_longer(agency, clock, name):
    browser = come_in(name)
    clock.advance(30 * MINUTE)
    assert told(browser)["idle_seconds"] == 0
    clock.advance(1)
    last = browser.get("/api/session", headers=POLL)
    assert last.status_code == 401
    assert last.headers["X-Session-Ended"] == "idle"  # the page says so, whatever its computer's clock says
    assert not Session.objects.filter(session_key=browser.cookies["session"].value).exists()


def test_asking_how_long_does_not_make_it_longer_and_staying_does(agency, clock):
    bob = come_in("bob")
    for minutes_left in (20, 10, 0):
        clock.advance(10 * MINUTE)
        assert told(bob)["idle_seconds"] == minutes_left * MINUTE
    assert bob.post("/api/session").json()["idle_seconds"] == 30 * MINUTE
    clock.advance(29 * MINUTE)
    assert told(bob)["idle_seconds"] == MINUTE


def test_staying_signed_in_needs_the_form_token(agency, clock):
    bob = Browser(enforce_csrf_checks=True)
    bob.force_login(agency.users.bob)
    assert bob.get("/connections/").status_code == 200
    form = {"path": "/api/session", "content_type": "application/json"}
    assert bob.post(**form).status_code == 403
    assert bob.post(**form, headers={"X-CSRFToken": bob.cookies["csrf"].value}).status_code == 200


def test_polls_of_a_whole_page_do_not_extend_it(connected, clock):
    bob = come_in("bob")
    path = f"/a/{connected.ad_account.act_id}/?part=kpis"
    for _ in range(3):
        clock.advance(9 * MINUTE)
        assert bob.get(path, headers=POLL).status_code == 200
    assert told(bob)["idle_seconds"] == 3 * MINUTE
    clock.advance(3 * MINUTE + 1)
    answer = bob.get(path, headers=POLL)
    assert answer.status_code == 401 and answer.content == b""


# --- absolute, and sliding
@pytest.mark.parametrize("name", ["alice", "bob", "charlie"])
def test_an_agency_role_signs_in_again_after_twelve_hours_of_work(agency, clock, name):
    browser = come_in(name)
    work(browser, clock, seconds=12 * HOUR)
    assert told(browser)["absolute_seconds"] == 0
    clock.advance(1)
    answer = browser.get("/connections/")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/accounts/login/?next=%2Fconnections%2F&ended=absolute"
    assert "longest we allow" in browser.get(answer.headers["Location"]).content.decode()


@pytest.mark.parametrize("name", ["vera", "vic"])
def test_a_client_role_has_only_the_idle_limit(agency, clock, name):
    browser = come_in(name)
    work(browser, clock, seconds=26 * HOUR, every=29 * MINUTE)
    assert told(browser)["absolute_seconds"] is None


def test_a_new_sign_in_begins_the_twelve_hours_anew(agency, clock):
    bob = come_in("bob")
    work(bob, clock, seconds=11 * HOUR)
    bob.post("/accounts/logout/")
    again = come_in("bob")
    assert told(again)["absolute_seconds"] == 12 * HOUR


def test_staying_signed_in_does_not_move_the_absolute_limit(agency, clock):
    bob = come_in("bob")
    work(bob, clock, seconds=11 * HOUR)
    assert bob.post("/api/session").json()["absolute_seconds"] == HOUR


def test_a_client_role_that_becomes_an_agency_role_gets_the_limit_from_its_sign_in(agency, clock):
    from accounts.models import Membership, Role

    vic = come_in("vic")
    work(vic, clock, seconds=11 * HOUR)
    Membership.objects.filter(user=agency.users.vic).update(role=Role.ANALYST)
    agency.users.vic.is_staff = True
    agency.users.vic.save()
    assert told(vic)["absolute_seconds"] == HOUR


# --- tokens
def tokens(name: str = "bob") -> dict:
    answer = Browser().post(
        "/_allauth/app/v1/auth/login",
        {"email": f"{name}@example.com", "password": PASSWORD},
        content_type="application/json",
    )
    assert answer.status_code == 200, answer.content
    return answer.json()["meta"]


def ask(token: str, path: str = "/api/session") -> int:
    return Browser().get(path, headers={"Authorization": f"Bearer {token}"}).status_code


def renew(pair: dict):
    return Browser().post(
        "/_allauth/app/v1/tokens/refresh",
        {"refresh_token": pair["refresh_token"]},
        content_type="application/json",
    )


def test_a_token_dies_with_its_idle_session_and_cannot_be_renewed(agency, clock):
    pair = tokens()
    clock.advance(30 * MINUTE)
    assert ask(pair["access_token"]) == 200
    clock.advance(1)
    assert ask(pair["access_token"]) == 401
    assert renew(pair).status_code == 400


def test_a_renewal_is_the_activity_of_a_token_and_a_call_is_none(agency, clock):
    pair = tokens()
    for _ in range(3):
        clock.advance(9 * MINUTE)
        assert ask(pair["access_token"], "/api/meta/validate-token") == 200
    answer = renew(pair)
    assert answer.status_code == 200
    clock.advance(29 * MINUTE)
    assert ask(answer.json()["data"]["access_token"]) == 200
    clock.advance(MINUTE + 1)
    assert ask(answer.json()["data"]["access_token"]) == 401


@pytest.mark.parametrize("name, lives", [("bob", False), ("ivan", True)])
def test_renewals_slide_up_to_the_absolute_limit_of_agency_roles(agency, clock, name, lives):
    pair = tokens(name)
    for _ in range(12 * 3):
        clock.advance(20 * MINUTE)
        answer = renew(pair)
        assert answer.status_code == 200
        pair = answer.json()["data"]
    clock.advance(1)
    assert (ask(pair["access_token"]) == 200) is lives
    assert (renew(pair).status_code == 200) is lives


def test_a_session_token_of_the_sign_in_api_has_the_same_limits(agency, clock):
    meta = tokens()
    key = Browser().get(
        "/_allauth/app/v1/auth/session", headers={"Authorization": f"Bearer {meta['access_token']}"}
    )
    assert key.status_code == 200
    clock.advance(30 * MINUTE + 1)
    gone = Browser().get("/_allauth/app/v1/auth/session", headers={"X-Session-Token": meta["session_token"]})
    assert gone.status_code == 410


def test_a_key_has_no_session_to_end(agency, clock):
    from accounts import keys

    _, secret = keys.issue(
        user=agency.users.ivan, name="server", principal=agency.principals.ivan, now=clock.now()
    )
    clock.advance(48 * HOUR)
    answer = Browser().get("/api/session", headers={"X-API-Key": secret})
    assert answer.json()["kind"] == "key"
    assert answer.json()["idle_seconds"] is None
