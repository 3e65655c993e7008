"""The tree as it stood in the product at an earlier instant: today's, with the ledger's lines taken back.

    now: daily_budget 60      line at 14:02  50 -> 60      so before 14:02 it was 50

A line's `at` is when the product knew of the edit, so this is what an evaluation of then saw. The ledger begins with
the first read of the structure (`since`); before it today's values are all that there is. Learning stages, objectives
and bid strategies are not in the ledger: they are today's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from accounts.models import AdAccount
from campaigns.models import LedgerLine, SyncRun
from campaigns.queries import MODELS, ObjectRow, structure
from campaigns.states import ChangeState, Field, Level

_PLAIN: Final = frozenset({Field.STATUS.value, Field.NAME.value})
_MOMENTS: Final[Mapping[str, str]] = {Field.START_TIME.value: "start", Field.END_TIME.value: "end"}
_MONEY: Final = frozenset({field.value for field in Field if field.is_money})
_RUNS: Final = "ACTIVE"
_OWN_STOP: Final = "PAUSED"


@dataclass(frozen=True)
class Step:
    """One edit of one field as the product learned of it, in canonical text."""

    at: datetime
    object_id: str
    field: str
    before: str
    after: str
    strategy_ref: str = ""


@dataclass(frozen=True)
class Past:
    """Read once, for every instant since `after`; `steps` are in the order of the ledger. `since` is when the
    structure was first read to the end (None: never)."""

    rows: tuple[ObjectRow, ...]
    removed: Mapping[str, datetime]
    steps: tuple[Step, ...]
    since: datetime | None

    def at(self, moment: datetime) -> list[ObjectRow]:
        """The objects that were known at `moment`, as they stood then; in the order of `structure`."""
        earlier: dict[str, dict[str, str]] = {}
        for step in self.steps:
            if step.at > moment:
                earlier.setdefault(step.object_id, {}).setdefault(step.field, step.before)
        there = [_earlier(row, earlier.get(row.meta_id, {})) for row in self.rows if self._there(row, moment)]
        status = {row.meta_id: row.status for row in there}
        return [replace(row, effective_status=_effective(row, status)) for row in there]

    def _there(self, row: ObjectRow, moment: datetime) -> bool:
        gone = self.removed.get(row.meta_id)
        return (row.created is None or row.created <= moment) and (gone is None or gone > moment)


def read(*, ad_account: AdAccount, levels: Iterable[Level], after: datetime) -> Past:
    """The account's tree of these levels, and what was edited since `after`. The caller got the account from
    `access`."""
    wanted = tuple(levels)
    removed: dict[str, datetime] = {}
    for level in wanted:
        gone = MODELS[level].objects.of(ad_account.client_id).filter(ad_account=ad_account)
        removed |= dict(gone.filter(removed_at__isnull=False).values_list("meta_id", "removed_at"))
    lines = LedgerLine.objects.of(ad_account.client_id).filter(
        ad_account=ad_account,
        at__gt=after,
        kind__in=("change", "edit"),
        field__in=[one.value for one in Field],
    )
    columns = ("at", "kind", "state", "object_id", "field", "before", "after", "change__strategy_ref")
    steps = tuple(
        Step(at, object_id, field, before, target, ref or "")
        for at, kind, state, object_id, field, before, target, ref in lines.order_by("seq").values_list(
            *columns
        )
        # An edit whose values Meta's log does not name says only that there was one.
        if (kind == "edit" and before != target) or state == ChangeState.APPLIED.value
    )
    reads = SyncRun.objects.of(ad_account.client_id).filter(ad_account=ad_account, state="complete")
    first = reads.order_by("finished_at").values_list("finished_at", flat=True).first()
    rows = structure(ad_account=ad_account, include_removed=True, levels=wanted)
    return Past(tuple(rows), removed, steps, first)


def _earlier(row: ObjectRow, before: Mapping[str, str]) -> ObjectRow:
    found: dict[str, Any] = {}
    for field, text in before.items():
        if field in _PLAIN and text:
            found[field] = text
        elif field in _MONEY:
            found[field] = _amount(text)
        elif field in _MOMENTS and row.level is not Level.AD:
            found[_MOMENTS[field]] = _moment(text)
    return replace(row, **found) if found else row


def _amount(text: str) -> Decimal | None:
    try:
        return Decimal(text) if text else None
    except InvalidOperation:  # Meta's own words of an amount
        return None


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def _effective(row: ObjectRow, status: Mapping[str, str]) -> str:
    """What its own status and those above it come to. A word of Meta's that neither explains (WITH_ISSUES) stays."""
    if row.status != _RUNS:
        return row.status
    if row.level is not Level.CAMPAIGN and status.get(row.campaign_id, _RUNS) == _OWN_STOP:
        return "CAMPAIGN_PAUSED"
    if row.level is Level.AD and status.get(row.parent_id, _RUNS) == _OWN_STOP:
        return "ADSET_PAUSED"
    stopped = {_OWN_STOP, "CAMPAIGN_PAUSED", "ADSET_PAUSED", "ARCHIVED", "DELETED"}
    return _RUNS if row.effective_status in stopped else row.effective_status
