"""The workers that the kill grid lets die: one process loads the product, and forks a child for each life.

A line of JSON in is one life, a line out says how it ended. The child is a real process with connections of its own;
it sends SIGKILL to itself at the crash point it was given, so nothing of it runs on, or SIGSTOP, and runs on later.
Time is a number in a shared file, which the sandbox reads as well.

    python -m tests.prove.lives CLOCK-FILE
"""

from __future__ import annotations

import datetime as dt
import json
import mmap
import os
import signal
import struct
import sys
import traceback
from decimal import Decimal
from pathlib import Path
from typing import Any

from metaads.sandbox.clock import Clock

KEY = "the-change-of-this-cell"
SECOND = "another-change-of-the-same-field"
#: Sweeps of one life; more than a change needs that waits out a settle window, a throttle and three tries.
ROUNDS = 120


class SharedClock(Clock):
    """One moment for several processes: unix seconds in a mapped file of eight bytes. It stands until it is moved."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b")
        self._map = mmap.mmap(self._file.fileno(), 8)

    @classmethod
    def create(cls, path: Path, moment: dt.datetime) -> SharedClock:
        path.write_bytes(struct.pack("d", moment.timestamp()))
        return cls(path)

    def now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(struct.unpack("d", self._map[:8])[0], tz=dt.UTC)

    def set(self, moment: dt.datetime) -> None:
        self._map[:8] = struct.pack("d", moment.timestamp())

    def freeze(self) -> None:
        """Already still."""

    def resume(self) -> None:
        """Stays still."""

    @property
    def frozen(self) -> bool:
        return True


def main() -> None:
    import django

    django.setup()
    # Loaded once, so that a life begins with its work.
    import accounts.connections  # noqa: F401
    import campaigns.changes.caps
    import campaigns.tasks  # noqa: F401
    import tests.campaigns.conftest
    import tests.campaigns.machine.machine  # noqa: F401

    clock = SharedClock(Path(sys.argv[1]))
    for line in iter(sys.stdin.readline, ""):
        _say(_carried(json.loads(line), clock))


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _carried(order: dict[str, Any], clock: SharedClock) -> dict[str, Any]:
    """Live one life in a child. One that freezes says so; orders are carried out beside it until it thaws."""
    from metaads.clock import using

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with using(clock.now):
            said = _guarded(order, clock)
        os.write(writing, json.dumps(said).encode())
        os._exit(0)
    os.close(writing)
    frozen = False
    if order.get("freeze_at"):
        _, status = os.waitpid(child, os.WUNTRACED)
        frozen = os.WIFSTOPPED(status)
        if frozen:
            _say({"frozen": True})
            for line in iter(sys.stdin.readline, ""):
                beside = json.loads(line)
                if beside["do"] == "thaw":
                    break
                _say(_carried(beside, clock))
            os.kill(child, signal.SIGCONT)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    if frozen or not order.get("freeze_at"):
        _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return {"killed": killed, "frozen": False, "status": status, **(json.loads(text) if text else {})}


def _guarded(order: dict[str, Any], clock: SharedClock) -> dict[str, Any]:
    from django.db import connections

    try:
        name = order["database"]
        for settings in (connections["default"].settings_dict, connections.databases["default"]):
            settings["NAME"] = name
            settings["OPTIONS"].pop("pool", None)  # a pool has threads, and a life is short
        return {"do": order["do"], **globals()[order["do"]](order, clock)}
    except Exception:
        return {"failed": traceback.format_exc()}


def found(order: dict[str, Any], clock: SharedClock) -> dict[str, Any]:
    """The world of every cell: Northwind connected, its structure read."""
    from types import SimpleNamespace

    from django.db import connection

    from tests.campaigns.conftest import Desk
    from tests.conftest import connect_northwind, found_agency

    world = SimpleNamespace(token=lambda _user: order["token"])
    desk = Desk(agency=connect_northwind(found_agency(), world, clock), sandbox=None, clock=clock)
    run = desk.sync()
    if run.state != "complete":
        return {"failed": run.error_text}
    campaign = desk.campaign
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [order["copy"]])
    return {"object": campaign.meta_id, "budget": str(campaign.daily_budget)}


def live(order: dict[str, Any], clock: SharedClock) -> dict[str, Any]:
    """Ask for the change if nobody has, approve what waits, and sweep until nothing moves; or die on the way."""
    from accounts.access import principal_of
    from accounts.models import AdAccount, User
    from campaigns.changes import send, switch
    from campaigns.tasks import sweep
    from metaads.crash import watching

    send.SEND_WITHIN = order.get("within", send.SEND_WITHIN)  # type: ignore[misc]
    alice = principal_of(User.objects.get(email="alice@example.com"))
    account = AdAccount.everything.select_related("client").get(enabled_at__isnull=False)
    passes = order.get("hit", 1)
    reached: set[str] = set()

    def hook(name: str) -> None:
        nonlocal passes
        reached.add(name)
        if name in (order.get("point"), order.get("freeze_at")):
            passes -= 1
            if passes == 0:
                os.kill(os.getpid(), signal.SIGKILL if name == order.get("point") else signal.SIGSTOP)

    with watching(hook):
        if order.get("stop"):
            switch.pull(
                scope=switch.Scope(ad_account=account), principal=alice, reason="wait", now=clock.now()
            )
        if order.get("release"):
            switch.release(
                scope=switch.Scope(ad_account=account), principal=alice, reason="go on", now=clock.now()
            )
        if order.get("reconnect"):
            _reconnect(order, account, alice, clock)
        if order.get("cap"):
            _capped(order, account, alice, clock)
        _asked(order, account, alice, clock, key=KEY, target=order["target"])
        if order.get("second"):
            _asked(order, account, alice, clock, key=SECOND, target=order["second"])
        for _ in range(order.get("rounds", ROUNDS)):
            sweep()
            if not _moving():
                break
            _pass_time(clock)
    return {"reached": sorted(reached), **_seen(account, clock)}


def stream(order: dict[str, Any], clock: SharedClock) -> dict[str, Any]:
    """Approve one new name for each campaign, ad set and ad: work for a sender that is busy for a while."""
    from accounts.access import principal_of
    from accounts.models import AdAccount, User
    from campaigns.changes import approvals, request
    from campaigns.models import Ad, AdSet, Campaign
    from campaigns.states import Field, Level, Source

    alice = principal_of(User.objects.get(email="alice@example.com"))
    account = AdAccount.everything.select_related("client").get(enabled_at__isnull=False)
    for level, model in ((Level.CAMPAIGN, Campaign), (Level.AD_SET, AdSet), (Level.AD, Ad)):
        for one in model.everything.filter(ad_account=account):
            change = request.file(
                principal=alice, ad_account=account, level=level, object_id=one.meta_id, field=Field.NAME,
                target=f"{one.name} {order['name']}", reason="a stream", source=Source.PERSON,
                key=f"{order['name']}:{one.meta_id}", evidence=None, now=clock.now(),
            )  # fmt: skip
            if change.state == "PROPOSED":
                approvals.approve(change=change, principal=alice, digest=change.digest, now=clock.now())
    return {}


def race(order: dict[str, Any], clock: SharedClock) -> dict[str, Any]:
    """Two processes in the same moment: see `tests.prove.races`."""
    from tests.prove import races

    return races.race(order, clock)


def throw(order: dict[str, Any], clock: SharedClock) -> dict[str, Any]:
    """Pull the switch of everything, as a page or the API does."""
    from accounts.access import principal_of
    from accounts.models import User
    from campaigns.changes import switch

    alice = principal_of(User.objects.get(email="alice@example.com"))
    switch.pull(scope=switch.Scope(), principal=alice, reason="a trial", now=clock.now())
    return {}


def _asked(
    order: dict[str, Any], account: Any, alice: Any, clock: SharedClock, *, key: str, target: str
) -> None:
    import contextlib

    from accounts.errors import Refused
    from campaigns.changes import approvals, request
    from campaigns.states import Field, Level, Source

    with contextlib.suppress(Refused):
        change = request.file(
            principal=alice,
            ad_account=account,
            level=Level.CAMPAIGN,
            object_id=order["object"],
            field=Field(order["field"]),
            target=target,
            reason="a cell",
            source=Source.PERSON,
            key=key,
            evidence=None,
            acknowledged=True,
            now=clock.now(),
        )
        if change.state == "PROPOSED":
            approvals.approve(change=change, principal=alice, digest=change.digest, now=clock.now())


def _reconnect(order: dict[str, Any], account: Any, alice: Any, clock: SharedClock) -> None:
    from accounts.connections import connect
    from accounts.models import User

    connect(
        client=account.client,
        principal=alice,
        token=order["reconnect"],
        now=clock.now(),
        user=User.objects.get(email="alice@example.com"),
    )


def _capped(order: dict[str, Any], account: Any, alice: Any, clock: SharedClock) -> None:
    from campaigns.changes import caps
    from campaigns.changes.envelopes import Period, Scope

    caps.set_(
        principal=alice,
        client=account.client,
        scope=Scope.ACCOUNT,
        period=Period.DAY,
        amount=Decimal(order["cap"]),
        reason="less",
        ad_account=account,
        now=clock.now(),
    )


def _moving() -> bool:
    from campaigns.models import Change
    from campaigns.states import TERMINAL

    ended = [state.value for state in TERMINAL] + ["NEEDS_HUMAN", "PROPOSED"]
    return bool(Change.everything.exclude(state__in=ended).exists())


def _pass_time(clock: SharedClock) -> None:
    """To the next moment at which something is due, and at least 3 s."""
    from campaigns.models import Change
    from campaigns.states import TERMINAL

    now = clock.now()
    rows = Change.everything.exclude(state__in=[state.value for state in TERMINAL])
    due = [max(filter(None, pair), default=now) for pair in rows.values_list("not_before", "lease_until")]
    wait = min(((moment - now).total_seconds() for moment in due), default=3.0)
    clock.advance(min(max(wait, 3.0), 300.0))


def _seen(account: Any, clock: SharedClock) -> dict[str, Any]:
    """What the product says of itself at the end of a life, for the judge."""
    from accounts.models import Alert
    from campaigns.changes.invariants import check
    from campaigns.models import Attempt, Change, Hold, LedgerLine
    from tests.campaigns.machine.machine import _wire

    changes = [
        {
            "uuid": str(one.uuid),
            "key": one.key,
            "field": one.field,
            "state": one.state,
            "before": _wire(one, one.before),
            "target": _wire(one, one.target),
            "why": one.error_text,
            "held": Hold.everything.filter(change=one).exists(),
            "alerts": Alert.everything.filter(key=f"change:{one.uuid}", closed_at__isnull=True).count(),
            "ends": LedgerLine.everything.filter(change=one, kind="change", state=one.state).count(),
            "attempts": [
                [row.value, row.committed_at.timestamp()]
                for row in Attempt.everything.filter(change=one).order_by("n")
            ],
        }
        for one in Change.everything.order_by("pk")
    ]
    return {
        "changes": changes,
        "breaches": [str(one) for one in check(ad_account=account, now=clock.now())],
        "at": clock.timestamp(),
    }


if __name__ == "__main__":
    main()
