"""facebook-ads-reports as its README has it: one report of the whole range at page 500, saved as CSV.

    PYTHON -m tests.bench.reports_peer GRAPH_URL TOKEN ACT SINCE UNTIL      PYTHON: one that has facebook_ads_reports

It asks for the fields of the SDK's loop, without the breakdowns of its own model; only its address is another one.
"""

from __future__ import annotations

import csv
import importlib
import json
import sys
import tempfile
from datetime import date
from typing import Any

FIELDS = (
    "account_id", "campaign_id", "adset_id", "ad_id", "date_start", "date_stop", "spend", "impressions", "reach",
    "clicks", "inline_link_clicks", "frequency", "ctr", "actions", "action_values",
)  # fmt: skip


def main() -> None:
    url, token, act, since, until = sys.argv[1:]
    peer: Any = importlib.import_module("facebook_ads_reports.client")
    client = peer.MetaAdsReport({"access_token": token})
    client.api_base_url = f"{url}/{client.api_version}"
    model = {
        "report_name": "ad_insights_report",
        "endpoint": "insights",
        "fields": list(FIELDS),
        "params": {"level": "ad", "time_increment": 1},
    }
    rows = client.get_report(act, model, date.fromisoformat(since), date.fromisoformat(until), limit=500)
    with tempfile.TemporaryFile("w+", newline="") as out:
        writer = csv.DictWriter(out, FIELDS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    print(json.dumps({"rows": len(rows)}))


if __name__ == "__main__":
    main()
