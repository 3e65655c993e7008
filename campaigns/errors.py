"""What the campaigns floor refuses, beyond the common classes.

Refused ─┬─ Conflict ─┬─ Moved         the value is another one by now: look, then decide again
         │            ├─ WrongDigest   what was approved is not what stands there
         │            └─ Closed        the change is past the point where this can be done
         └─ Invalid ─── NotAllowedBy   a guard says no; `errors` names each reason
"""

from __future__ import annotations

from accounts.errors import Conflict, Invalid


class Moved(Conflict):
    code = "moved"


class WrongDigest(Conflict):
    code = "wrong_digest"
    advice = "The change is not the one that you looked at. Read it again, then approve with its digest."


class Closed(Conflict):
    code = "change_closed"
    advice = "Read the change again; file a new one if it is still wanted."


class NotAllowedBy(Invalid):
    code = "refused_by_guard"


class IllegalTransition(AssertionError):
    """A bug: somebody asked for a step that the table of states does not have."""
