"""The sandbox as a WSGI application, and a server around it.

    environ -> /_sandbox/ control | dialog page | Graph call (one, or a batch) -> faults, limits, handlers -> bytes

Everything below is handed its clock, world and journal from here. One lock: calls are answered one after
another, which is what makes the same calls give the same bytes.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import http.server
import pathlib
import re
import socketserver
import threading
import time
import wsgiref.simple_server
from collections.abc import Callable, Iterable
from typing import Any

from metaads.sandbox.clock import Clock, MachineClock
from metaads.sandbox.control import Control
from metaads.sandbox.csv_world import populate as populate_csv
from metaads.sandbox.delivery import curves
from metaads.sandbox.delivery.engine import Engine
from metaads.sandbox.errors import GraphError, NoAnswer
from metaads.sandbox.faults import Faults
from metaads.sandbox.handlers import batch, perform
from metaads.sandbox.handlers.body import parameters
from metaads.sandbox.handlers.call import Answer, Call, Desk
from metaads.sandbox.journal import Journal
from metaads.sandbox.lab import build as lab_world
from metaads.sandbox.lab import family as lab_family
from metaads.sandbox.limits import FULL, Limits
from metaads.sandbox.oauth_dialog import Dialog
from metaads.sandbox.scenarios import worlds
from metaads.sandbox.truth import Truth
from metaads.sandbox.world import people
from metaads.sandbox.world.state import World

VERSION = re.compile(r"v\d+\.\d+")
HISTORY = 20_000
SECRETS = ("access_token", "appsecret_proof", "client_secret", "fb_exchange_token", "input_token", "code")
StartResponse = Callable[..., Any]


class Sandbox:
    """An offline Graph API. Callable as WSGI; see the package's ``control`` for ``/_sandbox/``."""

    def __init__(
        self,
        *,
        world: str = "demo",
        seed: int = 1,
        clock: Clock | None = None,
        journal_path: pathlib.Path | None = None,
        speed: float = 1.0,
        late: float = 0.0,
        app_id: str = "1000000000000001",
        app_secret: str = "sandbox-secret",  # noqa: S107 - the offline app's, not a secret
        base_url: str | None = None,
        tier: str = FULL,
    ) -> None:
        self.journal = Journal(journal_path)
        self.clock: Clock = clock or MachineClock()
        self._restore_clock()
        start = self.journal.open(world=world, seed=seed, start=self.clock.timestamp())
        self.world = World(name=world, seed=seed, start=start, journal=self.journal)
        if world.startswith("csv:"):
            populate_csv(self.world, pathlib.Path(world.removeprefix("csv:")))
        elif world.startswith("lab:"):
            path, _, name = world.removeprefix("lab:").rpartition("#")
            lab_world.populate(self.world, lab_family.pick(pathlib.Path(path), name))
        else:
            worlds.populate(self.world)
        self.world.replay()
        self.engine = Engine(self.world, speed=speed, late=late)
        self.faults = Faults(self.journal)
        self.limits = Limits(tier=tier)
        self.truth = Truth(self.world, self.engine)
        self.app_id, self.app_secret, self.base_url = app_id, app_secret, base_url
        self.desk = Desk(
            world=self.world,
            clock=self.clock,
            engine=self.engine,
            faults=self.faults,
            limits=self.limits,
            app_id=app_id,
            app_secret=app_secret,
        )
        self.history: list[dict[str, Any]] = []
        self.control = Control(
            desk_clock=self.clock,
            world=self.world,
            faults=self.faults,
            truth=self.truth,
            limits=self.limits,
            retired=self.desk.retired,
            history=self.history,
            mint=self._mint,
            app_secret=app_secret,
        )
        self.dialog = Dialog(world=self.world, app_id=app_id)
        self._lock = threading.RLock()
        self._calls = 0

    def token(self, user: str = "alice", *, scopes: Iterable[str] = people.ALL_SCOPES) -> str:
        """A ready long-lived access token with all scopes."""
        return self._mint(user, tuple(scopes), people.LONG_LIFE)

    def ad_accounts(self) -> list[str]:
        """The ``act_`` ids of the world."""
        return list(self.world.accounts)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        with self._lock:
            answer = self._answer(environ)
        data = answer.data()
        headers = [("Content-Type", answer.content_type), ("Date", self._date()), *answer.headers]
        if not answer.drip:
            headers.append(("Content-Length", str(len(data))))
        reason = http.server.BaseHTTPRequestHandler.responses.get(answer.status, ("OK", ""))[0]
        start_response(f"{answer.status} {reason}", headers)
        return _drip(data) if answer.drip and environ.get("sandbox.served") else [data]

    # --- inside -------------------------------------------------------------------------------------------------

    def _answer(self, environ: dict[str, Any]) -> Answer:
        method = environ["REQUEST_METHOD"].upper()
        raw_path = environ.get("PATH_INFO", "/")
        params = parameters(environ)
        now = self.clock.timestamp()
        if raw_path.startswith("/_sandbox/"):
            return _from_plain(
                self.control.handle(method, raw_path.removeprefix("/_sandbox/").strip("/"), params)
            )
        parts = [part for part in raw_path.split("/") if part]
        version = parts.pop(0) if parts and VERSION.fullmatch(parts[0]) else perform.LATEST
        if parts == ["dialog", "oauth"]:
            return _from_plain(self.dialog.handle(method, params, now=now))
        self._calls += 1
        call = Call(
            method=_override(method, params),
            version=version,
            path=tuple(parts),
            params=params,
            base=self._base(environ),
            now=now,
            read_at=now,
            lands=now,
            token_text=_token(environ, params),
            trace=f"A{curves.seed_of(self.world.seed, self._calls):016x}",
        )
        return self._graph(call)

    def _graph(self, call: Call) -> Answer:
        line: dict[str, Any] = {
            "n": self._calls,
            "at": call.now,
            "method": call.method,
            "path": "/".join(call.path),
            "version": call.version,
            "params": {
                name: ("[redacted]" if name in SECRETS else value) for name, value in call.params.items()
            },
        }
        self.history.append(line)
        del self.history[:-HISTORY]
        before = len(self.journal)
        try:
            if call.method == "POST" and "batch" in call.params:
                answer = batch.run(self.desk, call)
            else:
                answer = perform.perform(self.desk, call)
            line["status"] = answer.status
            return answer
        except GraphError as error:
            line["status"] = error.status
            return Answer(error.body(trace=call.trace), status=error.status)
        except NoAnswer as silence:
            line["status"] = "no answer, applied" if silence.applied else "no answer"
            raise
        finally:
            if call.read_at != call.now:
                line["read_at"] = call.read_at
            line["effects"] = [
                entry.seq
                for entry in self.journal.since(before)
                if entry.kind in ("set", "create", "run", "revoke", "grant")
            ]

    def _date(self) -> str:
        return email.utils.formatdate(self.clock.timestamp(), usegmt=True)

    def _base(self, environ: dict[str, Any]) -> str:
        if self.base_url:
            return self.base_url.rstrip("/")
        host = (
            environ.get("HTTP_HOST")
            or f"{environ.get('SERVER_NAME', 'localhost')}:{environ.get('SERVER_PORT', '80')}"
        )
        return f"{environ.get('wsgi.url_scheme', 'http')}://{host}"

    def _mint(self, user: str, scopes: tuple[str, ...], life: int) -> str:
        person = self.world.people[user]
        issued = int(self.clock.timestamp())
        # A token minted after a revocation in the same second must not be caught by it.
        held = [revocation.at for revocation in self.world.revocations.get(person.id, ())]
        if held and issued <= max(held):
            issued = int(max(held)) + 1
        expires = 0 if person.kind == "SYSTEM_USER" else issued + life
        token = people.Token(
            kind=person.kind,
            user=person.id,
            scopes=scopes,
            issued=issued,
            expires=expires,
            long=True,
            app_id=self.app_id,
        )
        return people.sign(token, secret=self.app_secret)

    def _restore_clock(self) -> None:
        """Clock moves of an earlier run hold on: the offset, or the frozen moment."""
        for entry in self.journal.of("clock"):
            if isinstance(self.clock, MachineClock):
                self.clock = MachineClock(
                    offset=float(entry.data["offset"]),
                    frozen_at=dt.datetime.fromtimestamp(entry.data["frozen"], tz=dt.UTC)
                    if entry.data["frozen"]
                    else None,
                )


