"""A log-in at Meta that was begun in this browser and did not come back: its session knows, so a page can say so.

begin    off to the dialog                      noted, in place of an older one
end      Meta has answered, whatever it said    forgotten
of       within the hour: what was begun, for whom, and whether only the confirmation is missing
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from accounts.models import Client, MetaConnection, PendingGrant
from accounts.tenancy import Principal

_KEY: Final = "connecting"
#: Meta's dialog and the state are good for ten minutes; that somebody gave up is worth saying for longer.
SAID_FOR: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Unfinished:
    """`grant` is there when Meta has answered and only the confirmation is missing; else the dialog never came back.
    `renews` is the connection that was to be renewed."""

    client: Client
    at: datetime
    renews: MetaConnection | None = None
    grant: PendingGrant | None = None


def begin(session: MutableMapping[str, Any], state: dict[str, Any]) -> None:
    session[_KEY] = {name: state.get(name) for name in ("client", "renews", "at")}


def end(session: MutableMapping[str, Any]) -> None:
    session.pop(_KEY, None)


def of(
    session: Any, *, principal: Principal, now: datetime, client: Client | None = None
) -> Unfinished | None:
    """What this person began in this browser and did not finish; of one client on demand."""
    waiting = (
        PendingGrant.objects.for_(principal)
        .select_related("client", "renews")
        .defer("token", "renews__token")
        .filter(
            user_id=principal.user_id or 0,
            session_key=session.session_key or "-",
            used_at__isnull=True,
            expires_at__gt=now,
        )
        .order_by("-pk")
    )
    if client is not None:
        waiting = waiting.filter(client=client)
    grant = waiting.first()
    if grant is not None:
        return Unfinished(grant.client, grant.expires_at, grant.renews, grant)
    noted = session.get(_KEY)
    if not isinstance(noted, dict) or not isinstance(noted.get("at"), int | float):
        return None
    at = datetime.fromtimestamp(noted["at"], tz=UTC)
    if not timedelta() <= now - at < SAID_FOR or (client is not None and noted.get("client") != client.pk):
        return None
    known = Client.objects.filter(pk=noted.get("client") or 0, archived_at__isnull=True).first()
    if known is None or not principal.roles_at(known.pk):
        return None
    renews = MetaConnection.objects.of(known).defer("token").filter(pk=noted.get("renews") or 0).first()
    return Unfinished(known, at, renews)
