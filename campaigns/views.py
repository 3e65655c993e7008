"""Plain forms of the review sheet: ask for a batch, approve, reject and undo it, with or without JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_POST

import campaigns.changes.batches as batches
import campaigns.changes.ledger as ledger
import campaigns.changes.review as review
from accounts.errors import Invalid, Refused
from accounts.tenancy import Principal
from campaigns.changes.batches import Sheet, Wish
from campaigns.states import Field
from metaads.clock import now

View = Callable[..., HttpResponse]


def _form(view: View) -> View:
    """A form of somebody who is signed in; a refusal is a page that says what to do next."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Refused as refusal:
            return render(request, "campaigns/refused.html", {"refusal": refusal}, status=refusal.status)

    guarded: View = login_required(require_POST(wrapper))
    return guarded


def _principal(request: HttpRequest) -> Principal:
    found: Principal = request.principal  # type: ignore[attr-defined]
    return found


def _to(sheet: Sheet) -> HttpResponse:
    return HttpResponseRedirect(f"/batches/{sheet.batch}/", status=303)


def _wish(text: str) -> Wish:
    """`object field target large`, as the sheet's hidden fields hold it."""
    parts = text.split(" ", 3)
    if len(parts) != 4 or parts[1] not in list(Field):
        raise Invalid("This line of the sheet cannot be read.", advice="Open the review sheet again.")
    object_id, field, large, target = parts
    return Wish(object_id, Field(field), target, acknowledged=large == "1")


@_form
def file_batch(request: HttpRequest) -> HttpResponse:
    """Ask for what the review sheet showed, once: `ticket`, `line` (many), `reason`."""
    principal = _principal(request)
    number = review.ticketed(request.POST.get("ticket", ""))
    reason = request.POST.get("reason", "").strip()
    if not reason:
        raise Invalid("Say why.", advice="Go back and fill in the reason: whoever approves reads it.")
    if ledger.batch_exists(number):
        return _to(batches.sheet(principal, number))
    wishes = [_wish(text) for text in request.POST.getlist("line")]
    sheet = batches.file(principal=principal, wishes=wishes, reason=reason, batch=number, now=now())
    if sheet.changes:
        return _to(sheet)
    if sheet.joined:  # all of it was asked for before
        return HttpResponseRedirect(f"/changes/{sheet.joined[0].uuid}/", status=303)
    why = " ".join(dict.fromkeys(one.message for one in sheet.refused))
    raise Invalid("Nothing of it was put on record.", advice=why)


@_form
def approve_batch(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Let all that waits pass, or nothing."""
    digest = request.POST.get("digest", "")
    return _to(batches.approve(principal=_principal(request), batch=str(uuid), digest=digest, now=now()))


@_form
def reject_batch(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Say no to all that waits."""
    digest, reason = request.POST.get("digest", ""), request.POST.get("reason", "")
    sheet = batches.reject(
        principal=_principal(request), batch=str(uuid), digest=digest, reason=reason, now=now()
    )
    return _to(sheet)


@_form
def undo_batch(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Ask for the opposite of all that was applied, as a batch of its own."""
    return _to(batches.undo(principal=_principal(request), batch=str(uuid), now=now()))
