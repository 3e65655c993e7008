"""What a caller may be refused, and what to do about it.

    Refused ─┬─ Invalid        400  the request itself is wrong: mend it
             ├─ Forbidden      403  seen, but this role may not
             ├─ NotFound       404  absent, or not yours (the same answer for both)
             ├─ Conflict       409  true a moment ago: read again, decide again
             ├─ TooMany        429  wait `retry_after` seconds
             └─ Unavailable    503  something outside does not answer: try later

Every app's anticipated refusals derive from `Refused`; one handler turns them into problem details, one into
a page, one into a command's last line. Everything else crashes loudly.
"""

from __future__ import annotations

from collections.abc import Sequence


class Refused(Exception):
    """An anticipated refusal. `message` says what happened, `advice` what to do next; neither holds a secret."""

    status = 400
    code = "refused"
    advice = ""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        advice: str = "",
        errors: Sequence[tuple[str, str]] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.advice = advice or type(self).advice
        self.errors = tuple(errors)
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()


class Invalid(Refused):
    status = 400
    code = "invalid"


class Forbidden(Refused):
    status = 403
    code = "forbidden"
    advice = "Ask an owner or manager of this client for the role that may."


class NotFound(Refused):
    status = 404
    code = "not_found"


class Conflict(Refused):
    status = 409
    code = "conflict"
    advice = "Read it again and decide again."


class TooMany(Refused):
    status = 429
    code = "too_many"


class Unavailable(Refused):
    status = 503
    code = "unavailable"
    advice = "Try again in a moment."


class NoConnection(Conflict):
    """No live token for this: the account's automation rests until a person reconnects."""

    code = "reconnect_needed"
    advice = "Reconnect the Meta account on the connections page."
