"""Staff may look at strategies, what they decided and what they proposed; people edit them in the dashboard."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin import ScopedAdmin
from strategies.models import Backtest, Decision, Draft, Proposal, Strategy, StrategyVersion


@admin.register(Strategy)
class StrategyAdmin(ScopedAdmin):
    list_display = (
        "name",
        "ad_account",
        "type",
        "status",
        "stage",
        "version",
        "last_evaluated_at",
        "last_outcome",
    )
    list_filter = ("status", "type", "stage")
    list_select_related = ("ad_account",)
    search_fields = ("name", "ad_account__name", "ad_account__meta_id", "uuid")


@admin.register(StrategyVersion)
class StrategyVersionAdmin(ScopedAdmin):
    list_display = ("strategy", "version", "type", "created_by", "created_at")
    list_select_related = ("strategy", "created_by")
    search_fields = ("strategy__name", "strategy__uuid")


@admin.register(Decision)
class DecisionAdmin(ScopedAdmin):
    list_display = ("object_name", "level", "verdict", "reason", "strategy", "trust", "last_at", "times")
    list_filter = ("verdict", "trust", "level", "current")
    list_select_related = ("strategy",)
    search_fields = ("object_id", "object_name", "strategy__name", "reason_code")
    date_hierarchy = "last_at"


@admin.register(Proposal)
class ProposalAdmin(ScopedAdmin):
    list_display = (
        "object_name",
        "action",
        "target",
        "state",
        "sentence",
        "strategy",
        "created_at",
        "decided_by",
    )
    list_filter = ("state", "action", "level")
    list_select_related = ("strategy", "decided_by")
    search_fields = ("object_id", "object_name", "strategy__name", "uuid")
    date_hierarchy = "created_at"


@admin.register(Draft)
class DraftAdmin(ScopedAdmin):
    list_display = ("name", "ad_account", "type", "current", "strategy", "created_at")
    list_filter = ("type", "current")
    list_select_related = ("ad_account", "strategy")
    search_fields = ("name", "ad_account__name", "ad_account__meta_id")


@admin.register(Backtest)
class BacktestAdmin(ScopedAdmin):
    list_display = ("strategy", "since", "until", "state", "done", "total", "created_by", "created_at")
    list_filter = ("state", "hindsight")
    list_select_related = ("strategy", "created_by")
    search_fields = ("strategy__name", "uuid")
