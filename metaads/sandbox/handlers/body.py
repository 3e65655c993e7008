"""Parameters of a request: query and body together; urlencoded, multipart and JSON bodies (reference 1.2)."""

from __future__ import annotations

import email.parser
import email.policy
import json
import urllib.parse
from typing import Any

LARGEST = 4_000_000


def parameters(environ: dict[str, Any]) -> dict[str, Any]:
    """All parameters by name; the body wins over the query."""
    params: dict[str, Any] = dict(
        urllib.parse.parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    )
    length = min(int(environ.get("CONTENT_LENGTH") or 0), LARGEST)
    if not length:
        return params
    data: bytes = environ["wsgi.input"].read(length)
    kind = str(environ.get("CONTENT_TYPE", "")).lower()
    if kind.startswith("application/json"):
        try:
            given = json.loads(data)
        except ValueError:
            return params
        return params | given if isinstance(given, dict) else params
    if kind.startswith("multipart/form-data"):
        return params | _multipart(data, str(environ["CONTENT_TYPE"]))
    return params | dict(urllib.parse.parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True))


def _multipart(data: bytes, content_type: str) -> dict[str, Any]:
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + data
    )
    found: dict[str, Any] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if name and isinstance(payload, bytes):
            found[str(name)] = payload.decode("utf-8", "replace")
    return found
