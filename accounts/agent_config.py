"""An old agent's config file, taken over once. Nothing reads it at run time; afterwards it is deleted.

    read       JSON -> Plan: who with which token, which ad accounts; every key that means nothing here, with its line
    take_over  per token: verified with Meta and stored as `connect` does, then its ad accounts switched on
               -> audit line with the file's digest: the same file again does nothing, another one needs `again`

    {"app_id": "…", "app_secret": "…", "client": "northwind", "access_token": "…", "poll_seconds": 30,
     "accounts": [{"ad_account_id": "act_1", "access_token": "…", "client": "…", "enabled": true, "poll_seconds": 60}]}

What stands beside `accounts` holds for every account that does not say it itself. One account may stand alone, without
`accounts`. camelCase and the names of the environment are understood too (`NAMES`). No text here ever holds a value of
the file: a value may be a token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.utils.crypto import salted_hmac

import accounts.ad_accounts as ad_accounts
import accounts.audit as audit
import accounts.clients as clients
import accounts.connections as connections
from accounts.claims import meta_id_of
from accounts.errors import Conflict, Invalid, NotFound, Refused
from accounts.models import AuditLine, Client
from accounts.redaction import redact
from accounts.tenancy import Principal

VERB: Final = "import_config"
#: What a key means -> the names that old files have for it.
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "app_id": ("app_id", "appId", "meta_app_id", "META_APP_ID", "NEXT_PUBLIC_META_APP_ID"),
    "app_secret": ("app_secret", "appSecret", "meta_app_secret", "META_APP_SECRET"),
    "accounts": ("accounts", "ad_accounts", "adAccounts"),
    "ad_account_id": ("ad_account_id", "adAccountId", "account_id", "accountId", "id"),
    "access_token": ("access_token", "accessToken", "token", "META_ACCESS_TOKEN"),
    "client": ("client", "client_name", "clientName"),
    "enabled": ("enabled", "active"),
    "poll_seconds": ("poll_seconds", "pollSeconds", "polling_interval", "pollingInterval"),
    "name": ("name", "account_name", "accountName"),
}
_MEANING: Final = {name: meaning for meaning, names in NAMES.items() for name in names}
_FOR_ALL: Final = ("access_token", "client", "poll_seconds", "enabled")
_OF_ACCOUNT: Final = (*_FOR_ALL, "ad_account_id", "name")
_OF_FILE: Final = (*_FOR_ALL, "app_id", "app_secret", "accounts", "ad_account_id", "name")
#: Keys that mean something elsewhere: said, not taken.
ELSEWHERE: Final[Mapping[str, str]] = {
    "rules": "make a strategy of it on the strategies page",
    "actions": "make a strategy of it on the strategies page",
    "strategies": "make them on the strategies page",
    "redirect_uri": "it is PUBLIC_URL and META_REDIRECT_PATH now",
    "redirectUri": "it is PUBLIC_URL and META_REDIRECT_PATH now",
    "api_version": "it is META_GRAPH_VERSION now",
    "apiVersion": "it is META_GRAPH_VERSION now",
    "expires_at": "Meta is asked for it",
    "expiresAt": "Meta is asked for it",
    "scopes": "Meta is asked for them",
}
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_LARGEST: Final = 1_000_000


@dataclass(frozen=True)
class Entry:
    """One ad account of the file. The token is never shown: `repr` leaves it out."""

    where: str
    meta_id: str
    client: str
    enabled: bool
    poll_seconds: int | None
    token: str = field(repr=False)


@dataclass(frozen=True)
class Note:
    """A line of the file that was not taken, and why."""

    line: int
    where: str
    text: str

    def __str__(self) -> str:
        return f"Line {self.line}: {self.where} {self.text}."


@dataclass(frozen=True)
class Plan:
    """A file as it was understood; `app_id` is "" where it names none."""

    app_id: str
    entries: tuple[Entry, ...]
    notes: tuple[Note, ...]
    digest: str


@dataclass(frozen=True)
class Outcome:
    """What became of one ad account: `done`, or `trouble` says why not."""

    entry: Entry
    name: str = ""
    trouble: str = ""

    @property
    def done(self) -> bool:
        return not self.trouble


def read(text: str, *, client: str = "") -> Plan:
    """Understand a file. `client` is for ad accounts that name none. Raises `Invalid` that says where and what."""
    if len(text) > _LARGEST:
        raise Invalid("This file is too large to be an agent's config.", code="config_too_large")
    try:
        data = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise Invalid(
            f"This is not JSON: {error.msg} in line {error.lineno}.",
            code="config_not_json",
            advice="Save the old settings as JSON; manage.py import_config --help shows the shape.",
        ) from None
    except RecursionError:
        raise Invalid("This file is nested too deeply.", code="config_not_json") from None
    if not isinstance(data, dict):
        raise Invalid("The file has to hold one JSON object.", code="config_shape")
    lines = _Lines(text, data)
    top = _known(data, _OF_FILE, "", lines)
    rows = top.values.get("accounts")
    notes = list(top.notes)
    entries: list[Entry] = []
    if rows is None:
        entries.append(_entry(top.values, {}, "the file", client))
    elif not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Invalid("“accounts” has to be a list of objects.", code="config_shape")
    else:
        for number, row in enumerate(rows):
            where = f"{top.names['accounts']}[{number}]"
            found = _known(row, _OF_ACCOUNT, where, lines)
            notes += found.notes
            entries.append(_entry(found.values, top.values, where, client))
    if not entries:
        raise Invalid("The file names no ad account.", code="config_empty")
    digest = salted_hmac("accounts.agent_config", text, algorithm="sha256").hexdigest()
    return Plan(str(top.values.get("app_id") or ""), tuple(entries), tuple(sorted(notes, key=_line)), digest)


def allow(plan: Plan, *, principal: Principal, again: bool) -> AuditLine | None:
    """The run that took this very file over in full, if there was one: then there is nothing to do.

    Raises `Conflict` when another file was taken over before and `again` does not say that this is meant, and
    `Invalid` for a file of another Meta app.
    """
    if plan.app_id and plan.app_id != settings.META["app_id"]:
        raise Invalid(
            "The file belongs to another Meta app than this installation (META_APP_ID).",
            code="config_of_other_app",
            advice="Tokens of one app cannot be used by another: connect these Meta accounts anew.",
        )
    before = list(AuditLine.objects.for_(principal).filter(verb=VERB, client__isnull=True))
    same = next((line for line in before if line.subject == plan.digest and line.detail["complete"]), None)
    if same is not None and not again:
        return same
    other = next((line for line in before if line.subject != plan.digest), None)
    if other is not None and not again:
        raise Conflict(
            f"Another config file was taken over on {other.at:%d %b %Y %H:%M} UTC.",
            code="config_again",
            advice="A config file is taken over once. If this one is meant as well, run it again with --again.",
        )
    return None


def take_over(plan: Plan, *, principal: Principal, now: datetime, store: bool = True) -> tuple[Outcome, ...]:
    """Verify every token with Meta and store what it brings; `store` False only verifies.

    A token that Meta refuses stops neither the others nor a later run: the same file goes on where it was.
    """
    found = {name: clients.named(name=name, principal=principal) for name in _clients(plan, principal)}
    outcomes: list[Outcome] = []
    for (client, token), entries in _by_token(plan).items():
        try:
            seen = _connected(found[client], token, principal, now) if store else _previewed(token)
        except Refused as refusal:
            outcomes += [Outcome(entry, trouble=str(refusal)) for entry in entries]
            continue
        outcomes += [_one(entry, seen, principal, now, store) for entry in entries]
    done = [outcome for outcome in outcomes if outcome.done]
    if store and done:
        audit.record(
            principal=principal,
            client=None,
            verb=VERB,
            subject=plan.digest,
            now=now,
            complete=len(done) == len(outcomes),
            ad_accounts=[f"act_{outcome.entry.meta_id}" for outcome in done],
        )
    return tuple(outcomes)


# --- understanding


@dataclass
class _Known:
    values: dict[str, Any]
    names: dict[str, str]
    notes: list[Note]


class _Lines:
    """Which line each key stands in. Keys come in the order of the text, and so does a walk through the parsed data."""

    def __init__(self, text: str, data: Mapping[str, Any]) -> None:
        places = (
            match.start()
            for match in _STRING.finditer(text)
            if text[match.end() :].lstrip(" \t\r\n").startswith(":")
        )
        numbers = [text.count("\n", 0, place) + 1 for place in places]
        self._of = dict(zip(_paths(data, ""), numbers, strict=False))

    def of(self, path: str) -> int:
        return self._of.get(path, 1)


def _paths(data: Any, path: str) -> Iterator[str]:
    if isinstance(data, dict):
        for key, value in data.items():
            here = _path(path, key)
            yield here
            yield from _paths(value, here)
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from _paths(value, f"{path}[{number}]")


def _path(before: str, key: str) -> str:
    return f"{before}.{key}" if before else key


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Invalid(f"The key {_shown(key)} stands twice in one object.", code="config_shape")
        found[key] = value
    return found


def _known(data: Mapping[str, Any], wanted: Sequence[str], where: str, lines: _Lines) -> _Known:
    found = _Known({}, {}, [])
    for key, value in data.items():
        path = _path(where, key)
        meaning = _MEANING.get(key, "")
        if meaning in wanted and meaning not in found.values:
            found.values[meaning], found.names[meaning] = value, key
        elif meaning in wanted:
            raise Invalid(f"{_shown(path)} says the same as {found.names[meaning]}.", code="config_shape")
        else:
            why = ELSEWHERE.get(key)
            text = f"was not taken: {why}" if why else "was not understood, and nothing was done for it"
            found.notes.append(Note(lines.of(path), _shown(path), text))
    return found


def _entry(own: Mapping[str, Any], shared: Mapping[str, Any], where: str, client: str) -> Entry:
    def said(name: str) -> Any:
        return own.get(name, shared.get(name))

    meta_id = meta_id_of({"id": str(own.get("ad_account_id") or "")})
    token, named, poll, enabled = (
        said(name) for name in ("access_token", "client", "poll_seconds", "enabled")
    )
    wrong = ""
    if not meta_id:
        wrong = "has no ad_account_id like act_123"
    elif not isinstance(token, str) or not re.fullmatch(r"[!-~]{20,4096}", token):
        wrong = "has no access_token that could be one"
    elif not isinstance(named or client, str) or not (named or client):
        wrong = "names no client"
    elif enabled is not None and not isinstance(enabled, bool):
        wrong = "has an “enabled” that is neither true nor false"
    elif poll is not None and (
        isinstance(poll, bool)
        or not isinstance(poll, int)
        or not ad_accounts.LEAST_SECONDS <= poll <= ad_accounts.MOST_SECONDS
    ):
        wrong = "has a polling interval that is not a whole number of seconds from 30 to 86400"
    if wrong:
        raise Invalid(
            f"{where[:1].upper()}{where[1:]} {wrong}.",
            code="config_entry",
            advice="Mend the file; nothing was stored."
            if wrong != "names no client"
            else "Add --client NAME.",
        )
    return Entry(where, meta_id, str(named or client), enabled is not False, poll, token)


def _shown(path: str) -> str:
    """A key may be anything, even a token that somebody pasted in the wrong place."""
    return redact(path)[:80]


def _line(note: Note) -> int:
    return note.line


# --- doing


def _clients(plan: Plan, principal: Principal) -> set[str]:
    """The clients' names, all of them there; nothing is stored while one is missing."""
    names = {entry.client for entry in plan.entries}
    for name in sorted(names):
        try:
            clients.named(name=name, principal=principal)
        except NotFound:
            raise NotFound(
                f"There is no client called {_shown(name)}.",
                advice="Make it first, or name another with --client.",
            ) from None
    return names


