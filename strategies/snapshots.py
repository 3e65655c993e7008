"""What the engine sees of an ad account: the only place where it meets the database.

Structure comes from `campaigns.queries`, figures from `insights.analytics` (seven full account days that end
yesterday). Only campaigns and ad sets are judged; of the two, the one that owns the budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from accounts.models import AdAccount
from campaigns.queries import ObjectRow, structure
from campaigns.states import Level
from insights.analytics import WindowTable, windows
from metaads.graph.money import known, minor_unit
from strategies.engine.evaluate import LEARNING, RUNNING
from strategies.engine.types import LAST_7_DAYS, Snapshot, Subject, Trust

_WORST_FIRST = (Trust.UNAVAILABLE, Trust.EMPTY, Trust.STALE, Trust.PARTIAL, Trust.READY)
#: In a complete slice an absent row means that nothing was delivered.
_ZERO_WHEN_ABSENT = ("spend", "impressions", "clicks")


def build(*, ad_account: AdAccount, now: datetime) -> Snapshot:
    """The account as it is known now. The caller got `ad_account` from `accounts.access` (or is a scanner)."""
    rows = structure(ad_account=ad_account)
    tables = {
        level: windows(ad_account, level=level.value, now=now) for level in (Level.CAMPAIGN, Level.AD_SET)
    }
    header = tables[Level.CAMPAIGN].header
    trust, reasons = _trust(list(tables.values()))
    return Snapshot(
        currency=header.currency,
        minor_unit=minor_unit(header.currency) if known(header.currency) else None,
        zone=header.zone,
        since=header.since,
        until=header.until,
        data_version=max(table.header.data_version for table in tables.values()),
        as_of=header.data_as_of,
        trust=trust,
        trust_reasons=reasons,
        subjects=subjects(rows, tables=tables, trust=trust),
    )


def _trust(tables: Sequence[WindowTable]) -> tuple[Trust, tuple[str, ...]]:
    """The worst of the levels read, with every reason once."""
    states = [Trust(table.header.trust.state) for table in tables]
    reasons = dict.fromkeys(reason for table in tables for reason in table.header.trust.reasons)
    return min(states, key=_WORST_FIRST.index), tuple(reasons)


def subjects(
    rows: Sequence[ObjectRow], *, tables: Mapping[Level, WindowTable], trust: Trust
) -> tuple[Subject, ...]:
    """Campaigns and ad sets with their figures, in a fixed order."""
    campaigns = {row.meta_id: row for row in rows if row.level is Level.CAMPAIGN}
    learning = {
        row.parent_id
        for row in rows
        if row.level is Level.AD_SET and row.learning_stage == LEARNING and row.effective_status in RUNNING
    }
    found = []
    for row in rows:
        if row.level is Level.AD:
            continue
        parent = campaigns.get(row.parent_id) if row.level is Level.AD_SET else None
        owns = _has_budget(row) and not (parent is not None and _has_budget(parent))
        # A campaign has no learning stage of its own; an edit of its budget restarts that of its ad sets.
        stage = LEARNING if row.meta_id in learning else row.learning_stage
        found.append(
            Subject(
                level=row.level.value,
                object_id=row.meta_id,
                name=row.name,
                parent_id=row.parent_id or None,
                status=row.status,
                effective_status=row.effective_status,
                daily_budget=row.daily_budget,
                lifetime_budget=row.lifetime_budget,
                owns_budget=owns,
                learning_stage=stage or None,
                start=row.start,
                end=row.end,
                values={LAST_7_DAYS: _values(tables[row.level], row.meta_id, trust)},
            )
        )
    return tuple(sorted(found, key=lambda subject: (subject.level, subject.object_id)))


def _has_budget(row: ObjectRow) -> bool:
    return bool(row.daily_budget or row.lifetime_budget)


def _values(table: WindowTable, object_id: str, trust: Trust) -> dict[str, Decimal | None]:
    if object_id not in table.object_ids:
        zero = Decimal(0) if trust in (Trust.READY, Trust.STALE, Trust.EMPTY) else None
        return dict.fromkeys(_ZERO_WHEN_ABSENT, zero)
    return {metric: column.get(object_id) for metric, column in table.columns.items()}
