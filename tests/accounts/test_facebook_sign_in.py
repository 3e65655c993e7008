"""Signing in with Facebook says who somebody is; no token of it is kept, and nobody new gets in by it."""

from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount, SocialToken
from django.contrib.sessions.models import Session

from accounts.models import MetaConnection, PendingGrant, User
from tests.accounts.test_connect import Dance


@pytest.fixture
def visitor(sandbox, agency):
    dance = Dance(sandbox, agency.users.alice)
    dance.web.logout()
    return dance


def go(dance, query=""):
    answer = dance.web.post(f"/accounts/facebook/login/{query}")
    assert answer.status_code == 302, answer.content.decode()
    dance.dialog = answer.headers["Location"]
    dance.asked = {name: values[0] for name, values in parse_qs(urlsplit(dance.dialog).query).items()}
    dance.decide()
    return dance.land()


def sessions():
    return str([session.get_decoded() for session in Session.objects.all()])


def test_only_the_name_is_asked_for_whatever_the_address_says(visitor):
    go(visitor, "?scope=ads_management")
    assert visitor.asked["scope"] == "public_profile"


def test_a_stranger_with_a_facebook_account_gets_nothing(visitor, agency):
    before = User.objects.count()
    answer = go(visitor)
    assert b"<form" not in answer.content or answer.status_code != 302
    assert User.objects.count() == before
    assert not SocialAccount.objects.exists()
    assert visitor.web.get("/api/meta/validate-token").status_code == 401
    assert "EAAS" not in sessions()


def test_a_person_who_linked_facebook_signs_in_without_leaving_a_token(visitor, agency, sandbox):
    person = sandbox.world.people["alice"]
    SocialAccount.objects.create(user=agency.users.vic, provider="facebook", uid=person.id)
    go(visitor)
    assert visitor.web.get("/api/meta/validate-token").status_code == 200
    assert not SocialToken.objects.exists()
    assert not PendingGrant.everything.exists()
    assert not MetaConnection.everything.exists()
    assert "EAAS" not in sessions()


def test_the_providers_own_token_end_point_is_not_mounted(visitor):
    assert visitor.web.post("/accounts/facebook/login/token/", {"access_token": "x"}).status_code == 404
