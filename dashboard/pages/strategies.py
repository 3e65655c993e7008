"""Strategies with their thresholds, and why each did or did not ask for something."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.http import HttpRequest, HttpResponse

import accounts.access as access
import strategies.decisions as decisions
import strategies.documents as documents
import strategies.drafts as drafts
from accounts.tenancy import Principal
from dashboard.pages.frame import Context, Part, asked_client, page, principal, show
from dashboard.pages.proposals import EvidenceRow, leaves
from strategies.engine.differences import differences
from strategies.engine.reading import read_rules
from strategies.models import Decision, Strategy, StrategyType, StrategyVersion

_RULES = (
    ("minCtr", "CTR below", "percent", "pause where CTR is lower"),
    ("maxCpc", "CPC above", "money", "pause where CPC is higher"),
    ("targetCpm", "CPM up to", "money", "raise only where CPM is at most this"),
    ("budgetThreshold", "Budget up to", "money", "never raise a daily budget above this"),
)
_ACTIONS = {
    "pauseLowPerforming": "Pause what performs poorly",
    "increaseBudget": "Raise budgets of what performs well by 20 %",
    "adjustBidding": "Advise on bidding",
    "expandAudience": "Advise on audiences",
}
_DECISIONS_SHOWN = 100
_VERSIONS_SHOWN = 10


@dataclass(frozen=True)
class Threshold:
    """One rule of a strategy; `value` None: the condition is off."""

    label: str
    unit: str
    value: Decimal | None
    meaning: str


@dataclass(frozen=True)
class Judged:
    """A decision with the conditions that were looked at."""

    decision: Decision
    rows: tuple[EvidenceRow, ...]


@dataclass(frozen=True)
class Version:
    """A version with its sentences, and what it says otherwise than the one before."""

    row: StrategyVersion
    read_back: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    strategy: Strategy
    thresholds: tuple[Threshold, ...]
    actions: tuple[str, ...]
    read_back: tuple[str, ...]


@page
def listing(request: HttpRequest) -> HttpResponse:
    who = principal(request)
    here = asked_client(request)

    def fill() -> Context:
        return {"cards": [_card(row) for row in drafts.list_(who, client=here)]}

    parts = {"strategies": Part("dashboard/parts/strategy_list.html", fill)}
    context: Context = {
        "accounts": [
            row
            for row in access.ad_accounts(who, client=here, enabled=True)
            if access.may(who, "edit_strategy", row.client_id)
        ]
    }
    return show(
        request, "dashboard/strategies.html", section="strategies", client=here, context=context, parts=parts
    )


@page
def one(request: HttpRequest, uuid: str) -> HttpResponse:
    who = principal(request)
    row = drafts.get(who, uuid)
    parts = {
        "decisions": Part("dashboard/parts/decisions.html", lambda: _decisions(who, uuid)),
        "versions": Part("dashboard/parts/versions.html", lambda: _versions(who, uuid)),
    }
    context: Context = {
        "title": row.name,
        "may_edit": access.may(who, "edit_strategy", row.client_id),
        "may_run": access.may(who, "run_strategy", row.client_id),
    }
    return show(
        request,
        "dashboard/strategy.html",
        section="strategies",
        client=row.client,
        context=context,
        parts=parts,
    )


def _decisions(who: Principal, uuid: str) -> Context:
    row = drafts.get(who, uuid)
    found = decisions.list_(who, strategy=row, current=True)[:_DECISIONS_SHOWN]
    judged = [
        Judged(
            one, tuple(leaf for case in one.record.get("cases", ()) for leaf in leaves(case.get("tree", {})))
        )
        for one in found
    ]
    # What fired comes first; then what was held back; then the rest.
    order = {"fired": 0, "held": 1}
    judged.sort(key=lambda one: order.get(one.decision.verdict, 2))
    return {"card": _card(row), "strategy": row, "judged": judged}


def _versions(who: Principal, uuid: str) -> Context:
    """Newest first, each with its sentences and what it changed."""
    row = drafts.get(who, uuid)
    rows = list(drafts.versions(row).select_related("created_by")[: _VERSIONS_SHOWN + 1])
    read = [documents.parse_stored(one.document) for one in rows]
    currency = row.ad_account.currency
    told = [
        Version(
            one,
            read_rules(document, currency=currency),
            differences(read[index + 1], document, currency=currency) if index + 1 < len(read) else (),
        )
        for index, (one, document) in enumerate(zip(rows, read, strict=True))
    ]
    shown = told[:_VERSIONS_SHOWN]
    more = max(rows[0].version - _VERSIONS_SHOWN, 0) if rows else 0
    return {"strategy": row, "versions": shown, "versions_more": more}


def _card(row: Strategy) -> Card:
    return Card(
        strategy=row,
        thresholds=tuple(
            Threshold(label, unit, _decimal(row.rules.get(key)), meaning)
            for key, label, unit, meaning in _RULES
        ),
        actions=tuple(words for key, words in _ACTIONS.items() if row.actions.get(key)),
        read_back=read_rules(documents.of(row), currency=row.ad_account.currency)
        if row.type == StrategyType.CUSTOM
        else (),
    )


def _decimal(text: object) -> Decimal | None:
    return None if text is None else Decimal(str(text))
