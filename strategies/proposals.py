"""Decisions offered to people: at most one open per (strategy, object, field), at most one per window.

    offer ──> OPEN ──approve──> APPROVED ──its change applied──> DONE | FAILED | SUPERSEDED | EXPIRED
                ├──reject───> REJECTED
                ├──the verdict no longer holds, or the strategy was edited──> SUPERSEDED
                └──nobody decided in time──> EXPIRED

A proposal with a change follows that change (`follow`); advice has none, and approving it says "taken note of".
A newer data version refreshes the open proposal and never adds one. After a raise was done the object rests
for `REST` (see `engine.resting`).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

import accounts.access as access
import campaigns.changes.approvals as approvals
import campaigns.changes.request as request
import strategies.engine.resting as resting
from accounts.errors import NotFound, Refused
from accounts.models import AdAccount, Client
from accounts.tenancy import Principal
from campaigns.models import Change
from campaigns.states import ChangeState, Evidence, Field, Level, Source
from insights.live import publish
from strategies.engine.resting import REST, Past, window_key
from strategies.engine.types import ADVICE, Action, CaseTrace, Intent, Snapshot, Subject
from strategies.engine.wording import based_on, effect, sentence
from strategies.errors import DigestMismatch, NotTaken, ProposalClosed
from strategies.models import Decision, Proposal, ProposalState, Strategy, StrategyStatus

#: How long after the guards refused a change the same one is filed again.
ASK_AGAIN = timedelta(hours=3)
#: A pause lasts at most so long, and for so long its end is seen to after a strategy was switched off.
_LONGEST = timedelta(days=90)
_LOOK_BACK = timedelta(days=7)

S = ProposalState
#: What a change's state says about its proposal; states on the way are "approved".
FATE: Mapping[str, ProposalState] = {
    ChangeState.PROPOSED: S.OPEN,
    ChangeState.APPLIED: S.DONE,
    ChangeState.NOOP: S.DONE,
    ChangeState.FAILED: S.FAILED,
    ChangeState.REJECTED: S.REJECTED,
    ChangeState.EXPIRED: S.EXPIRED,
    ChangeState.SUPERSEDED: S.SUPERSEDED,
}


@dataclass(frozen=True)
class Book:
    """A strategy's open proposals and the lately closed ones, read once per evaluation."""

    open: Mapping[tuple[str, str], Proposal]
    recent: Mapping[tuple[str, str], tuple[Proposal, ...]]


def pauses(*, strategy: Strategy) -> dict[str, datetime]:
    """Object id -> when the last pause that this strategy made for a time is over."""
    rows = Proposal.objects.of(strategy.client_id).filter(
        strategy=strategy, field=Field.STATUS.value, state=S.DONE
    )
    found: dict[str, datetime] = {}
    for object_id, evidence in rows.order_by("pk").values_list("object_id", "evidence"):
        until = evidence.get("until_moment")
        found.pop(object_id, None)
        if until:
            found[object_id] = datetime.fromisoformat(until)
    return found


def with_pauses_over(*, now: datetime) -> set[int]:
    """Strategies that were switched off while a pause of theirs was to end by itself, and whose time has come within
    `_LOOK_BACK`; whether the object still waits for it is seen when they are evaluated."""
    rows = Proposal.everything.filter(
        action=Action.PAUSE_UNTIL.value, state=S.DONE, decided_at__gte=now - _LONGEST - _LOOK_BACK
    ).exclude(strategy__status=StrategyStatus.ACTIVE)
    found = set()
    for strategy_id, evidence in rows.values_list("strategy_id", "evidence"):
        until = evidence.get("until_moment")
        if until and now - _LOOK_BACK <= datetime.fromisoformat(until) <= now:
            found.add(strategy_id)
    return found


def book(*, strategy: Strategy, now: datetime) -> Book:
    """What `hindrance` and `offer` need to know of earlier proposals of this strategy."""
    rows = Proposal.objects.of(strategy.client_id).filter(strategy=strategy)
    rows = rows.select_related("change", "strategy", "ad_account", "client", "decided_by")
    recent: dict[tuple[str, str], tuple[Proposal, ...]] = {}
    opened: dict[tuple[str, str], Proposal] = {}
    late = Q(decided_at__gte=now - REST) | Q(created_at__gte=now - timedelta(days=9))
    for row in rows.filter(Q(state=S.OPEN) | late).order_by("pk"):
        key = (row.object_id, row.field)
        if row.state == S.OPEN:
            opened[key] = row
        else:
            recent[key] = (*recent.get(key, ()), row)
    return Book(opened, recent)


