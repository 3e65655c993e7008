"""The ledger: one append-only, hash-chained list of lines per ad account, and the only place that moves a change.

    with locked(ad_account_id):      the head row of the account's chain: its changes move one by one
        transition(change, to=...)   states.check -> guarded UPDATE -> line -> (after commit) change_recorded
        record(...)                  a line without a transition: an edit made outside, a hold, the switch

A line's hash covers its canonical text and the hash before it; `verify` walks the chain. Lines hold ids of
people, never names; the text holds them sealed with the line's own salt, so that `forget_actor` can erase who did it
and the chain still proves what was done. Lock order everywhere: heads by
their account's number, then changes, then the client's headroom.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet

import campaigns.changes.consequences as consequences
from accounts.errors import NotFound
from accounts.models import AdAccount, User
from accounts.tenancy import Principal
from campaigns.changes.guards import Intent
from campaigns.errors import Closed
from campaigns.models import Change, ClientLock, LedgerHead, LedgerLine
from campaigns.signals import change_recorded
from campaigns.states import ChangeState, Direction, Field, Level, Source, check
from metaads.crash import point

#: What a line says, in the order in which it is written down for the hash.
COVERED: Final = (
    "seq",
    "at",
    "kind",
    "change",
    "state",
    "level",
    "object_id",
    "object_name",
    "field",
    "before",
    "after",
    "currency",
    "by",
    "actor",
    "application_id",
    "note",
    "build_id",
)


@dataclass(frozen=True)
class Actor:
    """Who did it: `by` person, key or system (ours), or outside, meta, other_app, us_outside; and the id of
    whom."""

    by: str
    actor_id: str = ""
    application_id: str = ""


SYSTEM = Actor(by="system")


def actor(principal: Principal | None) -> Actor:
    if principal is None or principal.user_id is None:
        return SYSTEM
    return Actor(by=principal.kind, actor_id=str(principal.user_id))


@contextmanager
def locked(ad_account_id: int) -> Iterator[LedgerHead]:
    """A transaction that has the account's chain to itself."""
    with transaction.atomic():
        yield _head(ad_account_id)


def _head(ad_account_id: int) -> LedgerHead:
    rows = LedgerHead.everything.select_for_update().filter(ad_account_id=ad_account_id)
    head: LedgerHead | None = rows.first()
    if head is None:
        client_id = AdAccount.everything.values_list("client_id", flat=True).get(pk=ad_account_id)
        LedgerHead.everything.get_or_create(ad_account_id=ad_account_id, defaults={"client_id": client_id})
        head = rows.get()
    return head


def lock_client(client_id: int) -> None:
    """Take the client's headroom for the rest of this transaction. After the heads, which come in the order of their
    accounts, and before nothing but reads: see `headroom`."""
    rows = ClientLock.everything.select_for_update().filter(client_id=client_id)
    if rows.first() is None:
        ClientLock.everything.get_or_create(client_id=client_id)
        rows.get()


@contextmanager
def locked_client(
    client_id: int, *, only: int | None = None, besides: int | None = None
) -> Iterator[list[int]]:
    """A transaction that has the chains of the client's ad accounts (`only` one of them; `besides` one that may not be
    switched on yet) and its headroom to itself; gives the accounts' ids."""
    with transaction.atomic():
        wanted = Q(enabled_at__isnull=False) | Q(pk=besides) if only is None else Q(pk=only)
        rows = AdAccount.everything.filter(wanted, client_id=client_id)
        ids = list(rows.order_by("pk").values_list("pk", flat=True))
        for pk in ids:
            _head(pk)
        lock_client(client_id)
        yield ids


def limit_set(
    *,
    client_id: int,
    ad_account_ids: list[int],
    by: Actor,
    now: datetime,
    what: str,
    before: str,
    after: str,
    currency: str = "",
    note: str = "",
    object_id: str = "",
    object_name: str = "",
) -> None:
    """A limit or a rule of approving is another one from here on: one line in each chain. Inside `locked_client`."""
    for pk in ad_account_ids:
        record(
            ad_account_id=pk, client_id=client_id, kind="limit", now=now, by=by, field=what[:40], before=before,
            after=after, currency=currency, note=note, object_id=object_id, object_name=object_name,
        )  # fmt: skip


def transition(
    change: Change,
    *,
    to: ChangeState,
    now: datetime,
    by: Actor = SYSTEM,
    note: str = "",
    **fields: Any,
) -> Change:
    """Move the change, write its line and announce it after commit. Call it inside `locked`.

    `fields` are further columns of the change. Raises `IllegalTransition` for a step that the table does not
    have, and `Closed` when somebody else has moved the change since it was read.
    """
    old = ChangeState(change.state)
    check(old, to)
    fields = {"state": to.value, "state_at": now, **fields}
    rows = Change.everything.filter(pk=change.pk, state=old.value)
    if not rows.update(**fields):
        raise Closed("Somebody else has moved this change in the meantime.")
    for name, value in fields.items():
        setattr(change, name, value)
    _recorded(change, to=to, now=now, by=by, note=note)
    return change


