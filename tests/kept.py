"""Worlds that the product builds once in each test process, and that are put back for every test that starts in one.

    agency -> connected -> read | synced      a level: the rows, the sandbox and the names that its building added

A level goes back only over exactly what it was built on: the level below, at the same moment, under the same settings,
with a sandbox that nobody called since, and as many rows. Over anything else it is built as the first time.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.db import connection, transaction

#: A row as the database keeps it: SQLite's values, or PostgreSQL's line of COPY.
Row = Any
Tables = dict[str, list[Row]]
#: What migrations fill and nothing here changes.
FIXED = frozenset({"django_migrations", "django_content_type", "auth_permission"})


@dataclass(frozen=True)
class Table:
    name: str
    columns: tuple[str, ...]
    key: str
    sequence: str

    @property
    def names(self) -> str:
        return ", ".join(f'"{name}"' for name in self.columns)

    def key_of(self, row: Row) -> Any:
        place = self.columns.index(self.key)
        return row.split(b"\t")[place].rstrip(b"\n").decode() if isinstance(row, bytes) else row[place]


@dataclass(frozen=True)
class Level:
    """`counts`: rows before it, of the tables that it changed. `heard`: how far the sandbox is after it."""

    below: str
    setup: dict[str, Any]
    counts: dict[str, int]
    gone: Tables
    new: Tables
    heard: tuple[int, int]
    digest: str
    state: bytes


_levels: dict[str, Level] = {}
_tables: dict[str, Table] = {}
_empty: list[str] = []


def start_empty() -> None:
    """Remember what migrations leave: the first level is only learnt over that."""
    with connection.cursor() as cursor:
        for name in connection.introspection.table_names(cursor):
            if name not in FIXED:
                found = connection.introspection.get_table_description(cursor, name)
                key = connection.introspection.get_primary_key_column(cursor, name) or found[0].name
                columns = tuple(column.name for column in found)
                _tables[name] = Table(name, columns, key, _sequence(cursor, name, key))
    _empty[:] = [_digest(_all())]


def _sequence(cursor: Any, table: str, key: str) -> str:
    if connection.vendor != "postgresql":
        return ""
    cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [f'"{table}"', key])
    return cursor.fetchone()[0] or ""


def reach(
    name: str, *, build: Callable[[], Any], agency: Any = None, box: Any = None, clock: Any = None
) -> SimpleNamespace:
    """What `build` gives; from what was kept where that fits. `agency` is what the level below gave."""
    below = "" if agency is None else agency.level
    setup = _setup(clock)
    ready = below is not None and (box is None or _heard(box) == (_levels[below].heard if below else (0, 0)))
    level = _levels.get(name)
    if ready and level is None:
        return _learn(name, below, setup, build, box, clock)
    if not ready or level is None or (level.below, level.setup) != (below, setup) or not _fits(level):
        return _marked(build(), None)
    _write(level)
    loaded = unpacked(level.state, box=box, clock=clock)
    if box is not None:
        box.__dict__.update(loaded["box"])
    found = SimpleNamespace() if agency is None else agency
    found.__dict__.update(loaded["agency"])
    return _marked(found, name)


def _marked(agency: Any, level: str | None) -> SimpleNamespace:
    agency.level = level
    found: SimpleNamespace = agency
    return found


def _learn(
    name: str, below: str, setup: dict[str, Any], build: Callable[[], Any], box: Any, clock: Any
) -> SimpleNamespace:
    before = _all()
    clean = _digest(before) == (_levels[below].digest if below else _empty[0])
    agency = build()
    if not clean:
        return _marked(agency, None)
    after = _all()
    gone, new = _without(before, after), _without(after, before)
    kept = {"box": None if box is None else box.__dict__, "agency": agency.__dict__}
    _levels[name] = Level(
        below=below,
        setup=setup,
        counts={table: len(before[table]) for table in sorted(gone.keys() | new.keys())},
        gone=gone,
        new=new,
        heard=(0, 0) if box is None else _heard(box),
        digest=_digest(after),
        state=packed(kept, box=box, clock=clock),
    )
    return _marked(agency, name)


def _setup(clock: Any) -> dict[str, Any]:
    said = {name: getattr(settings, name) for name in dir(settings) if name.isupper()}
    return {**said, "now": None if clock is None else clock.now()}


def _heard(box: Any) -> tuple[int, int]:
    return len(box.history), len(box.journal)


# --- rows -----------------------------------------------------------------------------------------------------------


def _all() -> Tables:
    return {name: _rows(table) for name, table in _tables.items()}


def _rows(table: Table, keys: Sequence[Any] = ()) -> list[Row]:
    where = ""
    if keys:
        listed = ", ".join("'" + str(key).replace("'", "''") + "'" for key in keys)
        where = f' WHERE "{table.key}" IN ({listed})'
    order = f'{where} ORDER BY "{table.key}"'
    if connection.vendor == "sqlite":
        # The plus keeps the driver from converting by the column's declared type.
        names = ", ".join(f'+"{name}"' for name in table.columns)
        return list(connection.connection.execute(f'SELECT {names} FROM "{table.name}"{order}'))
    with connection.connection.cursor() as cursor:
        question = f'COPY (SELECT {table.names} FROM "{table.name}"{order}) TO STDOUT'
        with cursor.copy(question) as copy:
            return [bytes(line) for line in copy]


def _without(some: Tables, others: Tables) -> Tables:
    known = {name: frozenset(rows) for name, rows in others.items()}
    found = {name: [row for row in rows if row not in known[name]] for name, rows in some.items()}
    return {name: rows for name, rows in found.items() if rows}


def _digest(tables: Tables) -> str:
    return hashlib.sha256(repr(sorted(tables.items())).encode()).hexdigest()


def _fits(level: Level) -> bool:
    """Whether what it would change stands as it did: as many rows, and those that it replaces with the same content."""
    if level.counts:
        counted = ", ".join(f'(SELECT count(*) FROM "{name}")' for name in level.counts)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {counted}")
            if tuple(cursor.fetchone()) != tuple(level.counts.values()):
                return False
    return all(
        _rows(_tables[name], [_tables[name].key_of(row) for row in rows]) == rows
        for name, rows in level.gone.items()
    )


def _write(level: Level) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for name, rows in level.gone.items():
            table = _tables[name]
            listed = [table.key_of(row) for row in rows]
            marks = ", ".join(["%s"] * len(listed))
            cursor.execute(f'DELETE FROM "{name}" WHERE "{table.key}" IN ({marks})', listed)
        for name, rows in level.new.items():
            _insert(_tables[name], rows)
        if connection.vendor == "postgresql":
            _count_on(cursor, level)


def _insert(table: Table, rows: list[Row]) -> None:
    if connection.vendor == "sqlite":
        marks = ", ".join("?" * len(table.columns))
        connection.connection.executemany(
            f'INSERT INTO "{table.name}" ({table.names}) VALUES ({marks})', rows
        )
        return
    order = f'COPY "{table.name}" ({table.names}) FROM STDIN'
    with connection.connection.cursor() as cursor, cursor.copy(order) as copy:
        copy.write(b"".join(rows))


def _count_on(cursor: Any, level: Level) -> None:
    """New rows are numbered after those that were put back."""
    numbered = [_tables[name] for name in level.new if _tables[name].sequence]
    if numbered:
        cursor.execute(
            "SELECT "
            + ", ".join(
                f"setval('{table.sequence}', GREATEST(nextval('{table.sequence}'), "
                f'(SELECT max("{table.key}") FROM "{table.name}")))'
                for table in numbered
            )
        )


# --- the sandbox and the names --------------------------------------------------------------------------------------


def packed(kept: Any, *, box: Any, clock: Any) -> bytes:
    """What can be unpacked again around another sandbox and another clock."""
    file = io.BytesIO()
    _Saver(file, box, clock).dump(kept)
    return file.getvalue()


def unpacked(state: bytes, *, box: Any, clock: Any) -> Any:
    return _Loader(io.BytesIO(state), box, clock).load()


class _Saver(pickle.Pickler):
    """The test's own sandbox, lock and clock stand for the kept ones."""

    def __init__(self, file: io.BytesIO, box: Any, clock: Any) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._own = {id(clock): "clock"} | ({} if box is None else {id(box): "box", id(box._lock): "lock"})

    def persistent_id(self, obj: Any) -> str | None:
        return self._own.get(id(obj)) if obj is not None else None


class _Loader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, box: Any, clock: Any) -> None:
        super().__init__(file)
        self._own = {"clock": clock} | ({} if box is None else {"box": box, "lock": box._lock})

    def persistent_load(self, pid: str) -> Any:
        return self._own[pid]
