"""A sandbox that costs little to ask again, so that a benchmark measures its client.

    GET .../insights, asked before, nothing changed since -> the same bytes, after `latency`, without the sandbox's lock
    anything else                                         -> the sandbox, after `latency`

Numbers stand still from the first answer until an effect reaches the journal (a write, an edit, a fault), as Meta's
stand still between two refreshes. What is answered from memory is neither counted by the limits nor in the history;
the token is part of what is asked, so a refused one is never served. `/_sandbox/replay` sets the latency
(`latency_ms`) and answers how many requests came.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from metaads.sandbox.app import Sandbox, StartResponse

_Kept = tuple[str, list[tuple[str, str]], bytes]


class Replayed:
    """Callable as WSGI, in place of its sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        sandbox.desk.replayed = {}
        self.latency = 0.0
        self.requests = 0
        self._kept: dict[tuple[str, str, str], _Kept] = {}
        self._effects = len(sandbox.journal)
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path, query = str(environ.get("PATH_INFO", "")), str(environ.get("QUERY_STRING", ""))
        if path.rstrip("/") == "/_sandbox/replay":
            return self._control(query, start_response)
        if path.startswith("/_sandbox/"):
            return self.sandbox(environ, start_response)
        with self._lock:
            self.requests += 1
            if len(self.sandbox.journal) != self._effects:
                self._forget()
        if self.latency:
            time.sleep(self.latency)
        if environ["REQUEST_METHOD"] != "GET" or not path.rstrip("/").endswith("/insights"):
            return self.sandbox(environ, start_response)
        key = (path, query, str(environ.get("HTTP_AUTHORIZATION", "")))
        kept = self._kept.get(key) or self._ask(environ, key)
        start_response(kept[0], list(kept[1]))
        return [kept[2]]

    def _ask(self, environ: dict[str, Any], key: tuple[str, str, str]) -> _Kept:
        said: list[Any] = []

        def hear(status: str, headers: list[tuple[str, str]], *_: Any) -> Callable[[bytes], None]:
            said[:] = [status, headers]
            return lambda data: None

        body = b"".join(self.sandbox(environ, hear))
        kept: _Kept = (said[0], said[1], body)
        if said[0].startswith("200"):
            self._kept[key] = kept
        return kept

    def _forget(self) -> None:
        self._kept.clear()
        if self.sandbox.desk.replayed is not None:
            self.sandbox.desk.replayed.clear()
        self._effects = len(self.sandbox.journal)

    def _control(self, query: str, start_response: StartResponse) -> Iterable[bytes]:
        asked = parse_qs(query)
        if "latency_ms" in asked:
            self.latency = max(0.0, float(asked["latency_ms"][-1])) / 1000
        body = json.dumps({"requests": self.requests, "kept": len(self._kept)}).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]
