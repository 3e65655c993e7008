"""The watch that needs no broker: what must happen even when workers, beat and Redis are dead.

    every 5 s   renew the lease (a second watchdog is a spare and stays silent) -> each duty that is due
                  brake     1 min  spend against the limits that people have set -> pauses (`brake`)
                  pauses    5 s    carry those pauses through, by the one sender
                  truth    10 min  statements that hold at any moment -> the account is stopped where one does not
                  mails     5 s    hand over what waits in the outbox
                  silence   1 min  ad accounts and connections -> alerts, and so mails
                  workers   30 s   no sign of life of any queue for six minutes, of one for fifteen -> an alert
                  sweeps    30 s   changes have not been followed up for five minutes -> an alert
                  disks     1 min  little room where this machine writes -> an alert, while there is room for one
                  sweep     1 h    what the outbox need not keep
    A duty that fails is logged and done again at its next time; the others go on.

A thread of the web process in the embedded form, a process of its own (`manage.py watchdog`) in the server form.
It needs the database. When that or the whole machine is gone, only somebody outside who asks /readyz can tell.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from celery import current_app
from django.db import close_old_connections, connection
from django.db.models import Q

import accounts.access as access
import accounts.alerts as alerts
import accounts.leases as leases
import accounts.outbox as outbox
import accounts.sentinel as sentinel
import campaigns.changes.invariants as invariants
import campaigns.changes.sweeper as sweeper
import campaigns.changes.switch as switch
import metaads.clock as clock
import metaads.disks as disks
from accounts.models import AdAccount, Lease
from campaigns.models import LedgerLine
from insights.brake import Brake, carry_on

log = logging.getLogger("metaads.watchdog")

LEASE: Final = "watchdog"
#: Longer than the slowest round, which waits for a mail server.
LEASE_SECONDS: Final = 90.0
EVERY_SECONDS: Final = 5.0
#: After a canary's three minutes. One queue may be busy with a long read; all of them at once are not.
ALL_SILENT: Final = timedelta(minutes=3)
ONE_SILENT: Final = timedelta(minutes=12)
UNSWEPT: Final = timedelta(minutes=5)
#: Invariants are about what moves: an account whose ledger has been quiet for longer was checked while it did.
LATELY: Final = timedelta(hours=25)


@dataclass(frozen=True)
class Duty:
    """Something to do again and again. `do` takes the moment, and when this watchdog began: what it could not have
    seen yet proves nothing."""

    name: str
    every: timedelta
    do: Callable[[datetime, datetime], object]


def _mails(now: datetime, since: datetime) -> None:
    outbox.deliver(now=now)


def _silence(now: datetime, since: datetime) -> None:
    sentinel.reconcile(now=now)


def _workers(now: datetime, since: datetime) -> None:
    workers(queues=[queue.name for queue in current_app.conf.task_queues], now=now, since=since)


def _sweeps(now: datetime, since: datetime) -> None:
    sweeps(now=now, since=since)


def _disks(now: datetime, since: datetime) -> None:
    room(now=now)


def _sweep(now: datetime, since: datetime) -> None:
    outbox.sweep(now=now)


_brake: Final = Brake()


def _money(now: datetime, since: datetime) -> None:
    _brake.round(now)


def _pauses(now: datetime, since: datetime) -> None:
    carry_on(now)


def _truth(now: datetime, since: datetime) -> None:
    truth(now=now)


DUTIES: Final = (
    Duty("brake", timedelta(minutes=1), _money),
    Duty("pauses", timedelta(seconds=5), _pauses),
    Duty("truth", timedelta(minutes=10), _truth),
    Duty("workers", timedelta(seconds=30), _workers),
    Duty("sweeps", timedelta(seconds=30), _sweeps),
    Duty("disks", timedelta(minutes=1), _disks),
    Duty("silence", timedelta(minutes=1), _silence),
    Duty("mails", timedelta(seconds=5), _mails),
    Duty("sweep", timedelta(hours=1), _sweep),
)


class Watchdog:
    """One watchdog among those that may run; `round` is one look, `run` goes on until told to stop."""

    def __init__(self, *, holder: str, now: datetime, duties: Sequence[Duty] = DUTIES) -> None:
        self._holder = holder
        self._since = now
        self._due = {duty.name: now for duty in duties}
        self._duties = duties

    def round(self, *, now: datetime) -> tuple[str, ...] | None:
        """Names of the duties that were done; None while another watchdog is at work."""
        if leases.take(name=LEASE, holder=self._holder, seconds=LEASE_SECONDS, now=now) is None:
            return None
        done = []
        for duty in self._duties:
            if now < self._due[duty.name] <= now + duty.every:  # else it is due, or the clock was set back
                continue
            self._due[duty.name] = now + duty.every
            try:
                duty.do(now, self._since)
                done.append(duty.name)
            except Exception:  # one duty's trouble must not silence the others
                log.exception("the watchdog's duty '%s' failed", duty.name)
                close_old_connections()
        return tuple(done)

    def end(self, *, now: datetime) -> None:
        """Give the lease back, so that another one need not wait for its end."""
        leases.release(name=LEASE, holder=self._holder, now=now)

    def run(self, stopping: threading.Event) -> None:
        """Rounds until `stopping` is set. For a thread or process of its own: it closes its database connection."""
        while True:
            try:
                self.round(now=clock.now())
            except Exception:  # the database is away: nothing can be told from here until it is back
                log.exception("the watchdog could not look")
            close_old_connections()
            if stopping.wait(EVERY_SECONDS):
                break
        self.end(now=clock.now())
        connection.close()


def truth(*, now: datetime) -> int:
    """Check the invariants of every account whose ledger has moved lately, and stop an account where one is broken:
    nothing more is sent there until a person has looked. Whoever then releases it has seen it: the same breach stops
    nothing again. Returns how many are broken."""
    broken = 0
    lately = LedgerLine.everything.filter(at__gt=now - LATELY).values("ad_account_id")
    told = [int(key.split(":")[1]) for _, key in alerts.standing() if key.startswith("truth:")]
    rows = AdAccount.everything.filter(Q(pk__in=lately) | Q(pk__in=told))
    for account in rows.select_related("client"):
        found = invariants.check(ad_account=account, now=now)
        # What hangs for hours is told elsewhere, and no reason to stop the rest.
        worst = next((one for one in found if one.invariant != "N27"), None)
        key = f"truth:{account.pk}"
        if worst is None:
            alerts.close(client=account.client, key=key, now=now)
            continue
        broken += 1
        why = f"The watchdog found a broken promise ({worst.invariant}): {worst.text} ({worst.subject})"
        alerts.open_(
            client=account.client,
            key=key,
            title=f"Nothing is sent to {account.name} any more: its ledger does not hold",
            advice=f"{why} Compare the account with Ads Manager before you release the stop.",
            severity="critical",
            now=now,
        )
        scope = switch.Scope(ad_account=account)
        if not switch.was_released(scope=scope, reason=why):
            switch.pull(scope=scope, principal=access.system(account.client), reason=why, now=now)
    return broken


def workers(*, queues: Iterable[str], now: datetime, since: datetime) -> None:
    """Hold the canaries' signs of life against the clock: owners are told when tasks do not run any more."""
    signs = dict(Lease.objects.filter(name__startswith="canary:").values_list("name", "until"))
    silent = {
        queue: now - max(until or since, since)
        for queue in queues
        if (until := signs.get(f"canary:{queue}")) is None or until <= now
    }
    if silent and now - since < ALL_SILENT:
        return  # begun a moment ago: what was open stays open, and nothing new is said
    dead = [queue for queue, quiet in silent.items() if quiet >= ONE_SILENT]
    if len(silent) == len(list(queues)) and min(silent.values()) >= ALL_SILENT:
        _tell_that_all_stopped(now)
    elif dead:
        names = f"queue {dead[0]}" if len(dead) == 1 else f"queues {', '.join(dead)}"
        alerts.open_(
            client=None,
            key="workers",
            title=f"No task has run in the {names} for a quarter of an hour",
            advice="Look at its worker process: it has stopped, or waits for one long task. What waits in the queue is "
            "found again by itself.",
            severity="warning",
            stage="some",
            now=now,
        )
    else:
        alerts.close(client=None, key="workers", now=now)


