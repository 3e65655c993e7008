"""Sums kept at hand, refreshed in the upsert's transaction for exactly the days it touched.

    ad rows -> CampaignDay, AccountDay, AdSetMonth      campaign hour rows -> AccountHour
    CampaignDay -> CampaignWeek
    ad rows -> WindowSum of ad, ad set, campaign and account over 1, 3, 7, 14, 28 full days up to yesterday

Each is deleted and summed anew for its day, so it is equal to the facts whatever came before; of `AdSetMonth` only what
has changed is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from insights.metrics import ADDITIVE, VALUES
from insights.models import (
    AccountDay,
    AccountHour,
    AdSetMonth,
    CampaignDay,
    CampaignWeek,
    DataVersion,
    DayRow,
    HourRow,
    WindowSum,
)
from insights.statements import as_day
from insights.windows import DAY, Period, sliding

#: Hours are read per campaign: one call for a day of fifty campaigns, where ads would take sixty.
HOUR_LEVEL: Final = "campaign"
_COLUMNS: Final = ", ".join(ADDITIVE)
_SUMS: Final = ", ".join(f"CAST(SUM({name}) AS bigint)" for name in ADDITIVE)
_MICRO: Final = 1_000_000
_HALF_A_HUNDREDTH: Final = 5_000
_WORTHS: Final = frozenset(VALUES.values())
#: What the rows of every level have to add up to.
_ADDS_UP: Final = ("spend", "impressions", "clicks", *VALUES, *VALUES.values())
#: Which column of an ad row names the object of each level ("" is the account itself).
OWNER: Final = {"ad": "object_id", "adset": "adset_id", "campaign": "campaign_id"}


def refresh_days(*, account_id: int, days: Collection[date]) -> None:
    """Campaign and account sums of these days, and whatever is kept by week or month of them."""
    for model, name in ((CampaignDay, "campaign_id"), (AccountDay, "")):
        own = f"{name}, " if name else ""
        _rebuild(
            f"INSERT INTO {model._meta.db_table} (ad_account_id, {own}day, {_COLUMNS})"  # noqa: S608
            f" SELECT ad_account_id, {own}day, {_SUMS} FROM {DayRow._meta.db_table}"
            f" WHERE ad_account_id = %s AND level = 'ad' AND breakdown = '' AND day IN (_days_)"
            f" GROUP BY ad_account_id, {own}day",
            table=model._meta.db_table,
            account_id=account_id,
            days=days,
        )
    _refresh_weeks(account_id, days)
    _refresh_ad_sets(account_id, days)


def _refresh_weeks(account_id: int, days: Collection[date]) -> None:
    """The weeks of these days, from their campaigns' days."""
    table = CampaignWeek._meta.db_table
    with connection.cursor() as cursor:
        for monday in sorted({day - DAY * day.weekday() for day in days}):
            first, last = (connection.ops.adapt_datefield_value(day) for day in (monday, monday + 6 * DAY))
            cursor.execute(
                f"DELETE FROM {table} WHERE ad_account_id = %s AND week = %s",  # noqa: S608
                [account_id, first],
            )
            cursor.execute(
                f"INSERT INTO {table} (ad_account_id, campaign_id, week, {_COLUMNS})"  # noqa: S608
                f" SELECT ad_account_id, campaign_id, {_date()}, {_SUMS} FROM {CampaignDay._meta.db_table}"
                " WHERE ad_account_id = %s AND day BETWEEN %s AND %s GROUP BY ad_account_id, campaign_id",
                [first, account_id, first, last],
            )


