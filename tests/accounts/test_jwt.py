"""Signing in for the API: allauth's tokens, with everything that ends a session ending them too."""

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

from tests.conftest import PASSWORD

LOGIN = "/_allauth/app/v1/auth/login"


def sign_in(client, email="bob@example.com", password=PASSWORD):
    return client.post(LOGIN, {"email": email, "password": password}, content_type="application/json")


@pytest.fixture
def tokens(client, agency):
    answer = sign_in(client)
    assert answer.status_code == 200, answer.content
    return answer.json()["meta"]


def ask(client, token):
    return client.get("/api/meta/validate-token", headers={"Authorization": f"Bearer {token}"})


def test_an_access_token_opens_the_api(client, agency, tokens):
    assert ask(client, tokens["access_token"]).status_code == 200


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
def test_without_a_good_token_the_api_answers_401(client, agency, token):
    answer = ask(client, token)
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_refresh_token_is_no_access_token(client, tokens):
    assert ask(client, tokens["refresh_token"]).status_code == 401


def test_a_token_of_a_user_who_was_switched_off_is_dead_at_once(client, agency, tokens):
    agency.users.bob.is_active = False
    agency.users.bob.save()
    assert ask(client, tokens["access_token"]).status_code == 401


def test_logging_out_ends_the_access_token(client, tokens):
    headers = (
        {"X-Session-Token": tokens["session_token"]}
        if "session_token" in tokens
        else {"Authorization": f"Bearer {tokens['access_token']}"}
    )
    client.delete("/_allauth/app/v1/auth/session", headers=headers)
    assert ask(client, tokens["access_token"]).status_code == 401


def test_a_used_refresh_token_is_refused(client, tokens):
    def refresh():
        return client.post(
            "/_allauth/app/v1/tokens/refresh",
            {"refresh_token": tokens["refresh_token"]},
            content_type="application/json",
        )

    first = refresh()
    assert first.status_code == 200
    assert ask(client, first.json()["data"]["access_token"]).status_code == 200
    assert refresh().status_code == 400


def test_wrong_password_and_unknown_address_answer_alike(client, agency):
    known, unknown = sign_in(client, password="x" * 12), sign_in(client, email="nobody@example.com")
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert known.status_code == 400


def test_with_a_second_factor_no_token_is_handed_out_before_the_code(client, agency):
    TOTP.activate(agency.users.bob, generate_totp_secret())
    answer = sign_in(client)
    assert answer.status_code == 401
    assert "access_token" not in answer.json()["meta"]
    assert any(flow["id"] == "mfa_authenticate" for flow in answer.json()["data"]["flows"])


def test_nobody_can_sign_up(client, agency):
    answer = client.post(
        "/_allauth/app/v1/auth/signup",
        {"email": "eve@example.com", "password": PASSWORD},
        content_type="application/json",
    )
    assert answer.status_code == 403
    page = client.get("/accounts/signup/")
    assert b"<form" not in page.content or b"password1" not in page.content


def test_a_session_needs_the_csrf_token_for_writes(agency):
    from django.test import Client

    browser = Client(enforce_csrf_checks=True)
    browser.force_login(agency.users.alice)
    assert browser.post("/api/meta/ad-accounts/act_1/enable").status_code == 403
