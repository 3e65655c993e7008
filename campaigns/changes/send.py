"""Send a change: the only place that writes to an ad object at Meta.

    APPROVED ── claim ──> PREPARING ── look ... 3 s ... look ──> value = target   NOOP, or APPLIED by an attempt
                                                                 value = other    SUPERSEDED, object held
                                                                 archived, gone   FAILED
                                                                 value = before   go on
    one transaction: still ours? stopped? approval? guards? -> Attempt row, SENDING, COMMIT
    then, outside of any transaction, at most 5 s after that COMMIT: the one POST
    then a second transaction with the answer: ACKED | UNKNOWN | THROTTLED | HELD_AUTH | FAILED | NOT_APPLIED

A crash leaves either nothing sent, or an attempt row without an outcome; the sweep turns the latter into UNKNOWN.
`settle` takes over from ACKED, UNKNOWN and HELD_AUTH. `send` does one step and says when to come back.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError

import accounts.tokens as tokens
import campaigns.changes.exposure as exposure
import campaigns.changes.guards as guards
import campaigns.changes.ledger as ledger
import campaigns.changes.reading as reading
import campaigns.changes.switch as switch
import campaigns.mapping as mapping
import metaads.graph.money as money
import metaads.strikes as strikes
from accounts.errors import Refused
from campaigns.changes.reading import Claim, Clock
from campaigns.models import Attempt, Change
from campaigns.states import ChangeState, Direction, Field, Level, Source
from metaads.clock import apart, monotonic
from metaads.crash import point
from metaads.gateway import writer
from metaads.graph.errors import Answer, Kind, error_for
from metaads.graph.writer import GraphWriter
from metaads.quota import Blocked

S = ChangeState

STATES: Final = (S.APPROVED, S.PREPARING, S.THROTTLED, S.NOT_APPLIED)
#: Seconds between the COMMIT of the attempt and the first byte of its request.
SEND_WITHIN: Final = 5.0
#: How far this machine's clock may be from Meta's before limits that count by time are believed no more.
CLOCKS: Final = timedelta(seconds=30)
TRIES: Final = 3
SOON: Final = timedelta(seconds=15)
LATER: Final = timedelta(seconds=60)
ACK_PAUSE: Final = timedelta(seconds=2)
#: Outcomes that count as no try: Meta, or we, kept the request from having an effect.
NO_TRY: Final = ("throttled", "not_sent")


class TooLate(Exception):
    """The send guard: too long since the COMMIT, so somebody else may have taken over. Nothing was sent."""


def send(change_id: str, *, now: datetime, clock: Clock | None = None) -> datetime | None:
    """Do the next step of the change (its UUID). Returns when to come back; None when there is nothing to do here.

    `clock` tells the moment after a call; without it every moment is `now`. Safe to call twice, and at any time.
    """
    clock = clock or (lambda: now)
    claim = reading.claim(change_id, states=STATES, now=now)
    point("send.claimed")
    if claim is None:
        return None
    with strikes.trial(f"change:{change_id}", now=now) as may:
        if may:
            return _step(claim, now=now, clock=clock)
    reading.let_go(claim, not_before=claim.change.not_before)
    return None


def _step(claim: Claim, *, now: datetime, clock: Clock) -> datetime | None:
    if not _begun(claim, now=now):
        return _due(claim)
    point("send.preparing")
    reading.look(claim.change, phase="prepare", clock=clock)
    point("send.looked")
    value = reading.agreed(claim.change, phase="prepare", since=now - reading.FRESH)
    if value is None:
        return _look_again(claim, now=clock())
    point("send.agreed")
    if value == claim.change.before and value != claim.change.target:
        return _write(claim, clock=clock)
    _nothing_to_send(claim, value=value, now=clock())
    return None


def _due(claim: Claim) -> datetime | None:
    due: datetime | None = (
        Change.everything.filter(pk=claim.change.pk, state__in=[state.value for state in STATES])
        .values_list("not_before", flat=True)
        .first()
    )
    return due


def _begun(claim: Claim, *, now: datetime) -> bool:
    """Bring the claimed change to PREPARING, or end it where it cannot go on."""
    change = claim.change
    with ledger.locked(change.ad_account_id):
        current = reading.still_mine(claim, now=now)
        if current is None:
            return False
        change.state = current.state
        stop = _stopped(change)
        if change.state == S.PREPARING:
            if stop or change.expires_at <= now:
                _give_up(change, why=stop or change.error_text or "The approval has run out.", now=now)
                return False
            return True
        if change.state == S.APPROVED and (stop or change.expires_at <= now):
            why = stop or change.error_text or "The approval ran out before it was sent."
            ledger.transition(
                change, to=S.EXPIRED, now=now, note=why, error_text=why, advice="Ask again.", **ledger.free()
            )
            return False
        tries = _tries(change)
        if change.state == S.NOT_APPLIED and tries and (stop or change.expires_at <= now or tries >= TRIES):
            why = (
                stop
                or f"It had no effect after {tries} tr{'y' if tries == 1 else 'ies'}, and is not sent again."
            )
            switch.needs_human(change, why=why, now=now)
            return False
    return _prepare(claim, now=now)


def _prepare(claim: Claim, *, now: datetime) -> bool:
    try:
        with ledger.locked(claim.change.ad_account_id):
            ledger.transition(
                claim.change, to=S.PREPARING, now=now, error_text="", advice="", not_before=None
            )
    except IntegrityError:
        # The partial unique index: another change of this field is on its way. Wait for its end.
        claim.change.refresh_from_db()
        reading.let_go(claim, not_before=now + SOON)
        return False
    return True


def _stopped(change: Change) -> str:
    return switch.stopped(
        client_id=change.client_id, ad_account_id=change.ad_account_id, strategy_ref=change.strategy_ref
    )


def _give_up(change: Change, *, why: str, now: datetime, not_before: datetime | None = None) -> None:
    """PREPARING ends without a request: back to APPROVED, which waits, or expires in the next step. After an
    attempt whose effect was not disproved a person has to look."""
    if change.possibly_applied:
        switch.needs_human(change, why=why, now=now)
        return
    ledger.transition(
        change, to=S.APPROVED, now=now, note=why, error_text=why[:500], **ledger.free(not_before)
    )
    point("send.given_up")


def _look_again(claim: Claim, *, now: datetime) -> datetime | None:
    """No two reads agree yet. While nothing can be read, back to APPROVED; its approval runs out by itself."""
    since = reading.unreadable_since(claim.change, phase="prepare")
    if since is None:
        reading.let_go(claim, not_before=now + reading.APART)
        return now + reading.APART
    with ledger.locked(claim.change.ad_account_id):
        change = reading.still_mine(claim, now=now)
        if change is None:
            return None
        if reading.delisted(change) and not change.possibly_applied:
            _gone(change, now=now)
            return None
        _give_up(change, why="Meta could not be read; nothing was sent.", now=now, not_before=now + LATER)
        return now + LATER


def _nothing_to_send(claim: Claim, *, value: str, now: datetime) -> None:
    with ledger.locked(claim.change.ad_account_id):
        change = reading.still_mine(claim, now=now)
        if change is None:
            return
        reading.store(change, value=value)
        point("send.nothing")
        if value == change.target:
            # Where every request was certainly without effect, the value is somebody else's work.
            ours = Attempt.everything.filter(change=change).exclude(outcome__in=exposure.HARMLESS).exists()
            done = S.APPLIED if ours else S.NOOP
            applied: dict[str, Any] = {"applied_at": now, "possibly_applied": True}
            fields = applied if done is S.APPLIED else {}
            ledger.transition(change, to=done, now=now, error_text="", advice="", **fields, **ledger.free())
            return
        if value in mapping.GONE and not change.possibly_applied:
            _gone(change, now=now)
            return
        switch.superseded(change, value=value, now=now)


def _gone(change: Change, *, now: datetime) -> None:
    """Nothing can be changed there any more, and nothing of ours was sent: the end, without another try."""
    why = f"This {Level(change.level).words} is archived or deleted at Meta; nothing was sent."
    advice = "Choose another one."
    ledger.transition(change, to=S.FAILED, now=now, note=why, error_text=why, advice=advice, **ledger.free())


def _write(claim: Claim, *, clock: Clock) -> datetime | None:
    """Commit the attempt, send the one request, record the answer."""
    change = claim.change
    try:
        wire = _wire_value(change)
        use = "pause" if change.direction is Direction.STOP else "write"
        token = tokens.write_token(change.ad_account, automated=Source(change.source).automated)
        hand = writer(token=token, ad_account=change.ad_account.meta_id, use=use)
    except (Refused, money.MoneyError) as refusal:
        with ledger.locked(change.ad_account_id):
            current = reading.still_mine(claim, now=clock())
            if current is not None:
                _give_up(current, why=str(refusal), now=clock(), not_before=clock() + LATER)
        return clock() + LATER
    point("send.ready")
    with ledger.locked(change.ad_account_id):
        # The moment is taken under the lock, for which this may have waited; and the five seconds are counted from
        # before the COMMIT, since that and its listeners take time as well.
        begun = monotonic()
        attempt = _committed(claim, wire=wire, token=token, now=clock())
        point("send.uncommitted")
    if attempt is None:
        return _due(claim)
    point("send.committed")
    answer = _post(hand, attempt, wire, committed=begun)
    point("send.answered")
    if isinstance(answer, Answer) and answer.kind is Kind.AUTH:
        # A write is never sent again with another token; what the answer says of this one counts.
        tokens.auth_failed(ad_account=change.ad_account, token=token, error=error_for(answer), now=clock())
    return _answered(claim, attempt, answer, now=clock())


def _wire_value(change: Change) -> str | int:
    if not Field(change.field).is_money:
        return change.target
    return money.to_minor(Decimal(change.target), change.currency)


def _committed(claim: Claim, *, wire: str | int, token: str, now: datetime) -> Attempt | None:
    """The SENDING transaction: everything is asked once more, under the account's lock, then the attempt is
    written. None: it may not go; the change says why."""
    with ledger.locked(claim.change.ad_account_id):
        change = reading.still_mine(claim, now=now)
        if change is None or change.state != S.PREPARING:
            return None
        why, again_at = _forbidden(change, now=now)
        if not why:
            automated = Source(change.source).automated
            why = tokens.why_not_now(change.ad_account, token=token, automated=automated)
            again_at = now + LATER
        if why:
            _give_up(change, why=why, now=now, not_before=again_at)
            return None
        point("send.allowed")
        attempt: Attempt = Attempt.everything.create(
            client_id=change.client_id,
            change=change,
            n=change.attempts + 1,
            object_id=change.object_id,
            field=change.field,
            value=str(wire),
            fence=claim.fence,
            build_id=settings.BUILD_ID,
            committed_at=now,
        )
        point("send.attempt")
        ledger.transition(
            change,
            to=S.SENDING,
            now=now,
            attempts=attempt.n,
            possibly_applied=True,
            settle_after=now + timedelta(seconds=settings.SETTLE_SECONDS),
            lease_until=now + reading.LEASE,
            not_before=None,
        )
        return attempt


def _forbidden(change: Change, *, now: datetime) -> tuple[str, datetime | None]:
    if change.expires_at <= now:
        return "The approval ran out before it was sent.", None
    if change.direction.spends_more:
        if abs(apart() or timedelta(0)) > CLOCKS:
            return (
                "This machine's clock is not Meta's: nothing rises until an operator has set it.",
                now + LATER,
            )
        ledger.lock_client(change.client_id)
    situation = exposure.situation(
        ad_account=change.ad_account,
        level=Level(change.level),
        object_id=change.object_id,
        field=Field(change.field),
        stopped=_stopped(change),
        now=now,
        before=change.before,
        target=change.target,
        leave_out=change,
    )
    reasons = guards.evaluate(intent=exposure.intent_of(change), situation=situation, now=now)
    if not reasons:
        return "", None
    retry = [reason.retry_at for reason in reasons]
    # A reason without a time does not pass by waiting: the approval ends with it.
    again_at = max((moment for moment in retry if moment), default=None) if all(retry) else None
    if again_at is None:
        Change.everything.filter(pk=change.pk).update(expires_at=now)
        change.expires_at = now
    return " ".join(f"{reason.message} {reason.advice}".strip() for reason in reasons), again_at


def _post(
    hand: GraphWriter, attempt: Attempt, wire: str | int, *, committed: float
) -> Answer | Blocked | TooLate:
    def guard() -> None:
        if monotonic() - committed > SEND_WITHIN:
            raise TooLate(f"More than {SEND_WITHIN:.0f} s passed between the commit and the request.")
        point("send.guarded")

    try:
        return hand.update(attempt.object_id, {attempt.field: wire}, guard=guard)
    except (Blocked, TooLate) as held_back:
        return held_back


def _answered(
    claim: Claim, attempt: Attempt, answer: Answer | Blocked | TooLate, *, now: datetime
) -> datetime | None:
    """Write down the answer. When somebody else has the change by now, the answer is only noted on the attempt."""
    to, fields = _meaning(answer, now=now)
    with ledger.locked(claim.change.ad_account_id):
        Attempt.everything.filter(pk=attempt.pk, outcome="").update(answered_at=now, **_facts(answer))
        point("send.noted")
        rows = Change.everything.select_related("client", "ad_account").filter(
            pk=attempt.change_id, fence=claim.fence
        )
        change: Change | None = rows.filter(state=S.SENDING.value).first()
        if change is None:
            return None
        ledger.transition(change, to=to, now=now, note=str(fields.get("error_text", "")), **fields)
        point("send.unrecorded")
    point("send.recorded")
    due: datetime | None = change.not_before
    return due


def _meaning(answer: Answer | Blocked | TooLate, *, now: datetime) -> tuple[ChangeState, dict[str, Any]]:
    """The table from answers to states."""
    settle = now + timedelta(seconds=settings.SETTLE_SECONDS)
    if isinstance(answer, Blocked):
        return S.THROTTLED, {
            "possibly_applied": False,
            "error_text": str(answer)[:500],
            **ledger.free(answer.until),
        }
    if isinstance(answer, TooLate):
        return S.NOT_APPLIED, {"possibly_applied": False, "error_text": str(answer), **ledger.free(now)}
    said = (answer.user_message or answer.message or answer.rule)[:500]
    words = {"error_text": said, "advice": answer.advice[:500]}
    if answer.kind is Kind.OK:
        return S.ACKED, {
            "settle_after": settle,
            "error_text": "",
            "advice": "",
            **ledger.free(now + ACK_PAUSE),
        }
    if answer.kind is Kind.REFUSED:
        return S.FAILED, {"possibly_applied": False, **words, **ledger.free()}
    if answer.kind is Kind.THROTTLED:
        pause = timedelta(seconds=answer.retry_after or 300)
        return S.THROTTLED, {"possibly_applied": False, **words, **ledger.free(now + pause)}
    if answer.kind in (Kind.AUTH, Kind.NOT_PERMITTED):
        return S.HELD_AUTH, {"possibly_applied": False, **words, **ledger.free(now + LATER)}
    if not answer.sent:
        return S.NOT_APPLIED, {"possibly_applied": False, **words, **ledger.free(now + SOON)}
    return S.UNKNOWN, {"settle_after": settle, **words, **ledger.free(settle)}


def _facts(answer: Answer | Blocked | TooLate) -> dict[str, object]:
    if not isinstance(answer, Answer):
        return {"outcome": "not_sent", "message": str(answer)[:500]}
    return {
        "outcome": str(answer.kind) if answer.sent else "not_sent",
        "http_status": answer.status or None,
        "code": answer.code,
        "subcode": answer.subcode,
        "fbtrace_id": (answer.trace_id or "")[:60],
        "message": (answer.user_message or answer.message or answer.rule)[:500],
    }


def _tries(change: Change) -> int:
    return int(Attempt.everything.filter(change=change).exclude(outcome__in=NO_TRY).count())
