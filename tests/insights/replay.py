"""A day in the life of the whole schedule, on the limited tier, in simulated time.

    every 30 s   each entry of `config.celery.SCHEDULE` that is due runs inline (the 5-second ones while a change moves)
    people       somebody watches one account during office hours; a budget is changed and confirmed
    Meta         enforces the limited tier: 60 points in 300 s, and the calls of an hour

What is measured: calls that Meta refused, the highest score that each account reached, calls by the hour, and how long
after Meta's own refresh (every 15 minutes) the running day's numbers stood in our tables. What has not come before the
next refresh never comes: it is missed, and counts as a whole period late, so that no miss makes the figures better.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from config.celery import SCHEDULE, app
from insights.analytics import account_today
from insights.interest import report
from insights.models import AccountDay
from metaads.sandbox.app import Sandbox
from metaads.sandbox.limits import LIMITED

STEP = 30
REFRESH = 900
WATCHED_HOURS = range(15, 19)  # UTC


@dataclass
class Measured:
    hours: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    refused: list[dict[str, Any]] = field(default_factory=list)
    highest: dict[str, float] = field(default_factory=dict)
    #: Seconds from a refresh at Meta to the same numbers in our tables, by whether somebody watched.
    watched: list[float] = field(default_factory=list)
    unwatched: list[float] = field(default_factory=list)
    changes: int = 0

    @property
    def staleness(self) -> list[float]:
        return sorted(self.watched + self.unwatched)

    @property
    def missed(self) -> int:
        return sum(late >= REFRESH for late in self.staleness)

    @property
    def seen_share(self) -> float:
        """Of the refreshes that changed an account's numbers, those that stood in our tables before the next one."""
        return 1 - self.missed / max(1, len(self.staleness))

    def percentile(self, share: float, of: list[float] | None = None) -> float:
        seen = sorted(self.staleness if of is None else of)
        return seen[min(len(seen) - 1, int(len(seen) * share))]

    def as_dict(self) -> dict[str, Any]:
        calls = sum(self.calls.values())
        return {
            "hours": self.hours,
            "accounts": len(self.highest),
            "calls_per_account_hour": round(calls / self.hours / len(self.highest), 1),
            "refused": len(self.refused),
            "highest_score_of_60": round(max(self.highest.values()), 1),
            "refreshes": len(self.staleness),
            "refreshes_missed": self.missed,
            "staleness_p50_s": self.percentile(0.5),
            "staleness_p95_s": self.percentile(0.95),
            "staleness_watched_p95_s": self.percentile(0.95, self.watched) if self.watched else None,
            "calls_per_refresh": round(calls / max(1, len(self.staleness) - self.missed), 1),
            "changes_applied": self.changes,
        }


class Replay:
    """Runs the schedule against one sandbox whose accounts are switched on and read."""

    def __init__(self, *, sandbox: Sandbox, clock: Any, accounts: list[Any]) -> None:
        self.sandbox, self.clock, self.accounts = sandbox, clock, accounts
        self.measured = Measured()
        self._due = {name: clock.now() for name in SCHEDULE}
        self._first = len(sandbox.history)
        self._pending: dict[int, tuple[float, int, bool]] = {}
        self._as_of = sandbox.truth.as_of(clock.timestamp())
        sandbox.limits.use_tier(LIMITED)

    def run(self, *, hours: float, moving: Any = None) -> Measured:
        """`moving()` says whether a change is on its way: then the sweep runs every five seconds as in life."""
        app.loader.import_default_modules()
        before, always = self.clock.now(), app.conf.task_always_eager
        app.conf.task_always_eager = True
        try:
            while self.clock.now() - before < timedelta(hours=hours):
                self._step(moving)
        finally:
            app.conf.task_always_eager = always
        for account in self.accounts:
            self._missed(account)
        self._count(hours)
        return self.measured

    def _step(self, moving: Any) -> None:
        self._watch()
        self._refreshed()
        now = self.clock.now()
        for name, (task, seconds, queue) in SCHEDULE.items():
            if self._due[name] <= now:
                self._due[name] = now + timedelta(seconds=max(seconds, STEP))
                app.tasks[task].apply(args=(queue,) if task == "config.celery.canary" else (), throw=True)
        self._seen()
        for account in self.accounts:
            score = self.sandbox.limits.score(account.meta_id, self.clock.timestamp())
            self.measured.highest[account.act_id] = max(self.measured.highest.get(account.act_id, 0.0), score)
        self.clock.advance(1)  # beat is never quite on time: looks fall anywhere between two refreshes
        for _ in range(STEP // 5):
            self.clock.advance(5)
            if moving is not None and moving():
                app.tasks["campaigns.tasks.sweep"].apply(throw=True)

    def _watch(self) -> None:
        if self.clock.now().astimezone(UTC).hour in WATCHED_HOURS:
            until = self.clock.now() + timedelta(seconds=75)
            report(ad_account_id=self.accounts[0].pk, reason="watching", weight=10, until=until)

    def _refreshed(self) -> None:
        """Meta has new numbers since the last step: note what they are, and when they came."""
        as_of = self.sandbox.truth.as_of(self.clock.timestamp())
        if as_of == self._as_of:
            return
        self._as_of = as_of
        for account in self.accounts:
            self._missed(account)
            real = self._real(account)
            if real != self._stored(account):
                watched = (
                    account is self.accounts[0] and datetime.fromtimestamp(as_of, UTC).hour in WATCHED_HOURS
                )
                self._pending[account.pk] = (as_of, real, watched)

    def _seen(self) -> None:
        for account in self.accounts:
            waits = self._pending.get(account.pk)
            if waits is not None and self._stored(account) == waits[1]:
                self._late(account, self.clock.timestamp() - waits[0])

    def _missed(self, account: Any) -> None:
        """The next refresh, or the end, is here: what still waits did not come in time."""
        if account.pk in self._pending:
            self._late(account, max(REFRESH, self.clock.timestamp() - self._pending[account.pk][0]))

    def _late(self, account: Any, seconds: float) -> None:
        _, _, watched = self._pending.pop(account.pk)
        (self.measured.watched if watched else self.measured.unwatched).append(seconds)

    def _real(self, account: Any) -> int:
        """Impressions of the account's running day, as Meta shows them now."""
        today = account_today(account, self.clock.now())
        now = self.clock.timestamp()
        found = self.sandbox.truth.totals(account.act_id, since=today, until=today, now=now)
        return int(found.get(account.act_id, {"impressions": 0})["impressions"])

    def _stored(self, account: Any) -> int:
        today = account_today(account, self.clock.now())
        rows = AccountDay.objects.of(account).filter(day=today).values_list("impressions", flat=True)
        return int(rows.first() or 0)

    def _count(self, hours: float) -> None:
        self.measured.hours = hours
        for line in self.sandbox.history[self._first :]:
            self.measured.calls[line["path"].partition("/")[0]] += 1
            if line.get("status") != 200:
                self.measured.refused.append(line)
