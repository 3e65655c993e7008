"""What this floor's API takes and answers. A strategy has the brief's own camelCase; the rest is snake_case."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from strategies.engine.templates import STATUSES
from strategies.models import BacktestState, Stage, StrategyType


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


class RulesEdit(serializers.Serializer[Any]):
    """What is left out stays; `null` switches a condition off."""

    minCtr = serializers.DecimalField(None, None, required=False, allow_null=True)
    maxCpc = serializers.DecimalField(None, None, required=False, allow_null=True)
    targetCpm = serializers.DecimalField(None, None, required=False, allow_null=True)
    budgetThreshold = serializers.DecimalField(None, None, required=False, allow_null=True)


class ActionSwitches(serializers.Serializer[Any]):
    pauseLowPerforming = serializers.BooleanField(required=False)
    increaseBudget = serializers.BooleanField(required=False)
    adjustBidding = serializers.BooleanField(required=False)
    expandAudience = serializers.BooleanField(required=False)


class AccountStrategy(serializers.Serializer[Any]):
    id = serializers.CharField(read_only=True)
    accountId = serializers.CharField()
    name = serializers.CharField()
    type = serializers.ChoiceField(StrategyType.values)
    status = serializers.ChoiceField(list(STATUSES), required=False)
    rules = Rules(required=False)
    actions = ActionSwitches(required=False)
    document = serializers.DictField(
        required=False, allow_null=True, help_text="Own rules (type custom): see /api/rules/schema."
    )
    createdAt = serializers.DateTimeField(read_only=True)
    updatedAt = serializers.DateTimeField(read_only=True)
    stage = serializers.CharField(read_only=True, help_text="How far it goes by itself.")
    version = serializers.IntegerField(read_only=True)
    currency = serializers.CharField(read_only=True)
    readBack = serializers.ListField(child=serializers.CharField(), read_only=True)
    lastEvaluatedAt = serializers.DateTimeField(read_only=True, allow_null=True)
    lastOutcome = serializers.CharField(read_only=True)


class Criterion(serializers.Serializer[Any]):
    words = serializers.CharField()
    met = serializers.BooleanField()


class StageAsked(serializers.Serializer[Any]):
    stage = serializers.ChoiceField(Stage.values)


class StageCard(serializers.Serializer[Any]):
    strategy_id = serializers.CharField()
    stage = serializers.ChoiceField(Stage.values)
    since = serializers.DateTimeField()
    next = serializers.ChoiceField(Stage.values, allow_null=True, help_text="null: there is none after it.")
    may_go_on = serializers.BooleanField()
    criteria = Criterion(many=True)


class StrategyEdit(serializers.Serializer[Any]):
    """What is left out stays; `null` switches a threshold off."""

    name = serializers.CharField(required=False)
    type = serializers.ChoiceField(StrategyType.values, required=False)
    status = serializers.ChoiceField(list(STATUSES), required=False)
    rules = RulesEdit(required=False)
    actions = ActionSwitches(required=False)
    document = serializers.DictField(required=False, help_text="Replaces the one before, whole.")


class RulesToCheck(serializers.Serializer[Any]):
    accountId = serializers.CharField()
    document = serializers.DictField()


class FindingShape(serializers.Serializer[Any]):
    severity = serializers.CharField(help_text="refuse, warn or note")
    code = serializers.CharField()
    path = serializers.CharField()
    sentence = serializers.CharField()
    suggestion = serializers.CharField()


class CheckedRules(serializers.Serializer[Any]):
    document = serializers.DictField(help_text="As it would be stored.")
    readBack = serializers.ListField(child=serializers.CharField())
    warnings = serializers.ListField(
        child=serializers.CharField(),
        help_text="What it asks for and cannot have as the client is set up now.",
    )
    findings = FindingShape(many=True, help_text="What is certainly wrong with it, whatever the figures are.")


class TemplateToFill(serializers.Serializer[Any]):
    accountId = serializers.CharField()
    template = serializers.CharField()
    parameters = serializers.DictField(
        required=False, help_text="By key; what is left out takes its default. Amounts as text."
    )


class TemplateEvidence(serializers.Serializer[Any]):
    restsOn = serializers.CharField()
    risks = serializers.CharField()
    notWhen = serializers.CharField()


class TemplateParameter(serializers.Serializer[Any]):
    key = serializers.CharField()
    title = serializers.CharField()
    unit = serializers.CharField(
        help_text="money, percent, times, frequency, days, hours, hour (of the account's clock) or count"
    )
    default = serializers.CharField(allow_null=True, help_text="Of this account; null has to be given.")
    least = serializers.CharField()
    most = serializers.CharField()


class RuleTemplate(serializers.Serializer[Any]):
    key = serializers.CharField()
    name = serializers.CharField()
    summary = serializers.CharField()
    evidence = TemplateEvidence()
    parameters = TemplateParameter(many=True)


class TemplateList(serializers.Serializer[Any]):
    currency = serializers.CharField()
    templates = RuleTemplate(many=True)


class ExportedRules(serializers.Serializer[Any]):
    format = serializers.CharField()
    name = serializers.CharField()
    document = serializers.DictField()


class DraftShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    accountId = serializers.CharField()
    name = serializers.CharField()
    type = serializers.CharField()
    rules = Rules()
    actions = ActionSwitches()
    document = serializers.DictField(allow_null=True)
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


@extend_schema_field({"oneOf": [{"type": "number"}, {"type": "string"}], "nullable": True})
class Value(serializers.Field[Any, Any, Any, Any]):
    """A number in major units for a budget, a word for a status, null for advice."""


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
    before = Value()
    target = Value(help_text="Nothing for advice.")
    currency = serializers.CharField()
    sentence = serializers.CharField()
    effect = serializers.CharField()
    cannot_be_undone = serializers.ListField(
        child=serializers.CharField(),
        help_text="What an undo will not bring back, as sentences: say them before anybody approves.",
    )
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


class BacktestWish(serializers.Serializer[Any]):
    since = serializers.DateField(
        required=False, help_text="Account day; 28 days before the end unless said."
    )
    until = serializers.DateField(
        required=False, help_text="Account day that is over; yesterday unless said."
    )
    hour = serializers.IntegerField(required=False, help_text="Of the account's clock; 6 unless said.")
    everyHours = serializers.IntegerField(required=False, help_text="1, 2, 3, 4, 6, 12 or 24 (unless said).")
    hindsight = serializers.BooleanField(
        required=False, help_text="Judge also days that were first read later, by what they said at first."
    )


class Backtest(serializers.Serializer[Any]):
    id = serializers.CharField()
    strategy_id = serializers.CharField()
    strategy_version = serializers.IntegerField()
    account_id = serializers.CharField()
    since = serializers.DateField()
    until = serializers.DateField()
    hour = serializers.IntegerField()
    every_hours = serializers.IntegerField()
    hindsight = serializers.BooleanField()
    state = serializers.ChoiceField(BacktestState.values)
    done = serializers.IntegerField(help_text="Instants that are judged, of `total`.")
    total = serializers.IntegerField()
    data_version = serializers.IntegerField(allow_null=True, help_text="Of the figures when it ran.")
    error = serializers.CharField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    result = serializers.DictField(
        required=False,
        allow_null=True,
        help_text="When done: instants by basis, firings with their numbers, what followed (`after`), what a model"
        " says of budgets (`model`), beside nothing, the worst decisions, and how many logged decisions it repeats.",
    )


class BacktestList(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    backtests = Backtest(many=True)
