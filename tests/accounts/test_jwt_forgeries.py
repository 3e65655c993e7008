"""Every token that is not ours, not for the API, not now, or not its person's any more answers 401 (F94)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from allauth.headless.tokens.strategies.jwt import internal
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.test import Client as Browser

from tests.accounts.test_session_limits import ask, renew, tokens
from tests.conftest import PASSWORD

pytestmark = pytest.mark.fault("F94")


@pytest.fixture
def pair(agency, clock):
    found = tokens("bob")
    assert ask(found["access_token"]) == 200
    return found


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def signed(payload: dict[str, Any], **more: Any) -> str:
    """Signed by ourselves, so that only the named claim can be what is wrong."""
    kept = {name: value for name, value in {**payload, **more}.items() if value is not None}
    return jwt.encode(kept, settings.HEADLESS_JWT_PRIVATE_KEY, algorithm="RS256")


def unsigned(payload: dict[str, Any], algorithm: str, key: bytes = b"") -> str:
    """Put together by hand: the library refuses to make some of these."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    head = part(json.dumps({"alg": algorithm, "typ": "JWT"}).encode())
    text = f"{head}.{part(json.dumps(payload).encode())}"
    mac = hmac.new(key, text.encode(), hashlib.sha256).digest() if key else b""
    return f"{text}.{part(mac)}"


def test_a_token_signed_by_ourselves_with_the_same_claims_is_good(pair):
    """Else the refusals below would prove nothing."""
    assert ask(signed(claims(pair["access_token"]))) == 200


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
def test_without_a_signature(pair, algorithm):
    assert ask(unsigned(claims(pair["access_token"]), algorithm)) == 401


def test_with_the_signature_cut_off_or_changed(pair):
    head, body, mac = pair["access_token"].split(".")
    flipped = mac[:-5] + ("A" if mac[-5] != "A" else "B") + mac[-4:]
    for token in (f"{head}.{body}.", f"{head}.{body}", f"{head}.{body}.{flipped}"):
        assert ask(token) == 401


def test_with_another_key(pair):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert ask(jwt.encode(claims(pair["access_token"]), other, algorithm="RS256")) == 401


def test_with_a_key_that_the_token_brings_along(pair):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(other.public_key()))
    for header in ({"jwk": public}, {"kid": "../../dev/null"}, {"jku": "https://evil.example/keys"}):
        assert ask(jwt.encode(claims(pair["access_token"]), other, algorithm="RS256", headers=header)) == 401


@pytest.mark.parametrize("shape", ["pem", "der"])
def test_with_the_public_key_as_the_secret(pair, shape):
    private = serialization.load_pem_private_key(settings.HEADLESS_JWT_PRIVATE_KEY.encode(), None)
    encoding, form = {
        "pem": (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        "der": (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
    }[shape]
    public = private.public_key().public_bytes(encoding, form)
    for secret in (public, public.strip(), settings.SECRET_KEY.encode()):
        assert ask(unsigned(claims(pair["access_token"]), "HS256", secret)) == 401


@pytest.mark.parametrize(
    "change",
    [
        {"exp": 1},
        {"exp": int(time.time()) - 1},
        {"exp": "soon"},
        {"nbf": int(time.time()) + 3600},
        {"iat": int(time.time()) + 3600},
        {"aud": "https://elsewhere.example/api"},
        {"aud": [None, "x"]},
        {"aud": None},
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"token_use": "refresh"},
        {"token_use": None},
        {"jti": None},
        {"sid": None},
        {"sid": "AAAA"},
        {"sid": 7},
        {"sub": None},
        {"sub": "999999"},
        {"sub": 2},
    ],
    ids=lambda change: "-".join(
        change
    ),  # no moment in a name: each process of a run names its tests by itself
)
def test_with_one_wrong_claim(pair, change):
    payload = {**claims(pair["access_token"]), **change}
    kept = {name: value for name, value in payload.items() if value is not None}
    head, body = ({"alg": "RS256", "typ": "JWT"}, kept)
    text = ".".join(
        base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in (head, body)
    )
    key = serialization.load_pem_private_key(settings.HEADLESS_JWT_PRIVATE_KEY.encode(), None)
    mac = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).sign(text.encode(), key)
    token = f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    assert ask(token) == 401


def test_of_another_person_s_session(pair, agency):
    vera = claims(tokens("vera")["access_token"])
    assert ask(signed(claims(pair["access_token"]), sid=vera["sid"])) == 401
    assert ask(signed(claims(pair["access_token"]), sub=vera["sub"])) == 401


