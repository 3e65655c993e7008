"""Read days of an ad account from Meta: account-wide, newest first, resumable after any stop.

    windows.due -> periods, newest first
        -> one read per level (ad, ad set, campaign, account), each account-wide; never a call per object
           too much for one answer -> the period is halved
        -> store: all four levels of the period in one transaction; its slices say that it was read
    -> hours of the newest days, per campaign -> reach of 7 and 28 days, once per account day

A day that is read is a slice, so whoever comes next goes on where this one stopped. Throttled or blocked: the run
waits until a given time. A dead token: the connection hears of it. Unreadable rows: their slices stay incomplete.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.conf import settings

import accounts.ad_accounts as ad_accounts
import accounts.leases as leases
import accounts.tokens as tokens
import insights.rows as wire
import insights.windows as days_of
from accounts.errors import Refused
from accounts.models import AdAccount
from insights.errors import BadRow
from insights.models import FetchRun, PeriodReach, Slice
from insights.progress import Progress, of
from insights.progress import progress as stands
from insights.rows import Row
from insights.store.rollups import HOUR_LEVEL
from insights.store.write import Reached, Read, UpsertResult, keep_reach, upsert
from insights.windows import DAY, Period
from metaads.clock import now as clock_now
from metaads.graph.client import GraphClient
from metaads.graph.errors import AuthFailed, GraphError, NotPermitted, Throttled, TooMuchData
from metaads.graph.errors import Refused as MetaRefused
from metaads.graph.fields import HOURLY, INSIGHTS
from metaads.graph.paging import CursorExpired
from metaads.quota import Blocked

__all__ = ["LEVELS", "Progress", "first_sync", "progress", "refresh", "today_totals"]

#: Read together and stored together, so that parts and whole come from the same minute.
LEVELS: Final = ("ad", "adset", "campaign", "account")
#: "default" first: `value` is the account's own window, the rest is kept beside it.
ATTRIBUTION: Final = ("default", "1d_click", "7d_click", "1d_view")
#: Without a status filter Meta leaves out what is archived or deleted, and the parts no longer add up.
STATUSES: Final = (
    "ACTIVE", "PAUSED", "ARCHIVED", "DELETED", "CAMPAIGN_PAUSED", "ADSET_PAUSED", "PENDING_REVIEW", "DISAPPROVED",
    "PREAPPROVED", "PENDING_BILLING_INFO", "IN_PROCESS", "WITH_ISSUES",
)  # fmt: skip
_HOUR_FIELDS: Final = (
    "account_id", "campaign_id", "date_start", "date_stop", "spend", "impressions", "clicks", "inline_link_clicks",
)  # fmt: skip
#: The newest days come first and alone, so that a person sees this week after seconds.
NEWEST_DAYS: Final = 7
LONGEST_DAYS: Final = 31
HOUR_DAYS: Final = 7
#: Renewed with every page; a fetch that was killed is taken up again after this long.
_LEASE_SECONDS: Final = 60.0
_TRY_AGAIN: Final = timedelta(seconds=60)


Report = Callable[[Progress], None]


@dataclass
class _Work:
    """One run's errand: what it talks through and what it has counted."""

    ad_account: AdAccount
    client: GraphClient
    run: FetchRun
    now: datetime
    report: Report | None
    holder: str
    today: date = field(init=False)

    def __post_init__(self) -> None:
        self.today = days_of.today(self.now, self.ad_account.timezone_name)

    def alive(self) -> None:
        """Say that this fetch still runs: by the real clock, since `now` stands still for the whole run."""
        moment = clock_now()
        leases.take(name=_lease(self.ad_account), holder=self.holder, seconds=_LEASE_SECONDS, now=moment)
        self.run.seen_at = moment
        self.run.save(update_fields=["seen_at", "requests", "rows"])


def first_sync(
    *, ad_account: AdAccount, days: int, now: datetime, progress: Report | None = None, kind: str = "first"
) -> FetchRun:
    """Read the last `days` days, today among them, and whatever of them is due. Safe to call again at any time.

    Never raises for what Meta or the connection refuses: the run's state and sentence say it. `kind` is first,
    or manual for a fetch that a person asked for.
    """
    return _fetch(ad_account, kind=kind, days=days, now=now, report=progress)


def refresh(*, ad_account: AdAccount, now: datetime) -> FetchRun:
    """Read what has moved: today, those days of the look-back that are due, and older ones that moved unseen."""
    read = Slice.objects.of(ad_account).filter(kind="day", level="account", breakdown="", complete=True)
    days = days_of.reaching_back(
        today=days_of.today(now, ad_account.timezone_name),
        zone_name=ad_account.timezone_name,
        fetched=dict(read.values_list("day", "fetched_at")),
        lookback=settings.LOOKBACK_DAYS,
    )
    return _fetch(ad_account, kind="refresh", days=days, now=now, report=None)


