"""`/api/meta/`: golden answers of this floor's paths, with the brief's field names."""

import pytest

from accounts.models import AdAccount, ConnectionState, MetaConnection
from accounts.signals import ad_account_enabled


@pytest.fixture
def bob(client, connected):
    client.force_login(connected.users.bob)
    return client


def test_validate_token(bob, connected):
    assert bob.get("/api/meta/validate-token").json() == {
        "valid": True,
        "state": "connected",
        "reason": "",
        "connection_id": str(MetaConnection.everything.get().uuid),
        "scopes": MetaConnection.everything.get().scopes,
        "missing_scopes": [],
        "expires_at": MetaConnection.everything.get().expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data_access_expires_at": MetaConnection.everything.get().data_access_expires_at.strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        ),
        "checked_at": "2026-11-18T15:00:00Z",
    }


def test_validate_token_without_a_connection(client, agency):
    client.force_login(agency.users.bob)
    body = client.get("/api/meta/validate-token").json()
    assert (body["valid"], body["state"], body["connection_id"]) == (False, "none", None)
    assert body["missing_scopes"] == ["ads_read", "ads_management", "business_management", "read_insights"]


def test_validate_token_names_what_is_wrong(bob):
    MetaConnection.everything.update(
        state=ConnectionState.REAUTH_NEEDED, reason="Expired.", scopes=["ads_read"]
    )
    body = bob.get("/api/meta/validate-token").json()
    assert (body["valid"], body["state"], body["reason"]) == (False, "reauth_needed", "Expired.")
    assert "ads_management" in body["missing_scopes"]


def test_user_info(bob, connected, sandbox):
    person = sandbox.world.people["alice"]
    assert bob.get("/api/meta/user-info").json() == {
        "id": person.id,
        "name": person.name,
        "client": "northwind",
        "user": {"id": str(connected.users.bob.uuid), "email": "bob@example.com", "name": "Bob"},
    }


def test_user_info_without_a_connection_says_what_to_do(client, agency):
    client.force_login(agency.users.bob)
    answer = client.get("/api/meta/user-info")
    assert (answer.status_code, answer.json()["advice"]) == (404, "Connect one first.")


def test_ad_accounts(bob, connected):
    account = connected.ad_account
    assert bob.get("/api/meta/ad-accounts").json() == {
        "ad_accounts": [
            {
                "id": account.act_id,
                "name": account.name,
                "account_status": 1,
                "currency": account.currency,
                "timezone_name": account.timezone_name,
                "business_name": account.business_name,
                "account_type": "BUSINESS",
                "enabled": True,
                "archived": False,
                "status": "Active",
                "spend_cap": None,
                "amount_spent": float(account.amount_spent),
                "user_tasks": ["ANALYZE", "ADVERTISE", "MANAGE", "DRAFT", "AA_ANALYZE"],
                "client": "northwind",
            }
        ]
    }
    assert account.name
    AdAccount.everything.update(is_personal=True)
    assert bob.get("/api/meta/ad-accounts").json()["ad_accounts"][0]["account_type"] == "PERSONAL"


def test_an_owner_of_many_clients_lists_all_or_one(client, connected):
    AdAccount.everything.create(
        client=connected.southwind, meta_id="42", name="Other", currency="EUR", timezone_name="UTC"
    )
    client.force_login(connected.users.alice)

    def listed(**query):
        return {row["client"] for row in client.get("/api/meta/ad-accounts", query).json()["ad_accounts"]}

    assert listed() == {"northwind", "southwind"}
    assert listed(client="southwind") == {"southwind"}


def test_switching_off_and_on(client, connected, django_capture_on_commit_callbacks):
    heard = []

    def listener(ad_account_id, **_):
        heard.append(ad_account_id)

    ad_account_enabled.connect(listener)
    client.force_login(connected.users.alice)
    act = connected.ad_account.act_id
    try:
        with django_capture_on_commit_callbacks(execute=True):
            assert client.post(f"/api/meta/ad-accounts/{act}/disable").json()["enabled"] is False
            assert client.post(f"/api/meta/ad-accounts/{act}/enable").json()["enabled"] is True
            assert client.post(f"/api/meta/ad-accounts/{act[4:]}/enable").json()["enabled"] is True
    finally:
        ad_account_enabled.disconnect(listener)
    assert heard == [connected.ad_account.pk]


def test_a_buyer_may_not_switch(bob, connected):
    answer = bob.post(f"/api/meta/ad-accounts/{connected.ad_account.act_id}/disable")
    assert (answer.status_code, answer.json()["code"]) == (403, "may_not_connect")


def test_an_account_that_no_connection_sees_cannot_be_switched_on(client, agency):
    AdAccount.everything.create(
        client=agency.northwind, meta_id="42", name="Lone", currency="EUR", timezone_name="UTC"
    )
    client.force_login(agency.users.alice)
    answer = client.post("/api/meta/ad-accounts/act_42/enable")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_connection")


@pytest.mark.parametrize("ref", ["act_", "x", "1e5", "%2e%2e", "act_1 ", "1" * 60])
def test_odd_ids_are_not_found(client, connected, ref):
    client.force_login(connected.users.alice)
    assert client.post(f"/api/meta/ad-accounts/{ref}/enable").status_code == 404


def test_all_paths_are_in_the_schema(client, agency):
    client.force_login(agency.users.alice)
    paths = client.get("/api/schema/?format=json").json()["paths"]
    for path in ("validate-token", "user-info", "ad-accounts"):
        assert f"/api/meta/{path}" in paths
    for path in ("authorize-url", "callback", "disconnect", "refresh"):
        assert f"/api/meta-oauth/{path}" in paths


def test_sign_in_is_described_apart(client, db):
    body = client.get("/_allauth/openapi.json").json()
    assert any(path.endswith("/auth/login") for path in body["paths"])
