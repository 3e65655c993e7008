"""One answer for everything that goes wrong: RFC 9457 problem details.

    type       where the code is explained (a fragment of the API's documentation)
    title      the status in words          status   the HTTP status
    detail     what happened                advice   what to do next
    code       stable, for programs         errors[] {field, message, code} of a request that must be mended
    instance   the path                     request_id

An unforeseen error answers its id and nothing else; its story is in the log under that id.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation, ValidationError
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from accounts.api.renderers import encode
from accounts.errors import Refused
from metaads.clock import now
from metaads.graph.errors import AuthFailed, GraphError, NotPermitted, Throttled, Transient
from metaads.quota import Blocked

CONTENT_TYPE = "application/problem+json"
log = logging.getLogger(__name__)
#: When to ask again while the database does not answer in time.
BUSY_SECONDS = 5
#: What SQLite says in the same way, but of a statement that will never work (no such table).
_SQLITE_ERROR = 1


def handler(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler: every exception of a view becomes a problem document."""
    request = context.get("request")
    problem = _problem(error)
    if problem is None:
        log.error("unforeseen error on %s", getattr(request, "path", "?"), exc_info=error)
        problem = {"status": 500, "code": "internal", "detail": "Something went wrong on our side."}
        problem["advice"] = "Try again; if it stays, report the request id."
    elif database_away(error):
        log.error("the database did not answer in time on %s", getattr(request, "path", "?"), exc_info=error)
    set_rollback()
    headers = problem.pop("headers", {})
    return Response(
        _document(problem, request), status=int(problem["status"]), headers=headers, content_type=CONTENT_TYPE
    )


def busy(request: HttpRequest) -> HttpResponse:
    """The same document for what is not an API view's: a session that could not be read, another library's path."""
    problem = _busy()
    headers = problem.pop("headers")
    return HttpResponse(
        encode(_document(problem, request)), status=503, headers=headers, content_type=CONTENT_TYPE
    )


def database_away(error: BaseException | None) -> bool:
    """Whether the database gave no answer in time: no connection, a time-out, a lock, a full disk, a shutdown."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    cause = error.__cause__
    code = getattr(cause, "sqlite_errorcode", None) if isinstance(cause, sqlite3.Error) else None
    return code is None or code & 0xFF != _SQLITE_ERROR


def _busy() -> dict[str, Any]:
    return {
        "status": 503,
        "code": "busy",
        "detail": "The database did not answer in time.",
        "advice": f"Try again in {BUSY_SECONDS} seconds. If you sent something, look whether it is there before you "
        "send it again.",
        "headers": _retry(BUSY_SECONDS),
    }


def _document(problem: dict[str, Any], request: Any) -> dict[str, Any]:
    status = int(problem["status"])
    return {
        "type": f"/api/docs/#problem-{problem['code']}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": problem["detail"],
        "code": problem["code"],
        "advice": problem.get("advice", ""),
        "errors": problem.get("errors", []),
        "instance": getattr(request, "path", ""),
        "request_id": getattr(getattr(request, "_request", request), "request_id", ""),
    }


def _problem(error: Exception) -> dict[str, Any] | None:
    if isinstance(error, Refused):
        return _refused(error)
    if isinstance(error, GraphError):
        return _graph(error)
    if database_away(error):
        return _busy()
    if isinstance(error, ValidationError):
        error = exceptions.ValidationError(
            error.message_dict if hasattr(error, "error_dict") else error.messages
        )
    if isinstance(error, Blocked):
        seconds = (error.until - now()).total_seconds()
        detail = "Meta's call limit is reached."
        return {
            "status": 429,
            "code": "meta_throttled",
            "detail": detail,
            "advice": str(error),
            "headers": _retry(seconds),
        }
    if isinstance(error, RequestDataTooBig):
        return {
            "status": 413,
            "code": "too_large",
            "detail": "The request is too large.",
            "advice": "Send less at once.",
        }
    if isinstance(error, SuspiciousOperation | UnreadablePostError):
        return {
            "status": 400,
            "code": "unreadable",
            "detail": "The request could not be read.",
            "advice": "Send it again.",
        }
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, exceptions.ValidationError):
        fields = list(_fields(error.detail))
        detail = fields[0]["message"] if len(fields) == 1 else "The request has to be mended."
        return {"status": 400, "code": "invalid", "detail": detail, "errors": fields}
    if isinstance(error, exceptions.APIException):
        return _drf(error)
    return None


def _refused(error: Refused) -> dict[str, Any]:
    return {
        "status": error.status,
        "code": error.code,
        "detail": error.message,
        "advice": error.advice,
        "errors": [
            {"field": field, "message": message, "code": error.code} for field, message in error.errors
        ],
        "headers": _retry(error.retry_after),
    }


def _graph(error: GraphError) -> dict[str, Any]:
    """What Meta answered, in the words of its table; a failed token is the caller's to renew, not a crash."""
    answer = error.answer
    status, code = 502, "meta_refused"
    if isinstance(error, Throttled):
        status, code = 429, "meta_throttled"
    elif isinstance(error, AuthFailed):
        status, code = 409, "reconnect_needed"
    elif isinstance(error, NotPermitted):
        status, code = 409, "meta_not_permitted"
    elif isinstance(error, Transient):
        status, code = 503, "meta_unavailable"
    detail = answer.user_message or answer.message or "Meta's answer could not be used."
    retry = error.retry_after if isinstance(error, Throttled) else None
    return {
        "status": status,
        "code": code,
        "detail": detail,
        "advice": answer.advice,
        "headers": _retry(retry),
    }


def _drf(error: exceptions.APIException) -> dict[str, Any]:
    headers: dict[str, str] = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
    if isinstance(error, exceptions.Throttled):
        headers |= _retry(getattr(error, "wait", None))
    codes = error.get_codes()
    return {
        "status": error.status_code,
        "code": codes if isinstance(codes, str) else error.default_code,
        "detail": str(error.detail),
        "advice": _ADVICE.get(error.status_code, ""),
        "headers": headers,
    }


_ADVICE = {
    401: "Sign in, or send a valid token or API key.",
    404: "Check the address and the id.",
    405: "Use one of the methods in the Allow header.",
    415: "Send application/json.",
    429: "Wait for the time in Retry-After.",
}


def _retry(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(max(1, round(seconds)))}


def _fields(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested error lists, flattened to one entry per field and message."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            at = path if name == "non_field_errors" else f"{path}.{name}".strip(".")
            yield from _fields(inner, at)
    elif isinstance(detail, list | tuple):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, dict | list | tuple)
            yield from _fields(inner, f"{path}[{index}]" if nested else path)
    else:
        yield {"field": path, "message": str(detail), "code": str(getattr(detail, "code", "") or "invalid")}
