"""The product around one lab world: one client, one person, one connected ad account, and a clock that both share.

    opened    the world's account is connected and read once; everything is rolled back at the end
    policy    a fresh sandbox of the same world for each policy, from the same morning on, over the same rows

What a policy wants takes the whole way: `changes.request` -> guards -> an approval by the lab's person -> `send`
-> `settle`. Nothing here opens a way past them: the person approves against the digest, as people do.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.cache import cache
from django.db import transaction

import accounts.access as access
import campaigns.changes.approvals as approvals
import campaigns.changes.caps as caps
import campaigns.changes.request as request
import campaigns.changes.send as sending
import campaigns.changes.settle as settling
import campaigns.sync as structure
import insights.fetch as fetch
from accounts.ad_accounts import enable
from accounts.connections import connect
from accounts.errors import Refused
from accounts.models import AdAccount, Client, Membership, Role, User
from accounts.tenancy import Principal
from campaigns.changes.envelopes import OVERSPEND, SOFT, Period, Scope
from campaigns.models import Change
from campaigns.states import TERMINAL, ChangeState, Evidence, Field, Level, Source
from insights.analytics import evidence as evidence_of
from metaads.clock import using
from metaads.gateway import plugged
from metaads.graph.money import minor_unit
from metaads.sandbox.app import Sandbox
from metaads.sandbox.clock import ManualClock
from metaads.sandbox.delivery import curves
from metaads.sandbox.lab import family
from metaads.sandbox.lab.schema import LabWorld
from metaads.sandbox.world.nodes import ADSET
from strategies.lab.wire import InProcess

#: The hour of day 0 at which the account is connected, and the first a policy can act at.
MORNING: Final = 6
HISTORY_DAYS: Final = 28
#: Nearly all that is credited is told within a week, so older days need not be read each day again.
LOOKBACK_DAYS: Final = 6
#: The sandbox's own app.
_APP: Final = {"app_id": "1000000000000001", "app_secret": "sandbox-secret"}
#: What a day has spent by the morning counts beside what its budgets still allow.
_SPENT_BY_MORNING: Final = Decimal("1.05")
_STEPS: Final = 80
_NUMBERS: Final = re.compile(r"[0-9][0-9.,:]*")
_ENDED: Final = sorted(state.value for state in TERMINAL | {ChangeState.NEEDS_HUMAN, ChangeState.PROPOSED})


class LabError(Exception):
    """The lab itself went wrong: a world could not be connected or read."""


@dataclass
class Tally:
    """What became of a policy's wishes. `refused`: by a guard or at the approval, with how often for which sentence in
    `reasons`; `lost`: passed, not applied."""

    filed: int = 0
    refused: int = 0
    applied: int = 0
    lost: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def refuse(self, why: str) -> None:
        self.refused += 1
        self.reasons[_NUMBERS.sub("#", why)] += 1


@dataclass
class Stage:
    """One world, connected and read on its first morning."""

    source: Path
    plan: LabWorld
    account: AdAccount
    person: Principal
    begun: datetime

    @contextlib.contextmanager
    def policy(self) -> Iterator[Run]:
        """A run of one policy from the first morning on; its rows and its sandbox are forgotten at the end."""
        cache.clear()
        with transaction.atomic():
            clock = ManualClock(self.begun)
            sandbox = sandbox_of(self.source, self.plan, clock)
            with using(clock.now), plugged(InProcess(sandbox)):
                yield Run(self, sandbox, clock, Tally())
            transaction.set_rollback(True)


@dataclass
class Run:
    """One policy in one world: read, file, carry."""

    stage: Stage
    sandbox: Sandbox
    clock: ManualClock
    tally: Tally
    #: What a policy saw at its earlier looks, by day, for policies that remember.
    looks: dict[int, dict[str, tuple[float, ...]]] = field(default_factory=dict)

    @property
    def account(self) -> AdAccount:
        return self.stage.account

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def go_to(self, day: int, hour: float) -> None:
        """Move on to an hour of a world's day; time never goes back."""
        self.clock.set(max(self.now, moment(self.stage.plan, day, hour)))

    def read(self) -> None:
        """Read structure and figures, as the product does."""
        read(self.account, self.now)

    def file(self, *, object_id: str, what: Field, target: str, reason: str) -> None:
        """File a wish of the policy about an ad set, as a strategy files it."""
        parts = evidence_of(self.account, now=self.now)
        change = request.file(
            principal=access.system(self.account.client),
            ad_account=self.account,
            level=Level.AD_SET,
            object_id=object_id,
            field=what,
            target=target,
            reason=reason,
            source=Source.STRATEGY,
            key=f"lab {object_id} {what} {self.now.isoformat()}",
            evidence=Evidence(
                parts.data_version, parts.as_of or self.now, parts.checksum, self.now + timedelta(hours=6)
            ),
            now=self.now,
        )
        self.tally.filed += 1
        if change.state == ChangeState.REJECTED:
            self.tally.refuse(change.error_text)

    def carry(self) -> None:
        """Approve what waits, send it, and find out what became of it."""
        rows = Change.objects.of(self.account.client_id).filter(state=ChangeState.PROPOSED.value)
        moving = []
        for change in rows.order_by("created_at", "pk"):
            try:
                approvals.approve(
                    change=change, principal=self.stage.person, digest=change.digest, now=self.now
                )
                moving.append(str(change.uuid))
            except Refused as refused:
                self.tally.refuse(str(refused))
                approvals.reject(
                    change=change, principal=self.stage.person, reason=str(refused), now=self.now
                )
        asked = moving
        for _ in range(_STEPS):
            if not moving:
                break
            for one in moving:
                if sending.send(one, now=self.now, clock=self.clock.now) is None:
                    settling.settle(one, now=self.now, clock=self.clock.now)
            self.clock.advance(4)
            ended = Change.objects.of(self.account.client_id).filter(uuid__in=moving, state__in=_ENDED)
            over = {str(uuid) for uuid in ended.values_list("uuid", flat=True)}
            moving = [one for one in moving if one not in over]
        done = Change.objects.of(self.account.client_id).filter(
            uuid__in=asked, state=ChangeState.APPLIED.value
        )
        applied = done.count()
        self.tally.applied += applied
        self.tally.lost += len(asked) - applied


