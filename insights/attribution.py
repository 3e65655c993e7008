"""Which actions are credited to an ad: the attribution window is a part of a number's identity.

    name of a window -> Meta's keys -> the actions of a row as Meta wrote them -> the row's numbers in that window

Every row holds each action under the account's own window (`value`, here "default") and under the windows below. A
click window contains the shorter ones, so click windows are never added; a click and a view window are apart at Meta,
and their sum is what Meta itself calls e.g. 7d_click_1d_view. PURE: no Django, no clock, no I/O.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from insights.errors import UnknownAttribution
from insights.metrics import ADDITIVE, FAMILIES, UNATTRIBUTED, VALUES

#: Each ad set's own setting; Meta's default is seven days after a click and one after a view.
DEFAULT: Final = "default"
#: What is asked of Meta with every read of days (docs/meta.md, section 5.1).
FETCHED: Final = ("1d_click", "7d_click", "1d_view")
#: Name -> Meta's keys whose numbers are added.
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    DEFAULT: (),
    **{name: (name,) for name in FETCHED},
    "1d_click_1d_view": ("1d_click", "1d_view"),
    "7d_click_1d_view": ("7d_click", "1d_view"),
}
#: Columns whose number depends on the window.
ATTRIBUTED: Final = frozenset(ADDITIVE) - UNATTRIBUTED
_RETIRED: Final = {
    "7d_view": "Meta has answered nothing for 7d_view since January 2026.",
    "28d_view": "Meta has answered nothing for 28d_view since January 2026.",
    "inline": "Meta counts inline actions inside 1d_click and 1d_view now.",
}
_NESTED: Final = "A longer click window contains the shorter one; they are not added."
_BY_PARTS: Final = {frozenset(keys or (name,)): name for name, keys in CHOICES.items()}


@functools.lru_cache(maxsize=64)
def chosen(name: str) -> str:
    """The window under its one name: parts in any order, joined by _ or a comma. Raises `UnknownAttribution`."""
    parts = frozenset(re.split(r"[_,]\s*(?=\d)", name.strip()))
    if parts in _BY_PARTS:
        return _BY_PARTS[parts]
    retired = next((_RETIRED[part] for part in sorted(parts) if part in _RETIRED), "")
    nested = _NESTED if len({part for part in parts if part.endswith("_click")}) > 1 else ""
    raise UnknownAttribution(name, retired or nested or "It is not read.", tuple(CHOICES))


def credited(actions: Mapping[str, Any], *, window: str) -> dict[str, Decimal]:
    """A row's numbers of `ATTRIBUTED` in that window, from what Meta listed. A key that is absent is 0: Meta leaves out
    what has no data. One type of each family is taken, as for the columns."""
    counts, amounts = actions.get("actions", {}), actions.get("action_values", {})
    found: dict[str, Decimal] = {}
    for column, types in FAMILIES.items():
        kind = next((kind for kind in types if kind in counts or kind in amounts), None)
        if column not in ATTRIBUTED or kind is None:
            continue
        found[column] = _sum(counts.get(kind, {}), CHOICES[window])
        if column in VALUES:
            found[VALUES[column]] = _sum(amounts.get(kind, {}), CHOICES[window])
    return found


def _sum(listed: Mapping[str, str], keys: Iterable[str]) -> Decimal:
    return sum((Decimal(listed.get(key, 0)) for key in keys), Decimal(0))
