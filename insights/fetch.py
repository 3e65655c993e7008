"""Read days of an ad account from Meta: account-wide, newest first, resumable after any stop.

    windows.due -> periods, newest first, each as long as its rows fit into memory
        -> per period and level (ad, ad set, campaign, account) account-wide reads, several at once (`errand`);
           never a call per object
           too much for one answer -> the period is halved; one day -> a report that Meta prepares (`report_runs`)
        -> store: all four levels of the period in one transaction; its slices say that it was read
    -> hours of the newest days, per campaign -> reach of 7 and 28 days, once per account day
    -> older days, then their hours, so far as patterns need them: a heat map speaks after four weeks of hours

A day that is read is a slice, so whoever comes next goes on where this one stopped. Throttled or blocked: the run
waits until a given time. A dead token: the connection hears of it. Unreadable rows: their slices stay incomplete.
The newest days are read under the account's own lease, older ones under another: history never keeps today waiting.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.db.models import Max

import accounts.ad_accounts as ad_accounts
import accounts.leases as leases
import accounts.tokens as tokens
import insights.questions as questions
import insights.report_runs as report_runs
import insights.rows as wire
import insights.windows as days_of
import metaads.strikes as strikes
from accounts.errors import Refused
from accounts.models import AdAccount
from insights.aside import aside
from insights.errand import LEASE_SECONDS, Answered, Errand, Report
from insights.errors import BadRow
from insights.models import FetchRun, PeriodReach, Slice
from insights.progress import Progress, of
from insights.progress import progress as stands
from insights.questions import LEVELS, Question
from insights.store.rollups import HOUR_LEVEL
from insights.store.write import Reached, Read, keep_reach, upsert
from insights.windows import DAY, Period
from metaads.graph.errors import AuthFailed, GraphError, NotPermitted, Throttled, TooMuchData
from metaads.graph.errors import Refused as MetaRefused
from metaads.graph.paging import CursorExpired
from metaads.quota import Blocked

__all__ = [
    "LEVELS",
    "Progress",
    "first_sync",
    "go_on",
    "more",
    "progress",
    "refresh",
    "today_spend",
    "today_totals",
]

#: The newest days come first and alone, so that a person sees this week after seconds.
NEWEST_DAYS: Final = 7
LONGEST_DAYS: Final = 31
HOUR_DAYS: Final = 7
PATTERN_DAYS: Final = 35
#: The account's totals that a look reads.
_TOTALS: Final = ("spend", "impressions", "clicks")
_TRY_AGAIN: Final = timedelta(seconds=60)
_LOOK_AGAIN: Final = timedelta(seconds=30)
_REACH_AGAIN: Final = timedelta(hours=1)


def first_sync(
    *, ad_account: AdAccount, days: int, now: datetime, progress: Report | None = None, kind: str = "first"
) -> FetchRun:
    """Read the last `days` days, today among them, and whatever of them is due. Safe to call again at any time.

    Never raises for what Meta or the connection refuses: the run's state and sentence say it. `kind` is first,
    or manual for a fetch that a person asked for. Raises `TooFarBack` for more days than Meta keeps.
    """
    days_of.reachable(days=days, today=days_of.today(now, ad_account.timezone_name))
    return _fetch(ad_account, _open(ad_account, kind=kind, days=days, now=now), now=now, report=progress)


def go_on(*, ad_account: AdAccount, run: FetchRun, now: datetime, progress: Report | None = None) -> FetchRun:
    """Take up a run that waits or was cut short."""
    run.state, run.seen_at, run.not_before = "running", now, None
    run.save()
    return _fetch(ad_account, run, now=now, report=progress)


def refresh(*, ad_account: AdAccount, now: datetime) -> FetchRun:
    """Read what has moved: today, those days of the look-back that are due, and older ones that moved unseen."""
    read = Slice.objects.of(ad_account).filter(kind="day", level="account", breakdown="", complete=True)
    days = days_of.reaching_back(
        today=days_of.today(now, ad_account.timezone_name),
        zone_name=ad_account.timezone_name,
        fetched=dict(read.values_list("day", "fetched_at")),
        lookback=settings.LOOKBACK_DAYS,
    )
    run = _open(ad_account, kind="refresh", days=days, now=now)
    return _fetch(ad_account, run, now=now, report=None)


def progress(ad_account: AdAccount) -> Progress:
    """Where the newest first or manual sync of the account stands."""
    return stands(ad_account)


def today_totals(*, ad_account: AdAccount) -> dict[str, str]:
    """The probe: one call for the account's running day, as Meta writes it. Raises GraphError, Blocked, Refused."""
    client = tokens.reader(ad_account, use="insights")
    fields = (*_TOTALS, "account_id")
    pages = client.edge_pages(
        ad_account.act_id, "insights", fields=fields, params={"level": "account", "date_preset": "today"}
    )
    rows = [row for page in pages for row in page]
    return {name: str(rows[0].get(name, "0")) for name in _TOTALS} if rows else {}


