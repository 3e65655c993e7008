"""Looking after one connection by hand."""

from __future__ import annotations

from datetime import datetime

import accounts.access as access
import accounts.audit as audit
import accounts.connections as connections
from accounts.claims import Established
from accounts.errors import NoConnection
from accounts.models import READABLE, MetaConnection
from accounts.tenancy import Principal


def discover(*, connection: MetaConnection, principal: Principal, now: datetime) -> Established:
    """Ask Meta again which ad accounts this connection sees. Nothing is switched on by itself."""
    access.require(principal, "connect", connection.client)
    if connection.state not in READABLE:
        raise NoConnection(
            "This connection cannot be asked now.", advice="Resume it if it is paused, else reconnect it."
        )
    made = connections.rediscover(connection=connection, now=now)
    audit.record(
        principal=principal,
        client=connection.client,
        verb="discover_ad_accounts",
        subject=str(connection.uuid),
        now=now,
        ad_accounts=len(made.ad_accounts),
        refused=list(made.foreign),
    )
    return made
