"""Statements that hold at any moment, checked on live data (reliability invariants N1, N3, N7, N15, N16, N27)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import campaigns.changes.ledger as ledger
import metaads.graph.money as money
from accounts.models import AdAccount
from campaigns.models import Attempt, Change, LedgerLine
from campaigns.states import IN_FLIGHT, TRANSITIONS, ChangeState, Field


@dataclass(frozen=True)
class Breach:
    """One thing that must not be; `invariant` is its number in the reliability reference."""

    invariant: str
    subject: str
    text: str


def check(*, ad_account: AdAccount, now: datetime) -> list[Breach]:
    """Every breach among the account's changes; empty when all is well."""
    changes = list(Change.objects.of(ad_account.client_id).filter(ad_account=ad_account))
    breaches = [Breach("N16", ad_account.act_id, text) for text in ledger.verify(ad_account_id=ad_account.pk)]
    breaches += _one_open(changes)
    attempts: dict[int, list[Attempt]] = {}
    for attempt in (
        Attempt.objects.of(ad_account.client_id).filter(change__ad_account=ad_account).order_by("n")
    ):
        attempts.setdefault(attempt.change_id, []).append(attempt)
    paths: dict[int, list[str]] = {}
    lines = (
        LedgerLine.objects.of(ad_account.client_id)
        .filter(ad_account=ad_account, kind="change")
        .order_by("seq")
    )
    for change_id, state in lines.values_list("change_id", "state"):
        paths.setdefault(change_id, []).append(state)
    for change in changes:
        breaches += _attempts(change, attempts.get(change.pk, []))
        breaches += _path(change, paths.get(change.pk, []))
        moving = ChangeState(change.state) in IN_FLIGHT - {ChangeState.HELD_AUTH}
        if moving and now - change.state_at > timedelta(hours=2):
            text = f"It has been {change.state} for more than two hours."
            breaches.append(Breach("N27", str(change.uuid), text))
    return breaches


def _one_open(changes: list[Change]) -> list[Breach]:
    counted = Counter(
        (change.object_id, change.field) for change in changes if ChangeState(change.state) in IN_FLIGHT
    )
    return [
        Breach("N7", object_id, f"{count} changes of {field} are on their way.")
        for (object_id, field), count in counted.items()
        if count > 1
    ]


def _attempts(change: Change, attempts: list[Attempt]) -> list[Breach]:
    uuid = str(change.uuid)
    found = []
    if [attempt.n for attempt in attempts] != list(range(1, change.attempts + 1)):
        found.append(Breach("N1", uuid, "The attempts are not numbered without a gap."))
    wire = change.target
    if Field(change.field).is_money and attempts:
        wire = str(money.to_minor(Decimal(change.target), change.currency))
    if any(attempt.value != wire for attempt in attempts):
        found.append(Breach("N3", uuid, "An attempt carried another value than the change's target."))
    if change.state == ChangeState.APPLIED and not attempts:
        found.append(Breach("N15", uuid, "It is applied, but nothing was ever sent."))
    return found


def _path(change: Change, states: list[str]) -> list[Breach]:
    if not states or states[0] != ChangeState.PROPOSED or states[-1] != change.state:
        return [Breach("N16", str(change.uuid), "Its lines in the ledger do not lead to its state.")]
    return [
        Breach("N16", str(change.uuid), f"{old} -> {new} is not in the table of states.")
        for old, new in pairwise(states)
        if ChangeState(new) not in TRANSITIONS[ChangeState(old)]
    ]
