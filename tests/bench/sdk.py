"""The official SDK as most people write it: one loop over the days at page 500, rows saved by `executemany`.

python -m tests.bench.sdk GRAPH_URL TOKEN ACT SINCE UNTIL DATABASE     DATABASE: postgres://..., or a SQLite file
"""

from __future__ import annotations

import json
import sqlite3
import sys
from datetime import date, timedelta
from typing import Any

import psycopg
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession

FIELDS = (
    "account_id", "campaign_id", "adset_id", "ad_id", "date_start", "date_stop", "spend", "impressions", "reach",
    "clicks", "inline_link_clicks", "frequency", "ctr", "actions", "action_values",
)  # fmt: skip


def main() -> None:
    url, token, act, since, until, database = sys.argv[1:]
    FacebookSession.GRAPH = url
    FacebookAdsApi.init(access_token=token, crash_log=False)
    postgres = database.startswith("postgres")
    connection: Any = psycopg.connect(database) if postgres else sqlite3.connect(database)
    columns = ", ".join(f"{name} text" for name in FIELDS)
    cursor = connection.cursor()
    cursor.execute("DROP TABLE IF EXISTS sdk_rows")
    cursor.execute(f"CREATE TABLE sdk_rows ({columns}, PRIMARY KEY (ad_id, date_start))")
    marks = ", ".join(["%s" if postgres else "?"] * len(FIELDS))
    sets = ", ".join(f"{name} = excluded.{name}" for name in FIELDS)
    statement = f"INSERT INTO sdk_rows VALUES ({marks}) ON CONFLICT (ad_id, date_start) DO UPDATE SET {sets}"
    total, day = 0, date.fromisoformat(since)
    while day <= date.fromisoformat(until):
        period = {"since": str(day), "until": str(day)}
        params = {"level": "ad", "time_increment": 1, "limit": 500, "time_range": period}
        rows = [_values(row) for row in AdAccount(act).get_insights(fields=list(FIELDS), params=params)]
        cursor.executemany(statement, rows)
        connection.commit()
        total, day = total + len(rows), day + timedelta(days=1)
    print(json.dumps({"rows": total}))


def _values(row: Any) -> tuple[Any, ...]:
    found = row.export_all_data()
    return tuple(
        json.dumps(found[name]) if isinstance(found.get(name), list) else found.get(name) for name in FIELDS
    )


if __name__ == "__main__":
    main()