def _by_token(plan: Plan) -> dict[tuple[str, str], list[Entry]]:
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in plan.entries:
        found.setdefault((entry.client, entry.token), []).append(entry)
    return found


def _connected(client: Client, token: str, principal: Principal, now: datetime) -> dict[str, Any]:
    made = connections.establish(client=client, principal=principal, token=token, now=now)
    return {row.meta_id: row for row in made.ad_accounts} | dict.fromkeys(
        (act_id.removeprefix("act_") for act_id in made.foreign), None
    )


def _previewed(token: str) -> dict[str, Any]:
    return {meta_id_of(row): row for row in connections.preview(token=token).rows}


def _one(entry: Entry, seen: Mapping[str, Any], principal: Principal, now: datetime, store: bool) -> Outcome:
    if entry.meta_id not in seen:
        return Outcome(entry, trouble="Its token does not see this ad account.")
    row = seen[entry.meta_id]
    if row is None:
        return Outcome(entry, trouble="Another client holds this ad account.")
    if not store:
        return Outcome(entry, name=str(row.get("name") or ""))
    try:
        if entry.enabled:
            row = ad_accounts.enable(ad_account=row, principal=principal, now=now)
        if entry.poll_seconds is not None:
            ad_accounts.look_every(entry.poll_seconds, ad_account=row, principal=principal, now=now)
    except Refused as refusal:
        return Outcome(entry, trouble=str(refusal))
    return Outcome(entry, name=row.name)
