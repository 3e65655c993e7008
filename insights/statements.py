"""Reads that every answer begins with, as plain statements about one ad account.

Django compiles a query anew each time it is asked. For these that took longer than the database did, and it made a
model of every row; here a row is a tuple of what its column holds (money in micro-units), only days and moments are
made what they are. The account is the scope, as for `AccountFacts.objects.of`.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from django.db import connection, models

from accounts.models import AdAccount
from insights.windows import Period


def read(
    model: type[models.Model],
    columns: Sequence[str],
    *,
    ad_account: AdAccount,
    period: Period | None = None,
    among: Mapping[str, Collection[str | date]] | None = None,
    by: Sequence[str] = (),
) -> list[tuple[Any, ...]]:
    """Rows of a table of facts: `columns` are names, or with `by` the columns that are added up for each of it.

    `among` holds what a column may have. Without `by` columns come as they are, with it after those of `by`;
    a sum over no rows is None.
    """
    assert _columns(model).issuperset((*columns, *by, *(among or ()))), (
        columns
    )  # our names, never a caller's text
    where: list[str] = ["ad_account_id = %s"]
    values: list[Any] = [ad_account.pk]
    if period is not None:
        where.append("day BETWEEN %s AND %s")
        values += [connection.ops.adapt_datefield_value(day) for day in (period.since, period.until)]
    for column, held in (among or {}).items():
        if not held:
            return []
        where.append(f"{column} IN ({', '.join(['%s'] * len(held))})")
        values += [
            connection.ops.adapt_datefield_value(one) if isinstance(one, date) else one for one in held
        ]
    wanted = [*by, *(f"SUM({name})" for name in columns)] if by else columns
    group = f" GROUP BY {', '.join(by)}" if by else ""
    text = f"SELECT {', '.join(wanted)} FROM {model._meta.db_table} WHERE {' AND '.join(where)}{group}"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        return list(cursor.fetchall())


@functools.cache
def _columns(model: type[models.Model]) -> frozenset[str]:
    return frozenset(str(field.column) for field in model._meta.concrete_fields)


def as_day(value: Any) -> date:
    """A date column; SQLite answers text where it has lost sight of the column."""
    return value if isinstance(value, date) else date.fromisoformat(value)


def as_moment(value: Any) -> datetime:
    """A moment's column, aware: SQLite keeps no zone, since all of it is UTC."""
    found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def as_moment_if_any(value: Any) -> datetime | None:
    """A moment's column that may be empty."""
    return None if value is None else as_moment(value)
