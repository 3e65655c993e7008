"""The principals of the matrix, and one caller that asks as any of them and hears which tables were written."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.db import connection
from django.test import Client, override_settings

from tests.conftest import PASSWORD

CSRF = "c" * 32
#: Seconds that a sign-in of the matrix stays fresh.
LONG = 24 * 60 * 60


@dataclass(frozen=True)
class Who:
    """`seat`: out (nobody, switched off, wrong token), northwind, southwind, everywhere. `by`: how the person says who
    it is (`Callers` has a way for each)."""

    name: str
    seat: str
    role: str = ""
    person: str = ""
    by: str = "session"

    def __str__(self) -> str:
        return self.name

    @property
    def browses(self) -> bool:
        """Whether pages know the person; a key or a bearer token is for the API only."""
        return self.by in ("session", "acting")

    @property
    def has_csrf_token(self) -> bool:
        """Whether the browser of a sign-in asks, be it over or not."""
        return bool(self.person) and self.by in (
            "session",
            "acting",
            "no-factor",
            "idle",
            "overdue",
            "signed-out",
        )


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
    Who("expired-jwt", "out", "buyer", "bob", "expired-jwt"),
    Who("unsigned-jwt", "out", "owner", "alice", "unsigned-jwt"),
    Who("stranger-jwt", "out", "owner", "alice", "stranger-jwt"),
    Who("signed-out-jwt", "out", "owner", "alice", "signed-out-jwt"),
    Who("signed-out", "out", "owner", "alice", "signed-out"),
    Who("idle", "out", "owner", "alice", "idle"),
    Who("overdue", "out", "owner", "alice", "overdue"),
    Who("expired-key", "out", "integrator", "ivan", "expired-key"),
    Who("revoked-key", "out", "integrator", "ivan", "revoked-key"),
    # A key that is narrowed to looking may do what a viewer may; so may an owner who views as a client.
    Who("looking-key", "northwind", "viewer", "ivan", "looking-key"),
    Who("acting-here", "northwind", "viewer", "alice", "acting"),
    Who("acting-there", "southwind", "viewer", "alice", "acting"),
    Who("no-second-factor", "out", "analyst", "nora", "no-factor"),
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
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return 200 <= self.status < 400 and not self.to_login and not self.to_second_factor

    @property
    def to_second_factor(self) -> bool:
        return self.status == 302 and self.location == "/two-factor/"

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
        cookies: dict[str, str] = {}
        headers: dict[str, str] = {}
        if who.by == "garbage":
            headers = _bearer("a.b.c")
        elif who.by.endswith("key"):
            headers = {"X-API-Key": _key(user, who.by)}
        elif who.by.endswith("jwt") or who.by == "refresh":
            headers = _bearer(_token(user, who.by))
        elif user is not None:
            at = {"northwind": agency.northwind, "southwind": agency.southwind}.get(who.seat)
            cookies = _session(user, who.by, agency.clock.now(), client=at)
            headers = {"X-CSRFToken": CSRF}
        self.cookies[who.name], self.headers[who.name] = cookies, headers

    def session_key(self, who: str) -> str:
        return self.cookies[who][settings.SESSION_COOKIE_NAME]

    def __call__(
        self,
        who: Who | str,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        name = str(who)
        sent = {**self.headers[name], **(headers or {})}
        self.http.cookies.clear()
        for cookie, value in self.cookies[name].items():
            self.http.cookies[cookie] = value
        send = getattr(self.http, method)
        with writes() as written:
            if method in ("get", "head"):
                response = send(path, headers=sent)
            elif isinstance(body, str):
                response = send(path, body, content_type="application/x-www-form-urlencoded", headers=sent)
            else:
                data = json.dumps({} if body is None else body)
                response = send(path, data, content_type="application/json", headers=sent)
            content = b"".join(response.streaming_content) if response.streaming else response.content
        text = content.decode(errors="replace")
        kind = response.headers.get("Content-Type", "")
        return Answer(
            response.status_code,
            text,
            response.headers.get("Location", ""),
            frozenset(written),
            kind,
            dict(response.headers),
        )


def _session(user: Any, by: str, at: datetime, *, client: Any) -> dict[str, str]:
    """The cookies of a sign-in; of one that has ended, where `by` says so."""
    browser = Client()
    browser.force_login(user)
    session = browser.session
    # As after the sign-in form: who has just said the password is not asked for it again.
    session["account_authentication_methods"] = [
        {"method": "password", "at": time.time() + LONG, "email": user.email, "reauthenticated": True}
    ]
    session["account_authentication_methods_user"] = str(user.pk)
    ago = {"idle": (40, 40), "overdue": (13 * 60, 0)}.get(by, (0, 0))
    for name, minutes in zip(("signed_in_at", "active_at"), ago, strict=True):
        session[name] = int((at - timedelta(minutes=minutes)).timestamp())
    if by == "acting":
        from accounts.access import principal_of
        from accounts.acting import start

        start(session=session, client=client, principal=principal_of(user), now=at)
    session.save()
    if by == "signed-out":
        session.delete()
    return {settings.SESSION_COOKIE_NAME: session.session_key or "gone", settings.CSRF_COOKIE_NAME: CSRF}


def _key(user: Any, by: str) -> str:
    from accounts.access import principal_of
    from accounts.keys import issue, revoke
    from metaads.clock import now

    life = timedelta(days=-1 if by == "expired-key" else 1)
    scopes = ("view",) if by == "looking-key" else ()
    who = principal_of(user)
    key, text = issue(
        user=user, name="matrix", principal=who, scopes=scopes, now=now(), expires_at=now() + life
    )
    if by == "revoked-key":
        revoke(user=user, prefix=key.prefix, principal=who, now=now())
    return text


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _token(user: Any, by: str) -> str:
    """allauth's token, from its own API; or one that looks like it."""
    from allauth.headless import app_settings

    # allauth reads the machine's clock: a token lives as long as the slowest run, or is over from the start.
    life = -60 if by == "expired-jwt" else LONG
    with override_settings(HEADLESS_JWT_ACCESS_TOKEN_EXPIRES_IN=life):
        given = Client().post(
            "/_allauth/app/v1/auth/login",
            {"email": user.email, "password": PASSWORD},
            content_type="application/json",
        )
    assert given.status_code == 200, given.content
    good = str(given.json()["meta"]["access_token"])
    claims = jwt.decode(good, options={"verify_signature": False})
    assert claims["token_use"] == "access" and (claims["exp"] > time.time()) == (by != "expired-jwt")
    if by == "refresh":
        return str(given.json()["meta"]["refresh_token"])
    if by == "unsigned-jwt":
        return jwt.encode(claims, key="", algorithm="none")
    if by == "stranger-jwt":  # signed well, by a key that is not ours
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return jwt.encode(claims, key=key, algorithm=app_settings.JWT_ALGORITHM)
    if by == "signed-out-jwt":
        ended = Client().delete("/_allauth/app/v1/auth/session", headers=_bearer(good))
        assert ended.status_code == 401, ended.content
    return good