def _refresh_ad_sets(account_id: int, days: Collection[date]) -> None:
    """Which ad sets had rows on these days; a day that says what is kept writes nothing."""
    had = _had_rows(account_id, days)
    touched: dict[date, int] = {}
    for day in days:
        touched[day.replace(day=1)] = touched.get(day.replace(day=1), 0) | 1 << day.day - 1
    rows = AdSetMonth.objects.of(account_id).filter(month__in=touched)
    kept = {(row.campaign_id, row.adset_id, row.month): row for row in rows}
    fresh = []
    for key in {**kept, **had}:
        before = kept[key].days if key in kept else 0
        bits = before & ~touched[key[2]] | had.get(key, 0)
        if bits != before:
            campaign, adset, month = key
            fresh.append(
                AdSetMonth(
                    ad_account_id=account_id, campaign_id=campaign, adset_id=adset, month=month, days=bits
                )
            )
    AdSetMonth.everything.bulk_create(
        fresh,
        update_conflicts=True,
        unique_fields=["ad_account_id", "month", "campaign_id", "adset_id"],
        update_fields=["days"],
        batch_size=500,
    )
    if any(not row.days for row in fresh):
        AdSetMonth.objects.of(account_id).filter(month__in=touched, days=0).delete()


def _had_rows(account_id: int, days: Collection[date] | None = None) -> dict[tuple[str, str, date], int]:
    """(campaign, ad set, month) -> the days (None: of all) on which the ad set had ad rows, as `AdSetMonth.days`."""
    rows = DayRow.objects.of(account_id).filter(level="ad", breakdown="")
    if days is not None:
        rows = rows.filter(day__in=days)
    found: dict[tuple[str, str, date], int] = {}
    for campaign, adset, day in rows.order_by().values_list("campaign_id", "adset_id", "day").distinct():
        key = (campaign, adset, day.replace(day=1))
        found[key] = found.get(key, 0) | 1 << day.day - 1
    return found


def refresh_hours(*, account_id: int, days: Collection[date]) -> None:
    """Account sums of each hour of these days."""
    _rebuild(
        f"INSERT INTO {AccountHour._meta.db_table} (ad_account_id, day, hour, {_COLUMNS})"  # noqa: S608
        f" SELECT ad_account_id, day, hour, {_SUMS} FROM {HourRow._meta.db_table}"
        f" WHERE ad_account_id = %s AND level = '{HOUR_LEVEL}' AND breakdown = '' AND day IN (_days_)"
        " GROUP BY ad_account_id, day, hour",
        table=AccountHour._meta.db_table,
        account_id=account_id,
        days=days,
    )


def refresh_windows(*, account_id: int, until: date, days: Collection[date] | None) -> None:
    """Window sums that end at `until`; only those that hold one of `days` (None: all of them)."""
    for period in sliding(until):
        if days is not None and not any(period.since <= day <= period.until for day in days):
            continue
        _window(account_id, period)


def _window(account_id: int, period: Period) -> None:
    table = WindowSum._meta.db_table
    since, until = (connection.ops.adapt_datefield_value(day) for day in (period.since, period.until))
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {table} WHERE ad_account_id = %s AND days = %s",  # noqa: S608
            [account_id, period.days],
        )
        for level, owner in (*OWNER.items(), ("account", "")):
            named, group = (
                (owner, f" GROUP BY {owner}") if owner else ("'account'", " GROUP BY ad_account_id")
            )
            cursor.execute(
                f"INSERT INTO {table} (ad_account_id, level, object_id, days, until, active_days, {_COLUMNS})"  # noqa: S608
                f" SELECT CAST(%s AS bigint), '{level}', {named}, {period.days}, {_date()},"
                f" COUNT(DISTINCT CASE WHEN impressions > 0 THEN day END), {_SUMS} FROM {DayRow._meta.db_table}"
                " WHERE ad_account_id = %s AND level = 'ad' AND breakdown = '' AND day BETWEEN %s AND %s"
                f"{group}",
                [account_id, until, account_id, since, until],
            )


