"""What this process counted, for /metrics. Labels come from closed sets; no ids, no names."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

#: kind: Meta's answer as graph.errors.Kind names it. use: what the call was for.
graph_calls = Counter("metaads_graph_calls_total", "Calls to the Graph API", ["use", "kind"])
graph_held_back = Counter(
    "metaads_graph_held_back_total", "Calls not made because a quota was too full", ["use"]
)
webhooks = Counter("metaads_webhooks_total", "Webhook POSTs", ["outcome"])
changes = Counter("metaads_changes_total", "State transitions of changes", ["state"])
rows = Counter("metaads_rows_total", "Insight rows written", ["outcome"])
decisions = Counter("metaads_decisions_total", "Decisions of strategies", ["outcome"])
pushes = Counter("metaads_pushes_total", "Live frames sent to browsers", ["topic"])
seconds = Histogram(
    "metaads_seconds",
    "Duration of a piece of work",
    ["work"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
