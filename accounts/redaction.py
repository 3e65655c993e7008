"""What must never be read in a log: one pattern, one function, one logging filter.

It knows no models, so that logging can be set up before any app is.
"""

from __future__ import annotations

import logging
import re

_SECRET = re.compile(
    # name = value, in a query string, a header, JSON or a repr
    r"(?i)((?:access_token|appsecret_proof|client_secret|fb_exchange_token|input_token|signed_request"
    r"|password|authorization|x-api-key|x-session-token|set-cookie|cookie)[\"']?\s*[=:]\s*[\"']?(?:bearer\s+)?)"
    r"([^\s&\"',;}]+)"
    # `code` and `state` are secrets only in a query string; as words of an error they help
    r"|((?<=[?&])(?:code|state)=)[^\s&\"']+"
    r"|\bEAA[A-Za-z0-9_\-]{8,}"
    r"|(\bBearer\s+)[A-Za-z0-9._\-|]{8,}"
    r"|\bmak_[A-Za-z0-9]{4,}_[A-Za-z0-9_\-]{16,}"
    # a one-time link, in a path or in the query that leads back to it
    r"|((?:/|%2F)(?:invitations|connections/connect|connections%2Fconnect)(?:/|%2F))[A-Za-z0-9_\-:.]{16,}"
    # the link of a forgotten password
    r"|((?:/|%2F)password(?:/|%2F)reset(?:/|%2F)key(?:/|%2F))[A-Za-z0-9_\-]+"
)


def redact(text: str) -> str:
    """`text` with every value that looks like a credential replaced by `[redacted]`."""
    return _SECRET.sub(lambda match: f"{next(filter(None, match.group(1, 3, 4, 5, 6)), '')}[redacted]", text)


class RedactSecrets(logging.Filter):
    """Rewrites each record's finished text; tracebacks are formatted here so that they are covered too."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
        except Exception:  # a record whose arguments do not fit its text is still worth a line
            text = str(record.msg)
        record.msg, record.args = redact(text), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        return True
