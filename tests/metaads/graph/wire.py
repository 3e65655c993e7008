"""A wire of our own: a loopback server that says exactly what a test tells it, and a scripted adapter."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from metaads.graph.transport import Transport, new_session

SECRET = "canary-app-secret"
TOKEN = "EAACanaryToken0123456789abcdef"


def http(
    body: bytes | str, *, status: str = "200 OK", headers: str = "Content-Type: application/json"
) -> bytes:
    """Write a whole HTTP/1.1 answer."""
    raw = body.encode() if isinstance(body, str) else body
    return f"HTTP/1.1 {status}\r\n{headers}\r\nContent-Length: {len(raw)}\r\n\r\n".encode() + raw


class Wire:
    """A server on loopback. `requests` holds every request as it arrived, `connections` how many were opened."""

    def __init__(self, script: Callable[[socket.socket, threading.Event], None]) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._script = script
        self._stop = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._last: Any = None
        self._run(self._accept)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def close(self) -> None:
        """End every thread. Afterwards `connections` and `requests` are complete."""
        with socket.socket() as last:
            last.bind(("127.0.0.1", 0))
            self._last = last.getsockname()
            self._stop.set()
            last.connect(self._server.getsockname())
            self._threads[0].join(timeout=5)
        self._server.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=5)

    def _run(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            connection, peer = self._server.accept()
            if self._stop.is_set() and peer == self._last:
                connection.close()
                return
            self.connections += 1
            self._open.append(connection)
            self._run(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(5)
            try:
                while not self._stop.is_set():
                    request = _one_request(connection)
                    if request is None:
                        return
                    self.requests.append(request)
                    self._script(connection, self._stop)
            except OSError:
                return


def _one_request(connection: socket.socket) -> bytes | None:
    raw = b""
    while b"\r\n\r\n" not in raw:
        piece = connection.recv(65536)
        if not piece:
            return None
        raw += piece
    head, _, body = raw.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def wire(script: Callable[[socket.socket, threading.Event], None] | bytes) -> Iterator[Wire]:
    """Serve a script, or the same bytes every time."""
    server = Wire(script if callable(script) else lambda connection, stop: connection.sendall(script))
    try:
        yield server
    finally:
        server.close()


class Asked:
    """One request as the scripted adapter saw it."""

    def __init__(self, request: requests.PreparedRequest) -> None:
        parts = urlsplit(request.url or "")
        self.method = request.method
        self.path = parts.path
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        body = request.body.decode() if isinstance(request.body, bytes) else request.body or ""
        self.form = dict(parse_qsl(str(body), keep_blank_values=True))
        self.headers = request.headers
        self.url = request.url or ""


Reply = Any  # a JSON value, (status, JSON value), (status, value, headers), bytes, or an exception


class Script(BaseAdapter):
    """Answer from a list of replies, or from a function of the request; keep what was asked."""

    def __init__(self, replies: list[Reply] | Callable[[Asked], Reply]) -> None:
        super().__init__()
        self.asked: list[Asked] = []
        self._replies = replies if callable(replies) else list(replies)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        asked = Asked(request)
        self.asked.append(asked)
        reply = self._replies(asked) if callable(self._replies) else self._replies.pop(0)
        if isinstance(reply, BaseException):
            raise reply
        status, value, headers = 200, reply, {"Content-Type": "application/json"}
        if isinstance(reply, tuple):
            status, value, *more = reply
            headers |= more[0] if more else {}
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return respond(request, io.BytesIO(raw), status=status, headers=headers)

    def close(self) -> None:
        pass


def respond(
    request: requests.PreparedRequest,
    body: io.RawIOBase | io.BytesIO,
    *,
    status: int,
    headers: dict[str, str],
) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers)
    response.url = request.url or ""
    response.request = request
    response.raw = HTTPResponse(body=body, status=status, headers=headers, preload_content=False)
    return response


def session_on(adapter: BaseAdapter) -> requests.Session:
    """A session whose every call goes to `adapter`."""
    session = new_session()
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def scripted(replies: list[Reply] | Callable[[Asked], Reply], **options: Any) -> tuple[Transport, Script]:
    """Build a transport whose wire is a script."""
    script = Script(replies)
    settings = {"app_id": "123456789", "app_secret": SECRET} | options
    return Transport("https://graph.facebook.com", session=session_on(script), **settings), script


def error(code: int, subcode: int | None = None, *, status: int = 400, message: str = "An error") -> Reply:
    envelope: dict[str, Any] = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A"}
    if subcode is not None:
        envelope["error_subcode"] = subcode
    return status, {"error": envelope}
