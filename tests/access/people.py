"""The principals of the matrix, and one caller that asks as any of them and hears which tables were written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.test import Client

from tests.conftest import PASSWORD

CSRF = "c" * 32


@dataclass(frozen=True)
class Who:
    """`seat`: out (nobody, switched off, wrong token), northwind, southwind, everywhere."""

    name: str
    seat: str
    role: str = ""
    person: str = ""
    by: str = "session"

    def __str__(self) -> str:
        return self.name


PRINCIPALS = (
    Who("anonymous", "out"),
    Who("viewer", "northwind", "viewer", "vic"),
    Who("approver", "northwind", "approver", "vera"),
    Who("analyst", "northwind", "analyst", "anna"),
    Who("buyer", "northwind", "buyer", "bob"),
    Who("manager", "northwind", "manager", "mandy"),
    Who("owner", "everywhere", "owner", "alice"),
    Who("integrator", "northwind", "integrator", "ivan"),
    Who("integrator-key", "northwind", "integrator", "ivan", "key"),
    Who("integrator-jwt", "northwind", "integrator", "ivan", "jwt"),
    Who("other-viewer", "southwind", "viewer", "sue"),
    Who("other-manager", "southwind", "manager", "charlie"),
    Who("other-manager-jwt", "southwind", "manager", "charlie", "jwt"),
    Who("disabled", "out", "buyer", "dora"),
    Who("disabled-key", "out", "buyer", "dora", "key"),
    Who("disabled-jwt", "out", "buyer", "dora", "jwt"),
    Who("refresh-as-access", "out", "buyer", "bob", "refresh"),
    Who("garbage-token", "out", by="garbage"),
)
#: One of each kind: who tries the methods that an address does not have.
FEW = tuple(
    who
    for who in PRINCIPALS
    if who.name in ("anonymous", "buyer", "owner", "integrator-key", "other-manager", "disabled-jwt")
)

_WRITE = re.compile(
    r'^\s*(?:INSERT (?:OR \w+ )?INTO|UPDATE(?: OR \w+)?|DELETE FROM|COPY)\s+"?(\w+)', re.IGNORECASE
)
#: A session's own book-keeping, and when a key was last used: not the product's data.
BOOKS = frozenset({"django_session", "usersessions_usersession", "accounts_apikey"})


@contextmanager
def writes() -> Iterator[set[str]]:
    """The tables that statements inside the block wrote to, `BOOKS` left out."""
    written: set[str] = set()

    def look(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        found = _WRITE.match(str(sql))
        if found and found[1] not in BOOKS:
            written.add(found[1])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(look):
        yield written


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    location: str
    written: frozenset[str]
    kind: str = ""

    @property
    def good(self) -> bool:
        return 200 <= self.status < 400 and not self.to_login

    @property
    def to_login(self) -> bool:
        return self.status == 302 and "/accounts/login/" in self.location

    def without_trace(self, ids: dict[str, str]) -> tuple[int, str]:
        """Status and body without what differs between any two requests, and without the ids that were asked for."""
        text = self.text
        for value in sorted(
            {form for one in ids.values() for form in (one, one.removeprefix("act_"))}, key=len
        )[::-1]:
            text = text.replace(value, "ID")
        text = re.sub(r'"(instance|request_id)":"[^"]*"', r"\1", text)
        text = re.sub(r'(csrfmiddlewaretoken" value|nonce|name="csrf" content)="[^"]*"', r"\1", text)
        return self.status, text


class Callers:
    """`estate.call(who, method, path, body)`. Each request has the cookies of its principal's sign-in."""

    def __init__(self, agency: Any) -> None:
        self.http = Client(enforce_csrf_checks=True, raise_request_exception=False)
        self.cookies: dict[str, dict[str, str]] = {}
        self.headers: dict[str, dict[str, str]] = {}
        for who in PRINCIPALS:
            self._sign_in(who, agency)
        agency.users.dora.is_active = False
        agency.users.dora.save()

    def _sign_in(self, who: Who, agency: Any) -> None:
        user = getattr(agency.users, who.person) if who.person else None
        browser = Client()
        headers: dict[str, str] = {}
        if who.by == "garbage":
            headers = {"Authorization": "Bearer a.b.c"}
        elif user is not None and who.by == "session":
            browser.force_login(user)
            browser.cookies[settings.CSRF_COOKIE_NAME] = CSRF
            headers = {"X-CSRFToken": CSRF}
        elif user is not None and who.by == "key":
            headers = {"X-API-Key": _key(user)}
        elif user is not None:
            tokens = _tokens(user)
            headers = {
                "Authorization": f"Bearer {tokens['refresh_token' if who.by == 'refresh' else 'access_token']}"
            }
        self.cookies[who.name] = {name: one.value for name, one in browser.cookies.items()}
        self.headers[who.name] = headers

    def session_key(self, who: str) -> str:
        return self.cookies[who][settings.SESSION_COOKIE_NAME]

    def __call__(self, who: Who | str, method: str, path: str, body: Any = None) -> Answer:
        name = str(who)
        self.http.cookies.clear()
        for cookie, value in self.cookies[name].items():
            self.http.cookies[cookie] = value
        send = getattr(self.http, method)
        with writes() as written:
            if method in ("get", "head"):
                response = send(path, headers=self.headers[name])
            elif isinstance(body, str):
                response = send(
                    path, body, content_type="application/x-www-form-urlencoded", headers=self.headers[name]
                )
            else:
                data = json.dumps({} if body is None else body)
                response = send(path, data, content_type="application/json", headers=self.headers[name])
            content = b"".join(response.streaming_content) if response.streaming else response.content
        text = content.decode(errors="replace")
        kind = response.headers.get("Content-Type", "")
        return Answer(
            response.status_code, text, response.headers.get("Location", ""), frozenset(written), kind
        )


def _key(user: Any) -> str:
    from accounts.access import principal_of
    from accounts.keys import issue
    from metaads.clock import now

    return issue(
        user=user, name="matrix", principal=principal_of(user), now=now(), expires_at=now() + timedelta(1)
    )[1]


def _tokens(user: Any) -> dict[str, str]:
    answer = Client().post(
        "/_allauth/app/v1/auth/login",
        {"email": user.email, "password": PASSWORD},
        content_type="application/json",
    )
    assert answer.status_code == 200, answer.content
    tokens: dict[str, str] = answer.json()["meta"]
    return tokens
