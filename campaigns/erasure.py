"""What this floor holds about a Meta user who asked to be forgotten: their number in lines of the ledger.

    pending deletion -> changes of their ad accounts still on the way?   wait: reading back or a person ends them
                        held because Meta refused the token for a day    no more waiting for a reconnect: read back
                     -> who did it is erased from ledger lines (the chain still holds) -> Meta's words are scrubbed
                     -> part_done

Nothing new leaves in that time: the connection is *deleting* and has no token. What was sent before must come to a
known end first, since its connection is part of what tells which ad account to read.
Changes that need a person are not waited for: they have come to rest, and the line that says so stays.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import QuerySet

import accounts.deletions as deletions
import campaigns.changes.ledger as ledger
from accounts.models import AdAccount, ConnectionState, UserRequest
from campaigns.models import Change, SyncRun
from campaigns.states import OPEN, ChangeState

PART: Final = "campaigns"
WORDS: Final = (
    "Your Facebook ID in the record of changes. This waits until every change that was sent through your connection "
    "has a known outcome"
)
#: Words of a ledger line (`by`) under which `actor_id` is a Meta user; under the others it is one of our own people.
META_USERS: Final = frozenset({"outside", "meta", "other_app", "us_outside", "us_late"})
#: So long a change that Meta refused may wait for somebody who connects the ad account again.
PATIENCE: Final = timedelta(hours=24)
_ON_THE_WAY: Final = tuple(state.value for state in OPEN - {ChangeState.NEEDS_HUMAN})


def sweep(*, now: datetime) -> int:
    """Do this floor's part of every deletion that may go on; how many parts were done."""
    done = 0
    for request in deletions.pending(part=PART):
        moving = on_the_way(request)
        if moving.exists():
            _hurry(moving, request=request, now=now)
            continue
        ledger.forget_actor(actor_id=request.meta_user_id, by=META_USERS)
        number = request.meta_user_id
        deletions.scrub(Change.everything.all(), columns=("error_text", "advice"), meta_user_id=number)
        deletions.scrub(SyncRun.everything.all(), columns=("error_text", "advice"), meta_user_id=number)
        deletions.part_done(request=request, part=PART, now=now)
        done += 1
    return done


def on_the_way(request: UserRequest) -> QuerySet[Change]:
    """Changes that were sent, or are about to be, through a connection that is being deleted."""
    theirs = AdAccount.everything.filter(
        connection__meta_user_id=request.meta_user_id, connection__state=ConnectionState.DELETING
    )
    rows: QuerySet[Change] = Change.everything.filter(ad_account__in=theirs, state__in=_ON_THE_WAY)
    return rows


def _hurry(moving: QuerySet[Change], *, request: UserRequest, now: datetime) -> None:
    """Nobody reconnected in a day: read back what can be read; what cannot goes to a person within half an hour."""
    if now - request.received_at < PATIENCE:
        return
    for change in moving.filter(state=ChangeState.HELD_AUTH.value).order_by("pk"):
        with ledger.locked(change.ad_account_id):
            held = moving.filter(pk=change.pk, state=ChangeState.HELD_AUTH.value).first()
            if held is not None:
                why = (
                    "The Meta user who connected the ad account asked to be forgotten; nobody reconnected it."
                )
                ledger.transition(held, to=ChangeState.VERIFYING, now=now, note=why, **ledger.free(now))
