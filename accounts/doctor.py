"""The connection doctor, lowest floor: sign-in, tokens, access, limits, network.

    Patient   whom to look at: a client (or all), asked for at most once, Meta too
    TOPICS    what can be found, with its fix            examine(patient) -> one Check per topic

The floors above add theirs (`insights.doctor`, `strategies.doctor`), each calling the one below. A database or a Meta
that does not answer makes the checks that need it *unknown*; the others are still made. Nothing is stored here, but
reading an ad account teaches its connection what any read teaches it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError

import accounts.access as access
import accounts.ad_accounts as ad_accounts
import accounts.asking as asking
import accounts.claims as claims
import accounts.connections as connections
import accounts.rotation as rotation
import accounts.tokens as tokens
import metaads.quota as quota
from accounts.asking import No
from accounts.diagnosis import Check, Exam, Topic, unknown
from accounts.errors import NoConnection, Refused
from accounts.fields import Unreadable
from accounts.models import READABLE, AdAccount, Client, ConnectionState, MetaConnection
from accounts.tenancy import Principal
from accounts.troubles import (
    ACCESS,
    APP,
    BROWSER,
    ENDPOINT,
    EXPIRY,
    LIMITS,
    NETWORK,
    PERMISSIONS,
    REDIRECT,
    SCOPES,
    STORAGE,
    TOPICS,
)
from metaads.graph.errors import AuthFailed, GraphError, NotPermitted, passing
from metaads.notices import open_notices
from metaads.quota import Blocked

Rows = TypeVar("Rows")

#: More connections or ad accounts than this are not asked about in one visit.
MOST: Final = 10
WARN_BEFORE: Final = timedelta(days=14)
_SKEW: Final = timedelta(minutes=2)
_SLOW: Final = 5.0
_TIGHT: Final = 75.0
_FULL: Final = 90.0


class Patient:
    """Whom the doctor looks at. What is asked for is asked once and kept for this visit only."""

    def __init__(self, principal: Principal, *, client: Client | None, now: datetime) -> None:
        self.principal = principal
        self.client = client
        self.now = now
        self.away = ""
        self._said: dict[int, Any] = {}

    def look(self, read: Callable[[], Rows]) -> Rows:
        """Read from the database; once it did not answer, it is not asked again in this visit."""
        if self.away:
            raise DatabaseError(self.away)
        try:
            return read()
        except DatabaseError:
            self.away = "The database does not answer."
            raise

    @cached_property
    def everybody(self) -> list[MetaConnection]:
        """The connections, ended ones too; their tokens are opened one by one by whoever needs them."""
        rows = MetaConnection.objects.for_(self.principal).select_related("client")
        if self.client is not None:
            rows = rows.filter(client=self.client)
        return self.look(lambda: list(rows.order_by("pk")))

    @property
    def connections(self) -> list[MetaConnection]:
        """Those that somebody counts on: not disconnected here, not being deleted."""
        return [
            row
            for row in self.everybody
            if row.state != ConnectionState.DELETING
            and (row.state != ConnectionState.REVOKED or row.reason == connections.REMOVED_AT_META)
        ]

    @cached_property
    def accounts(self) -> list[AdAccount]:
        """Ad accounts that are switched on."""
        return self.look(lambda: access.ad_accounts(self.principal, client=self.client, enabled=True))

    def asked(self, connection: MetaConnection) -> Any:
        """What Meta says of this connection's token: `TokenInfo`, `No`, or None without a token to ask about."""
        if connection.pk not in self._said:
            text = opened(connection)
            self._said[connection.pk] = asking.token(text) if text else None
        return self._said[connection.pk]

    @cached_property
    def app(self) -> Any:
        """What Meta says of the app itself: `TokenInfo` or `No`."""
        return asking.app()

    def refuses_app(self, exam: Exam) -> bool:
        """Meta tells nothing about tokens to an app that it refuses; whose fault that is should be said once."""
        app = self.app
        if (isinstance(app, No) and not app.reached) or (not isinstance(app, No) and app.is_valid):
            return False
        exam.unknown(
            "Meta refuses the app itself, so it tells nothing here.", "Mend “App ID and App Secret” first."
        )
        return True

    @cached_property
    def way(self) -> asking.Way | No:
        try:
            return asking.way()
        except ValueError as error:
            return No(rule="not_configured", text=f"{error}.", advice="", reached=False, dead=False)


