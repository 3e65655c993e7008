"""Find out what became of a change: read back until two reads agree, then say so.

    SENDING, abandoned ──> UNKNOWN            (its worker died; only after the lease has run out)
    ACKED (2 s) | UNKNOWN (settle window) | HELD_AUTH (reconnected) ──> VERIFYING
    VERIFYING: two agreeing reads at least 3 s apart
        = target                                 APPLIED; SUPERSEDED where every request of ours was refused
        = before, read after the settle window   the activity log has it touched since?  SUPERSEDED, object held
                                                 it has not                              NOT_APPLIED, and `send`
                                                                                         tries the same value again
        other,    read after the settle window   SUPERSEDED, object held
        unreadable for 30 minutes                NEEDS_HUMAN

Only *applied* may be concluded before the settle window has passed: until then the request may still land, and a
read may come from a place that has not heard of it. `{"success": true}` is never proof.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings

import accounts.alerts as alerts
import accounts.tokens as tokens
import campaigns.changes.exposure as exposure
import campaigns.changes.ledger as ledger
import campaigns.changes.reading as reading
import campaigns.changes.switch as switch
import metaads.strikes as strikes
from accounts.errors import Refused
from campaigns.changes.reading import Claim, Clock
from campaigns.mapping import ActivityRow
from campaigns.models import Attempt, Change
from campaigns.states import ChangeState, Source
from metaads.crash import point

S = ChangeState

STATES: Final = (S.SENDING, S.ACKED, S.UNKNOWN, S.HELD_AUTH, S.VERIFYING)
BACK_OFF: Final = timedelta(seconds=15)
HELD_PAUSE: Final = timedelta(seconds=60)
GIVE_UP: Final = timedelta(minutes=30)


def settle(change_id: str, *, now: datetime, clock: Clock | None = None) -> datetime | None:
    """Do the next step of finding out (the change's UUID). Returns when to come back; None: nothing to do here."""
    clock = clock or (lambda: now)
    claim = reading.claim(change_id, states=STATES, now=now)
    if claim is None:
        return None
    point("settle.claimed")
    with strikes.trial(f"change:{change_id}", now=now) as may:
        if may:
            return _step(claim, now=now, clock=clock)
    reading.let_go(claim, not_before=claim.change.not_before)
    return None


def _step(claim: Claim, *, now: datetime, clock: Clock) -> datetime | None:
    if claim.change.state != S.VERIFYING:
        due = _begin(claim, now=now)
        if due is not None:
            return due
    if claim.change.state != S.VERIFYING:
        return None
    point("settle.verifying")
    reading.look(claim.change, phase="verify", clock=clock)
    point("settle.looked")
    return _judge(claim, clock=clock)


def _begin(claim: Claim, *, now: datetime) -> datetime | None:
    """Bring the change to VERIFYING; or say until when it has to wait."""
    with ledger.locked(claim.change.ad_account_id):
        change = reading.still_mine(claim, now=now)
        if change is None:
            return None
        if change.state == S.SENDING:
            window = timedelta(seconds=settings.SETTLE_SECONDS)
            due = max(change.settle_after or now, change.state_at + window)
            why = "The worker that sent it died; what Meta did is not known."
            ledger.transition(
                change, to=S.UNKNOWN, now=now, note=why, error_text=why, settle_after=due, **ledger.free(due)
            )
            point("settle.abandoned")
            return due
        if change.state == S.HELD_AUTH and not _reconnected(change, now=now):
            due = now + HELD_PAUSE
            reading.let_go(claim, not_before=due)
            return due
        ledger.transition(change, to=S.VERIFYING, now=now)
        claim.change.state, claim.change.state_at = change.state, change.state_at
    return None


def _reconnected(change: Change, *, now: datetime) -> bool:
    """Whether the token is another one than the one that was refused; an approval that has run out only needs to be
    read."""
    refused_at = (
        Attempt.everything.filter(change=change).order_by("-n").values_list("committed_at", flat=True).first()
    )
    try:
        if change.expires_at <= now:
            tokens.reader(change.ad_account, use="verify")
            return True
        tokens.write_token(change.ad_account, automated=Source(change.source).automated)
    except Refused:
        return False
    return refused_at is None or tokens.renewed_since(change.ad_account, refused_at)


def _judge(claim: Claim, *, clock: Clock) -> datetime | None:
    change, now = claim.change, clock()
    settled = change.settle_after or now
    if reading.agreed(change, phase="verify", since=change.state_at) == change.target:
        return _ended(claim, now=now, value=change.target)
    if now < settled:
        return _later(claim, now=now, at=min(now + _pause(change), max(settled, now + reading.APART)))
    value = reading.agreed(change, phase="verify", since=settled)
    phase = "verify"
    if value is not None:
        seen = reading.traces(change, clock=clock) if value == change.before else ()
        point("settle.traced")
        if seen is not None:
            return _ended(claim, now=clock(), value=value, touched=_touched(change, seen))
        phase = "log"
    since = reading.unreadable_since(change, phase=phase)
    if since is None:
        return _later(claim, now=now, at=now + reading.APART)
    if now - since < GIVE_UP:
        return _later(claim, now=now, at=now + HELD_PAUSE)
    with ledger.locked(change.ad_account_id):
        current = reading.still_mine(claim, now=now)
        if current is not None:
            switch.needs_human(current, why="For 30 minutes the object could not be read back.", now=now)
    return None


def _touched(change: Change, seen: tuple[ActivityRow, ...]) -> str:
    """What the log says of a field that stands as before, as a sentence; "" where nobody has touched it. Sending the
    value again would then overwrite what somebody has decided after it."""
    if not seen:
        return ""
    last = max(seen, key=lambda row: row.at)
    if any(row.application_id == settings.META["app_id"] for row in seen):
        return f"Our request took effect, and by {last.at:%H:%M:%S} UTC it was set back to {change.before}."
    return (
        f"Somebody worked on it at {last.at:%H:%M:%S} UTC, after our request; it stands at {change.before}."
    )


def _pause(change: Change) -> timedelta:
    """While the first reads may still agree on the target: 3 s. After that Meta is asked less often."""
    seen = reading.newest(change, phase="verify")
    return reading.APART if seen is not None and seen.value == change.target else BACK_OFF


def _later(claim: Claim, *, now: datetime, at: datetime) -> datetime:
    reading.let_go(claim, not_before=at)
    return at


def _ours(change: Change) -> bool:
    """Whether any request of the change may have had an effect: where each was refused for certain, what stands there
    is somebody else's work, however well it fits."""
    return Attempt.everything.filter(change=change).exclude(outcome__in=exposure.HARMLESS).exists()


def _ended(claim: Claim, *, now: datetime, value: str, touched: str = "") -> datetime | None:
    """Two reads agree: write the verdict. `touched` says who had their hands on it since, if anybody had."""
    with ledger.locked(claim.change.ad_account_id):
        change = reading.still_mine(claim, now=now)
        if change is None:
            return None
        reading.store(change, value=value)
        point("settle.stored")
        due = _verdict(change, now=now, value=value, touched=touched)
        point("settle.judged")
    point("settle.ended")
    return due


def _verdict(change: Change, *, now: datetime, value: str, touched: str) -> datetime | None:
    """What two agreeing reads mean. Inside `locked`."""
    if value == change.target and not _ours(change):
        why = f"Somebody else set it to {value}, as was wanted; Meta had refused each request of ours."
        switch.superseded(change, value=value, now=now, why=why)
        return None
    if value == change.target:
        done: dict[str, Any] = {"applied_at": now, "error_text": "", "advice": ""}
        ledger.transition(change, to=S.APPLIED, now=now, **done, **ledger.free())
        alerts.close(client=change.client, key=f"change:{change.uuid}", now=now)
        return None
    if value == change.before and not touched:
        why = "It was read back, and the value has not changed."
        fields: dict[str, Any] = {"possibly_applied": False, "error_text": why}
        ledger.transition(change, to=S.NOT_APPLIED, now=now, note=why, **fields, **ledger.free(now))
        return now
    switch.superseded(change, value=value, now=now, why=touched)
    return None
