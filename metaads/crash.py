"""Places at which a process may die, by name, so that a proof can let it die there.

A point does nothing: no setting, variable or command reaches this module. A test's child process sets `watching` in its
own code, which production refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from django.conf import settings

#: Name -> what is committed, and what is not, when the process dies there.
POINTS: Final = {
    "ledger.line": "a line of the ledger is written, its chain's head is not; nothing is committed",
    "send.claimed": "the lease is taken",
    "send.preparing": "PREPARING is committed",
    "send.looked": "a read before the write is committed",
    "send.agreed": "two reads agree; nothing more is committed",
    "send.ready": "the token is chosen, the account is not locked yet",
    "send.allowed": "in the SENDING transaction, before the attempt's row",
    "send.attempt": "in the SENDING transaction, after the attempt's row",
    "send.uncommitted": "at the end of the SENDING transaction",
    "send.committed": "the attempt is committed, the request has not left",
    "send.guarded": "the send guard has been passed: before connecting, and again before the first byte",
    "send.answered": "Meta has answered, nothing of it is written",
    "send.noted": "the answer is on the attempt, nothing is committed",
    "send.unrecorded": "the answer and the new state are written, nothing is committed",
    "send.recorded": "the answer is committed",
    "send.nothing": "nothing has to be sent: the stored value is written, nothing is committed",
    "send.given_up": "PREPARING was given up, nothing is committed",
    "settle.claimed": "the lease of the settler is taken",
    "settle.abandoned": "SENDING became UNKNOWN, nothing is committed",
    "settle.verifying": "VERIFYING is committed",
    "settle.looked": "a read after the write is committed",
    "settle.traced": "Meta's log of activities was read",
    "settle.stored": "the verdict's value is stored, nothing is committed",
    "settle.judged": "the verdict is written, nothing is committed",
    "settle.ended": "the verdict is committed",
    "switch.superseded": "SUPERSEDED is written, the object is not held yet; nothing is committed",
    "switch.needs_human": "NEEDS_HUMAN is written, nobody is told yet; nothing is committed",
    "switch.pulled": "the switch is committed, its lines in the ledger are not",
}

_hook: Callable[[str], None] | None = None


def point(name: str) -> None:
    """Pass a named place."""
    if _hook is not None:
        _hook(name)


@contextmanager
def watching(hook: Callable[[str], None]) -> Iterator[None]:
    """Call `hook` at every point of the block (process-wide). Raises RuntimeError in production."""
    global _hook
    if settings.PRODUCTION:
        raise RuntimeError("Nothing is made to die in production.")
    before, _hook = _hook, hook
    try:
        yield
    finally:
        _hook = before