def checks(principal: Principal, *, client: Client | None, now: datetime) -> list[Check]:
    """This floor's checks of one client, or of everything that `principal` may see."""
    return examine(Patient(principal, client=client, now=now))


def examine(patient: Patient) -> list[Check]:
    """One check per topic, in order."""
    return [made(topic, EXAMS[topic.key], patient) for topic in TOPICS]


def made(topic: Topic, exam: Callable[[Patient], Check], patient: Patient) -> Check:
    """A check, or why it could not be made."""
    try:
        return exam(patient)
    except DatabaseError:
        return unknown(
            topic,
            "The database does not answer (or is not set up), so this could not be looked up.",
            "Start the database, look at /readyz (it names what is missing), then ask the doctor again.",
        )


def opened(connection: MetaConnection) -> str:
    """The connection's token, or "" when it cannot be opened; unlike a real use this ends nothing."""
    try:
        text: str = connection.token
    except Unreadable:
        return ""
    return text


def named(connection: MetaConnection) -> str:
    return connection.meta_user_name or connection.meta_user_id


# --- Meta login


def _app(patient: Patient) -> Check:
    exam = Exam(APP)
    app_id, secret = settings.META["app_id"], settings.META["app_secret"]
    empty = [name for name, value in (("META_APP_ID", app_id), ("META_APP_SECRET", secret)) if not value]
    if empty:
        exam.fail("missing", f"{' and '.join(empty)} {'is' if len(empty) == 1 else 'are'} not set.")
        return exam.check("")
    if not re.fullmatch(r"[0-9]{5,25}", app_id):
        exam.fail("malformed", "META_APP_ID is not a number.")
        return exam.check("")
    said = patient.app
    if isinstance(said, No) and said.reached:
        exam.fail("refused", f"Meta refuses the app {app_id}: {said.text}")
    elif isinstance(said, No):
        exam.unknown(f"Both are set, but Meta did not answer for the app {app_id}: {said.text}", _LATER)
    elif not said.is_valid:
        exam.fail("refused", f"Meta refuses the app {app_id}: {said.error or 'the secret is wrong'}")
    elif said.app_id != app_id:
        exam.fail("other", f"The secret is that of the app {said.app_id}, not of {app_id}.")
    return exam.check(f"Meta accepts the app {app_id} and its secret.")


def _redirect(patient: Patient) -> Check:
    exam = Exam(REDIRECT)
    address = connections.redirect_uri()
    path = settings.META["redirect_path"]
    try:
        parts = urlsplit(settings.PUBLIC_URL)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if (
        parts.scheme not in ("http", "https")
        or not host
        or parts.path or parts.query or parts.fragment or parts.username
        or not re.fullmatch(r"/[^/?#\s][^?#\s]*", path)
    ):  # fmt: skip
        exam.fail("malformed", f"{address} cannot be a redirect address.")
    elif parts.scheme == "http" and (settings.PRODUCTION or host not in ("localhost", "127.0.0.1")):
        exam.fail("insecure", f"{address} is plain http.")
    return exam.check(
        f"{address} is well formed. Meta cannot be asked for its own list: the same address has to stand in the Meta"
        " app's settings (Facebook Login, valid OAuth redirect URIs), letter by letter."
    )