def free(not_before: datetime | None = None) -> dict[str, Any]:
    """The columns that a transition writes together with the state, to give the change back."""
    return {"lease_owner": "", "lease_until": None, "not_before": not_before}


def begin(change: Change, *, now: datetime, by: Actor, note: str = "") -> Change:
    """Write the first line of a new change (PROPOSED). Call it inside `locked`, right after its INSERT."""
    _recorded(change, to=ChangeState.PROPOSED, now=now, by=by, note=note)
    return change


def _recorded(change: Change, *, to: ChangeState, now: datetime, by: Actor, note: str) -> None:
    record(
        ad_account_id=change.ad_account_id,
        client_id=change.client_id,
        kind="change",
        now=now,
        by=by,
        change=change,
        state=to.value,
        level=change.level,
        object_id=change.object_id,
        object_name=change.object_name,
        field=change.field,
        before=change.before,
        after=change.target,
        currency=change.currency,
        note=note,
    )
    uuid, state, client_id = str(change.uuid), to.value, change.client_id
    # Robust: between a committed attempt and its POST no listener may come with an exception.
    transaction.on_commit(
        lambda: change_recorded.send_robust(sender=Change, change_id=uuid, state=state, client_id=client_id)
    )


def record(
    *,
    ad_account_id: int,
    client_id: int,
    kind: str,
    now: datetime,
    by: Actor,
    change: Change | None = None,
    activity_key: str | None = None,
    **fields: str,
) -> LedgerLine:
    """Append one line to the account's chain, inside the caller's transaction."""
    head = _head(ad_account_id)
    line = LedgerLine(
        client_id=client_id,
        ad_account_id=ad_account_id,
        seq=head.seq + 1,
        at=now,
        kind=kind,
        change=change,
        by=by.by,
        actor_id=by.actor_id,
        actor_salt=secrets.token_hex(16) if by.actor_id else "",
        application_id=by.application_id,
        build_id=settings.BUILD_ID,
        previous_hash=head.hash,
        activity_key=activity_key,
        **{name: _fitted(name, value) for name, value in fields.items()},
    )
    line.text = canonical_text(line, change_id=str(change.uuid) if change else "")
    line.hash = chained(head.hash, line.text)
    line.save(force_insert=True)
    point("ledger.line")
    LedgerHead.everything.filter(pk=head.pk).update(seq=line.seq, hash=line.hash)
    return line


def _fitted(name: str, value: str) -> str:
    most: int | None = getattr(LedgerLine._meta.get_field(name), "max_length", None)
    return value[:most] if most else value


def canonical_text(line: LedgerLine, *, change_id: str) -> str:
    """The line as one JSON text with sorted names: the same bytes on every machine."""
    said = {name: getattr(line, name) for name in COVERED if name not in ("at", "change", "actor")}
    said |= {"at": line.at.isoformat(), "change": change_id, "actor": _sealed(line)}
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _sealed(line: LedgerLine) -> str:
    """Who did it, for the text. Of an erased actor only the seal in the text is left, and it is taken as it stands."""
    if line.actor_salt:
        return hashlib.sha256(f"{line.actor_salt}\n{line.actor_id}".encode()).hexdigest()
    return str(json.loads(line.text).get("actor", "")) if line.text else ""


def chained(previous: str, text: str) -> str:
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


def verify(*, ad_account_id: int) -> list[str]:
    """Walk the account's chain; a sentence for each thing that is not as it was written. Empty: all is
    well."""
    wrong: list[str] = []
    previous, seq = "", 0
    rows = LedgerLine.everything.filter(ad_account_id=ad_account_id).select_related("change").order_by("seq")
    for line in rows.iterator(chunk_size=1000):
        if line.seq != seq + 1:
            wrong.append(f"Line {seq + 1} is missing.")
        if line.previous_hash != previous or line.hash != chained(line.previous_hash, line.text):
            wrong.append(f"Line {line.seq} does not follow from the line before it.")
        if line.text != canonical_text(line, change_id=str(line.change.uuid) if line.change else ""):
            wrong.append(f"Line {line.seq} says something else than was sealed.")
        previous, seq = line.hash, line.seq
    head = LedgerHead.everything.filter(ad_account_id=ad_account_id).first()
    if (head.seq, head.hash) != (seq, previous) if head else seq:
        wrong.append("The chain does not end where its head says.")
    return wrong


def forget_actor(*, actor_id: str, by: frozenset[str]) -> int:
    """Erase one person from the lines that name them as `by` (see `Actor`); how many. What was done stays, and the
    chain still proves it. The triggers let exactly this pass, in a transaction with a permit."""
    with transaction.atomic(), connection.cursor() as cursor:
        reason = f"a person is forgotten {secrets.token_hex(8)}"
        cursor.execute("INSERT INTO campaigns_permit VALUES (%s)", [reason])
        erased = LedgerLine.everything.filter(actor_id=actor_id, by__in=by).update(actor_id="", actor_salt="")
        cursor.execute("DELETE FROM campaigns_permit WHERE reason = %s", [reason])
    return erased


