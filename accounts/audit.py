"""The audit trail of everything but changes at Meta (those have the ledger)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from accounts.models import AuditLine, Client
from accounts.tenancy import Principal


def record(
    *, principal: Principal, client: Client | None, verb: str, subject: str, now: datetime, **detail: Any
) -> AuditLine:
    """Append one line. `detail` holds plain JSON values, never a secret."""
    line: AuditLine = AuditLine.objects.of(client).create(
        client=client,
        at=now,
        actor_id=principal.user_id,
        actor_kind=principal.kind,
        verb=verb,
        subject=subject[:120],
        detail=detail,
    )
    return line
