"""One evaluation of one strategy: look, judge, remember, offer.

    snapshots.build ─> engine.judge each object ─> who wins where intents meet ─> what forbids to offer now
        ─> decisions.record (fired or not, and why) ─> proposals.offer (files the change) | refresh | withdraw
        ─> interest.report: how soon the tick should look again

`weigh` does everything up to the arrow before `record` and writes nothing; a dry run ends there, so a dry and a
live run of the same figures decide the same. A lease keeps two workers from evaluating one strategy at once; the
loser skips, since the winner's answer is his as well.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

import accounts.leases as leases
import accounts.tokens as tokens
import insights.interest as interest
import metaads.strikes as strikes
import strategies.decisions as decisions
import strategies.documents as documents
import strategies.notices as notices
import strategies.proposals as proposals
import strategies.snapshots as snapshots
from accounts.errors import Refused
from campaigns.states import Evidence
from insights.analytics import evidence as evidence_of
from insights.schedule import ARMED, CLOSE
from strategies.engine.closeness import near
from strategies.engine.conflicts import Claim, outranked, settle
from strategies.engine.judge import PAUSE_IS_OVER, hold, judge, prepare
from strategies.engine.resting import weighed
from strategies.engine.types import NOTICES, Intent, Judgement, Snapshot, Trust, Verdict
from strategies.models import Decision, Proposal, ProposalState, Stage, Strategy, StrategyStatus

#: A strategy is evaluated at least this often, also when no new figures arrive.
EVERY = timedelta(minutes=15)
_LEASE_SECONDS = 120.0


@dataclass(frozen=True)
class Outcome:
    """What an evaluation came to. In a dry run `decisions` and `proposals` are empty and nothing was written."""

    snapshot: Snapshot
    judgements: tuple[Judgement, ...]
    decisions: tuple[Decision, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    skipped: str = ""

    @property
    def intents(self) -> tuple[Intent, ...]:
        return tuple(intent for judgement in self.judgements for intent in judgement.intents)


def run(*, strategy: Strategy, now: datetime, dry_run: bool = False) -> Outcome:
    """Evaluate the strategy on the figures of now. Never goes beyond its stage: a change waits for a person."""
    snapshot = look(strategy=strategy, now=now)
    if dry_run:
        return weigh(strategy=strategy, snapshot=snapshot, now=now)[0]
    name, holder = f"strategy:{strategy.pk}", uuid.uuid4().hex
    if leases.take(name=name, holder=holder, seconds=_LEASE_SECONDS, now=now) is None:
        return Outcome(snapshot, (), skipped="Another worker is evaluating this strategy.")
    try:
        with strikes.trial(name, now=now, but=(Refused,)) as may:
            if may:
                return _run(strategy, snapshot, now)
        return Outcome(snapshot, (), skipped="It broke its worker three times and is put aside.")
    finally:
        leases.release(name=name, holder=holder, now=now)


def look(*, strategy: Strategy, now: datetime) -> Snapshot:
    """What the strategy's rules ask to be seen."""
    saved = strategy.pk is not None
    return snapshots.build(
        ad_account=strategy.ad_account,
        now=now,
        document=documents.of(strategy),
        strategy_ref=str(strategy.uuid) if saved else "",
        pauses=proposals.pauses(strategy=strategy) if saved else {},
    )


def weigh(*, strategy: Strategy, snapshot: Snapshot, now: datetime) -> tuple[Outcome, proposals.Book]:
    """Judge and settle, without writing. A strategy that is not saved yet (a draft) has no earlier proposals."""
    document = documents.of(strategy)
    saved = strategy.pk is not None
    book = proposals.book(strategy=strategy, now=now) if saved else proposals.Book({}, {})
    snapshot = prepare(document, snapshot, now=now)
    judged = [judge(document, subject, snapshot, now=now) for subject in snapshot.subjects]
    lost = _lost(strategy, judged, book)
    frozen = tokens.why_frozen(strategy.ad_account)
    weighed = tuple(_weighed(strategy, judgement, snapshot, book, lost, frozen, now) for judgement in judged)
    return Outcome(snapshot, weighed), book


