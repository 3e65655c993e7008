"""The one way into the facts.

rows + slices of one read
    -> lock the account's data version            two fetches of one account wait for each other
    -> leave out slices that a newer read filled  a slow answer never overwrites a later one
    -> merge the rows, file revisions             `staging`
    -> rollups, window sums, levels-agree check   `rollups`, for the touched days only
    -> slices, spend reported to campaigns        so that floor 3 judges with the same numbers
    -> one version up if anything moved           -> commit -> data_arrived
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import transaction

import campaigns.changes.exposure as exposure
import insights.store.oddities as oddities
import insights.store.rollups as rollups
from accounts.models import AdAccount
from insights.models import DataVersion, PeriodReach, Slice
from insights.rows import Row
from insights.signals import data_arrived
from insights.store.staging import Merged, grain, merge
from insights.windows import DAY, Period, today


@dataclass(frozen=True)
class Read:
    """One (level, day) that a fetch has read; `complete` when every page of it arrived and was understood.

    `breakdown` names what its rows are parted by (`age,gender`); "" are the totals. One upsert is about one of them.
    """

    kind: str  # day, hour
    level: str
    day: date
    complete: bool = True
    breakdown: str = ""


@dataclass(frozen=True)
class Reached:
    """People reached by each object of a level over a period: (object id, people)."""

    level: str
    period: Period
    people: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class UpsertResult:
    """What an upsert did to the facts; `data_version` is the account's after it."""

    inserted: int
    changed: int
    unchanged: int
    data_version: int

    @property
    def moved(self) -> bool:
        return bool(self.inserted or self.changed)


def upsert(
    *,
    ad_account: AdAccount,
    rows: Iterable[Row],
    slices: Sequence[Read],
    now: datetime,
    asked_at: datetime | None = None,
) -> UpsertResult:
    """Store what one fetch, begun at `now`, has read: all of it or nothing.

    `asked_at` is how old the answers are, where they were asked for before `now` (a report that Meta prepared).
    Rows outside the slices are stored too; rows of a slice that a later fetch has filled are left out. In a
    complete slice an object that is absent has no row any more (its old values stay as a revision). Rows that are
    parted by a breakdown are kept apart: they touch no sum.
    """
    account_id = int(ad_account.pk)
    day_now = today(now, ad_account.timezone_name)
    as_old_as = asked_at or now
    breakdown = slices[0].breakdown if slices else ""
    with transaction.atomic():
        version = _locked(account_id)
        stored = _stored(account_id, slices, breakdown)
        late = {key for key, seen in stored.items() if seen.fetched_at > as_old_as}
        current = [one for one in slices if (one.kind, one.level, one.day) not in late]
        kept = _once(row for row in rows if (_kind(row), row.level, row.day) not in late)
        read_days = {one.day for one in current if (one.kind, one.level, one.breakdown) == ("day", "ad", "")}
        before = oddities.earlier(account_id=account_id, days=read_days) if read_days else {}
        merged = {
            name: merge(
                grain=grain(name),
                account_id=account_id,
                rows=[row for row in kept if _kind(row) == name],
                whole=[(one.level, one.day) for one in current if one.kind == name and one.complete],
                now=now,
                today=day_now,
                breakdown=breakdown,
            )
            for name in {*(_kind(row) for row in kept), *(one.kind for one in current)}
        }
        days = set() if breakdown else {day for level, day in _moved(merged, "day") if level == "ad"}
        if days:
            rollups.refresh_days(account_id=account_id, days=days)
        if hours := {day for level, day in _moved(merged, "hour") if level == rollups.HOUR_LEVEL}:
            rollups.refresh_hours(account_id=account_id, days=hours)
        _windows(version, days, until=day_now - DAY)
        known = {day: stored[key].odd for day in read_days if (key := ("day", "ad", day)) in stored}
        odd = (
            oddities.find(account_id=account_id, days=read_days, before=before, known=known)
            if read_days
            else {}
        )
        _slices(ad_account, current, stored, merged, kept, odd, now=now, fetched_at=as_old_as)
        _report(
            account_id,
            merged,
            days,
            covered={one.day for one in current if one.complete and (one.kind, one.level) == ("day", "ad")},
            trust="ready" if not odd and all(one.complete for one in current) else "partial",
            now=now,
        )
        if any(one.inserted or one.changed for one in merged.values()):
            _moved_on(version, now)
        version.save()
    return UpsertResult(
        inserted=sum(one.inserted for one in merged.values()),
        changed=sum(one.changed for one in merged.values()),
        unchanged=sum(one.unchanged for one in merged.values()),
        data_version=version.version,
    )


def keep_reach(*, ad_account: AdAccount, found: Sequence[Reached], now: datetime) -> None:
    """Store the de-duplicated reach of periods, as Meta answered it. A number that is new is a new data version, like
    any other."""
    account_id = int(ad_account.pk)
    with transaction.atomic():
        version = _locked(account_id)
        moved = False
        for one in found:
            same = {"level": one.level, "since": one.period.since, "until": one.period.until}
            before = dict(PeriodReach.objects.of(ad_account).filter(**same).values_list("object_id", "reach"))
            people = dict(one.people)
            PeriodReach.everything.bulk_create(
                [
                    PeriodReach(ad_account_id=account_id, object_id=object_id, reach=count, as_of=now, **same)
                    for object_id, count in people.items()
                ],
                update_conflicts=True,
                unique_fields=["ad_account_id", "level", "object_id", "since", "until"],
                update_fields=["reach", "as_of"],
                batch_size=500,
            )
            moved |= any(before.get(object_id) != count for object_id, count in people.items())
        if moved:
            _moved_on(version, now)
            version.save()


