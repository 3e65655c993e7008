"""What this floor's API takes and answers. A strategy has the brief's own camelCase; the rest is snake_case."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from strategies.decisions import case_json
from strategies.engine.templates import STATUSES, TYPES, Actions, read_actions, read_thresholds, rule_set
from strategies.engine.types import Intent, Judgement, Snapshot
from strategies.engine.wording import effect, read_rules, sentence
from strategies.models import Decision, Draft, Proposal, Strategy


class Rules(serializers.Serializer[Any]):
    """An absent threshold switches its condition off."""

    minCtr = serializers.DecimalField(None, None, required=False, help_text="Percent, as Meta reports it.")
    maxCpc = serializers.DecimalField(None, None, required=False, help_text="Account currency.")
    targetCpm = serializers.DecimalField(None, None, required=False, help_text="Account currency.")
    budgetThreshold = serializers.DecimalField(
        None,
        None,
        required=False,
        help_text="The highest daily budget a raise may reach; without it no raise.",
    )


class ActionSwitches(serializers.Serializer[Any]):
    pauseLowPerforming = serializers.BooleanField(required=False)
    increaseBudget = serializers.BooleanField(required=False)
    adjustBidding = serializers.BooleanField(required=False)
    expandAudience = serializers.BooleanField(required=False)


class AccountStrategy(serializers.Serializer[Any]):
    id = serializers.CharField(read_only=True)
    accountId = serializers.CharField()
    name = serializers.CharField()
    type = serializers.ChoiceField(list(TYPES))
    status = serializers.ChoiceField(list(STATUSES), required=False)
    rules = Rules()
    actions = ActionSwitches(required=False)
    createdAt = serializers.DateTimeField(read_only=True)
    updatedAt = serializers.DateTimeField(read_only=True)
    stage = serializers.CharField(read_only=True, help_text="How far it goes by itself.")
    version = serializers.IntegerField(read_only=True)
    currency = serializers.CharField(read_only=True)
    readBack = serializers.ListField(child=serializers.CharField(), read_only=True)
    lastEvaluatedAt = serializers.DateTimeField(read_only=True, allow_null=True)
    lastOutcome = serializers.CharField(read_only=True)


class StrategyEdit(serializers.Serializer[Any]):
    """What is left out stays; `null` switches a threshold off."""

    name = serializers.CharField(required=False)
    type = serializers.ChoiceField(list(TYPES), required=False)
    status = serializers.ChoiceField(list(STATUSES), required=False)
    rules = Rules(required=False)
    actions = ActionSwitches(required=False)


class DraftShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    accountId = serializers.CharField()
    name = serializers.CharField()
    type = serializers.CharField()
    rules = Rules()
    actions = ActionSwitches()
    evidence = serializers.ListField(child=serializers.CharField())
    readBack = serializers.ListField(child=serializers.CharField())
    createdAt = serializers.DateTimeField()
    strategyId = serializers.CharField(allow_null=True, help_text="The strategy that it was saved as.")


class StrategyList(serializers.Serializer[Any]):
    strategies = AccountStrategy(many=True)


class StrategiesOfAccount(StrategyList):
    drafts = DraftShape(many=True)
    refreshing = serializers.BooleanField(help_text="A job that makes new drafts was started.")


class Execute(serializers.Serializer[Any]):
    accountId = serializers.CharField()
    strategyId = serializers.UUIDField(required=False)
    draftId = serializers.UUIDField(required=False)
    dryRun = serializers.BooleanField(required=False)


class DecisionShape(serializers.Serializer[Any]):
    id = serializers.CharField(allow_null=True)
    strategy_id = serializers.CharField(allow_null=True)
    strategy_version = serializers.IntegerField()
    level = serializers.CharField()
    object_id = serializers.CharField()
    object_name = serializers.CharField()
    verdict = serializers.CharField(help_text="fired, not_met, unknown, excluded or held")
    reason_code = serializers.CharField(help_text="The first thing that blocked.")
    reason = serializers.CharField(allow_blank=True)
    since = serializers.DateField()
    until = serializers.DateField()
    data_version = serializers.IntegerField()
    as_of = serializers.DateTimeField(allow_null=True)
    trust = serializers.CharField()
    cases = serializers.ListField(
        child=serializers.DictField(), help_text="Each case's tree with its values."
    )
    first_at = serializers.DateTimeField(allow_null=True)
    last_at = serializers.DateTimeField(allow_null=True)
    times = serializers.IntegerField()


class DecisionList(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    decisions = DecisionShape(many=True)


class ChangeRef(serializers.Serializer[Any]):
    id = serializers.CharField()
    state = serializers.CharField()
    url = serializers.CharField()


class ProposalShape(serializers.Serializer[Any]):
    id = serializers.CharField(allow_null=True)
    strategy_id = serializers.CharField(allow_null=True)
    strategy_name = serializers.CharField()
    account_id = serializers.CharField()
    client = serializers.CharField()
    level = serializers.CharField()
    object_id = serializers.CharField()
    object_name = serializers.CharField()
    field = serializers.CharField()
    action = serializers.CharField()
    before = serializers.CharField(allow_null=True)
    target = serializers.CharField(allow_null=True, help_text="Nothing for advice.")
    currency = serializers.CharField()
    sentence = serializers.CharField()
    effect = serializers.CharField()
    evidence = serializers.DictField()
    state = serializers.CharField()
    reason = serializers.CharField(allow_blank=True)
    digest = serializers.CharField(allow_null=True, help_text="Send it with an approval.")
    change = ChangeRef(allow_null=True)
    data_version = serializers.IntegerField()
    created_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    decided_by = serializers.CharField(allow_null=True)


class ProposalList(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    proposals = ProposalShape(many=True)


class Executed(serializers.Serializer[Any]):
    accountId = serializers.CharField()
    strategyId = serializers.CharField(allow_null=True)
    draftId = serializers.CharField(allow_null=True)
    dryRun = serializers.BooleanField()
    stage = serializers.CharField()
    skipped = serializers.CharField(allow_blank=True)
    decisions = DecisionShape(many=True)
    proposals = ProposalShape(many=True)
    changes = ChangeRef(many=True)


class Digest(serializers.Serializer[Any]):
    digest = serializers.CharField()


class Reason(serializers.Serializer[Any]):
    reason = serializers.CharField(required=False, allow_blank=True)


def rules_json(rules: dict[str, str]) -> dict[str, Decimal]:
    """Stored text -> numbers, digit by digit."""
    return {name: Decimal(text) for name, text in rules.items()}


def _read_back(rules: dict[str, str], actions: dict[str, bool], type_: str, currency: str) -> list[str]:
    thresholds, _ = read_thresholds(rules)
    switches: Actions = read_actions(actions, type_=type_)[0]
    return list(read_rules(rule_set(thresholds, switches), currency=currency))


def strategy_json(row: Strategy) -> dict[str, Any]:
    currency = row.ad_account.currency
    return {
        "id": str(row.uuid),
        "accountId": row.ad_account.act_id,
        "name": row.name,
        "type": row.type,
        "status": row.status,
        "rules": rules_json(row.rules),
        "actions": row.actions,
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
        "stage": row.stage,
        "version": row.version,
        "currency": currency,
        "readBack": _read_back(row.rules, row.actions, row.type, currency),
        "lastEvaluatedAt": row.last_evaluated_at,
        "lastOutcome": row.last_outcome,
    }


def draft_json(row: Draft) -> dict[str, Any]:
    return {
        "id": str(row.uuid),
        "accountId": row.ad_account.act_id,
        "name": row.name,
        "type": row.type,
        "rules": rules_json(row.rules),
        "actions": row.actions,
        "evidence": row.evidence,
        "readBack": _read_back(row.rules, row.actions, row.type, row.ad_account.currency),
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
        "before": row.before or None,
        "target": row.target or None,
        "currency": row.currency,
        "sentence": row.sentence,
        "effect": row.effect,
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
        "before": intent.before,
        "target": intent.target,
        "currency": snapshot.currency,
        "sentence": sentence(intent, case, judgement.subject, snapshot),
        "effect": effect(intent, judgement.subject, snapshot),
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
