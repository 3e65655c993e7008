"""What each look at an account saw of its running day, so that "when did it begin to run away?" has an answer.

every look       one sample: the day's totals so far, as Meta had them
after 7 days     the last one of each quarter of an hour stays
after 90 days    the last one of each account day stays
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from django.db.models import Count, Max, Min, QuerySet
from django.db.models.functions import ExtractMinute, Floor, TruncHour

from accounts.models import AdAccount
from insights.models import Sample

#: Older than this, at most one in so long; None: one a day. The oldest tier first.
TIERS: Final[Sequence[tuple[timedelta, timedelta | None]]] = (
    (timedelta(days=90), None),
    (timedelta(days=7), timedelta(minutes=15)),
)
_MOST_DAYS_AT_ONCE: Final = 500


@dataclass(frozen=True)
class Seen:
    """The account day's totals at `at`; money in the account's currency, in major units."""

    at: datetime
    spend: Decimal
    impressions: int
    clicks: int


def spent(*, ad_account_ids: Collection[int], since: datetime) -> Mapping[int, Decimal]:
    """Ad account id -> what its looks since then saw it spend, in major units; absent where none saw it."""
    found: dict[int, Decimal] = {}
    rows = Sample.everything.filter(ad_account_id__in=ad_account_ids, at__gte=since)
    # By account day: a new day begins at nothing.
    for account_id, most, least in (
        rows.order_by()
        .values("ad_account_id", "day")
        .annotate(most=Max("spend"), least=Min("spend"))
        .values_list("ad_account_id", "most", "least")
    ):
        found[account_id] = found.get(account_id, Decimal(0)) + most - least
    return found


def keep(*, ad_account: AdAccount, day: date, totals: Mapping[str, str], now: datetime) -> None:
    """Keep what a look at `now` saw. Words that are no numbers are not kept; the row's own read says so."""
    try:
        seen = Sample(
            ad_account_id=ad_account.pk,
            day=day,
            at=now,
            spend=Decimal(totals.get("spend", "0")),
            impressions=int(totals.get("impressions", "0")),
            clicks=int(totals.get("clicks", "0")),
        )
    except (InvalidOperation, ValueError):
        return
    Sample.everything.bulk_create(
        [seen],
        update_conflicts=True,
        unique_fields=["ad_account_id", "at"],
        update_fields=["day", "spend", "impressions", "clicks"],
    )


def since(ad_account: AdAccount, *, start: datetime) -> list[Seen]:
    """Samples from `start` on, oldest first."""
    rows = Sample.objects.of(ad_account).filter(at__gte=start).order_by("at")
    return [Seen(row.at, row.spend, row.impressions, row.clicks) for row in rows]


def surplus(samples: Iterable[tuple[int, datetime]], *, apart: timedelta | None) -> list[int]:
    """Ids of an account day's samples (id, at) that may go: all but the last one of each stretch of `apart`, which
    is counted from the epoch (None: of the whole day)."""
    last: dict[float, tuple[datetime, int]] = {}
    everything = []
    for pk, at in samples:
        everything.append(pk)
        stretch = 0.0 if apart is None else at.timestamp() // apart.total_seconds()
        if stretch not in last or last[stretch] < (at, pk):
            last[stretch] = (at, pk)
    kept = {pk for _, pk in last.values()}
    return [pk for pk in everything if pk not in kept]


def thin(*, now: datetime) -> int:
    """Take out what the tiers do not keep; how many went. Killed anywhere, the next run goes on: a day that is thin
    already is not looked at again."""
    gone = 0
    for age, apart in TIERS:
        old = Sample.everything.filter(at__lt=now - age)
        for account_id, day in _crowded(old, apart):
            mine = old.filter(ad_account_id=account_id, day=day)
            ids = surplus(mine.values_list("id", "at"), apart=apart)
            for start in range(0, len(ids), 500):
                gone += Sample.everything.filter(pk__in=ids[start : start + 500]).delete()[0]
    return gone


def _crowded(rows: QuerySet[Sample], apart: timedelta | None) -> list[tuple[int, date]]:
    """(ad account, account day) with more samples than one for each stretch, oldest first, at most so many at once."""
    stretch: dict[str, Any] = {}
    if apart is not None:
        assert not timedelta(hours=1) % apart  # a stretch lies within one hour of UTC
        minutes = apart // timedelta(minutes=1)
        # Floor: PostgreSQL's minutes are no whole numbers, and neither is a part of them.
        part = Floor(ExtractMinute("at", tzinfo=UTC) / minutes)
        stretch = {"hour": TruncHour("at", tzinfo=UTC), "part": part}
    several = (
        rows.order_by().values("ad_account_id", "day", **stretch).annotate(n=Count("id")).filter(n__gt=1)
    )
    found: list[tuple[int, date]] = list(several.order_by("day").values_list("ad_account_id", "day"))
    return list(dict.fromkeys(found))[:_MOST_DAYS_AT_ONCE]
