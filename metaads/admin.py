"""Staff may look at quotas, notices and deliveries; nothing here is edited by hand, and bodies are not shown."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

import metaads.strikes as strikes
from metaads.models import Notice, QuotaScope, Strike, WebhookDelivery


class Readable(ModelAdmin):
    """Rows to read and search, never to add, change or delete."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Quotas and deliveries name every client's ad accounts, so only who may see all clients sees them.
        everywhere = getattr(getattr(request, "principal", None), "everywhere", False)
        return bool(request.user.is_active and request.user.is_staff and everywhere)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)


@admin.register(QuotaScope)
class QuotaAdmin(Readable):
    list_display = ("scope", "tier", "percent", "percent_at", "blocked_until", "reason", "calls", "throttled")
    search_fields = ("scope", "reason")
    exclude = ("points",)


@admin.register(Notice)
class NoticeAdmin(Readable):
    list_display = ("kind", "text", "opened_at", "seen_at", "times", "closed_at")
    search_fields = ("kind", "text")


@admin.register(WebhookDelivery)
class DeliveryAdmin(Readable):
    list_display = ("id", "received_at", "processed_at", "outcome", "repeats")
    list_filter = ("outcome",)
    search_fields = ("digest",)
    exclude = ("body",)


@admin.register(Strike)
class StrikeAdmin(Readable):
    list_display = ("name", "count", "begun_at", "parked_at", "error")
    list_filter = (("parked_at", admin.EmptyFieldListFilter),)
    search_fields = ("name",)
    actions = ("release",)

    def has_release_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @admin.action(description="Let it be tried again", permissions=["release"])
    def release(self, request: HttpRequest, queryset: QuerySet[Strike]) -> None:
        for strike in queryset.filter(parked_at__isnull=False):
            self.log_change(request, strike, "Released.")
            strikes.release(strike)
            messages.success(request, f"{strike.name}: is tried again within seconds.")
