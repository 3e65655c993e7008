"""Every socket: principal x client asked for x origin x what happens while it is open. The real consumer behind the
real stack; frames of another client never arrive."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from channels.sessions import SessionMiddlewareStack
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.test import override_settings
from django.urls import path

from insights.live import TOPICS, publish
from insights.looks import NO_CLIENT, NOT_SIGNED_IN, answers
from insights.stream import WRONG_ORIGIN, LiveConsumer, _asked, websocket_urlpatterns
from tests.access.people import PRINCIPALS, Who
from tests.access.world import MARKER

pytestmark = [pytest.mark.django_db, pytest.mark.fault("N20"), pytest.mark.fault("F114")]


@pytest.fixture(autouse=True)
def one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Channels ends old connections between two calls; the world of these tests lives in a transaction of one."""

    async def leave() -> None:
        """Nothing is ended."""

    monkeypatch.setattr("channels.db.close_old_connections", lambda **_: None)
    monkeypatch.setattr("channels.consumer.aclose_old_connections", leave)


OPEN = 0
OURS = settings.PUBLIC_URL
PATIENCE = 5


def stack(recheck: float | None = None) -> Any:
    """What config.asgi serves, made now (the validator reads ALLOWED_HOSTS when it is made)."""
    routes = websocket_urlpatterns
    if recheck is not None:
        routes = [path("ws/live/", LiveConsumer.as_asgi(recheck_seconds=recheck))]
    return AllowedHostsOriginValidator(SessionMiddlewareStack(URLRouter(routes)))