def _permissions(patient: Patient) -> Check:
    exam = Exam(PERMISSIONS)
    rows = patient.connections
    if not rows:
        exam.fail("none", "No Meta account is connected.")
    elif patient.refuses_app(exam):
        return exam.check("")
    for row in rows[:MOST]:
        text = opened(row)
        said = asking.permissions(text) if text else None
        if said is None:
            exam.unknown(
                f"{named(row)}: there is no token to ask with.", "See the check of the token storage."
            )
        elif isinstance(said, No):
            exam.unknown(f"{named(row)}: Meta does not tell: {said.text}", _or_later(said))
        else:
            _given(exam, row, {name for name, state in said.items() if state == "granted"})
    _rest(exam, len(rows), "connections")
    return exam.check(f"Every permission was given: {', '.join(settings.META['scopes'])}.")


def _given(exam: Exam, row: MetaConnection, granted: set[str]) -> None:
    missing = [scope for scope in settings.META["scopes"] if scope not in granted]
    if not granted & set(claims.READ_SCOPES):
        exam.fail("unreadable", f"{named(row)} gave no permission to read ads.")
    elif missing:
        exam.warn("declined", f"{named(row)} did not give {', '.join(missing)}.")


def _browser(patient: Patient) -> Check:
    return unknown(
        BROWSER,
        "The server cannot see your browser.",
        "Open the connection doctor's page in the browser in question; it looks from there (JavaScript is needed).",
    )


# --- tokens


def _expiry(patient: Patient) -> Check:
    exam = Exam(EXPIRY)
    rows = patient.connections
    if not rows:
        return unknown(EXPIRY, "No Meta account is connected, so there is no token.", _CONNECT)
    for row in rows[:MOST]:
        if row.state in (ConnectionState.REAUTH_NEEDED, ConnectionState.REVOKED):
            exam.fail("refused", f"{named(row)}: {row.reason or 'it has to be reconnected.'}")
            continue
        if row.held or row.state == ConnectionState.PAUSED:
            exam.warn("rests", f"{named(row)} is {'held after a restore' if row.held else 'paused'}.")
            continue
        if patient.refuses_app(exam):
            break
        said = patient.asked(row)
        if said is None:
            exam.unknown(
                f"{named(row)}: there is no token to ask about.", "See the check of the token storage."
            )
        elif isinstance(said, No):
            exam.unknown(f"{named(row)}: Meta did not tell: {said.text}", _or_later(said))
        elif not said.is_valid and passing(said.error_code):
            exam.unknown(f"{named(row)}: Meta did not tell: {said.error}", _LATER)
        elif not said.is_valid:
            over = said.expires_at is not None and said.expires_at <= patient.now
            exam.fail(
                "expired" if over else "refused",
                f"{named(row)}: {said.error or 'Meta says that the token is not valid.'}",
            )
        else:
            _ends(exam, row, said.expires_at, said.data_access_expires_at, patient.now)
    _rest(exam, len(rows), "connections")
    return exam.check("Every token is good for more than 14 days.")


def _ends(
    exam: Exam, row: MetaConnection, token: datetime | None, data: datetime | None, now: datetime
) -> None:
    for word, end in (("token", token), ("access to data", data)):
        if end is not None and end <= now:
            exam.fail("expired", f"{named(row)}: the {word} ended on {end:%d %b %Y %H:%M} UTC.")
        elif end is not None and end - now < WARN_BEFORE:
            exam.warn("soon", f"{named(row)}: the {word} ends on {end:%d %b %Y %H:%M} UTC.")


def _scopes(patient: Patient) -> Check:
    exam = Exam(SCOPES)
    if not patient.accounts:
        return unknown(SCOPES, "No ad account is switched on, so no token is needed.", "")
    if patient.refuses_app(exam):
        return exam.check("")
    writers = {row.pk: row for row in patient.connections}
    for account in patient.accounts[:MOST]:
        row = writers.get(account.connection_id or 0)
        said = patient.asked(row) if row is not None else None
        if row is None or said is None:
            exam.unknown(f"{account.name} has no token to ask about.", _CONNECT)
        elif isinstance(said, No):
            exam.unknown(f"{named(row)}: Meta did not tell: {said.text}", _or_later(said))
        else:
            scopes = {scope for scope in said.scopes if _covers(said, scope, account)}
            if not scopes & set(claims.READ_SCOPES):
                exam.fail(
                    "read", f"The token of {named(row)} may not read {account.name} ({account.act_id})."
                )
            elif claims.WRITE_SCOPE not in scopes or not _may_change(account, row):
                exam.warn(
                    "write", f"The token of {named(row)} may read {account.name}, but change nothing there."
                )
    _rest(exam, len(patient.accounts), "ad accounts")
    return exam.check("Every token may read and change the ad accounts that are switched on.")


