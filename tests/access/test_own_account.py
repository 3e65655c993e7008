"""allauth's pages and its API: what a person does with their own account. Every address x method x principal, and
with other people's ids in the address and in the body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache

from tests.access.matrix import patterns
from tests.access.packages import API, METHODS, OWN, PAGES, Own
from tests.access.people import PRINCIPALS, Answer, writes
from tests.access.world import rolled_back
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F108"), pytest.mark.fault("F115")]

NEW = "another correct horse"
#: One of each kind: who asks at every address, and who tries the methods that hardly any address has.
ASKERS = tuple(
    who
    for who in PRINCIPALS
    if who.name
    in (
        "anonymous", "viewer", "buyer", "owner", "integrator-jwt", "integrator-key", "other-manager", "disabled-jwt",
        "expired-jwt", "refresh-as-access", "idle", "acting-here", "no-second-factor",
    )
)  # fmt: skip
RARE = tuple(who for who in ASKERS if who.name in ("anonymous", "buyer", "integrator-jwt"))


@pytest.fixture(autouse=True)
def fresh_limits():
    """allauth counts tries in the cache."""
    cache.clear()


def test_every_address_of_the_package_is_declared():
    there = {path.replace("^", "") for path, _ in patterns() if path.startswith((PAGES, API))}
    declared = {own.pattern for own in OWN}
    assert there - declared == set(), "say in tests/access/packages.py who may do what there"
    assert declared - there == set()


def short(answer: Answer) -> str:
    return f"{answer.status}{'>' if answer.to_login else ''}"


@pytest.mark.parametrize("own", OWN, ids=str)
def test_who_may_do_what_with_an_account(estate, own):
    wrong = []
    for method in METHODS:
        for who in ASKERS if method in ("get", "post") else RARE:
            cache.clear()
            with rolled_back():
                body = None if method == "get" else "x=1" if own.page else {}
                answer = estate.call(who, method, own.address, body)
            right = own.expected(method, who)
            if short(answer) != right:
                wrong.append(f"{method} {own.address} as {who}: {short(answer)}, not {right}")
            if answer.written - {"accounts_auditline", "account_emailaddress"} and not own.signed_in(who):
                wrong.append(f"{method} {own.address} as {who} wrote {sorted(answer.written)}")
            for name in ("alice", "charlie", "sue"):
                if who.person != name and getattr(estate.users, name).email in answer.text:
                    wrong.append(f"{method} {own.address} as {who} shows {name}'s address")
    assert wrong == []


#: (how the person says who they are, method, address, body) -> the status for the person; it changes their account.
RIGHTFUL: tuple[tuple[str, str, str, Any, int], ...] = (
    ("buyer", "post", "/accounts/logout/", "x=1", 302),
    (
        "buyer", "post", "/accounts/password/change/",
        f"oldpassword={PASSWORD}&password1={NEW}&password2={NEW}".replace(" ", "+"), 302,
    ),
    ("buyer", "post", "/accounts/reauthenticate/", f"password={PASSWORD}".replace(" ", "+"), 302),
    ("buyer", "post", "/accounts/sessions/", "x=1", 302),
    ("integrator-jwt", "post", "/_allauth/app/v1/auth/reauthenticate", {"password": PASSWORD}, 200),
    (
        "integrator-jwt", "post", "/_allauth/app/v1/account/password/change",
        {"current_password": PASSWORD, "new_password": NEW}, 200,
    ),
    ("integrator-jwt", "delete", "/_allauth/app/v1/auth/session", None, 401),
)  # fmt: skip


@pytest.mark.parametrize(
    ("who", "method", "address", "body", "status"), RIGHTFUL, ids=[f"{row[1]} {row[2]}" for row in RIGHTFUL]
)
def test_whoever_is_not_signed_in_there_fails_where_the_person_succeeds(
    estate, who, method, address, body, status
):
    with rolled_back():
        assert estate.call(who, method, address, body).status == status
    page = address.startswith("/accounts/")
    own = next(one for one in OWN if one.address == address)
    for other in PRINCIPALS:
        if own.signed_in(other):
            continue
        cache.clear()
        passwords = every_password()
        with rolled_back():
            answer = estate.call(other, method, address, body)
            assert answer.status in (302, 401, 403), f"{other}: {answer.status}"
            assert answer.to_login or answer.to_second_factor or not answer.good or not page, str(other)
            assert not answer.written - {"accounts_auditline"}, f"{other} wrote {answer.written}"
            assert every_password() == passwords


def every_password() -> list[str]:
    from accounts.models import User

    return list(User.objects.order_by("pk").values_list("password", flat=True))


def test_the_list_of_sessions_is_ones_own_and_ends_only_ones_own(estate):
    from allauth.usersessions.models import UserSession

    def sessions_of(person: str) -> list[int]:
        rows = UserSession.objects.filter(user=getattr(estate.users, person))
        return sorted(rows.values_list("pk", flat=True))

    for who in ("buyer", "other-manager", "owner"):  # a session is listed once it has asked for something
        estate.call(who, "get", "/accounts/sessions/")
    foreign = {person: sessions_of(person) for person in ("alice", "charlie")}
    assert all(foreign.values())
    ids = [one for found in foreign.values() for one in found]
    query = "&".join(f"{name}={one}" for one in ids for name in ("id", "session", "sessions", "pk"))
    assert estate.call("buyer", "post", "/accounts/sessions/", query).status in (302, 404)
    assert {person: sessions_of(person) for person in foreign} == foreign
    refused = estate.call("integrator-jwt", "delete", "/_allauth/app/v1/auth/sessions", {"sessions": ids})
    strange = estate.call("integrator-jwt", "delete", "/_allauth/app/v1/auth/sessions", {"sessions": [999]})
    assert refused.status == strange.status == 400
    assert {person: sessions_of(person) for person in foreign} == foreign


@pytest.fixture
def passkey(estate):
    """Charlie has a passkey."""
    from allauth.mfa.models import Authenticator

    return Authenticator.objects.create(
        user=estate.users.charlie, type="webauthn", data={"name": "Charlie's key", "credential": {}}
    )


@pytest.mark.parametrize("view", ["edit", "remove"])
def test_somebody_elses_passkey_is_as_one_that_is_not_there(estate, passkey, view):
    from allauth.mfa.models import Authenticator

    def answer(pk: int, method: str) -> tuple[int, str]:
        given = estate.call("buyer", method, f"/accounts/2fa/webauthn/keys/{pk}/{view}/", "name=mine")
        return given.without_trace({"pk": str(pk)})

    for method in ("get", "post"):
        assert answer(passkey.pk, method) == answer(999_999, method)
        assert answer(passkey.pk, method)[0] == 404
    kept = Authenticator.objects.get(pk=passkey.pk)
    assert (kept.user, kept.data["name"]) == (estate.users.charlie, "Charlie's key")


@pytest.mark.parametrize("method", ["put", "delete"])
def test_the_api_leaves_somebody_elses_passkey_alone(estate, passkey, method):
    from allauth.mfa.models import Authenticator

    address = "/_allauth/app/v1/account/authenticators/webauthn"
    estate.call("integrator-jwt", "post", "/_allauth/app/v1/auth/reauthenticate", {"password": PASSWORD})

    def answer(pk: int) -> Answer:
        body = {"id": pk, "name": "mine"} if method == "put" else {"authenticators": [pk]}
        return estate.call("integrator-jwt", method, address, body)

    theirs, nobody = answer(passkey.pk), answer(999_999)
    assert theirs.status == nobody.status == 400
    assert Authenticator.objects.filter(pk=passkey.pk, data__name="Charlie's key").exists()


def test_an_address_that_belongs_to_somebody_else_cannot_be_taken(estate):
    from accounts.models import User

    before = list(User.objects.order_by("pk").values_list("email", flat=True))
    for address in (estate.users.charlie.email, estate.users.charlie.email.upper()):
        estate.call("buyer", "post", "/accounts/email/", f"action_add=1&email={address}")
        estate.call("buyer", "post", "/accounts/email/", f"action_primary=1&email={address}")
        estate.call("integrator-jwt", "post", "/_allauth/app/v1/account/email", {"email": address})
        estate.call(
            "integrator-jwt", "patch", "/_allauth/app/v1/account/email", {"email": address, "primary": True}
        )
    assert list(User.objects.order_by("pk").values_list("email", flat=True)) == before


@pytest.mark.fault("F122")
@pytest.mark.parametrize(
    ("method", "address", "body"),
    [
        ("post", "/_allauth/app/v1/auth/login", lambda email: {"email": email, "password": "x" * 12}),
        ("post", "/_allauth/app/v1/auth/password/request", lambda email: {"email": email}),
    ],
)
def test_a_known_and_an_unknown_address_are_answered_alike(
    estate, method: str, address: str, body: Callable[[str], Any]
):
    known = estate.call("anonymous", method, address, body(estate.users.bob.email))
    cache.clear()
    unknown = estate.call("anonymous", method, address, body("nobody@example.com"))
    assert known.without_trace({}) == unknown.without_trace({})


def test_nobody_can_sign_up(estate):
    from accounts.models import User

    before = User.objects.count()
    form = f"email=new@example.com&password1={NEW}&password2={NEW}".replace(" ", "+")
    estate.call("anonymous", "post", "/accounts/signup/", form)
    estate.call("signed-out", "post", "/accounts/signup/", form)
    with writes() as written:
        answer = estate.call(
            "anonymous", "post", "/_allauth/app/v1/auth/signup",
            {"email": "new@example.com", "password": NEW},
        )  # fmt: skip
    assert answer.status in (400, 403)
    assert User.objects.count() == before
    assert written == set()


def test_the_samples_are_addresses_of_their_patterns():
    from django.urls import resolve

    for own in OWN:
        assert isinstance(own, Own)
        assert resolve(own.address).route.replace("^", "") in (own.pattern, own.pattern.removesuffix("$"))


@pytest.mark.parametrize("who", ["idle", "overdue", "signed-out"])
def test_a_session_that_is_over_opens_allauths_api_no_more_as_a_token(estate, who):
    """A session's key is what that API calls a session token."""
    address = "/_allauth/app/v1/auth/session"
    alive = {"X-Session-Token": estate.call.session_key("buyer")}
    assert estate.call("anonymous", "get", address, headers=alive).status == 200
    over = {"X-Session-Token": estate.call.session_key(who)}
    for method, path, body in (
        ("get", address, None),
        ("get", "/_allauth/app/v1/account/authenticators", None),
        ("get", "/_allauth/app/v1/auth/sessions", None),
        ("post", "/_allauth/app/v1/auth/reauthenticate", {"password": PASSWORD}),
        (
            "post",
            "/_allauth/app/v1/account/password/change",
            {"current_password": PASSWORD, "new_password": NEW},
        ),
    ):
        answer = estate.call("anonymous", method, path, body, headers=over)
        assert answer.status in (401, 410), f"{path}: {answer.status}"


def test_the_session_of_somebody_without_the_second_factor_that_is_asked_for_is_no_token_of_the_api(estate):
    key = estate.call.session_key("no-second-factor")
    for name in ("X-Session-Token", "Authorization"):
        value = key if name == "X-Session-Token" else f"Bearer {key}"
        assert estate.call("anonymous", "get", "/api/changes", headers={name: value}).status == 401
