"""The dialog and the tokens, as a browser and a server walk through them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import urllib.parse
from typing import Any

import pytest

from tests.metaads.sandbox.conftest import ACCOUNT, BASE, START, Graph

DIALOG = "https://graph.facebook.com/v26.0/dialog/oauth"
BACK = "https://product.example/callback"
APP = {"client_id": "1000000000000001", "client_secret": "sandbox-secret"}
ASK = {
    "client_id": APP["client_id"],
    "redirect_uri": BACK,
    "state": "s/1 &",
    "scope": "ads_read,ads_management",
    "response_type": "code",
}


def decide(graph: Graph, **form: str) -> dict[str, str]:
    """Answer the dialog; gives the query of the address that the person is sent back to."""
    response = graph.session.post(DIALOG, data=ASK | form, allow_redirects=False)
    assert response.status_code == 302
    address = urllib.parse.urlsplit(response.headers["Location"])
    assert f"{address.scheme}://{address.netloc}{address.path}" == BACK
    return dict(urllib.parse.parse_qsl(address.query))


def exchange(graph: Graph, code: str, **changes: str) -> Any:
    params = APP | {"redirect_uri": BACK, "code": code, "grant_type": "authorization_code"} | changes
    return graph.session.get(f"{BASE}/oauth/access_token", params=params).json()


def test_the_page_shows_who_one_is_and_what_is_asked(graph: Graph) -> None:
    page = graph.session.get(DIALOG, params=ASK | {"state": '"><script>alert(1)</script>'}).text
    for text in ("Alice Agency", "Bob Buyer", "ads_management", ">Continue<", ">Cancel<"):
        assert text in page
    assert "<script>" not in page
    assert set(re.findall(r'name="grant_(\w+)"', page)) == {"ads_read", "ads_management", "public_profile"}


def test_continue_gives_a_code_that_works_once(graph: Graph) -> None:
    answer = decide(graph, decision="continue", user="alice")
    assert answer["state"] == ASK["state"]
    token = exchange(graph, answer["code"])
    assert token["token_type"] == "bearer"
    assert token["expires_in"] == 5400
    assert graph.get("me", access_token=token["access_token"])["name"] == "Alice Agency"
    assert exchange(graph, answer["code"])["error"]["code"] == 100


def test_a_token_tells_nothing_of_what_it_holds(graph: Graph) -> None:
    """Else a search for pieces of tokens in logs finds the time of day, which stands in every message."""
    token = exchange(graph, decide(graph, decision="continue", user="alice")["code"])["access_token"]
    whole = [token[at : at + (len(token) - at) // 4 * 4] for at in range(4)]
    read = b" ".join(base64.urlsafe_b64decode(piece) for piece in whole)
    for known in (str(int(graph.sandbox.clock.timestamp()))[:8], APP["client_id"], "ads_management", "USER"):
        assert known not in token
        assert known.encode() not in read


def test_a_code_dies_after_ten_minutes_and_is_bound_to_its_address(graph: Graph) -> None:
    code = decide(graph, decision="continue", user="alice")["code"]
    assert "redirect_uri" in exchange(graph, code, redirect_uri=BACK + "/")["error"]["message"]
    code = decide(graph, decision="continue", user="alice")["code"]
    graph.sandbox.clock.advance(601)
    assert "expired" in exchange(graph, code)["error"]["message"]


def test_cancel_answers_the_error_quartet(graph: Graph) -> None:
    assert decide(graph, decision="cancel") == {
        "error": "access_denied",
        "error_code": "200",
        "error_description": "Permissions error",
        "error_reason": "user_denied",
        "state": ASK["state"],
    }


def test_a_declined_scope_is_declined_everywhere(graph: Graph) -> None:
    code = decide(graph, decision="continue", user="alice", grant_ads_read="1")["code"]
    token = exchange(graph, code)["access_token"]
    rows = {
        row["permission"]: row["status"] for row in graph.get("me/permissions", access_token=token)["data"]
    }
    assert rows == {"ads_read": "granted", "ads_management": "declined", "public_profile": "granted"}
    campaign = graph.rows(f"{ACCOUNT}/campaigns", access_token=token)[0]["id"]
    assert graph.error("POST", campaign, access_token=token, status="PAUSED") == (200, None)


def test_a_person_may_decline_everything_but_his_name(graph: Graph) -> None:
    page = graph.session.get(DIALOG, params=ASK).text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))
    code = decide(graph, decision="continue", user="alice", boxes=hidden["boxes"])["code"]
    token = exchange(graph, code)["access_token"]
    rows = {
        row["permission"]: row["status"] for row in graph.get("me/permissions", access_token=token)["data"]
    }
    assert rows == {"ads_read": "declined", "ads_management": "declined", "public_profile": "granted"}
    assert graph.error("GET", ACCOUNT, access_token=token) == (200, None)


def test_wrong_apps_and_addresses_do_not_redirect(graph: Graph) -> None:
    assert graph.session.get(DIALOG, params=ASK | {"client_id": "7"}).status_code == 400
    assert graph.session.get(DIALOG, params=ASK | {"redirect_uri": "javascript:alert(1)"}).status_code == 400
    code = decide(graph, decision="continue", user="alice")["code"]
    assert "error" in exchange(graph, code, client_secret="wrong")


def test_the_long_lived_exchange_lasts_sixty_days_and_says_so(graph: Graph) -> None:
    short = exchange(graph, decide(graph, decision="continue", user="bob")["code"])["access_token"]
    long = graph.session.get(
        f"{BASE}/oauth/access_token",
        params=APP | {"grant_type": "fb_exchange_token", "fb_exchange_token": short},
    ).json()
    assert long["expires_in"] == 5_183_999
    app = graph.session.get(
        f"{BASE}/oauth/access_token", params=APP | {"grant_type": "client_credentials"}
    ).json()["access_token"]
    seen = {
        name: graph.session.get(
            f"{BASE}/debug_token", params={"input_token": text, "access_token": app}
        ).json()["data"]
        for name, text in (("short", short), ("long", long["access_token"]))
    }
    assert seen["long"]["expires_at"] == int(START.timestamp()) + 5_183_999
    assert "issued_at" in seen["long"]
    assert "issued_at" not in seen["short"]
    assert seen["long"]["is_valid"] is True
    assert seen["long"]["app_id"] == APP["client_id"]
    assert {row["scope"] for row in seen["long"]["granular_scopes"]} == {
        "ads_read",
        "ads_management",
        "public_profile",
    }
    graph.sandbox.clock.advance(5401)
    assert graph.error("GET", "me", access_token=short) == (190, 463)
    assert graph.get("me", access_token=long["access_token"])["name"] == "Bob Buyer"


@pytest.mark.parametrize("subcode", [458, 459, 460, 463, 464, 467])
def test_a_revoked_token_says_why_and_debug_token_agrees(graph: Graph, subcode: int) -> None:
    graph.session.post(
        "https://graph.facebook.com/_sandbox/revoke", json={"user": "alice", "subcode": subcode}
    )
    assert graph.error("GET", "me") == (190, subcode)
    data = graph.session.get(
        f"{BASE}/debug_token",
        params={"input_token": graph.token, "access_token": f"{APP['client_id']}|{APP['client_secret']}"},
    ).json()["data"]
    assert data["is_valid"] is False
    assert data["error"]["subcode"] == subcode
    assert graph.get("me", access_token=graph.sandbox.token("alice"))["id"]


def test_deauthorising_the_app_kills_every_token_of_the_person(graph: Graph) -> None:
    assert graph.raw("DELETE", "me/permissions").json() == {"success": True}
    assert graph.error("GET", "me") == (190, 458)


def test_tokens_come_by_query_form_json_or_header_and_proofs_are_checked(graph: Graph) -> None:
    header = {"Authorization": f"Bearer {graph.token}"}
    assert graph.session.get(f"{BASE}/me", headers=header).json()["name"] == "Alice Agency"
    campaign = graph.rows(f"{ACCOUNT}/campaigns")[0]["id"]
    body = {"access_token": graph.token, "name": "Renamed by JSON"}
    assert graph.session.post(f"{BASE}/{campaign}/", json=body).json() == {"success": True}
    parts = {"access_token": (None, graph.token), "name": (None, "Renamed by multipart")}
    assert graph.session.post(f"{BASE}/{campaign}", files=parts).json() == {"success": True}
    good = hmac.new(b"sandbox-secret", graph.token.encode(), hashlib.sha256).hexdigest()
    assert graph.get("me", appsecret_proof=good)["id"]
    assert graph.error("GET", "me", appsecret_proof="0" * 64) == (100, None)
    assert graph.session.get(f"{BASE}/me").json()["error"]["code"] == 2500
    assert graph.error("GET", "me", access_token="EAASforged" + "x" * 80) == (190, None)


def test_a_system_users_token_never_expires(graph: Graph) -> None:
    from tests.metaads.sandbox.conftest import make

    demo = make("demo")
    token = demo.sandbox.token("system")
    data = demo.get("debug_token", input_token=token)["data"]
    assert (data["type"], data["expires_at"]) == ("SYSTEM_USER", 0)
    demo.sandbox.clock.advance(400 * 86_400)
    assert demo.get("me", access_token=token)["name"] == "Agency System User"
