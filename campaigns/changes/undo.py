"""Undo an applied change: a new change back to exactly what stood there before.

Refused while the change is still being verified, when it is not the last one of its field, and when somebody has
touched the value since (both values are shown). Pressing it twice files it once. Money that was spent meanwhile and
a learning phase that started again cannot be undone.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Final

import campaigns.changes.request as request
import campaigns.diff as diff
import campaigns.queries as queries
from accounts.tenancy import Principal
from campaigns.errors import Closed, Moved
from campaigns.models import Change
from campaigns.states import ChangeState, Field, Level, Source

#: An undo that ended like this did nothing: it may be filed once more.
_ASK_AGAIN: Final = (ChangeState.REJECTED, ChangeState.EXPIRED, ChangeState.FAILED)


def undo(*, change: Change, principal: Principal, now: datetime, batch: uuid.UUID | None = None) -> Change:
    """File the opposite of `change`. It starts PROPOSED, like every change."""
    earlier = list(Change.objects.of(change.client_id).filter(undo_of=change).order_by("created_at", "pk"))
    if earlier and earlier[-1].state not in _ASK_AGAIN:
        found: Change = earlier[-1]
        return found
    if change.state != ChangeState.APPLIED:
        raise Closed("Only an applied change can be undone.", advice="Wait until this one has ended.")
    later = Change.objects.of(change.client_id).filter(
        object_id=change.object_id,
        field=change.field,
        state=ChangeState.APPLIED.value,
        applied_at__gt=change.applied_at,
    )
    if later.exists():
        raise Closed("A later change of the same field was applied.", advice="Undo the later one first.")
    if not change.before:
        raise Closed(
            "There was nothing set before this change, so nothing can be set back.",
            advice="File a new change, or take the value away in Ads Manager.",
        )
    obj = queries.stored(ad_account=change.ad_account, level=Level(change.level), object_id=change.object_id)
    stands = diff.written(getattr(obj, change.field, None)) if obj is not None else ""
    if stands != change.target:
        raise Moved(
            f"It is {stands or 'gone'} by now, not {change.target} as this change left it.",
            advice="Somebody else changed it. File a new change if you still want another value.",
        )
    return request.file(
        principal=principal,
        ad_account=change.ad_account,
        level=Level(change.level),
        object_id=change.object_id,
        field=Field(change.field),
        target=change.before,
        reason=f"Undo: {change.reason}".strip(": "),
        source=Source.UNDO,
        key=f"undo:{change.uuid}" + (f":{len(earlier)}" if earlier else ""),
        evidence=None,
        undo_of=change,
        batch=batch,
        now=now,
    )