def today_spend(
    *, ad_account: AdAccount, levels: Iterable[str], today: date
) -> tuple[dict[str, Decimal], dict[str, str]]:
    """What Meta says was spent on the account's running day: object id -> major units, "" the whole account; what is
    absent has spent nothing. And the account's totals as `today_totals` has them.

    One call, and one per further level (campaign, adset); it may use the quota that is kept for pauses. Raises
    GraphError, CursorExpired, Blocked, Refused, BadRow: also where Meta's day is still another one, around midnight.
    """
    client = tokens.reader(ad_account, use="pause_read")
    found, totals = {"": Decimal(0)}, dict.fromkeys(_TOTALS, "0")
    for level in ("account", *levels):
        fields = (*_TOTALS, wire.IDS[level], "date_start", "date_stop")
        params = {"level": level, "date_preset": "today"}
        for page in client.edge_pages(ad_account.act_id, "insights", fields=fields, params=params):
            for raw in page:
                row = wire.read(raw, level=level)
                if row.day != today:
                    raise BadRow("Meta's today is another day.")
                found["" if level == "account" else row.object_id] = wire.spend(row)
                if level == "account":
                    totals = {name: str(raw.get(name, "0")) for name in _TOTALS}
    return found, totals


def _fetch(ad_account: AdAccount, run: FetchRun, *, now: datetime, report: Report | None) -> FetchRun:
    holder = uuid.uuid4().hex
    # Only one run reads the newest days; whoever reads history goes on beside it.
    lease = f"{'history' if run.kind in ('more', 'parts') else 'fetch'}:{ad_account.pk}"
    if leases.take(name=lease, holder=holder, seconds=LEASE_SECONDS, now=now) is None:
        return _end(run, "waiting", "Another fetch of this account is running.", now, until=now + _TRY_AGAIN)
    work: Errand | None = None
    try:
        client = tokens.reader(ad_account, use="insights")
        with aside() as beside:
            work = Errand(ad_account, client, run, now, report, lease, holder, beside)
            with strikes.trial(lease, now=now, but=(Refused, Blocked, CursorExpired)) as may:
                if not may:
                    words = "Reading it broke its worker three times; an owner can let it be tried again in the admin."
                    return _end(run, "failed", words, now, report=report)
                _through(work)
        ad_accounts.heard(ad_account_id=ad_account.pk, now=now)
        return _finished(work)
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
        leases.release(name=work.lease if work is not None else lease, holder=holder, now=now)


def _through(work: Errand) -> None:
    """Everything that the run is to read, in the order of the module's first lines."""
    if work.run.kind == "parts":
        _parts(work)
        return
    older = _newest(work)
    if work.run.kind != "more":
        _hours(work, _hours_due(work, HOUR_DAYS, again=True))
    _reach(work)
    work.beside.finish()  # how many rows a day has is known from here on
    _history(work, older)


def _finished(work: Errand) -> FetchRun:
    """Done, if every day was read; else the run says what is missing and when it is looked at again."""
    run, now = work.run, work.now
    waits = report_runs.pending(
        ad_account=work.ad_account, now=now, level=run.level, breakdown=run.breakdown
    ) & set(_span(work))
    if waits:
        words = f"{len(waits)} of {run.days} days are so large that Meta prepares a report of them first."
        failed = report_runs.why(work.ad_account)
        words = f"{words} {failed}".strip() if failed else words
        return _end(run, "waiting", words, now, until=now + _LOOK_AGAIN, report=work.report)
    levels = LEVELS if not run.level else (run.level,)
    left = run.days - len(_read_to_the_end(work, "day", levels, run.breakdown))
    if left > 0 and run.kind != "refresh":
        words = f"{left} of {run.days} days hold rows that could not be read; they are read again."
        return _end(run, "waiting", words, now, until=now + 15 * _TRY_AGAIN, report=work.report)
    return _end(run, "done", f"{run.total} days read ({run.rows:,} rows).", now, report=work.report)


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


def _span(work: Errand) -> Period:
    """The days that a run is about."""
    if work.run.since is not None and work.run.until is not None:
        return Period(work.run.since, work.run.until)
    return Period(work.today - DAY * (work.run.days - 1), work.today)


def more(*, ad_account: AdAccount, days: int, now: datetime) -> FetchRun:
    """File a run that reads the last `days` days beside all else; whoever starts tasks hands it to `go_on`.

    One at a time: a run that is under way is widened. Raises `TooFarBack` for more days than Meta keeps.
    """
    days_of.reachable(days=days, today=days_of.today(now, ad_account.timezone_name))
    open_ones = FetchRun.objects.of(ad_account).filter(kind="more", state__in=["running", "waiting"])
    if open_ones.filter(days__lt=days).update(days=days) or open_ones.exists():
        found: FetchRun = open_ones.get()
        return found
    run = _open(ad_account, kind="more", days=days, now=now)
    run.sentence = f"0 of {days} days read."
    run.state, run.total = "waiting", days
    run.save()
    return run


