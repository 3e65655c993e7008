"""The paths of this floor: its API, and the plain form of rules."""

from __future__ import annotations

from django.urls import URLPattern, path

from strategies.api import backtests, meta, proposals, rules, saved
from strategies.views import save_rules

urlpatterns: list[URLPattern] = [
    path("api/meta/strategies/execute", meta.ExecuteStrategy.as_view(), name="api_execute_strategy"),
    path("api/meta/strategies/<str:account_id>", meta.Strategies.as_view(), name="api_meta_strategies"),
    path("api/strategies", saved.SavedStrategies.as_view(), name="api_strategies"),
    path("api/strategies/<uuid:uuid>", saved.SavedStrategy.as_view(), name="api_strategy"),
    path("api/strategies/<uuid:uuid>/stage", saved.StrategyStage.as_view(), name="api_strategy_stage"),
    path("api/strategies/<uuid:uuid>/export", rules.ExportRules.as_view(), name="api_export_strategy"),
    path("strategies/save", save_rules, name="save_rules"),
    path(
        "api/strategies/<uuid:uuid>/backtests", backtests.Backtests.as_view(), name="api_strategy_backtests"
    ),
    path("api/backtests/<uuid:uuid>", backtests.OneBacktest.as_view(), name="api_backtest"),
    path("api/rules/schema", rules.RulesSchema.as_view(), name="api_rules_schema"),
    path("api/rules/check", rules.CheckRules.as_view(), name="api_check_rules"),
    path("api/rules/templates", rules.RuleTemplates.as_view(), name="api_rule_templates"),
    path("api/proposals", proposals.Proposals.as_view(), name="api_proposals"),
    path("api/proposals/<uuid:uuid>", proposals.OneProposal.as_view(), name="api_proposal"),
    path("api/proposals/<uuid:uuid>/approve", proposals.Approve.as_view(), name="api_approve_proposal"),
    path("api/proposals/<uuid:uuid>/reject", proposals.Reject.as_view(), name="api_reject_proposal"),
    path("api/decisions", proposals.Decisions.as_view(), name="api_decisions"),
]
