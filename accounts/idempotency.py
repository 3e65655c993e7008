"""`Idempotency-Key`: the same request twice moves once, and the second gets the first one's answer.

    new key           work is done, the answer is kept
    same key, same request       the kept answer, with `Idempotency-Replayed: true`
    same key, other request      422, nothing moves
    same key, first still at work   409 with Retry-After

A refusal or a crash forgets the key: nothing moved, so the caller may mend and try again.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpResponse
from rest_framework.request import Request

from accounts.errors import Conflict, Invalid, Refused
from accounts.models import IdempotencyRecord
from metaads.clock import now

#: A first request that has not finished by now has died with its process.
_DEAD_AFTER = timedelta(minutes=2)
_KEEP = timedelta(days=1)
_KEPT_HEADERS = ("Location", "Content-Type")

View = Callable[..., Any]


class KeyReused(Refused):
    status = 422
    code = "idempotency_key_reused"
    advice = "Use a new Idempotency-Key for a new request."


def idempotent(method: View) -> View:
    """Decorate a DRF view method: honour `Idempotency-Key` where it is sent."""

    @functools.wraps(method)
    def wrapper(view: Any, request: Request, *args: Any, **kwargs: Any) -> Any:
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return method(view, request, *args, **kwargs)
        if len(key) > 200 or not key.isprintable():
            raise Invalid("Idempotency-Key is at most 200 printable characters.", code="idempotency_key")
        record, kept = _begin(request, key, now())
        if kept is not None:
            return kept
        try:
            response = method(view, request, *args, **kwargs)
        except BaseException:
            record.delete()
            raise
        _keep_when_rendered(view, request, response, record)
        return response

    return wrapper


def _begin(request: Request, key: str, moment: datetime) -> tuple[IdempotencyRecord, HttpResponse | None]:
    """Claim the key. The second value is the kept answer of an earlier request with it."""
    route = f"{request.method} {request.path}"[:200]
    fields = {"user_id": request.user.pk, "route": route, "key": key}
    digest = hashlib.sha256(
        request._request.get_full_path().encode() + b"\0" + request._request.body
    ).hexdigest()
    IdempotencyRecord.objects.filter(
        **fields, status__isnull=True, created_at__lt=moment - _DEAD_AFTER
    ).delete()
    IdempotencyRecord.objects.filter(**fields, created_at__lt=moment - _KEEP).delete()
    try:
        with transaction.atomic():
            return IdempotencyRecord.objects.create(**fields, request_hash=digest, created_at=moment), None
    except IntegrityError:
        pass
    record = IdempotencyRecord.objects.filter(**fields).first()
    if record is None or (record.status is None and record.request_hash == digest):
        raise Conflict(
            "The first request with this Idempotency-Key is still at work.",
            code="idempotency_in_progress",
            advice="Wait and send it again unchanged.",
            retry_after=1,
        )
    if record.request_hash != digest:
        raise KeyReused("This Idempotency-Key was used for another request.")
    return record, HttpResponse(
        record.body, status=record.status, headers={**record.headers, "Idempotency-Replayed": "true"}
    )


def _keep_when_rendered(view: Any, request: Request, response: Any, record: IdempotencyRecord) -> None:
    def keep(rendered: Any) -> None:
        headers = {name: rendered.headers[name] for name in _KEPT_HEADERS if name in rendered.headers}
        IdempotencyRecord.objects.filter(pk=record.pk).update(
            status=rendered.status_code, body=rendered.content.decode(), headers=headers
        )

    if hasattr(response, "add_post_render_callback") and not response.is_rendered:
        response.add_post_render_callback(keep)
    else:
        keep(response)


def sweep(*, now: datetime) -> int:
    """Forget answers older than a day."""
    gone, _ = IdempotencyRecord.objects.filter(created_at__lt=now - _KEEP).delete()
    return gone
