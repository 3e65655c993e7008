"""One guarded bulk path for both databases: rows into a temporary table, then set statements against the facts.

    PostgreSQL   COPY into staging          SQLite   executemany into staging
        -> count what is new, changed, gone  (IS DISTINCT FROM: an unchanged re-read writes nothing)
        -> file the old values as revisions -> INSERT .. ON CONFLICT DO UPDATE .. WHERE distinct -> delete the gone

Runs inside the caller's transaction. Column and table names come from the models, never from outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from django.db import connection

from insights.metrics import ADDITIVE
from insights.models import DayRow, HourRow, Revision
from insights.rows import Row
from insights.statements import as_day

VALUES = (*ADDITIVE, "reach", "actions")
_LINES: Final = 1000
#: What has a meaning of its own in COPY's text format.
_QUOTED: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


@dataclass(frozen=True)
class Grain:
    name: str
    table: str
    key: tuple[str, ...]
    types: tuple[tuple[str, str], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.types)


def _types(*, hour: bool) -> tuple[tuple[str, str], ...]:
    json_type = "jsonb" if _postgres() else "text"
    return (
        ("level", "varchar(8)"),
        ("object_id", "varchar(40)"),
        ("campaign_id", "varchar(40)"),
        ("adset_id", "varchar(40)"),
        ("breakdown", "varchar(200)"),
        ("day", "date"),
        *((("hour", "smallint"),) if hour else ()),
        *((name, "bigint") for name in ADDITIVE),
        ("reach", "bigint"),
        ("actions", json_type),
    )


def grain(name: str) -> Grain:
    """The grain "day" or "hour"."""
    if name == "hour":
        key = ("level", "object_id", "day", "hour", "breakdown")
        return Grain(name, HourRow._meta.db_table, key, _types(hour=True))
    return Grain("day", DayRow._meta.db_table, ("level", "object_id", "day", "breakdown"), _types(hour=False))


@dataclass(frozen=True)
class Merged:
    """What a merge did. `moved` holds the (level, day) pairs whose numbers changed; `gone` the rows that left."""

    inserted: int
    changed: int
    unchanged: int
    moved: frozenset[tuple[str, date]]
    gone: tuple[tuple[str, str, date], ...]


def merge(
    *,
    grain: Grain,
    account_id: int,
    rows: Sequence[Row],
    whole: Iterable[tuple[str, date]],
    now: datetime,
    today: date,
    breakdown: str = "",
) -> Merged:
    """Make the facts say what `rows` say. In the `whole` (level, day) pairs a row of that breakdown that is absent is
    gone."""
    with connection.cursor() as cursor:
        _stage(cursor, grain, rows)
        moved, new, changed = _compare(cursor, grain, account_id)
        gone = _gone(cursor, grain, account_id, whole, breakdown)
        if changed or gone:
            _file_revisions(cursor, grain, account_id, now=now, today=today)
        if new or changed:
            _upsert(cursor, grain, account_id, now=now)
        if gone:
            _delete(cursor, grain, account_id)
    moved |= {(level, day) for level, _, day in gone}
    return Merged(new, changed + len(gone), len(rows) - new - changed, frozenset(moved), gone)


def _postgres() -> bool:
    return connection.vendor == "postgresql"


def _distinct(left: str, right: str, names: Iterable[str]) -> str:
    word = "IS DISTINCT FROM" if _postgres() else "IS NOT"
    one = ", ".join(f"{left}.{name}" for name in names)
    two = ", ".join(f"{right}.{name}" for name in names)
    return f"({one}) {word} ({two})"


def _join(grain: Grain) -> str:
    return " AND ".join(f"d.{name} = s.{name}" for name in grain.key)


def _compared() -> tuple[str, ...]:
    return ("campaign_id", "adset_id", *VALUES)


def _stage(cursor: Any, grain: Grain, rows: Sequence[Row]) -> None:
    table = f"staged_{grain.name}"
    columns = ", ".join(f"{name} {kind}" for name, kind in grain.types)
    key = ", ".join(grain.key)
    cursor.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {table} ({columns}, PRIMARY KEY ({key}))")
    gone = "level varchar(8), object_id varchar(40), day date"
    cursor.execute(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS gone_{grain.name} (fact_id bigint PRIMARY KEY, {gone})"
    )
    cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - names from the models
    cursor.execute(f"DELETE FROM gone_{grain.name}")  # noqa: S608
    names = ", ".join(grain.columns)
    if _postgres():
        with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for at in range(0, len(rows), _LINES):
                copy.write(_lines(grain, rows[at : at + _LINES]))
        cursor.execute(f"ANALYZE {table} ({key})")  # what joins need; the JSON would take longest
    elif rows:
        marks = ", ".join(["%s"] * len(grain.columns))
        cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(_tuples(grain, rows)))  # noqa: S608


def _tuples(grain: Grain, rows: Iterable[Row]) -> Iterator[tuple[Any, ...]]:
    hourly = grain.name == "hour"
    for row in rows:
        head = (row.level, row.object_id, row.campaign_id, row.adset_id, row.breakdown, row.day.isoformat())
        yield (*head, *((row.hour,) if hourly else ()), *row.values, row.reach, row.actions)


def _lines(grain: Grain, rows: Iterable[Row]) -> str:
    """Rows in COPY's text format: psycopg's own takes three times as long for rows of plain numbers."""
    hourly = grain.name == "hour"
    found = []
    for row in rows:
        head = (row.level, row.object_id, row.campaign_id, row.adset_id, _quoted(row.breakdown))
        when = f"{row.day.isoformat()}\t{row.hour}" if hourly else row.day.isoformat()
        reach = r"\N" if row.reach is None else str(row.reach)
        found.append("\t".join((*head, when, *map(str, row.values), reach, _quoted(row.actions))))
    return "\n".join(found) + "\n" if found else ""


def _quoted(text: str) -> str:
    return text.translate(_QUOTED) if "\\" in text or not text.isprintable() else text


def _compare(cursor: Any, grain: Grain, account_id: int) -> tuple[set[tuple[str, date]], int, int]:
    cursor.execute(
        f"SELECT s.level, s.day, SUM(CASE WHEN d.id IS NULL THEN 1 ELSE 0 END), COUNT(*)"  # noqa: S608
        f" FROM staged_{grain.name} s LEFT JOIN {grain.table} d ON d.ad_account_id = %s AND {_join(grain)}"
        f" WHERE d.id IS NULL OR {_distinct('d', 's', _compared())} GROUP BY s.level, s.day",
        [account_id],
    )
    found = cursor.fetchall()
    moved = {(level, as_day(day)) for level, day, _, _ in found}
    new = sum(int(row[2]) for row in found)
    return moved, new, sum(int(row[3]) for row in found) - new


def _gone(
    cursor: Any, grain: Grain, account_id: int, whole: Iterable[tuple[str, date]], breakdown: str
) -> tuple[tuple[str, str, date], ...]:
    """Facts of wholly read slices that the answer does not hold any more."""
    ours, named = _of_breakdown(breakdown)
    by_level: dict[str, list[Any]] = {}
    for level, day in whole:
        by_level.setdefault(level, []).append(connection.ops.adapt_datefield_value(day))
    for level, days in by_level.items():
        marks = ", ".join(["%s"] * len(days))
        cursor.execute(
            f"INSERT INTO gone_{grain.name} (fact_id, level, object_id, day)"  # noqa: S608
            f" SELECT d.id, d.level, d.object_id, d.day FROM {grain.table} d"
            f" LEFT JOIN staged_{grain.name} s ON {_join(grain)}"
            f" WHERE d.ad_account_id = %s AND d.level = %s AND {ours} AND d.day IN ({marks})"
            " AND s.object_id IS NULL",
            [account_id, level, *named, *days],
        )
    cursor.execute(f"SELECT level, object_id, day FROM gone_{grain.name}")  # noqa: S608
    return tuple((level, object_id, as_day(day)) for level, object_id, day in cursor.fetchall())


def _of_breakdown(breakdown: str) -> tuple[str, list[str]]:
    """A condition on the cells of a breakdown (`age=25-34|gender=male` is one of `age,gender`), and its parameters."""
    if not breakdown:
        return "d.breakdown = ''", []
    cells = "|".join(f"{name}=%" for name in breakdown.split(","))
    # A longer breakdown may begin with the same names: a cell has as many bars as it has names less one.
    return "d.breakdown LIKE %s AND d.breakdown NOT LIKE %s", [cells, f"{cells}|%"]


def _file_revisions(cursor: Any, grain: Grain, account_id: int, *, now: datetime, today: date) -> None:
    """What is about to be overwritten: closed days always, the running day once an hour at most."""
    build = "jsonb_build_object" if _postgres() else "json_object"
    parts = ", ".join(f"'{name}', d.{name}" for name in ("campaign_id", "adset_id", *ADDITIVE, "reach"))
    actions = "d.actions" if _postgres() else "json(d.actions)"
    hour = "d.hour" if grain.name == "hour" else "0"
    quote = connection.ops.quote_name
    moment = connection.ops.adapt_datetimefield_value
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    closed = [connection.ops.adapt_datefield_value(today), moment(this_hour)]
    for condition, values in (
        (
            f"JOIN staged_{grain.name} s ON {_join(grain)} WHERE {_distinct('d', 's', _compared())}"
            " AND (d.day < %s OR d.known_from < %s)",
            closed,
        ),
        (f"JOIN gone_{grain.name} g ON g.fact_id = d.id WHERE 1 = 1", []),
    ):
        cursor.execute(
            f"INSERT INTO {Revision._meta.db_table} (ad_account_id, grain, level, object_id, day, hour, breakdown,"  # noqa: S608
            f" {quote('values')}, known_from, known_to)"
            f" SELECT d.ad_account_id, '{grain.name}', d.level, d.object_id, d.day, {hour}, d.breakdown,"
            f" {build}({parts}, 'actions', {actions}), d.known_from, {_typed('%s', 'timestamptz')}"
            f" FROM {grain.table} d {condition} AND d.ad_account_id = %s",
            [moment(now), *values, account_id],
        )


def _upsert(cursor: Any, grain: Grain, account_id: int, *, now: datetime) -> None:
    columns = grain.columns
    sets = ", ".join(f"{name} = excluded.{name}" for name in (*_compared(), "known_from"))
    key = ", ".join(("ad_account_id", *grain.key))
    taken = ", ".join(f"s.{name}" for name in columns)
    moment = _typed("%s", "timestamptz")
    cursor.execute(
        # "WHERE true": without it SQLite reads ON CONFLICT as a join condition.
        f"INSERT INTO {grain.table} (ad_account_id, {', '.join(columns)}, known_from)"  # noqa: S608
        f" SELECT CAST(%s AS bigint), {taken}, {moment} FROM staged_{grain.name} s WHERE true"
        f" ON CONFLICT ({key}) DO UPDATE SET {sets}"
        f" WHERE {_distinct(grain.table, 'excluded', _compared())}",
        [account_id, connection.ops.adapt_datetimefield_value(now)],
    )


def _delete(cursor: Any, grain: Grain, account_id: int) -> None:
    cursor.execute(
        f"DELETE FROM {grain.table} WHERE ad_account_id = %s"  # noqa: S608
        f" AND id IN (SELECT fact_id FROM gone_{grain.name})",
        [account_id],
    )


def _typed(mark: str, kind: str) -> str:
    return f"CAST({mark} AS {kind})" if _postgres() else mark