def _newest(work: Errand) -> list[date]:
    """Read the newest of the due days, alone, so that they are seen at once; the older ones are handed back."""
    due = days_of.due(
        today=work.today,
        days=work.run.days,
        now=work.now,
        zone_name=work.ad_account.timezone_name,
        fetched=_read_to_the_end(work, "day", LEVELS),
        lookback=settings.LOOKBACK_DAYS,
        always_today=work.run.kind != "more",
    )
    ordered = report_runs.pending(ad_account=work.ad_account, now=work.now)
    work.run.total = work.run.days if work.run.kind != "refresh" else len(due)
    work.run.done = work.run.total - len(due)
    work.tell()
    free = [day for day in due if day not in ordered]
    newest = [day for day in free if day > work.today - DAY * NEWEST_DAYS]
    _whole_days(work, newest, longest=NEWEST_DAYS)
    return [day for day in free if day not in newest]


def _at_once(work: Errand, most: int) -> int:
    return report_runs.days_at_once(ad_account=work.ad_account, most=most, now=work.now)


def _history(work: Errand, older: Sequence[date]) -> None:
    """Read older days, beside whoever reads today, and with a smaller share of the quota."""
    if work.run.kind == "refresh":
        _whole_days(work, older, longest=LONGEST_DAYS)
        return
    hours = _hours_due(work, PATTERN_DAYS, again=False)
    if older or hours:
        _leave_the_newest(work)
    _whole_days(work, older, longest=LONGEST_DAYS)
    _hours(work, hours)


def _leave_the_newest(work: Errand) -> None:
    """From here on it is history: today may be read by somebody else meanwhile."""
    work.client = tokens.reader(work.ad_account, use="history")
    if work.lease.startswith("history"):
        return
    history = f"history:{work.ad_account.pk}"
    if leases.take(name=history, holder=work.holder, seconds=LEASE_SECONDS, now=work.now) is not None:
        leases.release(name=work.lease, holder=work.holder, now=work.now)
        work.lease = history


def _read_to_the_end(
    work: Errand, kind: str, levels: Iterable[str], breakdown: str = ""
) -> dict[date, datetime]:
    """Days of the run that are complete at every level, and when the oldest of them was read."""
    span = _span(work)
    rows = Slice.objects.of(work.ad_account).filter(
        kind=kind, breakdown=breakdown, complete=True, day__range=(span.since, span.until)
    )
    found: dict[date, dict[str, datetime]] = {}
    for row in rows:
        found.setdefault(row.day, {})[row.level] = row.fetched_at
    wanted = set(levels)
    return {day: min(seen.values()) for day, seen in found.items() if wanted <= seen.keys()}


def _whole_days(work: Errand, days: Iterable[date], *, longest: int) -> None:
    periods = days_of.runs(days, longest=_at_once(work, longest))
    _read(work, [[questions.of_days(level, period) for level in LEVELS] for period in periods])


def _read(work: Errand, groups: Sequence[Sequence[Question]]) -> None:
    """Read groups of questions, each about the same days, and store each group's answers together as soon as they are
    whole. Too much for one answer is halved, and that is kept, so that neither the days behind it nor a run that is
    cut short begin with it again; one day too much is ordered as a report, and so is every other day of a large
    account."""
    if not groups:
        return
    if len(groups[0]) > 1 and report_runs.large(ad_account=work.ad_account, now=work.now):
        for asked in groups:
            _order(work, asked, "Known to be large.")
        return
    left = dict(enumerate(groups))
    refused: Sequence[Question] | None = None
    with closing(work.answers(groups)) as answers:
        for number, answer in answers:
            asked = left.pop(number)
            if isinstance(answer, TooMuchData):
                refused = asked
                break
            work.beside.take(partial(_store, work, asked, answer), then=partial(_count, work, asked))
            del answer  # its rows are now the job's alone
    if refused is None:
        return
    period, rest = refused[0].period, list(left.values())
    if period.days == 1:
        _order(work, refused, "Too much for one answer.")
    else:
        work.run.longest = period.days // 2
        work.run.save(update_fields=["longest"])
        rest = [
            [questions.about(question, part) for question in asked]
            for asked in (refused, *rest)
            for part in days_of.runs(asked[0].period, longest=work.run.longest)
        ]
    _read(work, rest)


