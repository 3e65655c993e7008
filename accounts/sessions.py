"""How long a session lasts, what ends it, and the list that its owner sees.

    sign-in   begin: signed_in_at, active_at, kept in the session
    request   look -> over (idle, absolute)  -> the session is flushed, and the sign-in page says why
                   -> a person's request     -> active_at moves, at most every ten seconds
                   -> a poll, a socket       -> nothing moves
                   -> the roles changed      -> the session goes on under a new key
    end       by its owner (one, all others), by `end_all` (removed, switched off), by a new password (Django)

Tokens of the API live in sessions of their own, with the same two limits; asking for a new pair is their activity.
A session that ends takes the tokens that were issued to it along. API keys and the connection to Meta stay.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.middleware import SessionMiddleware
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpResponse
from django.utils.crypto import constant_time_compare

from accounts.models import Membership, Role, User
from accounts.signals import access_changed

SIGNED_IN_AT: Final = "signed_in_at"
ACTIVE_AT: Final = "active_at"
ROLES: Final = "roles"
#: allauth keeps the tokens that may still be renewed here.
_TOKENS: Final = "headless_refresh_tokens"
#: Seconds for which activity is not written again, so that reading pages costs no write.
TOUCH_SECONDS: Final = 10
#: The page warns this many seconds before the end.
WARN_SECONDS: Final = 120
_LISTED_FIRST: Final = timedelta(hours=1)
#: What Django makes keys of. A cookie may say anything: also what a database refuses, with all that it is asked beside.
_KEY: Final = re.compile(r"[a-z0-9]{8,40}")

#: Why a session is over -> what the sign-in page says about it.
ENDED: Final = {
    "idle": "You were signed out after 30 minutes without activity. Sign in to go on where you were.",
    "absolute": "You had been signed in for 12 hours, which is the longest we allow. Sign in to go on where you were.",
    "ended": "Your session has ended. Sign in to go on.",
    "signed_out": "You signed out in another tab or window. Nothing of it is left in this one.",
}


@dataclass(frozen=True)
class Left:
    """Seconds until the session ends by itself; `absolute` is None where a person may go on as long as they are
    active. At zero it still stands."""

    idle: int
    absolute: int | None

    @property
    def over(self) -> str:
        """Why it is over ("idle", "absolute"), or "" while it is not."""
        if self.absolute is not None and self.absolute < 0:
            return "absolute"
        return "idle" if self.idle < 0 else ""


@dataclass(frozen=True)
class Seen:
    """One session as its owner sees it."""

    id: int
    device: str
    address: str
    is_app: bool
    started_at: datetime
    active_at: datetime
    is_this: bool


def begin(*, session: Any, now: datetime) -> None:
    """A session is first seen with its person: both limits count from here. A second call changes nothing."""
    if SIGNED_IN_AT not in session:
        session[SIGNED_IN_AT] = session[ACTIVE_AT] = int(now.timestamp())


def left(*, session: Any, user: Any, now: datetime) -> Left:
    """What is left of a session at `now`. Agency roles (staff) have an absolute limit, client roles have none.

    All is left of a session that `begin` has not seen: its sign-in was answered just now.
    """
    moment = int(now.timestamp())
    active, began = session.get(ACTIVE_AT, moment), session.get(SIGNED_IN_AT, moment)
    idle = settings.SESSION_IDLE_SECONDS - (moment - active)
    absolute = settings.SESSION_ABSOLUTE_SECONDS - (moment - began) if user.is_staff else None
    return Left(idle=idle, absolute=absolute)


def touch(*, session: Any, now: datetime, at_once: bool = False) -> None:
    """A person did something."""
    moment = int(now.timestamp())
    if at_once or moment - session.get(ACTIVE_AT, 0) >= TOUCH_SECONDS:
        session[ACTIVE_AT] = moment


def follow_roles(*, session: SessionBase, user: User) -> bool:
    """Go on under a new key where the person's roles are others than at the last look; whether that was so."""
    rows = Membership.objects.filter(user=user).values_list("client_id", "role")
    # In Python: databases disagree about where an owner's empty client sorts.
    words = ",".join(sorted(f"{client}:{role}" for client, role in rows))
    digest = hashlib.sha256(f"{user.is_staff}{user.is_superuser}{words}".encode()).hexdigest()[:16]
    known = session.get(ROLES)
    if known == digest:
        return False
    session[ROLES] = digest
    if known is None:
        return False
    session.cycle_key()
    return True


def moved(*, old: str, new: str) -> None:
    """The session goes on under a new key; the list of sessions follows."""
    rows = UserSession.objects.filter(session_key=old)
    if UserSession.objects.filter(
        session_key=new
    ).exists():  # allauth lists it anew after a change of the password
        rows.delete()
    else:
        rows.update(session_key=new)


def gone(*, key: str, user_id: int) -> None:
    """The session with this key was flushed; the list of sessions follows, and its open sockets look at once."""
    UserSession.objects.filter(session_key=key).delete()
    _announce(user_id)