def _lost(strategy: Strategy, judged: Sequence[Judgement], book: proposals.Book) -> Mapping[Intent, Claim]:
    """Intents that lose against a stronger one: of this strategy, or open by another one on the same object."""
    me = str(strategy.uuid)
    claims = [
        Claim(me, intent, open=_key(intent) in book.open)
        for judgement in judged
        for intent in judgement.intents
        if intent.action not in NOTICES
    ]
    objects = {claim.intent.object_id for claim in claims}
    others = (
        Proposal.objects.of(strategy.client_id)
        .filter(ad_account_id=strategy.ad_account_id, state=ProposalState.OPEN, object_id__in=objects)
        .select_related("strategy")
    )
    if strategy.pk is not None:
        others = others.exclude(strategy=strategy)
    claims += [Claim(str(row.strategy.uuid), row.intent, open=True) for row in others]
    return {loser.intent: winner for loser, winner in settle(claims).losers if loser.strategy == me}


def _key(intent: Intent) -> tuple[str, str]:
    return intent.object_id, intent.field


def _weighed(
    strategy: Strategy,
    judgement: Judgement,
    snapshot: Snapshot,
    book: proposals.Book,
    lost: Mapping[Intent, Claim],
    frozen: str,
    now: datetime,
) -> Judgement:
    """The judgement with what forbids to offer its intents now; held when nothing is left of them."""

    def why(intent: Intent) -> tuple[str, str] | None:
        if intent in lost:
            return "outranked", outranked(lost[intent], me=str(strategy.uuid))
        if _key(intent) in book.open:
            return None
        if frozen:
            return "connection", frozen
        return proposals.hindrance(strategy=strategy, intent=intent, snapshot=snapshot, book=book, now=now)

    return weighed(judgement, why)


def _run(strategy: Strategy, snapshot: Snapshot, now: datetime) -> Outcome:
    outcome, book = weigh(strategy=strategy, snapshot=snapshot, now=now)
    active = strategy.status == StrategyStatus.ACTIVE
    if not active:
        outcome = replace(outcome, judgements=_pauses_only(outcome, book))
    rows = decisions.record(
        strategy=strategy,
        judgements=outcome.judgements,
        snapshot=snapshot,
        now=now,
    )
    # In the shadow it only ends what it paused on a stage before.
    told = (
        outcome
        if strategy.stage != Stage.SHADOW
        else replace(outcome, judgements=_pauses_only(outcome, book))
    )
    offered = _offer(strategy, told, book, rows, now)
    if active:
        notices.tell(strategy=strategy, judgements=outcome.judgements, snapshot=outcome.snapshot, now=now)
    _withdraw(outcome, book, now)
    summary = _summary(outcome, offered)
    Strategy.objects.of(strategy.client_id).filter(pk=strategy.pk).update(
        last_evaluated_at=now, last_data_version=snapshot.data_version, last_outcome=summary[:300]
    )
    _wish(strategy, outcome, now)
    return replace(outcome, decisions=tuple(rows.values()), proposals=tuple(offered))


def _pauses_only(outcome: Outcome, book: proposals.Book) -> tuple[Judgement, ...]:
    """What a strategy that is switched off still says: that a pause which it made for a time is over. It has promised
    that end; everything else is held."""
    offered = {object_id for object_id, _ in book.open}
    why = ("switched_off", "The strategy is switched off; it only ends the pauses that it made for a time.")
    return tuple(
        hold(
            judgement,
            [
                *judgement.blocks,
                *((intent.field, *why) for intent in judgement.intents if intent.case != PAUSE_IS_OVER.name),
            ],
        )
        for judgement in outcome.judgements
        if judgement.subject.pause_ends is not None or judgement.subject.object_id in offered
    )


def _wish(strategy: Strategy, outcome: Outcome, now: datetime) -> None:
    """Tell the tick how much this strategy waits for new figures; one that is not armed waits for none."""
    if strategy.status == StrategyStatus.ACTIVE:
        interest.report(
            ad_account_id=strategy.ad_account_id,
            reason=f"strategy:{strategy.pk}",
            weight=CLOSE if any(near(judgement) for judgement in outcome.judgements) else ARMED,
            until=now + 2 * EVERY,
        )


