"""PURE: what an undo will not bring back, said before anybody approves."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from campaigns.changes.envelopes import OVERSPEND, money
from campaigns.changes.guards import Intent
from campaigns.states import Direction, Field

#: From here on Meta treats a new budget as a significant edit (docs/meta.md, learning phase); a plain figure of
#: practice, Meta publishes none.
SIGNIFICANT_PERCENT: Final = 20


def cannot_be_undone(intent: Intent) -> tuple[str, ...]:
    """Sentences for people; empty where an undo really brings everything back."""
    found = []
    if intent.direction.spends_more:
        found.append(_spent(intent))
    if intent.direction is Direction.STOP:
        found.append("What is not shown while it is paused cannot be made up for.")
    if _significant(intent):
        found.append("Meta may start the learning phase again, and an undo starts it once more.")
    return tuple(found)


def _spent(intent: Intent) -> str:
    text = "Money that is spent before an undo does not come back"
    if not intent.field.is_budget or not intent.before:
        return f"{text}."
    rise = Decimal(intent.target) - Decimal(intent.before)
    if intent.field is Field.DAILY_BUDGET:
        rise, when = rise * OVERSPEND, " on the first day"
    else:
        when = ""
    return f"{text}: at worst {money(rise)} {intent.currency} more{when}."


def _significant(intent: Intent) -> bool:
    if intent.direction is Direction.START:
        return True
    if not intent.field.is_budget:
        return intent.field.is_money
    if not intent.before:
        return True
    before, target = Decimal(intent.before), Decimal(intent.target)
    return abs(target - before) * 100 > before * SIGNIFICANT_PERCENT