def hindrance(
    *, strategy: Strategy, intent: Intent, snapshot: Snapshot, book: Book, now: datetime
) -> tuple[str, str] | None:
    """Why this intent is not offered now: (code, sentence), or `None`."""
    past = [
        Past(
            action=row.action,
            target=row.target,
            state=row.state,
            decided_at=row.decided_at,
            window_key=row.window_key,
            version=row.strategy_version,
            word=S(row.state).label.lower(),
        )
        for row in book.recent.get((intent.object_id, intent.field), ())
    ]
    return resting.hindrance(intent, past, snapshot=snapshot, version=strategy.version, now=now)


def digest_of(intent: Intent, strategy: Strategy) -> str:
    """Of advice; a change has its own digest."""
    parts = (str(strategy.uuid), strategy.version, intent.object_id, intent.field, intent.action.value)
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()


def offer(
    *,
    strategy: Strategy,
    intent: Intent,
    case: CaseTrace,
    subject: Subject,
    snapshot: Snapshot,
    decision: Decision,
    evidence: Evidence,
    open_: Proposal | None,
    now: datetime,
) -> Proposal | None:
    """Offer an intent, or refresh the open proposal that says the same.

    `None` when the open one said something else about the same seven days (a person moved the budget meanwhile):
    it is withdrawn, and the next window may offer again. Raises `Refused` when the change path does not take it.
    """
    if open_ is not None:
        if _says_the_same(open_, intent, strategy):
            return _refresh(open_, intent, case, subject, snapshot, decision, now)
        withdraw(proposal=open_, reason="A newer evaluation asks for something else.", now=now)
        if (open_.strategy_version, open_.window_key) == (strategy.version, window_key(snapshot, intent)):
            return None
    change = _file(strategy, intent, case, subject, snapshot, evidence, now)
    fate = FATE.get(change.state, S.APPROVED) if change else S.OPEN
    row = Proposal(
        client_id=strategy.client_id,
        ad_account_id=strategy.ad_account_id,
        strategy=strategy,
        strategy_version=strategy.version,
        change=change,
        level=intent.level,
        object_id=intent.object_id,
        object_name=intent.object_name[:400],
        field=intent.field,
        action=intent.action.value,
        before=intent.before or "",
        target=intent.target or "",
        currency=snapshot.currency,
        digest=change.digest if change else digest_of(intent, strategy),
        state=fate,
        window_key=window_key(snapshot, intent),
        created_at=now,
        expires_at=change.expires_at if change else now + timedelta(hours=strategy.client.approval_hours),
        decided_at=None if fate is S.OPEN else now,
    )
    _fill(row, intent, case, subject, snapshot, decision, now)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            _announce(row)
    except IntegrityError:  # another worker offered it in between
        same = Proposal.objects.of(strategy.client_id).filter(
            strategy=strategy, object_id=intent.object_id, field=intent.field
        )
        found: Proposal = same.order_by("-pk")[0]
        return found
    return row


def _says_the_same(row: Proposal, intent: Intent, strategy: Strategy) -> bool:
    mine = (row.strategy_version, row.action, row.before, row.target)
    return mine == (strategy.version, intent.action.value, intent.before or "", intent.target or "")


def _fill(
    row: Proposal,
    intent: Intent,
    case: CaseTrace,
    subject: Subject,
    snapshot: Snapshot,
    decision: Decision,
    now: datetime,
) -> None:
    row.sentence = sentence(intent, case, subject, snapshot)[:1000]
    row.effect = effect(intent, subject, snapshot)[:300]
    row.evidence = {
        "case": case.name,
        "since": snapshot.since.isoformat(),
        "until": snapshot.until.isoformat(),
        "zone": snapshot.zone,
        "basis": based_on(case, subject, snapshot),
        "trust": snapshot.trust.value,
        "as_of": snapshot.as_of.isoformat() if snapshot.as_of else None,
        "done": sentence(intent, case, subject, snapshot, past=True),
        **({"until_moment": intent.until.isoformat()} if intent.until else {}),
    }
    row.decision = decision
    row.data_version = snapshot.data_version
    row.refreshed_at = now


def _refresh(
    row: Proposal,
    intent: Intent,
    case: CaseTrace,
    subject: Subject,
    snapshot: Snapshot,
    decision: Decision,
    now: datetime,
) -> Proposal:
    if row.data_version == snapshot.data_version:
        return row
    before = row.sentence
    _fill(row, intent, case, subject, snapshot, decision, now)
    fields = ("sentence", "effect", "evidence", "decision", "data_version", "refreshed_at")
    rows = Proposal.objects.of(row.client_id).filter(pk=row.pk, state=S.OPEN)
    rows.update(**{name: getattr(row, name) for name in fields})
    if row.sentence != before:
        _announce(row)
    return row


