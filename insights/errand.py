"""One run's errand at Meta: whom it talks through, what it has counted, that it still lives, and reading pages.

Whoever holds the lease of an account reads its days; it is renewed with every page, so what was killed is taken up
again after a minute. The fetch of old days holds another one than the fetch of new ones, so that today is read
however long history takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

import accounts.leases as leases
import insights.rows as wire
import insights.windows as days_of
from accounts.models import AdAccount
from insights.errors import BadRow
from insights.models import FetchRun
from insights.progress import Progress, of
from insights.questions import Question
from insights.rows import Row
from metaads.clock import now as clock_now
from metaads.graph.client import GraphClient

#: Renewed with every page; a fetch that was killed is taken up again after this long.
LEASE_SECONDS: Final = 60.0

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
    today: date = field(init=False)

    def __post_init__(self) -> None:
        self.today = days_of.today(self.now, self.ad_account.timezone_name)

    def alive(self) -> None:
        """Say that this fetch still runs: by the real clock, since `now` stands still."""
        moment = clock_now()
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

    def pages(self, question: Question) -> Iterator[list[dict[str, Any]]]:
        """The answer to a question, page by page, each counted."""
        for page in self.client.insights(self.ad_account.act_id, **question.words()):
            self.run.requests += 1
            self.run.rows += len(page)
            self.alive()
            yield page

    def rows(self, question: Question) -> tuple[list[Row], bool]:
        """The rows of a question, and whether every one of them could be read."""
        return understood(self.pages(question), question)


def understood(pages: Iterator[list[dict[str, Any]]], question: Question) -> tuple[list[Row], bool]:
    """Rows out of pages as they come, and whether every one of them could be read. A day without impressions may
    come as one row without an hour: it has no hours to keep."""
    found, good = [], True
    for page in pages:
        for raw in page:
            try:
                row = wire.read(raw, level=question.level, breakdowns=question.breakdowns)
            except BadRow:
                good = False
                continue
            if row.hour >= 0 or wire.HOUR not in question.breakdowns:
                found.append(row)
    return found, good
