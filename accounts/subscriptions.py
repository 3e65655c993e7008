"""That Meta tells us what changes: our app's subscription to each ad account that is switched on.

    tend   switched on, able to write, not looked at today -> is our app among the account's? -> no: subscribe

Without it Meta sends no `ad_account` notices, and changes made outside are found only by the regular reads. A read-only
connection may not subscribe; so be it. Nothing is asked for while webhooks are not set up (no verify token).
"""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

import accounts.claims as claims
import accounts.leases as leases
import accounts.tokens as tokens
import metaads.gateway as gateway
from accounts.errors import Refused
from accounts.models import AdAccount
from metaads.clock import monotonic
from metaads.graph import subscriptions
from metaads.graph.errors import GraphError

log = logging.getLogger(__name__)

LOOK_EVERY: Final = timedelta(hours=24)
#: After a refusal; Meta or the connection may need that long.
AGAIN_AFTER: Final = timedelta(hours=1)
_AT_ONCE: Final = 50
_ROUND_SECONDS: Final = 20.0


def tend(*, now: datetime) -> int:
    """Look at accounts that were not looked at for a day, for a while and fifty at most; how many were subscribed."""
    if not settings.META["verify_token"] or not settings.META["app_id"].isdigit():
        return 0
    looked = leases.running(prefix=_lease(""), now=now)
    rows = AdAccount.everything.filter(
        claims.readable(), enabled_at__isnull=False, archived_at__isnull=True
    ).order_by("pk")
    due = [row for row in rows if _lease(str(row.pk)) not in looked][:_AT_ONCE]
    until = monotonic() + _ROUND_SECONDS
    return sum(_look(row, now) for row in due if monotonic() < until)


def _look(ad_account: AdAccount, now: datetime) -> bool:
    name, holder = _lease(str(ad_account.pk)), uuid.uuid4().hex
    if leases.take(name=name, holder=holder, seconds=AGAIN_AFTER.total_seconds(), now=now) is None:
        return False
    try:
        new = _subscribe(ad_account)
    except (GraphError, Refused) as no:
        log.info("no notices about %s yet: %s", ad_account.act_id, no)
        return False
    leases.take(name=name, holder=holder, seconds=LOOK_EVERY.total_seconds(), now=now)
    return new


def _subscribe(ad_account: AdAccount) -> bool:
    token, transport = tokens.write_token(ad_account), gateway.transport()
    if settings.META["app_id"] in subscriptions.account_apps(transport, token, ad_account.act_id):
        return False
    subscriptions.subscribe_account(transport, token, ad_account.act_id)
    return True


def _lease(pk: str) -> str:
    return f"notices:{pk}"