def _file(
    strategy: Strategy,
    intent: Intent,
    case: CaseTrace,
    subject: Subject,
    snapshot: Snapshot,
    evidence: Evidence,
    now: datetime,
) -> Change | None:
    """File the intent's change: one key per (strategy, version, object, field, window), so a repeat files nothing.

    Raises `NotTaken` when the guards refuse it; that leaves no proposal, and it is filed again after `ASK_AGAIN`.
    """
    if intent.action in ADVICE or intent.target is None:
        return None
    key = ":".join(
        map(
            str,
            (strategy.uuid, strategy.version, intent.object_id, intent.field, window_key(snapshot, intent)),
        )
    )
    refused = Change.objects.of(strategy.client_id).filter(
        key__startswith=key, state=ChangeState.REJECTED.value
    )
    last: Change | None = refused.order_by("-created_at").first()
    if last is not None:
        if now - last.created_at < ASK_AGAIN:
            raise _not_taken(last)
        key = f"{key}:{refused.count()}"
    filed: Change = request.file(
        principal=access.system(strategy.client),
        ad_account=strategy.ad_account,
        level=Level(intent.level),
        object_id=intent.object_id,
        field=Field(intent.field),
        target=intent.target,
        reason=sentence(intent, case, subject, snapshot)[:1000],
        source=Source.STRATEGY,
        key=key,
        evidence=evidence,
        strategy_ref=str(strategy.uuid),
        batch=_batch(strategy, intent, subject, snapshot),
        now=now,
    )
    if filed.state == ChangeState.REJECTED:
        raise _not_taken(filed)
    return filed


def _batch(strategy: Strategy, intent: Intent, subject: Subject, snapshot: Snapshot) -> uuid.UUID | None:
    """What belongs together: the moves of one rebalance between the siblings of one parent."""
    if intent.action is not Action.REBALANCE:
        return None
    parts = (strategy.uuid, strategy.version, intent.case, subject.parent_id, window_key(snapshot, intent))
    return uuid.uuid5(strategy.uuid, " ".join(map(str, parts)))


def _not_taken(change: Change) -> NotTaken:
    return NotTaken(change.error_text or "The change path refused it.", advice=change.advice)


def _announce(row: Proposal) -> None:
    client_id, uuid = row.client_id, str(row.uuid)
    transaction.on_commit(lambda: publish(client_id=client_id, topic="proposal", id=uuid))


# --- what people do


def open_(
    principal: Principal, *, client: Client | None = None, ad_account: AdAccount | None = None
) -> QuerySet[Proposal]:
    """Open proposals that `principal` may see, newest first."""
    return list_(principal, client=client, ad_account=ad_account, state=S.OPEN)


def list_(
    principal: Principal,
    *,
    client: Client | None = None,
    ad_account: AdAccount | None = None,
    state: str | None = None,
) -> QuerySet[Proposal]:
    rows = Proposal.objects.for_(principal).select_related(
        "strategy", "ad_account", "client", "change", "decided_by"
    )
    if client is not None:
        rows = rows.filter(client=client)
    if ad_account is not None:
        rows = rows.filter(ad_account=ad_account)
    if state is not None:
        rows = rows.filter(state=state)
    found: QuerySet[Proposal] = rows.order_by("-created_at", "-pk")
    return found


def get(principal: Principal, uuid: str, *, verb: str = "view") -> Proposal:
    """One proposal; absent and not-yours are the same `NotFound`."""
    row = list_(principal).filter(uuid=uuid).first()
    if row is None:
        raise NotFound("There is no such proposal.")
    access.require(principal, verb, row.client_id)
    return row


def approve(*, proposal: Proposal, principal: Principal, digest: str, now: datetime) -> Proposal:
    """A person says yes to exactly what `digest` names; the change goes on its way."""
    access.require(principal, "approve", proposal.client_id)
    _must_be_open(proposal, now)
    if digest != proposal.digest:
        raise DigestMismatch("The proposal says something else than what was approved.")
    if proposal.change is None:
        return _close(proposal, S.DONE, "Taken note of.", now, principal=principal)
    approvals.approve(change=proposal.change, principal=principal, digest=digest, now=now)
    proposal.change.refresh_from_db()
    follow(change=proposal.change, now=now, principal=principal)
    proposal.refresh_from_db()
    return proposal


