"""The only way to Meta: one HTTP request in, one Answer out.

    request(method, path, token, params)
        check      path, scheme and host         a mistake of ours raises ValueError, nothing is sent
        guard()    the caller's last word        its exception passes through, nothing is sent
        send       token in the Authorization header, appsecret_proof beside it, no redirect, no retry
        read       streamed, capped in size, under one deadline for the whole call
        classify   -> Answer                     every trouble on the way is an Answer too, no exception

Limits: connect 3 s, read 25 s between two bytes, 30 s in all. The total holds against a server that drips one
byte a minute: a watchdog cuts the socket, because no time-out of `requests` counts the whole call.
Name resolution alone is outside of it.

Nothing here writes tokens, proofs or URLs anywhere: errors of `requests` (whose texts quote the URL) become
rule names, and urllib3's debug log loses its query strings. Source: docs/meta.md, sections 1.2, 2.4, 8.1.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import http.cookiejar
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from metaads.graph import errors, usage
from metaads.graph.errors import Answer, Kind

DEFAULT_HOSTS: Final = frozenset({"graph.facebook.com"})
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
USER_AGENT: Final = "metaads/1.0"
_PIECE: Final = 64 * 1024
_PATH: Final = re.compile(r"[A-Za-z0-9_.\-]+(?:/[A-Za-z0-9_.\-]+)*|")
_TOKEN: Final = re.compile(r"[!-~]{1,4096}")
_VERSION: Final = re.compile(r"v[0-9]{1,3}\.[0-9]{1,2}")

_MALFORMED_TOKEN: Final = Answer(
    kind=Kind.AUTH,
    rule="token_malformed",
    message="the access token is not one printable word",
    advice="Reconnect the Meta account, or paste the token again without spaces and line breaks.",
    sent=False,
)


class _GuardSaidNo(Exception):
    """Carry a guard's exception through urllib3, which would otherwise wrap an OSError."""


class _TooLarge(Exception):
    """The body exceeds the cap."""


class _DeadlinePassed(Exception):
    """The call as a whole took too long."""


class _Call:
    """One call in flight: what the connection must ask before it writes, and what the watchdog must cut."""

    def __init__(self, guard: Callable[[], None] | None) -> None:
        self.guard = guard
        self.refusal: BaseException | None = None
        self.connection: HTTPConnection | None = None
        self.sock: Any = None  # kept apart: http.client forgets it once a body without a length begins
        self.connecting = False
        self.sending = False
        self.expired = False
        self._open = True
        self._lock = threading.Lock()

    def ask_guard(self) -> None:
        if self.guard is None:
            return
        try:
            self.guard()
        except BaseException as refusal:
            self.refusal = refusal
            raise _GuardSaidNo from None

    def cut(self) -> None:
        """Break the connection (from the watchdog's thread), which ends any read or write on it at once."""
        with self._lock:
            if not self._open:
                return
            self.expired = True
            sock = self.sock or getattr(self.connection, "sock", None)
        if sock is not None:
            with suppress(OSError, TypeError):
                # Not SSLSocket.shutdown: that drops the TLS state under the thread that is reading.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            self._open = False


_CURRENT: Final[ContextVar[_Call | None]] = ContextVar("metaads_graph_call", default=None)


class _Watched:
    """Mixed into urllib3's connections: tell the call in flight when we connect and when the first byte
    leaves."""

    sock: Any

    def connect(self) -> None:
        call = _CURRENT.get()
        if call is not None:
            call.connecting = True
            call.connection = self  # type: ignore[assignment]
        super().connect()  # type: ignore[misc]

    def request(self, *args: Any, **kwargs: Any) -> None:
        call = _CURRENT.get()
        if call is not None:
            call.connection = self  # type: ignore[assignment]
            if self.sock is None:
                self.connect()
            call.sock = self.sock
            call.ask_guard()
            call.sending = True
        super().request(*args, **kwargs)  # type: ignore[misc]


class _HTTPConnection(_Watched, HTTPConnection):
    pass


class _HTTPSConnection(_Watched, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class _Adapter(HTTPAdapter):
    """Requests' own adapter over watched connections, without retries."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}


class _HideQuery(logging.Filter):
    """urllib3 logs each request line; the proof, and in the OAuth calls the secret, are in its query."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                argument.split("?", 1)[0] + "?[hidden]"
                if isinstance(argument, str) and "?" in argument
                else argument
                for argument in record.args
            )
        return True


logging.getLogger("urllib3.connectionpool").addFilter(_HideQuery())


