"""Read an ad account's structure and make the stored tree equal to it.

    ad account row ─> accounts.ad_accounts.refresh_from
    campaigns, ad sets, ads, creatives: pages stream ─> mapping ─> diff (pure)
    activity log since the last run ─> who did what
    one transaction: rows, tombstones (after a complete read only), ledger lines of edits made outside, SyncRun

An edit made outside becomes a ledger line, attributed by the activity log: a person, another app, Meta itself, or
our app without a change of ours. Where it touches a status or budget that we are changing, or changed in the last
24 hours, the object is held and waiting changes that rest on the old value expire: the human wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any, Final

import accounts.ad_accounts as ad_accounts
import accounts.tokens as tokens
import campaigns.changes.headroom as headroom
import campaigns.changes.ledger as ledger
import campaigns.changes.outside as outside
import campaigns.mapping as mapping
import metaads.graph.fields as asked
from accounts.errors import NoConnection
from accounts.models import AdAccount
from campaigns.diff import Diff, diff, written
from campaigns.mapping import ActivityRow, ObjectRow
from campaigns.models import Ad, AdSet, Campaign, Change, Creative, Observation, SyncRun, SyncState
from campaigns.states import ChangeState, Field, Level
from metaads.graph.client import GraphClient
from metaads.graph.errors import GraphError
from metaads.quota import Blocked

Progress = Callable[[str, int], None]

#: How far back the first run looks into the activity log (Meta's own default is a week).
FIRST_LOOK: Final = timedelta(days=7)
#: The log may be written a little after the edit; lines seen before are told by their key.
OVERLAP: Final = timedelta(minutes=15)
#: How far a copy of Meta's may lag behind a write that was confirmed by another one.
LAG: Final = timedelta(minutes=2)


@dataclass(frozen=True)
class Kind:
    """One kind of object: its edge, what is asked for, how a row is mapped, where it is stored."""

    name: str
    edge: str
    fields: tuple[str, ...]
    mapped: Callable[..., ObjectRow]
    model: type[Any]
    level: Level | None


KINDS: Final = (
    Kind("campaigns", "campaigns", asked.CAMPAIGN, mapping.campaign, Campaign, Level.CAMPAIGN),
    Kind("ad sets", "adsets", asked.AD_SET, mapping.ad_set, AdSet, Level.AD_SET),
    Kind("creatives", "adcreatives", asked.CREATIVE, mapping.creative, Creative, None),
    Kind("ads", "ads", asked.AD, mapping.ad, Ad, Level.AD),
)


@dataclass
class Read:
    """What came from Meta in one run; `error` says why it is not all."""

    rows: dict[str, dict[str, ObjectRow]] = field(default_factory=dict)
    activities: list[ActivityRow] = field(default_factory=list)
    activities_read: bool = False
    error: str = ""
    advice: str = ""

    @property
    def complete(self) -> bool:
        return not self.error and len(self.rows) == len(KINDS)


def run(
    *,
    ad_account: AdAccount,
    now: datetime,
    progress: Progress | None = None,
    clock: Callable[[], datetime] | None = None,
) -> SyncRun:
    """Sync the account once. Trouble at Meta does not raise: it is on the run (partial or failed, with advice), what
    was read is kept, and the next run goes on. Raises `NoConnection` when there is no token to read with. `clock`
    tells when it ended (without it: `now`)."""
    tell = progress or (lambda sentence, done: None)
    client = tokens.reader(ad_account)
    read = _read(client, ad_account, now=now, tell=tell)
    tell("Storing the structure", len(KINDS) + 1)
    with ledger.locked(ad_account.pk):
        done = _stored(ad_account, read, now=now, ended=clock() if clock else now)
    if done.state == SyncState.COMPLETE:
        # After the account's chain is free again: a client's cap is a line in all of its chains. Until then nothing
        # may spend more, and a run that was killed here leaves it to the next one.
        headroom.ensure_defaults(ad_account=ad_account, now=now)
    return done


def last_good(ad_account: AdAccount) -> SyncRun | None:
    """The last complete structure read."""
    rows = SyncRun.objects.of(ad_account.client_id).filter(ad_account=ad_account, state=SyncState.COMPLETE)
    found: SyncRun | None = rows.order_by("-started_at", "-pk").first()
    return found


def _read(client: GraphClient, ad_account: AdAccount, *, now: datetime, tell: Progress) -> Read:
    read = Read()
    try:
        row = client.node(ad_account.act_id, asked.AD_ACCOUNT)
        ad_accounts.refresh_from(ad_account=ad_account, row=row, now=now)
        for done, kind in enumerate(KINDS):
            tell(f"Reading {kind.name}", done)
            read.rows[kind.name] = _rows(client, ad_account, kind)
        tell("Reading the activity log", len(KINDS))
        read.activities = _activities(client, ad_account, now=now)
        read.activities_read = True
    except GraphError as error:
        read.error = str(error)
        read.advice = error.answer.advice
    except Blocked as blocked:
        read.error, read.advice = str(blocked), "The next run goes on by itself."
    except NoConnection as gone:
        # The connection ended on the way: what was read before is kept.
        read.error, read.advice = gone.message, gone.advice
    except mapping.Malformed as odd:
        read.error, read.advice = f"Meta sent {odd}.", "The next run reads it again."
    return read


def _rows(client: GraphClient, ad_account: AdAccount, kind: Kind) -> dict[str, ObjectRow]:
    found = _edge(client, ad_account, kind)
    if (
        not found
        and kind.model.objects.of(ad_account.client_id)
        .filter(ad_account=ad_account, removed_at=None)
        .exists()
    ):
        # Everything gone at once: Meta answers so, too, when it has a bad minute. Two reads have to say it.
        found = _edge(client, ad_account, kind)
    return found


def _edge(client: GraphClient, ad_account: AdAccount, kind: Kind) -> dict[str, ObjectRow]:
    rows = client.edge(ad_account.act_id, kind.edge, fields=kind.fields)
    mapped = (kind.mapped(row, currency=ad_account.currency) for row in rows)
    return {row.meta_id: row for row in mapped}


def _activities(client: GraphClient, ad_account: AdAccount, *, now: datetime) -> list[ActivityRow]:
    since = now - FIRST_LOOK
    rows = SyncRun.objects.of(ad_account.client_id).filter(
        ad_account=ad_account, activities_until__isnull=False
    )
    before = rows.order_by("-activities_until").first()
    if before is not None and before.activities_until is not None:
        since = max(since, before.activities_until - OVERLAP)
    params = {"since": int(since.timestamp()), "until": int(now.timestamp()) + 1}
    lines = client.edge(ad_account.act_id, "activities", fields=asked.ACTIVITY, params=params)
    mapped = (mapping.activity(line, currency=ad_account.currency) for line in lines)
    return sorted((line for line in mapped if line is not None), key=lambda line: (line.at, line.key))


# --- storing


def _stored(ad_account: AdAccount, read: Read, *, now: datetime, ended: datetime) -> SyncRun:
    newer = SyncRun.objects.of(ad_account.client_id).filter(ad_account=ad_account, started_at__gt=now)
    overtaken: SyncRun | None = newer.exclude(state=SyncState.FAILED).order_by("-started_at").first()
    if overtaken is not None:
        # Two reads overlapped: what this one saw is older than what is stored, and would turn edits back.
        return overtaken
    created = changed = removed = 0
    edits: list[outside.Found] = []
    first = last_good(ad_account) is None
    for kind in KINDS:
        fetched = read.rows.get(kind.name)
        if fetched is None:
            continue
        found = _store_kind(ad_account, kind, fetched, complete=read.complete, now=now)
        created += len(found.created)
        changed += len(found.changed)
        removed += len(found.removed)
        if kind.level is not None:
            edits += [outside.Found(level=kind.level, edit=edit) for edit in found.edits]
    noted = 0
    if not first:
        noted = outside.note(ad_account=ad_account, activities=read.activities, edits=edits, now=now)
    if read.complete:
        state = SyncState.COMPLETE
    else:
        state = SyncState.PARTIAL if read.rows else SyncState.FAILED
    if read.rows:
        ad_accounts.heard(ad_account_id=ad_account.pk, now=now)
    done: SyncRun = SyncRun.everything.create(
        client_id=ad_account.client_id,
        ad_account=ad_account,
        state=state,
        started_at=now,
        finished_at=ended,
        activities_until=now if read.activities_read else None,
        seen=sum(len(rows) for rows in read.rows.values()),
        created=created,
        changed=changed,
        removed=removed,
        edits=noted,
        error_text=read.error[:500],
        advice=read.advice[:500],
    )
    return done


def _store_kind(
    ad_account: AdAccount, kind: Kind, fetched: Mapping[str, ObjectRow], *, complete: bool, now: datetime
) -> Diff[Any]:
    objects = {
        obj.meta_id: obj for obj in kind.model.objects.of(ad_account.client_id).filter(ad_account=ad_account)
    }
    parents = _parents(ad_account) if kind.level in (Level.AD_SET, Level.AD) else {}
    fetched = {key: row for key, row in fetched.items() if _has_parents(row, parents)}
    by_pk = {model: {pk: meta_id for meta_id, pk in ids.items()} for model, ids in parents.items()}
    stored = {key: _as_row(obj, kind, by_pk) for key, obj in objects.items() if obj.removed_at is None}
    fetched = _newer_kept(ad_account, fetched, stored, started=now)
    found: Diff[Any] = diff(stored=stored, fetched=fetched, complete=complete)
    columns = _columns(kind)
    new = [row for row in found.created if row.meta_id not in objects]
    again = [row for row in found.created if row.meta_id in objects]
    kind.model.everything.bulk_create(
        [
            kind.model(
                client_id=ad_account.client_id, ad_account=ad_account, seen_at=now, **_values(row, parents)
            )
            for row in new
        ],
        batch_size=200,
    )
    moved = []
    for row in (*found.changed, *again):
        obj = objects[row.meta_id]
        for name, value in _values(row, parents).items():
            setattr(obj, name, value)
        obj.removed_at = None
        moved.append(obj)
    kind.model.everything.bulk_update(moved, [*columns, "removed_at"], batch_size=100)
    mine = kind.model.everything.filter(ad_account=ad_account)
    for ids in _slices(found.removed):
        mine.filter(meta_id__in=ids).update(removed_at=now)
    if complete:
        mine.filter(removed_at__isnull=True).update(seen_at=now)
    return found


def _newer_kept(
    ad_account: AdAccount,
    fetched: Mapping[str, ObjectRow],
    stored: Mapping[str, ObjectRow],
    *,
    started: datetime,
) -> dict[str, ObjectRow]:
    """What our own changes have read back since this run began is newer than what the run read: it stays, and the
    next run compares it. So does what they confirmed a moment before, where the run has read what stood there before
    them: a copy of Meta's that lags says so. Had somebody set it back, the activity log tells."""
    rows = Observation.objects.of(ad_account.client_id).filter(
        change__ad_account=ad_account, at__gt=started, error_text=""
    )
    kept = dict(fetched)
    newer = set(rows.values_list("change__object_id", "change__field"))
    applied = Change.objects.of(ad_account.client_id).filter(
        ad_account=ad_account, state=ChangeState.APPLIED, applied_at__gt=started - LAG
    )
    for object_id, name, before in applied.values_list("object_id", "field", "before"):
        if object_id in kept and written(getattr(kept[object_id], name)) == before:
            newer.add((object_id, name))
    for object_id, name in newer:
        if object_id not in kept or object_id not in stored:
            continue
        names = ("status", "effective_status", "known") if name == Field.STATUS else (name,)
        values: dict[str, Any] = {one: getattr(stored[object_id], one) for one in names}
        kept[object_id] = replace(kept[object_id], **values)
    return kept