def _offer(
    strategy: Strategy,
    outcome: Outcome,
    book: proposals.Book,
    rows: Mapping[str, Decision],
    now: datetime,
) -> list[Proposal]:
    snapshot = outcome.snapshot
    evidence: Evidence | None = None
    offered: list[Proposal] = []
    for judgement in outcome.judgements:
        cases = {case.name: case for case in judgement.cases}
        for intent in judgement.intents:
            if intent.action in NOTICES:
                continue
            evidence = evidence or _evidence(strategy, now)
            try:
                proposal = proposals.offer(
                    strategy=strategy,
                    intent=intent,
                    case=cases[intent.case],
                    subject=judgement.subject,
                    snapshot=snapshot,
                    decision=rows[intent.object_id],
                    evidence=evidence,
                    open_=book.open.get(_key(intent)),
                    now=now,
                )
            except Refused as refused:
                # The change path does not take it (a hold, a moved value): the record says so, the rest goes on.
                decisions.note(rows[intent.object_id], code=refused.code, reason=str(refused))
                continue
            if proposal is not None:
                offered.append(proposal)
    return offered


def _evidence(strategy: Strategy, now: datetime) -> Evidence:
    parts = evidence_of(strategy.ad_account, now=now)
    return Evidence(
        data_version=parts.data_version,
        as_of=parts.as_of or now,
        checksum=parts.checksum,
        valid_until=now + timedelta(hours=strategy.client.approval_hours),
    )


def _withdraw(outcome: Outcome, book: proposals.Book, now: datetime) -> None:
    """Close open proposals whose reason has gone. While figures are doubtful nothing is concluded from them."""
    by_object: dict[str, Judgement] = {
        judgement.subject.object_id: judgement for judgement in outcome.judgements
    }
    wanted: dict[str, set[str]] = defaultdict(set)
    for intent in outcome.intents:
        wanted[intent.object_id].add(intent.field)
    for (object_id, field), row in book.open.items():
        judgement = by_object.get(object_id)
        if judgement is None:
            proposals.withdraw(proposal=row, reason="The object is gone.", now=now)
        elif field not in wanted[object_id]:
            doubtful = outcome.snapshot.trust is not Trust.READY
            if doubtful and judgement.verdict in (Verdict.UNKNOWN, Verdict.HELD):
                continue
            reason = judgement.reason or "Its condition is not met any more."
            proposals.withdraw(proposal=row, reason=reason, now=now)


def _summary(outcome: Outcome, offered: Sequence[Proposal]) -> str:
    counts: dict[str, int] = defaultdict(int)
    for judgement in outcome.judgements:
        if judgement.reason_code != "not_budget_owner":
            counts[judgement.verdict.value] += 1
    words = ", ".join(f"{number} {verdict.replace('_', ' ')}" for verdict, number in sorted(counts.items()))
    proposed = f"{len(offered)} proposal{'' if len(offered) == 1 else 's'} open"
    return f"{sum(counts.values())} objects judged: {words or 'none'}; {proposed}."


def due(*, now: datetime) -> list[Strategy]:
    """Active strategies of enabled ad accounts that were not evaluated for `EVERY`, and those that were switched off
    and have a pause to end. After an outage each is due once, however many rounds were missed."""
    ending = Q(pk__in=proposals.with_pauses_over(now=now))
    rows = Strategy.everything.filter(Q(status=StrategyStatus.ACTIVE) | ending)
    rows = rows.select_related("ad_account", "client")
    rows = rows.filter(Q(last_evaluated_at=None) | Q(last_evaluated_at__lte=now - EVERY))
    return _runnable(rows)


def of_account(*, ad_account_id: int) -> list[Strategy]:
    """The account's active strategies, if it is enabled."""
    rows = Strategy.everything.filter(status=StrategyStatus.ACTIVE, ad_account_id=ad_account_id)
    return _runnable(rows.select_related("ad_account", "client"))


def _runnable(rows: QuerySet[Strategy]) -> list[Strategy]:
    enabled = rows.filter(ad_account__enabled_at__isnull=False, ad_account__archived_at__isnull=True)
    return list(enabled.order_by("last_evaluated_at", "pk"))
