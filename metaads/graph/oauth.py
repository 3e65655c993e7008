"""Tokens: exchange, inspect, permissions, revoke. One attempt each; a failure raises a GraphError.

What is secret in these calls (client secret, code, the token that is inspected) goes through
`secret_params` and never shows in a text; what they return keeps tokens out of its repr. Source:
docs/meta.md, sections 2.2 and 2.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from metaads.graph.errors import Answer, Kind, Unknown, error_for, redact
from metaads.graph.transport import Transport


@dataclass(frozen=True)
class TokenGrant:
    """A token from an exchange. `expires_in` is in seconds; None when Meta names no end."""

    access_token: str = field(repr=False)
    expires_in: int | None = None


@dataclass(frozen=True)
class GranularScope:
    """A scope and the assets that it was granted for; no `target_ids` means all that the person has."""

    scope: str
    target_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class TokenInfo:
    """What Meta says about a token. `expires_at` and `data_access_expires_at` are aware UTC; None means no
    end named.

    `type` is USER, PAGE, APP or SYSTEM_USER. `error` is Meta's sentence for a token that is not valid.
    """

    is_valid: bool
    app_id: str
    user_id: str
    type: str
    scopes: tuple[str, ...]
    granular_scopes: tuple[GranularScope, ...]
    expires_at: datetime | None
    data_access_expires_at: datetime | None
    issued_at: datetime | None = None
    application: str = ""
    error: str = ""
    error_code: int | None = None
    error_subcode: int | None = None


def app_token(transport: Transport) -> str:
    """Give the app's own token, APP_ID|APP_SECRET, which needs no call. Raises ValueError without an app."""
    if not transport.app_id or not transport.app_secret:
        raise ValueError("META_APP_ID and META_APP_SECRET are not set")
    return f"{transport.app_id}|{transport.app_secret}"


def exchange_code(transport: Transport, code: str, *, redirect_uri: str) -> TokenGrant:
    """Turn the code of the login dialog into a token; `redirect_uri` is exactly the one of the dialog."""
    params = {"client_id": transport.app_id, "redirect_uri": redirect_uri, "grant_type": "authorization_code"}
    return _grant(transport, params, {"code": code})


def long_lived(transport: Transport, token: str, *, system_user: bool = False) -> TokenGrant:
    """Exchange a token that still works for one of about 60 days. A system user's goes on having an end only when
    asked to (docs/meta.md, section 2.3)."""
    params = {"client_id": transport.app_id, "grant_type": "fb_exchange_token"}
    if system_user:
        params |= {"set_token_expires_in_60_days": "true"}
    return _grant(transport, params, {"fb_exchange_token": token})


def debug_token(transport: Transport, token: str) -> TokenInfo:
    """Ask Meta, as the app, what a token is and may do. An invalid token is an answer here, not an
    exception."""
    answer = transport.request(
        "GET", "debug_token", token=app_token(transport), secret_params={"input_token": token}
    )
    data = _body(answer).get("data")
    if not isinstance(data, dict) or not isinstance(data.get("is_valid"), bool):
        raise _malformed(answer)
    error = data.get("error")
    error = error if isinstance(error, dict) else {}
    return TokenInfo(
        is_valid=data["is_valid"],
        app_id=_text(data.get("app_id")),
        user_id=_text(data.get("user_id")),
        type=_text(data.get("type")).upper(),
        scopes=_texts(data.get("scopes")),
        granular_scopes=_granular(data.get("granular_scopes")),
        expires_at=_moment(data.get("expires_at")),
        data_access_expires_at=_moment(data.get("data_access_expires_at")),
        issued_at=_moment(data.get("issued_at")),
        application=_text(data.get("application")),
        error=redact(_text(error.get("message")), secrets=(token,)),
        error_code=_integer(error.get("code")),
        error_subcode=_integer(error.get("subcode", error.get("error_subcode"))),
    )


def me(transport: Transport, token: str) -> dict[str, Any]:
    """Read whose token it is: {"id": digits, "name": text}."""
    answer = transport.request("GET", "me", token=token, params={"fields": "id,name"})
    body = _body(answer)
    if not isinstance(body.get("id"), str):
        raise _malformed(answer)
    return {"id": body["id"], "name": _text(body.get("name"))}


def permissions(transport: Transport, token: str) -> dict[str, str]:
    """Read the permissions of a token: name -> granted, declined or expired."""
    answer = transport.request("GET", "me/permissions", token=token)
    rows = _body(answer).get("data")
    if not isinstance(rows, list):
        raise _malformed(answer)
    found = {_text(row.get("permission")): _text(row.get("status")) for row in rows if isinstance(row, dict)}
    return {name: status for name, status in found.items() if name}


def revoke(transport: Transport, token: str) -> None:
    """Take back the whole grant at Meta: afterwards every token of this person for this app is dead."""
    _body(transport.request("DELETE", "me/permissions", token=token, fresh=True))


def _grant(transport: Transport, params: Mapping[str, str], secret: Mapping[str, str]) -> TokenGrant:
    secrets = {**secret, "client_secret": transport.app_secret}
    answer = transport.request(
        "GET", "oauth/access_token", token=None, params=params, secret_params=secrets, fresh=True
    )
    body = _body(answer)
    token = body.get("access_token")
    if not isinstance(token, str) or not token:
        raise _malformed(answer)
    expires = _integer(body.get("expires_in"))
    return TokenGrant(access_token=token, expires_in=expires if expires and expires > 0 else None)


def _body(answer: Answer) -> dict[str, Any]:
    if answer.kind is not Kind.OK:
        raise error_for(answer)
    if not isinstance(answer.body, dict):
        raise _malformed(answer)
    return answer.body


def _malformed(answer: Answer) -> Unknown:
    return Unknown(replace(answer, kind=Kind.UNKNOWN, rule="malformed_oauth_answer", body=None))


def _text(value: object) -> str:
    """Read an id or a word; Meta sends ids as strings, and a number where it forgot to."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _ids(value: object) -> tuple[str, ...]:
    texts = [_text(item) for item in value] if isinstance(value, list) else []
    return tuple(text for text in texts if text)


def _integer(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 15:
        return int(value)
    return value if isinstance(value, int) and abs(value) < 10**15 else None


def _moment(value: object) -> datetime | None:
    """Read unix seconds; 0 means that there is no end."""
    seconds = _integer(value)
    if seconds is None or not 0 < seconds < 253402300800:
        return None
    return datetime.fromtimestamp(seconds, tz=UTC)


def _granular(value: object) -> tuple[GranularScope, ...]:
    rows = value if isinstance(value, list) else []
    return tuple(
        GranularScope(
            scope=row["scope"],
            target_ids=_ids(row.get("target_ids")),
        )
        for row in rows
        if isinstance(row, dict) and isinstance(row.get("scope"), str)
    )
