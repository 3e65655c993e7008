"""PURE: what is stored against what was fetched.

Every field is compared at every read, since Meta does not move `updated_time` for budget edits. Only a
complete
read may say that something is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar

from campaigns.mapping import ObjectRow
from campaigns.states import canonical_amount, canonical_moment

Row = TypeVar("Row", bound=ObjectRow)

#: Fields whose edit is worth a ledger line. What Meta computes by itself (effective status, learning stage)
#: is not.
WATCHED: Final = (
    "status",
    "daily_budget",
    "lifetime_budget",
    "bid_amount",
    "bid_strategy",
    "name",
    "start_time",
    "end_time",
)


@dataclass(frozen=True)
class Edit:
    """One watched field that is another one than we stored; values in canonical text, "" for none."""

    object_id: str
    name: str
    field: str
    before: str
    after: str


@dataclass(frozen=True)
class Diff(Generic[Row]):
    created: tuple[Row, ...]
    changed: tuple[Row, ...]
    removed: tuple[str, ...]
    edits: tuple[Edit, ...]

    def __bool__(self) -> bool:
        return bool(self.created or self.changed or self.removed)


def diff(*, stored: Mapping[str, Row], fetched: Mapping[str, Row], complete: bool) -> Diff[Row]:
    """Compare rows by id. `stored` holds the objects that are not removed; with `complete` False nothing is
    removed."""
    created = tuple(row for key, row in fetched.items() if key not in stored)
    changed = tuple(row for key, row in fetched.items() if key in stored and stored[key] != row)
    removed = tuple(key for key in stored if key not in fetched) if complete else ()
    edits = tuple(edit for row in changed for edit in _edits(stored[row.meta_id], row))
    return Diff(created=created, changed=changed, removed=removed, edits=edits)


def _edits(old: ObjectRow, new: ObjectRow) -> list[Edit]:
    names = {field.name for field in fields(new)}
    found = []
    for name in WATCHED:
        if name in names and getattr(old, name) != getattr(new, name):
            if (getattr(old, name) is None and not old.known) or (
                getattr(new, name) is None and not new.known
            ):
                continue  # it could not be read: nobody has edited it for that
            before, after = written(getattr(old, name)), written(getattr(new, name))
            found.append(Edit(object_id=new.meta_id, name=new.name, field=name, before=before, after=after))
    return found


def written(value: Any) -> str:
    """A value of a row in canonical text."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return canonical_amount(value)
    if isinstance(value, datetime):
        return canonical_moment(value)
    return str(value)[:400]