def progress(ad_account: AdAccount) -> Progress:
    """Where the newest first or manual sync of the account stands."""
    return stands(ad_account)


def today_totals(*, ad_account: AdAccount) -> dict[str, str]:
    """The probe: one call for the account's running day, as Meta writes it. Raises GraphError, Blocked, Refused."""
    client = tokens.reader(ad_account, use="insights")
    fields = ("spend", "impressions", "clicks", "account_id")
    pages = client.edge_pages(
        ad_account.act_id, "insights", fields=fields, params={"level": "account", "date_preset": "today"}
    )
    rows = [row for page in pages for row in page]
    return {name: str(rows[0].get(name, "0")) for name in fields[:3]} if rows else {}


def _fetch(ad_account: AdAccount, *, kind: str, days: int, now: datetime, report: Report | None) -> FetchRun:
    run = _open(ad_account, kind=kind, days=days, now=now)
    holder = uuid.uuid4().hex
    if leases.take(name=_lease(ad_account), holder=holder, seconds=_LEASE_SECONDS, now=now) is None:
        return _end(run, "waiting", "Another fetch of this account is running.", now, until=now + _TRY_AGAIN)
    try:
        client = tokens.reader(ad_account, use="insights")
        work = _Work(ad_account, client, run, now, report, holder)
        _days(work)
        _hours(work)
        _reach(work)
        ad_accounts.heard(ad_account_id=ad_account.pk, now=now)
        left = run.days - len(_read_to_the_end(work, "day", LEVELS))
        if left and kind != "refresh":
            words = f"{left} of {run.days} days hold rows that could not be read; they are read again."
            return _end(run, "waiting", words, now, until=now + 15 * _TRY_AGAIN, report=report)
        return _end(run, "done", f"{run.total} days read ({run.rows:,} rows).", now, report=report)
    except Blocked as wait:
        return _end(run, "waiting", str(wait), now, until=wait.until, report=report)
    except Throttled as wait:
        until = now + timedelta(seconds=wait.answer.retry_after or 300)
        return _end(
            run, "waiting", f"Meta asks us to wait. {wait.answer.advice}", now, until=until, report=report
        )
    except AuthFailed:
        if tokens.readers(ad_account):  # a doubt, or somebody is fetching a fresh token right now
            words = "Meta did not accept the token; the next try goes on from here."
            return _end(run, "waiting", words, now, until=now + _TRY_AGAIN, report=report)
        return _end(
            run, "failed", "The connection to Meta needs to be renewed. Reconnect.", now, report=report
        )
    except (NotPermitted, MetaRefused) as no:
        return _end(run, "failed", f"Meta refused to answer. {no.answer.advice}", now, report=report)
    except (GraphError, CursorExpired):
        words = "Meta did not answer properly; the next try goes on from here."
        return _end(run, "waiting", words, now, until=now + _TRY_AGAIN, report=report)
    except Refused as no:
        return _end(run, "failed", str(no), now, report=report)
    finally:
        leases.release(name=_lease(ad_account), holder=holder, now=now)


def _lease(ad_account: AdAccount) -> str:
    return f"fetch:{ad_account.pk}"


def _open(ad_account: AdAccount, *, kind: str, days: int, now: datetime) -> FetchRun:
    """The run to go on with: a first sync that was cut short is taken up again, everything else begins."""
    rows = FetchRun.objects.of(ad_account)
    if kind == "first":
        cut = rows.filter(kind=kind, state__in=["running", "waiting"]).first()
        if cut is not None:
            cut.state, cut.seen_at, cut.not_before = "running", now, None
            cut.days = max(days, cut.days)
            cut.save()
            return cut
    if kind == "refresh":  # two a minute for each watched account: only the last ones are worth keeping
        rows.filter(kind=kind, started_at__lt=now - DAY).delete()
    made: FetchRun = FetchRun.everything.create(
        ad_account_id=ad_account.pk, kind=kind, state="running", days=days, started_at=now, seen_at=now
    )
    return made


def _end(
    run: FetchRun,
    state: str,
    sentence: str,
    now: datetime,
    *,
    until: datetime | None = None,
    report: Report | None = None,
) -> FetchRun:
    run.state, run.sentence, run.seen_at, run.not_before = state, sentence[:300], now, until
    run.finished_at = now if state in ("done", "failed") else None
    run.save()
    if report is not None:
        report(of(run))
    return run


def _days(work: _Work) -> None:
    due = days_of.due(
        today=work.today,
        days=work.run.days,
        now=work.now,
        zone_name=work.ad_account.timezone_name,
        fetched=_read_to_the_end(work, "day", LEVELS),
        lookback=settings.LOOKBACK_DAYS,
    )
    work.run.total = work.run.days if work.run.kind != "refresh" else len(due)
    work.run.done = work.run.total - len(due)
    _tell(work)
    newest = [day for day in due if day > work.today - DAY * NEWEST_DAYS]
    older = [day for day in due if day not in newest]
    for period in (
        *days_of.runs(newest, longest=NEWEST_DAYS),
        *days_of.runs(older, longest=LONGEST_DAYS),
    ):
        _period(work, period)


