"""The one address that Meta calls: the subscription's handshake, and deliveries."""

from __future__ import annotations

import hmac

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from metaads.clock import now
from metaads.inbox import store


@csrf_exempt  # the signature over the body takes the token's place
@require_http_methods(["GET", "POST"])
def webhook(request: HttpRequest) -> HttpResponse:
    """GET: answer the handshake. POST: 200 once stored (Meta repeats otherwise), 403 for a wrong signature."""
    if request.method == "GET":
        return _handshake(request)
    try:
        body = request.body
    except RequestDataTooBig:
        return HttpResponse("too large\n", status=413, content_type="text/plain")
    if not store(body=body, signature=request.headers.get("X-Hub-Signature-256", ""), now=now()):
        return HttpResponse("bad signature\n", status=403, content_type="text/plain")
    return HttpResponse("ok\n", content_type="text/plain")


def _handshake(request: HttpRequest) -> HttpResponse:
    """Meta wants its challenge back as the whole body, if the verify token is ours (docs/meta.md, section 9.1)."""
    ours = settings.META["verify_token"]
    given = request.GET.get("hub.verify_token", "")
    good = bool(ours) and hmac.compare_digest(given.encode(), ours.encode())
    if not good or request.GET.get("hub.mode") != "subscribe":
        return HttpResponse("wrong verify token\n", status=403, content_type="text/plain")
    return HttpResponse(request.GET.get("hub.challenge", "")[:200], content_type="text/plain")
