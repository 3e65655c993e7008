"""Where Meta sends its notices, and about which accounts."""

from __future__ import annotations

import pytest

from metaads.graph import errors, subscriptions
from tests.metaads.graph.wire import SECRET, TOKEN, error, scripted

APP_TOKEN = f"123456789|{SECRET}"


def test_the_app_listens_at_one_address() -> None:
    transport, script = scripted([{"success": True}])
    subscriptions.subscribe_app(
        transport, app_token=APP_TOKEN, callback_url="https://app.example/webhooks/meta/", verify_token="v"
    )
    asked = script.asked[0]
    assert (asked.method, asked.path) == ("POST", "/v26.0/123456789/subscriptions")
    assert asked.form == {
        "object": "ad_account",
        "callback_url": "https://app.example/webhooks/meta/",
        "fields": "effective_status,with_issues_ad_objects,in_process_ad_objects",
        "verify_token": "v",
    }


@pytest.mark.parametrize("success", [True, "true"])
def test_an_account_is_subscribed_even_when_meta_writes_true_as_text(success: object) -> None:
    transport, script = scripted([{"success": success}])
    subscriptions.subscribe_account(transport, TOKEN, "act_1")
    assert script.asked[0].path == "/v26.0/act_1/subscribed_apps"
    assert script.asked[0].form["app_id"] == "123456789"


def test_a_subscription_that_is_refused_is_raised() -> None:
    transport, _ = scripted([error(200, status=403), {"success": "false"}])
    with pytest.raises(errors.NotPermitted):
        subscriptions.subscribe_account(transport, TOKEN, "act_1")
    with pytest.raises(errors.Unknown):
        subscriptions.subscribe_account(transport, TOKEN, "act_1")


def test_subscribed_apps_are_listed_by_either_name() -> None:
    transport, _ = scripted([{"data": [{"id": "123456789", "name": "x"}, {"app_id": "2"}, {}]}])
    assert subscriptions.account_apps(transport, TOKEN, "act_1") == ["123456789", "2"]


def test_what_the_app_listens_to_is_listed() -> None:
    row = {"object": "ad_account", "callback_url": "https://x/", "active": True,
           "fields": [{"name": "effective_status", "version": "v26.0"}, "other", None, {"name": 5}]}  # fmt: skip
    transport, _ = scripted([{"data": [row]}])
    assert subscriptions.app_subscriptions(transport, app_token=APP_TOKEN) == [
        subscriptions.AppSubscription("ad_account", "https://x/", True, ("effective_status", "other"))
    ]


def test_an_account_is_unsubscribed() -> None:
    transport, script = scripted([{"success": True}])
    subscriptions.unsubscribe_account(transport, TOKEN, "act_1")
    assert (script.asked[0].method, script.asked[0].query["app_id"]) == ("DELETE", "123456789")


def test_only_ad_accounts_are_subscribed() -> None:
    transport, script = scripted([])
    with pytest.raises(ValueError):
        subscriptions.subscribe_account(transport, TOKEN, "10")
    assert script.asked == []
