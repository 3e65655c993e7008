"""Days that are too large to be read at once: reports that Meta prepares, as rows that wait.

    order    a whole: these days at every level, or one level by hour or breakdown    (nothing is sent)
    advance  -> start what is wanted, a few at a time -> look at what runs, 50 in one request
             -> failed, or patience ran out: cut smaller (`questions.cut`), or again later when it cannot be
             -> every leaf ready: read them all -> store in one transaction -> the whole is read

A synchronous read comes first: it costs one call. A report run takes its place for one day that Meta refused as too
much, for every day of an account where that happened within a day, and for days that are known to hold more rows
than `MOST_ROWS` (`large`). Several days that were refused are halved first; that costs less than a report.

A kill at any point: a start whose answer was lost is sent again (one unused report at Meta); a report that was read
halfway is read again, since nothing of it was stored; what is stored is a slice, and a slice is written once.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Min, Q

import accounts.leases as leases
import accounts.tokens as tokens
import campaigns.queries as queries
import insights.questions as questions
import metaads.strikes as strikes
from accounts.errors import Refused
from accounts.models import AdAccount
from insights.errand import Answered, expected_rows, rows_a_day, understood
from insights.models import FetchRun, ReportRun
from insights.questions import Question, Tree
from insights.rows import Row
from insights.store.write import Read, upsert
from insights.windows import DAY, Period
from metaads.graph.batch import Read as GraphRead
from metaads.graph.client import GraphClient
from metaads.graph.errors import AuthFailed, GraphError, NotPermitted, Throttled, TooMuchData
from metaads.graph.errors import Refused as MetaRefused
from metaads.graph.fields import REPORT_RUN
from metaads.graph.paging import CursorExpired
from metaads.graph.report_runs import state_of
from metaads.quota import Blocked

#: More rows of one day than this are asked for as a report at once.
MOST_ROWS: Final = 20_000
#: Rows of one level that are held in memory until their period is whole and stored.
AT_ONCE: Final = 6_000
#: Reports of one account that Meta prepares at the same time.
IN_FLIGHT: Final = 10
#: After this long a report is given up and asked for in smaller parts; without any progress sooner.
PATIENCE: Final = timedelta(minutes=30)
NO_PROGRESS: Final = timedelta(minutes=5)
#: What cannot be cut any more is tried so often, then rests.
ATTEMPTS: Final = 3
_AGAIN: Final = timedelta(minutes=1)
_REST: Final = timedelta(hours=1)
_KEPT: Final = timedelta(days=7)
_LEASE_SECONDS: Final = 120.0


def large(*, ad_account: AdAccount, now: datetime) -> bool:
    """Whether the account's days are asked for as reports without trying a synchronous read."""
    refused = ReportRun.objects.of(ad_account).filter(
        parent__isnull=True, level="", created_at__gt=now - DAY, reason__startswith="Too much"
    )
    return rows_a_day(ad_account) > MOST_ROWS or refused.exists()


