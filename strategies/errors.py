"""What this floor refuses beyond the common tree of `accounts.errors`."""

from __future__ import annotations

from accounts.errors import Conflict, Invalid


class BadRules(Invalid):
    """Thresholds, actions or a tree that cannot be used; `errors` holds (path, what to write instead)."""

    code = "bad_rules"
    advice = "Mend the named fields and send it again."


class ProposalClosed(Conflict):
    """The proposal is not open any more: somebody decided, it expired, or the figures moved on."""

    code = "proposal_closed"
    advice = "Read the proposal again; a newer one may be waiting."


class NotTaken(Conflict):
    """The change path's guards refused what a strategy asked for; it asks again later."""

    code = "not_taken"
    advice = "It is asked for again when the reason may have gone."


class DigestMismatch(Conflict):
    """What was approved is not what is offered now."""

    code = "digest_mismatch"
    advice = "Read the proposal again and approve what it says now."
