"""All of the agency's ad accounts, over one period and one campaign objective, for `benchmarks` alone.

This reads across clients. What leaves here is for counting, never for showing: `benchmarks` answers with smoothed
quartiles of groups that are large enough, or not at all. Kept for an hour under the agency's own key, so it moves at
most that often; the period is the last full weeks, so it moves with restatements only.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

import redis
from django.core.cache import cache
from django.db.models import Count, Sum

import insights.results as outcomes
from accounts.models import AdAccount
from campaigns.models import AdSet, Campaign
from insights.models import AdSetMonth, CampaignDay, Slice
from insights.results import Goal, Result
from insights.windows import Period, months

log = logging.getLogger(__name__)
_SECONDS: Final = 3600


@dataclass(frozen=True)
class Member:
    """One ad account's sums over its campaigns of one objective, and what their result is: what its client says, else
    what those of their ad sets that ran are optimised for."""

    ad_account_id: int
    client_id: int
    currency: str
    result: Result
    sums: dict[str, Decimal | None]


def members(*, objective: str, period: Period, columns: Collection[str]) -> tuple[Member, ...]:
    """Accounts that are read, of living clients, whose every day of the period is complete and had such campaigns."""
    names = sorted(columns)
    accounts = _accounts()
    # Who is among them is part of the question: whoever leaves, or is erased, is gone from the next answer.
    who = sorted((row.pk, row.client_id, row.currency, row.client.result_action) for row in accounts.values())
    text = repr((objective, period.since.isoformat(), period.until.isoformat(), names, who))
    key = f"portfolio:{hashlib.sha256(text.encode()).hexdigest()}"
    kept = _get(key)
    if kept is not None:
        found: tuple[Member, ...] = kept
        return found
    found = _read(accounts, objective, period, names)
    _set(key, found)
    return found


def _accounts() -> dict[int, AdAccount]:
    rows = AdAccount.everything.filter(archived_at__isnull=True, client__archived_at__isnull=True)
    return {row.pk: row for row in rows.select_related("client") if row.enabled}


def _read(
    accounts: dict[int, AdAccount], objective: str, period: Period, names: list[str]
) -> tuple[Member, ...]:
    within: dict[str, tuple[date, date]] = {"day__range": (period.since, period.until)}
    complete = Slice.everything.filter(kind="day", level="ad", breakdown="", complete=True, **within)
    whole = {
        row["ad_account_id"]
        for row in complete.values("ad_account_id").annotate(days=Count("day", distinct=True))
        if row["days"] == period.days
    }
    mine: set[tuple[int, str]] = set(
        Campaign.everything.filter(objective=objective).values_list("ad_account_id", "meta_id")
    )
    sums: dict[int, dict[str, Decimal | None]] = {}
    rows: Any = CampaignDay.everything.filter(ad_account_id__in=whole & accounts.keys(), **within)
    named = rows.values("ad_account_id", "campaign_id").annotate(**{f"sum_{one}": Sum(one) for one in names})
    for row in named:
        if (row["ad_account_id"], row["campaign_id"]) not in mine:
            continue
        into = sums.setdefault(row["ad_account_id"], dict.fromkeys(names, Decimal(0)))
        for one in names:
            into[one] = (into[one] or Decimal(0)) + Decimal(row[f"sum_{one}"] or 0)
    said = {
        pk: outcomes.of_client(accounts[pk].client.result_action)
        for pk in sums
        if accounts[pk].client.result_action
    }
    results = {**said, **_optimised(sums.keys() - said.keys(), mine, period)}
    return tuple(
        Member(pk, accounts[pk].client_id, accounts[pk].currency, results[pk], sums[pk])
        for pk in sorted(sums)
    )


def _optimised(
    account_ids: Collection[int], campaigns: Collection[tuple[int, str]], period: Period
) -> dict[int, Result]:
    """Ad account id -> the one result of those ad sets of these (account, campaign) that had rows in the period."""
    if not account_ids:
        return {}
    days = months(period)
    words = {
        (account, meta_id): Goal(*goal)
        for account, meta_id, *goal in AdSet.everything.filter(ad_account_id__in=account_ids).values_list(
            "ad_account_id", "meta_id", "optimization_goal", "conversion_event", "campaign__objective"
        )
    }
    found: dict[int, set[Result]] = {pk: set() for pk in account_ids}
    ran = AdSetMonth.everything.filter(ad_account_id__in=account_ids, month__in=days)
    for account, campaign, adset, month, bits in ran.values_list(
        "ad_account_id", "campaign_id", "adset_id", "month", "days"
    ):
        if (account, campaign) in campaigns and bits & days[month]:
            found[account].add(outcomes.of_goal(words.get((account, adset))))
    return {pk: outcomes.together(every) for pk, every in found.items()}


def _get(key: str) -> Any:
    try:
        return cache.get(key)
    except redis.RedisError as error:
        log.warning("The portfolio could not be looked up (%s).", type(error).__name__)
        return None


def _set(key: str, value: Any) -> None:
    try:
        cache.set(key, value, _SECONDS)
    except redis.RedisError as error:
        log.warning("The portfolio was not kept (%s).", type(error).__name__)
