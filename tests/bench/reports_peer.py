"""facebook-ads-reports as its README has it: one report of the whole range at page 500, saved as CSV by its own helper.

    PYTHON -P tests/bench/reports_peer.py GRAPH_URL TOKEN ACT SINCE UNTIL FIELD,FIELD... CSV_FILE

PYTHON is one that has facebook_ads_reports. It asks for the fields given, without the breakdowns of its own model; only
its address is another one, an attribute of the client.
"""

from __future__ import annotations

import importlib
import sys
from datetime import date
from typing import Any


def main() -> None:
    url, token, act, since, until, fields, path = sys.argv[1:]
    peer: Any = importlib.import_module("facebook_ads_reports")
    utils: Any = importlib.import_module("facebook_ads_reports.utils")
    client = peer.MetaAdsReport(credentials_dict={"access_token": token})
    client.api_base_url = f"{url}/{client.api_version}"
    rows = client.get_report(
        ad_account_id=act,
        report_model={
            "report_name": "ad_insights_report",
            "endpoint": "insights",
            "fields": fields.split(","),
            "params": {"level": "ad", "time_increment": 1},
        },
        start_date=date.fromisoformat(since),
        end_date=date.fromisoformat(until),
        limit=500,
    )
    utils.save_report_to_csv(rows, path)


if __name__ == "__main__":
    main()
