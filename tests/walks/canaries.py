"""Secrets as they really pass the wire, and a search for any piece of them in whatever a run leaves behind."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import urllib.parse
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.door import WSGIAdapter

PIECE = 12
#: What Graph takes or gives that must stay between it and us.
NAMES = (
    "access_token",
    "appsecret_proof",
    "client_secret",
    "code",
    "fb_exchange_token",
    "input_token",
    "machine_id",
)


def pieces(text: str) -> list[str]:
    """Every twelfth-letter piece, in steps of six: whatever holds eighteen letters in a row holds one of them."""
    last = max(1, len(text) - PIECE + 1)
    return [text[at : at + PIECE] for at in range(0, last, 6)]


def spellings(secret: str) -> set[str]:
    """The secret as it stands, backwards, quoted for an address, and in base64 at each of its three offsets."""
    quoted = urllib.parse.quote(secret, safe="")
    forms = {secret, secret[::-1], quoted, urllib.parse.quote(quoted, safe="")}
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + secret.encode()).decode()
        middle = coded[4:-4]  # the edges depend on what stands beside it
        forms |= {middle, middle.replace("+", "-").replace("/", "_")}
    return forms


class Canaries:
    """What was planted, or learned at the wire; `leaks` says where a piece of it was found."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}

    def plant(self, name: str, secret: str) -> None:
        if len(secret) >= 16 and secret not in self.secrets:
            self.secrets[secret] = f"{name} {sum(known.startswith(name) for known in self.secrets.values())}"

    def names(self) -> set[str]:
        return {name.rpartition(" ")[0] for name in self.secrets.values()}

    def needles(self) -> dict[bytes, str]:
        return {
            piece.encode(): name
            for secret, name in self.secrets.items()
            for form in spellings(secret)
            for piece in pieces(form)
            if len(piece) == PIECE
        }

    def leaks(self, artefacts: Iterable[tuple[str, str | bytes]]) -> list[str]:
        needles = self.needles()
        found = []
        for where, what in artefacts:
            text = what if isinstance(what, bytes) else what.encode("utf-8", "surrogatepass")
            # Every place of the text is looked up once: there are thousands of pieces, all as long as each other.
            hit = next((at for at in range(len(text) - PIECE + 1) if text[at : at + PIECE] in needles), None)
            if hit is not None:
                around = re.sub(rb"[^\x20-\x7e]", b".", text[max(0, hit - 60) : hit + 40]).decode()
                found.append(f"{needles[text[hit : hit + PIECE]]} in {where}: …{around}…")
        return found


class Ear:
    """A WSGI application before the sandbox, for a sandbox on a port; it learns as `Listening` does."""

    def __init__(self, sandbox: Any, canaries: Canaries) -> None:
        self.sandbox, self.canaries = sandbox, canaries

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        sent = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(sent)
        self._learn(parse_qsl(environ.get("QUERY_STRING", "")) + parse_qsl(sent.decode("utf-8", "replace")))
        _, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        self._learn([("access_token", token)])

        def started(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            back = dict(headers).get("Location", "")
            self._learn(parse_qsl(urlsplit(back).query))  # the code, on its way to the browser
            return start_response(status, headers, *rest)

        body = b"".join(self.sandbox(environ, started))
        with contextlib.suppress(ValueError, AttributeError):
            self._learn([(name, value) for name, value in json.loads(body).items() if isinstance(value, str)])
        return [body]

    def _learn(self, said: list[tuple[str, str]]) -> None:
        for name, value in said:
            if name in NAMES:
                self.canaries.plant(name, value.partition("|")[2] or value)


class Listening(WSGIAdapter):
    """The door to the sandbox; it learns each secret that goes out or comes back."""

    def __init__(self, sandbox: Any, canaries: Canaries) -> None:
        super().__init__(self._answered)  # type: ignore[arg-type]
        self._sandbox = sandbox
        self.canaries = canaries

    def _answered(self, environ: Any, start_response: Any) -> list[bytes]:
        body = b"".join(self._sandbox(environ, start_response))
        with contextlib.suppress(ValueError, AttributeError):
            answer = json.loads(body)
            for name in NAMES:
                if isinstance(answer.get(name), str):
                    self.canaries.plant(name, answer[name])
        return [body]

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        self._outgoing(request)
        return super().send(request, *args, **kwargs)

    def _outgoing(self, request: Any) -> None:
        body = request.body.decode() if isinstance(request.body, bytes) else request.body or ""
        given = parse_qsl(urlsplit(str(request.url)).query) + parse_qsl(body)
        if body.startswith("{"):
            given += [(str(name), str(value)) for name, value in json.loads(body).items()]
        for name, value in given:
            if name in NAMES:
                self.canaries.plant(name, value.partition("|")[2] or value)  # an app's token is id|secret
        scheme, _, token = str(request.headers.get("Authorization", "")).partition(" ")
        if scheme.lower() in ("bearer", "oauth"):
            self.canaries.plant("access_token", token.partition("|")[2] or token)
