"""Tell Meta where to send its change notices, and for which ad accounts.

    subscribe_app       once per app      POST /{app_id}/subscriptions      with the app's own token
    subscribe_account   per ad account    POST /act_X/subscribed_apps       with the account's token

Meta calls the callback back at once (hub.challenge), so the address has to answer before `subscribe_app`
returns. Source: docs/meta.md, section 9.1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from metaads.graph.errors import Answer, Kind, Unknown, error_for
from metaads.graph.transport import Transport

AD_ACCOUNT_FIELDS: Final = ("effective_status", "with_issues_ad_objects", "in_process_ad_objects")
_ACCOUNT: Final = re.compile(r"act_[0-9]{1,30}")


@dataclass(frozen=True)
class AppSubscription:
    """One object that the app listens to, and the fields of it."""

    object: str
    callback_url: str
    active: bool
    fields: tuple[str, ...]


def subscribe_app(
    transport: Transport,
    *,
    app_token: str,
    callback_url: str,
    verify_token: str,
    fields: Sequence[str] = AD_ACCOUNT_FIELDS,
    object: str = "ad_account",
) -> None:
    """Point Meta's notices about one kind of object to `callback_url` (https). Raises a GraphError."""
    answer = transport.request(
        "POST",
        f"{_app(transport)}/subscriptions",
        token=app_token,
        data={
            "object": object,
            "callback_url": callback_url,
            "verify_token": verify_token,
            "fields": ",".join(fields),
        },
    )
    _ok(answer)


def app_subscriptions(transport: Transport, *, app_token: str) -> list[AppSubscription]:
    """List what the app listens to."""
    answer = _ok(transport.request("GET", f"{_app(transport)}/subscriptions", token=app_token))
    return [
        AppSubscription(
            object=str(row.get("object", "")),
            callback_url=str(row.get("callback_url", "")),
            active=row.get("active") is True,
            fields=_field_names(row.get("fields")),
        )
        for row in _rows(answer)
    ]


def subscribe_account(transport: Transport, token: str, account_id: str) -> None:
    """Have notices about one ad account (act_X) sent to the app. Raises a GraphError."""
    path = f"{_account(account_id)}/subscribed_apps"
    _ok(transport.request("POST", path, token=token, data={"app_id": _app(transport)}))


def unsubscribe_account(transport: Transport, token: str, account_id: str) -> None:
    """Stop the notices about one ad account."""
    path = f"{_account(account_id)}/subscribed_apps"
    _ok(transport.request("DELETE", path, token=token, params={"app_id": _app(transport)}))


def account_apps(transport: Transport, token: str, account_id: str) -> list[str]:
    """List the ids of the apps that get notices about an ad account. Meta's pages name the key `id` or
    `app_id`."""
    answer = _ok(transport.request("GET", f"{_account(account_id)}/subscribed_apps", token=token))
    ids = [row.get("app_id", row.get("id")) for row in _rows(answer)]
    return [str(one) for one in ids if isinstance(one, (str, int))]


def _app(transport: Transport) -> str:
    if not transport.app_id.isdigit():
        raise ValueError("META_APP_ID is not set")
    return transport.app_id


def _account(account_id: str) -> str:
    if not _ACCOUNT.fullmatch(account_id):
        raise ValueError("an ad account is named by act_<digits>")
    return account_id


def _ok(answer: Answer) -> Answer:
    if answer.kind is not Kind.OK:
        raise error_for(answer)
    return answer


def _rows(answer: Answer) -> list[dict[str, Any]]:
    data = answer.body.get("data") if isinstance(answer.body, dict) else None
    if not isinstance(data, list):
        raise Unknown(replace(answer, kind=Kind.UNKNOWN, rule="malformed_subscriptions", body=None))
    return [row for row in data if isinstance(row, dict)]


def _field_names(entries: object) -> tuple[str, ...]:
    """Read the fields of a subscription, each a name or {"name": ..., "version": ...}."""
    rows = entries if isinstance(entries, list) else []
    names = [row.get("name") if isinstance(row, dict) else row for row in rows]
    return tuple(name for name in names if isinstance(name, str))