def lines(
    principal: Principal, *, ad_account: AdAccount | None = None, change: Change | None = None
) -> QuerySet[LedgerLine]:
    """Lines that `principal` may see, newest first; of one ad account, or of one change, on demand."""
    rows = LedgerLine.objects.for_(principal).select_related("ad_account", "client", "change")
    if ad_account is not None:
        rows = rows.filter(ad_account=ad_account)
    if change is not None:
        rows = rows.filter(change=change)
    return rows


def change(principal: Principal, uuid: str) -> Change:
    """The change, if it is the principal's to see."""
    found: Change | None = changes(principal).filter(uuid=uuid).first()
    if found is None:
        raise NotFound("There is no such change.")
    return found


def changes(principal: Principal) -> QuerySet[Change]:
    """Changes that `principal` may see, newest first."""
    return Change.objects.for_(principal).select_related(
        "client", "ad_account", "requested_by", "approved_by"
    )


def batch_exists(batch: str) -> bool:
    """Whether anything was ever filed under this number, whoever may see it."""
    return Change.everything.filter(batch=batch).exists()


def batch_digest(batch: str, waiting: Iterable[Change]) -> str:
    """What one approval of a batch is pinned to: every change that waits; empty when none does."""
    said = "\n".join(sorted(one.digest for one in waiting))
    return hashlib.sha256(f"{batch}\n{said}".encode()).hexdigest() if said else ""


_ENDS: Final = {
    ChangeState.PROPOSED: "it waits for approval",
    ChangeState.APPROVED: "it is about to be sent",
    ChangeState.PREPARING: "Meta is being asked what stands there now",
    ChangeState.SENDING: "it is being sent",
    ChangeState.ACKED: "Meta took it; it is not confirmed yet",
    ChangeState.UNKNOWN: "Meta did not answer; it may still take effect, and is read back before anything else is done",
    ChangeState.THROTTLED: "Meta asked us to wait; it goes on by itself",
    ChangeState.HELD_AUTH: "Meta did not accept the connection; it goes on after reconnecting",
    ChangeState.VERIFYING: "it is being read back",
    ChangeState.NOT_APPLIED: "it had no effect; the same value is sent again",
    ChangeState.APPLIED: "it is applied, and was read back",
    ChangeState.SUPERSEDED: "somebody else changed the value meanwhile, so we stopped",
    ChangeState.NEEDS_HUMAN: "a person has to look",
    ChangeState.FAILED: "it failed",
    ChangeState.REJECTED: "it was rejected",
    ChangeState.EXPIRED: "it expired unsent",
    ChangeState.NOOP: "nothing had to be sent, since it was so already",
}


def cannot_be_undone(change: Change) -> tuple[str, ...]:
    """What an undo of the change will not bring back, as sentences for whoever is to approve it."""
    return consequences.cannot_be_undone(
        Intent(
            level=Level(change.level),
            field=Field(change.field),
            before=change.before,
            target=change.target,
            currency=change.currency,
            source=Source(change.source),
        )
    )


def story(change: Change) -> str:
    """The change in one sentence: who, what, from what to what, why, who approved, and how it ended."""
    who = {"strategy": "A strategy", "watchdog": "The watchdog"}.get(change.source) or _name(
        change.requested_by
    )
    sentence = f"{who} asked to {_what(change)}"
    if change.reason:
        sentence += f" ({change.reason.rstrip('.')})"
    if change.approved_at:
        sentence += f"; approved by {_name(change.approved_by) if change.approved_by else 'a policy'}"
        if change.approval_policy:
            sentence += f" under the policy “{change.approval_policy}”"
    if change.attempts:
        sentence += f"; sent {'once' if change.attempts == 1 else f'{change.attempts} times'}"
    ending = _ENDS[ChangeState(change.state)]
    detail = f": {change.error_text.rstrip('.')}" if change.error_text else ""
    return f"{sentence}; {ending}{detail}."


def _what(change: Change) -> str:
    name = f"the {Level(change.level).words} “{change.object_name or change.object_id}”"
    if change.direction is Direction.STOP:
        return f"pause {name}"
    if change.direction is Direction.START:
        return f"start {name}"
    if change.field == Field.NAME:
        return f"rename {name} to “{change.target}”"
    if Field(change.field).is_time:
        words = Field(change.field).words
        return f"move the {words} of {name} from {change.before or 'none'} to {change.target}"
    verb = "raise" if change.direction is Direction.RAISE else "cut"
    words = Field(change.field).words
    return f"{verb} the {words} of {name} from {change.before} to {change.target} {change.currency}"


def _name(user: User | None) -> str:
    return str(user) if user else "Somebody who has left"
