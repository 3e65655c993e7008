"""Tokens are exchanged, inspected and given back without ever being shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from metaads.graph import errors, oauth
from tests.metaads.graph.wire import SECRET, TOKEN, error, scripted

INSPECTED = {
    "app_id": "123456789", "type": "USER", "application": "Sandbox App", "data_access_expires_at": 1803200000,
    "expires_at": 1798000000, "issued_at": 1792800000, "is_valid": True,
    "scopes": ["ads_management", "ads_read", "public_profile"],
    "granular_scopes": [{"scope": "ads_management", "target_ids": ["123456789"]}, {"scope": "ads_read"}],
    "user_id": "10200000000000001",
}  # fmt: skip


def test_a_code_becomes_a_token_and_both_stay_hidden() -> None:
    transport, script = scripted([{"access_token": TOKEN, "token_type": "bearer", "expires_in": 5183999}])
    grant = oauth.exchange_code(transport, "canary-code", redirect_uri="https://app.example/callback")
    assert (grant.access_token, grant.expires_in) == (TOKEN, 5183999)
    assert TOKEN not in repr(grant)
    asked = script.asked[0]
    assert asked.path == "/v26.0/oauth/access_token"
    assert asked.query == {
        "client_id": "123456789",
        "client_secret": SECRET,
        "code": "canary-code",
        "grant_type": "authorization_code",
        "redirect_uri": "https://app.example/callback",
    }
    assert "Authorization" not in asked.headers


@pytest.mark.parametrize("expires", [None, 0, "x", -1])
def test_a_token_without_an_end_has_no_end(expires: Any) -> None:
    transport, script = scripted([{"access_token": TOKEN, "expires_in": expires}])
    assert oauth.long_lived(transport, "short-lived-token").expires_in is None
    assert script.asked[0].query["grant_type"] == "fb_exchange_token"
    assert script.asked[0].query["fb_exchange_token"] == "short-lived-token"


@pytest.mark.parametrize("body", [{}, {"access_token": ""}, {"access_token": 5}, [], {"error": None}])
def test_an_exchange_without_a_token_is_unknown(body: Any) -> None:
    transport, _ = scripted([body])
    with pytest.raises(errors.Unknown) as caught:
        oauth.long_lived(transport, TOKEN)
    assert TOKEN not in f"{caught.value!r} {caught.value.answer!r}"


def test_a_refused_exchange_does_not_repeat_the_secret_that_meta_echoes() -> None:
    transport, _ = scripted([error(100, 36009, message=f"bad code canary-code for {SECRET}")])
    with pytest.raises(errors.Refused) as caught:
        oauth.exchange_code(transport, "canary-code", redirect_uri="https://app.example/")
    assert "canary" not in f"{caught.value} {caught.value!r} {caught.value.args}"


def test_a_token_is_inspected_as_the_app_and_travels_as_a_secret() -> None:
    transport, script = scripted([{"data": INSPECTED}])
    info = oauth.debug_token(transport, TOKEN)
    asked = script.asked[0]
    assert asked.headers["Authorization"] == f"Bearer 123456789|{SECRET}"
    assert asked.query == {"input_token": TOKEN}
    assert info.is_valid
    assert (info.app_id, info.user_id, info.type) == ("123456789", "10200000000000001", "USER")
    assert info.scopes == ("ads_management", "ads_read", "public_profile")
    assert info.granular_scopes == (
        oauth.GranularScope("ads_management", ("123456789",)),
        oauth.GranularScope("ads_read"),
    )
    assert info.expires_at == datetime.fromtimestamp(1798000000, UTC)
    assert info.data_access_expires_at == datetime.fromtimestamp(1803200000, UTC)


def test_an_invalid_token_is_an_answer_with_metas_reason() -> None:
    token = "system-user-token-of-no-known-shape"
    reason = {"code": 190, "subcode": 463, "message": f"Error validating {token}: expired"}
    transport, _ = scripted([{"data": {"is_valid": False, "scopes": [], "error": reason}}])
    info = oauth.debug_token(transport, token)
    assert (info.is_valid, info.error_code, info.error_subcode) == (False, 190, 463)
    assert info.error == "Error validating [hidden]: expired"


def test_an_end_of_zero_is_no_end() -> None:
    transport, _ = scripted([{"data": {**INSPECTED, "expires_at": 0, "data_access_expires_at": "x"}}])
    info = oauth.debug_token(transport, TOKEN)
    assert (info.expires_at, info.data_access_expires_at) == (None, None)


@pytest.mark.parametrize(
    "body", [{}, {"data": None}, {"data": []}, {"data": {}}, {"data": {"is_valid": "yes"}}]
)
def test_an_inspection_that_says_nothing_is_not_taken_for_valid(body: Any) -> None:
    transport, _ = scripted([body])
    with pytest.raises(errors.Unknown):
        oauth.debug_token(transport, TOKEN)


def test_odd_scopes_do_not_break_the_inspection() -> None:
    odd = {
        **INSPECTED,
        "scopes": ["ads_read", None, 5],
        "granular_scopes": [None, {"scope": 1}, {"scope": "x", "target_ids": 5}],
    }
    transport, _ = scripted([{"data": odd}])
    info = oauth.debug_token(transport, TOKEN)
    assert info.scopes == ("ads_read",)
    assert info.granular_scopes == (oauth.GranularScope("x"),)


def test_without_an_app_there_is_no_app_token() -> None:
    transport, _ = scripted([], app_id="", app_secret="")
    with pytest.raises(ValueError, match="META_APP_ID"):
        oauth.app_token(transport)


def test_whose_token_it_is() -> None:
    transport, script = scripted([{"id": "102", "name": "Alice"}, {"name": "x"}])
    assert oauth.me(transport, TOKEN) == {"id": "102", "name": "Alice"}
    assert script.asked[0].query["fields"] == "id,name"
    with pytest.raises(errors.Unknown):
        oauth.me(transport, TOKEN)


def test_permissions_come_with_their_status() -> None:
    rows = [
        {"permission": "ads_read", "status": "granted"},
        {"permission": "email", "status": "declined"},
        None,
        {},
    ]
    transport, _ = scripted([{"data": rows}])
    assert oauth.permissions(transport, TOKEN) == {"ads_read": "granted", "email": "declined"}


def test_revoking_gives_everything_back_in_one_call() -> None:
    transport, script = scripted([{"success": True}])
    oauth.revoke(transport, TOKEN)
    assert (script.asked[0].method, script.asked[0].path) == ("DELETE", "/v26.0/me/permissions")


def test_revoking_a_dead_token_says_so() -> None:
    transport, _ = scripted([error(190, 467, status=401)])
    with pytest.raises(errors.AuthFailed) as caught:
        oauth.revoke(transport, TOKEN)
    assert caught.value.definite
