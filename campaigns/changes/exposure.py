"""What the guards have to know: money already out there, and everything else about the object, as one value.

`report` is called by the insights floor in the transaction that stores rows: spend so far per object and account
day, how old and how far to be trusted. `situation` gathers that, what our own changes have added lately (those that
may have been applied count), and the state of the object, into the guards' input.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Q, QuerySet, Sum

import campaigns.changes.headroom as headroom
import campaigns.changes.sweeper as sweeper
import campaigns.queries as queries
import metaads.disks as disks
from accounts.models import AdAccount
from campaigns.changes.guards import Intent, Situation
from campaigns.changes.headroom import Rooms
from campaigns.models import Ad, AdSet, Attempt, Campaign, Change, ExposureRow, Hold, SyncRun, SyncState
from campaigns.states import OPEN, Evidence, Field, Level, Source, direction

#: States in which a change's rise counts: applied, or sent and not proven without effect.
COUNTS = headroom.COUNTS
IN_FLIGHT = sorted(state.value for state in OPEN)
_KEPT: Final = ("ad_account_id", "level", "object_id", "day", "spend", "as_of", "trust", "reported_at")
#: Attempts that certainly had no effect.
HARMLESS = ("refused", "throttled", "not_sent", "auth", "not_permitted")


@dataclass(frozen=True)
class Spent:
    """Spend so far of one object on one day of the account's zone, major units."""

    level: str
    object_id: str
    day: date
    spend: Decimal


def report(*, ad_account_id: int, rows: Iterable[Spent], as_of: datetime, trust: str, now: datetime) -> int:
    """Store spend so far; the later report of a day replaces the earlier one. Returns how many rows."""
    # Asked for once: the usual `connection` looks itself up again for every value.
    connection = connections[DEFAULT_DB_ALIAS]
    fields: list[Any] = [ExposureRow._meta.get_field(name) for name in _KEPT]
    found = [
        [
            field.get_db_prep_save(value, connection)
            for field, value in zip(
                fields,
                (ad_account_id, row.level, row.object_id, row.day, row.spend, as_of, trust[:12], now),
                strict=True,
            )
        ]
        for row in rows
    ]
    if not found:
        return 0
    table, names = ExposureRow._meta.db_table, ", ".join(_KEPT)
    sets = ", ".join(f"{name} = excluded.{name}" for name in ("spend", "as_of", "trust", "reported_at"))
    tail = f" ON CONFLICT (ad_account_id, level, object_id, day) DO UPDATE SET {sets}"
    # Tens of thousands of rows while history is read, where model objects cost more than the rows.
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            arrays = ", ".join(f"CAST(%s AS {field.db_type(connection)}[])" for field in fields)
            cursor.execute(
                f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays}) WHERE true{tail}",  # noqa: S608
                [list(column) for column in zip(*found, strict=True)],
            )
        else:
            marks = ", ".join(["%s"] * len(fields))
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks}){tail}", found)  # noqa: S608
    return len(found)


def last_good_sync(ad_account: AdAccount) -> SyncRun | None:
    rows = SyncRun.objects.of(ad_account.client_id).filter(ad_account=ad_account, state=SyncState.COMPLETE)
    found: SyncRun | None = rows.order_by("-started_at").first()
    return found


