"""Thirty idle minutes end a session; a poll is no activity."""

import pytest

MINUTE = 60


@pytest.fixture
def bob(client, agency, clock):
    client.force_login(agency.users.bob)
    assert asks(client) == 200
    return client


def asks(client, **headers):
    return client.get("/api/meta/validate-token", headers=headers).status_code


def test_a_person_who_keeps_working_stays_signed_in(bob, clock):
    for _ in range(4):
        clock.advance(29 * MINUTE)
        assert asks(bob) == 200


def test_thirty_idle_minutes_end_the_session(bob, clock):
    clock.advance(30 * MINUTE + 1)
    assert asks(bob) == 401
    assert asks(bob) == 401


def test_polls_do_not_extend_it(bob, clock):
    for _ in range(6):
        clock.advance(5 * MINUTE)
        assert asks(bob, **{"X-Poll": "1"}) == 200
    clock.advance(1)
    assert asks(bob, **{"X-Poll": "1"}) == 401


def test_a_removed_membership_is_felt_by_the_next_request(bob, agency):
    from accounts import people

    people.remove(
        user=agency.users.bob,
        client=agency.northwind,
        principal=agency.principals.alice,
        now=agency.users.bob.created_at,
    )
    assert bob.get("/api/meta/validate-token?client=northwind").status_code == 401
    agency.users.bob.refresh_from_db()
    assert not agency.users.bob.is_staff


@pytest.mark.parametrize(
    "given, kept", [("abc-12345", True), ("x" * 65, False), ("a b\nc", False), ("", False)]
)
def test_a_request_id_is_taken_over_only_when_it_is_harmless(client, db, given, kept):
    headers = {"X-Request-ID": given} if given else {}
    answer = client.get("/api/meta/validate-token", headers=headers)
    identity = answer.headers["X-Request-ID"]
    assert (identity == given) is kept
    assert answer.json()["request_id"] == identity
    assert identity.isalnum() or kept
