"""How this floor's rows look as JSON; the shapes are described in `shapes`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import strategies.documents as documents
from campaigns.changes.consequences import cannot_be_undone
from campaigns.changes.guards import Intent as Wanted
from campaigns.states import Field, Level, Source
from strategies.decisions import case_json
from strategies.documents import FORMAT, Checked
from strategies.engine.library import TEMPLATES, Ground, usual
from strategies.engine.reading import read_rules
from strategies.engine.types import Intent, Judgement, Snapshot
from strategies.engine.wording import effect, sentence
from strategies.ladder import Card
from strategies.models import Backtest, Decision, Draft, Proposal, Strategy


def rules_json(rules: dict[str, str]) -> dict[str, Decimal]:
    """Stored text -> numbers, digit by digit."""
    return {name: Decimal(text) for name, text in rules.items()}


def _rules(row: Strategy | Draft) -> dict[str, Any]:
    """What it decides by, as it was written, and read back in words."""
    return {
        "rules": rules_json(row.rules),
        "actions": row.actions,
        "document": row.document,
        "readBack": list(read_rules(documents.of(row), currency=row.ad_account.currency)),
    }


def checked_json(checked: Checked) -> dict[str, Any]:
    return {
        "document": checked.json,
        "readBack": list(checked.read_back),
        "warnings": list(checked.warnings),
        "findings": [
            {
                "severity": one.severity,
                "code": one.code,
                "path": f"document.{one.path}",
                "sentence": one.sentence,
                "suggestion": one.suggestion,
            }
            for one in checked.findings
        ],
    }


def templates_json(ground: Ground, *, currency: str) -> dict[str, Any]:
    """The named templates, each parameter with the default that it has in this account."""
    return {
        "currency": currency,
        "templates": [
            {
                "key": one.key,
                "name": one.name,
                "summary": one.summary,
                "evidence": {"restsOn": one.rests_on, "risks": one.risks, "notWhen": one.not_when},
                "parameters": [
                    {
                        "key": key,
                        "title": parameter.label,
                        "unit": parameter.unit,
                        "default": None if default is None else f"{default:f}",
                        "least": f"{parameter.least:f}",
                        "most": f"{parameter.most:f}",
                    }
                    for key, parameter, default in usual(one, ground=ground)
                ],
            }
            for one in TEMPLATES.values()
        ],
    }


def export_json(row: Strategy) -> dict[str, Any]:
    """A strategy as it can be sent to another account's `POST /api/strategies`."""
    return {"format": FORMAT, "name": row.name, "document": documents.stored(documents.of(row))}


def strategy_json(row: Strategy) -> dict[str, Any]:
    currency = row.ad_account.currency
    return {
        "id": str(row.uuid),
        "accountId": row.ad_account.act_id,
        "name": row.name,
        "type": row.type,
        "status": row.status,
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
        "stage": row.stage,
        "version": row.version,
        "currency": currency,
        **_rules(row),
        "lastEvaluatedAt": row.last_evaluated_at,
        "lastOutcome": row.last_outcome,
    }


def stage_json(row: Strategy, card: Card) -> dict[str, Any]:
    return {
        "strategy_id": str(row.uuid),
        "stage": card.stage.value,
        "since": card.since,
        "next": card.next.value if card.next else None,
        "may_go_on": card.full,
        "criteria": [{"words": one.words, "met": one.met} for one in card.criteria],
    }


def draft_json(row: Draft) -> dict[str, Any]:
    return {
        "id": str(row.uuid),
        "accountId": row.ad_account.act_id,
        "name": row.name,
        "type": row.type,
        **_rules(row),
        "evidence": row.evidence,
        "createdAt": row.created_at,
        "strategyId": str(row.strategy.uuid) if row.strategy else None,
    }


def decision_json(row: Decision) -> dict[str, Any]:
    return {
        "id": str(row.uuid),
        "strategy_id": str(row.strategy.uuid),
        "strategy_version": row.strategy_version,
        "level": row.level,
        "object_id": row.object_id,
        "object_name": row.object_name,
        "verdict": row.verdict,
        "reason_code": row.reason_code,
        "reason": row.reason,
        "since": row.since,
        "until": row.until,
        "data_version": row.data_version,
        "as_of": row.as_of,
        "trust": row.trust,
        "cases": row.record["cases"],
        "first_at": row.first_at,
        "last_at": row.last_at,
        "times": row.times,
    }