def room(*, now: datetime) -> None:
    """Tell owners that a disk of this machine fills up, and once more that it is full."""
    low = [disk for disk in disks.look() if disk.low]
    if not low:
        alerts.close(client=None, key="disk", now=now)
        return
    full = any(disk.full for disk in low)
    rest = "Raises and starts rest until there is room. " if full else ""
    alerts.open_(
        client=None,
        key="disk",
        title="A disk is full" if full else "A disk is nearly full",
        advice=f"{'; '.join(disk.words for disk in low)}. {rest}Make room: old logs, backups, VAR_DIR/mail. "
        "On a full disk nothing is sent, and nobody can be told.",
        severity="critical" if full else "warning",
        stage="full" if full else "low",
        now=now,
    )


def sweeps(*, now: datetime, since: datetime) -> None:
    """Tell owners when changes are not followed up, whatever the reason: the sweep may fail where its queue works."""
    ran = sweeper.last()
    if ran is None or now - ran < UNSWEPT:
        alerts.close(client=None, key="sweeper", now=now)
    elif now - since >= UNSWEPT:  # else begun a moment ago, and so perhaps was everything else
        alerts.open_(
            client=None,
            key="sweeper",
            title=f"Changes have not been followed up since {ran:%H:%M} UTC",
            advice="What was sent is not read back, what was approved waits. From ten minutes on raises and starts "
            "rest; cuts and pauses pass. Look at the worker of queue control, its log, and beat.",
            severity="critical",
            now=now,
        )


def _tell_that_all_stopped(now: datetime) -> None:
    beat = Lease.objects.filter(name="beat", until__gt=now).exists()
    first = (
        "The schedule (beat) runs, so look at Redis first, then at the workers."
        if beat
        else "The schedule (beat) does not run either: look at the processes, then at Redis."
    )
    alerts.open_(
        client=None,
        key="workers",
        title="The workers have stopped: no task runs any more",
        advice=f"Nothing is read from Meta, no change is sent, no strategy is judged. {first} "
        "/readyz names what is silent. Work that waited goes on by itself.",
        severity="critical",
        stage="all",
        now=now,
    )
