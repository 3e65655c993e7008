"""What strategies tell people: an alert for each object that a rule with *notify* holds for, until it holds no more.

fired      opens the alert, or renews the open one: people are told once
not met    closes it
unknown    leaves it as it is: nobody knows whether the reason has gone
switched off, edited, or the object gone from its scope: closes it
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import accounts.alerts as alerts
from strategies.engine.types import NOTICES, Intent, Judgement, Snapshot, Verdict
from strategies.engine.wording import because
from strategies.models import Strategy, StrategyStatus

PREFIX: Final = "strategy"
_UNDECIDED: Final = frozenset({Verdict.UNKNOWN, Verdict.HELD})


def key(strategy: Strategy, object_id: str) -> str:
    return f"{_of(strategy)}{object_id}"


def _of(strategy: Strategy) -> str:
    return f"{PREFIX}:{strategy.uuid}:"


def tell(*, strategy: Strategy, judgements: Iterable[Judgement], snapshot: Snapshot, now: datetime) -> int:
    """Open and close the strategy's alerts as the judgements say; how many are open then."""
    known = alerts.open_keys(prefix=_of(strategy), client=strategy.client)
    active = strategy.status == StrategyStatus.ACTIVE
    wanted: set[str] = set()
    for judgement in judgements:
        mine = key(strategy, judgement.subject.object_id)
        for intent in judgement.intents if active else ():
            if intent.action in NOTICES:
                _open(strategy, judgement, intent, snapshot, now)
                wanted.add(mine)
        if active and mine in known and judgement.verdict in _UNDECIDED:
            wanted.add(mine)
    for one in known - wanted:
        alerts.close(client=strategy.client, key=one, now=now)
    return len(wanted)


def withdraw(*, strategy: Strategy, now: datetime) -> None:
    """Close all of them: the strategy does not look any more, or looks for something else."""
    for one in alerts.open_keys(prefix=_of(strategy), client=strategy.client):
        alerts.close(client=strategy.client, key=one, now=now)


def _open(
    strategy: Strategy, judgement: Judgement, intent: Intent, snapshot: Snapshot, now: datetime
) -> None:
    case = next(case for case in judgement.cases if case.name == intent.case)
    why = because(case.trace, snapshot)
    alerts.open_(
        client=strategy.client,
        key=key(strategy, intent.object_id),
        title=f"{intent.object_name or intent.object_id}: {intent.text or intent.case}",
        advice=f"{strategy.name}: {why}.",
        severity=intent.severity,
        now=now,
    )
