"""Fill an empty installation with ad-days: twenty accounts, one of which owns 18 % of the ads.

    python -m tests.bench.fill ROWS     the installation is the environment's; prints how much it holds, as JSON

    objects         -> structure as a sync leaves it
    ads x days      -> ad rows, day by day as a sync leaves them (PostgreSQL: indexes afterwards)
    campaigns x 24  -> hour rows of the newest 13 weeks
                    -> rollups and window sums by the product's own store; slices, versions and looks as they stand
                       in an installation whose every day was read

Only the rows that everything is a sum of: rows of higher levels serve reach, which no question of the bench asks for.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connection  # noqa: E402

from accounts.models import AdAccount, Client  # noqa: E402
from campaigns.models import Ad, AdSet, Campaign  # noqa: E402
from insights.metrics import ADDITIVE  # noqa: E402
from insights.models import DataVersion, DayRow, HourRow, PollState, Slice  # noqa: E402
from insights.store import rollups  # noqa: E402
from metaads.clock import now  # noqa: E402

DAYS = 360
HOUR_DAYS = 91
ACCOUNTS = 20
ADS = 20  # of a campaign, in four ad sets
#: number, ad account, ids of campaign, ad set and ad
Path = tuple[int, int, str, str, str]
#: The widest value of a column, in its own unit; the others reach 40.
MOST = {"spend": 4_000, "impressions": 9_000, "clicks": 200, "link_clicks": 150, "purchase_value": 9_000}
UNIT = {"money": 10_000, "whole": 1, "action": 1_000_000}
#: What one ad row keeps besides its columns: about what an account for purchases reports.
ACTIONS = json.dumps(
    {
        "actions": {
            name: {"value": "12", "7d_click": "9", "1d_view": "3"}
            for name in ("omni_purchase", "omni_add_to_cart", "landing_page_view", "post_engagement")
        },
        "action_values": {"omni_purchase": {"value": "512.40", "7d_click": "401.10"}},
    }
)


def main() -> None:
    rows = int(sys.argv[1])
    began, moment = time.perf_counter(), now()
    today = moment.date()
    days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    client = Client.objects.get(slug="bench")
    client.result_action = "omni_purchase"
    client.save()
    accounts = _accounts(client, moment)
    with connection.cursor() as cursor:
        _structure(_objects(cursor, accounts, ads=max(ACCOUNTS * ADS, rows // DAYS)), accounts, moment)
        with _loading(cursor):
            for index, day in enumerate(days):
                _ad_rows(cursor, day, index, moment)
                if index >= DAYS - HOUR_DAYS:
                    _hour_rows(cursor, day, index, moment)
    facts = time.perf_counter() - began
    began = time.perf_counter()
    for account in accounts:
        _sums(account, days)
    sums = time.perf_counter() - began
    for account in accounts:
        _read(account, days, moment)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("VACUUM ANALYZE")
    print(
        json.dumps(
            {
                "accounts": [account.act_id for account in accounts],
                "ad_rows": DayRow.everything.count(),
                "hour_rows": HourRow.everything.count(),
                "facts_s": round(facts, 1),
                "sums_s": round(sums, 1),
                "sizes_mb": _sizes(),
            }
        )
    )


def _accounts(client: Client, moment: datetime) -> list[AdAccount]:
    return [
        AdAccount.everything.create(
            client=client,
            meta_id=f"19700000000000{number:02d}",
            name=f"Account {number:02d}",
            currency="USD",
            timezone_name="UTC",
            enabled_at=moment,
            last_contact_at=moment,
        )
        for number in range(ACCOUNTS)
    ]


def _objects(cursor: Any, accounts: list[AdAccount], *, ads: int) -> list[Path]:
    """Whose rows there will be: the first account has 18 % of the ads, the others share the rest."""
    columns = "n integer, account_id bigint, campaign_id varchar(40), adset_id varchar(40), ad_id varchar(40)"
    cursor.execute(f"CREATE TEMPORARY TABLE bench_ads ({columns})")
    first = max(1, round(0.18 * ads / ADS))
    others = max(1, round((ads / ADS - first) / (ACCOUNTS - 1)))
    found: list[Path] = []
    number = 0
    for index, account in enumerate(accounts):
        for campaign in range(first if index == 0 else others):
            for ad in range(ADS):
                ids = (
                    f"1201{index:02d}{campaign:09d}10",
                    f"1201{index:02d}{campaign:09d}2{ad // 5}",
                    f"1201{index:02d}{campaign:09d}3{ad:02d}",
                )
                found.append((number, account.pk, *ids))
                number += 1
    cursor.executemany("INSERT INTO bench_ads VALUES (%s, %s, %s, %s, %s)", found)
    return found


def _structure(paths: Sequence[Path], accounts: Sequence[AdAccount], moment: datetime) -> None:
    """Every object of the rows, delivering. One ad set of every fourth campaign is after something else."""
    at = {int(account.pk): account for account in accounts}

    def stored(model: type[Any], ids: Iterable[tuple[int, str]], **more: Any) -> dict[str, Any]:
        rows = [
            model(client_id=at[pk].client_id, ad_account_id=pk, meta_id=meta_id, name=meta_id, status="ACTIVE",
                  effective_status="ACTIVE", seen_at=moment, **{name: of(meta_id) for name, of in more.items()})
            for pk, meta_id in dict.fromkeys(ids)
        ]  # fmt: skip
        return {row.meta_id: row for row in model.everything.bulk_create(rows, batch_size=500)}

    above = {adset: campaign for _, _, campaign, adset, _ in paths}
    inside = {ad: adset for _, _, _, adset, ad in paths}
    campaigns = stored(
        Campaign, ((pk, campaign) for _, pk, campaign, _, _ in paths), objective=lambda one: "OUTCOME_SALES"
    )
    ad_sets = stored(
        AdSet,
        ((pk, adset) for _, pk, _, adset, _ in paths),
        campaign=lambda one: campaigns[above[one]],
        optimization_goal=lambda one: "LINK_CLICKS" if _odd(above[one], one) else "OFFSITE_CONVERSIONS",
        conversion_event=lambda one: "" if _odd(above[one], one) else "PURCHASE",
    )
    stored(
        Ad,
        ((pk, ad) for _, pk, _, _, ad in paths),
        campaign=lambda one: campaigns[above[inside[one]]],
        ad_set=lambda one: ad_sets[inside[one]],
    )


def _odd(campaign: str, adset: str) -> bool:
    return int(campaign[:-2]) % 4 == 3 and adset.endswith("3")


@contextmanager
def _loading(cursor: Any) -> Iterator[None]:
    """PostgreSQL builds an index faster at once than row by row; SQLite would copy the table for it."""
    if connection.vendor != "postgresql":
        with django.db.transaction.atomic():
            yield
        return
    cursor.execute("SET synchronous_commit = off")
    cursor.execute("SET maintenance_work_mem = '512MB'")
    with connection.schema_editor() as editor:
        for model in (DayRow, HourRow):
            for index in model._meta.indexes:
                editor.remove_index(model, index)
            for rule in model._meta.constraints:
                editor.remove_constraint(model, rule)
    yield
    with connection.schema_editor() as editor:
        for model in (DayRow, HourRow):
            for rule in model._meta.constraints:
                editor.add_constraint(model, rule)
            for index in model._meta.indexes:
                editor.add_index(model, index)


def _ad_rows(cursor: Any, day: date, index: int, moment: datetime) -> None:
    cursor.execute(
        f"INSERT INTO {DayRow._meta.db_table} (ad_account_id, level, object_id, campaign_id, adset_id, breakdown,"
        f" day, {', '.join(ADDITIVE)}, reach, actions, known_from)"
        f" SELECT account_id, 'ad', ad_id, campaign_id, adset_id, '', {_mark('date')}, {_values(index)},"
        f" 100 + n %% 900, {_mark('jsonb')}, {_mark('timestamptz')} FROM bench_ads",
        [_day(day), ACTIONS, _moment(moment)],
    )


def _hour_rows(cursor: Any, day: date, index: int, moment: datetime) -> None:
    hours = " UNION ALL ".join(f"SELECT {hour} AS hour" for hour in range(24))
    cursor.execute(
        f"INSERT INTO {HourRow._meta.db_table} (ad_account_id, level, object_id, campaign_id, adset_id, breakdown,"
        f" day, hour, {', '.join(ADDITIVE)}, reach, actions, known_from)"
        f" SELECT account_id, 'campaign', campaign_id, campaign_id, '', '', {_mark('date')}, hour,"
        f" {_values(index)}, NULL, {_mark('jsonb')}, {_mark('timestamptz')}"
        f" FROM bench_ads CROSS JOIN ({hours}) h WHERE n %% {ADS} = 0",
        [_day(day), "{}", _moment(moment)],
    )


def _values(index: int) -> str:
    """Numbers that differ by ad and day and are the same in every run."""
    return ", ".join(
        f"(1 + (n * {7919 + 2 * place} + {(index + 1) * (104729 + 2 * place)}) %% {MOST.get(name, 40)}) * {UNIT[kind]}"
        for place, (name, kind) in enumerate(ADDITIVE.items())
    )


def _sums(account: AdAccount, days: list[date]) -> None:
    pk, until = int(account.pk), days[-1] - timedelta(days=1)
    with django.db.transaction.atomic():
        rollups.refresh_days(account_id=pk, days=days)
        rollups.refresh_hours(account_id=pk, days=days[-HOUR_DAYS:])
        rollups.refresh_windows(account_id=pk, until=until, days=None)


def _read(account: AdAccount, days: list[date], moment: datetime) -> None:
    """Every day was read to the end, and the tick has just looked."""
    pk = account.pk
    common = {"ad_account_id": pk, "complete": True, "zone": "UTC", "rows": 1}
    common |= {"fetched_at": moment, "as_of": moment, "whole_from": moment}
    slices = [
        Slice(kind="day", level=level, day=day, **common)
        for day in days
        for level in ("account", "campaign", "adset", "ad")
    ]
    slices += [Slice(kind="hour", level="campaign", day=day, **common) for day in days[-HOUR_DAYS:]]
    Slice.everything.bulk_create(slices, batch_size=500)
    until = days[-1] - timedelta(days=1)
    DataVersion.everything.create(ad_account_id=pk, version=1, changed_at=moment, windows_until=until)
    later = moment + timedelta(minutes=15)
    PollState.everything.create(ad_account_id=pk, checked_at=moment, data_as_of=moment, next_check_at=later)


def _sizes() -> dict[str, int]:
    if connection.vendor != "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
            return {"all": round(cursor.fetchone()[0] / 1e6)}
    names = (
        "dayrow",
        "hourrow",
        "campaignday",
        "campaignweek",
        "adsetmonth",
        "accountday",
        "accounthour",
        "windowsum",
    )
    with connection.cursor() as cursor:
        sizes = ", ".join(f"pg_total_relation_size('insights_{name}')" for name in names)
        cursor.execute(f"SELECT {sizes}")
        return {name: round(size / 1e6) for name, size in zip(names, cursor.fetchone(), strict=True)}


def _mark(kind: str) -> str:
    return f"CAST(%s AS {kind})" if connection.vendor == "postgresql" else "%s"


def _day(day: date) -> Any:
    return connection.ops.adapt_datefield_value(day)


def _moment(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


if __name__ == "__main__":
    main()