def _override(method: str, params: dict[str, Any]) -> str:
    """``method=delete`` in a form overrides POST."""
    wanted = str(params.get("method", "")).upper()
    return wanted if method == "POST" and wanted in ("GET", "DELETE", "POST") else method


def _token(environ: dict[str, Any], params: dict[str, Any]) -> str:
    given = str(params.pop("access_token", "") or "")
    header = str(environ.get("HTTP_AUTHORIZATION", ""))
    if not given and header.lower().startswith(("bearer ", "oauth ")):
        return header.partition(" ")[2].strip()
    return given


def _from_plain(plain: tuple[int, Any, str, list[tuple[str, str]]]) -> Answer:
    status, body, content_type, headers = plain
    return Answer(body, status=status, content_type=content_type, headers=headers)


def _drip(data: bytes) -> Iterable[bytes]:
    """One byte at a time, for as long as the reader has patience."""
    for index in range(len(data)):
        yield data[index : index + 1]
        time.sleep(0.25)


class _Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True
    allow_reuse_address = True
    # A browser's and a client's pool open several connections at once.
    request_queue_size = 64

    def server_bind(self) -> None:
        # The base class asks DNS for the host's name, which may take seconds offline.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()


class _Handler(wsgiref.simple_server.WSGIRequestHandler):
    protocol_version = "HTTP/1.0"

    def get_environ(self) -> dict[str, Any]:
        environ = super().get_environ()
        environ["sandbox.served"] = "1"
        return environ

    def address_string(self) -> str:
        return str(self.client_address[0])

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: addresses carry tokens."""


def serve(
    sandbox: Callable[[dict[str, Any], StartResponse], Iterable[bytes]],
    *,
    port: int,
    host: str = "127.0.0.1",
    silence: float = 90.0,
) -> wsgiref.simple_server.WSGIServer:
    """A threading server bound to the port (0 = any free one), not yet running: call ``serve_forever``.

    Raises ``OSError`` when the port is busy. An unanswered call holds its socket for ``silence`` seconds, then
    closes it.
    """

    def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        try:
            return sandbox(environ, start_response)
        except NoAnswer:
            time.sleep(silence)
            environ["wsgi.input"].close()
            raise ConnectionAbortedError("no answer, by a fault") from None

    server = _Server((host, port), _Handler)
    server.set_app(application)
    return server