class _Bearer(requests.auth.AuthBase):
    """Put the token into the header, or none at all: with an auth object `requests` never looks into
    ~/.netrc."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Transport:
    """A way to one Graph API under one version, for one app. Thread-safe; holds the app secret, never a
    token.

    `base_url` is scheme and host (https://graph.facebook.com). Only hosts in `allowed_hosts` (default:
    Meta's and loopback) are called, and plain http only on loopback or for a host named in
    `plain_http_hosts` (a sandbox in a compose network). With `keep_alive=False` each call opens a
    connection of its own. A `session` that is handed in is used as it is (tests mount their adapter on it).
    `clock` counts seconds monotonically.
    """

    def __init__(
        self,
        base_url: str,
        version: str = "v26.0",
        app_id: str = "",
        app_secret: str = "",
        session: requests.Session | None = None,
        clock: Callable[[], float] = time.monotonic,
        allowed_hosts: frozenset[str] | None = None,
        max_body: int = 32 * 1024 * 1024,
        connect_timeout: float = 3.0,
        read_timeout: float = 25.0,
        total_deadline: float = 30.0,
        keep_alive: bool = True,
        plain_http_hosts: frozenset[str] = frozenset(),
    ) -> None:
        hosts = (DEFAULT_HOSTS if allowed_hosts is None else allowed_hosts) | LOOPBACK | plain_http_hosts
        self.base_url = _checked_base(base_url, hosts=hosts, plain=LOOPBACK | plain_http_hosts)
        if not _VERSION.fullmatch(version):
            raise ValueError("a Graph API version looks like v26.0")
        self.version = version
        self.app_id = app_id
        self.keep_alive = keep_alive
        self._app_secret = app_secret
        self._given = session
        self._pooled = session or new_session()
        self._clock = clock
        self._max_body = max_body
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._total_deadline = total_deadline

    def __repr__(self) -> str:
        return f"Transport({self.base_url}/{self.version})"

    @property
    def app_secret(self) -> str:
        """The app secret, for the OAuth calls that have to send it."""
        return self._app_secret

    def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        secret_params: Mapping[str, str] | None = None,
        guard: Callable[[], None] | None = None,
        fresh: bool = False,
    ) -> Answer:
        """Make one call, exactly once, and classify what came of it.

        `params` go into the query, `data` into a form body; dicts, lists and booleans become JSON.
        `secret_params` (OAuth only) go into the query and are hidden from every text. `guard` is asked
        before connecting and again when the connection stands, right before the first byte; what it raises
        comes out, and nothing was sent. It must be quick and free of side effects. `fresh` opens a
        connection for this call alone. `path` has no version.
        """
        if method not in ("GET", "POST", "DELETE"):
            raise ValueError("the Graph API is called with GET, POST or DELETE")
        url = self._url(path)
        if token is not None and not _TOKEN.fullmatch(token):
            return _MALFORMED_TOKEN
        secrets = dict(secret_params or {})
        proof = self._proof(token)
        query = {**encode(params or {}), **secrets}
        form = encode(data or {})
        if proof is not None:
            (form if method == "POST" else query)["appsecret_proof"] = proof
        hidden = tuple(value for value in (token, proof, self._app_secret, *secrets.values()) if value)
        if guard is not None:
            guard()
        fresh = fresh or not self.keep_alive
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate", "User-Agent": USER_AGENT}
        if fresh:
            headers["Connection"] = "close"
        with self._session(fresh) as session:
            prepared = session.prepare_request(
                requests.Request(
                    method, url, params=query, data=form or None, headers=headers, auth=_Bearer(token)
                )
            )
            return self._send(session, prepared, _Call(guard), hidden)

    def _url(self, path: str) -> str:
        path = path.strip("/")
        if not _PATH.fullmatch(path) or ".." in path:
            raise ValueError("a Graph path consists of ids and edge names")
        return f"{self.base_url}/{self.version}/{path}"

    def _proof(self, token: str | None) -> str | None:
        """appsecret_proof: hex HMAC-SHA256 of the token under the app secret. An app token carries its own
        secret."""
        if not token or not self._app_secret or "|" in token:
            return None
        return hmac.new(self._app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()

    @contextmanager
    def _session(self, fresh: bool) -> Iterator[requests.Session]:
        if not fresh or self._given is not None:
            yield self._pooled
            return
        session = new_session()
        try:
            yield session
        finally:
            session.close()

    def _send(
        self,
        session: requests.Session,
        prepared: requests.PreparedRequest,
        call: _Call,
        hidden: tuple[str, ...],
    ) -> Answer:
        started = self._clock()
        watchdog = threading.Timer(self._total_deadline, call.cut)
        watchdog.daemon = True
        watchdog.start()
        current = _CURRENT.set(call)
        response: requests.Response | None = None
        try:
            environment = session.merge_environment_settings(prepared.url, {}, True, None, None)
            if self.base_url.startswith("http://"):
                environment["proxies"] = {}  # a token in plain text stays on this machine, or in its network
            response = session.send(
                prepared,
                allow_redirects=False,
                timeout=(self._connect_timeout, min(self._read_timeout, self._total_deadline)),
                **environment,
            )
            body = self._body(response, call, started=started)
            return self._judge(response, body, hidden)
        except _GuardSaidNo:
            assert call.refusal is not None
            raise call.refusal from None
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
            OSError,
            ValueError,
        ) as trouble:
            return self._trouble(trouble, call, response)
        except _TooLarge:
            return self._lost("body_too_large", response)
        except _DeadlinePassed:
            return self._lost("deadline_passed", response)
        finally:
            _CURRENT.reset(current)
            call.close()
            watchdog.cancel()
            if response is not None:
                response.close()

    def _body(self, response: requests.Response, call: _Call, *, started: float) -> bytes:
        pieces: list[bytes] = []
        size = 0
        self._in_time(call, started)
        for piece in response.raw.stream(_PIECE, decode_content=True):
            size += len(piece)
            if size > self._max_body:
                raise _TooLarge
            pieces.append(piece)
            self._in_time(call, started)
        self._in_time(call, started)
        return b"".join(pieces)

    def _in_time(self, call: _Call, started: float) -> None:
        # A cut connection can look like the regular end of a body that has no length.
        if call.expired or self._clock() - started > self._total_deadline:
            raise _DeadlinePassed

    def _judge(self, response: requests.Response, body: bytes, hidden: tuple[str, ...]) -> Answer:
        answer = errors.classify(
            status=response.status_code,
            content_type=response.headers.get("Content-Type", ""),
            body=body,
            headers=response.headers,
            secrets=hidden,
        )
        if answer.kind is Kind.THROTTLED:
            regain = float(usage.parse(answer.headers).regain_seconds)
            answer = replace(answer, retry_after=max(regain, answer.retry_after or 0.0))
        return answer

    def _trouble(self, trouble: Exception, call: _Call, response: requests.Response | None) -> Answer:
        """Name what went wrong on the wire. Only positive evidence makes it *not sent*."""
        if call.expired:
            return self._lost("deadline_passed", response, sent=call.sending or not call.connecting)
        if response is None and (_never_connected(trouble) or (call.connecting and not call.sending)):
            tls = isinstance(trouble, requests.exceptions.SSLError)
            return errors.not_answered("tls_refused" if tls else "not_connected", sent=False)
        if isinstance(trouble, (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)):
            return self._lost("timed_out", response)
        if isinstance(trouble, (requests.exceptions.ContentDecodingError, urllib3.exceptions.DecodeError)):
            return self._lost("body_undecodable", response)
        return self._lost("connection_lost", response)

    def _lost(self, rule: str, response: requests.Response | None, *, sent: bool = True) -> Answer:
        if response is None:
            return errors.not_answered(rule, sent=sent)
        return errors.not_answered(rule, sent=sent, status=response.status_code, headers=response.headers)


def encode(params: Mapping[str, Any]) -> dict[str, str]:
    """Write parameters as Meta reads them: JSON for dicts, lists and booleans, text for the rest, None left
    out."""
    encoded: dict[str, str] = {}
    for name, value in params.items():
        if value is None:
            continue
        if isinstance(value, (dict, list, tuple, bool)):
            encoded[name] = json.dumps(value, sort_keys=True, separators=(",", ":"))
        elif isinstance(value, (str, int)):
            encoded[name] = str(value)
        else:
            kind = type(value).__name__
            raise TypeError(f"parameter {name} is a {kind}; the wire takes text, integers and JSON")
    return encoded


def _checked_base(base_url: str, *, hosts: frozenset[str], plain: frozenset[str]) -> str:
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if parts.username or parts.password or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise ValueError("the Graph address is a scheme and a host, such as https://graph.facebook.com")
    if host not in hosts:
        raise ValueError(f"{host or 'this address'} is not among the hosts that may be called")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in plain):
        raise ValueError("tokens travel over https; plain http is for a sandbox on this machine")
    return f"{parts.scheme}://{parts.netloc}"


def new_session() -> requests.Session:
    """Open a pooled session without cookies and without retries. For the gateway; nobody else makes one."""
    session = requests.Session()
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(max_retries=0, pool_connections=4, pool_maxsize=16)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _never_connected(trouble: BaseException) -> bool:
    """Look for proof that no connection came about: then the request cannot have left."""
    seen: set[int] = set()
    pending: list[Any] = [trouble]
    while pending:
        one = pending.pop()
        if id(one) in seen or not isinstance(one, BaseException):
            continue
        seen.add(id(one))
        if isinstance(one, (requests.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError)):
            return True
        if isinstance(one, urllib3.exceptions.NewConnectionError):
            return True
        pending += [getattr(one, "reason", None), *one.args]
    return False
