"""`/api/session`: how long the asking session lasts, and the button *Stay signed in*."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

import accounts.sessions as sessions
from accounts.api.meta import ERRORS
from accounts.api.shapes import SessionShape
from accounts.models import ApiKey, User
from metaads.clock import now


class SessionView(APIView):
    """Not a tenant's: it answers about the caller alone, whatever they may see or still have to set up."""

    @extend_schema(summary="How long this session lasts", responses={200: SessionShape, **ERRORS})
    def get(self, request: Request) -> Response:
        """With `X-Poll: 1` asking does not count as activity."""
        return _told(request)

    @extend_schema(summary="Stay signed in", request=None, responses={200: SessionShape, **ERRORS})
    def post(self, request: Request) -> Response:
        """The person is there: the idle limit counts anew. The absolute limit stays; tokens live on by a refresh."""
        if request.auth is None:
            sessions.touch(session=request.session, now=now(), at_once=True)
        return _told(request)


def _told(request: Request) -> Response:
    assert isinstance(request.user, User)
    answer: dict[str, Any] = {
        "kind": "key"
        if isinstance(request.auth, ApiKey)
        else "token"
        if request.auth is not None
        else "session",
        "person": str(request.user.uuid),
        "idle_seconds": None,
        "absolute_seconds": None,
        "warn_seconds": sessions.WARN_SECONDS,
    }
    held = request.auth if isinstance(request.auth, SessionBase) else request.session
    if answer["kind"] != "key":
        left = sessions.left(session=held, user=request.user, now=now())
        answer.update(idle_seconds=left.idle, absolute_seconds=left.absolute)
    return Response(SessionShape(answer).data)
