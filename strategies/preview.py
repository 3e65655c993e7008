"""What rules would do now, before they are saved: whom they would ask about, who is close, who is held back and why.

A dry run of the cycle: the same figures, judge and blocks as a live one, and nothing is written.
"""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import strategies.cycle as cycle
import strategies.documents as documents
from accounts.models import AdAccount
from strategies.engine.closeness import distance
from strategies.engine.flip import Flip, flips
from strategies.engine.judge import prepare
from strategies.engine.rules import Document
from strategies.engine.types import Judgement, Snapshot, Verdict
from strategies.engine.wording import sentence
from strategies.models import Strategy, StrategyType

#: Within half of its threshold an object is worth naming.
_CLOSE = Decimal("0.5")
MOST = 25


@dataclass(frozen=True)
class Would:
    """What would be asked about one object, in one sentence for each wish."""

    judgement: Judgement
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Near:
    """An object that was not met, with the smallest change that would turn it."""

    judgement: Judgement
    flip: Flip


@dataclass(frozen=True)
class Preview:
    """Each list holds at most `MOST`; `counts` has all, by verdict. `left_out`: excluded objects by their reason."""

    document: Document
    snapshot: Snapshot
    would: tuple[Would, ...]
    held: tuple[Judgement, ...]
    near: tuple[Near, ...]
    unknown: tuple[Judgement, ...]
    left_out: tuple[tuple[str, int], ...]
    counts: dict[str, int]


def preview(*, ad_account: AdAccount, data: Any, now: datetime, strategy: Strategy | None = None) -> Preview:
    """The rules on the account's figures of now. With a saved `strategy` they are tried in its place: its cool-downs
    and open proposals count. Raises `BadRules`."""
    document = documents.read(data)
    trial = _trial(ad_account, document, strategy, now)
    outcome = cycle.run(strategy=trial, now=now, dry_run=True)
    by: dict[Verdict, list[Judgement]] = {verdict: [] for verdict in Verdict}
    for judgement in outcome.judgements:
        if judgement.reason_code != "not_budget_owner":
            by[judgement.verdict].append(judgement)
    left_out = Counter(one.reason for one in by[Verdict.EXCLUDED])
    return Preview(
        document=document,
        snapshot=outcome.snapshot,
        would=tuple(_would(one, outcome.snapshot) for one in by[Verdict.FIRED][:MOST]),
        held=tuple(by[Verdict.HELD][:MOST]),
        near=_near(document, by[Verdict.NOT_MET], outcome.snapshot, now),
        unknown=tuple(by[Verdict.UNKNOWN][:MOST]),
        left_out=tuple(left_out.most_common(MOST)),
        counts={verdict.value: len(some) for verdict, some in by.items()},
    )


def _trial(ad_account: AdAccount, document: Document, strategy: Strategy | None, now: datetime) -> Strategy:
    """A strategy that is never saved."""
    if strategy is None:
        trial = Strategy(client=ad_account.client, ad_account=ad_account, created_at=now, updated_at=now)
    else:
        trial = copy.copy(strategy)
    trial.type, trial.rules, trial.actions = StrategyType.CUSTOM, {}, {}
    trial.document = documents.stored(document)
    return trial


def _would(judgement: Judgement, snapshot: Snapshot) -> Would:
    cases = {case.name: case for case in judgement.cases}
    return Would(
        judgement,
        tuple(sentence(one, cases[one.case], judgement.subject, snapshot) for one in judgement.intents),
    )


def _near(
    document: Document, judgements: list[Judgement], snapshot: Snapshot, now: datetime
) -> tuple[Near, ...]:
    apart = []
    for judgement in judgements:
        known = [one for case in judgement.cases if (one := distance(case.trace)) is not None]
        if known and min(known) <= _CLOSE:
            apart.append((min(known), judgement.subject.object_id, judgement))
    prepared = prepare(document, snapshot, now=now)
    found = []
    for _, _, judgement in sorted(apart, key=lambda one: one[:2])[:MOST]:
        turning = flips(document, judgement.subject, prepared, now=now)
        if turning:
            found.append(Near(judgement, turning[0]))
    return tuple(found)