def _moved_on(version: DataVersion, now: datetime) -> None:
    """One data version up, told after the commit."""
    version.version += 1
    version.changed_at = now
    account_id, number = version.ad_account_id, version.version
    transaction.on_commit(
        lambda: data_arrived.send(sender=DataVersion, ad_account_id=account_id, data_version=number)
    )


def _locked(account_id: int) -> DataVersion:
    DataVersion.everything.get_or_create(ad_account_id=account_id)
    found: DataVersion = DataVersion.everything.select_for_update().get(ad_account_id=account_id)
    return found


def _kind(row: Row) -> str:
    return "hour" if row.hour >= 0 else "day"


def _once(rows: Iterable[Row]) -> list[Row]:
    """Each key once. Of two answers for one key (a page that shifted) the larger is kept, in whatever order they
    came."""
    found: dict[tuple[object, ...], Row] = {}
    for row in rows:
        seen = found.get(row.key)
        if seen is None or (seen.values, seen.actions) < (row.values, row.actions):
            found[row.key] = row
    return list(found.values())


def _moved(merged: dict[str, Merged], kind: str) -> frozenset[tuple[str, date]]:
    return merged[kind].moved if kind in merged else frozenset()


def _stored(account_id: int, slices: Sequence[Read], breakdown: str) -> dict[tuple[str, str, date], Slice]:
    if not slices:
        return {}
    days = [one.day for one in slices]
    rows = Slice.objects.of(account_id).filter(breakdown=breakdown, day__range=(min(days), max(days)))
    return {(row.kind, row.level, row.day): row for row in rows}


def _windows(version: DataVersion, days: set[date], *, until: date) -> None:
    """Window sums end yesterday: all anew when the account's day has turned, else those with a touched day."""
    if version.windows_until != until:
        rollups.refresh_windows(account_id=version.ad_account_id, until=until, days=None)
        version.windows_until = until
    elif days:
        rollups.refresh_windows(account_id=version.ad_account_id, until=until, days=days)


def _slices(
    ad_account: AdAccount,
    current: Sequence[Read],
    stored: dict[tuple[str, str, date], Slice],
    merged: dict[str, Merged],
    rows: Sequence[Row],
    odd: Mapping[date, str],
    *,
    now: datetime,
    fetched_at: datetime,
) -> None:
    counts: dict[tuple[str, str, date], int] = {}
    for row in rows:
        key = (_kind(row), row.level, row.day)
        counts[key] = counts.get(key, 0) + 1
    day_slices = {one.day for one in current if one.kind == "day" and not one.breakdown}
    apart = rollups.disagreeing(account_id=int(ad_account.pk), days=day_slices) if day_slices else set()
    fresh = []
    for one in {(one.kind, one.level, one.day): one for one in current}.values():
        key = (one.kind, one.level, one.day)
        before = stored.get(key)
        still = before is not None and (one.level, one.day) not in _moved(merged, one.kind)
        fresh.append(
            Slice(
                ad_account_id=ad_account.pk,
                kind=one.kind,
                level=one.level,
                day=one.day,
                complete=one.complete,
                whole_from=(before.whole_from if before else None) or (now if one.complete else None),
                fetched_at=fetched_at,
                breakdown=one.breakdown,
                as_of=before.as_of if before is not None and still else fetched_at,
                zone=ad_account.timezone_name,
                rows=counts.get(key, 0),
                agrees=one.kind != "day" or (one.level, one.day) not in apart,
                odd=odd.get(one.day, "") if (one.kind, one.level) == ("day", "ad") else "",
            )
        )
    Slice.everything.bulk_create(
        fresh,
        update_conflicts=True,
        unique_fields=["ad_account_id", "kind", "level", "day", "breakdown"],
        update_fields=["complete", "whole_from", "fetched_at", "as_of", "zone", "rows", "agrees", "odd"],
        batch_size=500,
    )


def _report(
    account_id: int,
    merged: dict[str, Merged],
    days: set[date],
    *,
    covered: set[date],
    trust: str,
    now: datetime,
) -> None:
    """Tell floor 3 what the owners of budgets have spent, in this transaction; of a day that was read in full and has
    not moved, only what the whole account spent, so that it knows how old its knowledge is."""
    if not days | covered:
        return
    spent = {key[:3]: key[3] for key in rollups.spent(account_id=account_id, days=days | covered)}
    whole = {("account", "", day): Decimal(0) for day in days | covered}
    for (level, _, day), spend in spent.items():
        if level == "campaign":
            whole["account", "", day] += spend
    found = {key: spend for key, spend in spent.items() if key[2] in days} | whole
    for level, object_id, day in merged["day"].gone:
        if level in ("campaign", "adset"):
            found.setdefault((level, object_id, day), Decimal(0))
    exposure.report(
        ad_account_id=account_id,
        rows=[
            exposure.Spent(level=level, object_id=object_id, day=day, spend=spend)
            for (level, object_id, day), spend in found.items()
        ],
        as_of=now,
        trust=trust,
        now=now,
    )
