"""Looking at Meta before and after a write, and who may work on a change right now.

    claim     one conditional UPDATE: the lease is free and the time has come -> mine, with a new fence
    look      one read of the object -> an Observation row (a failure to read is one too)
    agreed    the value that two reads, at least 3 s apart, say alike; None: look again later
    traces    what Meta's activity log has of the field since the last attempt: a value that stands as before may
              have been ours for a moment

Nobody sleeps: the pause between two reads is `not_before` on the change. No call is made inside a transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import F, Q

import accounts.tokens as tokens
import campaigns.mapping as mapping
import campaigns.queries as queries
import metaads.graph.fields as asked
from accounts.errors import Refused
from campaigns.mapping import ActivityRow
from campaigns.models import Ad, AdSet, Attempt, Campaign, Change, Observation
from campaigns.states import ChangeState, Direction, Field, Level
from metaads.graph.errors import GraphError
from metaads.quota import Blocked

Clock = Callable[[], datetime]

APART: Final = timedelta(seconds=3)
#: Reads older than this say nothing about what stands there now.
FRESH: Final = timedelta(seconds=60)
LEASE: Final = timedelta(seconds=60)
FIELDS: Final = ("id", "account_id", "name", "status", "effective_status", "daily_budget", "lifetime_budget")


@dataclass(frozen=True)
class Claim:
    """The right to work on a change until `until`; `fence` has to be still its own when the work is written."""

    change: Change
    fence: int
    owner: str


def claim(uuid_: str, *, states: Iterable[ChangeState], now: datetime) -> Claim | None:
    """Take the change if it is in one of `states`, due, and nobody has it. None: somebody else's, or not due."""
    owner = uuid.uuid4().hex
    rows = Change.everything.filter(
        Q(lease_until__isnull=True) | Q(lease_until__lte=now),
        Q(not_before__isnull=True) | Q(not_before__lte=now),
        uuid=uuid_,
        state__in=[state.value for state in states],
    )
    if not rows.update(lease_owner=owner, lease_until=now + LEASE, fence=F("fence") + 1):
        return None
    change = (
        Change.everything.select_related("client", "ad_account").filter(uuid=uuid_, lease_owner=owner).first()
    )
    return Claim(change=change, fence=change.fence, owner=owner) if change is not None else None


def still_mine(claim: Claim, *, now: datetime) -> Change | None:
    """The change as it is now, if the claim still holds. Call it inside `ledger.locked`."""
    rows = Change.everything.select_for_update(of=("self",)).select_related("client", "ad_account")
    found: Change | None = rows.filter(
        pk=claim.change.pk, fence=claim.fence, lease_owner=claim.owner, lease_until__gt=now
    ).first()
    return found


def let_go(claim: Claim, *, not_before: datetime | None, **fields: Any) -> None:
    """Give the change back and say when it is due again; nothing happens when somebody else has it by now."""
    Change.everything.filter(pk=claim.change.pk, fence=claim.fence).update(
        lease_owner="", lease_until=None, not_before=not_before, **fields
    )


def look(change: Change, *, phase: str, clock: Clock) -> Observation:
    """Read the object once and keep what was seen. A failure becomes an observation with its reason."""
    value, error_text = "", ""
    account = change.ad_account
    try:
        use = "pause_read" if phase == "prepare" and change.direction is Direction.STOP else "verify"
        node = tokens.reader(account, use=use).node(
            change.object_id, _fields(Level(change.level), change.field)
        )
        if (
            str(node.get("id")) != change.object_id
            or str(node.get("account_id", account.meta_id)) != account.meta_id
        ):
            error_text = "Meta answered with another object."
        else:
            value = mapping.value_of(node, Field(change.field), currency=change.currency)
            if change.field in (Field.STATUS, Field.NAME) and not value:
                error_text = f"Meta answered without a {change.field}."
            if Field(change.field).is_money and not mapping.legible(node.get(change.field), change.currency):
                error_text = f"Meta answered with a {Field(change.field).words} that cannot be read."
    except GraphError as error:
        error_text = str(error)
    except (Blocked, Refused) as error:
        error_text = str(error)
    seen: Observation = Observation.everything.create(
        client_id=change.client_id,
        change=change,
        attempt=change.attempts,
        phase=phase,
        at=clock(),
        value=value,
        error_text=error_text[:300],
    )
    return seen


