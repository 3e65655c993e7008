"""API keys: shown once, kept as a keyed hash, narrowed, ended."""

from datetime import timedelta

import pytest

from accounts import keys
from accounts.errors import Invalid
from accounts.models import ApiKey
from tests.conftest import START


@pytest.fixture
def key(agency):
    return keys.issue(user=agency.users.ivan, name="script", principal=agency.principals.alice, now=START)


def test_a_key_signs_its_user_in(client, agency, key):
    for headers in (
        {"X-API-Key": key[1]},
        {"Authorization": f"Bearer {key[1]}"},
        {"Authorization": f"Api-Key {key[1]}"},
    ):
        answer = client.get("/api/meta/validate-token", headers=headers)
        assert answer.status_code == 200, answer.content
        assert answer.json()["state"] == "none"


def test_the_key_itself_is_nowhere_in_the_table(agency, key):
    row, text = key
    secret = text.split("_", 2)[2]
    stored = ApiKey.objects.values().get(pk=row.pk)
    assert secret not in str(stored)
    assert len(secret) >= 32


@pytest.mark.parametrize("change", ["wrong", "expired", "revoked", "inactive"])
def test_a_key_that_must_not_work_answers_401(client, clock, agency, key, change):
    row, text = key
    if change == "wrong":
        text = text[:-1] + ("a" if text[-1] != "a" else "b")
    elif change == "expired":
        ApiKey.objects.filter(pk=row.pk).update(expires_at=clock.now() - timedelta(seconds=1))
    elif change == "revoked":
        keys.revoke(
            user=agency.users.ivan, prefix=row.prefix, principal=agency.principals.alice, now=clock.now()
        )
    else:
        agency.users.ivan.is_active = False
        agency.users.ivan.save()
    answer = client.get("/api/meta/validate-token", headers={"X-API-Key": text})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["code"] in {"authentication_failed", "not_authenticated"}


def test_a_narrowed_key_may_not_do_what_its_user_may(client, agency):
    _, text = keys.issue(
        user=agency.users.alice, name="reader", scopes=["view"], principal=agency.principals.alice, now=START
    )
    url = "/api/meta-oauth/authorize-url?client=northwind"
    assert client.get(url, headers={"X-API-Key": text}).status_code == 403
    _, wide = keys.issue(user=agency.users.alice, name="wide", principal=agency.principals.alice, now=START)
    assert client.get(url, headers={"X-API-Key": wide}).status_code == 200


def test_a_scope_that_is_no_verb_is_refused(agency):
    with pytest.raises(Invalid, match="no such scope: fly"):
        keys.issue(
            user=agency.users.ivan, name="x", scopes=["fly"], principal=agency.principals.alice, now=START
        )


def test_reading_with_a_key_notes_its_use_at_most_once_a_minute(agency, key):
    row, text = key
    assert keys.find(secret=text, now=START).pk == row.pk
    assert keys.find(secret=text, now=START + timedelta(seconds=30)).last_used_at == START
    keys.find(secret=text, now=START + timedelta(seconds=61))
    row.refresh_from_db()
    assert row.last_used_at == START + timedelta(seconds=61)
