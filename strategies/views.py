"""The plain form of rules: check or save a document that was written as JSON, with or without JavaScript."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

import accounts.access as access
import strategies.documents as documents
import strategies.drafts as drafts
from accounts.errors import Refused
from accounts.tenancy import Principal
from metaads.clock import now
from strategies.models import Strategy, StrategyType


@login_required
@never_cache
@require_POST
def save_rules(request: HttpRequest) -> HttpResponse:
    """`document` (JSON), `name`, `account` or `strategy`; `do` is `check` or `save`. A mistake is told by its path,
    above the text that was sent."""
    given = {key: request.POST.get(key, "") for key in ("account", "strategy", "name", "document")}
    try:
        data = documents.read_text(given["document"])
        if request.POST.get("do") == "save":
            row = _save(request, given, data)
            return HttpResponseRedirect(f"/strategies/{row.uuid}/", status=303)
        account = access.ad_account(_principal(request), given["account"])
        checked = documents.check(data, ad_account=account)
        return render(request, "strategies/rules.html", {**given, "checked": checked})
    except Refused as refusal:
        return render(request, "strategies/rules.html", {**given, "refusal": refusal}, status=refusal.status)


def _principal(request: HttpRequest) -> Principal:
    found: Principal = request.principal  # type: ignore[attr-defined]
    return found


def _save(request: HttpRequest, given: dict[str, str], data: Any) -> Strategy:
    who = _principal(request)
    fields = {"name": given["name"], "type": StrategyType.CUSTOM.value, "document": data}
    if given["strategy"]:
        row = drafts.get(who, documents.uuid_of(given["strategy"]), verb="edit_strategy")
        return drafts.edit(strategy=row, principal=who, data=fields, now=now())
    account = access.ad_account(who, given["account"], verb="edit_strategy")
    return drafts.create(principal=who, ad_account=account, data=fields, now=now())