def _fields(level: Level, field: str) -> tuple[str, ...]:
    names = tuple(name for name in FIELDS if level is not Level.AD or not name.endswith("_budget"))
    return names if field in names else (*names, field)


def agreed(change: Change, *, phase: str, since: datetime) -> str | None:
    """What the reads since then say, if the last one and one at least 3 s before it agree, and none in between
    differs. "" is a value too: the object has not got this field any more."""
    rows = Observation.everything.filter(
        change=change, phase=phase, attempt=change.attempts, at__gte=since, error_text=""
    ).order_by("-at", "-id")
    last: Observation | None = None
    for seen in rows[:50]:
        if last is None:
            last = seen
        elif seen.value != last.value:
            return None
        elif last.at - seen.at >= APART:
            return last.value
    return None


def newest(change: Change, *, phase: str) -> Observation | None:
    """The last read that succeeded since the last attempt."""
    rows = Observation.everything.filter(change=change, phase=phase, attempt=change.attempts, error_text="")
    found: Observation | None = rows.order_by("-at", "-id").first()
    return found


def unreadable_since(change: Change, *, phase: str) -> datetime | None:
    """Since when no read has succeeded; None when the last one did."""
    rows = Observation.everything.filter(change=change, phase=phase, attempt=change.attempts)
    last_good = rows.filter(error_text="").order_by("-at").first()
    failed = rows.exclude(error_text="")
    if last_good is not None:
        failed = failed.filter(at__gt=last_good.at)
    first = failed.order_by("at").first()
    return first.at if first is not None else None


def delisted(change: Change) -> bool:
    """Whether a complete read of the account has not found the object any more. One refusal to read it proves
    nothing (code 100/33 says missing, hidden or unsupported); together they do."""
    obj = queries.stored(ad_account=change.ad_account, level=Level(change.level), object_id=change.object_id)
    return obj is not None and obj.removed_at is not None


def traces(change: Change, *, clock: Clock) -> tuple[ActivityRow, ...] | None:
    """What was done to the change's field since its last attempt, by us or by anybody, from Meta's activity log;
    None: it could not be read. The log is in whole seconds."""
    since = (
        Attempt.everything.filter(change=change).order_by("-n").values_list("committed_at", flat=True).first()
    )
    if since is None:
        return ()
    since, account = since.replace(microsecond=0), change.ad_account
    params = {"since": int(since.timestamp()), "until": int(clock().timestamp()) + 1}
    try:
        client = tokens.reader(account, use="verify")
        lines = list(client.edge(account.act_id, "activities", fields=asked.ACTIVITY, params=params))
    except (GraphError, Blocked, Refused) as error:
        Observation.everything.create(
            client_id=change.client_id,
            change=change,
            attempt=change.attempts,
            phase="log",
            at=clock(),
            error_text=str(error)[:300],
        )
        return None
    rows = [mapping.activity(line, currency=change.currency) for line in lines]
    return tuple(
        row
        for row in rows
        if row is not None
        and row.object_id == change.object_id
        and row.field is not None
        and row.field.family == Field(change.field).family
        and row.at >= since
    )


def store(change: Change, *, value: str) -> None:
    """Write what was read twice into the stored tree, so that pages and the next sync start from it."""
    model: type[Campaign] | type[AdSet] | type[Ad] = queries.MODELS[Level(change.level)]
    rows = model.everything.filter(ad_account_id=change.ad_account_id, meta_id=change.object_id)
    if change.field == Field.STATUS or value in mapping.GONE:
        # The effective status follows by itself at Meta; where it equalled the status, it does so here too.
        rows.filter(effective_status=F("status")).update(effective_status=value)
        rows.update(status=value)
    elif change.field == Field.NAME:
        rows.update(name=value)
    elif not value:
        rows.update(**{change.field: None})
    elif Field(change.field).is_time:
        rows.update(**{change.field: datetime.fromisoformat(value)})
    else:
        rows.update(**{change.field: Decimal(value)})
