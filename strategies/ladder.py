"""How far a strategy may go by itself, and what it has to show before it goes further.

    shadow    it decides and its decisions are kept; nothing is proposed
    approval  what it decides is proposed, and a person approves each change

A person may take a strategy down at any time, and up only when the card of its stage is full. Acting without a person
is no stage yet: no policy of approvals stands behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from strategies.models import Decision, Stage, Strategy

#: From the most careful on.
ORDER: Final = (Stage.SHADOW, Stage.APPROVAL)
#: What a strategy shows in the shadow before it may propose.
LEAST_AGE: Final = timedelta(days=3)
LEAST_FIRED: Final = 3
#: Figures of an evaluation older than this are no ground to go further.
FRESH: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Criterion:
    """`words` say what is asked for, and what there is."""

    words: str
    met: bool


@dataclass(frozen=True)
class Card:
    """A strategy's stage since when, the one after it (None: it is the last), and what that asks for."""

    stage: Stage
    since: datetime
    next: Stage | None
    criteria: tuple[Criterion, ...]

    @property
    def full(self) -> bool:
        return self.next is not None and all(one.met for one in self.criteria)

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(one.words for one in self.criteria if not one.met)


def card(strategy: Strategy, *, now: datetime) -> Card:
    """What the strategy has shown on its stage, with the rules that it has now."""
    stage = Stage(strategy.stage)
    since = strategy.stage_since or strategy.created_at
    place = ORDER.index(stage) + 1
    if place == len(ORDER):
        return Card(stage, since, None, ())
    rows = Decision.objects.of(strategy.client_id).filter(
        strategy=strategy, strategy_version=strategy.version, last_at__gte=since
    )
    fired = rows.filter(verdict="fired").count()
    doubtful = rows.filter(current=True).exclude(trust="ready").count()
    days = (now - since) // timedelta(days=1)
    last = strategy.last_evaluated_at
    return Card(
        stage,
        since,
        ORDER[place],
        (
            Criterion(f"{LEAST_AGE.days} days on this stage ({days} so far)", now - since >= LEAST_AGE),
            Criterion(
                f"{LEAST_FIRED} decisions to act, by the rules of now ({fired} so far)", fired >= LEAST_FIRED
            ),
            Criterion("evaluated within the last hour", last is not None and last >= now - FRESH),
            Criterion(f"all its figures fresh and whole (of {doubtful} objects they are not)", doubtful == 0),
        ),
    )
