"""Who wins when several intents meet on one object: stop > pause > cut > raise > rename > advice, and one per field.

The outcome does not depend on the order in which strategies or cases were evaluated: ties are broken by
strategy id and case name. A pause silences everything else about its object, since it will not run; what people are
told of it does not compete, and is not handed in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from strategies.engine.types import Action, Intent

#: lower = stronger. Stop (the kill switch) stands above strategies and is not an action of theirs.
STRENGTH: Mapping[Action, int] = {
    Action.PAUSE: 1,
    Action.PAUSE_UNTIL: 1,
    Action.LOWER_BUDGET: 2,
    Action.LOWER_BID: 2,
    Action.SET_BUDGET: 3,
    Action.RAISE_BUDGET: 3,
    Action.REBALANCE: 3,
    Action.SET_BID: 3,
    Action.RAISE_BID: 3,
    Action.SET_END: 3,
    Action.START: 3,
    Action.RENAME: 4,
    Action.ADJUST_BIDDING: 5,
    Action.EXPAND_AUDIENCE: 5,
    Action.BID_STRATEGY: 5,
    Action.DUPLICATE_PAUSED: 5,
}
_SILENCES = frozenset({Action.PAUSE, Action.PAUSE_UNTIL})


@dataclass(frozen=True)
class Claim:
    """An intent with the strategy that has it; `open` says that it is already offered to a person."""

    strategy: str
    intent: Intent
    open: bool = False


@dataclass(frozen=True)
class Settled:
    winners: tuple[Claim, ...]
    losers: tuple[tuple[Claim, Claim], ...]  # (who lost, to whom)


def settle(claims: Iterable[Claim]) -> Settled:
    """At most one claim per (object, field), and nothing beside a pause."""
    by_object: dict[tuple[str, str], list[Claim]] = defaultdict(list)
    for claim in claims:
        by_object[claim.intent.level, claim.intent.object_id].append(claim)
    winners: list[Claim] = []
    losers: list[tuple[Claim, Claim]] = []
    for key in sorted(by_object):
        ranked = sorted(by_object[key], key=_rank)
        chosen: dict[str, Claim] = {}
        for claim in ranked:
            field = claim.intent.field
            stronger = ranked[0] if ranked[0].intent.action in _SILENCES else chosen.get(field)
            if stronger is None or stronger is claim:
                chosen[field] = claim
                winners.append(claim)
            else:
                losers.append((claim, stronger))
    return Settled(tuple(winners), tuple(losers))


def _rank(claim: Claim) -> tuple[int, bool, str, str, str]:
    # Of equals the one that a person already sees stays, so that no proposal is swapped under their eyes.
    intent = claim.intent
    return STRENGTH[intent.action], not claim.open, claim.strategy, intent.action.value, intent.case


def outranked(winner: Claim, *, me: str) -> str:
    """Why an intent of the strategy `me` is not offered beside the winner."""
    who = "this strategy" if winner.strategy == me else "another strategy"
    verb = winner.intent.action.value.replace("_", " ")
    return f"A stronger wish stands against it: {who} asks to {verb}."
