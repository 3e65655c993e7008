"""The floor's tables in the operations site: read only, searchable by name and Meta's id."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin

from accounts.admin import ScopedAdmin
from campaigns.models import (
    Ad,
    AdSet,
    ApprovalPolicy,
    Attempt,
    Authority,
    Campaign,
    Change,
    Creative,
    Envelope,
    ExposureRow,
    FourEyesAmount,
    Hold,
    LedgerLine,
    Observation,
    Switch,
    SyncRun,
)


class ObjectAdmin(ScopedAdmin):
    list_filter: ClassVar[tuple[str, ...]] = ("status", "effective_status", "known")
    list_select_related: ClassVar[tuple[str, ...]] = ("ad_account", "client")
    search_fields = ("name", "meta_id", "ad_account__name", "ad_account__meta_id")


@admin.register(Campaign)
class CampaignAdmin(ObjectAdmin):
    list_display = (
        "name",
        "meta_id",
        "ad_account",
        "status",
        "effective_status",
        "daily_budget",
        "lifetime_budget",
        "removed_at",
    )


@admin.register(AdSet)
class AdSetAdmin(ObjectAdmin):
    list_display = (
        "name",
        "meta_id",
        "campaign",
        "status",
        "effective_status",
        "daily_budget",
        "learning_stage",
        "removed_at",
    )
    list_select_related: ClassVar[tuple[str, ...]] = ("campaign", "ad_account", "client")


@admin.register(Ad)
class AdAdmin(ObjectAdmin):
    list_display = ("name", "meta_id", "ad_set", "status", "effective_status", "removed_at")
    list_select_related: ClassVar[tuple[str, ...]] = ("ad_set", "ad_account", "client")


@admin.register(Creative)
class CreativeAdmin(ObjectAdmin):
    list_display = ("name", "meta_id", "ad_account", "object_type", "status", "removed_at")
    list_filter: ClassVar[tuple[str, ...]] = ("status", "object_type")


@admin.register(SyncRun)
class SyncRunAdmin(ScopedAdmin):
    list_display = (
        "ad_account",
        "state",
        "started_at",
        "seen",
        "created",
        "changed",
        "removed",
        "edits",
        "error_text",
    )
    list_filter: ClassVar[tuple[str, ...]] = ("state",)
    list_select_related: ClassVar[tuple[str, ...]] = ("ad_account",)
    search_fields = ("ad_account__name", "ad_account__meta_id")


@admin.register(Change)
class ChangeAdmin(ScopedAdmin):
    list_display = (
        "created_at",
        "object_name",
        "field",
        "before",
        "target",
        "currency",
        "state",
        "source",
        "requested_by",
    )
    list_filter: ClassVar[tuple[str, ...]] = ("state", "source", "field", "level")
    list_select_related: ClassVar[tuple[str, ...]] = ("requested_by", "ad_account", "client")
    search_fields = ("object_name", "object_id", "uuid", "reason", "ad_account__meta_id")
    date_hierarchy = "created_at"


@admin.register(Attempt)
class AttemptAdmin(ScopedAdmin):
    list_display = (
        "committed_at",
        "change",
        "n",
        "value",
        "outcome",
        "http_status",
        "code",
        "subcode",
        "fbtrace_id",
    )
    list_filter: ClassVar[tuple[str, ...]] = ("outcome",)
    list_select_related: ClassVar[tuple[str, ...]] = ("change",)
    search_fields = ("object_id", "change__object_name", "change__uuid", "fbtrace_id")


@admin.register(Observation)
class ObservationAdmin(ScopedAdmin):
    list_display = ("at", "change", "phase", "attempt", "value", "error_text")
    list_filter: ClassVar[tuple[str, ...]] = ("phase",)
    list_select_related: ClassVar[tuple[str, ...]] = ("change",)
    search_fields = ("change__object_id", "change__object_name", "change__uuid")


@admin.register(LedgerLine)
class LedgerLineAdmin(ScopedAdmin):
    list_display = (
        "at",
        "ad_account",
        "seq",
        "kind",
        "state",
        "object_name",
        "field",
        "before",
        "after",
        "by",
        "note",
    )
    list_filter: ClassVar[tuple[str, ...]] = ("kind", "state", "by")
    list_select_related: ClassVar[tuple[str, ...]] = ("ad_account",)
    search_fields = ("object_name", "object_id", "note", "change__uuid", "ad_account__meta_id")
    date_hierarchy = "at"


@admin.register(Switch)
class SwitchAdmin(ScopedAdmin):
    list_display = ("pulled_at", "scope", "client", "ad_account", "strategy_ref", "reason", "released_at")
    list_filter: ClassVar[tuple[str, ...]] = ("scope",)
    list_select_related: ClassVar[tuple[str, ...]] = ("client", "ad_account")
    search_fields = ("reason", "client__name", "ad_account__name")


@admin.register(Hold)
class HoldAdmin(ScopedAdmin):
    list_display = ("held_at", "object_id", "field", "ours", "theirs", "until", "resumed_at", "reason")
    list_select_related: ClassVar[tuple[str, ...]] = ("ad_account",)
    search_fields = ("object_id", "reason")


@admin.register(ExposureRow)
class ExposureRowAdmin(ScopedAdmin):
    list_display = ("day", "level", "object_id", "spend", "as_of", "trust")
    list_filter: ClassVar[tuple[str, ...]] = ("level", "trust")
    search_fields = ("object_id",)


@admin.register(Envelope)
class EnvelopeAdmin(ScopedAdmin):
    list_display = ("scope_key", "period", "amount", "currency", "set_at", "set_by", "client")
    list_filter: ClassVar[tuple[str, ...]] = ("scope", "period")
    list_select_related: ClassVar[tuple[str, ...]] = ("client", "set_by")
    search_fields = ("scope_key", "object_id")


@admin.register(ApprovalPolicy)
class ApprovalPolicyAdmin(ScopedAdmin):
    list_display = ("client", "four_eyes_percent", "batch_objects", "set_at", "set_by")
    list_select_related: ClassVar[tuple[str, ...]] = ("client", "set_by")
    search_fields = ("client__name",)


@admin.register(FourEyesAmount)
class FourEyesAmountAdmin(ScopedAdmin):
    list_display = ("client", "amount", "currency", "set_at", "set_by")
    list_filter: ClassVar[tuple[str, ...]] = ("currency",)
    list_select_related: ClassVar[tuple[str, ...]] = ("client", "set_by")
    search_fields = ("client__name",)


@admin.register(Authority)
class AuthorityAdmin(ScopedAdmin):
    list_display = ("client", "user", "role", "percent", "amount", "currency", "set_at", "set_by")
    list_filter: ClassVar[tuple[str, ...]] = ("role", "currency")
    list_select_related: ClassVar[tuple[str, ...]] = ("client", "user", "set_by")
    search_fields = ("client__name", "user__email")
