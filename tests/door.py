"""The tests' way to the sandbox: a ``requests`` adapter that runs it in process, faults included.

session.mount("https://graph.facebook.com", WSGIAdapter(sandbox))
"""

from __future__ import annotations

import io
import urllib.parse
from typing import Any

import requests
import requests.adapters
from urllib3 import HTTPHeaderDict
from urllib3.response import HTTPResponse

from metaads.sandbox.app import Sandbox
from metaads.sandbox.errors import NoAnswer


class WSGIAdapter(requests.adapters.BaseAdapter):
    """Hands each request to a sandbox; a call that is never answered becomes ``requests.ReadTimeout``."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        self.sandbox = sandbox
        self.requests: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Answer in process."""
        self.requests.append(request)
        status, headers, body = call(self.sandbox, request)
        raw = HTTPResponse(
            body=io.BytesIO(body),
            status=status,
            headers=HTTPHeaderDict(headers),
            preload_content=False,
            decode_content=False,
            reason=None,
            request_method=request.method,
        )
        response = requests.adapters.HTTPAdapter().build_response(request, raw)
        if not kwargs.get("stream"):
            response.content
        return response

    def close(self) -> None:
        """Nothing is held."""


def call(sandbox: Sandbox, request: requests.PreparedRequest) -> tuple[int, list[tuple[str, str]], bytes]:
    """One request through WSGI: status, headers, body."""
    parts = urllib.parse.urlsplit(str(request.url))
    payload = request.body or b""
    data = payload.encode() if isinstance(payload, str) else bytes(payload)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": urllib.parse.unquote(parts.path) or "/",
        "QUERY_STRING": parts.query,
        "SERVER_NAME": parts.hostname,
        "SERVER_PORT": str(parts.port or 443),
        "HTTP_HOST": parts.netloc,
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": io.BytesIO(data),
        "CONTENT_LENGTH": str(len(data)),
    }
    for name, value in request.headers.items():
        text = value.decode() if isinstance(value, bytes) else str(value)
        if name.lower() == "content-type":
            environ["CONTENT_TYPE"] = text
        elif name.lower() != "content-length":
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = text
    found: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        found["status"], found["headers"] = int(status.split()[0]), headers

    try:
        body = b"".join(sandbox(environ, start_response))
    except NoAnswer:
        raise requests.ReadTimeout("the sandbox does not answer", request=request) from None
    return found["status"], found["headers"], body


def session(sandbox: Sandbox, *, base: str = "https://graph.facebook.com") -> requests.Session:
    """A session whose calls to ``base`` reach the sandbox."""
    made = requests.Session()
    made.mount(base, WSGIAdapter(sandbox))
    return made
