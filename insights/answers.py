"""Sums that were asked for before: kept by ad account, data version and question, so that a repeat reads no fact.

A key names the ad account (which belongs to one client) and the mark of its data; the caller got both through
`accounts.access`. When rows move, the mark moves with them (`data_arrived`), and what was kept is never asked for
again. Losing the cache costs a query, never an answer.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, TypeVar

import redis
from django.core.cache import cache

import insights.history as history
import insights.sums as sums
from accounts.models import AdAccount
from insights.attribution import DEFAULT
from insights.sums import Bases
from insights.windows import Period

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")
#: An answer about more objects than this is not kept.
MOST: Final = 5000
_SECONDS: Final = 3600


def by_object(
    *,
    ad_account: AdAccount,
    mark: str,
    level: str,
    period: Period,
    bases: Collection[str],
    parent_id: str | None = None,
    object_ids: Collection[str] | None = None,
    window: str = DEFAULT,
) -> dict[str, Bases]:
    """`sums.by_object` of the data that `mark` names."""
    ids = None if object_ids is None else tuple(object_ids)
    question = ("by_object", level, _days(period), tuple(sorted(bases)), parent_id, ids, window)
    return _kept(
        ad_account,
        mark,
        question,
        lambda: sums.by_object(
            ad_account=ad_account,
            level=level,
            period=period,
            bases=bases,
            parent_id=parent_id,
            object_ids=ids,
            window=window,
        ),
    )


def by_day(
    *,
    ad_account: AdAccount,
    mark: str,
    level: str,
    object_id: str,
    period: Period,
    bases: Collection[str],
    window: str = DEFAULT,
) -> dict[date, Bases]:
    """`sums.by_day` of the data that `mark` names."""
    question = ("by_day", level, object_id, _days(period), tuple(sorted(bases)), window)
    return _kept(
        ad_account,
        mark,
        question,
        lambda: sums.by_day(
            ad_account=ad_account,
            level=level,
            object_id=object_id,
            period=period,
            bases=bases,
            window=window,
        ),
    )


def by_object_day(
    *,
    ad_account: AdAccount,
    mark: str,
    level: str,
    period: Period,
    bases: Collection[str],
    object_ids: Collection[str],
) -> dict[str, dict[date, Bases]]:
    """`sums.by_object_day` of the data that `mark` names."""
    ids = tuple(object_ids)
    return _kept(
        ad_account,
        mark,
        ("by_object_day", level, _days(period), tuple(sorted(bases)), ids),
        lambda: sums.by_object_day(
            ad_account=ad_account, level=level, period=period, bases=bases, object_ids=ids
        ),
    )


def by_hour(
    *, ad_account: AdAccount, mark: str, level: str, object_id: str, period: Period, bases: Collection[str]
) -> dict[tuple[date, int], Bases] | None:
    """`sums.by_hour` of the data that `mark` names."""
    question = ("by_hour", level, object_id, _days(period), tuple(sorted(bases)))
    return _kept(
        ad_account,
        mark,
        question,
        lambda: sums.by_hour(
            ad_account=ad_account, level=level, object_id=object_id, period=period, bases=bases
        ),
    )


def by_hours(
    *,
    ad_account: AdAccount,
    mark: str,
    level: str,
    labels: frozenset[tuple[date, int]],
    bases: Collection[str],
) -> dict[str, Bases]:
    """`sums.by_hours` of the data that `mark` names."""
    named = tuple(sorted((day.isoformat(), hour) for day, hour in labels))
    question = ("by_hours", level, named, tuple(sorted(bases)))
    return _kept(
        ad_account,
        mark,
        question,
        lambda: sums.by_hours(ad_account=ad_account, level=level, labels=labels, bases=bases),
    )


def by_cell(
    *,
    ad_account: AdAccount,
    mark: str,
    level: str,
    object_id: str,
    days: Collection[date],
    breakdowns: Sequence[str],
    bases: Collection[str],
) -> dict[str, Bases]:
    """`sums.by_cell` of the data that `mark` names."""
    named = tuple(sorted(day.isoformat() for day in days))
    question = ("by_cell", level, object_id, named, tuple(breakdowns), tuple(sorted(bases)))
    return _kept(
        ad_account,
        mark,
        question,
        lambda: sums.by_cell(
            ad_account=ad_account,
            level=level,
            object_id=object_id,
            days=days,
            breakdowns=breakdowns,
            bases=bases,
        ),
    )


def by_window(*, ad_account: AdAccount, mark: str, level: str, days: int, until: date) -> Mapping[str, Bases]:
    """`sums.by_window` of the data that `mark` names."""
    return _kept(
        ad_account,
        mark,
        ("by_window", level, days, until.isoformat()),
        lambda: sums.by_window(ad_account=ad_account, level=level, days=days, until=until),
    )


def known_at(
    *,
    ad_account: AdAccount,
    mark: str,
    level: str,
    period: Period,
    at: datetime,
    bases: Collection[str],
    object_ids: Collection[str] | None = None,
) -> tuple[datetime, Mapping[str, Bases]]:
    """`history.known_at` of the data that `mark` names."""
    ids = None if object_ids is None else tuple(object_ids)
    question = ("known_at", level, _days(period), at.isoformat(), tuple(sorted(bases)), ids)
    return _kept(
        ad_account,
        mark,
        question,
        lambda: history.known_at(
            ad_account=ad_account, level=level, period=period, at=at, bases=bases, object_ids=ids
        ),
    )


def reach(
    *, ad_account: AdAccount, mark: str, level: str, period: Period, object_ids: Collection[str]
) -> Mapping[str, int]:
    """`sums.reach` of the data that `mark` names."""
    ids = tuple(object_ids)
    return _kept(
        ad_account,
        mark,
        ("reach", level, _days(period), ids),
        lambda: dict(sums.reach(ad_account=ad_account, level=level, period=period, object_ids=ids)),
    )


def reach_by_day(
    *, ad_account: AdAccount, mark: str, level: str, object_id: str, period: Period
) -> Mapping[date, int]:
    """`sums.reach_by_day` of the data that `mark` names."""
    return _kept(
        ad_account,
        mark,
        ("reach_by_day", level, object_id, _days(period)),
        lambda: dict(
            sums.reach_by_day(ad_account=ad_account, level=level, object_id=object_id, period=period)
        ),
    )


def rankings(
    *, ad_account: AdAccount, mark: str, period: Period, object_ids: Collection[str] | None = None
) -> dict[str, Bases]:
    """`sums.rankings` of the data that `mark` names."""
    ids = None if object_ids is None else tuple(object_ids)
    return _kept(
        ad_account,
        mark,
        ("rankings", _days(period), ids),
        lambda: sums.rankings(ad_account=ad_account, period=period, object_ids=ids),
    )


def rankings_by_day(*, ad_account: AdAccount, mark: str, period: Period, object_id: str) -> dict[date, Bases]:
    """`sums.rankings_by_day` of the data that `mark` names."""
    return _kept(
        ad_account,
        mark,
        ("rankings_by_day", _days(period), object_id),
        lambda: sums.rankings_by_day(ad_account=ad_account, period=period, object_id=object_id),
    )


def ad_sets(
    *,
    ad_account: AdAccount,
    mark: str,
    level: str,
    period: Period,
    object_ids: Collection[str] | None = None,
) -> dict[str, frozenset[str]]:
    """`sums.ad_sets` of the data that `mark` names."""
    ids = None if object_ids is None else tuple(object_ids)
    return _kept(
        ad_account,
        mark,
        ("ad_sets", level, _days(period), ids),
        lambda: sums.ad_sets(ad_account=ad_account, level=level, period=period, object_ids=ids),
    )


def _days(period: Period) -> tuple[str, str]:
    return period.since.isoformat(), period.until.isoformat()


def _kept(
    ad_account: AdAccount, mark: str, question: tuple[Any, ...], compute: Callable[[], Answer]
) -> Answer:
    if not mark:
        return compute()
    digest = hashlib.sha256(repr(question).encode()).hexdigest()
    key = f"sums:{ad_account.pk}:{mark}:{digest}"
    found = _get(key)
    if found is not None:
        answer: Answer = found[0]
        return answer
    answer = compute()
    whole = answer[1] if isinstance(answer, tuple) else answer
    if not isinstance(whole, Mapping) or len(whole) <= MOST:
        _set(key, (answer,))
    return answer


def _get(key: str) -> Any:
    try:
        return cache.get(key)
    except redis.RedisError as error:
        log.warning("An answer could not be looked up (%s).", type(error).__name__)
        return None


def _set(key: str, value: Any) -> None:
    try:
        cache.set(key, value, _SECONDS)
    except redis.RedisError as error:
        log.warning("An answer was not kept (%s).", type(error).__name__)
