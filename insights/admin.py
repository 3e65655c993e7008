"""The floor's tables in the operations site: read only, scoped by ad account."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin import ScopedAdmin
from insights.models import (
    AccountDay,
    AccountHour,
    AdSetMonth,
    CampaignDay,
    CampaignWeek,
    DataVersion,
    DayRow,
    FetchRun,
    HourRow,
    Interest,
    PeriodReach,
    PollState,
    ReportRun,
    Revision,
    Slice,
    WindowSum,
)

_NUMBERS = ("spend", "impressions", "clicks", "link_clicks", "purchases", "leads")


class FactAdmin(ScopedAdmin):
    search_fields = ("object_id", "campaign_id", "adset_id")
    list_filter = ("level",)
    date_hierarchy = "day"
    ordering = ("-day", "level", "object_id")


@admin.register(DayRow)
class DayRowAdmin(FactAdmin):
    list_display = ("day", "level", "object_id", "campaign_id", *_NUMBERS, "reach", "known_from")


@admin.register(HourRow)
class HourRowAdmin(FactAdmin):
    list_display = (
        "day",
        "hour",
        "level",
        "object_id",
        "spend",
        "impressions",
        "clicks",
        "link_clicks",
        "known_from",
    )


@admin.register(Revision)
class RevisionAdmin(ScopedAdmin):
    list_display = ("day", "grain", "level", "object_id", "known_from", "known_to")
    list_filter = ("grain", "level")
    search_fields = ("object_id",)
    ordering = ("-known_to", "-id")


@admin.register(Slice)
class SliceAdmin(ScopedAdmin):
    list_display = (
        "ad_account_id",
        "kind",
        "level",
        "day",
        "complete",
        "agrees",
        "rows",
        "fetched_at",
        "as_of",
        "zone",
    )
    list_filter = ("kind", "level", "complete", "agrees")
    ordering = ("-day", "kind", "level")


@admin.register(PeriodReach)
class PeriodReachAdmin(ScopedAdmin):
    list_display = ("level", "object_id", "since", "until", "reach", "as_of")
    list_filter = ("level",)
    search_fields = ("object_id",)
    ordering = ("-until", "level", "object_id")


@admin.register(AccountDay)
class AccountDayAdmin(ScopedAdmin):
    list_display = ("ad_account_id", "day", *_NUMBERS)
    ordering = ("-day",)


@admin.register(CampaignDay)
class CampaignDayAdmin(ScopedAdmin):
    list_display = ("campaign_id", "day", *_NUMBERS)
    search_fields = ("campaign_id",)
    ordering = ("-day", "campaign_id")


@admin.register(CampaignWeek)
class CampaignWeekAdmin(ScopedAdmin):
    list_display = ("campaign_id", "week", *_NUMBERS)
    search_fields = ("campaign_id",)
    ordering = ("-week", "campaign_id")


@admin.register(AdSetMonth)
class AdSetMonthAdmin(ScopedAdmin):
    list_display = ("campaign_id", "adset_id", "month", "days")
    search_fields = ("campaign_id", "adset_id")
    ordering = ("-month", "adset_id")


@admin.register(AccountHour)
class AccountHourAdmin(ScopedAdmin):
    list_display = ("ad_account_id", "day", "hour", "spend", "impressions", "clicks", "link_clicks")
    ordering = ("-day", "-hour")


@admin.register(WindowSum)
class WindowSumAdmin(ScopedAdmin):
    list_display = ("level", "object_id", "days", "until", "active_days", *_NUMBERS)
    list_filter = ("level", "days")
    search_fields = ("object_id",)
    ordering = ("level", "object_id", "days")


@admin.register(DataVersion)
class DataVersionAdmin(ScopedAdmin):
    list_display = ("ad_account_id", "version", "changed_at", "windows_until")


@admin.register(ReportRun)
class ReportRunAdmin(ScopedAdmin):
    list_display = (
        "ad_account_id",
        "level",
        "since",
        "until",
        "breakdown",
        "state",
        "percent",
        "attempts",
        "reason",
        "not_before",
    )
    list_filter = ("state", "level")
    ordering = ("-id",)


@admin.register(FetchRun)
class FetchRunAdmin(ScopedAdmin):
    list_display = (
        "ad_account_id",
        "kind",
        "state",
        "done",
        "total",
        "rows",
        "requests",
        "sentence",
        "started_at",
    )
    list_filter = ("kind", "state")
    ordering = ("-started_at", "-id")


@admin.register(PollState)
class PollStateAdmin(ScopedAdmin):
    list_display = (
        "ad_account_id",
        "checked_at",
        "data_as_of",
        "next_check_at",
        "quiet",
        "failures",
        "period_seconds",
        "stopped",
        "reason",
    )
    ordering = ("next_check_at",)


@admin.register(Interest)
class InterestAdmin(ScopedAdmin):
    list_display = ("ad_account_id", "reason", "weight", "until")
    ordering = ("-until",)
