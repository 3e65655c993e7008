"""View as this client: somebody of the agency sees exactly what the client's viewer sees, and changes nothing.

    start   a person with `act_as` at the client -> the session remembers client and end; the session's key changes
    meanwhile   principal: a viewer of that one client, kind "acting"; every write and every own page is refused
    end     the button, an hour, the end of the session, or the loss of the role

Each start and end is an audit line, and each page that was opened, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase

import accounts.access as access
import accounts.audit as audit
import accounts.sessions as sessions
from accounts.errors import Forbidden
from accounts.models import AuditLine, Client, User
from accounts.tenancy import Principal

LIFE: Final = timedelta(hours=1)
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: Where the client's viewer has no business, or where the person's own things are. Closed for reading, too.
CLOSED: Final = (
    "/accounts/",
    "/admin/",
    "/api/meta-oauth/",
    "/connections/connect",
    "/connections/confirm/",
    "/invitations/",
    "/metrics",
    "/setup/",
)
_ADVICE: Final = "Stop viewing as the client first; the button is in the bar at the top."
_KEY: Final = "acting"
_SUBJECT: Final = 120  # characters of an audit line's subject


@dataclass(frozen=True)
class Acting:
    """Who views as whom, since when and until when."""

    client: Client
    since: datetime
    until: datetime


def start(*, session: SessionBase, client: Client, principal: Principal, now: datetime) -> Acting:
    """Begin. Raises `NotFound` and `Forbidden` as any other wish at a client."""
    access.require(principal, "act_as", client)
    until = now + LIFE
    session[_KEY] = {
        "client": client.pk,
        "user": principal.user_id,
        "since": int(now.timestamp()),
        "until": int(until.timestamp()),
    }
    # A new key, so that no request that is still under way writes the old state back.
    _new_key(session)
    audit.record(principal=principal, client=client, verb="act_as_start", subject=client.slug, now=now)
    return Acting(client=client, since=now, until=until)


def stop(*, session: SessionBase, user: User, now: datetime, why: str = "stopped") -> None:
    """End; nothing happens where nothing was begun."""
    found = session.pop(_KEY, None)
    if isinstance(found, dict):
        _new_key(session)
        _record_end(found, user, now, why)


def ended(*, session: Any, user: User, now: datetime) -> None:
    """Write down that the session ends while one views as a client (signed out, idle, too old)."""
    found = session.get(_KEY)
    if isinstance(found, dict):
        _record_end(found, user, now, "session ended")


def current(*, session: Any, user: Any, now: datetime) -> Acting | None:
    """What this session views as at `now`; None when it does not, the hour is over, or the client is gone."""
    return _current([(session, user)], now)[0]


def tidy(*, session: SessionBase, user: User, now: datetime) -> Acting | None:
    """`current`; and where it has come to its end by itself, the session is told and the end recorded."""
    found = session.get(_KEY)
    if found is None:
        return None
    acting = current(session=session, user=user, now=now)
    if acting is not None and not access.may(access.principal_of(user), "act_as", acting.client):
        acting = None
    if acting is None:
        stop(session=session, user=user, now=now, why="over")
    return acting


def principal(*, session: Any, user: Any, now: datetime) -> Principal:
    """The principal of a browser's session: the person, or what they view as."""
    return principals([(session, user)], now=now)[0]


def principals(held: Sequence[tuple[Any, Any]], *, now: datetime) -> list[Principal]:
    """The principal of each (session, its person), in as many statements as for one."""
    roles = access.roles_of({user.pk for _, user in held if isinstance(user, User)})
    return [
        access.principal_of(
            user,
            acting=acting.client.pk if acting is not None else None,
            roles=roles.get(user.pk, ()),
        )
        for (_, user), acting in zip(held, _current(held, now), strict=True)
    ]


def refusal(*, method: str, path: str) -> Forbidden | None:
    """Why this request is refused while one views as a client."""
    if method not in SAFE:
        return Forbidden(
            "You are viewing as the client: nothing can be changed.", code="acting_read_only", advice=_ADVICE
        )
    if path.startswith((*CLOSED, settings.META["redirect_path"])):
        return Forbidden(
            "This page is closed while you view as the client.",
            code="acting_closed",
            advice=_ADVICE,
        )
    return None


def saw(*, acting: Acting, user: User, path: str, now: datetime) -> None:
    """Write down that a page was opened; each one once in a stretch of viewing."""
    subject = path[:_SUBJECT]
    lines = AuditLine.objects.of(acting.client).filter(
        at__gte=acting.since, verb="act_as_page", subject=subject, actor_id=user.pk
    )
    if not lines.exists():
        principal = access.principal_of(user, acting=acting.client.pk)
        audit.record(principal=principal, client=acting.client, verb="act_as_page", subject=subject, now=now)


def _current(held: Sequence[tuple[Any, Any]], now: datetime) -> list[Acting | None]:
    began = [_began(session, user) for session, user in held]
    rows = Client.objects.filter(archived_at__isnull=True)
    clients = rows.in_bulk({found["client"] for found in began if found is not None})
    return [_acting(found, clients, now) if found is not None else None for found in began]


def _began(session: Any, user: Any) -> dict[str, Any] | None:
    """What `start` wrote for this person."""
    found = session.get(_KEY) if session is not None else None
    mine = isinstance(found, dict) and found.get("user") == getattr(user, "pk", None)
    return found if mine else None


def _acting(found: dict[str, Any], clients: dict[int, Client], now: datetime) -> Acting | None:
    since, until = (datetime.fromtimestamp(found[name], UTC) for name in ("since", "until"))
    client = clients.get(found["client"])
    return Acting(client=client, since=since, until=until) if client is not None and now < until else None


def _new_key(session: SessionBase) -> None:
    before = session.session_key
    session.cycle_key()
    sessions.moved(old=before or "", new=session.session_key or "")


def _record_end(found: dict[str, Any], user: User, now: datetime, why: str) -> None:
    client = Client.objects.filter(pk=found["client"]).first()
    until = datetime.fromtimestamp(found["until"], UTC)
    audit.record(
        principal=access.principal_of(user),
        client=client,
        verb="act_as_end",
        subject=client.slug if client is not None else "",
        now=min(now, until),
        why=why,
    )