def _order(work: Errand, asked: Sequence[Question], reason: str) -> None:
    for day in sorted(asked[0].period, reverse=True):
        wholes = [questions.about(question, Period(day, day)) for question in asked]
        report_runs.order(ad_account=work.ad_account, wholes=wholes, reason=reason, now=work.now)
    _count(work, asked)


def _count(work: Errand, asked: Sequence[Question]) -> None:
    """Say how far the run is; hours lie within days that are counted."""
    if asked[0].kind == "day":
        work.run.done = min(work.run.total, work.run.done + asked[0].period.days)
        work.tell()


def _store(work: Errand, asked: Sequence[Question], answers: Sequence[Answered]) -> None:
    slices = [
        Read(question.kind, question.level, day, complete=answer.good, breakdown=question.cells)
        for question, answer in zip(asked, answers, strict=True)
        for day in question.period
    ]
    rows = itertools.chain.from_iterable(answer.rows for answer in answers)
    upsert(ad_account=work.ad_account, rows=rows, slices=slices, now=work.now)


def _parts(work: Errand) -> None:
    """The cells of a breakdown, newest first; days that were read since they last moved are left as they are."""
    run = work.run
    span, names = _span(work), tuple(run.breakdown.split(","))
    read = _read_to_the_end(work, "day", [run.level], run.breakdown)
    due = days_of.due(
        today=work.today,
        days=(work.today - span.since).days + 1,
        now=work.now,
        zone_name=work.ad_account.timezone_name,
        fetched=read,
        lookback=settings.LOOKBACK_DAYS,
    )
    ordered = report_runs.pending(
        ad_account=work.ad_account, now=work.now, level=run.level, breakdown=run.breakdown
    )
    inside = [day for day in due if day <= span.until and day not in ordered]
    run.total, run.done = span.days, span.days - len(inside)
    work.tell()
    if questions.BY_REPORT & set(names):
        for period in days_of.runs(inside, longest=run.days):
            asked = questions.of_cells(run.level, period, names)
            report_runs.order(
                ad_account=work.ad_account, wholes=[asked], reason="Told by reports alone.", now=work.now
            )
        return
    periods = days_of.runs(inside, longest=max(1, _at_once(work, LONGEST_DAYS) // 4))
    _read(work, [[questions.of_cells(run.level, period, names)] for period in periods])


def _hours_due(work: Errand, days: int, *, again: bool) -> list[date]:
    """Which of the last `days` days lack their hours: today and yesterday `again` while they move, the days before once
    they are over."""
    due = days_of.due(
        today=work.today,
        days=min(days, work.run.days),
        now=work.now,
        zone_name=work.ad_account.timezone_name,
        fetched=_read_to_the_end(work, "hour", [HOUR_LEVEL]),
        lookback=days_of.HOUR_LOOKBACK,
        frozen=days_of.HOUR_LOOKBACK,
        always_today=again,
    )
    ordered = report_runs.pending(
        ad_account=work.ad_account, now=work.now, level=HOUR_LEVEL, breakdown=wire.HOUR
    )
    return [day for day in due if day not in ordered]


def _hours(work: Errand, days: Iterable[date]) -> None:
    longest = report_runs.days_at_once(
        ad_account=work.ad_account, most=HOUR_DAYS, now=work.now, hours_of=HOUR_LEVEL
    )
    periods = days_of.runs(days, longest=longest)
    _read(work, [[questions.of_hours(HOUR_LEVEL, period)] for period in periods])


def _reach(work: Errand) -> None:
    """De-duplicated people of 7 and 28 full days, read once per account day and level; kept together, so that they
    are one step of the data version. Too much for one answer: that reach stays unknown until the next look."""
    due = list(_reach_due(work))
    found: list[Reached] = []
    try:
        for number, people in work.reach([questions.of_reach(level, period) for period, level in due]):
            period, level = due[number]
            found.append(Reached(level, period, people))
    finally:
        if found:
            keep_reach(ad_account=work.ad_account, found=found, now=work.now)


def _reach_due(work: Errand) -> Iterator[tuple[Period, str]]:
    """Once an account day, and again, an hour later at the soonest, when a day of the period has moved since: its
    impressions and its people are shown as one frequency."""
    midnight = days_of.starts(work.today, work.ad_account.timezone_name)
    for size in days_of.REACH_PERIODS:
        period = days_of.last(size, work.today)
        if size > work.run.days or work.run.kind == "more":
            continue
        days = Slice.objects.of(work.ad_account).filter(
            kind="day", level="account", breakdown="", day__range=(period.since, period.until)
        )
        moved = days.aggregate(last=Max("as_of"))["last"] or midnight
        needed = max(midnight, min(moved, work.now - _REACH_AGAIN))
        for level in LEVELS:
            have: Any = PeriodReach.objects.of(work.ad_account).filter(
                level=level, since=period.since, until=period.until, as_of__gte=needed
            )
            if not have.exists():
                yield period, level