def test_a_refresh_token_where_an_access_token_belongs_and_the_other_way_round(pair):
    assert ask(pair["refresh_token"]) == 401
    assert renew({"refresh_token": pair["access_token"]}).status_code == 400


def test_a_token_that_ran_out(pair):
    payload = claims(pair["access_token"])
    old, _ = internal.create_token(
        "access",
        sub=payload["sub"],
        sid=payload["sid"],
        claims={name: payload[name] for name in ("iss", "aud")},
        expires_in=-1,
    )
    assert ask(old) == 401
    assert payload["exp"] - payload["iat"] <= 300  # a short life besides


def test_of_a_person_who_was_switched_off(pair, agency):
    agency.users.bob.is_active = False
    agency.users.bob.save()
    assert ask(pair["access_token"]) == 401
    assert renew(pair).status_code == 400


def test_after_a_change_of_the_password(pair, agency):
    agency.users.bob.set_password("another horse battery")
    agency.users.bob.save()
    assert ask(pair["access_token"]) == 401
    assert renew(pair).status_code == 400


def test_after_signing_out(pair, agency):
    answer = Browser().delete(
        "/_allauth/app/v1/auth/session", headers={"Authorization": f"Bearer {pair['access_token']}"}
    )
    assert answer.status_code == 401  # allauth's word for "nobody is signed in now"
    assert ask(pair["access_token"]) == 401
    assert renew(pair).status_code == 400


def test_a_used_refresh_token_stays_used(pair):
    first = renew(pair)
    assert first.status_code == 200
    assert renew(pair).status_code == 400
    assert ask(first.json()["data"]["access_token"]) == 200


@pytest.mark.django_db(transaction=True)
def test_of_many_who_use_one_refresh_token_at_once_one_gets_a_pair(pair):
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connection

    def use(_: int) -> int:
        try:
            return renew(pair).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        statuses = sorted(pool.map(use, range(6)))
    assert statuses == [200, 400, 400, 400, 400, 400]


@pytest.mark.parametrize("path", ["/api/session", "/api/meta/validate-token", "/api/campaigns", "/api/docs/"])
def test_a_forged_token_opens_no_door_and_leaves_no_session(pair, path):
    browser = Browser()
    token = unsigned(claims(pair["access_token"]), "none")
    assert browser.get(path, headers={"Authorization": f"Bearer {token}"}).status_code in (401, 403, 404)
    assert "session" not in browser.cookies


def test_the_key_of_a_session_is_not_readable_in_its_token(pair):
    from django.contrib.sessions.models import Session

    keys = list(Session.objects.values_list("session_key", flat=True))
    for token in (pair["access_token"], pair["refresh_token"]):
        assert not any(key in json.dumps(claims(token)) for key in keys)


# --- the second factor
def half(agency) -> dict[str, Any]:
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    TOTP.activate(agency.users.bob, generate_totp_secret())
    answer = Browser().post(
        "/_allauth/app/v1/auth/login",
        {"email": "bob@example.com", "password": PASSWORD},
        content_type="application/json",
    )
    assert answer.status_code == 401
    return answer.json()


def test_a_password_alone_gives_no_token_where_a_second_factor_is_set_up(agency):
    said = half(agency)
    assert not {"access_token", "refresh_token"} & said["meta"].keys()
    assert [flow["id"] for flow in said["data"]["flows"] if flow.get("is_pending")] == ["mfa_authenticate"]


def test_a_sign_in_that_waits_for_the_code_opens_nothing(agency):
    token = half(agency)["meta"]["session_token"]
    assert ask(token) == 401
    assert Browser().get("/api/session", headers={"X-Session-Token": token}).status_code == 401
    browser = Browser()
    browser.cookies["session"] = token
    assert browser.get("/api/session").status_code == 401
    for path in ("account/authenticators", "account/providers", "auth/sessions"):
        answer = Browser().get(f"/_allauth/app/v1/{path}", headers={"X-Session-Token": token})
        assert answer.status_code == 401, path


def test_wrong_codes_run_into_a_limit(agency, settings):
    from django.core.cache import cache

    settings.ACCOUNT_RATE_LIMITS = {}
    cache.clear()
    token = half(agency)["meta"]["session_token"]
    codes = []
    for _ in range(12):
        answer = Browser().post(
            "/_allauth/app/v1/auth/2fa/authenticate",
            {"code": "000000"},
            content_type="application/json",
            headers={"X-Session-Token": token},
        )
        assert answer.status_code in (400, 429)
        codes.append(answer.json().get("errors", [{}])[0].get("code", "too_many"))
    cache.clear()
    assert codes[0] == "incorrect_code"
    assert codes[-1] != "incorrect_code"