def listing(*, user: User, this: str, now: datetime) -> list[Seen]:
    """The person's living sessions: this one first, then by last activity. `this`: the key of the asking one."""
    found = []
    for row in UserSession.objects.filter(user=user):
        session = SessionStore(row.session_key)
        holder = person(session)
        if holder != user or left(session=session, user=holder, now=now).over:
            continue
        found.append(
            Seen(
                id=row.pk,
                device=device(row.user_agent),
                address=row.ip,
                is_app=_TOKENS in session,
                started_at=_moment(session, SIGNED_IN_AT, row.created_at),
                active_at=_moment(session, ACTIVE_AT, row.created_at),
                is_this=row.session_key == this,
            )
        )
    return sorted(found, key=lambda one: (not one.is_this, -one.active_at.timestamp(), one.id))


def end(*, user: User, id: int, but: str = "") -> bool:
    """End one of the person's own sessions, with its tokens; False when it is not theirs, gone already, or `but`."""
    rows = list(UserSession.objects.filter(user=user, pk=id).exclude(session_key=but))
    _end((row.session_key for row in rows), user)
    return bool(rows)


def end_all(*, user: User, but: str = "") -> int:
    """End every session and every token of a person, except the session with the key `but`; how many ended.

    Looks through all sessions instead of the list of them, so that none is missed that came in by another door.
    Open sockets look at once. API keys stay: their user's roles are asked at each use.
    """
    wanted = str(user.pk)
    rows = Session.objects.all().iterator()
    keys = [row.session_key for row in rows if row.get_decoded().get(SESSION_KEY) == wanted]
    listed = UserSession.objects.filter(user=user).values_list("session_key", flat=True)
    ending = {*keys, *listed} - {but}
    _end(ending, user)
    return len(ending & set(keys))


def sweep(*, now: datetime) -> None:
    """Delete what is left of sessions that ended by themselves, in browsers that never came back."""
    SessionStore.clear_expired()
    kept = Session.objects.values("session_key")
    # A sign-in is listed a moment before its session is stored.
    UserSession.objects.filter(created_at__lt=now - _LISTED_FIRST).exclude(session_key__in=kept).delete()


def may_use_facebook(user: Any) -> bool:
    """Whether a person may sign in with Facebook: where it is switched on, and only at a client's side.

    Who may spend money at the agency signs in with a password and a second step; an integrator has keys and tokens.
    """
    if not settings.FACEBOOK_SIGN_IN or not isinstance(user, User) or user.is_staff:
        return False
    roles = set(Membership.objects.filter(user=user).values_list("role", flat=True))
    return bool(roles) and roles <= {Role.APPROVER, Role.VIEWER}


def device(user_agent: str) -> str:
    """A browser's name for people, "Firefox on Windows"; what is no browser is named as it names itself."""
    system = next((words for sign, words in _SYSTEMS if sign in user_agent), "")
    browser = next((words for sign, words in _BROWSERS if sign in user_agent), "")
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or user_agent.partition("/")[0].strip()[:40] or "Unknown device"


#: First match wins: Edge and Opera also call themselves Chrome, and Chrome calls itself Safari.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
)


def _end(keys: Iterable[str], user: User) -> None:
    ended = list(keys)
    with transaction.atomic():
        Session.objects.filter(session_key__in=ended).delete()
        UserSession.objects.filter(session_key__in=ended).delete()
        if ended:
            _announce(user.pk)


def _announce(user_id: int) -> None:
    # Robust: a page that cannot be told looks by itself within 15 seconds, and nobody is kept from signing out.
    transaction.on_commit(lambda: access_changed.send_robust(sender=User, user_id=user_id), robust=True)


def _moment(session: Any, name: str, otherwise: datetime) -> datetime:
    return datetime.fromtimestamp(session[name], UTC) if name in session else otherwise


def contents(keys: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """What the sessions with these keys hold as it is stored now; nothing, where one is gone or has run out.

    One statement where sessions are rows (`SESSION_ENGINE`); any other engine is asked for one after the other.
    """
    if SessionStore.__module__ != settings.SESSION_ENGINE:
        engine = SessionMiddleware(lambda _: HttpResponse()).SessionStore
        return {key: engine(key).load() for key in set(keys)}
    decode = SessionStore().decode
    wanted = {key for key in keys if _KEY.fullmatch(key)}
    # Django writes and reads the end of a row by the machine's clock, not by the product's.
    rows = Session.objects.filter(session_key__in=wanted, expire_date__gt=Now())
    return {key: decode(data) for key, data in rows.values_list("session_key", "session_data")}


def persons(held: Sequence[Any]) -> list[Any]:
    """The person of each session as Django sees them: nobody after a change of the password, or switched off.

    One statement for all. Unlike Django's own look nothing is written: a session that is nobody's any more is flushed
    by the next request.
    """
    claimed = [
        session.get(SESSION_KEY)
        if session.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS
        else None
        for session in held
    ]
    found = User.objects.in_bulk({int(pk) for pk in claimed if pk is not None})
    users = [found.get(int(pk)) if pk is not None else None for pk in claimed]
    return [
        user if user is not None and user.is_active and _signed_for(user, session) else AnonymousUser()
        for user, session in zip(users, held, strict=True)
    ]


def person(session: Any) -> Any:
    """`persons` of one."""
    return persons([session])[0]


def _signed_for(user: User, session: Any) -> bool:
    """Whether the session was begun with the password that the person has now."""
    said = session.get(HASH_SESSION_KEY) or ""
    good = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return any(constant_time_compare(said, one) for one in good)
