"""One caller of the API, signed in by session, API key or JWT; answers are parsed without a float."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.test import Client

from tests.conftest import PASSWORD

WAYS = ("session", "key", "jwt")
CSRF = "c" * 32


class Answer:
    """`status`, `headers`, `text` and `body` (JSON with Decimals; None where there is none)."""

    def __init__(self, response: Any) -> None:
        self.status: int = response.status_code
        self.headers = response.headers
        self.text: str = response.content.decode()
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        self.kind: str = kind
        self.body = json.loads(self.text, parse_float=Decimal) if kind.endswith("json") else None

    def without_trace(self) -> tuple[int, Any]:
        """Status and body without what differs between any two requests."""
        return self.status, {k: v for k, v in self.body.items() if k not in ("instance", "request_id")}


class Caller:
    """`who` is a name of the agency, or None for nobody. Writes by session carry a CSRF token unless told not to."""

    def __init__(self, users: Any, who: str | None, by: str = "session") -> None:
        self.http = Client(enforce_csrf_checks=True)
        self.headers: dict[str, str] = {}
        if who is None:
            return
        user = getattr(users, who)
        if by == "session":
            self.http.force_login(user)
            self.http.cookies[settings.CSRF_COOKIE_NAME] = CSRF
            self.headers = {"X-CSRFToken": CSRF}
        elif by == "key":
            self.headers = {"X-API-Key": _key(user)}
        else:
            self.headers = {"Authorization": f"Bearer {_token(user)}"}

    def get(self, path: str, **headers: str) -> Answer:
        return Answer(self.http.get(path, headers={**self.headers, **headers}))

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.send("post", path, body, **headers)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """`body`: raw JSON text, or what is to be written as JSON."""
        if method == "get":
            return self.get(path, **headers)
        data = body if isinstance(body, str) else json.dumps(body)
        write = getattr(self.http, method)
        return Answer(write(path, data, content_type="application/json", headers={**self.headers, **headers}))


def _key(user: Any) -> str:
    from accounts.access import principal_of
    from accounts.keys import issue
    from metaads.clock import now

    return issue(user=user, name="test", principal=principal_of(user), now=now())[1]


def _token(user: Any) -> str:
    answer = Client().post(
        "/_allauth/app/v1/auth/login",
        {"email": user.email, "password": PASSWORD},
        content_type="application/json",
    )
    assert answer.status_code == 200, answer.content
    token: str = answer.json()["meta"]["access_token"]
    return token
