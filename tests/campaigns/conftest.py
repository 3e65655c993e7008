"""The change path on the door: a connected, structure-synced account, and small words for moving it on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

import accounts.tokens as tokens
from accounts.access import ad_account as account_of
from accounts.models import AdAccount
from campaigns.changes import approvals, request
from campaigns.changes.exposure import Spent, report
from campaigns.changes.headroom import ensure_defaults, today_of
from campaigns.models import AdSet, Attempt, Campaign, Change, SyncRun
from campaigns.states import Field, Level, Source
from campaigns.sync import run
from campaigns.tasks import step
from tests import kept


@dataclass
class Desk:
    """One synced account, the sandbox behind it, and what a test wants to do with them."""

    agency: Any
    sandbox: Any
    clock: Any

    @property
    def account(self) -> AdAccount:
        return account_of(self.agency.principals.alice, self.agency.ad_account.meta_id)

    @property
    def now(self) -> Any:
        return self.clock.now()

    @property
    def token(self) -> str:
        """What a write would go out with now."""
        return tokens.write_token(self.account)

    @property
    def campaign(self) -> Campaign:
        """The campaign that owns its budget."""
        return Campaign.everything.exclude(name="Twin").get(daily_budget__isnull=False)

    @property
    def other(self) -> Campaign:
        """The campaign whose ad sets own the budget."""
        return Campaign.everything.get(daily_budget__isnull=True)

    @property
    def ad_set(self) -> AdSet:
        return AdSet.everything.get(daily_budget__isnull=False)

    def sync(self) -> Any:
        self.spent()
        return run(ad_account=self.account, now=self.now)

    def spent(self, amount: str = "0", *, obj: Any = None, trust: str = "ready") -> None:
        """What the insights floor would report of today: the whole account, and one object on demand."""
        day, spend = today_of(self.account, self.now), Decimal(amount)
        rows = [Spent(level="account", object_id="", day=day, spend=spend)]
        if obj is not None:
            rows.append(Spent(level=obj.level.value, object_id=obj.meta_id, day=day, spend=spend))
        report(ad_account_id=self.account.pk, rows=rows, as_of=self.now, trust=trust, now=self.now)

    def file(
        self,
        target: str,
        *,
        field: Field = Field.DAILY_BUDGET,
        who: str = "alice",
        obj: Any = None,
        account: AdAccount | None = None,
        **more: Any,
    ) -> Change:
        obj = obj or self.campaign
        values = {"source": Source.PERSON, "key": str(uuid4()), "evidence": None, "reason": "a test", **more}
        principal = getattr(self.agency.principals, who)
        return request.file(
            principal=principal,
            ad_account=account or self.account,
            level=Level(obj.level),
            object_id=obj.meta_id,
            field=field,
            target=target,
            now=self.now,
            **values,
        )

    def twin(self) -> Campaign:
        """A campaign with a budget of 100 in a second ad account of the client, read and reported like the first."""
        second, read = self.account, SyncRun.everything.latest("started_at")
        second.pk, second.meta_id, second.name = None, "999", "Second"
        second.save(force_insert=True)
        row = Campaign.everything.create(
            client_id=second.client_id, ad_account=second, meta_id="9991", name="Twin", status="ACTIVE",
            effective_status="ACTIVE", daily_budget=Decimal(100), seen_at=self.now,
        )  # fmt: skip
        read.pk, read.uuid, read.ad_account = None, uuid4(), second
        read.save(force_insert=True)
        day = today_of(second, self.now)
        spent = [Spent(level="account", object_id="", day=day, spend=Decimal(0))]
        report(ad_account_id=second.pk, rows=spent, as_of=self.now, trust="ready", now=self.now)
        ensure_defaults(ad_account=second, now=self.now)
        return row

    def approved(self, target: str, **more: Any) -> Change:
        change = self.file(target, **more)
        alice = self.agency.principals.alice
        assert change.state != "REJECTED", change.error_text
        return approvals.approve(change=change, principal=alice, digest=change.digest, now=self.now)

    def step(self, change: Change) -> Change:
        step(str(change.uuid), self.now)
        change.refresh_from_db()
        return change

    def until(self, change: Change, *states: str, most: int = 60, every: float = 4) -> Change:
        """Step and move the clock until the change is in one of `states`."""
        for _ in range(most):
            if self.step(change).state in states:
                return change
            self.clock.advance(every)
        raise AssertionError(f"it is still {change.state}: {change.error_text}")

    def wait(self, **span: float) -> None:
        self.clock.advance(timedelta(**span).total_seconds())

    def truth(self, obj: Any, field: str) -> Any:
        """What really stands at Meta."""
        node = self.sandbox.world.nodes[obj.meta_id]
        return node.get(field, self.sandbox.clock.timestamp())

    def edit(self, obj: Any, field: str, value: Any, **more: Any) -> None:
        """A person's edit in Ads Manager."""
        self.sandbox.control.handle(
            "POST",
            "edit",
            {"object_id": obj.meta_id, "field": field, "value": value, "actor": "Hanna Human", **more},
        )

    def writes(self, obj: Any = None) -> list[dict[str, Any]]:
        """The write requests that Meta received, for one object on demand."""
        found = [
            line
            for line in self.sandbox.history
            if line["method"] == "POST" and "batch" not in line["params"]
        ]
        found = [line for line in found if "oauth" not in line["path"]]
        return [line for line in found if obj is None or line["path"] == obj.meta_id]

    def attempts(self, change: Change) -> list[Attempt]:
        return list(Attempt.everything.filter(change=change).order_by("n"))


@pytest.fixture
def desk(connected: Any, sandbox: Any, clock: Any) -> Desk:
    desk = Desk(agency=connected, sandbox=sandbox, clock=clock)

    def build() -> Any:
        assert desk.sync().state == "complete"
        return connected

    kept.reach("desk", build=build, agency=connected, box=sandbox, clock=clock)
    return desk
