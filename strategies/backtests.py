"""Back-tests: what a strategy would have done, told in three layers, and beside what really happened.

    request ─> a row that waits ─> run: each instant as it was known (`archive`) ─> engine.backtest
        1 firings    when, on which numbers: exact, and no later restatement moves them
        2 pauses     what the objects really did afterwards, as it is known by now
        3 budgets    an interval of a fitted response: a model
        and `faithful`: whether decisions that were really logged come out the same

A run writes nothing but its own row, is bounded in instants and time, and begins again where it was cut off.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet

import accounts.access as access
import accounts.leases as leases
import insights.analytics as analytics
import insights.windows as days_of
import metaads.strikes as strikes
import strategies.archive as archives
import strategies.documents as documents
import strategies.faithful as faithful
from accounts.errors import Conflict, Invalid, NotFound
from accounts.models import AdAccount
from accounts.tenancy import Principal
from strategies.aftermaths import MOST, Aftermath, day_text
from strategies.archive import Archive, Basis
from strategies.engine.backtest import Firing, Run
from strategies.engine.conflicts import Claim
from strategies.engine.types import Verdict
from strategies.models import Backtest, BacktestState, Proposal, ProposalState, Strategy

#: The hour of the account's clock at which improvements are made, unless somebody says another.
HOUR: Final = 6
STEPS: Final = (1, 2, 3, 4, 6, 12, 24)
USUAL_DAYS: Final = 28
MOST_INSTANTS: Final = 400
#: Of one strategy; older ones go when a new one is asked for.
KEPT: Final = 20
_LEASE_SECONDS: Final = 120.0
#: Below the queue's hard limit, so that a run that takes too long says so itself.
_SECONDS: Final = 450.0
_STATE: Final = BacktestState

Clock = Callable[[], datetime]


# --- asking


@dataclass(frozen=True)
class Wish:
    """Account days, the hour of the account's clock, hours between two instants of a day."""

    since: date
    until: date
    hour: int = HOUR
    every_hours: int = 24
    hindsight: bool = False


