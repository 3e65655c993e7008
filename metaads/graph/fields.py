"""What we ask Meta for, per object, and how an insights question is written down.

Only names that v26.0 answers (docs/meta.md, sections 5.4 and 6). An unknown name is an error 100 for the
whole call, so a name is added here together with a look into the reference. Quiet ads simply omit what they
have no data for. PURE: no Django, no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

AD_ACCOUNT: Final = (
    "id",
    "account_id",
    "name",
    "business_name",
    "business",
    "account_status",
    "disable_reason",
    "currency",
    "timezone_name",
    "timezone_id",
    "timezone_offset_hours_utc",
    "amount_spent",
    "balance",
    "spend_cap",
    "min_daily_budget",
    "is_personal",
    "user_tasks",
    "created_time",
)

CAMPAIGN: Final = (
    "id",
    "name",
    "account_id",
    "objective",
    "status",
    "configured_status",
    "effective_status",
    "daily_budget",
    "lifetime_budget",
    "budget_remaining",
    "spend_cap",
    "bid_strategy",
    "buying_type",
    "special_ad_categories",
    "pacing_type",
    "issues_info",
    "start_time",
    "stop_time",
    "created_time",
    "updated_time",
)

AD_SET: Final = (
    "id",
    "name",
    "account_id",
    "campaign_id",
    "status",
    "configured_status",
    "effective_status",
    "daily_budget",
    "lifetime_budget",
    "budget_remaining",
    "bid_amount",
    "bid_strategy",
    "billing_event",
    "optimization_goal",
    "destination_type",
    "promoted_object",
    "attribution_spec",
    "targeting",
    "learning_stage_info",
    "adset_schedule",
    "pacing_type",
    "issues_info",
    "start_time",
    "end_time",
    "created_time",
    "updated_time",
)

AD: Final = (
    "id",
    "name",
    "account_id",
    "campaign_id",
    "adset_id",
    "status",
    "configured_status",
    "effective_status",
    "creative",
    "ad_review_feedback",
    "issues_info",
    "preview_shareable_link",
    "created_time",
    "updated_time",
)

CREATIVE: Final = (
    "id",
    "name",
    "title",
    "body",
    "status",
    "object_type",
    "effective_object_story_id",
    "thumbnail_url",
    "image_url",
    "video_id",
    "link_url",
    "call_to_action_type",
)

ACTIVITY: Final = (
    "event_time",
    "event_type",
    "translated_event_type",
    "actor_id",
    "actor_name",
    "application_id",
    "application_name",
    "object_id",
    "object_name",
    "object_type",
    "extra_data",
)

# Additive metrics and what cannot be recomputed from them. Ratios (ctr, cpc, cpm) are ours to divide and
# are not asked for.
_INSIGHTS_IDS: Final = (
    "account_id",
    "campaign_id",
    "adset_id",
    "ad_id",
    "date_start",
    "date_stop",
)
_INSIGHTS_COUNTS: Final = ("spend", "impressions", "clicks", "inline_link_clicks")
_INSIGHTS_ACTIONS: Final = ("actions", "action_values")

INSIGHTS: Final = (
    *_INSIGHTS_IDS,
    *_INSIGHTS_COUNTS,
    "reach",
    *_INSIGHTS_ACTIONS,
    "outbound_clicks",
    "video_play_actions",
    "video_p25_watched_actions",
    "video_p50_watched_actions",
    "video_p75_watched_actions",
    "video_p100_watched_actions",
    "video_thruplay_watched_actions",
)

# Ads only, and never with a breakdown (section 5.4).
RANKINGS: Final = ("quality_ranking", "engagement_rate_ranking", "conversion_rate_ranking")
INSIGHTS_AD: Final = (*INSIGHTS, *RANKINGS)

# With the hourly breakdown Meta answers reach and frequency with 0, refuses video_* and drops unique_*
# (section 5.5).
INSIGHTS_HOURLY: Final = (*_INSIGHTS_IDS, *_INSIGHTS_COUNTS, *_INSIGHTS_ACTIONS)
HOURLY: Final = "hourly_stats_aggregated_by_advertiser_time_zone"

REPORT_RUN: Final = (
    "id",
    "account_id",
    "async_status",
    "async_percent_completion",
    "error_code",
    "error_subcode",
    "error_message",
    "error_user_title",
    "error_user_msg",
)

LEVELS: Final = ("account", "campaign", "adset", "ad")


def insights_params(
    *,
    level: str,
    since: date | str,
    until: date | str,
    fields: Sequence[str],
    time_increment: int | str = 1,
    breakdowns: Sequence[str] = (),
    windows: Sequence[str] = (),
    filtering: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Write an insights question as Graph parameters, for the synchronous read and for a report run alike.

    `since` and `until` are days of the ad account's time zone, both inclusive. `time_increment` is 1..90
    days, "monthly" or "all_days". `windows` are attribution windows such as 7d_click; without any, Meta
    uses the account's default. Any `filtering` makes Meta add an active-only filter of its own (section
    5.2).
    """
    if level not in LEVELS:
        raise ValueError(f"level is one of {', '.join(LEVELS)}")
    first, last = str(since), str(until)
    if first > last:
        raise ValueError("since lies after until")
    params: dict[str, Any] = {
        "level": level,
        "fields": ",".join(fields),
        "time_range": {"since": first, "until": last},
        "time_increment": time_increment,
        # Meta calls this both disregarded and needed to match Ads Manager; true is right under either
        # (section 13).
        "use_unified_attribution_setting": True,
    }
    if breakdowns:
        params["breakdowns"] = list(breakdowns)
    if windows:
        params["action_attribution_windows"] = list(windows)
    if filtering:
        params["filtering"] = [dict(condition) for condition in filtering]
    return params
