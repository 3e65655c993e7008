"""What a connection lets the product do, in words: capability, the permission it needs, and whether it was given."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import accounts.claims as claims

#: Meta's task of an ad account -> what its holder may do there; the strongest first, each includes those below it.
_TASKS: Final = (
    ("MANAGE", "see numbers, change ads and manage the account"),
    ("ADVERTISE", "see numbers and change ads"),
    ("DRAFT", "see numbers and draft ads"),
    ("ANALYZE", "see numbers"),
    ("AA_ANALYZE", "see numbers"),
)


@dataclass(frozen=True)
class Capability:
    """`granted`: the permission was given. `assets`: ids it was given for; empty means all that the user has."""

    name: str
    scope: str
    without: str
    granted: bool = False
    assets: tuple[str, ...] = ()


_TABLE: Final = (
    Capability(
        "Read campaigns and numbers",
        "ads_read",
        "Nothing can be read. Connect again and leave ads_read switched on.",
    ),
    Capability(
        "Change budgets and status",
        "ads_management",
        "Read-only: no budget and no status can be changed, by nobody and by no strategy.",
    ),
    Capability(
        "Read insights of pages and apps",
        "read_insights",
        "Results that Meta reports only per page or app stay empty.",
    ),
    Capability(
        "See the business behind an ad account",
        "business_management",
        "The business's name is missing, and accounts that are reached only through a business.",
    ),
)


def of(
    *, scopes: Collection[str], granular_scopes: Iterable[Mapping[str, Any]] = ()
) -> tuple[Capability, ...]:
    """The table for these permissions. `ads_management` lets its holder read, too."""
    named = [row for row in granular_scopes if isinstance(row, Mapping)]
    assets = {row.get("scope"): tuple(row.get("target_ids") or ()) for row in named}
    given = set(scopes)
    return tuple(
        Capability(
            row.name,
            row.scope,
            row.without,
            granted=row.scope in given or (row.scope == "ads_read" and "ads_management" in given),
            assets=assets.get(row.scope, ()),
        )
        for row in _TABLE
    )


def task_words(tasks: Iterable[str]) -> str:
    """`["ANALYZE", "ADVERTISE"]` -> see numbers and change ads; tasks that are not known here keep Meta's names."""
    held = list(tasks)
    known = next((words for task, words in _TASKS if task in held), "")
    return known or ", ".join(task.replace("_", " ").lower() for task in held)


def may_change(tasks: Iterable[str]) -> bool:
    """Whether these tasks allow changes; Meta leaves them out for some accounts, which counts as yes."""
    held = set(tasks)
    return not held or bool(held & claims.WRITE_TASKS)
