"""The floor's tables in the operations site: searchable by name and Meta's id, and read only but for spend limits."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

import accounts.access as access
import campaigns.changes.caps as caps
from accounts.admin import ScopedAdmin
from accounts.models import AdAccount
from campaigns.forms import LimitForm, NewLimitForm
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
from metaads.clock import now


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
    """Limits are set here by what sets them for the API and the page (`caps.set_`), for whoever may there."""

    writable = frozenset({"add", "change"})
    list_display = ("scope_key", "period", "amount", "currency", "set_at", "set_by", "client")
    list_filter: ClassVar[tuple[str, ...]] = ("scope", "period")
    list_select_related: ClassVar[tuple[str, ...]] = ("client", "set_by")
    search_fields = ("scope_key", "object_id")
    readonly_fields = (
        "client",
        "ad_account",
        "scope",
        "object_id",
        "period",
        "currency",
        "set_at",
        "set_by",
        "history",
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "view") and self._accounts(request).exists()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if not self._may(request, "view"):
            return False
        return obj is None or access.may(self.principal(request), "manage_client", obj.client_id)

    def _accounts(self, request: HttpRequest) -> QuerySet[AdAccount]:
        """The ad accounts whose limits this person may set."""
        principal = self.principal(request)
        seen = {one.client_id for one in access.ad_accounts(principal, enabled=True)}
        mine = [one for one in seen if access.may(principal, "manage_client", one)]
        rows = AdAccount.objects.for_(principal).filter(client_id__in=mine, enabled_at__isnull=False)
        return rows.filter(archived_at__isnull=True).order_by("name", "meta_id")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ("ad_account", "scope", "object_id", "period", "amount", "reason")
        return (*self.readonly_fields[:-1], "amount", "reason", "history")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.readonly_fields

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        made = super().get_form(
            request, obj, change, **{**kwargs, "form": LimitForm if change else NewLimitForm}
        )
        made.principal = self.principal(request)
        if not change:
            made.accounts = self._accounts(request)
        return made

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        row = caps.set_(**form.wished(), reason=form.cleaned_data["reason"], now=now())
        if row is not None:
            obj.pk = row.pk
            obj.refresh_from_db()

    @admin.display(description="Who set it, newest first")
    def history(self, obj: Envelope) -> str:
        """From the ledger, so that what was set by the page or the API stands here as well."""
        rows = format_html_join("", "<li>{}</li>", ((line,) for line in caps.history(obj)))
        return format_html("<ol>{}</ol>", rows) if rows else "Nothing is on record."


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
