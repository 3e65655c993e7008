"""What strategies ask people for: the list, and one proposal with its reason, its evidence and the answer buttons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse

import accounts.access as access
import campaigns.changes.ledger as ledger
import insights.metrics as registry
import strategies.proposals as proposals
from accounts.tenancy import Principal
from dashboard.pages.changes import asked_of
from dashboard.pages.frame import Context, Part, asked_client, page, principal, show
from dashboard.pages.stories import MOVING, steps
from metaads.clock import now
from strategies.models import Decision, Proposal, ProposalState

_CLOSED_SHOWN = 20


@dataclass(frozen=True)
class EvidenceRow:
    """One condition: the figure, how it was compared, with what, and how it came out (None: not known)."""

    label: str
    unit: str
    value: Decimal | None
    op: str
    limit: Decimal | None
    text: str
    result: bool | None


@page
def listing(request: HttpRequest) -> HttpResponse:
    who = principal(request)
    here = asked_client(request)

    def fill() -> Context:
        rows = proposals.list_(who, client=here)
        return {
            "opened": list(rows.filter(state=ProposalState.OPEN, expires_at__gt=now())),
            "closed": list(rows.exclude(state=ProposalState.OPEN)[:_CLOSED_SHOWN]),
        }

    parts = {"proposals": Part("dashboard/parts/proposal_list.html", fill)}
    return show(
        request, "dashboard/proposals.html", section="proposals", client=here, context={}, parts=parts
    )


@page
def one(request: HttpRequest, uuid: str) -> HttpResponse:
    who = principal(request)
    row = proposals.get(who, uuid)
    parts = {"answer": Part("dashboard/parts/answer.html", lambda: _answer(who, uuid))}
    decision: Decision | None = row.decision
    context: Context = {
        "title": row.object_name or row.object_id,
        "row": row,
        "evidence": evidence(decision, row) if decision is not None else [],
        "decision": decision,
    }
    return show(
        request,
        "dashboard/proposal.html",
        section="proposals",
        client=row.client,
        context=context,
        parts=parts,
    )


def _answer(who: Principal, uuid: str) -> Context:
    row = proposals.get(who, uuid)
    change = row.change
    return {
        "row": row,
        "change": change,
        "steps": steps(change) if change is not None else (),
        "story": ledger.story(change) if change is not None else "",
        "cannot_be_undone": ledger.cannot_be_undone(change) if change is not None else (),
        "moving": change is not None and change.state in MOVING,
        "open": row.state == ProposalState.OPEN and row.expires_at > now(),
        "may_reject": access.may(who, "approve", row.client_id),
        **(asked_of(who, change) if change is not None else {}),
    }


def evidence(decision: Decision, row: Proposal) -> list[EvidenceRow]:
    """The conditions of the case that led to this proposal, with the figures that were seen."""
    wanted = row.evidence.get("case")
    for case in decision.record.get("cases", ()):
        if wanted in (None, case.get("name")):
            return list(leaves(case.get("tree", {})))
    return []


def leaves(tree: Mapping[str, Any]) -> list[EvidenceRow]:
    """The comparisons of a rule's tree, in reading order."""
    if tree.get("children"):
        return [leaf for child in tree["children"] for leaf in leaves(child)]
    if not tree:
        return []
    label = str(tree.get("label", ""))
    metric = registry.METRICS.get(label.split()[0].lower()) if label.split() else None
    return [
        EvidenceRow(
            label=metric.label if metric else label,
            unit=metric.unit if metric else "count",
            value=_number(tree.get("left")),
            op=str(tree.get("op", "")),
            limit=_number(tree.get("right")),
            text=_fact(tree),
            result=tree.get("result"),
        )
    ]


def _fact(tree: Mapping[str, Any]) -> str:
    """Why a figure is not known; or what a fact that is no figure says ("status is ACTIVE")."""
    if tree.get("why_unknown"):
        return str(tree["why_unknown"])
    if tree.get("kind") == "fact":
        return f"is {tree.get('left')}, asked: {tree.get('op')} {tree.get('right')}"
    return ""


def _number(text: Any) -> Decimal | None:
    try:
        return None if text is None else Decimal(str(text))
    except ArithmeticError:
        return None
