"""Writing rules: the form with its vocabulary, and what the rules would do now, before they are saved."""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

import accounts.access as access
import strategies.documents as documents
import strategies.drafts as drafts
import strategies.preview as previews
from accounts.errors import Forbidden, NotFound, Refused
from accounts.models import AdAccount
from accounts.tenancy import Principal
from dashboard.pages.frame import Context, asked, asked_client, page, principal, show
from metaads.clock import now
from strategies.engine.flip import by_figure, by_rule
from strategies.engine.reading import read_rules
from strategies.engine.vocabulary import vocabulary
from strategies.models import Strategy, StrategyType
from strategies.preview import Near, Preview

#: What a new strategy starts from: a rule that can be read, and changed into one's own.
STARTER = {
    "level": "adset",
    "cases": [
        {
            "name": "Too dear",
            "when": {
                "all": [
                    {"metric": "cpc", "op": ">", "than": {"metric": "cpc", "of": "account", "times": "1.5"}},
                    {"metric": "spend", "op": ">", "than": {"number": "20"}},
                ]
            },
            "do": [{"action": "pause"}],
        }
    ],
}


@page
def new(request: HttpRequest) -> HttpResponse:
    who = principal(request)
    here = asked_client(request)
    accounts = [
        row
        for row in access.ad_accounts(who, client=here, enabled=True)
        if access.may(who, "edit_strategy", row.client_id)
    ]
    wanted = request.GET.get("account", "")
    account = access.ad_account(who, wanted, verb="edit_strategy") if wanted else next(iter(accounts), None)
    if account is None:
        raise NotFound(
            "There is no ad account whose strategies you may write.",
            advice="Connect one and switch it on, or ask an owner or manager for the role.",
        )
    document = documents.stored(documents.read(STARTER))
    context = {"title": "New strategy", "accounts": accounts or [account], "name": "", "strategy": None}
    return _show(request, account, document, context)


@page
def edit(request: HttpRequest, uuid: str) -> HttpResponse:
    who = principal(request)
    row = drafts.get(who, uuid)
    if not access.may(who, "edit_strategy", row.client_id):
        raise Forbidden("Your role reads strategies here.")
    document = documents.stored(documents.of(row))
    context = {
        "title": f"Edit {row.name}", "accounts": [row.ad_account], "name": row.name, "strategy": row,
        "of_the_brief": row.type != StrategyType.CUSTOM,
    }  # fmt: skip
    return _show(request, row.ad_account, document, context)


def _show(request: HttpRequest, account: AdAccount, document: object, context: Context) -> HttpResponse:
    read = documents.parse_stored(document)  # type: ignore[arg-type]
    context |= {
        "account": account,
        "document": json.dumps(document, indent=2),
        "read_back": read_rules(read, currency=account.currency),
        "vocabulary": vocabulary(),
    }
    return show(
        request, "dashboard/builder.html", section="strategies", client=account.client, context=context
    )


@asked
def trial(request: HttpRequest) -> HttpResponse:
    """What the rules of the form would do now: a part of the page for its script, a page of its own without."""
    who = principal(request)
    strategy, account = _place(who, request)
    part = request.headers.get("X-Part") == "1"
    try:
        data = documents.read_text(request.POST.get("document", ""))
        found = previews.preview(ad_account=account, data=data, now=now(), strategy=strategy)
    except Refused as refusal:
        if not part:
            raise
        return render(request, "dashboard/parts/preview.html", {"refusal": refusal}, status=refusal.status)
    context: Context = {"title": "Preview", "account": account, **_told(found)}
    if part:
        return render(request, "dashboard/parts/preview.html", context)
    return show(
        request, "dashboard/preview.html", section="strategies", client=account.client, context=context
    )


def _place(who: Principal, request: HttpRequest) -> tuple[Strategy | None, AdAccount]:
    if request.POST.get("strategy"):
        row = drafts.get(who, documents.uuid_of(request.POST["strategy"]))
        return row, row.ad_account
    return None, access.ad_account(who, request.POST.get("account", ""))


def _told(found: Preview) -> Context:
    return {
        "preview": found,
        "snapshot": found.snapshot,
        "near": [(one.judgement, _turn(one, found)) for one in found.near],
    }


def _turn(near: Near, found: Preview) -> str:
    if near.flip.by_figures:
        return "if " + " and ".join(by_figure(move, found.snapshot) for move in near.flip.moves)
    return "if " + " and ".join(by_rule(move, found.snapshot) for move in near.flip.moves)