def knock(
    estate: Any,
    who: str,
    query: str = "",
    *,
    origin: str | None = OURS,
    host: str = "localhost:3000",
    headers: dict[str, str] | None = None,
    cookies: bool = True,
    recheck: float | None = None,
) -> WebsocketCommunicator:
    """A page's socket, with all that the principal's requests carry."""
    jar = estate.call.cookies[who] if cookies else {}
    sent = {"host": host, **estate.call.headers[who], **(headers or {})}
    sent["cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
    if origin is not None:
        sent["origin"] = origin
    raw = [(name.lower().encode(), value.encode()) for name, value in sent.items() if value]
    return WebsocketCommunicator(stack(recheck), f"/ws/live/{query}", headers=raw)


def answer(socket: WebsocketCommunicator) -> int:
    """OPEN, or the code with which it was closed."""

    async def ask() -> int:
        accepted, code = await socket.connect(timeout=PATIENCE)
        if accepted:
            await socket.disconnect()
        return OPEN if accepted else int(code or 1000)

    return async_to_sync(ask)()


# --- who is let in where


def asked(estate: Any, wanted: str) -> str:
    return {
        "none": "",
        "northwind": f"?client={estate.northwind.slug}",
        "southwind": f"?client={estate.southwind.slug}",
        "nobody": "?client=no-such-thing",
        "by-uuid": f"?client={estate.northwind.uuid}",
        "twice": f"?client={estate.northwind.slug}&client={estate.southwind.slug}",
        "with-account": f"?client={estate.northwind.slug}&ad_account={estate.ad_account.act_id}",
    }[wanted]


def right(who: Who, wanted: str) -> int:
    if who.seat == "out" or not who.browses:
        return NOT_SIGNED_IN
    if wanted == "nobody":
        return NO_CLIENT
    if wanted == "none":  # the only client that they have
        return NO_CLIENT if who.seat == "everywhere" else OPEN
    at = "southwind" if wanted == "southwind" else "northwind"
    return OPEN if who.seat in ("everywhere", at) else NO_CLIENT


WANTED = ("none", "northwind", "southwind", "nobody", "by-uuid", "twice", "with-account")


@pytest.mark.parametrize("wanted", WANTED)
@pytest.mark.parametrize("who", PRINCIPALS, ids=str)
def test_who_may_listen_where(estate, who, wanted):
    assert answer(knock(estate, who.name, asked(estate, wanted))) == right(who, wanted)


def test_a_look_at_everybody_in_one_says_what_a_look_at_each_alone_says(estate):
    """Every principal, wanting everything, side by side in one round: nobody's answer is another's."""
    at = {"northwind": (estate.northwind.pk, OPEN), "southwind": (estate.southwind.pk, OPEN)}
    cells = [(who, wanted) for wanted in WANTED for who in PRINCIPALS]
    wishes = []
    for who, wanted in cells:
        key = estate.call.cookies[who.name].get(settings.SESSION_COOKIE_NAME, "")
        scope = {"session": SessionStore(key), "query_string": asked(estate, wanted)[1:].encode()}
        wishes.append(_asked(scope))
    together = answers(wishes, now=estate.clock.now())
    for (who, wanted), one, found in zip(cells, wishes, together, strict=True):
        code = right(who, wanted)
        place = who.seat if wanted == "none" else "southwind" if wanted == "southwind" else "northwind"
        assert found == (at[place] if code == OPEN else (0, code)), f"{who} wanting {wanted}"
        if wanted in ("none", "southwind"):
            assert [found] == answers([one], now=estate.clock.now()), f"{who} wanting {wanted}"


def test_everybody_who_is_refused_has_somebody_who_is_let_in():
    cells = [(wanted, right(who, wanted)) for who in PRINCIPALS for wanted in WANTED]
    assert len(cells) >= 40
    for wanted in set(WANTED) - {"nobody"}:
        assert (wanted, OPEN) in cells


# --- from where

FOREIGN = (
    None,
    "null",
    "",
    "https://evil.example",
    "http://evil.example:3000",
    f"{OURS}.evil.example",
    f"{OURS}@evil.example",
    "http://sub.localhost:3000",
    "http://localhost:3001",
    "file://localhost:3000",
    f"{MARKER}://localhost",
)


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("who", ["buyer", "owner"])
def test_a_page_of_another_origin_opens_nothing(estate, who, origin):
    query = asked(estate, "northwind")
    assert answer(knock(estate, who, query)) == OPEN
    assert answer(knock(estate, who, query, origin=origin)) != OPEN
    with override_settings(ALLOWED_HOSTS=["localhost"]):  # as shipped
        assert answer(knock(estate, who, query, origin=origin)) != OPEN


def test_a_name_that_was_made_to_lead_here_opens_nothing(estate):
    """DNS rebinding: the browser says the stranger's name as origin and as host."""
    with override_settings(ALLOWED_HOSTS=["localhost"]):
        strange = knock(
            estate, "buyer", asked(estate, "northwind"), origin="http://evil.example", host="evil.example"
        )
        assert answer(strange) != OPEN
        assert answer(knock(estate, "buyer", asked(estate, "northwind"))) == OPEN


def test_the_origin_is_looked_at_before_the_person(estate):
    assert answer(knock(estate, "anonymous", origin=None)) in (WRONG_ORIGIN, 1000)


# --- nothing but the session's cookie


@pytest.mark.parametrize(
    "place",
    ["token", "access_token", "session", "sessionid", "session_token", "api_key", "key", "jwt", "ticket"],
)
def test_a_secret_in_the_address_opens_nothing(estate, place):
    session = estate.call.session_key("buyer")
    token = estate.call.headers["integrator-jwt"]["Authorization"].partition(" ")[2]
    key = estate.call.headers["integrator-key"]["X-API-Key"]
    for secret in (session, token, key):
        query = f"?client={estate.northwind.slug}&{place}={secret}"
        assert answer(knock(estate, "anonymous", query)) == NOT_SIGNED_IN


def test_a_key_or_token_in_a_header_opens_nothing(estate):
    session = estate.call.session_key("buyer")
    for headers in (
        {"X-Session-Token": session},
        {"Authorization": f"Bearer {session}"},
        {"Sec-WebSocket-Protocol": session},
    ):
        refused = knock(estate, "anonymous", asked(estate, "northwind"), headers=headers)
        assert answer(refused) == NOT_SIGNED_IN


# --- what arrives


async def hear(socket: WebsocketCommunicator) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(await socket.receive_from(timeout=PATIENCE))
    return frame


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_frames_of_another_client_never_arrive(estate, topic):
    """A foreign frame is sent before each own one; what is heard first, second and third is one's own."""
    listeners = {
        "buyer": (estate.northwind, "northwind"),
        "viewer": (estate.northwind, "northwind"),
        "owner": (estate.northwind, "northwind"),
        "acting-here": (estate.northwind, "northwind"),
        "other-manager": (estate.southwind, "southwind"),
        "acting-there": (estate.southwind, "southwind"),
    }

    async def listen() -> dict[str, list[dict[str, Any]]]:
        sockets = {who: knock(estate, who, asked(estate, place)) for who, (_, place) in listeners.items()}
        for socket in sockets.values():
            assert (await socket.connect(timeout=PATIENCE))[0]
        heard: dict[str, list[dict[str, Any]]] = {who: [] for who in sockets}
        for turn in range(3):
            for client in (estate.southwind, estate.northwind, estate.southwind):
                await sync_to_async(publish)(
                    client_id=client.pk, topic=topic, id=f"{client.slug}-{turn}-{MARKER}"
                )
            for who, socket in sockets.items():
                heard[who].append(await hear(socket))
                if (
                    listeners[who][0] == estate.southwind
                ):  # two were sent; the newer may have replaced the older
                    while not await socket.receive_nothing(timeout=0.01):
                        heard[who].append(await hear(socket))
        for socket in sockets.values():
            assert await socket.receive_nothing(timeout=0.01)
            await socket.disconnect()
        return heard

    for who, frames in async_to_sync(listen)().items():
        own = listeners[who][0].slug
        assert len(frames) >= 3
        for frame in frames:
            assert set(frame) == {"topic", "id", "sequence"}
            assert frame["id"].startswith(f"{own}-"), f"{who} heard {frame}"


def test_a_page_cannot_ask_for_another_clients_frames_once_it_is_open(estate):
    async def talk() -> dict[str, Any]:
        socket = knock(estate, "buyer", asked(estate, "northwind"))
        assert (await socket.connect(timeout=PATIENCE))[0]
        for words in (
            {"type": "subscribe", "client": estate.southwind.slug},
            {"client": estate.southwind.pk},
            {"action": "join", "group": f"client-{estate.southwind.pk}"},
        ):
            await socket.send_json_to(words)
        await socket.send_to(bytes_data=b"\x00\x01")
        await sync_to_async(publish)(client_id=estate.southwind.pk, topic="change", id="foreign")
        await sync_to_async(publish)(client_id=estate.northwind.pk, topic="change", id="own")
        frame = await hear(socket)
        assert await socket.receive_nothing(timeout=0.05)
        await socket.disconnect()
        return frame

    assert async_to_sync(talk)()["id"] == "own"


def test_naming_a_foreign_ad_account_counts_as_watching_none(estate):
    from insights.models import Interest

    theirs = estate.planted["AdAccount"]
    Interest.everything.all().delete()
    query = f"?client={estate.northwind.slug}&ad_account="
    assert answer(knock(estate, "buyer", f"{query}{theirs.act_id}")) == OPEN
    assert not Interest.everything.exists()
    assert answer(knock(estate, "buyer", f"{query}{estate.ad_account.act_id}")) == OPEN
    assert list(Interest.everything.values_list("ad_account_id", flat=True)) == [estate.ad_account.pk]


# --- what happens while it is open


def _sign_out(estate: Any, person: str) -> None:
    from accounts.sessions import end_all

    end_all(user=getattr(estate.users, person))


def _switch_off(estate: Any, person: str) -> None:
    user = getattr(estate.users, person)
    type(user).objects.filter(pk=user.pk).update(is_active=False)


def _remove(estate: Any, person: str) -> None:
    from accounts.models import Membership

    Membership.objects.filter(user=getattr(estate.users, person)).delete()


def _move(estate: Any, person: str) -> None:
    from accounts.models import Membership

    Membership.objects.filter(user=getattr(estate.users, person)).update(client=estate.southwind)


def _archive(estate: Any, person: str) -> None:
    estate.northwind.archived_at = estate.clock.now()
    type(estate.northwind).objects.filter(pk=estate.northwind.pk).update(archived_at=estate.clock.now())


def _new_password(estate: Any, person: str) -> None:
    user = type(estate.users.bob).objects.get(pk=getattr(estate.users, person).pk)
    user.set_password("another correct horse")
    user.save()


def _ask_for_a_second_factor(estate: Any, person: str) -> None:
    from accounts.models import Membership
    from accounts.policies import require_mfa

    role = Membership.objects.get(user=getattr(estate.users, person)).role
    require_mfa(role=role, required=True, principal=estate.principals.alice, now=estate.clock.now())


def _go_idle(estate: Any, person: str) -> None:
    estate.clock.advance(40 * 60)


def _half_a_day(estate: Any, person: str) -> None:
    """Active all the time, beyond the absolute limit of agency roles."""
    from django.contrib.sessions.backends.db import SessionStore

    estate.clock.advance(12 * 3600 + 60)
    session = SessionStore(estate.call.session_key("buyer"))
    session["active_at"] = int(estate.clock.now().timestamp())
    session.save()


ENDS: dict[str, tuple[str, str, Callable[[Any, str], None]]] = {
    "signed out": ("buyer", "bob", _sign_out),
    "switched off": ("buyer", "bob", _switch_off),
    "removed": ("buyer", "bob", _remove),
    "moved to another client": ("buyer", "bob", _move),
    "the client archived": ("buyer", "bob", _archive),
    "a new password elsewhere": ("buyer", "bob", _new_password),
    "a second factor asked for": ("buyer", "bob", _ask_for_a_second_factor),
    "idle": ("buyer", "bob", _go_idle),
    "twelve hours": ("buyer", "bob", _half_a_day),
    "owner signed out": ("owner", "alice", _sign_out),
    "owner removed": ("owner", "alice", _remove),
    "viewing as a client, signed out": ("acting-here", "alice", _sign_out),
    "viewing as a client, removed": ("acting-here", "alice", _remove),
    "viewing as a client, idle": ("acting-here", "alice", _go_idle),
    "client's viewer removed": ("viewer", "vic", _remove),
    "client's viewer idle": ("viewer", "vic", _go_idle),
}


@pytest.mark.parametrize("event", ENDS)
def test_the_socket_closes_and_hears_nothing_more(estate, event):
    who, person, happens = ENDS[event]
    start = estate.clock.now()

    async def watch() -> tuple[list[Any], int]:
        socket = knock(estate, who, asked(estate, "northwind"), recheck=0.0)
        assert (await socket.connect(timeout=PATIENCE))[0]
        await sync_to_async(publish)(client_id=estate.northwind.pk, topic="change", id="before")
        assert (await hear(socket))["id"] == "before"
        await sync_to_async(happens)(estate, person)
        for client in (estate.northwind, estate.southwind):
            await sync_to_async(publish)(client_id=client.pk, topic="change", id="after")
        heard = []
        while True:
            output = await socket.receive_output(timeout=PATIENCE)
            if output["type"] == "websocket.close":
                return heard, output["code"]
            heard.append(output)

    try:
        heard, code = async_to_sync(watch)()
    finally:
        estate.clock.set(start)
    assert heard == [], "a frame was delivered after the event"
    assert code in (NOT_SIGNED_IN, NO_CLIENT)