def _read_to_the_end(work: _Work, kind: str, levels: Iterable[str]) -> dict[date, datetime]:
    """Days that are complete at every level, and when the oldest of them was read."""
    rows = Slice.objects.of(work.ad_account).filter(
        kind=kind, breakdown="", complete=True, day__gt=work.today - DAY * work.run.days
    )
    found: dict[date, dict[str, datetime]] = {}
    for row in rows:
        found.setdefault(row.day, {})[row.level] = row.fetched_at
    wanted = set(levels)
    return {day: min(seen.values()) for day, seen in found.items() if wanted <= seen.keys()}


def _period(work: _Work, period: Period) -> None:
    try:
        rows, slices = _levels(work, period)
    except TooMuchData:
        if period.days == 1:
            raise
        for half in days_of.halves(period):
            _period(work, half)
        return
    _store(work, rows, slices)
    work.run.done = min(work.run.total, work.run.done + period.days)
    _tell(work)


def _levels(work: _Work, period: Period) -> tuple[list[Row], list[Read]]:
    rows: list[Row] = []
    slices: list[Read] = []
    for level in LEVELS:
        found, good = _read(work, level, period, INSIGHTS, windows=ATTRIBUTION)
        rows += found
        slices += [Read("day", level, day, complete=good) for day in period]
    return rows, slices


def _read(
    work: _Work, level: str, period: Period, fields: Sequence[str], **more: Any
) -> tuple[list[Row], bool]:
    """The rows of one level, and whether every one of them could be read."""
    rows, good = [], True
    for page in _pages(work, level, period, fields, **more):
        for raw in page:
            try:
                rows.append(wire.read(raw, level=level))
            except BadRow:
                good = False
    return rows, good


def _pages(
    work: _Work, level: str, period: Period, fields: Sequence[str], **more: Any
) -> Iterable[list[dict[str, Any]]]:
    filtering = [{"field": f"{level}.effective_status", "operator": "IN", "value": list(STATUSES)}]
    pages = work.client.insights(
        work.ad_account.act_id,
        level=level,
        since=period.since,
        until=period.until,
        fields=fields,
        filtering=() if level == "account" else filtering,
        **more,
    )
    for page in pages:
        work.run.requests += 1
        work.run.rows += len(page)
        work.alive()
        yield page


def _store(work: _Work, rows: list[Row], slices: list[Read]) -> UpsertResult:
    return upsert(ad_account=work.ad_account, rows=rows, slices=slices, now=work.now)


def _tell(work: _Work) -> None:
    run = work.run
    run.sentence = f"{run.done} of {run.total} days read ({run.rows:,} rows)."
    run.save()
    if work.report is not None:
        work.report(of(run))


def _hours(work: _Work) -> None:
    """Hours of the newest days: today and yesterday while they move, the days before once a day."""
    due = days_of.due(
        today=work.today,
        days=min(HOUR_DAYS, work.run.days),
        now=work.now,
        zone_name=work.ad_account.timezone_name,
        fetched=_read_to_the_end(work, "hour", [HOUR_LEVEL]),
        lookback=1,
    )
    for period in days_of.runs(due, longest=HOUR_DAYS):
        rows, good = _read(work, HOUR_LEVEL, period, _HOUR_FIELDS, breakdowns=(HOURLY,))
        # A day without impressions may come as one row without an hour: it has no hours to keep.
        hours = [row for row in rows if row.hour >= 0]
        _store(work, hours, [Read("hour", HOUR_LEVEL, day, complete=good) for day in period])


def _reach(work: _Work) -> None:
    """De-duplicated people of 7 and 28 full days, read once per account day and level; kept together, so that they
    are one step of the data version."""
    found: list[Reached] = []
    try:
        for period, level in _reach_due(work):
            people: list[tuple[str, int]] = []
            fields = (wire.IDS[level], "reach")
            for page in _pages(work, level, period, fields, time_increment="all_days"):
                people += [wire.reach(raw, level=level) for raw in page]
            found.append(Reached(level, period, tuple(people)))
    finally:
        if found:
            keep_reach(ad_account=work.ad_account, found=found, now=work.now)


def _reach_due(work: _Work) -> Iterator[tuple[Period, str]]:
    midnight = days_of.starts(work.today, work.ad_account.timezone_name)
    for size in days_of.REACH_PERIODS:
        period = days_of.last(size, work.today)
        if size > work.run.days:
            continue
        for level in LEVELS:
            have = PeriodReach.objects.of(work.ad_account).filter(
                level=level, since=period.since, until=period.until, as_of__gte=midnight
            )
            if not have.exists():
                yield period, level
