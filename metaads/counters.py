"""What this process counted, for /metrics. Labels come from closed sets; no ids, no names."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

#: kind: Meta's answer as graph.errors.Kind names it. use: what the call was for.
graph_calls = Counter("metaads_graph_calls_total", "Calls to the Graph API", ["use", "kind"])
graph_held_back = Counter(
    "metaads_graph_held_back_total", "Calls not made because a quota was too full", ["use"]
)
webhooks = Counter("metaads_webhooks_total", "Webhook POSTs", ["outcome"])
mails = Counter("metaads_mails_total", "Mails: sent, refused (tried again later), given_up", ["outcome"])
outbox = Gauge("metaads_outbox", "Mails in the database, of all processes: waiting, given_up", ["state"])