def judgement_json(judgement: Judgement, snapshot: Snapshot, strategy: Strategy) -> dict[str, Any]:
    """A dry run's decision, in the shape of a stored one."""
    subject = judgement.subject
    return {
        "id": None,
        "strategy_id": str(strategy.uuid) if strategy.pk else None,
        "strategy_version": strategy.version,
        "level": subject.level,
        "object_id": subject.object_id,
        "object_name": subject.name,
        "verdict": judgement.verdict.value,
        "reason_code": judgement.reason_code,
        "reason": judgement.reason,
        "since": snapshot.since,
        "until": snapshot.until,
        "data_version": snapshot.data_version,
        "as_of": snapshot.as_of,
        "trust": snapshot.trust.value,
        "cases": [case_json(case) for case in judgement.cases],
        "first_at": None,
        "last_at": None,
        "times": 0,
    }


def change_ref(row: Proposal) -> dict[str, Any] | None:
    if row.change is None:
        return None
    return {"id": str(row.change.uuid), "state": row.change.state, "url": f"/api/changes/{row.change.uuid}"}


def _value(field: str, text: str | None) -> Decimal | str | None:
    if not text:
        return None
    return Decimal(text) if field in (Field.DAILY_BUDGET, Field.LIFETIME_BUDGET, Field.BID_AMOUNT) else text


def proposal_json(row: Proposal) -> dict[str, Any]:
    return {
        "id": str(row.uuid),
        "strategy_id": str(row.strategy.uuid),
        "strategy_name": row.strategy.name,
        "account_id": row.ad_account.act_id,
        "client": row.client.slug,
        "level": row.level,
        "object_id": row.object_id,
        "object_name": row.object_name,
        "field": row.field,
        "action": row.action,
        "before": _value(row.field, row.before),
        "target": _value(row.field, row.target),
        "currency": row.currency,
        "sentence": row.sentence,
        "effect": row.effect,
        "cannot_be_undone": _for_good(row.level, row.field, row.before, row.target, row.currency),
        "evidence": row.evidence,
        "state": row.state,
        "reason": row.reason,
        "digest": row.digest,
        "change": change_ref(row),
        "data_version": row.data_version,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "decided_at": row.decided_at,
        "decided_by": str(row.decided_by) if row.decided_by else None,
    }


def _for_good(level: str, field: str, before: str | None, target: str | None, currency: str) -> list[str]:
    """What an undo will not bring back; advice changes nothing."""
    if not target:
        return []
    wanted = Wanted(
        level=Level(level), field=Field(field), before=before or "", target=target, currency=currency,
        source=Source.STRATEGY,
    )  # fmt: skip
    return list(cannot_be_undone(wanted))


def would_be_json(
    intent: Intent, judgement: Judgement, snapshot: Snapshot, strategy: Strategy
) -> dict[str, Any]:
    """What a live run would offer, in the shape of a proposal."""
    case = next(case for case in judgement.cases if case.name == intent.case)
    return {
        "id": None,
        "strategy_id": str(strategy.uuid) if strategy.pk else None,
        "strategy_name": strategy.name,
        "account_id": strategy.ad_account.act_id,
        "client": strategy.client.slug,
        "level": intent.level,
        "object_id": intent.object_id,
        "object_name": intent.object_name,
        "field": intent.field,
        "action": intent.action.value,
        "before": _value(intent.field, intent.before),
        "target": _value(intent.field, intent.target),
        "currency": snapshot.currency,
        "sentence": sentence(intent, case, judgement.subject, snapshot),
        "effect": effect(intent, judgement.subject, snapshot),
        "cannot_be_undone": _for_good(
            intent.level, intent.field, intent.before, intent.target, snapshot.currency
        ),
        "evidence": {"case": case.name},
        "state": "preview",
        "reason": "",
        "digest": None,
        "change": None,
        "data_version": snapshot.data_version,
        "created_at": None,
        "expires_at": None,
        "decided_at": None,
        "decided_by": None,
    }


def backtest_json(row: Backtest, *, whole: bool = True) -> dict[str, Any]:
    """A back-test; with `whole` also what it found, amounts as text digit by digit."""
    told = {
        "id": str(row.uuid),
        "strategy_id": str(row.strategy.uuid),
        "strategy_version": row.strategy_version,
        "account_id": row.ad_account.act_id,
        "since": row.since.isoformat(),
        "until": row.until.isoformat(),
        "hour": row.hour,
        "every_hours": row.every_hours,
        "hindsight": row.hindsight,
        "state": row.state,
        "done": row.done,
        "total": row.total,
        "data_version": row.data_version,
        "error": row.error,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
    }
    return told | ({"result": row.result} if whole else {})
