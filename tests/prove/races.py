"""Two real processes in the same moment, over and over: what each of them does, and what it was told.

    raises      each approves a raise in an ad account of its own; under the client's limit one of the two fits
    approvals   both approve one change
    senders     both sweep over the same approved changes until nothing moves

Each is a fork with connections of its own. A round begins at a barrier, and both dawdle inside their transactions, so
that they meet in every round and not once in a thousand.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import ROUND_UP, Decimal
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from types import SimpleNamespace
from typing import Any

from campaigns.changes.envelopes import OVERSPEND
from metaads.sandbox.clock import Clock

#: Longer than an approval is good for.
LATER = timedelta(minutes=31).total_seconds()
DAWDLE = 0.02
RISE = Decimal(10)
#: What a raise may take from a day.
TAKES = RISE * OVERSPEND
#: Most sweeps until everything has been read back; where the machine stalls, the send guard keeps a request back.
SWEEPS = 60


def race(order: dict[str, Any], clock: Clock) -> dict[str, Any]:
    """Run the order's `contest` for `rounds`; `said` has what each of the two was told and what stood there then."""
    from django.db import connections

    contest: Callable[..., list[Any]] = {"raises": _raises, "approvals": _approvals, "senders": _senders}[
        order["contest"]
    ]
    if order["contest"] == "raises":
        _one_fits(clock)
    connections.close_all()  # none crosses a fork
    barrier = get_context("fork").Barrier(2, timeout=60)
    runners = [_started(contest, order, clock, barrier, me) for me in (0, 1)]
    said = []
    for child, pipe in runners:
        with os.fdopen(pipe, "rb") as reading:
            said.append(json.loads(reading.read() or '{"failed": "it died"}'))
        os.waitpid(child, 0)
    broken = [one["failed"] for one in said if "failed" in one]
    return {"failed": "\n".join(broken)} if broken else {"said": [one["said"] for one in said]}


def _started(
    contest: Callable[..., list[Any]], order: dict[str, Any], clock: Clock, barrier: Barrier, me: int
) -> tuple[int, int]:
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    import traceback

    from campaigns.changes import ledger
    from metaads.crash import watching

    try:
        if order.get("unlocked"):
            ledger.lock_client = lambda _client_id: None
        with watching(lambda name: time.sleep(DAWDLE) if name == "ledger.line" else None):
            answer: dict[str, Any] = {"said": contest(order, clock, barrier, me)}
    except BaseException:
        barrier.abort()
        answer = {"failed": traceback.format_exc()}
    os.write(writing, json.dumps(answer).encode())
    os._exit(0)


def _desk(clock: Clock, who: str = "alice") -> Any:
    """Northwind's first ad account, worked on by somebody."""
    from accounts.access import principal_of
    from accounts.models import AdAccount, User
    from tests.campaigns.conftest import Desk

    person = principal_of(User.objects.get(email=f"{who}@example.com"))
    agency = SimpleNamespace(
        ad_account=AdAccount.everything.filter(enabled_at__isnull=False).earliest("pk"),
        principals=SimpleNamespace(alice=person),
    )
    return Desk(agency=agency, sandbox=None, clock=clock)


def _one_fits(clock: Clock) -> None:
    """A second ad account with a budget like the first one's, and room for one raise under the client's day."""
    from campaigns.changes import caps
    from campaigns.changes.envelopes import SOFT, Period, Scope

    desk = _desk(clock)
    desk.twin()
    cap = ((_worst(clock) + TAKES * 3 / 2) / SOFT).quantize(Decimal(1), ROUND_UP)
    caps.set_(
        principal=desk.agency.principals.alice, client=desk.account.client, scope=Scope.CLIENT, period=Period.DAY,
        amount=cap, currency=desk.account.currency, reason="one of the two", now=clock.now(),
    )  # fmt: skip


def _worst(clock: Clock) -> Decimal:
    """What may be spent today in all accounts of the client, with everything that is approved."""
    from campaigns.changes import headroom
    from campaigns.changes.envelopes import Period, Scope

    uses = headroom.uses_now(ad_account=_desk(clock).account, now=clock.now())
    (worst,) = [use.worst for _, use in uses if (use.scope, use.period) == (Scope.CLIENT, Period.DAY)]
    assert worst is not None, "the spend is not known"
    return worst


def _anew(clock: Clock) -> None:
    """What was approved runs out unsent, and everything has been read again."""
    from campaigns.models import Campaign, Change, SyncRun
    from campaigns.tasks import sweep

    clock.advance(LATER)
    sweep()
    assert not Change.everything.filter(state="APPROVED").exists()
    SyncRun.everything.update(started_at=clock.now(), finished_at=clock.now())
    desk = _desk(clock)
    desk.spent()
    twin = Campaign.everything.filter(name="Twin").first()
    if twin is not None:
        other = _desk(clock)
        other.agency.ad_account = twin.ad_account
        other.spent()


def _approve(change: Any, desk: Any) -> str:
    """ "" when it passed, else the code of the refusal."""
    from accounts.errors import Refused
    from campaigns.changes import approvals

    try:
        approvals.approve(
            change=change, principal=desk.agency.principals.alice, digest=change.digest, now=desk.now
        )
    except Refused as refusal:
        return refusal.code
    return ""


def _raises(order: dict[str, Any], clock: Clock, barrier: Barrier, me: int) -> list[Any]:
    """Per round: what the approval was told, and what may be spent by then of what limit."""
    from campaigns.models import Campaign, Envelope

    desk, said = _desk(clock), []
    mine = Campaign.everything.get(name="Twin") if me else desk.campaign
    desk.agency.ad_account = mine.ad_account
    cap = Envelope.everything.get(scope="client", period="day").amount
    for _ in range(order["rounds"]):
        if me == 0:
            _anew(clock)
        barrier.wait()
        change = desk.file(str(mine.daily_budget + RISE), obj=mine)
        barrier.wait()
        told = _approve(change, desk)
        barrier.wait()
        said.append([told, str(_worst(clock)), str(cap)])
        barrier.wait()
    return said


def _approvals(order: dict[str, Any], clock: Clock, barrier: Barrier, me: int) -> list[Any]:
    """Per round: what the approval was told, and how often the ledger says that it was approved."""
    from campaigns.models import Change, LedgerLine

    desk, said = _desk(clock, "vera" if me else "alice"), []
    for number in range(order["rounds"]):
        key = f"round {number}"
        if me == 0:
            _anew(clock)
            desk.file(str(desk.campaign.daily_budget - RISE), key=key)
        barrier.wait()
        change = Change.everything.select_related("client", "ad_account").get(key=key)
        barrier.wait()
        told = _approve(change, desk)
        barrier.wait()
        said.append([told, LedgerLine.everything.filter(change=change, state="APPROVED").count()])
        barrier.wait()
    return said


def _senders(order: dict[str, Any], clock: Clock, barrier: Barrier, me: int) -> list[Any]:
    """Per change: object, name and state at the end. New names for everything, sent by both at once, `rounds` times."""
    from campaigns.models import Change
    from campaigns.tasks import sweep
    from tests.prove.lives import _moving, stream

    for number in range(order["rounds"]):
        if me == 0:
            stream({"name": f"round {number}"}, clock)
        for _ in range(SWEEPS):
            barrier.wait()
            sweep()
            barrier.wait()
            if not _moving():
                break
            barrier.wait()
            if me == 0:
                clock.advance(4)
        barrier.wait()
        assert not _moving(), list(Change.everything.values_list("state", "error_text"))
    return list(map(list, Change.everything.values_list("object_id", "target", "state")))