def situation(
    *,
    ad_account: AdAccount,
    level: Level,
    object_id: str,
    field: Field,
    stopped: str,
    now: datetime,
    before: str,
    target: str,
    leave_out: Change | None = None,
    rooms: Rooms | None = None,
) -> Situation:
    """The guards' view of one object and field, and of the envelopes around it as they would be with `target`.
    `leave_out` is the change that is being judged; `rooms` counts those thought about before it."""
    spends_more = direction(field, before, target).spends_more
    obj = queries.stored(ad_account=ad_account, level=level, object_id=object_id)
    sync = last_good_sync(ad_account)
    others = Change.objects.of(ad_account.client_id).filter(ad_account=ad_account, object_id=object_id)
    if leave_out is not None:
        others = others.exclude(pk=leave_out.pk)
    hold = Hold.objects.of(ad_account.client_id).filter(
        object_id=object_id, until__gt=now, resumed_at__isnull=True
    )
    standing = hold.order_by("-until").first()
    spent, trust = _spent(ad_account, level, object_id)
    writes = _writes(ad_account, object_id, field, now)
    owner = queries.budget_owner(obj) if obj is not None else None
    wanted = headroom.Wanted(level=level, object_id=object_id, field=field, target=target)
    if rooms is not None:
        room = rooms.room(wanted, before)
    else:
        room = headroom.room(
            ad_account=ad_account, wanted=wanted, before=before, now=now, leave_out=leave_out
        )
    return Situation(
        present=obj is not None and obj.removed_at is None,
        known=bool(obj and obj.known),
        status=obj.status if obj else "",
        currency=ad_account.currency,
        daily_budget=obj.daily_budget if obj else None,
        lifetime_budget=obj.lifetime_budget if obj else None,
        budget_elsewhere=_elsewhere(obj, owner),
        learning=bool(obj and obj.learning_stage == "LEARNING"),
        ends_at=None if obj is None or isinstance(obj, Ad) else obj.end_time,
        starts_at=None if obj is None or isinstance(obj, Ad) else obj.start_time,
        bid_amount=obj.bid_amount if isinstance(obj, AdSet) else None,
        structure_at=sync.started_at if sync else None,
        account_enabled=ad_account.enabled,
        account_active=ad_account.account_status in (1, 9, 201),
        minimum_daily=ad_account.min_daily_budget,
        stopped=stopped,
        held_at=standing.held_at if standing else None,
        held_reason=standing.reason if standing else "",
        other_open=others.filter(field=field.value, state__in=IN_FLIGHT).exists(),
        rises_24h=_rises(others.filter(field=field.value), now),
        edits_1h=tuple(moment for moment in writes if moment > now - timedelta(hours=1)),
        last_write_at=max(_writes(ad_account, object_id, field, now, without_undo=True), default=None),
        spend_so_far=spent,
        exposure_trust=trust,
        exposure_known=room.known,
        around=room.around,
        uses=room.uses,
        disk_full=disks.full() if spends_more else "",
        unswept_since=sweeper.silent_since(now=now) if spends_more else None,
        lacking=room.lacking,
        foreign=room.foreign,
    )


def rises_24h(change: Change, *, now: datetime) -> Decimal:
    """What raises of the change's field have added to its object in 24 hours, or may have; itself left out."""
    others = Change.objects.of(change.client_id).filter(
        ad_account_id=change.ad_account_id, object_id=change.object_id, field=change.field
    )
    return _rises(others.exclude(pk=change.pk), now)


def intent_of(change: Change) -> Intent:
    """A stored change as the guards see it."""
    evidence = None
    if change.evidence_valid_until is not None and change.evidence_as_of is not None:
        evidence = Evidence(
            data_version=change.evidence_version or 0,
            as_of=change.evidence_as_of,
            checksum=change.evidence_checksum,
            valid_until=change.evidence_valid_until,
        )
    return Intent(
        level=Level(change.level),
        field=Field(change.field),
        before=change.before,
        target=change.target,
        currency=change.currency,
        source=Source(change.source),
        acknowledged=change.acknowledged,
        evidence=evidence,
        approved_at=change.approved_at,
    )


def _elsewhere(obj: Campaign | AdSet | Ad | None, owner: tuple[Level, object] | None) -> str:
    if isinstance(obj, Campaign) and owner is None:
        owned = AdSet.objects.of(obj.client_id).filter(campaign=obj, removed_at__isnull=True)
        if owned.filter(Q(daily_budget__isnull=False) | Q(lifetime_budget__isnull=False)).exists():
            return Level.AD_SET.value
    if isinstance(obj, AdSet) and owner is not None and owner[0] is Level.CAMPAIGN:
        return Level.CAMPAIGN.value
    return ""


def _rises(others: QuerySet[Change], now: datetime) -> Decimal:
    rows = others.filter(state__in=COUNTS, possibly_applied=True, state_at__gt=now - timedelta(hours=24))
    return Decimal(rows.aggregate(total=Sum("rise"))["total"] or 0)


def _writes(
    ad_account: AdAccount, object_id: str, field: Field, now: datetime, *, without_undo: bool = False
) -> list[datetime]:
    """When we wrote a budget of the object in the last 24 hours (requests that certainly did nothing left out)."""
    if not field.is_budget:
        return []
    rows = Attempt.objects.of(ad_account.client_id).filter(
        object_id=object_id, committed_at__gt=now - timedelta(hours=24)
    )
    rows = rows.filter(field__in=[Field.DAILY_BUDGET.value, Field.LIFETIME_BUDGET.value]).exclude(
        outcome__in=HARMLESS
    )
    if without_undo:
        rows = rows.exclude(change__source=Source.UNDO.value)
    return list(rows.values_list("committed_at", flat=True))


def _spent(ad_account: AdAccount, level: Level, object_id: str) -> tuple[Decimal | None, str]:
    """All spend that was reported of the object, and the trust of the newest report."""
    rows = ExposureRow.objects.of(ad_account).filter(level=level.value, object_id=object_id)
    newest = rows.order_by("-as_of").first()
    if newest is None:
        return None, ""
    return Decimal(rows.aggregate(total=Sum("spend"))["total"] or 0), newest.trust
