"""What Meta calls when a user leaves, and the page that says how far a deletion is."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

import accounts.deletions as deletions
from accounts.errors import Refused
from metaads.clock import now


@csrf_exempt  # the signature takes the token's place
@require_POST
def deauthorize(request: HttpRequest) -> JsonResponse:
    """Meta says that a user removed our app: stop everything that runs under that user's name."""
    return _signed(request, deletions.DEAUTHORIZE)


@csrf_exempt
@require_POST
def data_deletion(request: HttpRequest) -> JsonResponse:
    """Meta passes on that a user wants to be forgotten; the answer is what Meta shows to that person."""
    return _signed(request, deletions.DELETION)


def _signed(request: HttpRequest, kind: str) -> JsonResponse:
    """400 for whatever is not Meta's; else the confirmation code, the same for a repeat."""
    try:
        filed = deletions.receive(kind=kind, signed_request=request.POST.get("signed_request", ""), now=now())
    except Refused as refusal:
        return JsonResponse({"error": refusal.message}, status=refusal.status)
    answer = {"confirmation_code": filed.code}
    if kind == deletions.DELETION:
        answer = {"url": deletions.status_address(filed), **answer}
    return JsonResponse(answer)


@never_cache
@require_safe
def data_deletion_status(request: HttpRequest, code: str) -> HttpResponse:
    """How far a deletion is, for the person who holds its code; no sign-in, and nothing about who they are."""
    try:
        filed = deletions.find(code)
    except Refused as refusal:
        return render(request, "accounts/data_deletion.html", {"refusal": refusal}, status=refusal.status)
    context = {"filed": filed, "parts": deletions.progress(filed)}
    return render(request, "accounts/data_deletion.html", context)
