"""The call budget that all workers share: ask before a call, tell what came of it.

    check(scope, use)     blocked by Meta? headers too full for this use? own points spent?   -> Blocked, or spent
    (one call)
    record(scope, answer) headers -> percent and tier; a throttled answer -> blocked until
    paces(scopes)         how many times slower unhurried reads go while the headers say "nearly full"

A scope is one ad account (`act_1`) or `app`; a call for an account also stands back while the app is blocked, and
comes back from that a few seconds apart from the others. The app's own limit is everybody's: from half of it on, an
owner of accounts (a client, as the floors above name it) has no more reads than all the others together, but for a
small share that is everybody's own.
What the caller wants decides how far it may go: reads leave room for the write and its read-back, everything
leaves room for a pause. Points are Meta's ad-account score (a read 1, a write 3) over a sliding 300 s; the
tier is the stricter one until a header tells. Source: docs/meta.md, sections 4.1 and 4.4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zlib import crc32

from django.db import transaction

from metaads.graph.errors import Answer, Kind
from metaads.graph.usage import parse, slower
from metaads.models import QuotaScope

APP: Final = "app"
WINDOW: Final = 300
SLOT: Final = 10
#: Meta's score per 300 s and tier; and how long one exceeding blocks, in seconds.
POINTS: Final = {"development_access": 60, "standard_access": 9000}
BLOCK: Final = {"development_access": 300.0, "standard_access": 60.0}
#: Reads that wait for Meta at the same time: four pages in memory, and at 150 ms a page the processor is never idle.
WIDE: Final = 4
NARROW: Final = 2
#: Codes that block the app as a whole, not one account (docs/meta.md, section 3.3).
APP_CODES: Final = frozenset({4})
#: A header's figure is about a rolling hour; unconfirmed for this long, it says nothing any more.
PERCENT_SECONDS: Final = 600
#: From so many percent of the app's limit on, nobody reads more than all others together do ...
APP_TIGHT: Final = 50.0
#: ... beyond these points in five minutes, which are everybody's own.
OWN_SHARE: Final = 42
#: Accounts that wait for the app's limit come back within so many seconds, not all in the same one.
SPREAD_SECONDS: Final = 15
_AGAIN_SECONDS: Final = 30
_APP_SCOPES: Final = frozenset({"app", "insights_app"})
_SHARED: Final = frozenset({"read", "insights", "history"})
_AT_ONCE: Final = frozenset({"pause", "pause_read"})


@dataclass(frozen=True)
class Share:
    """How far one use may go: percent of Meta's headers, and parts in 60 of the points; a call's own points."""

    percent: float
    points: int
    cost: int


#: Reads end at 42 of 60 points, so 30 % stay for writing and verifying; nothing but a pause goes above 50.
SHARES: Final = {
    "read": Share(percent=90.0, points=42, cost=1),
    # Above 90 % one look in ten is left (`paces`), and those at what somebody watches.
    "insights": Share(percent=94.0, points=42, cost=1),
    # Old days leave room for today: they stop where live reads may still go on.
    "history": Share(percent=75.0, points=30, cost=1),
    "verify": Share(percent=95.0, points=50, cost=1),
    "write": Share(percent=95.0, points=50, cost=3),
    "pause": Share(percent=float("inf"), points=60, cost=3),
    # A pause is sent after two reads; where these are held back, so is the pause.
    "pause_read": Share(percent=float("inf"), points=60, cost=1),
}


class Blocked(Exception):
    """No call now: nothing was sent. Come back at `until`; `reason` is for a person."""

    def __init__(self, *, until: datetime, reason: str) -> None:
        super().__init__(f"{reason} Calls go on at {until:%H:%M:%S} UTC.")
        self.until = until
        self.reason = reason


@dataclass(frozen=True)
class QuotaState:
    """How full a scope is: Meta's percent (0 when it said nothing lately), our points of `limit`, blocked or not."""

    scope: str
    percent: float
    blocked_until: datetime | None
    tier: str | None
    points: int
    limit: int
    reason: str = ""


