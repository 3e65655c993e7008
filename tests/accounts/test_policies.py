"""A second factor, required by role: pages, API, keys, sockets and the admin wait until it is set up."""

from __future__ import annotations

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client as Browser

import accounts.policies as policies
from accounts.errors import Forbidden, Invalid
from accounts.keys import issue
from accounts.models import AuditLine, Role, RolePolicy
from tests.conftest import PASSWORD, START

pytestmark = pytest.mark.django_db


def require(agency, role, required=True):
    policies.require_mfa(role=role, required=required, principal=agency.principals.alice, now=START)


def browser_of(name):
    browser = Browser()
    assert browser.login(email=f"{name}@example.com", password=PASSWORD)
    return browser


@pytest.fixture
def strict(agency, clock):
    """Buyers and integrators must have a second factor."""
    for role in (Role.BUYER, Role.INTEGRATOR):
        require(agency, role)
    return agency


def test_every_page_leads_to_the_set_up_and_only_that_opens(strict):
    bob = browser_of("bob")
    for path in (
        "/",
        "/c/northwind/",
        "/proposals/",
        "/people/",
        "/admin/",
        "/api/docs/",
        "/accounts/sessions/",
    ):
        answer = bob.get(path)
        assert (answer.status_code, answer["Location"]) == (302, "/two-factor/"), path
    shown = bob.get("/two-factor/").content.decode()
    assert "One more step" in shown and "/accounts/2fa/totp/activate/" in shown and "Sign out" in shown
    # allauth asks for the password again before anything is set up.
    asked = bob.get("/accounts/2fa/totp/activate/")
    assert asked.status_code in (200, 302) and "/two-factor/" not in asked.get("Location", "")
    assert bob.post("/accounts/logout/").status_code == 302
    assert "/accounts/login/" in bob.get("/")["Location"]


def test_the_api_answers_403_with_a_code_for_session_token_and_key(strict):
    bob = browser_of("bob")
    _, key = issue(user=strict.users.ivan, name="k", principal=strict.principals.alice, now=START)
    tokens = (
        Browser()
        .post(
            "/_allauth/app/v1/auth/login",
            {"email": "ivan@example.com", "password": PASSWORD},
            content_type="application/json",
        )
        .json()["meta"]
    )
    address = "/api/changes?client=northwind"
    for answer in (
        bob.get(address),
        Browser().get(address, headers={"X-API-Key": key}),
        Browser().get(address, headers={"Authorization": f"Bearer {tokens['access_token']}"}),
        bob.post("/api/stop", {"scope": "client", "client": "northwind"}, content_type="application/json"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "mfa_required")
        assert answer["Content-Type"] == "application/problem+json"
        assert "authenticator app" in answer.json()["advice"]


@pytest.mark.parametrize("name", ["alice", "vera", "vic", "charlie"])
def test_nobody_else_is_held_up(strict, name):
    assert browser_of(name).get("/alerts/").status_code == 200


def test_with_an_authenticator_app_everything_opens_at_once(strict):
    bob = browser_of("bob")
    assert bob.get("/alerts/").status_code == 302
    TOTP.activate(strict.users.bob, generate_totp_secret())
    assert bob.get("/alerts/").status_code == 200
    assert bob.get("/api/changes?client=northwind").status_code == 200
    assert bob.get("/two-factor/")["Location"] == "/"


def test_recovery_codes_alone_are_no_second_factor(strict):
    RecoveryCodes.activate(strict.users.bob)
    assert policies.mfa_missing(strict.users.bob)


def test_a_passkey_is_one(strict):
    from allauth.mfa.models import Authenticator

    Authenticator.objects.create(user=strict.users.bob, type=Authenticator.Type.WEBAUTHN, data={})
    assert not policies.mfa_missing(strict.users.bob)


def test_one_role_that_requires_it_is_enough_wherever_it_is(strict):
    from accounts.models import Membership

    Membership.objects.create(user=strict.users.charlie, client=strict.northwind, role=Role.BUYER)
    assert policies.mfa_missing(strict.users.charlie)


def test_taken_back_it_holds_nobody_up_any_more(strict):
    bob = browser_of("bob")
    require(strict, Role.BUYER, required=False)
    assert bob.get("/alerts/").status_code == 200


@pytest.mark.parametrize("name", ["charlie", "bob", "vera", "ivan"])
def test_only_an_owner_decides(agency, name):
    with pytest.raises(Forbidden):
        policies.require_mfa(
            role=Role.OWNER, required=True, principal=getattr(agency.principals, name), now=START
        )
    assert not RolePolicy.objects.exists()


def test_an_unknown_role_is_refused_and_every_decision_is_written_down(agency):
    with pytest.raises(Invalid):
        require(agency, "emperor")
    require(agency, Role.OWNER)
    line = AuditLine.everything.get(verb="require_mfa")
    assert (line.subject, line.detail) == ("owner", {"required": True})


def test_roles_of_the_agency_that_may_move_money_are_asked_and_may_say_later(agency, clock):
    assert policies.spending_roles() == {Role.OWNER, Role.MANAGER, Role.BUYER}
    bob, vera = browser_of("bob"), browser_of("vera")
    assert "Set up a second step" in bob.get("/alerts/").content.decode()
    assert "Set up a second step" not in vera.get("/alerts/").content.decode()
    assert bob.post("/two-factor/later").status_code == 302
    assert "Set up a second step" not in bob.get("/alerts/").content.decode()
    assert "Set up a second step" in browser_of("bob").get("/alerts/").content.decode()
    TOTP.activate(agency.users.bob, generate_totp_secret())
    assert "Set up a second step" not in browser_of("bob").get("/alerts/").content.decode()


def test_every_api_view_asks_for_it():
    """Pages are asked by the middleware, the API by its base class: a view that stands beside it would ask nobody."""
    from accounts.api.base import TenantAPIView
    from tests.access.matrix import patterns

    beside = {
        one.name
        for path, one in patterns()
        if path.startswith("api/") and not issubclass(getattr(one.callback, "cls", object), TenantAPIView)
    }
    # How long one's own session lasts; and the documentation, which the middleware counts among the pages.
    assert beside == {"api_session", "api_schema", "api_docs"}
