"""The API paths of this floor."""

from __future__ import annotations

from django.urls import URLPattern, path

from insights.api.benchmark import Benchmark
from insights.api.comparison import Comparison
from insights.api.history import History
from insights.api.own import OwnMetric, OwnMetrics
from insights.api.past import Completeness, KnownAt
from insights.api.polling import Polling
from insights.api.ranking import Ranking
from insights.api.rhythm import Rhythm
from insights.api.views import Ads, AdSets, Campaigns, Insights, Metrics, Performance, Realtime

urlpatterns: list[URLPattern] = [
    path("api/meta/performance/<str:account_id>", Performance.as_view(), name="api_performance"),
    path("api/meta/campaigns/<str:account_id>", Campaigns.as_view(), name="api_campaigns"),
    path("api/meta/insights/<str:object_id>", Insights.as_view(), name="api_insights"),
    path("api/meta/realtime/<str:account_id>", Realtime.as_view(), name="api_realtime"),
    path("api/meta/ad-sets/<str:campaign_id>", AdSets.as_view(), name="api_ad_sets"),
    path("api/meta/ads/<str:adset_id>", Ads.as_view(), name="api_ads"),
    path("api/meta/known-at/<str:account_id>", KnownAt.as_view(), name="api_known_at"),
    path("api/meta/completeness/<str:account_id>", Completeness.as_view(), name="api_completeness"),
    path("api/meta/history/<str:account_id>", History.as_view(), name="api_history"),
    path("api/meta/polling/<str:account_id>", Polling.as_view(), name="api_polling"),
    path("api/meta/rhythm/<str:account_id>", Rhythm.as_view(), name="api_rhythm"),
    path("api/meta/comparison/<str:object_id>", Comparison.as_view(), name="api_comparison"),
    path("api/meta/ranking/<str:account_id>", Ranking.as_view(), name="api_ranking"),
    path("api/meta/benchmark/<str:account_id>", Benchmark.as_view(), name="api_benchmark"),
    path("api/metrics/own", OwnMetrics.as_view(), name="api_own_metrics"),
    path("api/metrics/own/<str:name>", OwnMetric.as_view(), name="api_own_metric"),
    path("api/metrics", Metrics.as_view(), name="api_metrics"),
]