def check(*, scope: str, use: str, now: datetime, owner: str = "") -> None:
    """Spend the points of one call, or raise `Blocked` and spend nothing. Not to be called inside a transaction.

    `owner`: whose account it is, where the app's limit has to be shared between several."""
    share = SHARES[use]
    while not _spent(scope, use, share, now=now, owner=owner):
        pass  # somebody else was quicker, so one of us got on: look again at what stands now


def _spent(scope: str, use: str, share: Share, *, now: datetime, owner: str) -> bool:
    """Spend a call's points in two statements and without a lock; False, and nothing spent, when the row moved
    meanwhile."""
    rows = QuotaScope.objects.in_bulk([scope, APP])
    app, row = rows.get(APP), rows.get(scope)
    if scope != APP:
        _not_blocked(app, now=now, late=0 if use in _AT_ONCE else crc32(scope.encode()) % SPREAD_SECONDS)
        if app is not None and owner and use in _SHARED and _percent(app, now=now) >= APP_TIGHT:
            _had_no_more_than_others(owner, percent=_percent(app, now=now), now=now)
    if row is None:
        QuotaScope.objects.get_or_create(pk=scope)
        return False
    _not_blocked(row, now=now)
    percent = _percent(row, now=now)
    if percent >= share.percent:
        until = now + timedelta(seconds=_recheck(percent))
        raise Blocked(until=until, reason=f"Meta's limit of {_name(scope)} is {percent:.0f} % used.")
    spent = _window(row.points, now=now)
    if scope != APP:
        _room(spent, share=share, limit=POINTS[row.tier or "development_access"], scope=scope, now=now)
    # Each call counts one up, so an equal count says that the points are those that were looked at.
    as_seen = QuotaScope.objects.filter(pk=scope, calls=row.calls, blocked_until=row.blocked_until)
    points = _add(spent, share.cost, now=now)
    return bool(as_seen.update(points=points, calls=row.calls + 1, owner=owner or row.owner))


def record(*, scope: str, answer: Answer, use: str, now: datetime) -> None:
    """Note what an answer said about the quota; `use` is for symmetry with `check` and the counters above."""
    usage = parse(answer.headers)
    # A limit on one kind of change (four budget edits an hour) is that change's to wait for, not the account's.
    throttled = answer.kind is Kind.THROTTLED and answer.throttles != "object"
    if not (usage.known or throttled or usage.percent):
        return
    target = APP if throttled and (answer.throttles == "app" or answer.code in APP_CODES) else scope
    if usage.known or usage.percent:
        fresh: dict[str, object] = {"percent": usage.percent, "percent_at": now}
        if usage.tier:
            fresh["tier"] = usage.tier
        if not QuotaScope.objects.filter(pk=scope).update(
            **fresh
        ):  # as good as never: who asks has been counted
            QuotaScope.objects.update_or_create(pk=scope, defaults=fresh)
    app = max((one.percent for one in usage.by_scope if one.scope in _APP_SCOPES), default=0.0)
    # Below that nobody asks, and the one row that all share is left alone.
    if app >= APP_TIGHT and scope != APP:
        QuotaScope.objects.update_or_create(pk=APP, defaults={"percent": app, "percent_at": now})
    wait = float(usage.regain_seconds)
    if throttled:
        tier = usage.tier or QuotaScope.objects.filter(pk=scope).values_list("tier", flat=True).first()
        wait = max(wait, answer.retry_after or BLOCK[tier or "development_access"])
    if throttled or wait:
        _block(
            scope=target,
            until=now + timedelta(seconds=wait),
            reason=answer.rule,
            throttled=throttled,
            now=now,
        )


def paces(*, scopes: Collection[str], now: datetime) -> Mapping[str, int]:
    """Scope -> how many times slower its unhurried reads go now, by the fuller of its own limits and the app's."""
    rows = QuotaScope.objects.filter(pk__in={*scopes, APP}).only("percent", "percent_at")
    full = {row.pk: _percent(row, now=now) for row in rows}
    return {scope: slower(max(full.get(scope, 0.0), full.get(APP, 0.0))) for scope in scopes}