def _covers(said: Any, scope: str, account: AdAccount) -> bool:
    """A permission may have been given for some assets only; an empty list means all."""
    targets = next((one.target_ids for one in said.granular_scopes if one.scope == scope), ())
    return not targets or account.meta_id in targets


def _may_change(account: AdAccount, connection: MetaConnection) -> bool:
    """What Meta lets the connected user do there; a list that Meta never told says nothing."""
    tasks = [one.tasks for one in claims.granted(account) if one.connection_id == connection.pk]
    told = set(tasks[0] if tasks else account.user_tasks)
    return not told or bool(claims.WRITE_TASKS & told)


def _storage(patient: Patient) -> Check:
    exam = Exam(STORAGE)
    for row in patient.connections:
        try:
            text: str = row.token
        except Unreadable as error:
            exam.fail("unreadable", f"{named(row)}: {error.message}")
            continue
        if not text and row.state in READABLE:
            exam.fail("empty", f"{named(row)} has no token.")
    if patient.principal.everywhere and patient.client is None:
        _keys(exam, patient)
    if not patient.connections:
        exam.unknown("No Meta account is connected, so no token is stored.", _CONNECT)
    return exam.check("Every stored token opens, and belongs to its row.")


def _keys(exam: Exam, patient: Patient) -> None:
    """Keys belong to the installation: only whoever sees all of it is told."""
    try:
        counts: Mapping[str, int] = patient.look(rotation.rows_per_key)
    except ValueError:
        exam.fail("unreadable", "FERNET_KEYS holds a text that is no key.")
        return
    newest = next(iter(counts), "")
    known = set(rotation.key_names())
    older = sum(count for key, count in counts.items() if key != newest and key in known)
    lost = sum(count for key, count in counts.items() if key not in known)
    if lost:
        exam.fail("unreadable", f"{lost} stored secrets lie under a key that is not in FERNET_KEYS.")
    if older:
        exam.warn("old_key", f"{older} stored secrets lie under an older key.")


def _endpoint(patient: Patient) -> Check:
    exam = Exam(ENDPOINT)
    version = settings.META["version"]
    asked = False
    for row in patient.connections[:MOST]:
        text = opened(row)
        if not text or row.state not in READABLE:
            continue
        asked = True
        if patient.refuses_app(exam):
            break
        said = asking.person(text)
        if not isinstance(said, No):
            continue
        if said.rule == "api_version_retired":
            exam.fail("version", f"Meta refuses the version {version}: {said.text}")
        elif said.reached:
            exam.fail("refused", f"{named(row)}: {said.text}")
        else:
            exam.fail(
                "unreached", f"{settings.META['graph_url']} did not answer under {version}: {said.text}"
            )
    if not asked:
        exam.unknown("There is no good token to call with.", _CONNECT)
    for notice in patient.look(open_notices):
        exam.warn("version", f"Meta warns: {notice.text}")
    return exam.check(f"The Graph API {version} answers every token.")


# --- data


