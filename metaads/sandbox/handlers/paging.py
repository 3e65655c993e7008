"""Cursor pages (reference 8.1): both cursors, an absolute ``next`` that carries the token, no ``next`` on the
last page.
"""

from __future__ import annotations

import base64
import urllib.parse
from typing import Any

from metaads.sandbox.errors import GraphError
from metaads.sandbox.handlers.call import Call

DEFAULT_LIMIT = 25


def encode(position: int) -> str:
    """An opaque cursor."""
    return base64.b64encode(str(position).encode()).decode().rstrip("=") + "ZD"


def decode(cursor: str) -> int:
    """The position behind a cursor; code 100 when it is not one of ours."""
    raw = cursor.removesuffix("ZD")
    try:
        return int(base64.b64decode(raw + "=" * (-len(raw) % 4)))
    except ValueError:
        raise GraphError(100, "(#100) Invalid cursor provided in the request", subcode=None) from None


def cut(rows: list[Any], *, limit: int, after: str = "", before: str = "") -> tuple[list[Any], int]:
    """One page and the position of its first row."""
    start = decode(after) + 1 if after else 0
    if before:
        end = decode(before)
        return rows[max(0, end - limit) : end], max(0, end - limit)
    return rows[start : start + limit], start


def wrap(
    call: Call, rows: list[Any], *, start: int, total: int, path: str, params: dict[str, str], limit: int
) -> dict[str, Any]:
    """``data`` and ``paging`` for a page that begins at ``start`` of ``total``; an empty page has no paging."""
    body: dict[str, Any] = {"data": rows}
    if not rows:
        return body
    last = start + len(rows) - 1
    paging: dict[str, Any] = {"cursors": {"before": encode(start), "after": encode(last)}}
    keep = {
        name: value
        for name, value in params.items()
        if name not in ("after", "before", "limit", "access_token")
    }
    if call.token_text:
        keep["access_token"] = call.token_text
    keep["limit"] = str(limit)
    if last + 1 < total:
        paging["next"] = _address(call, path, {**keep, "after": encode(last)})
    if start > 0:
        paging["previous"] = _address(call, path, {**keep, "before": encode(start)})
    body["paging"] = paging
    return body


def _address(call: Call, path: str, params: dict[str, str]) -> str:
    return f"{call.base}/{call.version}/{path}?{urllib.parse.urlencode(params)}"
