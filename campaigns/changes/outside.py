"""Edits that were not ours: found by the structure read and by Meta's activity log, written into the ledger.

    activity line   our app and an attempt of ours with that value     nothing: the change has its own lines
                    our app, but the change had ended otherwise        "us_late": it landed after all; alert, hold
                    our app, no such attempt                           "us_outside"
                    another app | no actor | a person                  "other_app" | "meta" | "outside"
    structure edit  not explained by any of these                      "unknown"

Where such an edit touches a status or budget that we are changing, or wrote in the last 24 hours, the object is held,
and waiting changes that rest on the old value expire. A human edit while our write is in flight cannot be
prevented (Meta has no compare-and-set); it is found here and said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

import accounts.alerts as alerts
import campaigns.changes.ledger as ledger
import campaigns.changes.switch as switch
import campaigns.queries as queries
from accounts.models import AdAccount
from campaigns.changes.ledger import Actor
from campaigns.diff import Edit
from campaigns.mapping import ActivityRow
from campaigns.models import Attempt, Change, LedgerLine
from campaigns.states import IN_DOUBT, OPEN, WAITING, ChangeState, Field, Level

RECENT: Final = timedelta(hours=24)
#: How far Meta's clock and ours may be apart.
SKEW: Final = timedelta(seconds=60)
_MONEY: Final = frozenset({Field.DAILY_BUDGET, Field.LIFETIME_BUDGET})


@dataclass(frozen=True)
class Found:
    """An edit of the structure diff, with the level of its object."""

    level: Level
    edit: Edit


def note(
    *, ad_account: AdAccount, activities: Sequence[ActivityRow], edits: Sequence[Found], now: datetime
) -> int:
    """Write what was done outside into the ledger; returns how many lines. Call it inside `ledger.locked`."""
    keys = [line.key for line in activities]
    known = set(
        LedgerLine.objects.of(ad_account.client_id)
        .filter(ad_account=ad_account, activity_key__in=keys)
        .values_list("activity_key", flat=True)
    )
    # (object, field, value that the log names; "" where it names none)
    explained: set[tuple[str, str, str]] = set()
    written = 0
    names = {found.edit.object_id: found.edit.name for found in edits}
    for line in activities:
        if line.level is None:
            continue
        explained.add((line.object_id, _family(line.field), line.after))
        if line.key in known:
            continue
        by = _by(ad_account, line)
        if by is None:
            continue
        known.add(
            line.key
        )  # a page that shifted brings a line twice, and two like edits of one second look alike
        name = names.get(line.object_id) or _stored_name(ad_account, line.level, line.object_id)
        _record(ad_account, line, by, name, now)
        written += 1
    for found in edits:
        edit = found.edit
        what = (edit.object_id, _family_of(edit.field))
        if {(*what, edit.after), (*what, "")} & explained or _by_us(ad_account, edit, now):
            continue
        _line(
            ad_account,
            found.level,
            edit,
            Actor(by="unknown"),
            "Seen in the structure; the log has no line for it.",
            now,
        )
        written += 1
    return written


def _stored_name(ad_account: AdAccount, level: Level, object_id: str) -> str:
    """The log names no object; where our own read saw the new value first, the diff does not either."""
    obj = queries.stored(ad_account=ad_account, level=level, object_id=object_id)
    return obj.name if obj is not None else ""


def _family(field: Field | None) -> str:
    return "budget" if field in _MONEY else field.value if field else ""


def _family_of(name: str) -> str:
    return "budget" if name.endswith("_budget") else name


def _by(ad_account: AdAccount, line: ActivityRow) -> Actor | None:
    """Who did it; None when it is the effect of a change of ours that knows it."""
    who = {"actor_id": line.actor_id, "application_id": line.application_id}
    if line.application_id and line.application_id == settings.META["app_id"]:
        change = _change_behind(ad_account, line)
        if change is None:
            return Actor(by="us_outside", **who)
        ended = ChangeState(change.state)
        landed_after_end = (
            ended not in OPEN and ended is not ChangeState.APPLIED and line.at > change.state_at
        )
        return Actor(by="us_late", **who) if landed_after_end else None
    if line.application_id:
        return Actor(by="other_app", **who)
    return Actor(by="outside" if line.actor_id not in ("", "0") else "meta", **who)


def _change_behind(ad_account: AdAccount, line: ActivityRow) -> Change | None:
    fields = (
        [field.value for field in _MONEY]
        if line.field in _MONEY
        else [line.field.value if line.field else ""]
    )
    attempts = Attempt.objects.of(ad_account.client_id).filter(
        object_id=line.object_id,
        field__in=fields,
        committed_at__lte=line.at + SKEW,
        committed_at__gte=line.at - RECENT,
    )
    if line.after:
        attempts = attempts.filter(change__target=line.after)
    found = attempts.select_related("change").order_by("-committed_at").first()
    return found.change if found is not None else None


def _by_us(ad_account: AdAccount, edit: Edit, now: datetime) -> bool:
    """Whether a change of ours explains the new value: on its way, in doubt, or just applied."""
    rows = Change.objects.of(ad_account.client_id).filter(
        object_id=edit.object_id,
        field=edit.field,
        target=edit.after,
        possibly_applied=True,
        state_at__gt=now - RECENT,
    )
    states = [state.value for state in IN_DOUBT | {ChangeState.APPLIED, ChangeState.NOT_APPLIED}]
    return bool(rows.filter(state__in=states).exists())


def _record(ad_account: AdAccount, line: ActivityRow, by: Actor, name: str, now: datetime) -> None:
    assert line.level is not None
    field = line.field.value if line.field else line.event_type
    edit = Edit(object_id=line.object_id, name=name, field=field, before=line.before, after=line.after)
    said = {
        "us_outside": "Written by our app, but not by a change in this ledger.",
        "us_late": "A request of ours landed after its change had ended.",
    }
    _line(
        ad_account,
        line.level,
        edit,
        by,
        said.get(by.by, f"Done {line.at:%d %b %Y %H:%M:%S} UTC; Meta's log calls it {line.event_type}."),
        now,
        line.key,
    )


def _line(
    ad_account: AdAccount,
    level: Level,
    edit: Edit,
    by: Actor,
    note_: str,
    now: datetime,
    key: str | None = None,
) -> None:
    ledger.record(
        ad_account_id=ad_account.pk,
        client_id=ad_account.client_id,
        kind="edit",
        now=now,
        by=by,
        activity_key=key,
        level=level.value,
        object_id=edit.object_id,
        object_name=edit.name,
        field=edit.field,
        before=edit.before,
        after=edit.after,
        currency=ad_account.currency,
        note=note_,
    )
    # A campaign's times follow its ad sets', ours among them: no reason to hold it.
    if edit.field in set(Field) and not (level is Level.CAMPAIGN and Field(edit.field).is_time):
        _human_wins(ad_account, level, edit, by, now)


def _human_wins(ad_account: AdAccount, level: Level, edit: Edit, by: Actor, now: datetime) -> None:
    mine = Change.objects.of(ad_account.client_id).filter(object_id=edit.object_id, field=edit.field)
    for change in mine.filter(state__in=[state.value for state in WAITING]).exclude(before=edit.after):
        why = f"It was changed outside to {edit.after or 'nothing'} meanwhile."
        ledger.transition(change, to=ChangeState.EXPIRED, now=now, note=why, error_text=why, **ledger.free())
    if edit.field == Field.NAME:
        return  # another name is no reason to leave its money alone
    recent = Attempt.objects.of(ad_account.client_id).filter(
        object_id=edit.object_id, committed_at__gt=now - RECENT
    )
    open_ = mine.filter(state__in=[state.value for state in OPEN])
    if by.by != "us_late" and not recent.exists() and not open_.exists():
        return
    ours = mine.filter(possibly_applied=True).order_by("-state_at").first()
    switch.hold(
        ad_account_id=ad_account.pk,
        client_id=ad_account.client_id,
        level=level.value,
        object_id=edit.object_id,
        object_name=edit.name,
        field=edit.field,
        ours=ours.target if ours is not None else edit.before,
        theirs=edit.after,
        reason=f"Its {edit.field.replace('_', ' ')} was changed outside while we were at work on it.",
        now=now,
        change=ours,
    )
    if by.by == "us_late":
        alerts.open_(
            client=ad_account.client,
            key=f"late:{edit.object_id}:{edit.field}",
            title=f"A late write changed {edit.name or edit.object_id}",
            advice="A request of ours landed after we had given it up. Look at the value and decide.",
            severity="critical",
            now=now,
        )
