"""What the machine allows: parsing the pages, and COPY of their rows into an unlogged table, each alone.

python -m tests.bench.floors GRAPH_URL TOKEN ACT SINCE UNTIL POSTGRES_URL
"""

from __future__ import annotations

import json
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import psycopg

from metaads.graph.fields import INSIGHTS

NUMBERS = ("spend", "impressions", "reach", "clicks", "inline_link_clicks")


def main() -> None:
    url, token, act, since, until, database = sys.argv[1:]
    first, last = date.fromisoformat(since), date.fromisoformat(until)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    # Day by day, as the SDK's loop: so many rows in one question are too much for Meta, and for the sandbox.
    pages = [page for day in days for page in _pages(url, token, act, day.isoformat())]
    began = time.process_time()
    rows = [row for page in pages for row in json.loads(page)["data"]]
    parsed = time.process_time() - began
    lines = "".join(
        "\t".join([row["ad_id"], row["date_start"], *(str(row.get(name, 0)) for name in NUMBERS)]) + "\n"
        for row in rows
    ).encode()
    columns = ", ".join(f"{name} numeric" for name in NUMBERS)
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE floor_rows (ad_id text, day date, {columns})")
        began = time.perf_counter()
        with cursor.copy("COPY floor_rows FROM STDIN") as copy:
            copy.write(lines)
        copied = time.perf_counter() - began
    print(json.dumps({"rows": len(rows), "parse_s": parsed, "copy_s": copied}))


def _pages(url: str, token: str, act: str, day: str) -> Iterator[bytes]:
    after = ""
    while True:
        question: dict[str, Any] = {
            "level": "ad",
            "time_increment": 1,
            "limit": 500,
            "fields": ",".join(INSIGHTS),
            "time_range": json.dumps({"since": day, "until": day}),
            "access_token": token,
        }
        if after:
            question["after"] = after
        with urllib.request.urlopen(
            f"{url}/v26.0/{act}/insights?{urllib.parse.urlencode(question)}"
        ) as answer:
            page = answer.read()
        yield page
        paging = json.loads(page).get("paging", {})
        if "next" not in paging:
            return
        after = paging["cursors"]["after"]


if __name__ == "__main__":
    main()