def days_at_once(*, ad_account: AdAccount, most: int, now: datetime, hours_of: str = "") -> int:
    """How many days of ads (or of that level's hours) are read and stored together: so many that their rows fit into
    memory (`AT_ONCE`), and no more than Meta has refused within a day; at least one."""
    runs = FetchRun.objects.of(ad_account).filter(started_at__gt=now - DAY)
    taken = runs.aggregate(least=Min("longest"))["least"] or most
    each = 24 * expected_rows(ad_account, hours_of) if hours_of else expected_rows(ad_account)
    return max(1, min(most, taken, AT_ONCE // max(1, each)))


def order(
    *, ad_account: AdAccount, wholes: Sequence[Question], reason: str, now: datetime
) -> ReportRun | None:
    """File reports for these questions, which are stored together; None when these days are ordered already."""
    first = wholes[0]
    level = first.level if len(wholes) == 1 else ""
    ReportRun.objects.of(ad_account).filter(
        parent__isnull=True, state__in=["read", "failed"], created_at__lt=now - _KEPT
    ).delete()
    try:
        with transaction.atomic():
            whole: ReportRun = ReportRun.everything.create(
                ad_account_id=ad_account.pk,
                level=level,
                since=first.period.since,
                until=first.period.until,
                breakdown=",".join(first.breakdowns),
                cut="levels",
                state="cut",
                reason=reason[:300],
                created_at=now,
            )
            _file(whole, wholes, now)
    except IntegrityError:
        return None
    return whole


def pending(*, ad_account: AdAccount, now: datetime, level: str = "", breakdown: str = "") -> frozenset[date]:
    """Days that wait for a report, or whose report failed within the last hour."""
    rows = ReportRun.objects.of(ad_account).filter(parent__isnull=True, level=level, breakdown=breakdown)
    open_or_resting = rows.filter(Q(state="cut") | Q(state="failed", finished_at__gt=now - _REST))
    return frozenset(day for row in open_or_resting for day in Period(row.since, row.until))


def why(ad_account: AdAccount) -> str:
    """What the newest failed report says, for a person; "" when none failed."""
    row = ReportRun.objects.of(ad_account).filter(parent__isnull=True, state="failed").order_by("-id").first()
    return row.reason if row is not None else ""


def due(*, now: datetime) -> list[int]:
    """Ad accounts with reports that may go on now."""
    rows = ReportRun.everything.filter(parent__isnull=True, state="cut")
    rows = rows.filter(Q(not_before__isnull=True) | Q(not_before__lte=now))
    return sorted(set(rows.values_list("ad_account_id", flat=True)))


def advance(*, ad_account: AdAccount, now: datetime) -> None:
    """Take every open report of the account one step further; a step that failed says why and when it goes on."""
    lease, holder = f"reports:{ad_account.pk}", uuid.uuid4().hex
    if leases.take(name=lease, holder=holder, seconds=_LEASE_SECONDS, now=now) is None:
        return
    try:
        with strikes.trial(f"reports:{ad_account.pk}", now=now, but=(Refused,)) as may:
            for whole in _open(ad_account, now) if may else ():
                if not _step(ad_account, whole, now):
                    return
    finally:
        leases.release(name=lease, holder=holder, now=now)


def _open(ad_account: AdAccount, now: datetime) -> list[ReportRun]:
    rows = ReportRun.objects.of(ad_account).filter(parent__isnull=True, state="cut")
    return list(
        rows.filter(Q(not_before__isnull=True) | Q(not_before__lte=now)).order_by("-until", "breakdown")
    )


def _step(ad_account: AdAccount, whole: ReportRun, now: datetime) -> bool:
    """One whole, one step; False when the account has to wait."""
    try:
        client = tokens.reader(ad_account, use="insights")
        _start(ad_account, whole, now)
        _look(ad_account, client, whole, now)
        states = set(_leaves(whole).values_list("state", flat=True))
        if "failed" in states:
            _give_up(whole, now)
        elif states <= {"ready"}:
            _land(ad_account, client, whole, now)
    except Blocked as wait:
        return _wait(whole, str(wait), wait.until)
    except Throttled as wait:
        return _wait(whole, wait.answer.advice, now + timedelta(seconds=wait.answer.retry_after or 300))
    except (NotPermitted, MetaRefused, Refused) as no:
        words = no.answer.advice if isinstance(no, GraphError) else str(no)
        return _wait(whole, words, now + 10 * _AGAIN)
    except (AuthFailed, CursorExpired, GraphError):
        return _wait(whole, "Meta did not answer properly; it is tried again.", now + _AGAIN)
    return True


def _wait(whole: ReportRun, reason: str, until: datetime) -> bool:
    ReportRun.objects.of(whole.ad_account_id).filter(pk=whole.pk).update(not_before=until)
    _note(whole, reason)
    return False


def _note(whole: ReportRun, words: str) -> None:
    # Why it was ordered comes first and stays: `large` learns from it.
    kept = whole.reason.split(" | ")[0]
    whole.reason = f"{kept} | {words}"[:300]
    ReportRun.objects.of(whole.ad_account_id).filter(pk=whole.pk).update(reason=whole.reason)


def _leaves(whole: ReportRun) -> Any:
    """The parts that are not cut further. A tree is as deep as its cuts: levels, days, objects, fields."""
    ids, found = [whole.pk], []
    rows = ReportRun.objects.of(whole.ad_account_id)
    while ids:
        below = list(rows.filter(parent__in=ids).values_list("pk", "state"))
        found += [pk for pk, state in below if state != "cut"]
        ids = [pk for pk, state in below if state == "cut"]
    return rows.filter(pk__in=found).order_by("pk")


def _below(row: ReportRun) -> list[ReportRun]:
    return list(ReportRun.objects.of(row.ad_account_id).filter(parent=row).order_by("pk"))


def _file(parent: ReportRun, parts: Sequence[Question], now: datetime) -> None:
    for part in parts:
        ReportRun.everything.create(
            ad_account_id=parent.ad_account_id,
            parent=parent,
            level=part.level,
            since=part.period.since,
            until=part.period.until,
            breakdown=",".join(part.breakdowns),
            question=questions.packed(part),
            state="wanted",
            created_at=now,
        )


def _start(ad_account: AdAccount, whole: ReportRun, now: datetime) -> None:
    running = ReportRun.objects.of(ad_account).filter(state="started").count()
    leaves = _leaves(whole).filter(state="wanted").filter(Q(not_before__isnull=True) | Q(not_before__lte=now))
    for leaf in leaves[: max(0, IN_FLIGHT - running)]:
        question = questions.unpacked(leaf.question)
        try:
            leaf.meta_run_id = tokens.start_report(ad_account, question.words())
        except TooMuchData as refused:
            _smaller(ad_account, leaf, refused.answer.message, now)
            continue
        leaf.state, leaf.started_at, leaf.percent = "started", now, 0
        leaf.attempts += 1
        leaf.save()


def _look(ad_account: AdAccount, client: GraphClient, whole: ReportRun, now: datetime) -> None:
    running = list(_leaves(whole).filter(state="started")[:50])
    if not running:
        return
    fields = {"fields": ",".join(REPORT_RUN)}
    answers = client.batch([GraphRead(leaf.meta_run_id, fields) for leaf in running])
    for leaf, answer in zip(running, answers, strict=True):
        age = now - (leaf.started_at or now)
        try:
            seen = state_of(answer, age_seconds=age.total_seconds())
        except MetaRefused as refused:
            if not refused.answer.maybe_gone:
                raise
            _again(leaf, "Meta does not know the report any more.", now)
            continue
        leaf.percent = seen.percent
        if seen.status == "done":
            leaf.state = "ready"
            leaf.save()
        elif seen.status == "failed":
            _smaller(ad_account, leaf, seen.error, now)
        elif seen.status == "skipped":  # it ran out of time on Meta's shelf: that is no matter of size
            _again(leaf, seen.error, now)
        elif age > (PATIENCE if seen.percent else NO_PROGRESS):
            _smaller(ad_account, leaf, f"Not ready after {int(age.total_seconds() // 60)} minutes.", now)
        else:
            leaf.save()


def _again(leaf: ReportRun, reason: str, now: datetime) -> None:
    leaf.state, leaf.reason, leaf.meta_run_id = "wanted", reason[:300], ""
    if leaf.attempts >= ATTEMPTS:
        leaf.state, leaf.finished_at = "failed", now
    leaf.save()


def _smaller(ad_account: AdAccount, leaf: ReportRun, reason: str, now: datetime) -> None:
    """Cut a leaf in two; what cannot be cut is tried again a minute later, a few times."""
    found = questions.cut(questions.unpacked(leaf.question), _tree(ad_account))
    if found is None:
        leaf.not_before = now + _AGAIN
        _again(leaf, reason, now)
        return
    with transaction.atomic():
        leaf.cut, parts = found
        leaf.state, leaf.reason = "cut", reason[:300]
        leaf.save()
        _file(leaf, parts, now)


def _tree(ad_account: AdAccount) -> Tree:
    """What the stored structure knows, removed objects too."""
    rows = queries.structure(ad_account=ad_account, include_removed=True)
    above = {(row.level.value, row.meta_id): row.parent_id for row in rows}
    paths = []
    for row in rows:
        if row.level.value == "ad":
            paths.append((above.get(("adset", row.parent_id), ""), row.parent_id, row.meta_id))
        elif row.level.value == "adset":
            paths.append((row.parent_id, row.meta_id, ""))
        else:
            paths.append((row.meta_id, "", ""))
    return Tree(tuple(paths))


def _give_up(whole: ReportRun, now: datetime) -> None:
    """These days rest for an hour; then whoever finds them unread orders them anew."""
    broken = _leaves(whole).filter(state="failed").first()
    whole.state, whole.finished_at = "failed", now
    whole.save(update_fields=["state", "finished_at"])
    _note(
        whole, f"Meta could not prepare a report of {whole.since}: {broken.reason if broken else ''}".strip()
    )


def _land(ad_account: AdAccount, client: GraphClient, whole: ReportRun, now: datetime) -> None:
    """Read every part and store the whole: all of it in one transaction, or nothing."""
    rows: list[Row] = []
    slices: list[Read] = []
    # The answers are as old as the first of the reports, whenever they are read.
    asked = _leaves(whole).aggregate(first=Min("started_at"))["first"] or now
    for part in _below(whole):
        question = questions.unpacked(part.question)
        try:
            answer = Answered()
            for page in _pages(client, part):
                answer.take(understood(page, question))
        except _Refused as refused:
            if refused.too_much:
                _smaller(ad_account, refused.leaf, str(refused), now)
            else:
                _again(refused.leaf, str(refused), now)
            return
        rows += answer.rows
        slices += [
            Read(question.kind, question.level, day, answer.good, question.cells) for day in question.period
        ]
    upsert(ad_account=ad_account, rows=rows, slices=slices, now=now, asked_at=asked)
    ReportRun.objects.of(ad_account).filter(parent=whole).delete()
    whole.state, whole.finished_at, whole.percent = "read", now, 100
    whole.save(update_fields=["state", "finished_at", "percent"])


class _Refused(Exception):
    """A finished report whose pages are too much to be read, or are not there any more."""

    def __init__(self, leaf: ReportRun, reason: str, *, too_much: bool) -> None:
        super().__init__(reason)
        self.leaf = leaf
        self.too_much = too_much


def _pages(client: GraphClient, part: ReportRun) -> Iterator[list[dict[str, Any]]]:
    """The pages of a part: its own, or those of the parts that it was cut into."""
    if part.state != "cut":
        try:
            yield from client.edge_pages(part.meta_run_id, "insights", fields=())
        except TooMuchData as refused:
            raise _Refused(part, refused.answer.message, too_much=True) from None
        except MetaRefused as refused:
            raise _Refused(part, refused.answer.message, too_much=False) from None
        return
    below = _below(part)
    if part.cut != "fields":
        for one in below:
            yield from _pages(client, one)
        return
    question = questions.unpacked(part.question)
    yield questions.joined(question, ((row for page in _pages(client, one) for row in page) for one in below))
