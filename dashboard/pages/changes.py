"""One change as a story with its timeline, and the ledger of everything that happened."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse

import accounts.access as access
import campaigns.changes.ledger as ledger
import campaigns.changes.standing as standing
from accounts.models import User
from accounts.tenancy import Principal
from campaigns.models import Change, LedgerLine
from campaigns.states import ChangeState
from dashboard.pages.frame import Context, Part, asked_client, page, principal, show, whole_number
from dashboard.pages.stories import MOVING, steps, tree, what_of, who_did, whose
from metaads.clock import now

_PAGE = 50


@page
def one(request: HttpRequest, uuid: str) -> HttpResponse:
    who = principal(request)
    row = ledger.change(who, uuid)
    parts = {"story": Part("dashboard/parts/story.html", lambda: _story(who, uuid))}
    context: Context = {"title": row.object_name or row.object_id, "change": row}
    return show(
        request,
        "dashboard/change.html",
        section="ledger",
        client=row.client,
        context=context,
        parts=parts,
        account=row.ad_account,
    )


def _story(who: Principal, uuid: str) -> Context:
    row = ledger.change(who, uuid)
    lines = list(ledger.lines(who, change=row).order_by("seq"))
    return {
        "change": row,
        "story": ledger.story(row),
        "cannot_be_undone": ledger.cannot_be_undone(row),
        "steps": steps(row),
        "moving": row.state in MOVING,
        "lines": lines,
        "did": who_did(lines, names_of(lines)),
        "tree": tree(who, row),
        "answered_here": row.source != "strategy",
        "may_undo": undoable(who, row),
        **asked_of(who, row),
    }


def undoable(who: Principal, row: Change) -> bool:
    """Whether to offer an undo: it was applied, something stood there before, and nobody has asked for it yet. Whether
    somebody has touched the value since is asked when it is pressed."""
    if (
        row.state != ChangeState.APPLIED
        or not row.before
        or not access.may(who, "request_change", row.client_id)
    ):
        return False
    ended = (ChangeState.REJECTED, ChangeState.EXPIRED, ChangeState.FAILED)
    return not Change.objects.for_(who).filter(undo_of=row).exclude(state__in=ended).exists()


def asked_of(who: Principal, row: Change) -> Context:
    """Whether the reader may approve the change, else why not and who may; and what would keep it back anyway."""
    moment = now()
    if standing.closed(row, now=moment) is not None:
        return {"waits": False}
    found = standing.of(row, who, now=moment)
    return {
        "waits": True,
        "standing": found,
        "may_reject": access.may(who, "approve", row.client_id),
        "others": () if found.may else standing.others(row, who, now=moment),
        "hindrances": standing.hindrances(row, now=moment),
    }


@page
def ledger_page(request: HttpRequest) -> HttpResponse:
    who = principal(request)
    account = access.ad_account(who, request.GET["account"]) if request.GET.get("account") else None
    here = account.client if account is not None else asked_client(request)
    number = whole_number(request, "page", default=1, most=10_000)

    def fill() -> Context:
        rows = ledger.lines(who, ad_account=account).order_by("-at", "-pk")
        if here is not None:
            rows = rows.filter(client=here)
        sheet = Paginator(rows, _PAGE).get_page(number)
        lines = list(sheet.object_list)
        names = names_of(lines)
        return {
            "sheet": sheet, "lines": lines, "did": who_did(lines, names), "said": what_of(lines, names),
        }  # fmt: skip

    parts = {"ledger": Part("dashboard/parts/ledger_table.html", fill)}
    context: Context = {"account": account, "accounts": access.ad_accounts(who, client=here, enabled=True)}
    return show(
        request,
        "dashboard/ledger.html",
        section="ledger",
        client=here,
        context=context,
        parts=parts,
        account=account,
    )


def names_of(lines: list[LedgerLine]) -> dict[str, str]:
    """User id -> name, for lines that our own people wrote, or that are about them."""
    ids = {line.actor_id for line in lines if line.by in ("person", "key")} | {whose(line) for line in lines}
    ids = {one for one in ids if one.isdigit()}
    return {str(user.pk): str(user) for user in User.objects.filter(pk__in=ids)} if ids else {}
