"""`/api/meta-oauth/`: a link for the same person, disconnect, refresh."""

from urllib.parse import urlsplit

import pytest
from django.test import Client as Browser

from accounts import connections, leases, tokens
from accounts.errors import NoConnection
from accounts.models import ConnectionState, ConnectLink, MetaConnection
from metaads.graph.errors import AuthFailed
from tests.accounts.test_connect import Dance, code

BASE = "/api/meta-oauth"


@pytest.fixture
def alice(client, connected):
    client.force_login(connected.users.alice)
    return client


@pytest.fixture
def row(connected):
    return MetaConnection.everything.get()


def post(client, path, row, **headers):
    return client.post(
        f"{BASE}/{path}", {"connection_id": str(row.uuid)}, content_type="application/json", headers=headers
    )


def link(client):
    answer = client.get(f"{BASE}/authorize-url?client=northwind")
    assert answer.status_code == 200, answer.content
    return answer.json()


# --- the link


def test_the_link_starts_the_same_dance_once_for_the_same_person(client, sandbox, agency):
    client.force_login(agency.users.alice)
    body = link(client)
    assert body["url"].startswith("http://localhost:3000/connections/connect/")
    assert body["expires_at"] == "2026-11-18T15:10:00Z"
    path = urlsplit(body["url"]).path
    dance = Dance(sandbox, agency.users.alice)
    assert dance.web.get(path).status_code == 200
    answer = dance.web.post(path)
    dance.dialog = answer.headers["Location"]
    dance.decide()
    confirm = dance.land().headers["Location"]
    assert dance.web.post(confirm).status_code == 302
    assert MetaConnection.everything.get().client == agency.northwind
    assert code(dance.web.post(path)) == (409, "link_spent")


def test_the_link_is_useless_to_anybody_else_and_after_ten_minutes(client, sandbox, agency, clock):
    client.force_login(agency.users.alice)
    path = urlsplit(link(client)["url"]).path
    for user in (agency.users.bob, agency.users.charlie):
        other = Browser()
        other.force_login(user)
        assert other.get(path).status_code == 404
        assert other.post(path).status_code == 404
    assert Browser().get(path).headers["Location"].startswith("/accounts/login/")
    client.force_login(agency.users.alice)
    assert client.get(path[:-3] + "xx/").status_code == 404
    clock.advance(600)
    assert code(client.get(path)) == (409, "link_spent")
    assert ConnectLink.everything.get().used_at is None


def test_a_buyer_gets_no_link(client, agency):
    client.force_login(agency.users.bob)
    answer = client.get(f"{BASE}/authorize-url")
    assert (answer.status_code, answer.json()["code"]) == (403, "may_not_connect")


def test_the_api_callback_is_the_same_view(sandbox, agency):
    dance = Dance(sandbox, agency.users.alice)
    dance.start()
    back = dance.decide().replace("/auth/meta/callback", f"{BASE}/callback")
    answer = dance.land(back)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/connections/confirm/")
    assert dance.land(back).headers["Location"] == answer.headers["Location"]
    assert code(dance.land(back.replace("code=", "code=x"))) == (403, "connect_state")


# --- disconnect


def test_disconnecting_revokes_at_meta_and_stops_at_once(alice, connected, sandbox, row):
    token = row.token
    answer = post(alice, "disconnect", row)
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["state"], body["revoked_at_meta"]) == ("revoked", True)
    row.refresh_from_db()
    assert row.token == ""
    with pytest.raises(NoConnection):
        tokens.reader(connected.ad_account)
    with pytest.raises(NoConnection):
        tokens.write_token(connected.ad_account)
    from metaads import gateway

    with pytest.raises(AuthFailed):
        gateway.client(token=token, ad_account=None).node("me", ["id"])


def test_disconnecting_while_meta_is_down_stops_here_and_says_so(alice, connected, sandbox, row):
    sandbox.faults.arm("dropped", {"path": "permissions"}, times=None)
    body = post(alice, "disconnect", row).json()
    assert (body["state"], body["revoked_at_meta"]) == ("revoked", False)
    with pytest.raises(NoConnection):
        tokens.reader(connected.ad_account)


def test_disconnecting_one_client_leaves_the_same_meta_user_working_for_another(
    alice, connected, sandbox, row, clock
):
    other = MetaConnection.everything.create(
        client=connected.southwind,
        meta_user_id=row.meta_user_id,
        token=sandbox.token("alice"),
        connected_at=clock.now(),
    )
    assert post(alice, "disconnect", row).json()["revoked_at_meta"] is False
    connections.validate(connection=other, now=clock.now())
    assert other.state == ConnectionState.CONNECTED


def test_charlie_cannot_disconnect_or_refresh_what_is_northwinds(client, connected, row):
    client.force_login(connected.users.charlie)
    for path in ("disconnect", "refresh"):
        assert post(client, path, row).status_code == 404
    client.force_login(connected.users.bob)
    for path in ("disconnect", "refresh"):
        assert post(client, path, row).status_code == 403
    row.refresh_from_db()
    assert row.state == ConnectionState.CONNECTED


# --- refresh


def test_refreshing_exchanges_the_token(alice, row, clock):
    before = row.token
    clock.advance(86_400)
    alice.force_login(row.connected_by)
    answer = post(alice, "refresh", row)
    assert answer.status_code == 200, answer.content
    row.refresh_from_db()
    assert row.token != before
    assert (row.expires_at - clock.now()).days >= 58
    assert "token" not in answer.json()
    assert row.token not in answer.content.decode()


def test_two_refreshes_at_once_make_one_exchange(alice, connected, sandbox, row, clock):
    def exchanges():
        return sum(1 for line in sandbox.history if line["params"].get("grant_type") == "fb_exchange_token")

    start = exchanges()
    leases.take(name=f"refresh:{row.uuid}", holder="another worker", seconds=60, now=clock.now())
    answer = post(alice, "refresh", row)
    assert (answer.status_code, answer.json()["code"]) == (409, "refresh_running")
    assert exchanges() == start
    leases.release(name=f"refresh:{row.uuid}", holder="another worker", now=clock.now())
    assert post(alice, "refresh", row).status_code == 200
    assert exchanges() == start + 1


def test_the_same_idempotency_key_refreshes_once(alice, row, sandbox):
    first = post(alice, "refresh", row, **{"Idempotency-Key": "k"})
    count = len(sandbox.history)
    second = post(alice, "refresh", row, **{"Idempotency-Key": "k"})
    assert first.content == second.content
    assert len(sandbox.history) == count


def test_a_revoked_connection_is_not_refreshed(alice, row):
    post(alice, "disconnect", row)
    answer = post(alice, "refresh", row)
    assert (answer.status_code, answer.json()["code"]) == (409, "reconnect_needed")


@pytest.mark.parametrize("body", [{}, {"connection_id": "x"}, {"connection_id": None}, []])
def test_a_body_without_a_connection_is_a_400(alice, body):
    answer = alice.post(f"{BASE}/disconnect", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid"
