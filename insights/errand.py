"""One run's errand at Meta: whom it talks through, what it has counted, that it still lives, and reading answers.

    groups of questions, newest first -> pieces, so that several reads may wait for Meta at once
        -> pages as they come, read into rows by this thread alone
        -> a group whose last page has come is handed on, whichever is whole first

Whoever holds the lease of an account reads its days; it is renewed while pages come, so what was killed is taken up
again after a minute. The fetch of old days holds another one than the fetch of new ones, so that today is read
however long history takes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

import accounts.leases as leases
import campaigns.queries as queries
import insights.questions as questions
import insights.rows as wire
import insights.windows as days_of
from accounts.models import AdAccount
from insights.aside import Aside
from insights.errors import BadRow
from insights.models import FetchRun, Slice
from insights.progress import Progress, of
from insights.questions import Question
from insights.rows import Row
from metaads.clock import now as clock_now
from metaads.graph.client import GraphClient
from metaads.graph.errors import TooMuchData
from metaads.graph.lanes import Heard

#: Renewed while pages come; a fetch that was killed is taken up again after this long.
LEASE_SECONDS: Final = 60.0
_SAY_EVERY: Final = timedelta(seconds=5)
#: Rows that are worth a read of their own: four pages, so that cutting costs a quarter more calls at the very most.
_PIECE: Final = 2_000

Report = Callable[[Progress], None]


@dataclass
class Errand:
    """Reads for one run. `now` stands still for the whole of it: it is the instant that the answers are kept under."""

    ad_account: AdAccount
    client: GraphClient
    run: FetchRun
    now: datetime
    report: Report | None
    lease: str
    holder: str
    beside: Aside
    today: date = field(init=False)
    _said_at: datetime | None = field(default=None, init=False)
    _rows: dict[str, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.today = days_of.today(self.now, self.ad_account.timezone_name)

    def alive(self) -> None:
        """Say that this fetch still runs: by the real clock, since `now` stands still."""
        moment = clock_now()
        if self._said_at is not None and moment - self._said_at < _SAY_EVERY:
            return
        self._said_at = moment
        leases.take(name=self.lease, holder=self.holder, seconds=LEASE_SECONDS, now=moment)
        self.run.seen_at = moment
        self.run.save(update_fields=["seen_at", "requests", "rows"])

    def tell(self, sentence: str = "") -> None:
        """Keep and report how far the run is."""
        run = self.run
        run.sentence = sentence or f"{run.done} of {run.total} days read ({run.rows:,} rows)."
        run.save()
        if self.report is not None:
            self.report(of(run))

    def walk(self, reads: Sequence[Callable[[GraphClient], Iterator[Found]]]) -> Generator[Heard, None, None]:
        """What several reads find, page by page as it comes, each counted."""
        with closing(self.client.together(reads)) as heard:
            for one in heard:
                if one.page is not None:
                    self.run.requests += 1
                    self.run.rows += one.page.total
                    self.alive()
                    self.beside.look()
                yield one

    def answers(
        self, groups: Sequence[Sequence[Question]]
    ) -> Generator[tuple[int, list[Answered] | TooMuchData], None, None]:
        """Each group's number with the rows of its questions, in their order; or with Meta's word that one of them
        was too much for one answer."""
        abreast = self.client.abreast
        pieces = [
            (group, place, piece)
            for group, asked in enumerate(groups)
            for place, question in enumerate(asked)
            for piece in self._pieces(question, abreast)
        ]
        left = Counter(group for group, _, _ in pieces)
        found: dict[int, list[Answered]] = {}
        act = self.ad_account.act_id
        with closing(self.walk([partial(_rows, act, piece) for _, _, piece in pieces])) as heard:
            for number, page, refused in heard:
                group, place, _ = pieces[number]
                if refused is not None:
                    yield group, refused
                    continue
                mine = found.setdefault(group, [Answered() for _ in groups[group]])
                if page is not None:
                    mine[place].take(page)
                    continue
                left[group] -= 1
                if not left[group]:
                    yield group, found.pop(group)

    def reach(self, asked: Sequence[Question]) -> Iterator[tuple[int, tuple[tuple[str, int], ...]]]:
        """Each question's number with the people that its objects reached. What is too much for one answer, or has a
        row that cannot be read, is left out."""
        act, people = self.ad_account.act_id, [list[tuple[str, int]]() for _ in asked]
        broken = set[int]()
        with closing(self.walk([partial(_people, act, one) for one in asked])) as heard:
            for number, page, refused in heard:
                if page is not None:
                    people[number] += page.rows
                    broken |= set() if page.good else {number}
                elif refused is None and number not in broken:
                    yield number, tuple(people[number])

    def _pieces(self, question: Question, most: int) -> list[Question]:
        """The same rows as several questions about fewer days, newest first, where there are enough pages to share."""
        days = question.period.days
        each = self._rows_a_day(question.level) * (24 if question.kind == "hour" else 1)
        count = min(most, days, each * days // _PIECE)
        if count <= 1:
            return [question]
        periods = days_of.runs(question.period, longest=-(-days // count))
        return [questions.about(question, period) for period in periods]

    def _rows_a_day(self, level: str) -> int:
        if level not in self._rows:
            self._rows[level] = expected_rows(self.ad_account, level)
        return self._rows[level]


class Found(NamedTuple):
    """What was read of one page: how many rows it had, those that could be read, and whether these are all of them."""

    total: int
    rows: list[Any]
    good: bool


@dataclass
class Answered:
    """The rows of one question so far, and whether every one of them could be read."""

    rows: list[Row] = field(default_factory=list)
    good: bool = True

    def take(self, page: Found) -> None:
        self.rows += page.rows
        self.good = self.good and page.good


def understood(page: Sequence[dict[str, Any]], question: Question) -> Found:
    """The rows of a page. A day without impressions may come as one row without an hour: it has no hours to keep."""
    found, good, by_hour = [], True, wire.HOUR in question.breakdowns
    for raw in page:
        try:
            row = wire.read(raw, level=question.level, breakdowns=question.breakdowns)
        except BadRow:
            good = False
            continue
        if row.hour >= 0 or not by_hour:
            found.append(row)
    return Found(len(page), found, good)


def rows_a_day(ad_account: AdAccount, level: str = "ad") -> int:
    """How many of a level's objects delivered on the fullest of the last days that were read; 0 when none was."""
    rows = Slice.objects.of(ad_account).filter(kind="day", level=level, breakdown="", complete=True)
    return max(rows.order_by("-day").values_list("rows", flat=True)[:7], default=0)


def expected_rows(ad_account: AdAccount, level: str = "ad") -> int:
    """The same, and before anything was read how many may be delivering."""
    return rows_a_day(ad_account, level) or queries.running(ad_account=ad_account, level=level)


def _rows(act_id: str, question: Question, client: GraphClient) -> Iterator[Found]:
    for page in client.insights(act_id, **question.words()):
        found = understood(page, question)
        del page  # ten times as large as its rows, and these may have to wait
        yield found


def _people(act_id: str, question: Question, client: GraphClient) -> Iterator[Found]:
    for page in client.insights(act_id, **question.words()):
        try:
            yield Found(len(page), [wire.reach(raw, level=question.level) for raw in page], True)
        except BadRow:
            yield Found(len(page), [], False)
