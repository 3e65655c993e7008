"""A sandbox that costs little to ask again, so that a benchmark measures its client.

    GET .../insights, asked before, nothing changed since -> the same bytes, after `latency`, without the sandbox's lock
    the same of a report run of the same question         -> the same bytes, under this run's id
    anything else                                         -> the sandbox, after `latency`

A report run is ready when it is first looked at, as it never is at Meta: how long a client sleeps between two looks is
its own choice, and would hide what it does with the rows.

Numbers stand still from the first answer until an effect reaches the journal (a write, an edit, a fault), as Meta's
stand still between two refreshes. What is answered from memory is neither counted by the limits nor in the history.
Whoever may see the same shares an answer, with a token that the sandbox has once answered and not refused since;
any other token is asked about there first. `/_sandbox/replay` sets the latency
(`latency_ms`) and answers how many requests came.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import parse_qs, parse_qsl

from metaads.sandbox.app import Sandbox, StartResponse
from metaads.sandbox.world import people


class _Kept(NamedTuple):
    status: str
    headers: list[tuple[str, str]]
    body: bytes
    token: str
    run: str


class Replayed:
    """Callable as WSGI, in place of its sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        sandbox.desk.replayed = {}
        self.latency = 0.0
        self.requests = 0
        self._kept: dict[tuple[Any, ...], _Kept] = {}
        self._good: set[tuple[str, str]] = set()
        self._seen = len(sandbox.journal)
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path, query = str(environ.get("PATH_INFO", "")), str(environ.get("QUERY_STRING", ""))
        if path.rstrip("/") == "/_sandbox/replay":
            return self._control(query, start_response)
        if path.startswith("/_sandbox/"):
            return self.sandbox(environ, start_response)
        with self._lock:
            self.requests += 1
            new = self.sandbox.journal.since(self._seen)
            self._seen += len(new)
            # A report run asks for numbers and changes none.
            if any(entry.kind != "run" for entry in new):
                self._forget()
        if self.latency:
            time.sleep(self.latency)
        if environ["REQUEST_METHOD"] != "GET" or not path.rstrip("/").endswith("/insights"):
            return self.sandbox(environ, start_response)
        token, proof, question = _parted(query, str(environ.get("HTTP_AUTHORIZATION", "")))
        asked, run = self._asked(path)
        key = (asked, question, self._who(token))
        kept = self._kept.get(key) if (token, proof) in self._good else None
        if kept is None:
            kept = self._ask(environ, key, token, run)
            if kept.status.startswith("200"):
                self._good.add((token, proof))
        # The address of the next page has the token and the run in it: whoever asks finds his own there.
        body = kept.body if kept.token == token else kept.body.replace(kept.token.encode(), token.encode())
        if kept.run != run:
            body = body.replace(f"/{kept.run}/insights?".encode(), f"/{run}/insights?".encode())
        headers = [
            (name, str(len(body)) if name == "Content-Length" else value) for name, value in kept.headers
        ]
        start_response(kept.status, headers)
        return [body]

    def _who(self, text: str) -> tuple[object, ...]:
        token = people.read(text, app_id=self.sandbox.app_id, secret=self.sandbox.app_secret)
        return (token.kind, token.user, token.scopes) if token is not None else (text,)

    def _asked(self, path: str) -> tuple[str, str]:
        """What is asked about, and the id of the report run that is asked: the results of two runs of one question
        are one thing."""
        version, _, rest = path.strip("/").partition("/")
        run = self.sandbox.world.runs.get(rest.partition("/")[0])
        if run is None or run.data["fails"]:
            return path, ""
        params = json.dumps(run.data["params"], sort_keys=True)
        return f"{version} {run.data['object_id']} {params}", str(run.data["id"])

    def _ask(self, environ: dict[str, Any], key: tuple[Any, ...], token: str, run: str) -> _Kept:
        said: list[Any] = []

        def hear(status: str, headers: list[tuple[str, str]], *_: Any) -> Callable[[bytes], None]:
            said[:] = [status, headers]
            return lambda data: None

        body = b"".join(self.sandbox(environ, hear))
        kept = _Kept(said[0], said[1], body, token, run)
        if said[0].startswith("200"):
            self._kept[key] = kept
        return kept

    def _forget(self) -> None:
        self._kept.clear()
        self._good.clear()
        if self.sandbox.desk.replayed is not None:
            self.sandbox.desk.replayed.clear()

    def _control(self, query: str, start_response: StartResponse) -> Iterable[bytes]:
        asked = parse_qs(query)
        if "latency_ms" in asked:
            self.latency = max(0.0, float(asked["latency_ms"][-1])) / 1000
        body = json.dumps({"requests": self.requests, "kept": len(self._kept)}).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


def _parted(query: str, authorization: str) -> tuple[str, str, str]:
    """Token and proof of whoever asks, and what is asked."""
    shown = dict(parse_qsl(query))
    named = ("access_token=", "appsecret_proof=")
    question = "&".join(one for one in query.split("&") if not one.startswith(named))
    token = authorization.partition(" ")[2] or shown.get("access_token", "")
    return token, shown.get("appsecret_proof", ""), question