def reject(*, proposal: Proposal, principal: Principal, reason: str, now: datetime) -> Proposal:
    """A person says no; the change is rejected with it."""
    access.require(principal, "approve", proposal.client_id)
    _must_be_open(proposal, now)
    if proposal.change is not None and _ours(proposal):
        approvals.reject(change=proposal.change, principal=principal, reason=reason, now=now)
    return _close(proposal, S.REJECTED, reason or "Rejected.", now, principal=principal)


def _must_be_open(proposal: Proposal, now: datetime) -> None:
    if proposal.state != S.OPEN:
        raise ProposalClosed(f"This proposal is closed: {S(proposal.state).label.lower()}.")
    if proposal.expires_at <= now:
        raise ProposalClosed("This proposal has expired.")


def _ours(proposal: Proposal) -> bool:
    """Whether the change was filed by this strategy; one that we only joined is somebody else's to reject."""
    change = proposal.change
    return (
        change is not None
        and change.source == Source.STRATEGY
        and change.strategy_ref == str(proposal.strategy.uuid)
    )


def _close(
    proposal: Proposal,
    state: ProposalState,
    reason: str,
    now: datetime,
    *,
    principal: Principal | None = None,
) -> Proposal:
    by = principal.user_id if principal else None
    fields = {"state": state, "reason": reason[:500], "decided_at": now, "decided_by_id": by}
    with transaction.atomic():
        rows = Proposal.objects.of(proposal.client_id).filter(pk=proposal.pk)
        moved = rows.filter(state=S.OPEN).update(**fields)
        # The change's own signal may have closed it a moment ago, in the same sense; then the name is added.
        if not moved and not rows.filter(state=state).update(reason=fields["reason"], decided_by_id=by):
            raise ProposalClosed("Somebody else decided about this proposal a moment ago.")
        _announce(proposal)
    proposal.refresh_from_db()
    return proposal


# --- what happens by itself


def withdraw(*, proposal: Proposal, reason: str, now: datetime, state: ProposalState = S.SUPERSEDED) -> None:
    """Close an open proposal whose reason has gone, and its change with it while nobody has approved that."""
    fields = {"state": state, "reason": reason[:500], "decided_at": now}
    rows = Proposal.objects.of(proposal.client_id).filter(pk=proposal.pk, state=S.OPEN)
    if not rows.update(**fields):
        return
    _announce(proposal)
    change = proposal.change
    if change is None or not _ours(proposal):
        return
    try:
        approvals.reject(change=change, principal=access.system(proposal.client), reason=reason, now=now)
    except Refused:
        change.refresh_from_db()
        if FATE.get(change.state, S.APPROVED) in (S.APPROVED, S.DONE, S.FAILED):
            # Somebody approved it a moment ago: the proposal follows its change, as usual.
            rows = Proposal.objects.of(proposal.client_id).filter(pk=proposal.pk, state=state)
            rows.update(state=S.OPEN, reason="", decided_at=None)
            follow(change=change, now=now)


def follow(*, change: Change, now: datetime, principal: Principal | None = None) -> int:
    """Bring the proposals of a change to what its state says; how many moved."""
    fate = FATE.get(change.state, S.APPROVED)
    if fate is S.OPEN:
        return 0
    moving = [S.OPEN, S.APPROVED] if fate is not S.APPROVED else [S.OPEN]
    moved = 0
    for row in Proposal.objects.of(change.client_id).filter(change=change, state__in=moving):
        fields: dict[str, object] = {"state": fate, "reason": change.error_text[:500]}
        if row.state == S.OPEN or fate is S.DONE:
            fields["decided_at"] = now
        by = principal.user_id if principal else change.approved_by_id
        if by:
            fields["decided_by_id"] = by
        rows = Proposal.objects.of(change.client_id).filter(pk=row.pk, state=row.state)
        if rows.update(**fields):
            moved += 1
            _announce(row)
    return moved


def expire_due(*, now: datetime) -> int:
    """Close what nobody decided in time, and catch up with changes whose signal was lost."""
    rows = Proposal.everything.filter(state__in=[S.OPEN, S.APPROVED]).select_related(
        "change", "strategy", "client"
    )
    expired = 0
    for row in rows.filter(state=S.OPEN, expires_at__lte=now):
        withdraw(proposal=row, reason="Nobody decided in time.", now=now, state=S.EXPIRED)
        expired += 1
    for row in rows.exclude(change=None).exclude(change__state=ChangeState.PROPOSED.value):
        if row.change is not None:
            follow(change=row.change, now=now)
    return expired
