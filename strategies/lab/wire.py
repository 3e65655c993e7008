"""The way to a sandbox in the same process: a `requests` adapter that asks a WSGI application instead of a host."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
import requests.adapters
from urllib3 import HTTPHeaderDict
from urllib3.response import HTTPResponse

Application = Callable[..., Iterable[bytes]]


class InProcess(requests.adapters.BaseAdapter):
    """Answers every request by `application`; for `metaads.gateway.plugged`."""

    def __init__(self, application: Application) -> None:
        super().__init__()
        self._application = application

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        told: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            told["status"], told["headers"] = int(status.split()[0]), headers

        body = b"".join(self._application(_environ(request), start_response))
        raw = HTTPResponse(
            body=io.BytesIO(body),
            status=told["status"],
            headers=HTTPHeaderDict(told["headers"]),
            preload_content=False,
            decode_content=False,
            request_method=request.method,
        )
        return requests.adapters.HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        """Nothing is held."""


def _environ(request: requests.PreparedRequest) -> dict[str, Any]:
    parts = urlsplit(str(request.url))
    given = request.body or b""
    data = given.encode() if isinstance(given, str) else bytes(given)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": unquote(parts.path) or "/",
        "QUERY_STRING": parts.query,
        "SERVER_NAME": parts.hostname,
        "SERVER_PORT": str(parts.port or 443),
        "HTTP_HOST": parts.netloc,
        "CONTENT_LENGTH": str(len(data)),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": io.BytesIO(data),
    }
    for name, value in request.headers.items():
        text = value.decode() if isinstance(value, bytes) else str(value)
        key = name.upper().replace("-", "_")
        if key != "CONTENT_LENGTH":
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = text
    return environ