def _access(patient: Patient) -> Check:
    exam = Exam(ACCESS)
    rows = patient.accounts
    if not rows:
        exam.warn("none_on", "No ad account is switched on.")
    elif patient.refuses_app(exam):
        return exam.check("")
    for account in rows[:MOST]:
        try:
            row = tokens.reader(account).node(
                account.act_id, ("account_id", "account_status", "disable_reason")
            )
        except NoConnection as no:
            exam.fail("no_connection", f"{account.name}: {no.message}")
        except (NotPermitted, AuthFailed) as no:
            exam.fail("refused", f"{account.name}: {no.answer.user_message or no.answer.message}")
        except Blocked as no:
            exam.unknown(f"{account.name} was not asked about: {no}", "See the check of the rate limits.")
        except GraphError as no:
            exam.unknown(f"{account.name}: Meta did not tell: {no.answer.message or no.answer.rule}", _LATER)
        except Refused as no:
            exam.unknown(f"{account.name}: {no.message}", no.advice)
        else:
            _status(exam, account, row)
    _rest(exam, len(rows), "ad accounts")
    return exam.check("Every ad account that is switched on can be read.")


def _status(exam: Exam, account: AdAccount, row: Mapping[str, Any]) -> None:
    status, reason = row.get("account_status"), row.get("disable_reason") or 0
    if isinstance(status, int) and isinstance(reason, int) and ad_accounts.tone(status) != "ok":
        exam.warn("status", f"{account.name} is at Meta: {ad_accounts.standing(status, reason).lower()}.")


def _limits(patient: Patient) -> Check:
    exam = Exam(LIMITS)
    scopes = {quota.APP: "The Meta app"} | {row.act_id: row.name for row in patient.accounts}
    for scope, name in scopes.items():
        state = patient.look(lambda scope=scope: quota.state(scope=scope, now=patient.now))  # type: ignore[misc]
        if state.blocked_until is not None:
            exam.fail(
                "blocked",
                f"{name} is blocked until {state.blocked_until:%d %b %H:%M:%S} UTC ({state.reason}).",
            )
        elif state.percent >= _FULL:
            exam.fail("full", f"{name}: {state.percent:.0f} % of Meta's limit are used.")
        elif state.percent >= _TIGHT:
            exam.warn("tight", f"{name}: {state.percent:.0f} % of Meta's limit are used.")
        elif scope != quota.APP and state.points * 60 >= state.limit * quota.SHARES["read"].points:
            exam.warn(
                "tight", f"{name}: {state.points} of {state.limit} calls of these five minutes are spent."
            )
    return exam.check("Nothing is blocked, and there is room for calls.")


def _network(patient: Patient) -> Check:
    exam = Exam(NETWORK)
    way = patient.way
    host = asking.host() or settings.META["graph_url"]
    if isinstance(way, No):
        exam.fail("unreached", f"{host} cannot be called: {way.text}")
        return exam.check("")
    if not way.open:
        exam.fail("unreached", f"{host} was not reached: {way.trouble}.")
        return exam.check("")
    if way.seconds > _SLOW:
        exam.warn("slow", f"{host} took {way.seconds:.1f} seconds.")
    if way.their_time is None:
        exam.unknown(f"{host} answers, but does not tell its time, so the clocks could not be compared.")
    elif abs(way.their_time - patient.now) > _SKEW:
        minutes = abs(way.their_time - patient.now).total_seconds() / 60
        exam.fail("clock", f"This server's clock and that of {host} are {minutes:.0f} minutes apart.")
    return exam.check(f"{host} answers, and the clocks agree.")


def _rest(exam: Exam, found: int, what: str) -> None:
    if found > MOST:
        exam.unknown(
            f"{found - MOST} more {what} were not asked about.", "Ask the doctor about one client at a time."
        )


def _or_later(no: No) -> str:
    return no.advice if no.reached and no.advice else _LATER


_LATER: Final = "Try again in a few minutes; metastatus.com tells of Meta's own troubles."
_CONNECT: Final = "Press “Connect Meta account” on the connections page."

EXAMS: Final[Mapping[str, Callable[[Patient], Check]]] = {
    APP.key: _app,
    REDIRECT.key: _redirect,
    PERMISSIONS.key: _permissions,
    BROWSER.key: _browser,
    EXPIRY.key: _expiry,
    SCOPES.key: _scopes,
    STORAGE.key: _storage,
    ENDPOINT.key: _endpoint,
    ACCESS.key: _access,
    LIMITS.key: _limits,
    NETWORK.key: _network,
}
