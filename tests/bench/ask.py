"""Ask what the dashboard asks, through the product's code with nothing remembered; and the wide table the same.

    python -m tests.bench.ask TIMES     the installation is the environment's (`tests.bench.fill`); prints JSON

Each question is asked of a random account, one time in four of the biggest. `whole` is the call; `sums` are its
summing statements alone, asked once more, and `wide` the same statements with the rows in place of their rollup. One
connection, in turns, so that all three meet the same minute.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
django.setup()

from django.db import connection  # noqa: E402

import insights.analytics as analytics  # noqa: E402
import insights.rankings as rankings  # noqa: E402
import insights.rhythms as rhythms  # noqa: E402
from accounts.models import AdAccount  # noqa: E402
from dashboard.pages.account import COLUMNS  # noqa: E402
from dashboard.pages.tiles import HEADLINE  # noqa: E402
from insights.comparisons import compare  # noqa: E402
from insights.metrics import ADDITIVE  # noqa: E402
from insights.models import DayRow  # noqa: E402
from insights.rows import Row  # noqa: E402
from insights.store.write import Read, upsert  # noqa: E402
from metaads.clock import now  # noqa: E402
from tests.bench.ground import percentile  # noqa: E402

#: The rollup of a statement -> the rows that it is a sum of.
WIDE = {
    "insights_campaignday": ("insights_dayrow", "ad"),
    "insights_campaignweek": ("insights_dayrow", "ad"),
    "insights_accountday": ("insights_dayrow", "ad"),
    "insights_accounthour": ("insights_hourrow", "campaign"),
}
REFRESHED = (*WIDE, "insights_adsetmonth")
#: What a statement over a rollup names rows by; everything else is added up.
KEYS = ("ad_account_id", "campaign_id", "day", "hour")
#: A statement whose answer are numbers: of a rollup, or of rows (there: by the day, or added up).
_SUMS = re.compile(rf"^SELECT (?!1 ).* FROM ({'|'.join([*WIDE, 'insights_dayrow', 'insights_hourrow'])}) ")
Ask = Callable[[AdAccount], object]


@dataclass
class Watch:
    """Sees every statement of a question: how long it took, by text."""

    seen: list[tuple[str, Any, float]] = field(default_factory=list)

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.seen.append((sql, params, time.perf_counter() - began))

    def took(self, *words: str) -> float:
        return sum(seconds for sql, _, seconds in self.seen if any(word in sql for word in words))


def main() -> None:
    times = int(sys.argv[1])
    accounts = list(AdAccount.everything.select_related("client").order_by("meta_id"))
    found = [_asked(name, ask, accounts, times) for name, ask in _questions().items()]
    print(json.dumps({"questions": found, "refresh": _refresh(accounts[0])}))


def _questions() -> dict[str, Ask]:
    moment = now()
    until = moment.date() - timedelta(days=1)

    def span(days: int) -> dict[str, Any]:
        return {"since": until - timedelta(days=days - 1), "until": until, "now": moment}

    def own_results(account: AdAccount) -> object:
        account.client.result_action = ""
        try:
            return analytics.table(account, level="campaign", metrics=COLUMNS, **span(28))
        finally:
            account.client.result_action = "omni_purchase"

    by_day: dict[str, Ask] = {
        f"account by day, {days} d": lambda account, days=days: analytics.series(  # type: ignore[misc]
            account, level="account", metrics=COLUMNS, **span(days)
        )
        for days in (7, 28, 90)
    }
    tables: dict[str, Ask] = {
        f"campaign table, {days} d": lambda account, days=days: analytics.table(  # type: ignore[misc]
            account, level="campaign", metrics=COLUMNS, **span(days)
        )
        for days in (7, 28, 90)
    }
    first: dict[str, Ask] = {
        f"top 50 campaigns by ROAS, {days} d": lambda account, days=days: rankings.rank(  # type: ignore[misc]
            account, level="campaign", metric="roas", most=50, **span(days)
        )
        for days in (28, 90)
    }
    heat: dict[str, Ask] = {
        f"heat map of CTR, {weeks} weeks": lambda account, weeks=weeks: rhythms.find_rhythm(  # type: ignore[misc]
            account, metric="ctr", family="hour_of_week", weeks=weeks, now=moment
        )
        for weeks in (4, 13)
    }
    return {
        **by_day,
        **tables,
        **first,
        "totals against the period before, 28 d": lambda account: compare(
            account, against="previous", metrics=HEADLINE, **span(28)
        ),
        **heat,
        "ads of one campaign, 28 d": lambda account: analytics.table(
            account, level="ad", parent_id=_of(account, "campaign_id"), metrics=COLUMNS, **span(28)
        ),
        "one ad set by day, 28 d": lambda account: analytics.series(
            account, level="adset", object_id=_of(account, "adset_id"), metrics=COLUMNS, **span(28)
        ),
        "one ad by day, 90 d": lambda account: analytics.series(
            account, level="ad", object_id=_of(account, "object_id"), metrics=COLUMNS, **span(90)
        ),
        "campaign table, 28 d, each ad set's own result": own_results,
    }


_ONE: dict[tuple[int, str], str] = {}


def _of(account: AdAccount, column: str) -> str:
    """One object of the account; looked up before the first question, never while it is timed."""
    if (account.pk, column) not in _ONE:
        row = DayRow.objects.of(account).filter(level="ad").values_list(column, flat=True)[0]
        _ONE[account.pk, column] = str(row)
    return _ONE[account.pk, column]


def _asked(name: str, ask: Ask, accounts: Sequence[AdAccount], times: int) -> dict[str, Any]:
    dice = random.Random(name)
    whole, cpu, sums, wide = [], [], [], []
    statements = 0
    for account in accounts:  # warm: caches of both databases, plans and imports
        ask(account)
    for _ in range(times):
        account = accounts[0] if dice.random() < 0.25 else dice.choice(accounts[1:])
        watch = Watch()
        with connection.execute_wrapper(watch):
            began, used = time.perf_counter(), time.process_time()
            ask(account)
            whole.append(time.perf_counter() - began)
            cpu.append(time.process_time() - used)
        statements = max(statements, len(watch.seen))
        summing = [(sql, params) for sql, params, _ in watch.seen if _SUMS.search(sql)]
        sums.append(sum(_seconds(sql, params) for sql, params in summing))
        if all(any(f" {rollup} " in sql for rollup in WIDE) for sql, _ in summing):
            wide.append(sum(_seconds(*_of_rows(sql, params)) for sql, params in summing))
    return {
        "question": name,
        "times": times,
        "statements": statements,
        **{
            f"{what}_p{round(share * 100)}_ms": round(1000 * percentile(values, share), 2) if values else None
            for what, values in (("whole", whole), ("cpu", cpu), ("sums", sums), ("wide", wide))
            for share in (0.5, 0.95)
        },
    }


def _of_rows(sql: str, params: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """The same statement over the rows themselves, added up for each key of the rollup."""
    rollup = next(name for name in WIDE if f" {name} " in sql)
    table, level = WIDE[rollup]
    columns = sql.removeprefix("SELECT ").partition(" FROM ")[0].split(", ")
    keys = [name for name in columns if name in KEYS]
    numbers = [name if name.startswith("SUM(") else f"SUM({name})" for name in columns if name not in KEYS]
    where = sql.partition(" WHERE ")[2].partition(" GROUP BY ")[0]
    if rollup == "insights_campaignweek":
        where, (account, *weeks) = "ad_account_id = %s AND day BETWEEN %s AND %s", params
        params = [account, weeks[0], _day(_date(weeks[-1]) + timedelta(days=6))]
    text = (
        f"SELECT {', '.join([*keys, *numbers])} FROM {table}"
        f" WHERE level = '{level}' AND breakdown = '' AND {where} GROUP BY {', '.join(keys)}"
    )
    return text, params


def _day(day: date) -> Any:
    return connection.ops.adapt_datefield_value(day)


def _seconds(sql: str, params: Any) -> float:
    """Of a statement and its answer to the last row: SQLite computes rows as they are fetched."""
    with connection.cursor() as cursor:
        began = time.perf_counter()
        cursor.execute(sql, params)
        cursor.fetchall()
        return time.perf_counter() - began


def _refresh(account: AdAccount) -> dict[str, Any]:
    """Every ad row of 28 days of the biggest account anew: what the rollups take of the upsert."""
    moment = now()
    days = [moment.date() - timedelta(days=back) for back in range(1, 29)]
    rows = _restated(account, days)
    reads = [Read("day", "ad", day) for day in days]
    watch = Watch()
    with connection.execute_wrapper(watch):
        began = time.perf_counter()
        done = upsert(ad_account=account, rows=rows, slices=reads, now=moment)
        seconds = time.perf_counter() - began
    refreshed = sum(
        took
        for sql, _, took in watch.seen
        if any(f"{verb} {table}" in sql for table in REFRESHED for verb in ("INSERT INTO", "DELETE FROM"))
    )
    windows = watch.took("insights_windowsum")
    return {
        "rows": len(rows),
        "changed": done.changed,
        "upsert_s": round(seconds, 2),
        "rollups_s": round(refreshed, 2),
        "windows_s": round(windows, 2),
        "merge_s": round(seconds - refreshed - windows, 2),
    }


def _restated(account: AdAccount, days: Sequence[date]) -> list[Row]:
    stored = DayRow.objects.of(account).filter(level="ad", day__in=days)
    table, names = DayRow._meta.db_table, ", ".join(ADDITIVE)
    cast = "CAST(actions AS text)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT object_id, campaign_id, adset_id, day, reach, {cast}, {names} FROM {table}"
            f" WHERE ad_account_id = %s AND level = 'ad' AND day BETWEEN %s AND %s",
            [account.pk, *(_day(day) for day in (min(days), max(days)))],
        )
        found = cursor.fetchall()
    assert len(found) == stored.count()
    return [
        Row("ad", ad, campaign, adset, _date(day), -1, "", (spend + 10_000, *others), reach, actions)
        for ad, campaign, adset, day, reach, actions, spend, *others in found
    ]


def _date(value: Any) -> date:
    return value if isinstance(value, date) else datetime.fromisoformat(str(value)[:10]).date()


if __name__ == "__main__":
    main()
