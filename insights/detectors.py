"""Alerts about numbers, opened and closed from what is stored; safe to run twice.

odd_numbers   days that cannot be taken at their word (`store.oddities`) -> one alert per ad account
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import Final

import accounts.alerts as alerts
from accounts.models import AdAccount, Client
from insights.models import Odd, Slice

#: As far back as Meta restates; what is older nobody acts on.
LOOK_BACK: Final = timedelta(days=28)
_PREFIX: Final = "odd-numbers:"


def odd_numbers(*, now: datetime) -> int:
    """Tell people of the accounts whose recent days are odd; how many accounts those are."""
    odd: dict[int, dict[date, str]] = defaultdict(dict)
    rows = Slice.everything.filter(kind="day", level="ad", breakdown="", day__gte=(now - LOOK_BACK).date())
    for account_id, day, word in rows.exclude(odd="").values_list("ad_account_id", "day", "odd"):
        odd[account_id][day] = word
    on = AdAccount.everything.filter(pk__in=odd, enabled_at__isnull=False, archived_at__isnull=True)
    known = {(client_id, key) for client_id, key in alerts.standing() if key.startswith(_PREFIX)}
    for account in on.select_related("client"):
        key = f"{_PREFIX}{account.act_id}"
        known.discard((account.client_id, key))
        _tell(account, key, odd[account.pk], now)
    clients = Client.objects.in_bulk([client_id for client_id, _ in known if client_id is not None])
    for client_id, key in known:
        alerts.close(client=clients[client_id] if client_id is not None else None, key=key, now=now)
    return len(on)


def _tell(account: AdAccount, key: str, days: dict[date, str], now: datetime) -> None:
    words = [Odd(word).label for word in Odd if word in days.values()]
    newest = max(days)
    alerts.open_(
        client=account.client,
        key=key,
        title=f"The numbers of {account.name} cannot be taken at their word",
        advice=f"Up to {newest:%d %b %Y}: {'; '.join(words)}. Rules change nothing on such days. "
        "Compare them with Ads Manager; a broken pixel or a credit of Meta's are the usual reasons.",
        severity="warning",
        stage=",".join(sorted(set(days.values())))[:20],
        now=now,
    )
