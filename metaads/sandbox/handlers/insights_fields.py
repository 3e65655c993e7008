"""Names that the insights ``fields`` parameter knows (reference 5.4).

A known field without data is left out of the row.
"""

from __future__ import annotations

_SCALARS = """
account_currency account_id account_name ad_id ad_name adset_id adset_name attribution_setting
auction_bid auction_competitiveness auction_max_competitor_bid buying_type campaign_id campaign_name
canvas_avg_view_percent canvas_avg_view_time clicks conversion_rate_ranking
cost_per_estimated_ad_recallers cost_per_inline_link_click cost_per_inline_post_engagement
cost_per_unique_click cost_per_unique_inline_link_click cpc cpm cpp created_time creative_diversity_label
creative_diversity_score creative_media_type ctr date_start date_stop engagement_rate_ranking
estimated_ad_recall_rate estimated_ad_recallers frequency full_view_impressions full_view_reach
impressions inline_link_click_ctr inline_link_clicks inline_post_engagement instagram_profile_visits
objective optimization_goal opportunity_score_l4 quality_ranking reach shops_assisted_purchases
social_spend spend unique_clicks unique_ctr unique_inline_link_clicks unique_link_clicks_ctr updated_time
landing_page_view_per_link_click purchases_per_link_click unique_inline_link_click_ctr
"""

_LISTS = """
actions action_values ad_click_actions ad_impression_actions catalog_segment_actions conversions
conversion_values cost_per_action_type cost_per_conversion cost_per_outbound_click cost_per_thruplay
cost_per_15_sec_video_view cost_per_2_sec_continuous_video_view cost_per_6_sec_video_view
cost_per_unique_action_type cost_per_unique_outbound_click instant_experience_outbound_clicks
interactive_component_tap mobile_app_purchase_roas outbound_clicks outbound_clicks_ctr purchase_roas
unique_actions unique_outbound_clicks video_15_sec_watched_actions video_30_sec_watched_actions
video_6_sec_watched_actions video_avg_time_watched_actions video_continuous_2_sec_watched_actions
video_p25_watched_actions video_p50_watched_actions video_p75_watched_actions video_p95_watched_actions
video_p100_watched_actions video_play_actions video_thruplay_watched_actions video_time_watched_actions
website_ctr website_purchase_roas average_purchases_conversion_value results cost_per_result
objective_results cost_per_objective_result result_rate objective_result_rate creative_fatigue_summary
creative_fatigued_ads video_play_curve_actions video_play_retention_0_to_15s_actions
video_play_retention_20_to_60s_actions video_play_retention_graph_actions
"""

SCALARS = frozenset(_SCALARS.split())
LISTS = frozenset(_LISTS.split())
KNOWN = SCALARS | LISTS
# Level by which an id or name field is known; a field below the row's level is left out.
IDENTITY = {
    "account_id": "account",
    "account_name": "account",
    "account_currency": "account",
    "campaign_id": "campaign",
    "campaign_name": "campaign",
    "objective": "campaign",
    "buying_type": "campaign",
    "adset_id": "adset",
    "adset_name": "adset",
    "optimization_goal": "adset",
    "attribution_setting": "adset",
    "ad_id": "ad",
    "ad_name": "ad",
}