def spent(*, account_id: int, days: Collection[date]) -> list[tuple[str, str, date, Decimal]]:
    """Spend of each campaign and ad set on these days: what owns a budget."""
    found: list[tuple[str, str, date, Decimal]] = []
    with connection.cursor() as cursor:
        for level in ("campaign", "adset"):
            for part in _parts(days):
                owner = OWNER[level]
                cursor.execute(
                    f"SELECT {owner}, day, SUM(spend) FROM {DayRow._meta.db_table}"  # noqa: S608
                    " WHERE ad_account_id = %s AND level = 'ad' AND breakdown = ''"
                    f" AND day IN ({', '.join(['%s'] * len(part))}) GROUP BY {owner}, day",
                    [account_id, *part],
                )
                found += [
                    (level, object_id, as_day(day), Decimal(int(micro)) / _MICRO)
                    for object_id, day, micro in cursor.fetchall()
                ]
    return found


def disagreeing(*, account_id: int, days: Collection[date]) -> set[tuple[str, date]]:
    """(level, day) pairs whose rows do not add up to the account's own row in spend, impressions, clicks, conversions
    or what these were worth.

    Meta leaves out what is deleted or archived unless asked, and answers levels a moment apart: a sum of
    parts that differs from the whole is said, not hidden. A conversion counts once at each level, in the window of its
    ad set (the window of no other is compared); people reached are counted anew at each, so they are left out.
    """
    names = ", ".join(f"SUM({name})" for name in _ADDS_UP)
    sums: dict[tuple[str, date], tuple[int, ...]] = {}
    with connection.cursor() as cursor:
        for part in _parts(days):
            cursor.execute(
                f"SELECT level, day, COUNT(*), {names}"  # noqa: S608
                f" FROM {DayRow._meta.db_table} WHERE ad_account_id = %s AND breakdown = ''"
                f" AND day IN ({', '.join(['%s'] * len(part))}) GROUP BY level, day",
                [account_id, *part],
            )
            for level, day, *numbers in cursor.fetchall():
                sums[level, as_day(day)] = tuple(int(number) for number in numbers)
    nothing = (0,) * (1 + len(_ADDS_UP))
    return {
        (level, day)
        for day in days
        for level in ("ad", "adset", "campaign")
        if _apart(sums.get((level, day), nothing), sums.get(("account", day), nothing))
    }


def _apart(parts: Sequence[int], whole: Sequence[int]) -> bool:
    """Whether (rows, sums of `_ADDS_UP`) differ by more than rounding: Meta writes a worth, and a fraction of a
    conversion, in hundredths, row by row."""
    rounding = (parts[0] + whole[0]) * _HALF_A_HUNDREDTH
    for name, one, other in zip(_ADDS_UP, parts[1:], whole[1:], strict=True):
        rounded = name in _WORTHS or (name in VALUES and (one % _MICRO or other % _MICRO))
        if abs(one - other) > (rounding if rounded else 0):
            return True
    return False


def checksum(*, account_id: int) -> dict[str, int]:
    """How many rows of sums differ from the facts, by table; all zero unless something is broken."""
    ads = f"{DayRow._meta.db_table} WHERE ad_account_id = %s AND level = 'ad' AND breakdown = ''"
    hours = f"{HourRow._meta.db_table} WHERE ad_account_id = %s AND level = '{HOUR_LEVEL}' AND breakdown = ''"
    found = {
        model._meta.db_table: _differ(
            f"SELECT {names}, {_SUMS} FROM {source} GROUP BY {names}",  # noqa: S608
            f"SELECT {names}, {_COLUMNS} FROM {model._meta.db_table} WHERE ad_account_id = %s",  # noqa: S608
            [account_id],
            [account_id],
        )
        for model, source, names in (
            (CampaignDay, ads, "campaign_id, day"),
            (AccountDay, ads, "day"),
            (AccountHour, hours, "day, hour"),
        )
    }
    return found | {
        CampaignWeek._meta.db_table: _weeks_differ(account_id),
        AdSetMonth._meta.db_table: _ad_sets_differ(account_id),
        WindowSum._meta.db_table: _windows_differ(account_id, ads),
    }


