"""Changing the key of the encrypted columns, and knowing which key still opens what.

    FERNET_KEYS=new,old   every process started again: new values go under the new key, both keys read
    rotate                looks at every row first (one that does not open: nothing is changed), then
                          reseals batch by batch; each batch one transaction, each row only if it still
                          holds what was read
    count(old) = 0        the old key may be taken out of FERNET_KEYS

Killed at any point, every row holds a value under one of the two keys. Run again, it goes on where it was:
what lies under the newest key is not touched. Every encrypted column of every app is found, not listed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.db import connections, models, router, transaction
from django.db.models import Count, ExpressionWrapper, F
from django.db.models.functions import Substr

import accounts.sealing as sealing
from accounts.errors import Conflict
from accounts.fields import EncryptedTextField, Sealed, keyring

BATCH: Final = 100
_RAW: Final = models.BinaryField()
_NAMED: Final = 10  # so many rows are named in a refusal


@dataclass(frozen=True)
class Column:
    """One encrypted column. `rows` are all tenants' rows: keys belong to the installation."""

    model: type[models.Model]
    field: EncryptedTextField

    @property
    def name(self) -> str:
        return f"{self.model._meta.db_table}.{self.field.column}"

    def rows(self) -> models.QuerySet[Any]:
        """Rows that hold a secret, their stored bytes as `raw`."""
        everything: models.Manager[Any] = self.model.everything  # type: ignore[attr-defined]
        raw = ExpressionWrapper(F(self.field.name), output_field=_RAW)
        found: models.QuerySet[Any] = everything.annotate(raw=raw).exclude(raw=b"").order_by("pk")
        return found

    def under(self, key: str) -> models.QuerySet[Any]:
        """Rows sealed under one key."""
        return self.by_key().filter(sealed_under=f"{key}:".encode())

    def not_under(self, key: str) -> models.QuerySet[Any]:
        """Rows sealed under any other key."""
        return self.by_key().exclude(sealed_under=f"{key}:".encode())

    def by_key(self) -> models.QuerySet[Any]:
        """Rows with the stored value's first bytes, which name its key, as `sealed_under`."""
        head = Substr("raw", 1, sealing.ID_LENGTH + 1, output_field=_RAW)
        found: models.QuerySet[Any] = self.rows().annotate(sealed_under=head)
        return found


@dataclass(frozen=True)
class Row:
    """One stored value, read for resealing."""

    column: Column
    pk: Any
    raw: bytes
    identity: sealing.Identity


def columns() -> list[Column]:
    """Every encrypted column of the installation, in the order of the apps."""
    return [
        Column(model, field)
        for model in apps.get_models()
        for field in model._meta.local_fields
        if isinstance(field, EncryptedTextField)
    ]


def rows_per_key() -> Counter[str]:
    """Key id -> how many stored values it opens, newest key first; keys of FERNET_KEYS without a row are 0."""
    found: Counter[str] = Counter(dict.fromkeys(keyring().ids, 0))
    for column in columns():
        counted = column.by_key().order_by().values_list("sealed_under").annotate(count=Count("pk"))
        for head, count in counted:
            found[sealing.key_id_of(bytes(head)) or "unknown"] += count
    return found


def missing() -> str:
    """A sentence about stored values whose key FERNET_KEYS does not hold; "" when every key is there."""
    there = set(keyring().ids)
    lost = {key: count for key, count in rows_per_key().items() if key not in there and count}
    if not lost:
        return ""
    words = ", ".join(f"{count} under the key {key}" for key, count in lost.items())
    return (
        f"FERNET_KEYS does not open every stored token: {words}. Put that key back into FERNET_KEYS (after the new"
        " one); if it is lost, run: manage.py rotate_keys --give-up KEY, and reconnect those Meta accounts."
    )


def tables_exist() -> bool:
    """Whether the encrypted columns are there to be looked at (not before the first migration)."""
    wanted = {column.model._meta.db_table for column in columns()}
    database = connections[router.db_for_read(columns()[0].model)]
    return wanted <= set(database.introspection.table_names())


def unreadable() -> list[str]:
    """Each stored value that does not open in its own row, named without its content."""
    return [
        f"{row.column.name} of row {row.pk}: {why}"
        for column in columns()
        for row in _read(column.rows())
        if (why := _why_not(row))
    ]


def rotate(*, batch: int = BATCH) -> Iterator[int]:
    """Reseal under the newest key whatever lies under another; yields after each batch how many rows it moved.

    Raises `Conflict` before the first change when a row cannot be read: its value would be lost with the old key.
    """
    bad = unreadable()
    if bad:
        more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        raise Conflict(
            f"Nothing was changed: {len(bad)} stored values cannot be read: {'; '.join(bad[:_NAMED])}{more}.",
            code="rotation_refused",
            advice="Put the missing key back, or reconnect the Meta accounts of these rows, and run it again.",
        )
    newest = keyring().newest
    for column in columns():
        last: Any = None
        while True:
            rows = column.not_under(newest)
            with transaction.atomic(using=router.db_for_write(column.model)):
                found = _read((rows.filter(pk__gt=last) if last is not None else rows)[:batch], column)
                moved = sum(_reseal(row) for row in found)
            if not found:
                break
            last = found[-1].pk
            yield moved


def give_up(key: str) -> int:
    """Empty every value that lies under a key which is lost for good; how many. Refused for a key that is there."""
    if key in keyring().ids:
        raise Conflict(f"The key {key} is in FERNET_KEYS: nothing is lost.", code="key_not_lost")
    return sum(column.under(key).update(**{column.field.name: ""}) for column in columns())


def key_names() -> dict[str, str]:
    """Key id -> how an operator finds it, by its place in FERNET_KEYS. The keys themselves are never shown."""
    return {
        sealing.key_id(key): f"key {place} of FERNET_KEYS"
        for place, key in enumerate(settings.FERNET_KEYS, start=1)
    }


def _read(rows: models.QuerySet[Any], column: Column | None = None) -> list[Row]:
    column = column or next(one for one in columns() if one.model is rows.model)
    values = rows.values_list("pk", "raw", *column.field.bound_to)
    return [Row(column, pk, bytes(raw), column.field.identity(own)) for pk, raw, *own in values]


def _why_not(row: Row) -> str:
    try:
        keyring().open(row.raw, row.identity)
    except sealing.Unopened as error:
        return str(error)
    return ""


def _reseal(row: Row) -> int:
    """Move one row, unless somebody stored another value meanwhile: that one lies under the newest key already."""
    sealed = keyring().seal(keyring().open(row.raw, row.identity), row.identity)
    rows = row.column.rows().filter(pk=row.pk, raw=row.raw)
    return rows.order_by().update(**{row.column.field.name: Sealed(sealed)})
