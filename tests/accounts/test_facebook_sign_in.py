"""Signing in with Facebook says who somebody is; no token of it is kept, and nobody new gets in by it."""

from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount, SocialToken
from django.contrib.sessions.models import Session

from accounts.models import MetaConnection, PendingGrant, User
from tests.accounts.test_connect import Dance


@pytest.fixture
def visitor(sandbox, agency, settings):
    settings.FACEBOOK_SIGN_IN = True
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


def link(user, sandbox, who="alice"):
    return SocialAccount.objects.create(user=user, provider="facebook", uid=sandbox.world.people[who].id)


def signed_in(visitor):
    return visitor.web.get("/api/session").status_code == 200


@pytest.mark.parametrize("name", ["alice", "bob", "charlie", "ivan"])
def test_the_agency_s_own_people_and_integrators_are_refused_even_with_a_linked_account(
    visitor, agency, sandbox, name
):
    link(getattr(agency.users, name), sandbox)
    answer = go(visitor)
    assert answer.status_code == 403
    assert not signed_in(visitor)


def test_a_client_s_person_who_came_to_the_agency_is_refused_from_then_on(visitor, agency, sandbox):
    from accounts import people
    from accounts.models import Membership, Role

    link(agency.users.vic, sandbox)
    Membership.objects.filter(user=agency.users.vic).update(role=Role.BUYER)
    people.mend_staff(agency.users.vic)
    assert go(visitor).status_code == 403
    assert not signed_in(visitor)


def test_a_stranger_and_an_agency_s_person_are_told_the_same(visitor, agency, sandbox):
    import re

    def told():
        return re.sub(r'(csrfmiddlewaretoken" value|csrf" content)="[^"]*"', "", go(visitor).content.decode())

    stranger = told()
    link(agency.users.bob, sandbox)
    assert told() == stranger


def test_a_second_factor_is_asked_for_after_facebook_too(visitor, agency, sandbox):
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    link(agency.users.vic, sandbox)
    TOTP.activate(agency.users.vic, generate_totp_secret())
    assert go(visitor).headers["Location"].startswith("/accounts/2fa/authenticate/")
    assert not signed_in(visitor)


def test_somebody_who_was_switched_off_stays_out(visitor, agency, sandbox):
    link(agency.users.vic, sandbox)
    agency.users.vic.is_active = False
    agency.users.vic.save()
    go(visitor)
    assert not signed_in(visitor)


def test_a_client_s_person_links_and_takes_away_their_own_account(visitor, agency, sandbox):
    visitor.web.force_login(agency.users.vic)
    assert b"Link my Facebook account" in visitor.web.get("/accounts/3rdparty/").content
    go(visitor, "?process=connect")
    found = SocialAccount.objects.get()
    assert (found.user, found.uid) == (agency.users.vic, sandbox.world.people["alice"].id)
    assert not SocialToken.objects.exists()
    assert not PendingGrant.everything.exists()
    assert "EAAS" not in sessions()
    visitor.web.post("/accounts/3rdparty/", {"account": found.pk})
    assert not SocialAccount.objects.exists()


@pytest.mark.parametrize("name", ["alice", "bob", "ivan"])
def test_the_agency_s_people_cannot_link(visitor, agency, name):
    visitor.web.force_login(getattr(agency.users, name))
    assert b"Link my Facebook account" not in visitor.web.get("/accounts/3rdparty/").content
    assert go(visitor, "?process=connect").status_code == 403
    assert not SocialAccount.objects.exists()


def test_an_account_that_somebody_linked_is_not_taken_over(visitor, agency, sandbox):
    link(agency.users.vera, sandbox)
    visitor.web.force_login(agency.users.vic)
    go(visitor, "?process=connect")
    assert SocialAccount.objects.get().user == agency.users.vera


def test_the_e_mail_address_at_facebook_opens_nobody_s_account(visitor, agency, sandbox):
    """Only the link that a person made counts, whatever name or address Meta says."""
    go(visitor)
    assert not SocialAccount.objects.exists()
    assert not signed_in(visitor)


class TestSwitchedOff:
    def test_there_is_neither_button_nor_page(self, client, agency):
        assert b"Facebook" not in client.get("/accounts/login/").content
        assert client.post("/accounts/facebook/login/").status_code == 404
        client.force_login(agency.users.vic)
        assert b"Link my Facebook account" not in client.get("/accounts/3rdparty/").content

    def test_a_dance_that_began_before_does_not_end_in_a_sign_in(self, visitor, agency, sandbox, settings):
        settings.FACEBOOK_SIGN_IN = True
        link(agency.users.vic, sandbox)
        answer = visitor.web.post("/accounts/facebook/login/")
        visitor.dialog = answer.headers["Location"]
        visitor.asked = {name: values[0] for name, values in parse_qs(urlsplit(visitor.dialog).query).items()}
        visitor.decide()
        settings.FACEBOOK_SIGN_IN = False
        assert visitor.land().status_code == 403
        assert not signed_in(visitor)

    def test_the_sign_in_api_takes_no_facebook_token_either(self, client, agency, sandbox):
        link(agency.users.vic, sandbox)
        answer = client.post(
            "/_allauth/app/v1/auth/provider/token",
            {
                "provider": "facebook",
                "process": "login",
                "token": {"client_id": "1000000000000001", "access_token": sandbox.token("alice")},
            },
            content_type="application/json",
        )
        assert answer.status_code in (400, 401, 403)
        assert b"access_token" not in answer.content


@pytest.mark.parametrize(
    "name, on, offered", [("vic", True, True), ("vic", False, False), ("bob", True, False)]
)
def test_the_menu_leads_a_client_s_person_there(client, agency, settings, name, on, offered):
    settings.FACEBOOK_SIGN_IN = on
    client.force_login(getattr(agency.users, name))
    page = client.get("/accounts/password/change/").content.decode()
    assert ("Signing in with Facebook" in page) is offered


def test_the_button_stands_on_the_sign_in_page_where_it_is_switched_on(client, agency, settings):
    settings.FACEBOOK_SIGN_IN = True
    assert b"Sign in with Facebook" in client.get("/accounts/login/").content


def test_a_sign_in_that_fails_at_facebook_is_no_failed_connection(visitor, sandbox):
    answer = visitor.web.post("/accounts/facebook/login/")
    visitor.dialog = answer.headers["Location"]
    visitor.decide("cancel")
    page = visitor.web.get(visitor.land().headers["Location"])
    assert page.status_code == 200 and b"Not connected" not in page.content
    sandbox.faults.arm("html", {"path": "oauth/access_token"})
    failed = go(visitor)
    assert b"Facebook did not sign you in" in failed.content and b"Not connected" not in failed.content
    assert not SocialAccount.objects.exists()