def _weeks_differ(account_id: int) -> int:
    """Weeks against the campaigns' days, which are compared with the rows themselves."""
    days = set(CampaignDay.objects.of(account_id).order_by().values_list("day", flat=True).distinct())
    kept = set(CampaignWeek.objects.of(account_id).order_by().values_list("week", flat=True).distinct())
    total = 0
    for monday in {day - DAY * day.weekday() for day in days} | kept:
        first, last = (connection.ops.adapt_datefield_value(day) for day in (monday, monday + 6 * DAY))
        total += _differ(
            f"SELECT campaign_id, {_SUMS} FROM {CampaignDay._meta.db_table}"  # noqa: S608
            " WHERE ad_account_id = %s AND day BETWEEN %s AND %s GROUP BY campaign_id",
            f"SELECT campaign_id, {_COLUMNS} FROM {CampaignWeek._meta.db_table}"  # noqa: S608
            " WHERE ad_account_id = %s AND week = %s",
            [account_id, first, last],
            [account_id, first],
        )
    return total


def _ad_sets_differ(account_id: int) -> int:
    rows = AdSetMonth.objects.of(account_id).values_list("campaign_id", "adset_id", "month", "days")
    facts = {(*key, bits) for key, bits in _had_rows(account_id).items()}
    return len(facts ^ set(rows))


def _windows_differ(account_id: int, ads: str) -> int:
    """Window sums are compared for the day that they say they end at."""
    table = WindowSum._meta.db_table
    until = DataVersion.objects.of(account_id).values_list("windows_until", flat=True).first()
    if until is None:
        return int(WindowSum.objects.of(account_id).count())
    total: int = WindowSum.objects.of(account_id).exclude(until=until).count()
    last = connection.ops.adapt_datefield_value(until)
    for period in sliding(until):
        first = connection.ops.adapt_datefield_value(period.since)
        for level, owner in (*OWNER.items(), ("account", "")):
            named, group = (owner, owner) if owner else ("'account'", "ad_account_id")
            total += _differ(
                f"SELECT {named} AS object_id, COUNT(DISTINCT CASE WHEN impressions > 0 THEN day END) AS active_days,"  # noqa: S608
                f" {_SUMS} FROM {ads} AND day BETWEEN %s AND %s GROUP BY {group}",
                f"SELECT object_id, active_days, {_COLUMNS} FROM {table}"  # noqa: S608
                f" WHERE ad_account_id = %s AND level = '{level}' AND days = {period.days}",
                [account_id, first, last],
                [account_id],
            )
    return total


def _differ(facts: str, kept: str, of_facts: list[Any], of_kept: list[Any]) -> int:
    total = 0
    with connection.cursor() as cursor:
        for left, right, values in ((facts, kept, of_facts + of_kept), (kept, facts, of_kept + of_facts)):
            cursor.execute(f"SELECT COUNT(*) FROM ({left} EXCEPT {right}) x", values)  # noqa: S608
            total += int(cursor.fetchone()[0])
    return total


def _rebuild(insert: str, *, table: str, account_id: int, days: Collection[date]) -> None:
    with connection.cursor() as cursor:
        for part in _parts(days):
            marks = ", ".join(["%s"] * len(part))
            cursor.execute(
                f"DELETE FROM {table} WHERE ad_account_id = %s AND day IN ({marks})",  # noqa: S608
                [account_id, *part],
            )
            cursor.execute(insert.replace("_days_", marks), [account_id, *part])


def _parts(days: Collection[date], size: int = 400) -> Iterable[list[Any]]:
    ordered = [connection.ops.adapt_datefield_value(day) for day in sorted(days)]
    return (ordered[index : index + size] for index in range(0, len(ordered), size))


def _date() -> str:
    return "CAST(%s AS date)" if connection.vendor == "postgresql" else "%s"