def read_wish(data: Mapping[str, Any], *, ad_account: AdAccount, now: datetime) -> Wish:
    """What was asked for, checked; raises `Invalid` naming every mistake."""
    today = analytics.account_today(ad_account, now)
    errors = [
        (key, "is not known")
        for key in sorted(set(data) - {"since", "until", "hour", "everyHours", "hindsight"})
    ]
    found: dict[str, date] = {}
    for key, usual in (("until", today - days_of.DAY), ("since", None)):
        raw = data.get(key)
        try:
            if raw is None:
                found[key] = usual or found.get("until", today) - days_of.DAY * (USUAL_DAYS - 1)
            else:
                found[key] = days_of.day(raw if isinstance(raw, str) else "")
        except (ValueError, Invalid):
            errors.append((key, "must be a day, YYYY-MM-DD"))
    hour, every = data.get("hour", HOUR), data.get("everyHours", 24)
    if not isinstance(hour, int) or isinstance(hour, bool) or not 0 <= hour <= 23:
        errors.append(("hour", "must be an hour of the account's clock, 0 to 23"))
    if not isinstance(every, int) or isinstance(every, bool) or every not in STEPS:
        errors.append(("everyHours", f"must be one of {', '.join(map(str, STEPS))}"))
    if not isinstance(data.get("hindsight", False), bool):
        errors.append(("hindsight", "must be true or false"))
    if not errors:
        if found["since"] > found["until"] or found["until"] >= today:
            errors.append(("until", "must be a day that is over, and not before since"))
        elif ((found["until"] - found["since"]).days + 1) * (24 // every) > MOST_INSTANTS:
            errors.append(
                ("since", f"asks for more than {MOST_INSTANTS} instants: take fewer days or larger steps")
            )
    if errors:
        raise Invalid("This back-test cannot be run.", errors=errors)
    return Wish(found["since"], found["until"], hour, every, data.get("hindsight", False))


def request(*, strategy: Strategy, principal: Principal, wish: Wish, now: datetime) -> Backtest:
    """A back-test that waits for its run. Raises `Conflict` while the strategy has one that is not done."""
    access.require(principal, "run_strategy", strategy.client_id)
    row = Backtest(
        client_id=strategy.client_id,
        ad_account=strategy.ad_account,
        strategy=strategy,
        strategy_version=strategy.version,
        document=documents.stored(documents.of(strategy)),
        since=wish.since,
        until=wish.until,
        hour=wish.hour,
        every_hours=wish.every_hours,
        hindsight=wish.hindsight,
        total=len(instants(wish, zone=strategy.ad_account.timezone_name)),
        created_by_id=principal.user_id,
        created_at=now,
    )
    mine = Backtest.objects.of(strategy.client_id).filter(strategy=strategy)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            keep = list(mine.order_by("-created_at", "-pk").values_list("pk", flat=True)[:KEPT])
            mine.exclude(pk__in=keep).delete()
    except IntegrityError:
        raise Conflict(
            "This strategy is being back-tested already.", advice="Wait for it; its progress is on the list."
        ) from None
    return row


def list_(principal: Principal, *, strategy: Strategy) -> QuerySet[Backtest]:
    """The strategy's back-tests that `principal` may see, newest first."""
    rows: QuerySet[Backtest] = Backtest.objects.for_(principal).filter(strategy=strategy)
    return rows.select_related("strategy", "ad_account").order_by("-created_at", "-pk")


def get(principal: Principal, uuid: str) -> Backtest:
    """One back-test; absent and not-yours are the same `NotFound`."""
    rows = Backtest.objects.for_(principal).select_related("strategy", "ad_account")
    row: Backtest | None = rows.filter(uuid=uuid).first()
    if row is None:
        raise NotFound("There is no such back-test.")
    access.require(principal, "view", row.client_id)
    return row


def instants(wish: Wish, *, zone: str) -> list[datetime]:
    """The instants of all days, in order; an hour that a day does not have is the moment after its jump."""
    here = ZoneInfo(zone)
    first = wish.hour % wish.every_hours
    hours = range(first, 24, wish.every_hours)
    days = (wish.since + days_of.DAY * ahead for ahead in range((wish.until - wish.since).days + 1))
    return [datetime.combine(day, time(hour), tzinfo=here).astimezone(UTC) for day in days for hour in hours]


# --- running


def waiting() -> int | None:
    """The key of the back-test that waits longest, or was cut off; whoever runs it takes its lease."""
    rows = Backtest.everything.filter(state__in=[_STATE.QUEUED, _STATE.RUNNING])
    found: int | None = rows.order_by("created_at", "pk").values_list("pk", flat=True).first()
    return found


def run(*, backtest_id: int, clock: Clock) -> bool:
    """Run it to its end, unless somebody else is at it; whether it was run."""
    rows = Backtest.everything.select_related("strategy__client", "ad_account__client")
    row = rows.filter(pk=backtest_id, state__in=[_STATE.QUEUED, _STATE.RUNNING]).first()
    if row is None:
        return False
    name, holder = f"backtest:{row.pk}", uuid.uuid4().hex
    begun = clock()
    if leases.take(name=name, holder=holder, seconds=_LEASE_SECONDS, now=begun) is None:
        return False
    try:
        with strikes.trial(name, now=begun) as may:
            if not may:
                _end(row, clock(), error="It broke its worker three times and is put aside.")
                return False
            _start(row, begun)

            def alive() -> bool:
                moment = clock()
                if (moment - begun).total_seconds() > _SECONDS:
                    return False
                held = leases.take(name=name, holder=holder, seconds=_LEASE_SECONDS, now=moment)
                Backtest.everything.filter(pk=row.pk).update(done=F("done") + 1)
                return held is not None

            result = _result(row, now=begun, alive=alive)
            if result is None:
                _end(row, clock(), error="It took too long: ask for fewer days or larger steps.")
            else:
                _end(row, clock(), result=result)
    finally:
        leases.release(name=name, holder=holder, now=clock())
    return True


def _start(row: Backtest, now: datetime) -> None:
    Backtest.everything.filter(pk=row.pk).update(state=_STATE.RUNNING, started_at=now, done=0)


def _end(row: Backtest, now: datetime, *, result: dict[str, Any] | None = None, error: str = "") -> None:
    state = _STATE.FAILED if error else _STATE.DONE
    version = result["data_version"] if result else None
    Backtest.everything.filter(pk=row.pk).update(
        state=state, finished_at=now, result=result, error=error[:300], data_version=version
    )


def _result(row: Backtest, *, now: datetime, alive: Callable[[], bool]) -> dict[str, Any] | None:
    """All that is told of a run, as JSON with amounts as text; `None` when it had to be given up."""
    wish = Wish(row.since, row.until, row.hour, row.every_hours, row.hindsight)
    account, document = row.ad_account, documents.parse_stored(row.document)
    moments = [one for one in instants(wish, zone=account.timezone_name) if one <= now]
    if not moments:
        return None
    archive = archives.open_(
        ad_account=account, document=document, since=moments[0], hindsight=wish.hindsight
    )
    others = _Others(row.strategy, moments[0])
    told = replay(archive, version=row.strategy_version, moments=moments, others=others.at, alive=alive)
    if told is None:
        return None
    after = Aftermath(archive, told.firings, since=wish.since, until=wish.until, now=now)
    firings = [_firing_json(firing) | after.of(number) for number, firing in enumerate(told.firings[:MOST])]
    return {
        "data_version": analytics.evidence(account, now=now).data_version,
        "currency": account.currency,
        "zone": account.timezone_name,
        "instants": told.bases,
        "first_known_day": day_text(archives.answerable_from(archive)),
        "unread": [moment.isoformat() for moment in told.unread[:50]],
        "structure_since": archive.tree.since.isoformat() if archive.tree.since else None,
        "not_kept": list(archives.NOT_KEPT),
        "verdicts": told.verdicts,
        "reasons": told.reasons,
        "firings_count": len(told.firings),
        "firings": firings,
        "beside_nothing": after.beside_nothing(),
        "worst": after.worst(),
        "faithful": faithful.check(
            strategy=row.strategy, since=moments[0], until=moments[-1] + days_of.DAY
        ).json(),
    }


@dataclass(frozen=True)
class Told:
    """What a rule would have done: counts of instants by basis, of verdicts, of why it was held or unknown."""

    firings: tuple[Firing, ...]
    bases: dict[str, int]
    verdicts: dict[str, int]
    reasons: dict[str, int]
    unread: tuple[datetime, ...]


def replay(
    archive: Archive,
    *,
    version: int,
    moments: Iterable[datetime],
    others: Callable[[datetime], Sequence[Claim]] = lambda _: (),
    alive: Callable[[], bool] = lambda: True,
) -> Told | None:
    """The document of the archive at each of these instants, in order; `None` when `alive` said no."""
    way = Run(archive.document, version)
    firings: list[Firing] = []
    bases: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    unread = []
    for moment in moments:
        seen = archives.at(archive, moment)
        bases[seen.basis.value] += 1
        if seen.basis is Basis.UNREAD:
            unread.append(moment)
        judgements, found = way.step(seen.snapshot, now=moment, others=others(moment))
        firings += found
        for judgement in judgements:
            verdicts[judgement.verdict.value] += 1
            if judgement.verdict in (Verdict.HELD, Verdict.UNKNOWN):
                reasons[judgement.reason_code] += 1
        if not alive():
            return None
    return Told(tuple(firings), dict(bases), dict(verdicts), dict(reasons), tuple(unread))


class _Others:
    """What other strategies of the account had open at an instant; one question for all instants."""

    def __init__(self, strategy: Strategy, since: datetime) -> None:
        rows = Proposal.objects.of(strategy.client_id).filter(
            Q(decided_at__isnull=True) | Q(decided_at__gt=since), ad_account_id=strategy.ad_account_id
        )
        self._rows = [
            (row.created_at, row.decided_at if row.state != ProposalState.OPEN else None, row)
            for row in rows.exclude(strategy=strategy).select_related("strategy")
        ]

    def at(self, moment: datetime) -> list[Claim]:
        return [
            Claim(str(row.strategy.uuid), row.intent, open=True)
            for created, closed, row in self._rows
            if created <= moment and (closed is None or closed > moment)
        ]


def _firing_json(firing: Firing) -> dict[str, Any]:
    told = asdict(firing)
    told["at"] = firing.at.isoformat()
    told["until"] = firing.until.isoformat() if firing.until else None
    told["numbers"] = [asdict(number) for number in firing.numbers]
    return told
