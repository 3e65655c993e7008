"""The audit trail of everything but changes at Meta, and the filter that keeps secrets out of logs."""

from __future__ import annotations

import logging
import re
from datetime import datetime
from typing import Any

from accounts.models import AuditLine, Client
from accounts.tenancy import Principal

_SECRET = re.compile(
    r"(?i)((?:access_token|appsecret_proof|client_secret|fb_exchange_token|input_token|signed_request|code|state"
    r"|password|authorization|x-api-key)[\"']?\s*[=:]\s*[\"']?(?:bearer\s+)?)([^\s&\"',;}]+)"
    r"|(\bEAA[A-Za-z0-9]{8,})|(\bBearer\s+)([A-Za-z0-9._\-|]{8,})"
)


def redact(text: str) -> str:
    """`text` with every value that looks like a credential replaced by `[redacted]`."""
    return _SECRET.sub(lambda match: f"{match[1] or match[4] or ''}[redacted]", text)


class RedactSecrets(logging.Filter):
    """Rewrites each record's finished text; tracebacks are formatted here so that they are covered too."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
        except Exception:
            text = str(record.msg)
        record.msg, record.args = redact(text), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        return True


def record(
    *, principal: Principal, client: Client | None, verb: str, subject: str, now: datetime, **detail: Any
) -> AuditLine:
    """Append one line. `detail` holds plain JSON values, never a secret."""
    return AuditLine.everything.create(
        client=client,
        at=now,
        actor_id=principal.user_id,
        actor_kind=principal.kind,
        verb=verb,
        subject=subject[:120],
        detail=detail,
    )