def _slices(ids: Iterable[str], size: int = 500) -> Iterable[list[str]]:
    """SQLite takes a limited number of values in one statement."""
    every = list(ids)
    return (every[start : start + size] for start in range(0, len(every), size))


def _parents(ad_account: AdAccount) -> dict[type[Any], dict[str, int]]:
    """Meta id -> our key of everything that others point at; removed ones too."""
    return {
        model: dict(
            model.objects.of(ad_account.client_id).filter(ad_account=ad_account).values_list("meta_id", "pk")
        )
        for model in (Campaign, AdSet, Creative)
    }


_POINTS_AT: Final[Mapping[str, tuple[str, type[Any]]]] = {
    "campaign_id": ("campaign_id", Campaign),
    "ad_set_id": ("ad_set_id", AdSet),
    "creative_id": ("creative_id", Creative),
}


def _has_parents(row: ObjectRow, parents: Mapping[type[Any], Mapping[str, int]]) -> bool:
    """An object whose campaign or ad set we have never seen (created between two edges) waits for the next run."""
    for name in ("campaign_id", "ad_set_id"):
        if hasattr(row, name) and getattr(row, name) not in parents[_POINTS_AT[name][1]]:
            return False
    return True


def _values(row: ObjectRow, parents: Mapping[type[Any], Mapping[str, int]]) -> dict[str, Any]:
    """The row's fields as columns of its model."""
    values: dict[str, Any] = {}
    for one in fields(row):
        value = getattr(row, one.name)
        if one.name in _POINTS_AT:
            column, model = _POINTS_AT[one.name]
            values[column] = parents[model].get(value)
        else:
            values[one.name] = value
    return values


def _as_row(obj: Any, kind: Kind, by_pk: Mapping[type[Any], Mapping[int, str]]) -> ObjectRow:
    values: dict[str, Any] = {}
    for one in fields(_row_type(kind)):
        value = getattr(obj, one.name)
        if one.name in _POINTS_AT:
            value = by_pk[_POINTS_AT[one.name][1]].get(value, "")
        values[one.name] = value
    row: ObjectRow = _row_type(kind)(**values)
    return row


def _row_type(kind: Kind) -> Any:
    return {
        Campaign: mapping.CampaignRow,
        AdSet: mapping.AdSetRow,
        Ad: mapping.AdRow,
        Creative: mapping.CreativeRow,
    }[kind.model]


def _columns(kind: Kind) -> list[str]:
    names = [one.name for one in fields(_row_type(kind))]
    return [_POINTS_AT[name][0] if name in _POINTS_AT else name for name in names if name != "meta_id"]
