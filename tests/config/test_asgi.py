"""One port: HTTP through WSGI, sockets by Origin and session, and a start that refuses with a sentence."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from channels.testing import HttpCommunicator, WebsocketCommunicator

from config.asgi import Lifespan, NotReady, application, look
from config.engine import Engine, EngineBusy


class Server:
    """The web server's side of the lifespan protocol."""

    def __init__(self, *messages: str) -> None:
        self._messages = list(messages)
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        return {"type": self._messages.pop(0)}

    async def send(self, message: Any) -> None:
        self.sent.append(dict(message))

    def run(self, lifespan: Lifespan) -> list[str]:
        asyncio.run(lifespan({"type": "lifespan"}, self.receive, self.send))
        return [message["type"] for message in self.sent]


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the lifespan did to the engine; the engine itself has tests of its own."""
    done: list[str] = []
    monkeypatch.setattr(Engine, "start", lambda self: done.append("start"))
    monkeypatch.setattr(Engine, "stop", lambda self: done.append("stop") or True)
    return done


@pytest.mark.django_db(transaction=True)
def test_the_embedded_form_starts_and_stops_its_engine_with_the_web_server(
    settings: Any, engines: list[str]
) -> None:
    settings.EMBEDDED = True
    server = Server("lifespan.startup", "lifespan.shutdown")
    assert server.run(Lifespan()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert engines == ["start", "stop"]


@pytest.mark.django_db(transaction=True)
def test_in_the_server_form_the_web_process_runs_no_engine(settings: Any, engines: list[str]) -> None:
    settings.EMBEDDED = False
    assert Server("lifespan.startup", "lifespan.shutdown").run(Lifespan())[0] == "lifespan.startup.complete"
    assert engines == []


@pytest.mark.django_db(transaction=True)
def test_a_second_web_process_on_the_same_folder_does_not_start(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMBEDDED = True

    def busy(self: Engine) -> None:
        raise EngineBusy("The worker of this installation runs already.")

    monkeypatch.setattr(Engine, "start", busy)
    server = Server("lifespan.startup")
    assert server.run(Lifespan()) == ["lifespan.startup.failed"]
    assert server.sent[0]["message"] == "The worker of this installation runs already."


@pytest.mark.django_db(transaction=True)
def test_wrong_settings_stop_the_start_with_what_to_do(settings: Any, engines: list[str]) -> None:
    settings.POLL_SECONDS = 5
    server = Server("lifespan.startup")
    assert server.run(Lifespan()) == ["lifespan.startup.failed"]
    assert "POLL_SECONDS" in server.sent[0]["message"] and engines == []


@pytest.mark.django_db
def test_missing_migrations_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db.migrations.recorder import MigrationRecorder

    monkeypatch.setattr(MigrationRecorder, "applied_migrations", lambda self: {})
    with pytest.raises(NotReady, match="run: manage"):
        look()


@pytest.mark.django_db(transaction=True)
def test_http_goes_through_to_django() -> None:
    async def ask() -> Any:
        return await HttpCommunicator(
            application, "GET", "/livez", headers=[(b"host", b"localhost")]
        ).get_response()

    answer = asyncio.run(ask())
    assert (answer["status"], answer["body"]) == (200, b"alive\n")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("origin", [None, b"https://evil.example", b"http://evil.example:3000"])
def test_a_socket_from_another_site_is_refused(settings: Any, origin: bytes | None) -> None:
    settings.ALLOWED_HOSTS = ["localhost"]

    async def knock() -> bool:
        headers = [(b"host", b"localhost"), *([(b"origin", origin)] if origin else [])]
        socket = WebsocketCommunicator(_fresh(), "/ws/live/", headers=headers)
        accepted, _ = await socket.connect()
        await socket.disconnect()
        return accepted

    assert asyncio.run(knock()) is False


def _fresh() -> Any:
    """The same stack built now, since the validator reads ALLOWED_HOSTS when it is made."""
    from channels.routing import URLRouter
    from channels.security.websocket import AllowedHostsOriginValidator
    from channels.sessions import SessionMiddlewareStack

    from insights.stream import websocket_urlpatterns

    return AllowedHostsOriginValidator(SessionMiddlewareStack(URLRouter(websocket_urlpatterns)))


def test_the_engine_s_files_lie_under_var(settings: Any) -> None:
    assert Engine()._folder == Path(settings.VAR_DIR)


@pytest.mark.django_db(transaction=True)
def test_any_other_trouble_at_the_start_stops_it_too(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A web server that went on would show pages and never send a change."""
    settings.EMBEDDED = True

    def broken(self: Engine) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Engine, "start", broken)
    server = Server("lifespan.startup")
    assert server.run(Lifespan()) == ["lifespan.startup.failed"]
    assert "no space left" in server.sent[0]["message"]