def state(*, scope: str, now: datetime) -> QuotaState:
    """What is known of a scope; a scope that was never used is empty."""
    row = QuotaScope.objects.filter(pk=scope).first() or QuotaScope(scope=scope)
    blocked = row.blocked_until if row.blocked_until and row.blocked_until > now else None
    return QuotaState(
        scope=scope,
        percent=_percent(row, now=now),
        blocked_until=blocked,
        tier=row.tier or None,
        points=sum(points for _, points in _window(row.points, now=now)),
        limit=POINTS[row.tier or "development_access"],
        reason=row.reason if blocked else "",
    )


def abreast(*, scope: str, now: datetime) -> int:
    """How many reads may wait for Meta at once: each is asked for and counted by itself, so this is a matter of how
    far the truth may run ahead of the last headers. Few until Meta has said that the tier is the wide one."""
    row = QuotaScope.objects.filter(pk=scope).first()
    if row is None or row.tier != "standard_access":
        return NARROW
    percent = _percent(row, now=now)
    return WIDE if percent < 50.0 else NARROW if percent < 75.0 else 1


def _not_blocked(row: QuotaScope | None, *, now: datetime, late: int = 0) -> None:
    if row is None or row.blocked_until is None:
        return
    until = row.blocked_until + timedelta(seconds=late)
    if until > now:
        raise Blocked(until=until, reason=f"Meta asked us to wait with {_name(row.pk)} ({row.reason}).")


def _had_no_more_than_others(owner: str, *, percent: float, now: datetime) -> None:
    used: dict[str, int] = defaultdict(int)
    for name, points in QuotaScope.objects.exclude(owner="").values_list("owner", "points"):
        used[name] += sum(spent for _, spent in _window(points, now=now))
    mine = used.pop(owner, 0)
    if used and mine >= max(OWN_SHARE, sum(used.values())):
        raise Blocked(
            until=now + timedelta(seconds=_AGAIN_SECONDS),
            reason=f"The app's limit is {percent:.0f} % used, and this client has had its share of it.",
        )


def _block(*, scope: str, until: datetime, reason: str, throttled: bool, now: datetime) -> None:
    QuotaScope.objects.get_or_create(pk=scope)
    with transaction.atomic():
        row = QuotaScope.objects.select_for_update().get(pk=scope)
        if row.blocked_until is None or row.blocked_until < until:  # a later answer never shortens the wait
            row.blocked_until = until
            row.reason = (reason or "usage headers")[:200]
        row.throttled += throttled
        row.save(update_fields=["blocked_until", "reason", "throttled"])


def _percent(row: QuotaScope, *, now: datetime) -> float:
    """Meta's figure, fading to nothing while no answer confirms it (its window rolls on without us)."""
    if row.percent_at is None:
        return 0.0
    age = (now - row.percent_at).total_seconds()
    return row.percent if age < PERCENT_SECONDS else 0.0


def _recheck(percent: float) -> float:
    return 300.0 if percent >= 95.0 else 60.0


def _room(spent: list[list[int]], *, share: Share, limit: int, scope: str, now: datetime) -> None:
    allowed = limit * share.points // 60
    if sum(points for _, points in spent) + share.cost <= allowed:
        return
    free = 0
    over = sum(points for _, points in spent) + share.cost - allowed
    for slot, points in spent:  # oldest first: when has enough left the window?
        free += points
        if free >= over:
            until = datetime.fromtimestamp((slot + 1) * SLOT + WINDOW, UTC)
            raise Blocked(
                until=max(until, now), reason=f"The calls of {_name(scope)} for these five minutes are spent."
            )
    raise Blocked(until=now + timedelta(seconds=WINDOW), reason=f"The calls of {_name(scope)} are spent.")


def _window(points: list[list[int]], *, now: datetime) -> list[list[int]]:
    """Slots that may still count at Meta; a slot counts until its last second has left the window."""
    oldest = int(now.timestamp() - WINDOW) // SLOT
    return sorted([slot, spent] for slot, spent in points if slot >= oldest)


def _add(points: list[list[int]], cost: int, *, now: datetime) -> list[list[int]]:
    current = int(now.timestamp()) // SLOT
    kept = {slot: spent for slot, spent in points if slot != current}
    before = sum(spent for slot, spent in points if slot == current)
    return sorted([slot, spent] for slot, spent in {**kept, current: before + cost}.items())


def _name(scope: str) -> str:
    return "the app" if scope == APP else scope
