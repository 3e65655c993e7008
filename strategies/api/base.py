"""What this floor's views share: a body that is an object, a page of a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from accounts.errors import Invalid

CLIENT = OpenApiParameter("client", str, description="Slug or UUID; without it, all of your clients.")
PAGE = [
    OpenApiParameter("limit", int, description="At most 200, 50 unless said."),
    OpenApiParameter("offset", int),
]
_MOST = 200


def body(request: Request) -> Mapping[str, Any]:
    """The request's JSON object."""
    if not isinstance(request.data, Mapping):
        raise Invalid("The body must be a JSON object.")
    return request.data


def text(data: Mapping[str, Any], key: str, *, required: bool = True) -> str:
    """A text of the body. Raises `Invalid` naming the field."""
    value = data.get(key, None if required else "")
    if not isinstance(value, str) or (required and not value):
        raise Invalid(f"{key} is missing or not a text.", errors=[(key, "must be a text")])
    return value


def page(
    request: Request, rows: QuerySet[Any], shape: Callable[[Any], dict[str, Any]], name: str
) -> dict[str, Any]:
    """One page of a list, with the number of all rows."""
    limit, offset = _number(request, "limit", 50), _number(request, "offset", 0)
    found = rows[offset : offset + min(limit, _MOST)]
    return {"count": rows.count(), name: [shape(row) for row in found]}


def _number(request: Request, key: str, default: int) -> int:
    raw = request.query_params.get(key, str(default))
    if not raw.isascii() or not raw.isdigit() or len(raw) > 9:
        raise Invalid(f"{key} must be a whole number.", errors=[(key, "must be a whole number")])
    return int(raw)