def moment(plan: LabWorld, day: int, hour: float) -> datetime:
    """An hour after midnight of a world's day, aware."""
    midnight = curves.hours_of(plan.start + timedelta(days=day), plan.zone)[0][0]
    return datetime.fromtimestamp(midnight + hour * 3600, UTC)


def sandbox_of(source: Path, plan: LabWorld, clock: ManualClock) -> Sandbox:
    return Sandbox(world=f"lab:{source}#{plan.name}", seed=plan.seed, clock=clock)


def adset_ids(sandbox: Sandbox, plan: LabWorld) -> list[str]:
    """Meta's ids of the world's ad sets, in the order of the plan."""
    named = {
        str(node.get("name", node.created)): node.id
        for node in sandbox.world.nodes.values()
        if node.kind == ADSET
    }
    return [named[one.name] for one in plan.ad_sets]


def read(account: AdAccount, now: datetime) -> None:
    tree = structure.run(ad_account=account, now=now)
    figures = fetch.refresh(ad_account=account, now=now)
    if tree.state != "complete" or figures.state != "done":
        raise LabError(f"The world was not read: {tree.state}, {figures.state} ({figures.sentence}).")


@contextlib.contextmanager
def opened(source: Path, name: str) -> Iterator[Stage]:
    """Connect a world's account and read it once. Whatever the database is, nothing of it stays."""
    plan = family.pick(source, name)
    begun = moment(plan, 0, MORNING)
    clock = ManualClock(begun)
    sandbox = sandbox_of(source, plan, clock)
    cache.clear()
    own = _settings(META={**settings.META, **_APP}, LOOKBACK_DAYS=LOOKBACK_DAYS, POLLING=False)
    with own, transaction.atomic():
        with using(clock.now), plugged(InProcess(sandbox)):
            stage = _connected(source, plan, sandbox, begun)
        yield stage
        transaction.set_rollback(True)


def _connected(source: Path, plan: LabWorld, sandbox: Sandbox, now: datetime) -> Stage:
    client = Client.objects.create(
        name="Lab",
        slug="lab-of-worlds",
        result_action="omni_purchase",
        target_cpa=Decimal(str(plan.target_cpa)),
        goods_cost_percent=((1 - Decimal(str(plan.margin))) * 100).quantize(Decimal("0.01")),
        fee_percent=Decimal(0),
    )
    user = User.objects.create_user("lab@lab.invalid", None, name="Lab")
    Membership.objects.create(user=user, client=None, role=Role.OWNER)
    person = access.principal_of(user)
    connect(client=client, principal=person, token=sandbox.token("alice"), now=now, user=user)
    account: Any = AdAccount.objects.of(client).get()
    enable(ad_account=account, principal=person, now=now)
    account.refresh_from_db()
    if structure.run(ad_account=account, now=now).state != "complete":
        raise LabError("The world's structure was not read.")
    run = fetch.first_sync(ad_account=account, days=HISTORY_DAYS, now=now)
    if run.state != "done":
        raise LabError(f"The world's history was not read: {run.sentence}")
    # Raises stop where all budgets together would be above those of day 0: the same money for every policy.
    cap = Decimal(str(plan.budget)) * OVERSPEND / SOFT * _SPENT_BY_MORNING
    caps.set_(
        principal=person,
        client=client,
        scope=Scope.ACCOUNT,
        period=Period.DAY,
        amount=cap.quantize(minor_unit(plan.currency), ROUND_CEILING),
        reason="The budget of day 0.",
        now=now,
        ad_account=account,
    )
    account = AdAccount.objects.of(client).select_related("client", "connection").get()
    return Stage(source, plan, account, person, now)


@contextlib.contextmanager
def _settings(**values: Any) -> Iterator[None]:
    """Settings of the installation, for a while."""
    before: Mapping[str, Any] = {name: getattr(settings, name) for name in values}
    for name, value in values.items():
        setattr(settings, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(settings, name, value)
