"""The review sheet: what a bulk edit would ask for, and the batch as it stands once it has been asked for."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from django.http import HttpRequest, HttpResponse

import accounts.access as access
import campaigns.changes.headroom as headroom
import campaigns.changes.ledger as ledger
import campaigns.changes.review as review
import campaigns.queries as queries
from accounts.errors import Invalid, NotFound
from accounts.models import AdAccount
from accounts.tenancy import Principal
from campaigns.changes.review import Action
from campaigns.models import Ad, AdSet, Campaign, Change
from campaigns.states import ChangeState
from dashboard.pages.frame import Context, Part, page, principal, show
from dashboard.pages.stories import MOVING
from metaads.clock import now


@page
def sheet(request: HttpRequest, act_id: str) -> HttpResponse:
    """Before: the rows that were ticked, with what would be asked for each."""
    who = principal(request)
    account = access.ad_account(who, act_id, verb="request_change")
    action, number = _action(request.GET.get("do", "")), _number(request.GET.get("by", ""))
    large = request.GET.get("large") == "1"
    chosen = list(dict.fromkeys(request.GET.getlist("id")))[: review.MOST + 1]
    objects = [queries.find(who, meta_id, verb="request_change") for meta_id in chosen]
    if any(one.ad_account_id != account.pk for one in objects):
        raise NotFound("There is no such campaign, ad set or ad.")
    found = review.draft(
        principal=who, objects=objects, action=action, number=number, acknowledged=large, now=now()
    )
    context: Context = {
        "title": "Review",
        "account": account,
        "draft": found,
        "wanted": _wanted(action, number, account.currency),
        "spend_as_of": headroom.spend_as_of(account),
        "large": large,
        "ticket": review.ticket(),
        "back": _back(account, objects),
    }
    return show(
        request, "dashboard/review.html", section="overview", client=account.client, account=account, context=context
    )  # fmt: skip


def _back(account: AdAccount, objects: list[Campaign | AdSet | Ad]) -> str:
    """Where the rows were ticked: the page of the one campaign that they are below, else the table of campaigns."""
    below = {"" if isinstance(one, Campaign) else one.campaign.meta_id for one in objects}
    if len(below) == 1 and (meta_id := below.pop()):
        return f"/a/{account.act_id}/campaigns/{meta_id}/#below"
    return f"/a/{account.act_id}/#campaigns"


def _wanted(action: Action, number: Decimal | None, currency: str) -> str:
    """What the sheet is about, with its number: "raise the budget by 15 %"."""
    if number is None or action in (Action.PAUSE, Action.START):
        return action.words.lower()
    amount = f"{number.normalize():f}"
    if action is Action.SET:
        return f"set the budget to {amount} {currency}"
    return f"{action} the budget by {amount} %"


def _action(text: str) -> Action:
    if text not in list(Action):
        raise Invalid("What shall be done with them?", advice="Go back and choose one.")
    return Action(text)


def _number(text: str) -> Decimal | None:
    if not text.strip():
        return None
    try:
        found = Decimal(text.strip())
    except InvalidOperation:
        raise Invalid(f"{text} is no number.", advice="Write it like 12.50.") from None
    if not found.is_finite():
        raise Invalid(f"{text} is no number.", advice="Write it like 12.50.")
    return found


@page
def one(request: HttpRequest, uuid: str) -> HttpResponse:
    """After: the batch's changes and what became of each, its one approval and its one undo."""
    who = principal(request)
    rows = _rows(who, uuid)
    parts = {"batch": Part("dashboard/parts/batch.html", lambda: _batch(who, uuid))}
    context: Context = {"title": "Batch", "first": rows[0], "batch": uuid}
    return show(
        request, "dashboard/batch.html", section="ledger", client=rows[0].client, context=context, parts=parts
    )  # fmt: skip


def _rows(who: Principal, uuid: str) -> list[Change]:
    rows = list(ledger.changes(who).filter(batch=uuid).order_by("pk"))
    if not rows:
        raise NotFound("There is no such batch.")
    return rows


def _batch(who: Principal, uuid: str) -> Context:
    rows, moment = _rows(who, uuid), now()
    together = review.together(principal=who, changes=rows, now=moment)
    applied = [row for row in rows if row.state == ChangeState.APPLIED]
    undone = Change.objects.for_(who).filter(undo_of__in=applied).first() if applied else None
    client_id = rows[0].client_id
    return {
        "rows": rows,
        "waits": {one.change.pk: one for one in together.lines},
        "together": together,
        "batch_digest": ledger.batch_digest(
            str(uuid), [row for row in rows if row.state == ChangeState.PROPOSED]
        ),
        "may_reject": access.may(who, "approve", client_id),
        "may_undo": bool(applied)
        and undone is None
        and access.may(who, "request_change", client_id)
        and not any(row.state in MOVING or row.state == ChangeState.PROPOSED for row in rows),
        "undone": undone,
        "moving": any(row.state in MOVING for row in rows),
        "cannot": [
            (row.object_name or row.object_id, text)
            for row in (one.change for one in together.lines)
            for text in ledger.cannot_be_undone(row)
        ],
        "story": rows[0],
    }
